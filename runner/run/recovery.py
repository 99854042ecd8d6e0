"""Close the runs that nobody closed, because their runner was ended.

Always the same: take the run's lock without waiting (held means alive), read the record after, replay what is missing.
"""

from __future__ import annotations

import os
import select
import signal
import time
from functools import partial

from runner.notify.message import run_message
from runner.process.containment import end_leftovers
from runner.process.procfs import holders
from runner.records import metadata, store
from runner.records.evidence import line_number
from runner.records.folder import boot_id
from runner.records.summary import summary
from runner.run.closing import Closing
from runner.text import from_rfc3339, rfc3339
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from runner.notify.notifier import Notifier
    from runner.records.folder import Claim, Logs
    from runner.records.metadata import Notification, Record

# Seconds after the time by which a run should be over, its closing included.
_CONTINUE_AFTER, _END_AFTER = 30.0, 120.0
_LOOK_AGAIN = 0.1
_RELEASING = 2.0


def close_lost(logs: Logs, notifier_of: Callable[[str], Notifier]) -> list[Record]:
    """Close the runs whose runner is gone; returns the records of those that were still running.

    `notifier_of` gives the notifier for a task's name.
    """
    closed = []
    for run_id in logs.live_ids():
        claim = logs.lock(run_id, make=False) or _lock_of_stuck(logs, run_id)
        if claim is None:
            continue
        try:
            lost = _resume(logs, claim, notifier_of)
        except Exception as error:
            # Whatever is wrong with one run, it stops neither the command nor the others from being closed.
            os.close(claim.lock)
            logs.note(f"cannot close the lost run {run_id}: {error!r}", time.time())
            continue
        if lost is not None:
            closed.append(lost)
    return closed


def _lock_of_stuck(logs: Logs, run_id: str) -> Claim | None:
    """The lock of a run that should long be over, and whose two processes do not end it: an agent can stop both.

    They are continued first, which is all that a stopped one needs, and ended later: the lock is free then.
    """
    signature = logs.signed(run_id)
    late = 0.0 if signature.ends_by is None else time.monotonic() - signature.ends_by
    if late < _CONTINUE_AFTER or signature.boot != boot_id():
        return None
    stuck = holders(logs.path("live", run_id))
    select.select([], [], [], _LOOK_AGAIN)  # a command that only asks whether the run lives holds it for a moment
    stuck = [pid for pid in holders(logs.path("live", run_id)) if pid in stuck]
    number = signal.SIGKILL if late >= _END_AFTER else signal.SIGCONT
    for pid in stuck:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue
    did = "ended" if number == signal.SIGKILL else "continued"
    logs.note(f"run {run_id} is {late:.0f} s past its end: {did} its processes {stuck}", time.time())
    deadline = time.monotonic() + _RELEASING
    while (claim := logs.lock(run_id, make=False)) is None and time.monotonic() < deadline:
        select.select([], [], [], _LOOK_AGAIN)
    return claim


def close_orphan(logs: Logs, claim: Claim, notifier: Notifier, survivors: int, containment: str) -> None:
    """The same for one run, by its guardian, which holds the run's lock and has ended the run's processes."""
    if logs.holds(claim):
        _resume(logs, claim, lambda _: notifier, {"survivors": survivors, "containment": containment})


def _resume(
    logs: Logs, claim: Claim, notifier_of: Callable[[str], Notifier], facts: Mapping[str, Any] = {}
) -> Record | None:
    """Repeat what is missing of one run's closing; its record when that was still open.

    `facts` are what else is known of it.
    """
    place = logs.place_of(claim.run_id)
    found = store.read_metadata(logs.path(place)) if place else None
    if place is None or found is None:
        _forget(logs, claim, place)
        return None
    folder = logs.path(place)
    notifier = notifier_of(found["task"])
    if found["status"] != "running":
        Closing(logs, claim, folder, partial(_notify_again, notifier, folder)).resume(found)
        return None
    final = _lost(logs, folder, {**found, **facts})  # type: ignore[typeddict-item]  # keys of the record
    closing = Closing(logs, claim, folder, partial(_notify, notifier, folder))
    final = closing.close(final, {"summary.txt": summary(final, folder)})
    name = f"lost run {final['run_id']} ({final['agent']} {final['task']})"
    logs.note(f"{name}: {final['error']['message'] if final['error'] else ''}", time.time())
    return final


