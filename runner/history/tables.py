"""The index's tables as SQL, a journal line as a row of them, and a row as an entry of a list. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from runner.reasons import NOT_BEGUN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypedDict

    from runner.model import JsonObject
    from runner.records.entries import RunError, TokenUsage

    class Entry(TypedDict):
        """A run in a list: schema/runs.schema.json. `commits` is their number."""

        run_id: str
        agent: str
        task: str
        status: str
        reason: str | None
        exit_code: int | None
        model: str | None
        session_id: str | None
        started_at: str
        ended_at: str | None
        elapsed_seconds: float | None
        trigger: str
        usage: TokenUsage
        cost_usd: float | None
        tool_calls: int | None
        commits: int | None
        error: RunError | None
        attempt: int
        previous_run: str | None
else:
    Entry = dict  # as the record's type

COLUMNS = (
    "run_id agent task status reason exit_code model session_id trigger started_at ended_at elapsed_ms input_tokens "
    "output_tokens cache_read_tokens cache_write_tokens reasoning_tokens approximate cost_usd tool_calls commits "
    "attempt previous_run message evidence retry_at"
).split()
GROUPS = {"agent": "agent", "task": "task", "model": "model", "day": "substr(run_id, 1, 8)"}
BEGUN = "NOT IN ({})".format(", ".join(f"'{status}'" for status in sorted(NOT_BEGUN)))
_TIMED = f"status {BEGUN} AND elapsed_ms IS NOT NULL"
_TYPES = {"cost_usd": "REAL"}
TABLES = (
    "CREATE TABLE runs (" + ", ".join(f"{name} {_TYPES.get(name, '')}".strip() for name in COLUMNS) + ")",
    "CREATE TABLE mark (inode INTEGER, begin INTEGER, end INTEGER, digest TEXT)",
)
UNIQUE = "CREATE UNIQUE INDEX runs_id ON runs (run_id)"
INSERT = f"INSERT INTO runs VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608  # our own names


# The table `cells` holds daily totals: what the runs of one name on one day add up to. A number that the agent did not
# report adds nothing; `with_…` counts the runs that began and did report it, `timed` those whose duration is known.
SUMS = {
    "runs": f"status {BEGUN}",
    "successes": "status = 'success'",
    "skipped": f"NOT status {BEGUN}",
    "with_tokens": f"status {BEGUN} AND input_tokens IS NOT NULL",
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "with_cost": f"status {BEGUN} AND cost_usd IS NOT NULL",
    "cost_usd": "cost_usd",
    "commits": "commits",
    "timed": _TIMED,
}
ALL_DAYS = ""  # the day of the totals of all days


def daily_totals(group: str, where: str = "1") -> str:
    sums = ", ".join(f"sum({what}) AS {name}" for name, what in SUMS.items())
    names = f"'{group}' AS kind, {GROUPS[group]} AS name, substr(run_id, 1, 8) AS day"
    return f"SELECT {names}, {sums} FROM runs WHERE {where} GROUP BY 1, 2, 3"  # noqa: S608  # our own names


def totals_of_all_days(where: str = "1") -> str:
    sums = ", ".join(f"sum({name})" for name in SUMS)
    return f"SELECT kind, name, '{ALL_DAYS}', {sums} FROM cells WHERE day > '{ALL_DAYS}' AND {where} GROUP BY 1, 2"  # noqa: S608  # our own names


def durations(group: str, *, descending: bool, since: bool) -> str:
    """Select the durations (ms) of one name, all or from a run id on: steps along an index, without sorting."""
    # Named, since with a run id the planner takes an index that would have to be sorted.
    return f"""
