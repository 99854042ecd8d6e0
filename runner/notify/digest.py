"""A long outage: the oldest waiting messages become one digest, so the outbox stays small and no run is forgotten."""

from __future__ import annotations

import time
from collections import Counter

from runner.notify.message import digest_message
from runner.notify.outbox import Outbox, Pending, Target
from runner.records import store
from runner.records.folder import Claim
from runner.records.metadata import Notification
from runner.text import rfc3339

_MAX_WAITING = 200  # at ntfy's pace of one in 5 s they are sent in a quarter of an hour
_KEPT = 100
PREFIX = "folded_"


def digest_oldest(outbox: Outbox) -> None:
    """Merge the oldest messages, and earlier digests, into one when too many wait."""
    ids, logs = outbox.ids(), outbox.logs
    if len(ids) <= _MAX_WAITING:
        return
    taken: list[tuple[Claim, Pending]] = []
    try:
        digests = [name for name in ids if name.startswith(PREFIX)]
        others = [name for name in ids if not name.startswith(PREFIX)]
        for message_id in [*digests, *others[: len(ids) - _KEPT]]:
            claim = logs.lock(message_id)
            pending = outbox.read(message_id) if claim else None
            if claim and pending and pending.final:
                taken.append((claim, pending))
            elif claim:
                logs.release(claim, keep_id=True)
        if taken:
            _replace(outbox, [pending for _, pending in taken])
    finally:
        for claim, _ in taken:
            logs.release(claim, keep_id=True)


def _replace(outbox: Outbox, old: list[Pending]) -> None:
    """Write the digest, and remove the old messages after it is on the disk."""
    counts: Counter[str] = Counter()
    for pending in old:
        counts.update(pending.message.record.get("counts") or {pending.message.record.get("status", "unknown"): 1})
    newest = max(old, key=lambda pending: pending.created_at)
    since = min(pending.message.record.get("since", rfc3339(pending.created_at)) for pending in old)
    until = rfc3339(newest.created_at)
    name = f"{PREFIX}{time.time():.0f}"
    message = digest_message(name, counts, since, until)
    outbox.write(Pending(message, time.time(), tuple(Target(target.settings) for target in newest.targets)))
    for pending in old:
        if pending.run_dir is not None:
            error = f"folded into `{name}`"
            notification: Notification = {**pending.notification(), "state": "dead", "last_error": error}
            store.set_notification(outbox.logs.path(pending.run_dir), notification)
        outbox.remove(pending.id)
