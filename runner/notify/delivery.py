"""Send the messages that wait in the outbox."""

from __future__ import annotations

import os
import time

from runner.notify.digest import PREFIX, fold_oldest
from runner.records import store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.notify.notifier import Post
    from runner.notify.outbox import Pending
    from runner.records.folder import Logs

_STOP_AFTER = 3  # failures in a row: the server is down, and each try costs its time


def flush(logs: Logs, post: Post, budget: float, *, due_only: bool) -> tuple[int, int]:
    """Send what waits, oldest first; returns how many were delivered and how many remain."""
    fold_oldest(logs, post.outbox)
    delivered = failures = 0
    deadline = time.monotonic() + budget
    # Summaries first: they are about the oldest runs.
    for message_id in sorted(post.outbox.ids(), key=lambda name: not name.startswith(PREFIX)):
        left = deadline - time.monotonic()
        if left <= 0 or failures >= _STOP_AFTER:
            break
        claim = logs.lock(message_id)
        if claim is None:
            continue
        try:
            pending = post.outbox.read(message_id)
            if pending is None or _delivered_already(logs, pending):
                post.outbox.remove(message_id)
                continue
            sent = post.outbox.send(pending, time.time, min(left, post.policy.budget), due_only=due_only)
            if sent != pending:
                post.outbox.settle(sent)
            state = sent.notification()["state"]
            delivered += state == "delivered"
            failures = failures + 1 if state == "pending" and _tried(pending, sent) else 0
        finally:
            if _is_open(logs, message_id):
                os.close(claim.lock)  # a lost run that could not be closed: whoever comes next finds it here
            else:
                logs.release(claim, keep_id=True)
    return delivered, len(post.outbox.ids())


def _is_open(logs: Logs, message_id: str) -> bool:
    place = logs.place_of(message_id)
    found = store.read_metadata(logs.path(place)) if place else None
    return found is not None and found["status"] == "running"


def _delivered_already(logs: Logs, pending: Pending) -> bool:
    """Whoever sent it was ended between writing so and unlinking the file."""
    found = store.read_metadata(logs.path(pending.run_dir)) if pending.run_dir else None
    state: str = found["notification"]["state"] if found else "pending"
    return state == "delivered"


def _tried(before: Pending, after: Pending) -> bool:
    return bool(before.notification()["attempts"] != after.notification()["attempts"])