SELECT elapsed_ms FROM runs INDEXED BY runs_{group}_elapsed
WHERE {GROUPS[group]} IS ? AND {_TIMED} {"AND run_id >= ?" if since else ""}
ORDER BY elapsed_ms {"DESC" if descending else "ASC"} LIMIT ? OFFSET ?"""  # noqa: S608  # our own names


def indexes() -> list[str]:
    """Make the indexes and the totals, once the runs are in their table."""
    return [
        "CREATE INDEX runs_agent ON runs (agent, task, run_id)",
        "CREATE INDEX runs_task ON runs (task, run_id)",
        "CREATE INDEX runs_reason ON runs (status, reason, run_id) WHERE status <> 'success'",
        "CREATE TABLE cells AS " + " UNION ALL ".join(daily_totals(group) for group in GROUPS),
        f"INSERT INTO cells {totals_of_all_days()}",
        "CREATE INDEX cells_day ON cells (kind, day, name)",
        "CREATE INDEX cells_name ON cells (kind, name, day)",
        *(
            f"CREATE INDEX runs_{group}_elapsed ON runs ({of}, elapsed_ms, run_id) WHERE {_TIMED}"
            for group, of in GROUPS.items()
        ),
    ]


_USAGE = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_RUN_ID = re.compile(r"\d{8}_\d{6}(_\d{2,})?")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_MAX_MESSAGE = 500
_MAX_INTEGER = 2**62  # what the database takes for an integer


def row_of(line: JsonObject) -> tuple[Any, ...] | None:
    """The row of a closed or skipped run; None for a line that is not about one."""
    run_id, agent, task, status = (line.get(key) for key in ("run_id", "agent", "task", "status"))
    if not (isinstance(run_id, str) and _RUN_ID.fullmatch(run_id) and isinstance(status, str)):
        return None
    if not (isinstance(agent, str) and isinstance(task, str) and _NAME.fullmatch(agent) and _NAME.fullmatch(task)):
        return None
    usage, error = _object(line, "usage"), _object(line, "error")
    commits = line.get("commits")
    elapsed = _number(line, "elapsed_seconds")
    message = _text(error, "message")
    return (
        run_id,
        agent,
        task,
        status,
        _text(line, "reason"),
        _count(line, "exit_code"),
        _text(line, "model"),
        _text(line, "session_id"),
        _text(line, "trigger"),
        _text(line, "started_at"),
        _text(line, "ended_at"),
        None if elapsed is None else round(elapsed * 1000),
        *[_count(usage, name) for name in _USAGE],
        1 if usage.get("approximate") is True else None,
        _number(line, "cost_usd"),
        _count(line, "tool_calls"),
        len(commits) if isinstance(commits, list) else _count(line, "commits"),
        _count(line, "attempt") or 1,
        _text(line, "previous_run"),
        message[:_MAX_MESSAGE] if message else message,
        _text(error, "evidence"),
        _text(error, "retry_at"),
    )


def entry_of(row: Sequence[Any]) -> Entry:
    """The entry of a row. Raises TypeError for one that we did not write."""
    found = dict(zip(COLUMNS, row, strict=True))
    check_types(found, _COLUMN_TYPES)
    error = {"class": found["reason"], **{key: found[key] for key in ("message", "retry_at", "evidence")}}
    entry: Any = {
        **{key: found[key] for key in ("run_id", "agent", "task", "status", "reason", "exit_code", "model")},
        "session_id": found["session_id"],
        "started_at": found["started_at"],
        "ended_at": found["ended_at"],
        "elapsed_seconds": None if found["elapsed_ms"] is None else found["elapsed_ms"] / 1000,
        "trigger": found["trigger"],
        "usage": {name: found[name] for name in _USAGE} | ({"approximate": True} if found["approximate"] else {}),
        **{key: found[key] for key in ("cost_usd", "tool_calls", "commits")},
        "error": error if found["message"] is not None else None,
        **{key: found[key] for key in ("attempt", "previous_run")},
    }
    typed: Entry = entry
    return typed


TEXT, _COUNT, NUMBER = (str, type(None)), (int, type(None)), (int, float, type(None))
_COLUMN_TYPES = {
    **dict.fromkeys(COLUMNS, TEXT),
    **dict.fromkeys(("run_id", "agent", "task", "status"), (str,)),
    **dict.fromkeys((*_USAGE, "approximate", "exit_code", "elapsed_ms", "tool_calls", "commits", "attempt"), _COUNT),
    "cost_usd": NUMBER,
}


def check_types(found: JsonObject, types: Mapping[str, tuple[type, ...]]) -> None:
    """Raises TypeError where a value is of another type."""
    for name, kinds in types.items():
        if not isinstance(found[name], kinds):
            raise TypeError(f"`{name}` of a row is {found[name]!r:.40}")


def _object(line: JsonObject, key: str) -> JsonObject:
    found = line.get(key)
    return found if isinstance(found, dict) else {}


def _text(line: JsonObject, key: str) -> str | None:
    found = line.get(key)
    if not isinstance(found, str):
        return None
    # The database does not take a lone surrogate.
    return found if found.isascii() else found.encode(errors="replace").decode()


def _number(line: JsonObject, key: str) -> float | None:
    found = line.get(key)
    return found if isinstance(found, int | float) and abs(found) < _MAX_INTEGER else None


def _count(line: JsonObject, key: str) -> int | None:
    found = line.get(key)
    return found if isinstance(found, int) and abs(found) < _MAX_INTEGER else None
