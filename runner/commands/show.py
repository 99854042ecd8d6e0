"""`runner show`, `runner why` and `runner diff`: one run."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from runner import git
from runner.commands._logs import open_logs
from runner.errors import RunnerError
from runner.files import read_bytes
from runner.history.index import Index
from runner.history.queries import FoundRun, entry, find
from runner.mask import masked_pieces
from runner.reasons import reason_of
from runner.records import store, summary
from runner.records.evidence import line_at
from runner.records.folder import Logs
from runner.records.metadata import Record
from runner.text import json_text, one_line, printable, wrapped

_SHA = re.compile(r"[0-9a-f]{7,64}")


def show(project: str | None, name: str, *, as_json: bool, output: bool) -> int:
    """Raises UsageError for what names no run, and RunnerError for `output` where there is none."""
    run, record, evidence = _read(project, name)
    if output:
        print(_answer(run, record), end="")
    elif as_json:
        print(json_text({**record, "why": summary.why(record, evidence), "folder": run.folder}, 2))
    else:
        folder = run.folder and run.folder.removeprefix(os.getcwd() + os.sep)
        print(summary.summary(record, folder, evidence), end="")
    return 0


def _answer(run: FoundRun, record: Record) -> str:
    """The answer that the run's task asked for, as JSON text."""
    if record.get("output") is not None:
        return f"{json_text(record['output'], 2)}\n"
    try:
        return read_bytes(os.path.join(run.folder or "", "output.json")).decode(errors="replace")
    except OSError:
        hint = "a task asks for one by `output`" if record["status"] == "success" else None
        raise RunnerError(f"run `{record['run_id']}` has no answer", hint=hint) from None


def why(project: str | None, name: str) -> int:
    """Raises UsageError for what names no run."""
    _, record, evidence = _read(project, name)
    text = summary.why(record, evidence)
    print("\n".join(wrapped(text, summary.WIDTH - 2)) if sys.stdout.isatty() else text)
    return 0


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


def _read(project: str | None, name: str) -> tuple[FoundRun, Record, str | None]:
    """The run, its record, and the line that its evidence names."""
    logs = open_logs(project)
    run = find(logs, name)
    record = read_record(logs, run)
    place = record["error"]["evidence"] if record["error"] else None
    return run, record, line_at(run.folder, place) if place and run.folder else None


def read_record(logs: Logs, run: FoundRun) -> Record:
    """Read the record of a run; of a skipped one, what the index has. Raises RunnerError when it is gone."""
    record = store.read_metadata(run.folder) if run.folder else _skipped(entry(Index(logs), run.run_id))
    if record is None:
        raise RunnerError(f"the record of run `{run.run_id}` is gone or damaged", hint="`runner runs --rebuild`")
    return record


def _skipped(found: Any) -> Record | None:
    """An entry of a list as a record: it counts the commits, of which a skipped run has none."""
    if found is None:
        return None
    record: Record = {**found, "commits": [], "advice": reason_of(found["reason"], found["status"]).advice}  # type: ignore[typeddict-item]  # a line has these keys
    return record
