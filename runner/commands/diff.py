"""`runner diff`: the commits of a run."""

from __future__ import annotations

import os
import re
import sys

from runner import git
from runner.commands.open_logs import open_logs
from runner.commands.show import read_record
from runner.errors import RunnerError
from runner.history.queries import find
from runner.mask import masked_pieces
from runner.text import one_line, printable

_SHA = re.compile(r"[0-9a-f]{7,64}")


def diff(project: str | None, name: str) -> int:
    """Raises UsageError for what names no run, RunnerError when git cannot show them."""
    logs = open_logs(project)
    record = read_record(logs, find(logs, name))
    shas = [commit["sha"] for commit in reversed(record["commits"]) if _SHA.fullmatch(str(commit.get("sha")))]
    if not shas:
        print(f"run {record['run_id']} made no commits")
        return 0
    result = git.show(str(record["cwd"]), shas, dict(os.environ))
    if result.code != 0:
        error = one_line(result.err.decode(errors="replace"))
        raise RunnerError(f"git cannot show the commits in `{printable(str(record['cwd']))}`: {error}")
    if sys.stdout.isatty():
        print(printable(result.out.decode(errors="replace")), end="")
    else:
        sys.stdout.buffer.writelines(masked_pieces([result.out], os.environ))
    return 0
