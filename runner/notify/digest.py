"""A long outage: the oldest waiting messages become one summary, so the outbox stays small and no run is forgotten."""

from __future__ import annotations

import time
from collections import Counter

from runner.notify.message import folded_message
from runner.notify.outbox import Pending, Target
from runner.records import store
from runner.text import rfc3339
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.notify.outbox import Outbox
    from runner.records.folder import Claim, Logs
    from runner.records.metadata import Notification

MOST = 200  # messages that wait; at ntfy's pace of one in 5 s they are sent in a quarter of an hour
KEPT = 100
PREFIX = "folded_"


def fold_oldest(logs: Logs, outbox: Outbox) -> int:
    """Fold when more than `MOST` messages wait; returns how many became part of a summary."""
    ids = outbox.ids()
    if len(ids) <= MOST:
        return 0
    taken: list[tuple[Claim, Pending]] = []
    try:
        for message_id in [*_summaries(ids), *_of_runs(ids)[: len(ids) - KEPT]]:
            claim = logs.lock(message_id)
            pending = outbox.read(message_id) if claim else None
            if claim and pending and pending.final:
                taken.append((claim, pending))
            elif claim:
                logs.release(claim, keep_id=True)
        if taken:
            _replace(logs, outbox, [pending for _, pending in taken])
    finally:
        for claim, _ in taken:
            logs.release(claim, keep_id=True)
    return len(taken)


def _summaries(ids: list[str]) -> list[str]:
    return [name for name in ids if name.startswith(PREFIX)]


def _of_runs(ids: list[str]) -> list[str]:
    return [name for name in ids if not name.startswith(PREFIX)]


def _replace(logs: Logs, outbox: Outbox, old: list[Pending]) -> None:
    """The summary is on the disk before the first of the old messages goes."""
    counts: Counter[str] = Counter()
    for pending in old:
        counts.update(pending.message.record.get("counts") or {pending.message.record.get("status", "unknown"): 1})
    newest = max(old, key=lambda pending: pending.created_at)
    since = min(pending.message.record.get("since", rfc3339(pending.created_at)) for pending in old)
    until = rfc3339(newest.created_at)
    name = f"{PREFIX}{time.time():.0f}"
    message = folded_message(name, counts, since, until, {})
    message = replace(message, record={**message.record, "counts": dict(counts), "since": since, "until": until})
    outbox.write(Pending(message, time.time(), tuple(Target(target.settings) for target in newest.targets)))
    for pending in old:
        if pending.run_dir is not None:
            notification: Notification = {
                **pending.notification(),
                "state": "dead",
                "last_error": f"folded into `{name}`",
            }
            store.set_notification(logs.path(pending.run_dir), notification)
        outbox.remove(pending.id)
