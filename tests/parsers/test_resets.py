"""Announced times: every written form, as seconds since the epoch."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest

from runner.parsers.resets import DoubtfulError, announced_in, reset_of
from tests.parsing import NOON

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("epoch", "1771531200", 1_771_531_200),
        ("epoch", "1771531200000", 1_771_531_200),  # milliseconds
        ("epoch", "1771531200.5", 1_771_531_200.5),
        ("epoch", "1771502390", NOON),  # ten seconds ago: now
        ("epoch", "soon", None),
        ("seconds", "30", NOON + 30),
        ("seconds", "2.5", NOON + 2.5),
        ("seconds", "1,200", NOON + 1200),
        ("seconds", "3h8m15s", NOON + 11_295),
        ("seconds", "1h 30m", NOON + 5400),
        ("seconds", "3 days 4 hours 9 minutes", NOON + 274_140),
        ("seconds", "1 hour, 2 minutes and 3 seconds", NOON + 3723),
        ("seconds", "3 fortnights", None),
        ("seconds", "3h and more", None),
        ("seconds", "a while", None),
        ("ms", "11295743", NOON + 11_295.743),
        ("ms", "2135.426147809226", NOON + 2.135426147809226),
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
        ("clock", "8pm (PST)", at("2026-02-20T04:00:00")),
        ("clock", "8pm (pdt)", at("2026-02-20T03:00:00")),
        ("clock", "8pm PT", at("2026-02-20T04:00:00")),
        ("clock", "8pm (IST)", at("2026-02-19T14:30:00")),
        ("clock", "8pm (JST)", at("2026-02-20T11:00:00")),
        ("clock", "1pm (Etc/GMT+5)", at("2026-02-19T18:00:00")),
        ("clock", "1pm (UTC-05:30)", at("2026-02-19T18:30:00")),
        ("clock", "1pm GMT+1", at("2026-02-19T12:00:00")),
        ("clock", "11:42 p.m.", at("2026-02-19T23:42:00")),
        ("clock", "11:42 p.m. (UTC).", at("2026-02-19T23:42:00")),
        ("clock", "11:42 in the evening", None),  # the whole text or none of it
        ("clock", "3 days 4 hours 9 minutes.", NOON + 274_140),
        ("clock", "Mar 5, 3pm", at("2026-03-05T15:00:00")),
        ("clock", "Mar 5th, 2026 3:15 PM", at("2026-03-05T15:15:00")),
        ("clock", "March 5 at 15:15", at("2026-03-05T15:15:00")),
        ("clock", "Feb 23 at 4:46 PM (Europe/Berlin)", at("2026-02-23T15:46:00")),
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
    ("kind", "text", "why"),
    [
        ("epoch", "1000000000", "it has passed"),
        ("epoch", "NaN", "there is no such time"),
        ("epoch", "9" * 30, "there is no such time"),
        ("seconds", "9" * 400, "there is no such time"),
        ("seconds", "1e999", "there is no such time"),
        ("ms", "Infinity", "there is no such time"),
        ("epoch", "0", "it has passed"),
        ("epoch", "-5", "it is negative"),
        ("epoch", "1795375176", "it is more than 31 days away"),
        ("epoch", "4e18", "it is more than 31 days away"),
        ("seconds", "-3", "it is negative"),
        ("seconds", "32 days", "it is more than 31 days away"),
        ("seconds", "1e15", "it is more than 31 days away"),
        ("ms", "-1", "it is negative"),
        ("ms", "99999999999999", "it is more than 31 days away"),
        ("clock", "Jan 3, 3pm", "it is more than 31 days away"),  # the next one
        ("clock", "Feb 19, 11am", "it has passed"),
        ("clock", "Jan 3, 2026 3pm", "it has passed"),
        ("clock", "2016-02-20T08:30:00Z", "it has passed"),
        ("clock", "9999-02-20T08:30:00Z", "it is more than 31 days away"),
        ("clock", "7:19pm (Nowhere/Land)", "the time zone `Nowhere/Land` is not known here"),
        ("clock", "8pm (Mars/Base)", "the time zone `Mars/Base` is not known here"),
        ("clock", "11:42 p", "the time zone `p` is not known here"),
        ("clock", "8pm (XYZ)", "the time zone `XYZ` is not known here"),
        ("clock", "8pm (UTC+25)", "the time zone `UTC+25` is not known here"),
    ],
)
def test_what_is_not_believed(kind: str, text: str, why: str) -> None:
    with pytest.raises(DoubtfulError) as caught:
        reset_of(kind, text, NOON, UTC)

    assert str(caught.value) == why


def test_without_zones_a_named_place_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slim container: abbreviations and offsets need no data."""
    ZoneInfo.clear_cache()
    monkeypatch.setattr("zoneinfo._tzpath.TZPATH", ())
    monkeypatch.setitem(sys.modules, "tzdata", None)
    try:
        with pytest.raises(DoubtfulError, match="`America/New_York` is not known here"):
            reset_of("clock", "8pm (America/New_York)", NOON, UTC)
        assert reset_of("clock", "8pm (EST)", NOON, UTC) == at("2026-02-20T01:00:00")
        assert reset_of("clock", "8pm (Etc/GMT+5)", NOON, UTC) == at("2026-02-20T01:00:00")
    finally:
        ZoneInfo.clear_cache()


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
    announced = announced_in(groups)

    assert (reset_of(*announced, NOON, UTC) if announced else None) == expected
