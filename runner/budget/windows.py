"""Days, weeks and months by the machine's own calendar. Pure but for its time zone."""

from __future__ import annotations

import time

_DAYS = {"day": 1, "week": 7}


def window_of(per: str, now: float) -> tuple[float, float]:
    """When the window that holds `now` begins and ends, in seconds since the epoch; a week begins on Monday."""
    today = time.localtime(now)
    if per == "month":
        return _at(today.tm_year, today.tm_mon, 1), _at(today.tm_year, today.tm_mon + 1, 1)
    first = today.tm_mday - (today.tm_wday if per == "week" else 0)
    return _at(today.tm_year, today.tm_mon, first), _at(today.tm_year, today.tm_mon, first + _DAYS[per])


def _at(year: int, month: int, day: int) -> float:
    """Midnight of a day, which may lie beyond its month: clocks are set forward and back, so hours are not added."""
    return time.mktime((year, month, day, 0, 0, 0, 0, 0, -1))


def name_of(per: str, now: float) -> str:
    """`day 2026-11-28`, by its first day."""
    return f"{per} {time.strftime('%Y-%m-%d', time.localtime(window_of(per, now)[0]))}"
