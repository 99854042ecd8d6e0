"""A record as it is read: brought to the current version of the schema, and its types checked. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.records.metadata import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard

    from runner.model import JsonObject

_USAGE = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_UNKNOWN = (
    "reason exit_code agent_exit_code agent_signal ended_by model session_id started_at ended_at elapsed_seconds cwd "
    "text cost_usd tool_calls error advice previous_run containment survivors config_hash runner_version"
).split()
_NONE = type(None)
_MAX_NUMBER = 2**62
_TEXT, _COUNT, _NUMBER = (str, _NONE), (int, _NONE), (int, float, _NONE)
# What closing and showing a record need, as the schema has it: keys, and the types of their values.
_SHAPE: dict[str, tuple[type, ...]] = {
    **dict.fromkeys("run_id agent task status trigger started_at".split(), (str,)),
    **dict.fromkeys("reason model session_id ended_at previous_run text containment".split(), _TEXT),
    **dict.fromkeys("exit_code tool_calls attempt schema_version survivors".split(), _COUNT),
    **dict.fromkeys("elapsed_seconds cost_usd".split(), _NUMBER),
    **dict.fromkeys("argv notes commits".split(), (list,)),
    **dict.fromkeys("usage notification".split(), (dict,)),
    "error": (dict, _NONE),
}
_OPTIONAL = {
    **dict.fromkeys("advice cwd ended_by config_hash runner_version".split(), _TEXT),
    **dict.fromkeys("agent_exit_code agent_signal".split(), _COUNT),
    "denials": (dict, _NONE),
    "left": (list,),
    "verify": (list,),
}
_CHECK: dict[str, tuple[type, ...]] = dict.fromkeys(("name", "result"), (str,))
_USAGE_SHAPE = dict.fromkeys(_USAGE, _COUNT)
_ERROR = {"class": _TEXT, "message": (str,), "retry_at": _TEXT, "evidence": _TEXT}
_NOTIFICATION = {
    "state": (str,),
    "attempts": _COUNT,
    **dict.fromkeys("delivered_at message_id last_error".split(), _TEXT),
}


def upgrade(record: JsonObject) -> JsonObject:
    """Bring a record to the current form; one of a future version is left as it is."""
    version = record.get("schema_version") or 0
    while isinstance(version, int) and version in MIGRATIONS:
        record = MIGRATIONS[version](record)
        version += 1
    return record


def _from_0(record: JsonObject) -> JsonObject:
    """From before the schema had a version: what was not known had no key, and commits were bare shas."""
    usage, notification = _object(record, "usage"), _object(record, "notification")
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
        "notification": {**off, **notification},
        "schema_version": 1,
    }


def _object(record: JsonObject, key: str) -> JsonObject:
    found = record.get(key)
    return found if isinstance(found, dict) else {}


def _list(record: JsonObject) -> list[object]:
    found = record.get("commits")
    return found if isinstance(found, list) else []


MIGRATIONS: dict[int, Callable[[JsonObject], JsonObject]] = {0: _from_0}
"""By the version that each starts from."""


def is_whole(record: JsonObject) -> TypeGuard[Record]:
    """Whether its values are those that closing and showing it need: a file may be damaged, or written by others."""
    return (
        _fits(record, _SHAPE)
        and _fits({**dict.fromkeys(_OPTIONAL), "left": [], "verify": [], **record}, _OPTIONAL)
        and _fits(record["usage"], _USAGE_SHAPE)
        and (record["error"] is None or _fits(record["error"], _ERROR))
        and _fits(record["notification"], _NOTIFICATION)
        and all(isinstance(word, str) for word in (*record["argv"], *record["notes"]))
        and all(_fits(check, _CHECK) and isinstance(check.get("flaky"), bool) for check in record.get("verify", ()))
        and all(_fits(commit, {"sha": (str,), "subject": (str,)}) for commit in record["commits"])
    )


def _fits(value: object, shape: Mapping[str, tuple[type, ...]]) -> bool:
    """Whether the keys are there, with values of these types."""
    return isinstance(value, dict) and all(
        isinstance(value.get(key, ...), types) and not isinstance(value[key], bool) and not _is_odd(value[key])
        for key, types in shape.items()
    )


def _is_odd(value: object) -> bool:
    """A number that no agent and no clock gives: not finite, or larger than any."""
    return isinstance(value, int | float) and not abs(value) < _MAX_NUMBER
