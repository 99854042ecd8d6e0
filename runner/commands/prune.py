"""`runner prune`: old runs go."""

from __future__ import annotations

import time

from runner.commands.open import open_project
from runner.errors import RunnerError
from runner.history import retention as pruning
from runner.history.index import Store
from runner.text import json_text, rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.commands.open import Opened
    from runner.history.retention import Old


def prune(project: str | None, *, dry_run: bool, as_json: bool) -> int:
    """Raises ConfigError: without sound settings nothing is removed."""
    gone = _prune(open_project(project), dry_run=dry_run)
    size = sum(run.size for run in gone)
    if as_json:
        print(json_text({"dry_run": dry_run, "runs": [run.run_id for run in gone], "bytes": size or None}, 2))
        return 0
    for run in gone if dry_run else []:
        print(run.place)
    number = f"{len(gone)} run{'' if len(gone) == 1 else 's'}"
    print(f"{number} would be removed" if dry_run else f"{number} removed")
    return 0


def prune_daily(opened: Opened, now: float) -> int:
    """For the heartbeat, once a day; how many runs went."""
    try:
        gone = _prune(opened, dry_run=False)
    except (OSError, RunnerError) as error:
        opened.logs.note(f"cannot prune: {error}", now)
        gone = []
    with open(opened.logs.path("state", "pruned"), "w", encoding="utf-8") as file:
        file.write(f"{now}\n{rfc3339(now)} {len(gone)}\n")
    return len(gone)


def _prune(opened: Opened, *, dry_run: bool) -> list[Old]:
    wanted = pruning.retention(opened.config.settings)
    runs = pruning.closed_runs(Store(opened.logs), opened.logs, sizes=wanted.size is not None)
    old = pruning.chosen(runs, wanted, time.time())
    if dry_run:
        return [run for run in old if not opened.logs.is_live(run.run_id) and pruning.reported(opened.logs, run)]
    return pruning.prune(opened.logs, old)
