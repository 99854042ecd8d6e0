"""`runner prune`: remove old runs."""

from __future__ import annotations

import time

from runner.commands._project import Opened, open_project
from runner.errors import RunnerError
from runner.files import write_text
from runner.history import retention
from runner.history.index import Index
from runner.history.retention import OldRun
from runner.schedule.state import last_look
from runner.text import json_text, rfc3339
from runner.values import replace

_NEAR = 8 * 86400.0  # seconds
_TWO_LOOKS = "nothing is removed before two looks a day apart agree on the time (`runner prune` does it now)"


def prune(project: str | None, *, dry_run: bool, as_json: bool) -> int:
    """Raises ConfigError: without valid settings nothing is removed."""
    gone = _prune(open_project(project), dry_run=dry_run)
    size = sum(run.size for run in gone)
    if as_json:
        print(json_text({"dry_run": dry_run, "runs": [run.run_id for run in gone], "bytes": size or None}, 2))
        return 0
    for run in gone if dry_run else []:
        print(run.folder)
    number = f"{len(gone)} run{'' if len(gone) == 1 else 's'}"
    print(f"{number} would be removed" if dry_run else f"{number} removed")
    return 0


def prune_daily(opened: Opened, now: float) -> int:
    """Prune for the heartbeat, once a day, and return how many runs were removed.

    What is gone does not come back, so that one look at a wrong clock must not be enough: age counts only when the last
    look was not long ago.
    """
    gone: list[OldRun] = []
    try:
        near = 0 <= now - last_look(opened.logs) < _NEAR
        gone = _prune(opened, dry_run=False, by_age=near)
        if not near and (old := _prune(opened, dry_run=True)):
            opened.logs.note(f"{len(old)} old runs stay for now: {_TWO_LOOKS}", now)
    except (OSError, RunnerError) as error:
        opened.logs.note(f"cannot prune: {error}", now)
    write_text(opened.logs.path("state", "pruned"), f"{now}\n{rfc3339(now)} {len(gone)}\n")
    return len(gone)


def _prune(opened: Opened, *, dry_run: bool, by_age: bool = True) -> list[OldRun]:
    wanted = retention.read_retention(opened.config.settings)
    if not by_age:
        wanted = replace(wanted, keep=None, failures=None)
    runs = retention.closed_runs(Index(opened.logs), opened.logs, sizes=wanted.size is not None)
    old = retention.select(runs, wanted, time.time())
    if dry_run:
        return [run for run in old if not opened.logs.is_live(run.run_id) and retention.reported(opened.logs, run)]
    return retention.prune(opened.logs, old)
