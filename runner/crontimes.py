"""Cron expressions as times, by the rules of Debian's cron; heavy, so imported only where a schedule is due.

When the clocks go forward, times in the skipped hour become one time at its end; when they go back, a named hour counts
once, in the first of the two. Expressions whose minute or hour begins with `*` follow real time instead: they skip the
missing hour, and count in both of the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_FIELDS = 5  # CronSim takes a sixth, seconds, in front
ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class BadScheduleError(Exception):
    """The expression or the zone cannot be read; `config.checks.schedule_problems` says why, and where."""


class _MachineZone(tzinfo):
    """The machine's own time zone with its past and future changes, by the C library: TZ, else /etc/localtime."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        assert moment is not None
        local = moment.replace(tzinfo=None)
        return local.replace(tzinfo=UTC) - datetime.fromtimestamp(local.timestamp(), UTC)

    def dst(self, moment: datetime | None) -> None:  # noqa: ARG002  # not used, but tzinfo requires it
        return None

    def tzname(self, moment: datetime | None) -> None:  # noqa: ARG002  # the same
        return None

    def fromutc(self, moment: datetime) -> datetime:
        return datetime.fromtimestamp(moment.replace(tzinfo=UTC).timestamp()).replace(tzinfo=self)


def times(cron: str, timezone: str | None, after: float) -> Iterator[float]:
    """When the expression is due after that moment, in order; ends where it is not due for fifty years.

    Raises BadScheduleError.
    """
    fields = ALIASES.get(cron, cron).upper()
    try:
        zone = ZoneInfo(timezone) if timezone is not None else _MachineZone()
        moments = CronSim(fields, datetime.fromtimestamp(int(after), zone))
    except (LookupError, OSError, ValueError, CronSimError) as error:
        raise BadScheduleError(str(error)) from None
    if len(fields.split()) != _FIELDS:
        raise BadScheduleError(cron)
    for moment in moments:
        when = moment.timestamp()
        # When it begins in the second of two equal hours, the first result can lie in the first of them.
        if when > after:
            yield when
