"""Pure: which channels get the message of a run, and with what priority. The `notify:` section, rendered."""

from __future__ import annotations

import time
from collections.abc import Mapping

from runner.model import JsonObject
from runner.notify.channels.settings import ESSENTIAL, kept
from runner.reasons import reason_of
from runner.records.metadata import Record
from runner.values import dataclass

_QUIET_PRIORITY = 2
_URGENT = 5  # unchanged in quiet hours


@dataclass(frozen=True)
class Quiet:
    """Hours in which messages make no sound, in a time zone; they may span midnight. Minutes of the day."""

    begin: int
    end: int
    zone: str | None


@dataclass(frozen=True)
class Policy:
    """Targets are JSON-able channel settings with their `kind`, as `settings.kept` made them."""

    targets: tuple[JsonObject, ...] = ()
    failure_targets: tuple[JsonObject, ...] = ()
    statuses: frozenset[str] | None = None
    fold_after: int | None = None
    recovery: bool = True
    quiet: Quiet | None = None
    dead_man: bool = False
    budget: float = 5.0

    @property
    def all_targets(self) -> tuple[JsonObject, ...]:
        return (*self.targets, *self.failure_targets)


def read_policy(section: JsonObject, task: JsonObject, environ: Mapping[str, str]) -> Policy:
    """The global section, overridden key by key by the task's. Raises template.TemplateError."""
    ours = task.get("notify")
    if ours is False:
        return Policy()
    merged = {**section, **(ours or {})}
    return Policy(
        targets=_targets(merged, environ),
        failure_targets=_targets(merged.get("failures") or {}, environ),
        statuses=frozenset(merged["on"]) if merged.get("on") else None,
        fold_after=merged.get("fold_after"),
        recovery=merged.get("recovery", True),
        quiet=_quiet(merged.get("quiet")),
        dead_man=bool(merged.get("dead_man", False)),
    )


def _targets(section: JsonObject, environ: Mapping[str, str]) -> tuple[JsonObject, ...]:
    found = (kept(kind, section.get(kind) or {}, environ) for kind in ESSENTIAL)
    return tuple(target for target in found if target is not None)


def _quiet(section: JsonObject | None) -> Quiet | None:
    if not section:
        return None
    ends = (section[key].split(":") for key in ("from", "to"))
    begin, end = (int(hours) * 60 + int(minutes) for hours, minutes in ends)
    return Quiet(begin, end, section.get("timezone"))


@dataclass(frozen=True)
class Streak:
    """The last runs of one agent on one task: the reason with which they fail, and how many failed so in a row."""

    reason: str | None = None
    count: int = 0

    def after(self, record: Record) -> Streak:
        if record["status"] == "success":
            return Streak()
        return Streak(record["reason"], self.count + 1 if record["reason"] == self.reason else 1)


@dataclass(frozen=True)
class Route:
    """Where a message goes; without a target none is sent. `note` is a line for its text."""

    targets: tuple[JsonObject, ...] = ()
    note: str | None = None
    priority: int | None = None


def route(policy: Policy, record: Record, before: Streak, now: float) -> Route:
    """Decide where the message of a run goes that ended as `record` says; `before` is the streak up to it."""
    failed = record["status"] != "success"
    targets = policy.all_targets if failed else policy.targets
    if not targets:
        return Route()
    recovered = before.count > 0 and not failed
    runs = f"{before.count} failed run{'s' if before.count > 1 else ''}"
    note = f"recovered after {runs} ({before.reason})" if recovered else None
    if policy.statuses is not None and record["status"] not in policy.statuses and not (recovered and policy.recovery):
        return Route()
    streak = before.after(record)
    if failed and policy.fold_after is not None:
        if streak.count > policy.fold_after:
            return Route()
        if streak.count == policy.fold_after and streak.count > 1:
            note = f"the {_ordinal(streak.count)} time in a row; more of the same will not be sent until it changes"
    return Route(targets, note, effective_priority(policy, reason_of(record["reason"], record["status"]).priority, now))


def _ordinal(number: int) -> str:
    """`3rd`."""
    last = number % 10 if number % 100 not in (11, 12, 13) else 0
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(last, 'th') }"


def effective_priority(policy: Policy, priority: int, now: float) -> int:
    """The priority, lowered in quiet hours unless it is urgent."""
    if policy.quiet is not None and priority < _URGENT and _within(policy.quiet, now):
        return min(priority, _QUIET_PRIORITY)
    return priority


def _within(quiet: Quiet, now: float) -> bool:
    if quiet.zone is None:
        local = time.localtime(now)
        minute = local.tm_hour * 60 + local.tm_min
    else:
        from datetime import datetime  # noqa: PLC0415 - zones are 6 ms of import, and few people set quiet hours
        from zoneinfo import ZoneInfo  # noqa: PLC0415 - the same

        try:
            moment = datetime.fromtimestamp(now, ZoneInfo(quiet.zone))
        except (LookupError, OSError, ValueError):
            return False  # a zone that this machine does not know: better a sound than none
        minute = moment.hour * 60 + moment.minute
    if quiet.begin <= quiet.end:
        return quiet.begin <= minute < quiet.end
    return minute >= quiet.begin or minute < quiet.end
