"""Messages that are not delivered yet, a file each: written before they are needed, gone when they are delivered.

A file is touched only under its run's lock. At least once: a duplicate is possible only between the server's answer and
our unlink, and it carries the same message id.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping

from runner import files
from runner.codec import from_json, to_json
from runner.errors import RunnerError
from runner.model import JsonObject
from runner.notify.channels import send as send_by
from runner.notify.channels.base import MAX_RETRY_AFTER, Failed, Message
from runner.records import store
from runner.records.folder import Logs
from runner.records.metadata import Notification
from runner.text import rfc3339
from runner.values import dataclass, field, replace

YOUNG = 600.0  # seconds in which every runner process tries a message at once; backoff counts after that
_FIRST_WAIT = 60.0
_MAX_WAIT = 3600.0
_JITTER = 0.2  # so that the runners of one machine do not all come back at once
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
_RUN_DIR = re.compile(r"[a-z0-9][a-z0-9_-]*/[a-z0-9][a-z0-9_-]*/(.*)")
_MIN_TIME = 0.2  # a try with less time than this only wears out the server


@dataclass(frozen=True)
class Target:
    """One channel of one message; `not_before` is what the server asked for, `next_at` our own backoff."""

    settings: JsonObject
    state: str = "pending"
    attempts: int = 0
    next_at: float = 0.0
    not_before: float = 0.0
    last_error: str | None = None
    delivered_at: float | None = None
    server_id: str | None = None


@dataclass(frozen=True)
class Pending:
    """A message with its targets. `final` is False while it says that its run did not end."""

    message: Message
    created_at: float
    targets: tuple[Target, ...]
    final: bool = True
    run_dir: str | None = None

    @property
    def id(self) -> str:
        return self.message.message_id

    def notification(self) -> Notification:
        """The record's `notification`."""
        states = [target.state for target in self.targets]
        last = next((target for target in reversed(self.targets) if target.last_error), None)
        delivered = [target.delivered_at for target in self.targets if target.delivered_at is not None]
        return {
            "state": next((state for state in ("pending", "dead", "delivered") if state in states), "off"),
            "attempts": sum(target.attempts for target in self.targets),
            "delivered_at": rfc3339(max(delivered)) if delivered else None,
            "message_id": next((target.server_id for target in self.targets if target.server_id), None),
            "last_error": last.last_error if last else None,
        }


