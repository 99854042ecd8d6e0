"""`runner runs`: what ran."""

from __future__ import annotations

import os
import sys
import time

from runner.commands._logs import open_logs
from runner.commands._table import WIDTH, table
from runner.errors import UsageError, did_you_mean
from runner.history.index import Index
from runner.history.queries import Filter, entries, entry_of_live, running
from runner.history.tables import Entry
from runner.reasons import REASONS, SUCCESS
from runner.records.folder import Logs
from runner.records.summary import status_of
from runner.text import json_text, moment, one_line, printable
from runner.units import format_duration

_LIMIT = 20
_DIGITS = 9  # with more, the limit is none
_HEAD = ("RUN", "AGENT", "TASK", "RESULT", "TOOK", "COMMITS")
_STATUSES = sorted({"running", SUCCESS.status, *(row.status for row in REASONS.values())})


def runs(
    project: str | None,
    *,
    limit: str | None,
    rebuild: bool,
    as_json: bool,
    **filters: str | None,
) -> int:
    """`filters` are agent, task, status, reason, since and until. Raises UsageError."""
    known(filters["status"], "status", _STATUSES)
    known(filters["reason"], "reason", sorted(REASONS))
    now = time.time()
    since, until = (read_moment(filters.pop(name), now) for name in ("since", "until"))
    wanted = Filter(since=since, until=until, limit=_limit(limit), **filters)
    logs = open_logs(project)
    index = Index(logs)
    if rebuild:
        print(f"{index.rebuild()} runs in the index", file=sys.stderr)
    found = [*_live(logs, wanted), *entries(index, wanted)][: wanted.limit]
    if as_json:
        for entry in found:
            print(json_text(entry))
    elif found:
        print(table(_HEAD, [_row(entry) for entry in found], terminal_width()), end="")
    else:
        print("no run fits" if any(vars(wanted).values()) else "no runs yet")
    return 0


def known(name: str | None, noun: str, names: list[str]) -> None:
    """Check a name. Raises UsageError when it is not one of `names`."""
    if name is not None and name not in names:
        raise UsageError(f"unknown {noun} `{name}`", hint=did_you_mean(name, names) or f"one of {', '.join(names)}")


def read_moment(text: str | None, now: float) -> float | None:
    """Raises UsageError."""
    try:
        return None if text is None else moment(text, now)
    except ValueError as error:
        raise UsageError(str(error)) from None


def terminal_width() -> int:
    """The columns of the terminal; a pipe or file cuts nothing."""
    if not sys.stdout.isatty():
        return 1000
    try:
        return max(WIDTH, os.get_terminal_size(sys.stdout.fileno()).columns)
    except OSError:
        return WIDTH


def _limit(text: str | None) -> int | None:
    if text == "all":
        return None
    if text is not None and (not text.isdecimal() or not text.strip("0")):
        raise UsageError(f"--limit expects a number or `all`, got `{text}`")
    return _LIMIT if text is None else int(text) if len(text) <= _DIGITS else None


def _live(logs: Logs, wanted: Filter) -> list[Entry]:
    """The runs that have not ended and match."""
    return [
        entry_of_live(record)
        for record in running(logs)
        if all(getattr(wanted, key) in (None, record.get(key)) for key in ("agent", "task", "status", "reason"))
        and wanted.until is None
    ]


def _row(entry: Entry) -> tuple[str, ...]:
    took, commits = entry["elapsed_seconds"], entry["commits"]
    return (
        entry["run_id"],
        one_line(entry["agent"], 40),
        one_line(entry["task"], 60),
        printable(status_of(entry)),
        "-" if not took else format_duration(took),
        "-" if not commits else str(commits),
    )
