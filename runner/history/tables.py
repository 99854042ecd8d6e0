"""The index's tables, as SQL."""

from __future__ import annotations

from runner.history.rows import COLUMNS
from runner.reasons import NOT_BEGUN

KINDS = {"agent": "agent", "task": "task", "model": "model", "day": "substr(run_id, 1, 8)"}
BEGUN = "NOT IN ({})".format(", ".join(f"'{status}'" for status in sorted(NOT_BEGUN)))
_TIMED = f"status {BEGUN} AND elapsed_ms IS NOT NULL"
_TYPES = {"cost_usd": "REAL"}
TABLES = (
    "CREATE TABLE runs (" + ", ".join(f"{name} {_TYPES.get(name, '')}".strip() for name in COLUMNS) + ")",
    "CREATE TABLE mark (inode INTEGER, begin INTEGER, end INTEGER, digest TEXT)",
)
UNIQUE = "CREATE UNIQUE INDEX runs_id ON runs (run_id)"
INSERT = f"INSERT INTO runs VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608  # our own names


# A cell is what the runs of one name on one day add up to. A number that the agent did not report adds nothing;
# `with_…` counts the runs that began and did report it, `timed` those of which is known how long they took.
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
ALWAYS = ""  # the day of a cell of all days


def cells(kind: str, where: str = "1") -> str:
    """The cells of one kind, from the runs."""
    sums = ", ".join(f"sum({what}) AS {name}" for name, what in SUMS.items())
    names = f"'{kind}' AS kind, {KINDS[kind]} AS name, substr(run_id, 1, 8) AS day"
    return f"SELECT {names}, {sums} FROM runs WHERE {where} GROUP BY 1, 2, 3"  # noqa: S608  # our own names


def all_days(where: str = "1") -> str:
    """The cells of all days, from those of each."""
    sums = ", ".join(f"sum({name})" for name in SUMS)
    return f"SELECT kind, name, '{ALWAYS}', {sums} FROM cells WHERE day > '{ALWAYS}' AND {where} GROUP BY 1, 2"  # noqa: S608


def durations(kind: str, *, descending: bool, since: bool) -> str:
    """The durations (ms) of one name, from a run id on or all: steps along an index, no sorting."""
    # Named, since with a run id the planner takes an index that would have to be sorted.
    return f"""
SELECT elapsed_ms FROM runs INDEXED BY runs_{kind}_elapsed
WHERE {KINDS[kind]} IS ? AND {_TIMED} {"AND run_id >= ?" if since else ""}
ORDER BY elapsed_ms {"DESC" if descending else "ASC"} LIMIT ? OFFSET ?"""  # noqa: S608  # our own names


INDEXES = (
    "CREATE INDEX runs_agent ON runs (agent, task, run_id)",
    "CREATE INDEX runs_task ON runs (task, run_id)",
    "CREATE INDEX runs_reason ON runs (status, reason, run_id) WHERE status <> 'success'",
    "CREATE TABLE cells AS " + " UNION ALL ".join(cells(kind) for kind in KINDS),
    f"INSERT INTO cells {all_days()}",
    "CREATE INDEX cells_day ON cells (kind, day, name)",
    "CREATE INDEX cells_name ON cells (kind, name, day)",
    *(
        f"CREATE INDEX runs_{kind}_elapsed ON runs ({of}, elapsed_ms, run_id) WHERE {_TIMED}"
        for kind, of in KINDS.items()
    ),
)
