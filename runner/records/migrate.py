"""Records of older versions of the schema, step by step to the current one. Pure."""

from __future__ import annotations

from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject

SCHEMA_VERSION = 1
_USAGE = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_UNKNOWN = (
    "reason exit_code agent_exit_code agent_signal ended_by model session_id started_at ended_at elapsed_seconds cwd "
    "text cost_usd tool_calls error advice previous_run containment survivors config_hash runner_version"
).split()


def upgrade(record: JsonObject) -> JsonObject:
    """Bring a record to the current form; one of a future version is left as it is."""
    version = record.get("schema_version") or 0
    while isinstance(version, int) and version < SCHEMA_VERSION:
        record = MIGRATIONS[version](record)
        version += 1
    return record


def _from_0(record: JsonObject) -> JsonObject:
    """From before the schema had a version: what was not known had no key, and commits were bare shas."""
    usage = record.get("usage") or {}
    commits = [commit if isinstance(commit, dict) else {"sha": commit, "subject": ""} for commit in _list(record)]
    off = {"state": "off", "attempts": 0, "delivered_at": None, "message_id": None, "last_error": None}
    return {
        **dict.fromkeys(_UNKNOWN),
        "trigger": "manual",
        "attempt": 1,
        "argv": [],
        "notes": [],
        **record,
        "usage": {name: usage.get(name) for name in _USAGE},
        "commits": commits,
        "notification": {**off, **(record.get("notification") or {})},
        "schema_version": 1,
    }


def _list(record: JsonObject) -> list[object]:
    found = record.get("commits")
    return found if isinstance(found, list) else []


MIGRATIONS: dict[int, Callable[[JsonObject], JsonObject]] = {0: _from_0}
"""By the version that each starts from."""
