"""An agent's entry against its last good run: would the same thing run now that worked then?"""

from __future__ import annotations

import json

from runner import __version__
from runner.config import Config, load
from runner.config.display import show_file
from runner.config.project import AGENTS, project_at, stock_dir
from runner.doctor.check import Check
from runner.records import store
from runner.records.folder import Logs
from runner.text import from_rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject

_UNITS = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))
_TEXTS = ("agent", "task", "run_id", "ended_at")


def last_good_runs(logs: Logs) -> dict[str, JsonObject]:
    """Map each agent to the line of its newest success in runs.jsonl; damaged lines are ignored."""
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


def last_check(good: JsonObject | None, now: float) -> Check:
    if good is None:
        return Check("last good", "ok", "no good run yet")
    try:
        age = now - from_rfc3339(good["ended_at"])
    except ValueError:
        return Check("last good", "ok", f"{good['run_id']} {good['task']}")
    return Check("last good", "ok", f"{good['run_id']} {good['task']}, {_ago(age)}")


def _ago(seconds: float) -> str:
    for size, unit in _UNITS:
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def entry_check(config: Config, logs: Logs, name: str, good: JsonObject | None) -> Check:
    """Say where the entry comes from, and whether the configuration is that of the last good run.

    The record holds one hash of all configuration files, stock set included: a difference says that something changed,
    not what. It is a warning where the project's own entry extends or replaces a stock entry, which a new version of
    the runner may have changed unnoticed.
    """
    origin, uses_stock = _origin(config, name)
    place = logs.place_of(good["run_id"]) if good else None
    then = store.read_metadata(logs.path(place)) if place else None
    if then is None:
        return Check("entry", "ok", origin)
    if then.get("config_hash") == config.digest:
        return Check("entry", "ok", f"{origin}, unchanged since then")
    version = then.get("runner_version")
    changed = f"{origin}; the configuration changed since then"
    if version != __version__:
        changed += f" (runner {version}, now {__version__})"
    if not uses_stock:
        return Check("entry", "ok", changed)
    return Check("entry", "warn", changed, f"compare it with the stock entry, or try it: `runner doctor --live {name}`")


def _origin(config: Config, name: str) -> tuple[str, bool]:
    """Where the entry is, in words, and whether it extends or replaces a stock entry."""
    file, line, _ = config.origin("agents", name)
    stock = project_at(stock_dir())
    stock_file = show_file(stock.agents_file or AGENTS)
    if file == stock_file:
        return "stock", False
    place = f"{file}:{line}"
    if any(config.origin("agents", name, key)[0] == stock_file for key in config.agents[name]):
        return f"{place}, which extends a stock entry", True
    if name in load(stock, None).agents:
        return f"{place}, which replaces the stock entry", True
    return place, False
