"""Send the messages that wait in the outbox; the oldest become one digest when too many do, so that it stays small."""

from __future__ import annotations

import os
import time
from collections import Counter

from runner.notify.message import digest_message
from runner.notify.notifier import Notifier
from runner.notify.outbox import Outbox, Pending, Target
from runner.records import store
from runner.records.folder import Claim, Logs
from runner.records.metadata import Notification, Record
from runner.text import rfc3339

_MAX_FAILURES = 3  # in a row: the server is down, and each try costs its time
_MAX_WAITING = 200  # at ntfy's pace of one in 5 s they are sent in a quarter of an hour
_KEPT = 100
_DIGEST = "folded_"


def flush(logs: Logs, notifier: Notifier, budget: float, *, due_only: bool) -> tuple[int, int]:
    """Send what waits, oldest first; return how many were delivered and how many remain."""
    outbox = notifier.outbox
    _digest_oldest(outbox)
    delivered = failures = 0
    deadline = time.monotonic() + budget
    # Digests first: they are about the oldest runs.
    for message_id in sorted(outbox.ids(), key=lambda name: not name.startswith(_DIGEST)):
        left = deadline - time.monotonic()
        if left <= 0 or failures >= _MAX_FAILURES:
            break
        claim = logs.lock(message_id)
        if claim is None:
            continue
        record = None
        try:
            pending = outbox.read(message_id)
            record = _record_of(logs, message_id)
            # The sender may have been killed between writing so and unlinking the file.
            if pending is None or (record and record["notification"]["state"] == "delivered"):
                outbox.remove(message_id)
                continue
            sent = outbox.send(pending, time.time, min(left, notifier.policy.budget), due_only=due_only)
            if sent != pending:
                outbox.record_result(sent)
            before, after = pending.notification(), sent.notification()
            delivered += after["state"] == "delivered"
            tried = after["state"] == "pending" and before["attempts"] != after["attempts"]
            failures = failures + 1 if tried else 0
        finally:
            if record is not None and record["status"] == "running":
                os.close(claim.lock)  # a lost run that could not be closed: the next runner process finds it here
            else:
                logs.release(claim, keep_id=True)
    return delivered, len(outbox.ids())


def _record_of(logs: Logs, message_id: str) -> Record | None:
    place = logs.place_of(message_id)
    return store.read_metadata(logs.path(place)) if place else None


def _digest_oldest(outbox: Outbox) -> None:
    """Merge the oldest messages, and earlier digests, into one when too many wait."""
    ids, logs = outbox.ids(), outbox.logs
    if len(ids) <= _MAX_WAITING:
        return
    taken: list[tuple[Claim, Pending]] = []
    try:
        digests = [name for name in ids if name.startswith(_DIGEST)]
        others = [name for name in ids if not name.startswith(_DIGEST)]
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
    name = f"{_DIGEST}{time.time():.0f}"
    message = digest_message(name, counts, since, rfc3339(newest.created_at))
    outbox.write(Pending(message, time.time(), tuple(Target(target.settings) for target in newest.targets)))
    for pending in old:
        if pending.run_dir is not None:
            error = f"folded into `{name}`"
            notification: Notification = {**pending.notification(), "state": "dead", "last_error": error}
            store.set_notification(outbox.logs.path(pending.run_dir), notification)
        outbox.remove(pending.id)
