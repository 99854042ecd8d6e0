"""Send the messages that wait in the outbox."""

from __future__ import annotations

import os
import time

from runner.notify.digest import PREFIX, digest_oldest
from runner.notify.notifier import Notifier
from runner.notify.outbox import Pending
from runner.records import store
from runner.records.folder import Logs

_MAX_FAILURES = 3  # in a row: the server is down, and each try costs its time


def flush(logs: Logs, notifier: Notifier, budget: float, *, due_only: bool) -> tuple[int, int]:
    """Send what waits, oldest first; return how many were delivered and how many remain."""
    digest_oldest(notifier.outbox)
    delivered = failures = 0
    deadline = time.monotonic() + budget
    # Digests first: they are about the oldest runs.
    for message_id in sorted(notifier.outbox.ids(), key=lambda name: not name.startswith(PREFIX)):
        left = deadline - time.monotonic()
        if left <= 0 or failures >= _MAX_FAILURES:
            break
        claim = logs.lock(message_id)
        if claim is None:
            continue
        try:
            pending = notifier.outbox.read(message_id)
            if pending is None or _delivered_already(logs, pending):
                notifier.outbox.remove(message_id)
                continue
            sent = notifier.outbox.send(pending, time.time, min(left, notifier.policy.budget), due_only=due_only)
            if sent != pending:
                notifier.outbox.record_result(sent)
            state = sent.notification()["state"]
            delivered += state == "delivered"
            failures = failures + 1 if state == "pending" and _tried(pending, sent) else 0
        finally:
            if _is_open(logs, message_id):
                os.close(claim.lock)  # a lost run that could not be closed: the next runner process finds it here
            else:
                logs.release(claim, keep_id=True)
    return delivered, len(notifier.outbox.ids())


def _is_open(logs: Logs, message_id: str) -> bool:
    place = logs.place_of(message_id)
    found = store.read_metadata(logs.path(place)) if place else None
    return found is not None and found["status"] == "running"


def _delivered_already(logs: Logs, pending: Pending) -> bool:
    """Whether its sender was killed between writing so and unlinking the file."""
    found = store.read_metadata(logs.path(pending.run_dir)) if pending.run_dir else None
    state: str = found["notification"]["state"] if found else "pending"
    return state == "delivered"


def _tried(before: Pending, after: Pending) -> bool:
    return bool(before.notification()["attempts"] != after.notification()["attempts"])
