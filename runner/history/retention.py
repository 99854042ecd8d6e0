"""Removal of old runs: which ones is decided without side effects, and each is removed under its own lock."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence

from runner.files import append, unlink
from runner.history.index import Index
from runner.history.queries import run_id_at
from runner.reasons import NOT_BEGUN
from runner.records import store
from runner.records.folder import Claim, Logs
from runner.units import parse_duration, parse_size
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject

_KEEP = "90d"
_FAILURES_FACTOR = 2  # failures are kept so many times as long, unless set
_BATCH = 100


@dataclass(frozen=True)
class Retention:
    """What is kept: good runs and failures for so many seconds, and how many runs and bytes; None for no limit."""

    keep: float | None
    failures: float | None
    count: int | None
    size: int | None


@dataclass(frozen=True)
class OldRun:
    """A closed run; `folder` is relative to the log folder, `size` its bytes."""

    run_id: str
    folder: str
    good: bool
    size: int


def read_retention(settings: JsonObject) -> Retention:
    """Read `settings.retention`. Raises ValueError for what the schema does not allow."""
    found = settings.get("retention") or {}
    keep = parse_duration(found.get("keep", _KEEP))
    longer = None if keep is None else keep * _FAILURES_FACTOR
    failures = parse_duration(found["failures"]) if "failures" in found else longer
    return Retention(keep, failures, found.get("count"), parse_size(found.get("size")))


def closed_runs(index: Index, logs: Logs, *, sizes: bool) -> list[OldRun]:
    """List the closed runs, oldest first; their folders are measured only with `sizes`."""
    sql = "SELECT run_id, task, agent, status FROM runs ORDER BY run_id"
    found = []
    for run_id, task, agent, status in index.answer(lambda: [_texts(row) for row in index.rows(sql)]):
        folder = os.path.join(task, agent, run_id)
        size = _size(logs.path(folder)) if sizes and status not in NOT_BEGUN else 0
        found.append(OldRun(run_id, folder, status == "success" or status in NOT_BEGUN, size))
    return found


def _texts(row: Sequence[object]) -> tuple[str, ...]:
    """Raises ValueError for a row that we did not write."""
    texts = tuple(text for text in row if isinstance(text, str) and text not in ("", ".", "..") and "/" not in text)
    if len(texts) != len(row):
        raise ValueError("not the row of a run")
    return texts


def select(runs: Sequence[OldRun], wanted: Retention, now: float) -> list[OldRun]:
    """Select the runs to remove, oldest first: by age, then by number and size, failures last."""
    going: dict[str, OldRun] = {}
    for run in runs:
        age = wanted.keep if run.good else wanted.failures
        if age is not None and run.run_id < run_id_at(now - age):
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


def prune(logs: Logs, runs: Sequence[OldRun]) -> list[OldRun]:
    """Remove the runs, and return those that are gone. Raises OSError."""
    gone: list[OldRun] = []
    for at in range(0, len(runs), _BATCH):
        gone += _prune_batch(logs, runs[at : at + _BATCH])
    return gone


def _prune_batch(logs: Logs, runs: Sequence[OldRun]) -> list[OldRun]:
    claims = list(_claims(logs, runs))
    try:
        for _, run in claims:
            # Repeatable: a folder that is half gone is removed by the next call.
            shutil.rmtree(logs.path(run.folder), ignore_errors=True)
        gone = [run for _, run in claims if not os.path.lexists(logs.path(run.folder))]
        lines = "".join("\n" + json.dumps({"run_id": run.run_id, "pruned": True}) + "\n" for run in gone)
        if gone:
            append(logs.path("runs.jsonl"), lines.encode())
        for run in gone:
            unlink(logs.path("ids", run.run_id))
    finally:
        for claim, _ in claims:
            logs.release(claim, keep_id=True)
    return gone


def _claims(logs: Logs, runs: Sequence[OldRun]) -> Iterator[tuple[Claim, OldRun]]:
    """Lock the runs that are not live and whose messages have been delivered."""
    for run in runs:
        claim = logs.lock(run.run_id)
        if claim is None:
            continue
        if reported(logs, run):
            yield claim, run
        else:
            logs.release(claim, keep_id=True)


def reported(logs: Logs, run: OldRun) -> bool:
    """Whether the run is closed and no message about it is pending."""
    if os.path.lexists(logs.path("outbox", f"{run.run_id}.json")):
        return False
    found = store.read_metadata(logs.path(run.folder))
    if found is None:
        return not os.path.lexists(logs.path(run.folder, "metadata.json"))
    notification = found["notification"]
    return found["status"] != "running" and not (notification and notification["state"] == "pending")


def _size(folder: str) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks * 512
            except OSError:
                continue
    return total
