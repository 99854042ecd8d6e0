"""A run's message, from the moment before the agent starts to its delivery."""

from __future__ import annotations

import json
import os
import time

from runner import files
from runner.notify.channels import cancel, send
from runner.notify.message import run_message, unended_message
from runner.notify.outbox import Outbox, Pending, Target
from runner.notify.policy import Streak, decide
from runner.reasons import reason_of
from runner.text import mask_volatile
from runner.values import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject
    from runner.notify.policy import Policy
    from runner.records.folder import Logs
    from runner.records.metadata import Notification, Record

_DELAY_LEAST, _DELAY_MOST = 10.0, 3 * 86400.0  # what the server takes
NO_CHANNEL = "no channel is configured (set RUNNER_NTFY_TOPIC)"
_DEAD_MAN_BUDGET = 2.0  # seconds before the agent starts


@dataclass(frozen=True)
class Post:
    """The messages of one project's runs, by one policy. Nothing here raises for what a server or a channel does."""

    logs: Logs
    outbox: Outbox
    policy: Policy

    def announce(self, opened: Record, folder: str, timeout: float | None) -> None:
        """Put the message that the run did not end where it survives us; on the disk before it returns."""
        targets = self.policy.everything
        if not targets:
            return
        _forget(self._skip_path(opened))
        message = unended_message(opened, folder, _settings(targets))
        self.outbox.write(Pending(message, time.time(), _targets(targets), final=False, run_dir=_run_dir(opened)))
        if self.policy.dead_man and timeout is not None:
            delay = min(max(timeout, _DELAY_LEAST), _DELAY_MOST)
            delayed = unended_message(opened, folder, _settings(targets), f"{delay:.0f}s")
            for target in self._scheduling(targets):
                send(target["kind"], target, delayed, self.outbox.environ, _DEAD_MAN_BUDGET)

    def conclude(self, final: Record, folder: str | None) -> Notification:
        """Send the message of a closed or skipped run; returns the record's `notification`. The run's lock is held."""
        before = self._streak(final)
        decision = decide(self.policy, final, before, time.time())
        self._remember(final, before.after(final))
        run_id = final["run_id"]
        if not decision.targets:
            for target in self._scheduling(self.policy.everything) if self.policy.dead_man else []:
                cancel(target["kind"], target, run_id, self.outbox.environ, _DEAD_MAN_BUDGET)
            self.outbox.remove(run_id)
            return off(None if self.policy.everything else NO_CHANNEL)
        remarks = (decision.note,) if decision.note else ()
        message = run_message(final, folder, _settings(decision.targets), remarks)
        if decision.priority is not None:
            message = replace(message, priority=decision.priority or message.priority)
        run_dir = _run_dir(final) if folder is not None else None
        pending = Pending(message, time.time(), _targets(decision.targets), run_dir=run_dir)
        try:
            self.outbox.write(pending)
        except OSError:
            pass  # on a full disk it is sent all the same
        sent = self.outbox.send(pending, time.time, self.policy.budget)
        try:
            self.outbox.settle(sent)
        except OSError as error:
            self.logs.note(
                f"cannot note what became of the message of run {run_id}: {files.reason(error)}", time.time()
            )
        return sent.notification()

    def tell_skip(self, line: Record) -> Notification:
        """The message of a skipped run, where its reason has one: once, until the reason or its text changes, or a run
        begins; numbers and passing files' names are no change.
        """
        silent = reason_of(line["reason"]).priority == 0
        message = line["error"]["message"] if line["error"] else ""
        said = {"reason": line["reason"], "message": mask_volatile(message)}
        path = self._skip_path(line)
        if silent or not self.policy.everything or _read(path) == said:
            return off()
        notification = self.conclude(line, None)
        _write(path, said)
        return notification

    def _skip_path(self, record: Record) -> str:
        return self.logs.path("state", "skips", f"{record['task']}.{record['agent']}.json")

    def _scheduling(self, targets: tuple[JsonObject, ...]) -> list[JsonObject]:
        """The channels that can deliver later, and forget it."""
        return [target for target in targets if target["kind"] == "ntfy"]

    def _streak_path(self, final: Record) -> str:
        return self.logs.path("state", "streaks", f"{final['task']}.{final['agent']}.json")

    def _streak(self, final: Record) -> Streak:
        found = _read(self._streak_path(final)) or {}
        try:
            return Streak(**found)
        except TypeError:
            return Streak()

    def _remember(self, final: Record, streak: Streak) -> None:
        if self.policy.everything:
            _write(self._streak_path(final), vars(streak))


def _read(path: str) -> JsonObject | None:
    """A small file of state; None when it is not there or damaged."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _write(path: str, data: JsonObject) -> None:
    """State that a message is better for; one that cannot be written is no error."""
    try:
        files.make_folders(os.path.dirname(path))
        files.write_json(path, data, sync=False)
    except OSError:
        pass


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def off(why: str | None = None) -> Notification:
    """The record's `notification` where no message is sent."""
    return {"state": "off", "attempts": 0, "delivered_at": None, "message_id": None, "last_error": why}


def _run_dir(final: Record) -> str:
    return os.path.join(final["task"], final["agent"], final["run_id"])


def _targets(settings: tuple[JsonObject, ...]) -> tuple[Target, ...]:
    return tuple(Target(target) for target in settings)


def _settings(targets: tuple[JsonObject, ...]) -> JsonObject:
    """The settings that shape the message itself, click and actions, of the first channel that has some."""
    return next((target for target in targets if target.get("click") or target.get("actions")), {})