def _forget(logs: Logs, claim: Claim, place: str | None) -> None:
    """A claim without a record: a run that had not begun, a skip, or a message; what others wrote stays."""
    folder = logs.path(place) if place else None
    keep_id = os.path.exists(logs.path("outbox", f"{claim.run_id}.json")) or logs.has_line(claim.run_id)
    if folder is not None:
        end_leftovers(folder, logs.signed(claim.run_id).cgroup)
        if os.path.lexists(os.path.join(folder, "metadata.json")):
            keep_id = True
            logs.note(f"the record of run {claim.run_id} in `{folder}` is damaged; it was left as it is", time.time())
        elif not keep_id:
            # Nobody has heard of it, and nobody needs to; its preflight has been ended.
            import shutil  # noqa: PLC0415 - 3 ms of import, for those few

            shutil.rmtree(folder, ignore_errors=True)
    logs.release(claim, keep_id=keep_id)


def _lost(logs: Logs, folder: str, found: Record) -> Record:
    """End what is left of the run's processes, and make its final record from the last thing that is known of it."""
    signature = logs.signed(found["run_id"])
    # The guardian, whose children they were, knows better than any look at /proc.
    survivors = end_leftovers(folder, signature.cgroup) if found["survivors"] is None else found["survivors"]
    seen = _last_seen(folder, found)
    cause = "the machine was restarted" if signature.boot not in (None, boot_id()) else None
    message = f"the runner ended without closing this run; its last sign of life was at {rfc3339(seen)}"
    message += f" ({cause})" if cause else ""
    elapsed = max(0.0, seen - from_rfc3339(found["started_at"]))
    return {**metadata.lost(found, message, seen, elapsed, _last_line(folder)), "survivors": survivors}


def _last_seen(folder: str, found: Record) -> float:
    """When the run last wrote something."""
    times = [from_rfc3339(found["started_at"])]
    for name in ("transcript.log", "metadata.json"):
        try:
            times.append(os.stat(os.path.join(folder, name)).st_mtime)
        except OSError:
            continue
    return max(times)


def _last_line(folder: str) -> str | None:
    """`transcript.log:57`, the last thing that the agent printed."""
    path = os.path.join(folder, "transcript.log")
    try:
        size = os.path.getsize(path)
        return f"transcript.log:{line_number(path, size - 1)}" if size else None
    except OSError:
        return None


def _notify_again(notifier: Notifier, folder: str, found: Record) -> Notification:
    """The message of a run that was closed already, where it is not delivered yet."""
    notification = found["notification"]
    if notification["state"] == "pending":
        return _notify(notifier, folder, found)
    if notification["state"] == "delivered":
        notifier.outbox.remove(found["run_id"])
    return notification


def _notify(notifier: Notifier, folder: str, found: Record) -> Notification:
    """Send what the outbox holds of a run, brought up to its record; to the channels as they were at its start."""
    if found["notification"]["state"] == "delivered":
        return found["notification"]  # while nothing could close the run, a flush said that it did not end
    pending = notifier.outbox.read(found["run_id"])
    if pending is None or not pending.targets:
        return notifier.notify_finished(found, folder)
    message = replace(run_message(found, folder, {}), click=pending.message.click, actions=pending.message.actions)
    ready = replace(pending, message=message, final=True)
    notifier.outbox.write(ready)
    sent = notifier.outbox.send(ready, time.time, notifier.policy.budget)
    notifier.outbox.record_result(sent)
    return sent.notification()
