"""When a limit resets: an announced delay or time as seconds since the epoch.

Relative and clock times count from `now` and are never in the past; an epoch is kept as it was announced.
`zone` is the zone of a clock time that names none; None is the machine's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from runner.parsers.scalars import number
from runner.units import parse_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime, tzinfo
    from typing import TypeAlias

    Reading: TypeAlias = Callable[[str, float, "tzinfo | None"], "float | None"]

_YEAR_9999 = 253_402_300_799.0
_TEN_YEARS = 10 * 366 * 86_400.0
_DAY = 86_400.0

# Compiled at first use, by re's own cache: most runs meet no limit.
_CLOCK = r"""(?:(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?
          (?:,?\s+(?P<year>\d{4}))?(?:,\s*|\s+)(?:at\s+)?)?
        (?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2}))?)?\s*(?P<half>[ap]\.?m\b\.?)?
        (?:\s*\(?(?P<zone>[A-Za-z][\w+/-]*)\)?)?"""
_ISO = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def reset_of(kind: str, text: str, now: float, zone: tzinfo | None) -> float | None:
    """Return the time that `text` announces; None when it cannot be read."""
    return KINDS[kind](text.strip(), now, zone)


def reset_in(groups: Mapping[str, str | None], now: float, zone: tzinfo | None) -> float | None:
    """Return the time that a match's named groups announce."""
    for kind in KINDS:
        text = groups.get(kind)
        if text:
            named = groups.get("zone")
            return reset_of(kind, f"{text} ({named})" if named and kind == "clock" else text, now, zone)
    return None


def _epoch(text: str, _now: float, _zone: tzinfo | None) -> float | None:
    found = number(text)
    if found is not None and found > _YEAR_9999 / 2:
        found /= 1000  # milliseconds
    return found if found is not None and 0 < found < _YEAR_9999 else None


def _seconds(text: str, now: float, _zone: tzinfo | None) -> float | None:
    try:
        delay = parse_duration(text.replace(",", ""))  # also `3h8m15s`
    except ValueError:
        return None
    return now + delay if delay is not None and 0 <= delay < _TEN_YEARS else None


def _milliseconds(text: str, now: float, _zone: tzinfo | None) -> float | None:
    delay = number(text)
    return now + delay / 1000 if delay is not None and 0 <= delay / 1000 < _TEN_YEARS else None


def _clock(text: str, now: float, zone: tzinfo | None) -> float | None:
    iso = re.match(_ISO, text)
    found = re.match(_CLOCK, text, re.VERBOSE | re.IGNORECASE)
    try:
        if iso:
            return max(_from_iso(iso[0], zone), now)
        return _next_clock(found, now, _zone_named(found["zone"], zone)) if found else None
    except (ValueError, OverflowError):  # February 30th, 25:00
        return None


KINDS: dict[str, Reading] = {"epoch": _epoch, "seconds": _seconds, "ms": _milliseconds, "clock": _clock}


def _from_iso(text: str, zone: tzinfo | None) -> float:
    from datetime import datetime  # noqa: PLC0415 - only for an announced date: off the hot path

    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=zone)).timestamp()


def _zone_named(name: str | None, zone: tzinfo | None) -> tzinfo | None:
    """Return the zone of that name; `zone` when there is none."""
    if not name:
        return zone
    from datetime import UTC  # noqa: PLC0415 - only for an announced clock time: off the hot path

    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - reads zone files: only when one is named

    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return zone


def _next_clock(found: re.Match[str], now: float, zone: tzinfo | None) -> float | None:
    if not found["half"] and not found["minute"]:
        return None  # a bare number is not a time of day
    from datetime import datetime, timedelta  # noqa: PLC0415 - only for an announced clock time: off the hot path

    today = datetime.fromtimestamp(now, zone)
    when = today.replace(hour=_hour(found), minute=int(found["minute"] or 0), second=int(found["second"] or 0))
    when = when.replace(microsecond=0)
    if found["month"]:
        return _dated(when, found, now)
    if now - when.timestamp() >= 60:  # the minute that is printed may be the one that runs
        when += timedelta(days=1)
    return max(when.timestamp(), now)


def _dated(when: datetime, found: re.Match[str], now: float) -> float:
    when = when.replace(month=_MONTHS.index(found["month"].lower()) + 1, day=int(found["day"]))
    if found["year"]:
        when = when.replace(year=int(found["year"]))
    elif now - when.timestamp() > _DAY:
        when = when.replace(year=when.year + 1)
    return max(when.timestamp(), now)


def _hour(found: re.Match[str]) -> int:
    hour = int(found["hour"])
    if not found["half"]:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError(hour)
    return hour % 12 + (12 if found["half"][0].lower() == "p" else 0)
