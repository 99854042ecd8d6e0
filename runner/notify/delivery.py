"""Send the messages that wait in the outbox; the oldest become one digest when too many do, so that it stays small."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from runner.notify.message import digest_message
from runner.notify.notifier import Notifier
from runner.notify.outbox import Outbox, Pending, Target
from runner.records import store
from runner.records.folder import Claim, Logs
from runner.records.metadata import Notification, Record
from runner.text import rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    Value = TypeVar("Value")

_MAX_FAILURES = 3  # in a row: the server is down, and each try costs its time
_MAX_WAITING = 200  # at ntfy's pace of one in 5 s they are sent in a quarter of an hour
_KEPT = 100
_DIGEST = "folded_"


def flush(notifier: Notifier, budget: float, *, due_only: bool) -> tuple[int, int]:
    """Send what waits, oldest first; return how many were delivered and how many remain.

    What is wrong with one message is noted in the runner's log, and stops no other.
    """
    outbox = notifier.outbox
    _guarded(outbox, "the oldest messages", lambda: _digest_oldest(outbox))
    delivered = failures = 0
    deadline = time.monotonic() + budget
    # Digests first: they are about the oldest runs.
    for message_id in sorted(outbox.ids(), key=lambda name: not name.startswith(_DIGEST)):
        left = deadline - time.monotonic()
        if left <= 0 or failures >= _MAX_FAILURES:
            break
        sent = _guarded(
            outbox,
            f"the message {message_id}",
            partial(_flush_one, outbox, message_id, min(left, notifier.policy.budget), due_only=due_only),
        )
        delivered += sent == "delivered"
        failures = failures + 1 if sent == "pending" else 0
    return delivered, len(outbox.ids())


def _guarded(outbox: Outbox, what: str, work: Callable[[], Value]) -> Value | None:
    try:
        return work()
    except Exception as error:
        outbox.logs.note(f"cannot look after {what}: {error!r}", time.time())
        return None


def _flush_one(outbox: Outbox, message_id: str, budget: float, *, due_only: bool) -> str | None:
    """Return the state of a message that was tried; None for one that was not."""
    logs = outbox.logs
    claim = logs.lock(message_id)
    if claim is None:
        return None
    record = None
    try:
        pending = outbox.read(message_id)
        record = _record_of(logs, message_id)
        # The sender may have been killed between writing so and unlinking the file.
        if pending is None or (record and record["notification"]["state"] == "delivered"):
            outbox.remove(message_id)
            return None
        sent = outbox.send(pending, time.time, budget, due_only=due_only)
        after = sent.notification()
        if sent != pending or after["state"] != "pending":
            outbox.record_result(sent)
        return after["state"] if after["attempts"] != pending.notification()["attempts"] else None
    finally:
        if record is not None and record["status"] == "running":
            os.close(claim.lock)  # a lost run that could not be closed: the next runner process finds it here
        else:
            logs.release(claim, keep_id=True)


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
            if claim and pending and pending.final and pending.notification()["state"] == "pending":
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
        folded: Notification = {**pending.notification(), "state": "dead", "last_error": f"folded into `{name}`"}
        outbox.note(pending, folded)
        outbox.remove(pending.id)
