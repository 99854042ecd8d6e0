"""The index's tables, as SQL."""

from __future__ import annotations

from runner.reasons import NOT_BEGUN
from runner.rows import COLUMNS

KINDS = ("agent", "task", "model")
BEGUN = "NOT IN ({})".format(", ".join(f"'{status}'" for status in sorted(NOT_BEGUN)))
_TYPES = {"cost_usd": "REAL"}
TABLES = (
    "CREATE TABLE runs (" + ", ".join(f"{name} {_TYPES.get(name, '')}".strip() for name in COLUMNS) + ")",
    "CREATE TABLE mark (inode INTEGER, begin INTEGER, end INTEGER, digest TEXT)",
)
UNIQUE = "CREATE UNIQUE INDEX runs_id ON runs (run_id)"
INSERT = f"INSERT INTO runs VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608  # our own names


def cells(kind: str, where: str = "1") -> str:
    """What statistics add up: a cell for each name of this kind and day, with every duration in it.

    A number that the agent did not report adds nothing; `with_…` counts the runs that did report it.
    """
    return f"""
SELECT '{kind}' AS kind, {kind} AS name, substr(run_id, 1, 8) AS day, sum(status {BEGUN}) AS runs,
    sum(status = 'success') AS successes, sum(NOT status {BEGUN}) AS skipped, count(input_tokens) AS with_tokens,
    sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
    sum(cache_read_tokens) AS cache_read_tokens, count(cost_usd) AS with_cost, sum(cost_usd) AS cost_usd,
    sum(commits) AS commits, group_concat(CASE WHEN status {BEGUN} THEN elapsed_ms END) AS durations
FROM runs WHERE {where} GROUP BY 1, 2, 3"""  # noqa: S608  # our own names


INDEXES = (
    "CREATE INDEX runs_agent ON runs (agent, task, run_id)",
    "CREATE INDEX runs_task ON runs (task, run_id)",
    "CREATE INDEX runs_reason ON runs (status, reason, run_id) WHERE status <> 'success'",
    "CREATE TABLE cells AS " + " UNION ALL ".join(cells(kind) for kind in KINDS),
    "CREATE INDEX cells_name ON cells (kind, name, day)",
)
