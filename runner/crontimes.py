"""Cron expressions as times, by the rules of Debian's cron; heavy, so imported only where a schedule is due.

When the clocks go forward, what was to happen in the hour that is left out happens at its end, once; when they go back,
what happens at a named hour happens once, in the first of the two. Expressions whose minute or hour begins with `*` go
by real time instead: they skip the hour that is not there, and happen in both of the two.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class _MachineZone(tzinfo):
    """The machine's own time zone with its past and future changes, by the C library: TZ, else /etc/localtime."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        assert moment is not None
        local = moment.replace(tzinfo=None)
        return local.replace(tzinfo=UTC) - datetime.fromtimestamp(local.timestamp(), UTC)

    def dst(self, moment: datetime | None) -> None:  # noqa: ARG002  # nobody asks, and the class has to answer
        return None

    def tzname(self, moment: datetime | None) -> None:  # noqa: ARG002  # the same
        return None

    def fromutc(self, moment: datetime) -> datetime:
        return datetime.fromtimestamp(moment.replace(tzinfo=UTC).timestamp()).replace(tzinfo=self)


def times(cron: str, timezone: str | None, after: float) -> Iterator[float]:
    """When the expression is due after that moment, in order; ends where it is not due for fifty years."""
    zone = ZoneInfo(timezone) if timezone is not None else _MachineZone()
    for moment in CronSim(ALIASES.get(cron, cron).upper(), datetime.fromtimestamp(int(after), zone)):
        when = moment.timestamp()
        # Begun in the second of two equal hours, it names a time in the first.
        if when > after:
            yield when
