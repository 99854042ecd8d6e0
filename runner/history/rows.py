"""Pure: a line of the feed as a row of the index, and a row as what the commands show."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from runner.model import JsonObject

COLUMNS = (
    "run_id agent task status reason exit_code model session_id trigger started_at ended_at elapsed_ms input_tokens "
    "output_tokens cache_read_tokens cache_write_tokens reasoning_tokens cost_usd tool_calls commits attempt "
    "previous_run message evidence retry_at"
).split()
USAGE = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_RUN_ID = re.compile(r"\d{8}_\d{6}(_\d{2,})?")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_MESSAGE = 500
_LARGEST = 2**62  # what the database takes for an integer


def row_of(line: JsonObject) -> tuple[Any, ...] | None:
    """The row of a closed or skipped run; None for what is no such line."""
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
        *[_count(usage, name) for name in USAGE],
        _number(line, "cost_usd"),
        _count(line, "tool_calls"),
        len(commits) if isinstance(commits, list) else _count(line, "commits"),
        _count(line, "attempt") or 1,
        _text(line, "previous_run"),
        message[:_MESSAGE] if message else message,
        _text(error, "evidence"),
        _text(error, "retry_at"),
    )


def entry_of(row: Sequence[Any]) -> JsonObject:
    """What `runs --json` prints of a row (schema/runs.schema.json)."""
    found = dict(zip(COLUMNS, row, strict=True))
    error = {"class": found["reason"], **{key: found[key] for key in ("message", "retry_at", "evidence")}}
    return {
        **{key: found[key] for key in ("run_id", "agent", "task", "status", "reason", "exit_code", "model")},
        "session_id": found["session_id"],
        "started_at": found["started_at"],
        "ended_at": found["ended_at"],
        "elapsed_seconds": None if found["elapsed_ms"] is None else found["elapsed_ms"] / 1000,
        "trigger": found["trigger"],
        "usage": {name: found[name] for name in USAGE},
        **{key: found[key] for key in ("cost_usd", "tool_calls", "commits")},
        "error": error if found["message"] is not None else None,
        **{key: found[key] for key in ("attempt", "previous_run")},
    }


def _object(line: JsonObject, key: str) -> JsonObject:
    found = line.get(key)
    return found if isinstance(found, dict) else {}


def _text(line: JsonObject, key: str) -> str | None:
    found = line.get(key)
    if not isinstance(found, str):
        return None
    # A lone surrogate is no text for the database.
    return found if found.isascii() else found.encode(errors="replace").decode()


def _number(line: JsonObject, key: str) -> float | None:
    found = line.get(key)
    return found if isinstance(found, int | float) and abs(found) < _LARGEST else None


def _count(line: JsonObject, key: str) -> int | None:
    found = line.get(key)
    return found if isinstance(found, int) and abs(found) < _LARGEST else None
