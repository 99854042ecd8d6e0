"""Announced times: every written form, as seconds since the epoch."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest

from runner.parsers.resets import reset_in, reset_of
from tests.parsing import NOON

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("epoch", "1795375176", 1_795_375_176),
        ("epoch", "1795375176000", 1_795_375_176),  # milliseconds
        ("epoch", "1795375176.5", 1_795_375_176.5),
        ("epoch", "1000000000", 1_000_000_000),  # a fact, also when it is past
        ("epoch", "soon", None),
        ("epoch", "-5", None),
        ("epoch", "9" * 30, None),
        ("seconds", "30", NOON + 30),
        ("seconds", "2.5", NOON + 2.5),
        ("seconds", "1,200", NOON + 1200),
        ("seconds", "3h8m15s", NOON + 11_295),
        ("seconds", "1h 30m", NOON + 5400),
        ("seconds", "-3", None),
        ("seconds", "a while", None),
        ("seconds", "9" * 400, None),
        ("ms", "11295743", NOON + 11_295.743),
        ("ms", "2135.426147809226", NOON + 2.135426147809226),
        ("ms", "NaN", None),
        ("clock", "7:19pm", at("2026-02-19T19:19:00")),
        ("clock", "3pm", at("2026-02-19T15:00:00")),
        ("clock", "3PM", at("2026-02-19T15:00:00")),
        ("clock", "7:10 PM", at("2026-02-19T19:10:00")),
        ("clock", "7:10 p.m.", at("2026-02-19T19:10:00")),
        ("clock", "19:10", at("2026-02-19T19:10:00")),
        ("clock", "19:10:30", at("2026-02-19T19:10:30")),
        ("clock", "12am", at("2026-02-20T00:00:00")),
        ("clock", "12pm", NOON),
        ("clock", "11:00", at("2026-02-20T11:00:00")),  # over midnight
        ("clock", "11:59am", at("2026-02-20T11:59:00")),
        ("clock", "7:19pm (UTC)", at("2026-02-19T19:19:00")),
        ("clock", "7:19pm (Europe/Berlin)", at("2026-02-19T18:19:00")),
        ("clock", "8am (America/New_York)", at("2026-02-19T13:00:00")),
        ("clock", "7:19pm (Nowhere/Land)", at("2026-02-19T19:19:00")),
        ("clock", "7:19pm (../../etc/passwd)", at("2026-02-19T19:19:00")),
        ("clock", "Mar 5, 3pm", at("2026-03-05T15:00:00")),
        ("clock", "Mar 5th, 2026 3:15 PM", at("2026-03-05T15:15:00")),
        ("clock", "March 5 at 15:15", at("2026-03-05T15:15:00")),
        ("clock", "Feb 23 at 4:46 PM (Europe/Berlin)", at("2026-02-23T15:46:00")),
        ("clock", "Jan 3, 3pm", at("2027-01-03T15:00:00")),  # the next one
        ("clock", "Feb 19, 11am", NOON),  # just past: now
        ("clock", "Jan 3, 2026 3pm", NOON),  # never in the past
        ("clock", "Feb 30, 3pm", None),
        ("clock", "2026-02-20T08:30:00Z", at("2026-02-20T08:30:00")),
        ("clock", "2026-02-20 08:30:00+01:00", at("2026-02-20T07:30:00")),
        ("clock", "25:10", None),
        ("clock", "13pm", None),
        ("clock", "7", None),
        ("clock", "later today", None),
        ("clock", "", None),
    ],
)
def test_reset(kind: str, text: str, expected: float | None) -> None:
    found = reset_of(kind, text, NOON, UTC)

    assert found == (None if expected is None else pytest.approx(expected, abs=1e-6))


@pytest.mark.parametrize(
    ("now", "text", "zone", "expected"),
    [
        ("2026-02-19T19:19:40", "7:19pm", UTC, "2026-02-19T19:19:40"),  # the minute that runs: now, not tomorrow
        ("2026-02-19T19:20:00", "7:19pm", UTC, "2026-02-20T19:19:00"),
        ("2026-02-19T23:59:59", "0:00", UTC, "2026-02-20T00:00:00"),
        ("2026-12-31T23:00:00", "1am", UTC, "2027-01-01T01:00:00"),
        ("2026-02-19T12:00:00", "12:59pm", BERLIN, "2026-02-20T11:59:00"),
        ("2026-02-19T12:00:00", "1:30pm", BERLIN, "2026-02-19T12:30:00"),
        ("2026-03-28T22:00:00", "6am", BERLIN, "2026-03-29T04:00:00"),  # the clocks go forward in between
        ("2026-10-24T22:00:00", "6am", BERLIN, "2026-10-25T05:00:00"),  # and back
        ("2026-12-30T12:00:00", "Jan 2, 3pm", UTC, "2027-01-02T15:00:00"),
    ],
)
def test_clock_times_roll_over(now: str, text: str, zone: tzinfo, expected: str) -> None:
    assert reset_of("clock", text, at(now), zone) == at(expected)


def test_the_machines_zone_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert reset_of("clock", "10pm", NOON, None) == at("2026-02-19T13:00:00")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert os.environ.get("TZ") == before


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({"seconds": "5", "clock": None}, NOON + 5),
        ({"ms": "5000"}, NOON + 5),
        ({"clock": "7:19pm", "zone": "Europe/Berlin"}, at("2026-02-19T18:19:00")),
        ({"clock": "7:19pm", "zone": None}, at("2026-02-19T19:19:00")),
        ({"zone": "UTC"}, None),
        ({"value": "7"}, None),
        ({}, None),
    ],
)
def test_named_groups(groups: dict[str, str | None], expected: float | None) -> None:
    assert reset_in(groups, NOON, UTC) == expected
