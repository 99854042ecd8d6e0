"""`runner cron next`: the next starts of all schedules, in local time."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from runner.commands._table import table
from runner.commands.open import open_project
from runner.config.checks import schedule_problems
from runner.errors import ConfigError
from runner.model import JsonObject
from runner.schedule import due
from runner.schedule.due import Schedule
from runner.text import json_text, rfc3339
from runner.units import format_duration


def upcoming(project: str | None, count: int, *, as_json: bool) -> int:
    """Print the next starts of all schedules together, soonest first."""
    config = open_project(project).config
    problems = [problem for task in config.tasks for problem in schedule_problems(config, task)]
    if any(problem.severity == "error" for problem in problems):
        raise ConfigError(problems)
    schedules = due.schedules_of(config.tasks)
    now = time.time()
    starts = list(islice(_merged(schedules, now, count), count))
    if as_json:
        print(json_text([_described(when, schedule) for when, schedule in starts], 2))
    elif starts:
        print(
            table(("START", "IN", "TASK", "AGENTS"), [_row(when, schedule, now) for when, schedule in starts]), end=""
        )
    elif schedules:
        print("nothing will start: no schedule has a time to come")
    else:
        print("nothing will start: no task in tasks.yaml has a `schedule`")
    return 0


def _merged(schedules: Iterable[Schedule], now: float, count: int) -> Iterable[tuple[float, Schedule]]:
    streams = ([(when, schedule) for when in due.next_times(schedule, now, count)] for schedule in schedules)
    return heapq.merge(*streams, key=lambda start: start[0])


def _described(when: float, schedule: Schedule) -> JsonObject:
    return {
        "at": rfc3339(when),
        "local": _local(when).isoformat(),
        "task": schedule.task,
        "schedule": schedule.name,
        "agents": list(schedule.agents),
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "jitter_seconds": schedule.jitter,
    }


def _row(when: float, schedule: Schedule, now: float) -> tuple[str, ...]:
    later = f" +{format_duration(schedule.jitter)}" if schedule.jitter else ""
    start = _local(when).strftime("%a %Y-%m-%d %H:%M %Z") + later
    return start, format_duration(when - now), schedule.name, " ".join(schedule.chains)


def _local(when: float) -> datetime:
    return datetime.fromtimestamp(when).astimezone()
