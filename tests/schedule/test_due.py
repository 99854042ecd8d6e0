"""When schedules are due, and what becomes of each due time: tables of expressions, zones, delays and clocks."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.schedule.due import (
    MAX_TIMES,
    MISFIRE_GRACE_TIME,
    Decision,
    Progress,
    Schedule,
    decide,
    is_due,
    next_times,
    schedules_of,
)

NEVER = "0 0 */20 * 1L"  # on the first or 21st, if that is the last Monday
BERLIN, NEW_YORK, LORD_HOWE = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"


def at(text: str) -> float:
    """Seconds since the epoch of a time in UTC, such as `2026-03-28 22:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def shown(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%m-%d %H:%M")


@pytest.mark.parametrize(
    ("cron", "zone", "after", "expected"),
    [
        ("30 3 * * *", "UTC", "2026-02-19 03:29", ["02-19 03:30", "02-20 03:30"]),
        ("30 3 * * *", "UTC", "2026-02-19 03:30", ["02-20 03:30", "02-21 03:30"]),
        ("30 3 * * *", "Asia/Kolkata", "2026-02-19 00:00", ["02-19 22:00", "02-20 22:00"]),
        ("*/30 * * * *", "UTC", "2026-02-19 03:29", ["02-19 03:30", "02-19 04:00"]),
        ("@daily", BERLIN, "2026-02-19 00:00", ["02-19 23:00", "02-20 23:00"]),
        ("@hourly", "UTC", "2026-02-19 00:30", ["02-19 01:00", "02-19 02:00"]),
        ("@weekly", "UTC", "2026-02-19 00:00", ["02-22 00:00", "03-01 00:00"]),
        ("@monthly", "UTC", "2026-02-19 00:00", ["03-01 00:00", "04-01 00:00"]),
        ("@yearly", "UTC", "2026-02-19 00:00", ["01-01 00:00", "01-01 00:00"]),
        ("0 9 * * mon-fri", "UTC", "2026-02-20 10:00", ["02-23 09:00", "02-24 09:00"]),
        ("0 0 L * *", "UTC", "2026-02-20 00:00", ["02-28 00:00", "03-31 00:00"]),
        # The clocks go forward: at the end of the hour that is left out, once; by real time where it begins with `*`.
        ("30 2 * * *", BERLIN, "2026-03-28 12:00", ["03-29 01:00", "03-30 00:30"]),
        ("0,30 2-3 * * *", BERLIN, "2026-03-28 12:00", ["03-29 01:00", "03-29 01:30", "03-30 00:00"]),
        ("*/30 2 * * *", BERLIN, "2026-03-28 12:00", ["03-30 00:00", "03-30 00:30"]),
        ("30 2 * * *", NEW_YORK, "2026-03-08 00:00", ["03-08 07:00", "03-09 06:30"]),
        ("15 2 * * *", LORD_HOWE, "2026-10-03 00:00", ["10-03 15:30", "10-04 15:15"]),
        # They go back: in the first of the two hours, once; in both by real time.
        ("30 2 * * *", BERLIN, "2026-10-24 12:00", ["10-25 00:30", "10-26 01:30"]),
        ("30 2 * * *", BERLIN, "2026-10-25 00:45", ["10-26 01:30", "10-27 01:30"]),
        ("30 2 * * *", BERLIN, "2026-10-25 01:15", ["10-26 01:30", "10-27 01:30"]),
        ("*/30 2 * * *", BERLIN, "2026-10-24 12:00", ["10-25 00:00", "10-25 00:30", "10-25 01:00", "10-25 01:30"]),
        ("30 * * * *", BERLIN, "2026-10-24 23:45", ["10-25 00:30", "10-25 01:30", "10-25 02:30"]),
        (NEVER, "UTC", "2026-02-19 00:00", []),
    ],
)
def test_due_times(cron: str, zone: str, after: str, expected: list[str]) -> None:
    found = next_times(Schedule("t", "t", cron, zone), at(after), max(1, len(expected)))
    assert [shown(when) for when in found] == expected


EXPRESSIONS = ["30 2 * * *", "0,30 1-3 * * *", "*/20 * * * *", "15 */6 * * *", "0 0 * * sun", "0 2 1-7 * *"]


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE, "Africa/Casablanca", "America/St_Johns"])
@pytest.mark.parametrize("cron", EXPRESSIONS)
def test_each_due_time_leads_to_the_next(cron: str, zone: str) -> None:
    """Asking again after each due time gives the same times as counting on."""
    schedule = Schedule("t", "t", cron, zone)
    counted = next_times(schedule, at("2026-01-01"), 400)
    assert [next_times(schedule, when, 1)[0] for when in counted[:-1]] == counted[1:]
    assert all(before < after for before, after in pairwise(counted))


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, LORD_HOWE])
@pytest.mark.parametrize("cron", EXPRESSIONS)
def test_the_machines_own_zone_is_as_the_named_one(cron: str, zone: str) -> None:
    code = (
        "import sys; from runner.schedule.due import *;"
        f"print(*next_times(Schedule('t', 't', {cron!r}), {at('2026-01-01')}, 300))"
    )
    environment = {**os.environ, "TZ": zone}
    said = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    named = next_times(Schedule("t", "t", cron, zone), at("2026-01-01"), 300)
    assert [float(word) for word in said.stdout.split()] == named


def test_schedules_of_the_configuration() -> None:
    tasks: dict[str, Any] = {
        "a": {"agents": ["x", "y"], "schedule": [{"cron": "@daily"}, {"cron": "0 3 * * *", "agents": ["z"]}]},
        "b": {
            "schedule": [
                {
                    "cron": "0 4 * * *",
                    "timezone": BERLIN,
                    "agents": ["x", "y"],
                    "fallback": ["y", "z"],
                    "jitter": "10m",
                    "catch_up": "once",
                    "overlap": "wait",
                }
            ]
        },
        "c": {"schedule": [{"cron": "@daily", "agents": ["x", "y"], "fallback": {"x": ["z"]}}]},
        "d": {},
    }
    found = {schedule.name: schedule for schedule in schedules_of(tasks)}
    assert list(found) == ["a", "a#2", "b", "c"]
    assert (found["a#2"].task, found["a#2"].agents, found["a"].chains) == ("a", ("z",), ("x", "y"))
    assert found["b"].chains == ("x,y,z", "y,z")
    assert (found["b"].jitter, found["b"].catch_up, found["b"].overlap) == (600.0, "once", "wait")
    assert found["c"].chains == ("x,z", "y")


# 2026-02-19 is a Thursday; the tables below count minutes from its 12:00 UTC.
NOON = at("2026-02-19 12:00")


def hourly(**more: Any) -> Schedule:
    return Schedule("t", "t", "0 * * * *", "UTC", ("a",), **more)


class Clockwork:
    """A schedule stepped at the minutes that a test names; what was decided reads `start 60`."""

    def __init__(self, schedule: Schedule, begin: float = 0) -> None:
        self.schedule = schedule
        self.state, _ = decide(schedule, None, NOON + begin * 60, alive=False)

    def at(self, minute: float, *, alive: bool = False) -> list[str]:
        self.state, decisions = decide(self.schedule, self.state, NOON + minute * 60, alive=alive)
        return [self._shown(decision) for decision in decisions]

    def _shown(self, found: Decision) -> str:
        first, last = (f"{(when - NOON) / 60:.0f}" for when in (found.first, found.last))
        return f"{found.kind} {first}" if found.count == 1 else f"{found.kind} {first}-{last} ×{found.count}"


@pytest.mark.parametrize(
    ("begin", "expected"),
    [(0.0, ["start 0"]), (0.9, ["start 0"]), (1.0, []), (59.9, []), (60.5, ["start 60"])],
)
def test_a_schedule_begins_with_the_minute_in_which_it_is_first_seen(begin: float, expected: list[str]) -> None:
    _, decisions = decide(hourly(), None, NOON + begin * 60, alive=False)
    assert [f"{decision.kind} {(decision.first - NOON) / 60:g}" for decision in decisions] == expected


def test_a_changed_expression_starts_over_and_starts_nothing_twice() -> None:
    clock = Clockwork(hourly(), -5)
    assert clock.at(0.1) == ["start 0"]
    clock.schedule = Schedule("t", "t", "*/30 * * * *", "UTC", ("a",))
    assert clock.at(0.6) == []
    assert clock.at(30) == ["start 30"]


LATE = MISFIRE_GRACE_TIME / 60 + 1


@pytest.mark.parametrize(
    ("more", "steps"),
    [
        # (minute, whether the last occurrence lives, what is decided)
        ({}, [(60, False, ["start 60"]), (61, False, []), (120.5, False, ["start 120"])]),
        ({}, [(60 + LATE - 1, False, ["start 60"])]),
        ({}, [(60 + LATE, False, ["missed 60"]), (120, False, ["start 120"])]),
        ({}, [(300, False, ["missed 60-240 ×4", "start 300"])]),
        ({}, [(310, False, ["missed 60-300 ×5"])]),
        ({}, [(60, False, ["start 60"]), (120, True, ["busy 120"]), (180, False, ["start 180"])]),
        ({"catch_up": "once"}, [(310, False, ["coalesced 60-240 ×4", "start 300"])]),
        ({"catch_up": "once"}, [(300, False, ["coalesced 60-240 ×4", "start 300"])]),
        ({"catch_up": "once"}, [(70, False, ["start 60"])]),
        ({"catch_up": "once"}, [(310, True, ["coalesced 60-240 ×4", "busy 300"])]),
        ({"overlap": "wait"}, [(60, True, ["wait 60"]), (61, True, []), (62, False, ["start 60"])]),
        ({"overlap": "wait"}, [(60, True, ["wait 60"]), (120, True, ["busy 60", "wait 120"])]),
        ({"overlap": "wait"}, [(60, True, ["wait 60"]), (120, False, ["start 60", "wait 120"])]),
        ({"overlap": "wait"}, [(60, True, ["wait 60"]), (119, False, ["start 60"]), (120, False, ["start 120"])]),
        ({"overlap": "wait"}, [(60, True, ["wait 60"]), (310, False, ["start 60", "missed 120-300 ×4"])]),
        (
            {"overlap": "wait", "catch_up": "once"},
            [(60, True, ["wait 60"]), (310, True, ["coalesced 120-240 ×3", "busy 60", "wait 300"])],
        ),
    ],
)
def test_what_becomes_of_due_times(more: dict[str, Any], steps: list[tuple[float, bool, list[str]]]) -> None:
    clock = Clockwork(hourly(**more), 1)
    for minute, alive, expected in steps:
        assert clock.at(minute, alive=alive) == expected, minute


def test_several_due_times_in_one_beat() -> None:
    """A heartbeat that comes three minutes late to a schedule of each minute."""
    each_minute = {"cron": "* * * * *", "timezone": "UTC", "agents": ("a",)}
    clock = Clockwork(Schedule("t", "t", **each_minute), 0)
    assert clock.at(3) == ["start 1", "busy 2", "busy 3"]
    clock = Clockwork(Schedule("t", "t", **each_minute, overlap="wait"), 0)
    assert clock.at(3) == ["start 1", "wait 2", "busy 2", "wait 3"]


def test_a_schedule_that_is_never_due() -> None:
    state, decisions = decide(Schedule("t", "t", NEVER, "UTC"), None, NOON, alive=False)
    assert (state.next_due, decisions) == (None, [])
    assert not is_due(state, NOON + 1e9, alive=False)


# A clock that is set back starts nothing twice, and what it makes due again was never started.
@pytest.mark.parametrize(
    ("name", "more", "steps"),
    [
        ("back by a little", {}, [(60, ["start 60"]), (59, []), (60, []), (120, ["start 120"])]),
        ("back by a day", {}, [(60, ["start 60"]), (-1380, ["start -1380"]), (-1320, ["start -1320"])]),
        (
            "back by hours",
            {},
            [(60, ["start 60"]), (120, ["start 120"]), (1, []), (60, []), (120, []), (180, ["start 180"])],
        ),
        (
            "ahead by a day, and back at once",
            {},
            [
                (60, ["start 60"]),
                (60 + 1440, ["missed 120-1440 ×23", "start 1500"]),
                (61, []),
                (120, ["start 120"]),
                (120, []),
                (180, ["start 180"]),
                (1442, ["missed 240-1380 ×20", "start 1440"]),
                (1500, []),
                (1560, ["start 1560"]),
            ],
        ),
        (
            "ahead, and back to before",
            {},
            [(60, ["start 60"]), (200, ["missed 120-180 ×2"]), (30, []), (60, []), (120, ["start 120"])],
        ),
        (
            "ahead, and half of the way back",
            {},
            [(60, ["start 60"]), (250, ["missed 120-240 ×3"]), (150, []), (180, ["start 180"]), (240, ["start 240"])],
        ),
        (
            "ahead, and back twice",
            {},
            [
                (60, ["start 60"]),
                (610, ["missed 120-600 ×9"]),
                (61, []),
                (120, ["start 120"]),
                (61, []),
                (120, []),
                (180, ["start 180"]),
            ],
        ),
        (
            "ahead twice",
            {},
            [
                (60, ["start 60"]),
                (600, ["missed 120-540 ×8", "start 600"]),
                (61, []),
                (300, ["missed 120-240 ×3", "start 300"]),
                (62, []),
                (120, ["start 120"]),
                (180, ["start 180"]),
                (240, ["start 240"]),
                (300, []),
                (360, ["start 360"]),
                (420, ["start 420"]),
                (480, ["start 480"]),
                (540, ["start 540"]),
                (600, []),
                (660, ["start 660"]),
            ],
        ),
        (
            "ahead, caught up, and back",
            {"catch_up": "once"},
            [
                (60, ["start 60"]),
                (310, ["coalesced 120-240 ×3", "start 300"]),
                (61, []),
                (120, ["start 120"]),
                (180, ["start 180"]),
                (300, ["start 240"]),
                (360, ["start 360"]),
            ],
        ),
    ],
)
def test_clocks_that_jump(name: str, more: dict[str, Any], steps: list[tuple[float, list[str]]]) -> None:
    clock = Clockwork(hourly(**more), 1)
    for minute, expected in steps:
        assert clock.at(minute) == expected, (name, minute)


def test_a_clock_that_was_ahead_when_the_schedule_was_first_seen() -> None:
    clock = Clockwork(hourly(), 1440 + 5)
    assert clock.at(5) == []
    assert clock.at(60) == ["start 60"]


def test_a_clock_that_is_wrong_by_decades_ends() -> None:
    clock = Clockwork(Schedule("t", "t", "* * * * *", "UTC", ("a",)), 0)
    far = 40 * 365 * 1440
    missed, start, *busy = clock.at(far)
    assert missed.startswith("missed 1-") and int(missed.rpartition("×")[2]) >= MAX_TIMES
    assert (start, len(busy)) == (f"start {far - 4}", 4)
    assert clock.at(1) == ["start 1"]


@given(
    jumps=st.lists(st.tuples(st.integers(-700, 700), st.integers(1, 150)), max_size=6),
    catch_up=st.sampled_from(["skip", "once"]),
    overlap=st.sampled_from(["skip", "wait"]),
    length=st.integers(0, 90),
)
@settings(max_examples=60, deadline=None)
def test_whatever_the_clock_does(jumps: list[tuple[int, int]], catch_up: str, overlap: str, length: int) -> None:
    """Jumps of hours, each followed by minutes that pass well: nothing starts twice, and nothing is lost."""
    schedule = Schedule("t", "t", "0,20 * * * *", "UTC", ("a",), catch_up=catch_up, overlap=overlap)
    state: Progress | None = None
    now, busy = NOON, 0.0
    elapsed = 0.0
    fates: list[tuple[str, float]] = []
    for jump, minutes in [(0, 60), *jumps, (0, 1440)]:
        now += jump * 60
        quiet_since = now
        for _ in range(minutes):
            now, elapsed = now + 60, elapsed + 60
            state, decisions = decide(schedule, state, now, alive=elapsed < busy)
            for found in decisions:
                fates.append((found.kind, found.first))
                busy = elapsed + length * 60 if found.kind == "start" else busy
    started = [due for kind, due in fates if kind == "start"]
    assert len(started) == len(set(started))
    decided = {due for kind, due in fates if kind in ("start", "busy", "wait")}
    # From the last jump on, what was not started before is decided in its time.
    due_now = next_times(schedule, quiet_since + MISFIRE_GRACE_TIME, 2 * 24 - 2)
    assert [due for due in due_now if due not in decided] == []


@pytest.mark.parametrize("jitter", [60.0, 600.0, 7200.0])
def test_jitter(jitter: float) -> None:
    """Always the same for a due time, spread over the time given, and never past the next due time."""
    schedule = hourly(jitter=jitter)
    state: Progress | None = None
    offsets = []
    now = NOON - 1
    for _ in range(200):
        state, _ = decide(schedule, state, now, alive=False)
        assert state.next_due is not None and state.next_start is not None
        again, _ = decide(schedule, None, state.next_due - 1, alive=False)
        assert again.next_start == state.next_start
        offsets.append(state.next_start - state.next_due)
        now = state.next_start
    span = min(jitter, 3600.0)
    assert 0 <= min(offsets) < span / 10 and span * 9 / 10 < max(offsets) < span
    other = Schedule("u", "t", "0 * * * *", "UTC", ("a",), jitter=jitter)
    state, _ = decide(schedule, None, NOON + 60, alive=False)
    elsewhere, _ = decide(other, None, NOON + 60, alive=False)
    assert state.next_start != elsewhere.next_start


def test_lateness_counts_from_the_start_that_jitter_gave() -> None:
    schedule = hourly(jitter=1800.0)
    state, _ = decide(schedule, None, NOON + 60, alive=False)
    start = state.next_start or 0.0
    assert decide(schedule, state, start - 1, alive=False)[1] == []
    assert [found.kind for found in decide(schedule, state, start + MISFIRE_GRACE_TIME, alive=False)[1]] == ["start"]
    assert [found.kind for found in decide(schedule, state, start + MISFIRE_GRACE_TIME + 1, alive=False)[1]] == [
        "missed"
    ]


def test_an_idle_step_imports_no_calendar() -> None:
    code = (
        "import sys; before = set(sys.modules); from runner.schedule.due import *;"
        "state = Progress(Schedule('t', 't', '@daily', 'UTC').fingerprint, 0.0, 100.0, 100.0);"
        "decide(Schedule('t', 't', '@daily', 'UTC'), state, 99.0, alive=False);"
        "print({'cronsim', 'zoneinfo', 'datetime'} & (set(sys.modules) - before))"
    )
    said = subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout.strip() == "set()"
