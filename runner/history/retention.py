"""Removing old runs: which ones is pure, and each goes under its own lock."""

from __future__ import annotations

import json
import os
import shutil

from runner.files import append, unlink
from runner.history.queries import stamp
from runner.reasons import NOT_BEGUN
from runner.records import store
from runner.units import parse_duration, parse_size
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.history.index import Store
    from runner.model import JsonObject
    from runner.records.folder import Claim, Logs

_KEEP = "90d"
_LONGER = 2  # times as long stay failures, unless told
_BATCH = 100


@dataclass(frozen=True)
class Retention:
    """What stays: seconds, seconds, runs, bytes; None for no bound."""

    keep: float | None
    failures: float | None
    count: int | None
    size: int | None


@dataclass(frozen=True)
class Old:
    """A run that may go; `size` is the bytes of its folder."""

    run_id: str
    place: str
    good: bool
    size: int


def retention(settings: JsonObject) -> Retention:
    """`settings.retention`; raises ValueError for what the schema would not let pass."""
    found = settings.get("retention") or {}
    keep = parse_duration(found.get("keep", _KEEP))
    longer = None if keep is None else keep * _LONGER
    failures = parse_duration(found["failures"]) if "failures" in found else longer
    return Retention(keep, failures, found.get("count"), parse_size(found.get("size")))


def closed_runs(index: Store, logs: Logs, *, sizes: bool) -> list[Old]:
    """Oldest first. Folders are measured only where a bound asks for it."""
    rows = index.rows("SELECT run_id, task, agent, status FROM runs ORDER BY run_id")
    found = []
    for run_id, task, agent, status in rows:
        place = os.path.join(task, agent, run_id)
        size = _size(logs.path(place)) if sizes and status not in NOT_BEGUN else 0
        found.append(Old(run_id, place, status == "success" or status in NOT_BEGUN, size))
    return found


def chosen(runs: Sequence[Old], wanted: Retention, now: float) -> list[Old]:
    """Which go, oldest first: by age, then by number and size, of which failures are the last to go."""
    going: dict[str, Old] = {}
    for run in runs:
        age = wanted.keep if run.good else wanted.failures
        if age is not None and run.run_id < stamp(now - age):
            going[run.run_id] = run
    staying = [run for run in runs if run.run_id not in going]
    number, size = len(staying), sum(run.size for run in staying)
    for run in sorted(staying, key=lambda run: not run.good):
        too_many = wanted.count is not None and number > wanted.count
        too_large = wanted.size is not None and size > wanted.size and run.size > 0
        if too_many or too_large:
            going[run.run_id] = run
            number -= 1
            size -= run.size
    return sorted(going.values(), key=lambda run: run.run_id)


def prune(logs: Logs, runs: Sequence[Old]) -> list[Old]:
    """Remove them; returns those that are gone. Raises OSError."""
    gone: list[Old] = []
    for at in range(0, len(runs), _BATCH):
        gone += _prune_batch(logs, runs[at : at + _BATCH])
    return gone


def _prune_batch(logs: Logs, runs: Sequence[Old]) -> list[Old]:
    claims = list(_claims(logs, runs))
    try:
        for _, run in claims:
            # Again and again the same: a folder that is half gone is removed by the next that comes.
            shutil.rmtree(logs.path(run.place), ignore_errors=True)
        gone = [run for _, run in claims if not os.path.lexists(logs.path(run.place))]
        lines = "".join("\n" + json.dumps({"run_id": run.run_id, "pruned": True}) + "\n" for run in gone)
        if gone:
            append(logs.path("runs.jsonl"), lines.encode())
        for run in gone:
            unlink(logs.path("ids", run.run_id))
    finally:
        for claim, _ in claims:
            logs.release(claim, keep_id=True)
    return gone


def _claims(logs: Logs, runs: Sequence[Old]) -> Iterator[tuple[Claim, Old]]:
    """Those whose lock is free and of which everybody has heard who was to."""
    for run in runs:
        claim = logs.lock(run.run_id)
        if claim is None:
            continue
        if reported(logs, run):
            yield claim, run
        else:
            logs.release(claim, keep_id=True)


def reported(logs: Logs, run: Old) -> bool:
    """Whether the run is closed and no message about it waits."""
    if os.path.lexists(logs.path("outbox", f"{run.run_id}.json")):
        return False
    found = store.read_metadata(logs.path(run.place))
    if found is None:
        return not os.path.lexists(logs.path(run.place, "metadata.json"))
    return found.get("status") != "running" and (found.get("notification") or {}).get("state") != "pending"


def _size(folder: str) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks * 512
            except OSError:
                continue
    return total
