"""The newest good run of each agent, from the feed and the runs' records."""

from __future__ import annotations

import json

from runner.records import store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject
    from runner.records.folder import Logs


def last_good_runs(logs: Logs) -> dict[str, JsonObject]:
    """Agent → the line of its newest success in runs.jsonl; damaged lines are passed over."""
    found: dict[str, JsonObject] = {}
    try:
        with open(logs.path("runs.jsonl"), "rb") as file:
            for raw in file:
                line = _success(raw)
                if line is not None:
                    found[line["agent"]] = line
    except OSError:
        pass
    return found


def _success(raw: bytes) -> JsonObject | None:
    if b'"success"' not in raw:
        return None
    try:
        line = json.loads(raw)
        good = line["status"] == "success" and all(isinstance(line[key], str) for key in _TEXTS)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return line if good else None


_TEXTS = ("agent", "task", "run_id", "ended_at")


def record_of(logs: Logs, line: JsonObject) -> JsonObject | None:
    """The record of a line's run; None when it is pruned."""
    place = logs.place_of(line["run_id"])
    return store.read_metadata(logs.path(place)) if place else None