@dataclass(frozen=True)
class Outbox:
    """The folder logs/outbox and its dead letters."""

    logs: Logs
    environ: Mapping[str, str] = field(default_factory=dict)

    def path(self, message_id: str) -> str:
        return self.logs.path("outbox", f"{message_id}.json")

    def dead_path(self, message_id: str) -> str:
        return self.logs.path("outbox", "dead", f"{message_id}.json")

    def ids(self) -> list[str]:
        """The pending messages, oldest first; names that none of ours has are left alone."""
        return _ids(self.logs.path("outbox"))

    def dead_ids(self) -> list[str]:
        return _ids(self.logs.path("outbox", "dead"))

    def write(self, pending: Pending) -> None:
        """Whole and on the disk before it returns. Raises OSError."""
        files.own_folder(self.logs.path("outbox"))
        files.write_json(self.path(pending.id), to_json(pending))

    def read(self, message_id: str, *, dead: bool = False) -> Pending | None:
        """None when it is gone; a damaged one is moved to the dead letters, for a person."""
        path = self.dead_path(message_id) if dead else self.path(message_id)
        try:
            found = from_json(Pending, files.read_json(path))
            run = _RUN_DIR.fullmatch(found.run_dir or f"task/agent/{message_id}")
            kinds = all(isinstance(target.settings.get("kind"), str) for target in found.targets)
            if found.id == message_id and run and run[1] == message_id and kinds:
                return found
        except FileNotFoundError:
            return None
        except (ValueError, OSError):
            pass
        if not dead:
            files.own_folder(self.logs.path("outbox", "dead"))
            os.rename(path, _free(self.dead_path(message_id)))
        return None

    def remove(self, message_id: str) -> None:
        files.unlink(self.path(message_id))

    def send(self, pending: Pending, clock: Callable[[], float], budget: float, *, due_only: bool = False) -> Pending:
        """Try the pending targets within `budget` seconds in all; the caller holds the run's lock."""
        targets = []
        left = budget
        for target in pending.targets:
            began = clock()
            due = target.state == "pending" and _is_due(target, pending, began, due_only=due_only)
            targets.append(self._try(target, pending.message, clock, left) if due and left > _MIN_TIME else target)
            left -= max(0.0, clock() - began)
        return replace(pending, targets=tuple(targets))

    def _try(self, target: Target, message: Message, clock: Callable[[], float], limit: float) -> Target:
        result = send_by(target.settings["kind"], target.settings, message, self.environ, limit)
        now, attempts = clock(), target.attempts + 1
        if isinstance(result, Failed):
            return _failed(target, result, attempts, now)
        sent = replace(target, state="delivered", attempts=attempts, last_error=None)
        return replace(sent, delivered_at=now, server_id=result.server_id)

    def record_result(self, pending: Pending) -> None:
        """Write what the last try showed to the folder and to the run's record. Raises OSError.

        Where the record cannot say that the message is sent, its file says so, and nothing is sent again.
        """
        notification = pending.notification()
        if notification["state"] == "pending":
            self.write(pending)
        noted = self.note(pending, notification)
        if notification["state"] == "dead":  # no retry will deliver it: `notify list` shows it
            files.own_folder(self.logs.path("outbox", "dead"))
            files.write_json(self.dead_path(pending.id), to_json(pending))
        if notification["state"] != "pending" and (noted or not self._keep(pending)):
            self.remove(pending.id)

    def note(self, pending: Pending, notification: Notification) -> bool:
        """Write into the run's record what became of its message; return whether that went well."""
        if pending.run_dir is None:
            return True
        try:
            self.logs.check_place(*pending.run_dir.split("/"))
            store.set_notification(self.logs.path(pending.run_dir), notification)
        except (OSError, RunnerError) as error:
            self.logs.note(f"what became of the message {pending.id} is not in the record: {error}", time.time())
            return False
        return True

    def _keep(self, pending: Pending) -> bool:
        try:
            self.write(pending)
        except OSError:
            return False
        return True


def _failed(target: Target, result: Failed, attempts: int, now: float) -> Target:
    if result.permanent:
        return replace(target, state="dead", attempts=attempts, last_error=result.error)
    import random  # noqa: PLC0415 - 5 ms of import, for failures alone

    factor = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311  # no secret
    wait = min(_MAX_WAIT, _FIRST_WAIT * 2 ** min(attempts - 1, 10)) * factor
    asked = now + result.retry_after if result.retry_after else 0.0
    return replace(target, attempts=attempts, last_error=result.error, next_at=now + wait, not_before=asked)


def _is_due(target: Target, pending: Pending, now: float, *, due_only: bool) -> bool:
    if _waits(target.not_before, now, MAX_RETRY_AFTER):
        return False
    return not due_only or is_young(pending, now) or not _waits(target.next_at, now, _MAX_WAIT * (1 + _JITTER))


def _waits(until: float, now: float, longest: float) -> bool:
    """A time further away than the longest wait was set by a wrong clock, and counts as none."""
    return now < until <= now + longest


def is_young(pending: Pending, now: float) -> bool:
    """Whether it is in the time of quick tries; a time of origin that is still to come is of a wrong clock."""
    return 0 <= now - pending.created_at <= YOUNG


def _free(path: str) -> str:
    names = (f"{path}.damaged{'' if number == 1 else number}" for number in range(1, 1000))
    return next((name for name in names if not os.path.lexists(name)), f"{path}.damaged")


def _ids(folder: str) -> list[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    ids = (name.removesuffix(".json") for name in names if name.endswith(".json"))
    return sorted(one for one in ids if _ID.fullmatch(one))
