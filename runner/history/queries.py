"""Questions about runs: lists, single runs by what people call them, statistics."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence

from runner.errors import UsageError, did_you_mean, nearest
from runner.history import tables
from runner.history.index import Index
from runner.history.tables import ALL_DAYS, BEGUN, SUMS, Entry
from runner.records import store
from runner.records.folder import Logs
from runner.records.metadata import Record
from runner.text import one_line
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runner.model import JsonObject

_SELECT = f"SELECT {', '.join(tables.COLUMNS)} FROM runs"  # noqa: S608  # our own names
_CLOCK_SLACK = 86400.0  # seconds
_HINTED = 5  # ids in a hint
_RECENT = 200  # runs among which a mistyped id is searched
_EQUAL = ("agent", "task", "status", "reason")


@dataclass(frozen=True)
class Filter:
    """Which runs; times are seconds since the epoch."""

    agent: str | None = None
    task: str | None = None
    status: str | None = None
    reason: str | None = None
    since: float | None = None
    until: float | None = None
    limit: int | None = None


@dataclass(frozen=True)
class FoundRun:
    """A run by its id; `folder` is None for a skipped run."""

    run_id: str
    folder: str | None


def run_id_at(when: float) -> str:
    """The id of a run that starts at this time."""
    return time.strftime("%Y%m%d_%H%M%S", time.gmtime(when))


def entries(index: Index, wanted: Filter) -> list[Entry]:
    """Closed and skipped runs, newest first."""
    parts, values = [], []
    for name in _EQUAL:
        value = getattr(wanted, name)
        if value is not None:
            parts.append(f"{name} = ?")
            values.append(value)
    if wanted.status not in (None, "success"):
        parts.append("status <> 'success'")  # so that the index of what went wrong fits
    if wanted.since is not None:
        parts.append("run_id >= ?")
        values.append(run_id_at(wanted.since))
    if wanted.until is not None:
        parts.append("run_id <= ?")
        values.append(run_id_at(wanted.until))
    where = f" WHERE {' AND '.join(parts)}" if parts else ""
    limit = "" if wanted.limit is None else f" LIMIT {wanted.limit:d}"
    sql = f"{_SELECT}{where} ORDER BY run_id DESC{limit}"
    return index.answer(lambda: [tables.entry_of(row) for row in index.rows(sql, values)])


def running(logs: Logs) -> Iterator[Record]:
    """The records of live runs, and of those whose runner was killed, newest first."""
    for run_id in reversed(logs.live_ids()):
        place = logs.place_of(run_id)
        found = store.read_metadata(logs.path(place)) if place else None
        if found is not None and found.get("status") == "running":
            yield found


def entry_of_live(record: Record) -> Entry:
    keys = (
        "run_id agent task status reason exit_code model session_id started_at ended_at elapsed_seconds trigger usage "
        "cost_usd tool_calls error attempt previous_run"
    )
    entry: Any = {**{key: record.get(key) for key in keys.split()}, "commits": None}
    typed: Entry = entry
    return typed


def find(logs: Logs, name: str) -> FoundRun:
    """Find the run that `name` means: an id, the beginning of one, `last`, `last:AGENT/TASK`. Raises UsageError."""
    place = logs.place_of(name) if "/" not in name else None
    if place is not None and store.read_metadata(logs.path(place)) is not None:
        return FoundRun(name, logs.path(place))
    run_id = _last(logs, name) if name.partition(":")[0] == "last" else _by_beginning(logs, name)
    place = logs.place_of(run_id)
    folder = logs.path(place) if place else None
    return FoundRun(run_id, folder if folder is not None and store.read_metadata(folder) is not None else None)


def find_living(logs: Logs, name: str) -> FoundRun:
    """The same among the runs that live. Raises UsageError."""
    living = [run_id for run_id in logs.live_ids() if logs.place_of(run_id)]
    word, _, pair = name.partition(":")
    fitting = _living(logs, pair)[-1:] if word == "last" else [one for one in living if name and one.startswith(name)]
    if len(fitting) > 1 and name not in fitting:
        raise UsageError(f"several runs that live begin with `{name}`", hint=_some(fitting))
    place = logs.place_of(name if name in fitting else fitting[0]) if fitting else None
    if place is None:
        hint = did_you_mean(name, living) or ("`runner ps` lists the runs that live" if living else "no run lives")
        raise UsageError(f"no run `{one_line(name, 60)}` lives", hint=hint)
    return FoundRun(os.path.basename(place), logs.path(place))


def entry(index: Index, run_id: str) -> Entry | None:
    sql = f"{_SELECT} WHERE run_id = ?"
    return index.answer(lambda: next((tables.entry_of(row) for row in index.rows(sql, (run_id,))), None))


def _living(logs: Logs, pair: str) -> list[str]:
    """The ids of the runs that live, of AGENT/TASK or of all, oldest first."""
    agent, _, task = pair.partition("/")
    fits = [found for found in running(logs) if agent in ("", found["agent"]) and task in ("", found["task"])]
    return sorted(found["run_id"] for found in fits)


def _last(logs: Logs, name: str) -> str:
    _, colon, pair = name.partition(":")
    agent, _, task = pair.partition("/")
    parts = [f"{key} = ?" for key, value in (("agent", agent), ("task", task)) if value]
    where = " AND ".join([f"status {BEGUN}", *parts])
    # A run that a wrong clock put into the future is not the last one, as long as there is another.
    tomorrow = run_id_at(time.time() + _CLOCK_SLACK)
    index, values = Index(logs), [value for value in (agent, task) if value]
    newest = f"SELECT run_id FROM runs WHERE {where} {{}} ORDER BY run_id DESC LIMIT 1"  # noqa: S608  # values are bound
    # Two queries, because an index serves each; one for both would look at every run.
    closed = index.texts(newest.format("AND run_id <= ?"), [*values, tomorrow])
    closed = closed or index.texts(newest.format(""), values)
    found: list[str] = _living(logs, pair) + closed
    if not found:
        of = f" of `{pair}`" if colon else ""
        raise UsageError(f"there is no run{of} yet", hint="`runner runs` lists the runs that there are")
    return max(found, key=lambda run_id: (run_id <= tomorrow, run_id))


def _by_beginning(logs: Logs, name: str) -> str:
    live = [run_id for run_id in logs.live_ids() if run_id.startswith(name)]
    index = Index(logs)
    sql = "SELECT run_id FROM runs WHERE run_id BETWEEN ? AND ? || '~' ORDER BY run_id DESC LIMIT ?"
    fitting: list[str] = sorted({*live, *index.texts(sql, (name, name, _HINTED + 1))})
    if name in fitting:
        return name
    if len(fitting) == 1 and name:
        return fitting[0]
    if fitting and name:
        raise UsageError(f"several runs begin with `{name}`", hint=_some(fitting))
    near = _similar_ids(index, name)
    raise UsageError(f"there is no run `{name}`", hint=f"the nearest: {', '.join(near)}" if near else "`runner runs`")


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_HINTED]) + (", …" if len(ids) > _HINTED else "")


def _similar_ids(index: Index, name: str) -> list[str]:
    """The ids next to it in time, and the most similar one among the newest."""
    before = index.texts("SELECT run_id FROM runs WHERE run_id < ? ORDER BY run_id DESC LIMIT 2", (name,))
    after = index.texts("SELECT run_id FROM runs WHERE run_id > ? ORDER BY run_id LIMIT 2", (name,))
    recent = index.texts("SELECT run_id FROM runs ORDER BY run_id DESC LIMIT ?", (_RECENT,))
    like = nearest(name[:64], recent)
    return sorted({*before, *after} | ({like} if like else set()))


_TOTALS = "SELECT * FROM cells WHERE kind = ? AND day"


def statistics(index: Index, by: str, since: float | None, last: int | None = None) -> list[JsonObject]:
    """Add up runs by agent, task, model or day, with the number of runs of each day, or of the `last` days."""
    return index.answer(lambda: _statistics(index, by, since, last))


def _statistics(index: Index, by: str, since: float | None, last: int | None) -> list[JsonObject]:
    source, values = (f"{_TOTALS} = ?", [by, ALL_DAYS]) if since is None else _totals_since(by, since)
    sums = ", ".join(f"sum({name})" for name in SUMS)
    groups = index.rows(f"SELECT name, {sums} FROM ({source}) GROUP BY name", values)  # noqa: S608  # our own names
    days = {} if by == "day" else _days(index, by, since, last)
    return [_statistic(by, row, *_quantiles(index, by, row[0], since, row[-1]), days.get(row[0], {})) for row in groups]


def _days(index: Index, by: str, since: float | None, last: int | None) -> dict[str | None, dict[str, int]]:
    sql = "SELECT DISTINCT day FROM cells WHERE kind = 'day' AND day > ? ORDER BY day DESC LIMIT ?"
    first = min(index.rows(sql, (ALL_DAYS, -1 if last is None else last)), default=("0",))[0]
    source, values = (f"{_TOTALS} >= ?", [by, first]) if since is None else _totals_since(by, since)
    days: dict[str | None, dict[str, int]] = {}
    sql = f"SELECT name, day, sum(runs) FROM ({source}) WHERE day >= ? GROUP BY 1, 2"  # noqa: S608  # our own names
    for name, day, number in index.rows(sql, (*values, first)):
        days.setdefault(name, {})[day] = number
    return days


def _totals_since(kind: str, since: float) -> tuple[str, list[str]]:
    """Take whole days from the daily totals, and add up the first day from that moment on."""
    began = run_id_at(since)
    part = tables.daily_totals(kind, "run_id BETWEEN ? AND ? || '~'")
    return f"{_TOTALS} > ? UNION ALL {part}", [kind, began[:8], began, began[:8]]


def _statistic(
    kind: str, row: tuple[Any, ...], median: float | None, p95: float | None, days: dict[str, int]
) -> JsonObject:
    name, found = row[0], dict(zip(SUMS, row[1:], strict=True))
    tables.check_types(found | {"name": name}, {"name": tables.TEXT, **dict.fromkeys(SUMS, tables.NUMBER)})
    runs, cost = found["runs"], found["cost_usd"]
    return {
        "name": name if kind != "day" else f"{name[:4]}-{name[4:6]}-{name[6:]}",
        **{key: found[key] for key in ("runs", "successes", "skipped")},
        "success_rate": found["successes"] / runs if runs else None,
        "median_seconds": median,
        "p95_seconds": p95,
        **{key: found[key] for key in ("input_tokens", "output_tokens", "cache_read_tokens")},
        "runs_without_tokens": runs - found["with_tokens"],
        "cost_usd": None if cost is None else round(cost, 6),
        "runs_without_cost": runs - found["with_cost"],
        "commits": found["commits"] or 0,
        "days": days,
    }


def _quantiles(
    index: Index, kind: str, name: str | None, since: float | None, timed: int
) -> tuple[float | None, float | None]:
    """(median, p95) in seconds of the `timed` runs; between two in the middle, the median is their mean."""
    if timed == 0:
        return None, None
    where = (name,) if since is None else (name, run_id_at(since))
    up, down = (tables.durations(kind, descending=descending, since=since is not None) for descending in (False, True))
    middle = index.rows(up, (*where, 2 - timed % 2, (timed - 1) // 2))
    return _mean(middle), _mean(index.rows(down, (*where, 1, timed // 20)))


def _mean(rows: list[tuple[int]]) -> float | None:
    return sum(milliseconds for (milliseconds,) in rows) / len(rows) / 1000 if rows else None
