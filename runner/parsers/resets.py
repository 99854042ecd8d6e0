"""When a limit resets: an announced delay or time as seconds since the epoch.

Relative and clock times count from `now`. What is not believable is refused, so that nobody waits for it.
`zone` is the zone of a clock time that names none; None is the machine's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from runner.parsers.scalars import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime, tzinfo
    from typing import TypeAlias

    Reading: TypeAlias = Callable[[str, float, "tzinfo | None"], "float | None"]

_YEAR_9999 = 253_402_300_799.0
_DAY = 86_400.0
_FAR = 31 * _DAY
_LATE = 60.0  # seconds by which an announced time may have passed when it is read

# Compiled at first use, by re's own cache: most runs meet no limit.
_CLOCK = r"""(?:(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?
          (?:,?\s+(?P<year>\d{4}))?(?:,\s*|\s+)(?:at\s+)?)?
        (?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2}))?)?\s*(?P<half>[ap]\.?m\b\.?)?
        (?:\s*\(?(?P<zone>[A-Za-z][\w+/:-]*)\)?)?[.\s]*"""
_ISO = r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?\s?(?:Z|UTC|[+-]\d\d:?\d\d)?)[.\s]*"
_DELAY = r"(?:in\s+)?(\d+(?:\.\d+)?\s*[a-z]+(?:(?:,?\s*and\s+|[,\s]*)\d+(?:\.\d+)?\s*[a-z]+)*)[.\s]*"
_PART = r"(\d+(?:\.\d+)?)\s*([a-z]+)"
_UNITS = {
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), _DAY),
    **dict.fromkeys(("w", "week", "weeks"), 7 * _DAY),
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_OFFSETS = {
    "UTC": 0,
    "GMT": 0,
    "Z": 0,
    "WET": 0,
    "BST": 1,
    "WEST": 1,
    "CET": 1,
    "CEST": 2,
    "EET": 2,
    "EEST": 3,
    "MSK": 3,
    "IST": 5.5,
    "SGT": 8,
    "HKT": 8,
    "AWST": 8,
    "JST": 9,
    "KST": 9,
    "AEST": 10,
    "AEDT": 11,
    "NZST": 12,
    "NZDT": 13,
    "ADT": -3,
    "AST": -4,
    "EDT": -4,
    "EST": -5,
    "CDT": -5,
    "CST": -6,
    "MDT": -6,
    "MST": -7,
    "PDT": -7,
    "PST": -8,
    "AKDT": -8,
    "AKST": -9,
    "HST": -10,
}
"""Hours that the usual abbreviations are ahead of UTC, as those mean them who announce limits."""
_PLACES = {"ET": "America/New_York", "CT": "America/Chicago", "MT": "America/Denver", "PT": "America/Los_Angeles"}
_OFFSET = r"(ETC/)?(?:UTC|GMT)([+-])(\d{1,2})(?::?(\d\d))?"


class DoubtfulError(Exception):
    """Why an announced time is not believed."""


def reset_of(kind: str, text: str, now: float, zone: tzinfo | None) -> float | None:
    """Return the time that `text` announces; None when it cannot be read.

    Raise DoubtfulError for one in the past, one more than 31 days away, and one of an unknown zone.
    """
    text = text.strip()
    if text.startswith("-") and number(text[1:]) is not None:
        raise DoubtfulError("it is negative")
    found = KINDS[kind](text, now, zone)
    if found is None and _is_number(text):
        raise DoubtfulError("there is no such time")
    if found is not None and found < now - _LATE:
        raise DoubtfulError("it has passed")
    if found is not None and found > now + _FAR:
        raise DoubtfulError("it is more than 31 days away")
    return None if found is None else max(found, now)


def _is_number(text: str) -> bool:
    """Whether it is a number, if none that can be: NaN, infinite, of thirty digits."""
    try:
        return len(text) > 2 and float(text[:400]) is not None
    except ValueError:
        return False


def announced_in(groups: Mapping[str, str | None]) -> tuple[str, str] | None:
    """Return the kind and the text of what a match's named groups announce."""
    for kind in KINDS:
        text = groups.get(kind)
        if text:
            named = groups.get("zone")
            return kind, f"{text} ({named})" if named and kind == "clock" else text
    return None


def _epoch(text: str, _now: float, _zone: tzinfo | None) -> float | None:
    found = number(text)
    if found is not None and found > _YEAR_9999 / 2:
        found /= 1000  # milliseconds
    return found


def _seconds(text: str, now: float, _zone: tzinfo | None) -> float | None:
    delay = number(text)
    return _spelled(text, now) if delay is None else now + delay


def _milliseconds(text: str, now: float, _zone: tzinfo | None) -> float | None:
    delay = number(text)
    return None if delay is None else now + delay / 1000


def _spelled(text: str, now: float) -> float | None:
    """Read `3h8m15s`, `in 3 days, 4 hours and 9 minutes`."""
    whole = re.fullmatch(_DELAY, text, re.IGNORECASE) if len(text) <= 200 else None
    if whole is None:
        return None
    parts = [(float(amount), _UNITS.get(unit.lower())) for amount, unit in re.findall(_PART, whole[1], re.IGNORECASE)]
    known = [amount * unit for amount, unit in parts if unit is not None]
    return now + sum(known) if len(known) == len(parts) else None


def _clock(text: str, now: float, zone: tzinfo | None) -> float | None:
    """Read a time of day, a date, or a delay; the whole text or none of it."""
    iso = re.fullmatch(_ISO, text)
    found = re.fullmatch(_CLOCK, text, re.VERBOSE | re.IGNORECASE)
    try:
        if iso:
            return _from_iso(iso[1], zone)
        return _next_clock(found, now, _zone_named(found["zone"], zone)) if found else _spelled(text, now)
    except (ValueError, OverflowError):  # February 30th, 25:00
        return None


KINDS: dict[str, Reading] = {"epoch": _epoch, "seconds": _seconds, "ms": _milliseconds, "clock": _clock}


def _from_iso(text: str, zone: tzinfo | None) -> float:
    from datetime import datetime  # noqa: PLC0415 - only for an announced date: off the hot path

    when = datetime.fromisoformat(re.sub(r"\s?UTC$", "Z", text))
    return (when if when.tzinfo else when.replace(tzinfo=zone)).timestamp()


def _zone_named(name: str | None, zone: tzinfo | None) -> tzinfo | None:
    """Return the zone of that name; `zone` without a name. Raise DoubtfulError for one that is not known."""
    if not name:
        return zone
    from datetime import timedelta, timezone  # noqa: PLC0415 - only for an announced clock time: off the hot path

    given = re.fullmatch(_OFFSET, name.upper())
    hours = _OFFSETS.get(name.upper())
    if given:
        ahead = int(given[3]) + int(given[4] or 0) / 60
        hours = ahead if (given[2] == "+") != bool(given[1]) else -ahead  # Etc/GMT+5 is five hours behind
    if hours is not None and abs(hours) < 24:
        return timezone(timedelta(hours=hours))
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - reads zone files: only when one is named

    try:
        return ZoneInfo(_PLACES.get(name.upper(), name))
    except (LookupError, ValueError, OSError):
        raise DoubtfulError(f"the time zone `{name[:60]}` is not known here") from None


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
    return when.timestamp()


def _hour(found: re.Match[str]) -> int:
    hour = int(found["hour"])
    if not found["half"]:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError(hour)
    return hour % 12 + (12 if found["half"][0].lower() == "p" else 0)
