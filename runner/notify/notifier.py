"""The message of a run, from the moment before the agent starts to its delivery."""

from __future__ import annotations

import os
import time

from runner import files
from runner.codec import DecodeError, from_json, to_json
from runner.model import JsonObject
from runner.notify.channels import cancel, send
from runner.notify.message import run_message, unfinished_message
from runner.notify.outbox import Outbox, Pending, Target
from runner.notify.policy import Policy, Streak, route
from runner.reasons import reason_of
from runner.records.folder import Logs
from runner.records.metadata import Notification, Record
from runner.text import mask_volatile
from runner.values import dataclass, replace

_MIN_DELAY, _MAX_DELAY = 10.0, 3 * 86400.0  # what the server takes
NO_CHANNEL = "no channel is configured (set RUNNER_NTFY_TOPIC)"
_DEAD_MAN_BUDGET = 2.0  # seconds before the agent starts


@dataclass(frozen=True)
class Notifier:
    """Sends the messages of one project's runs by one policy. Never raises for what a server or a channel does."""

    logs: Logs
    outbox: Outbox
    policy: Policy

    def queue_lost(self, opened: Record, folder: str, timeout: float | None) -> None:
        """Write the message that the run did not end, for the case that this process is killed. Raises OSError."""
        targets = self.policy.all_targets
        if not targets:
            return
        try:
            files.unlink(self._skip_path(opened))
        except OSError:
            pass
        message = unfinished_message(opened, folder, shaping(targets))
        self.outbox.write(Pending(message, time.time(), _targets(targets), final=False, run_dir=_run_dir(opened)))
        if timeout is not None:
            delay = min(max(timeout, _MIN_DELAY), _MAX_DELAY)
            delayed = unfinished_message(opened, folder, shaping(targets), f"{delay:.0f}s")
            for target in self._dead_man_targets():
                send(target["kind"], target, delayed, self.outbox.environ, _DEAD_MAN_BUDGET)

    def notify_finished(self, final: Record, folder: str | None) -> Notification:
        """Send the message of a closed or skipped run; return the record's `notification`. The run's lock is held."""
        pending = self._queue(final, folder)
        return off(None if self.policy.all_targets else NO_CHANNEL) if pending is None else self._send(pending)

    def notify_skipped(self, line: Record) -> Notification:
        """Send the message of a skipped run, where its reason has one, once until a run begins or the skip changes.

        Numbers and the names of temporary files do not count as a change.
        """
        silent = reason_of(line["reason"], line.get("status")).priority == 0
        message = line["error"]["message"] if line["error"] else ""
        skip = {"reason": line["reason"] or "", "message": mask_volatile(message)}
        retry_at = line["error"].get("retry_at") if line["error"] else None
        if retry_at:
            skip["retry_at"] = retry_at  # of the next window it is told again
        path = self._skip_path(line)
        if silent or not self.policy.all_targets or _read(path) == skip:
            return off()
        pending = self._queue(line, None)
        # Before it is sent: whatever goes wrong afterwards, it is not sent again.
        _write(path, skip)
        return off() if pending is None else self._send(pending)

    def _queue(self, final: Record, folder: str | None) -> Pending | None:
        """Write the message of a run to the outbox; None where none is to be sent."""
        path = self.logs.path("state", "streaks", f"{final['task']}.{final['agent']}.json")
        before = _read_streak(path)
        found = route(self.policy, final, before, time.time())
        if self.policy.all_targets:
            _write(path, to_json(before.after(final)))
        if not found.targets:
            for target in self._dead_man_targets():
                cancel(target["kind"], target, final["run_id"], self.outbox.environ, _DEAD_MAN_BUDGET)
            self.outbox.remove(final["run_id"])
            return None
        message = run_message(final, folder, shaping(found.targets), (found.note,) if found.note else ())
        message = replace(message, priority=found.priority or message.priority)
        run_dir = _run_dir(final) if folder is not None else None
        pending = Pending(message, time.time(), _targets(found.targets), run_dir=run_dir)
        try:
            self.outbox.write(pending)
        except OSError:
            pass  # on a full disk it is sent all the same
        return pending

    def _send(self, pending: Pending) -> Notification:
        sent = self.outbox.send(pending, time.time, self.policy.budget)
        try:
            self.outbox.record_result(sent)
        except OSError as error:
            what = f"cannot note what became of the message of run {pending.id}"
            self.logs.note(f"{what}: {files.reason(error)}", time.time())
        return sent.notification()

    def _skip_path(self, record: Record) -> str:
        return self.logs.path("state", "skips", f"{record['task']}.{record['agent']}.json")

    def _dead_man_targets(self) -> list[JsonObject]:
        """The channels that can deliver later, and cancel that, where this is asked for."""
        return [target for target in self.policy.all_targets if self.policy.dead_man and target["kind"] == "ntfy"]


def _read(path: str) -> JsonObject | None:
    try:
        found: JsonObject = files.read_json(path)
    except (OSError, ValueError):
        return None
    return found


def _read_streak(path: str) -> Streak:
    try:
        return from_json(Streak, _read(path))
    except DecodeError:
        return Streak()


def _write(path: str, state: JsonObject) -> None:
    """Keep what improves later messages; a failure is ignored."""
    try:
        files.own_folder(os.path.dirname(path))
        files.write_json(path, state, sync=False)
    except OSError:
        pass


def off(why: str | None = None) -> Notification:
    """The record's `notification` where no message is sent."""
    return {"state": "off", "attempts": 0, "delivered_at": None, "message_id": None, "last_error": why}


def _run_dir(final: Record) -> str:
    return os.path.join(final["task"], final["agent"], final["run_id"])


def _targets(settings: tuple[JsonObject, ...]) -> tuple[Target, ...]:
    return tuple(Target(target) for target in settings)


def shaping(targets: tuple[JsonObject, ...]) -> JsonObject:
    """The settings that shape the message itself, click and actions, of the first channel that has some."""
    return next((target for target in targets if target.get("click") or target.get("actions")), {})
