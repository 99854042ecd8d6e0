"""Cron expressions, time zones, and who runs a schedule."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from runner.config.messages import quote
from runner.config.nearest import near
from runner.crontimes import ALIASES
from runner.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.paths import Path
    from runner.config.value import Config

_FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")
_SOME_DAY = datetime(2026, 1, 1)


def schedule_problems(config: Config, name: str) -> Iterator[Problem]:
    task = config.tasks[name]
    for at, schedule in enumerate(task.get("schedule") or []):
        path: Path = ("tasks", name, "schedule", at)
        yield from _cron(config, schedule["cron"], (*path, "cron"))
        if "timezone" in schedule:
            yield from _zone(config, schedule["timezone"], (*path, "timezone"))
        if "agents" not in schedule and "agents" not in task:
            hint = "add `agents` to the schedule or to the task"
            yield Problem(*config.origin(*path), "a schedule without agents", config.show(*path), hint)
    notify = task.get("notify")
    if isinstance(notify, dict):
        yield from quiet_problems(config, notify, ("tasks", name, "notify"))


def quiet_problems(config: Config, notify: dict[str, object], path: Path) -> Iterator[Problem]:
    quiet = notify.get("quiet")
    if isinstance(quiet, dict) and "timezone" in quiet:
        yield from _zone(config, quiet["timezone"], (*path, "quiet", "timezone"))


def _cron(config: Config, text: str, path: Path) -> Iterator[Problem]:
    message, column, hint = cron_fault(text)
    if message:
        yield Problem(*config.inside(path, 1, column), message, config.show(*path), hint)


def cron_fault(text: str) -> tuple[str | None, int, str | None]:
    """What is wrong with a cron expression, at which column, and what to write; None when it is right."""
    if text.startswith("@"):
        known = text in ALIASES
        return (None, 1, None) if known else (f"unknown cron word {quote(text)}", 1, near(text, ALIASES))
    fields = list(re.finditer(r"\S+", text))
    if len(fields) != len(_FIELDS):
        hint = f"in order: {', '.join(_FIELDS)}"
        return f"expected five fields, got {len(fields)} in {quote(text)}", 1, hint
    try:
        CronSim(text.upper(), _SOME_DAY)
    except CronSimError as error:
        kind = str(error).removeprefix("Bad ")
        field = fields[_FIELDS.index(kind)] if kind in _FIELDS else fields[0]
        return f"the {kind} of a cron expression cannot be {quote(field[0])}", field.start() + 1, None
    return None, 1, None


def _zone(config: Config, zone: str, path: Path) -> Iterator[Problem]:
    try:
        ZoneInfo(zone)
    except (LookupError, ValueError, OSError):
        hint = near(zone, available_timezones()) or "a name such as `Europe/Berlin`"
        yield Problem(*config.locate(*path), f"unknown time zone {quote(zone)}", config.show(*path), hint)
