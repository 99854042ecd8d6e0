"""An agent's entry against its last good run: is what worked then what would run now?"""

from __future__ import annotations

from runner import __version__
from runner.config import load
from runner.config.display import show_file
from runner.config.project import AGENTS, project_at, stock_dir
from runner.doctor.check import Check
from runner.doctor.history import record_of
from runner.text import from_rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.config import Config
    from runner.model import JsonObject
    from runner.records.folder import Logs

_UNITS = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))


def last_check(good: JsonObject | None, now: float) -> Check:
    """`good`: the newest success in the feed."""
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
    """Where the entry comes from, and whether the configuration is that of the last good run.

    The record holds one hash of all configuration files, stock set included: a difference says that something changed,
    not what. It is a warning where the project's own entry stands on a stock entry or hides one, which a new version of
    the runner may have changed unseen.
    """
    origin, leans = _origin(config, name)
    then = record_of(logs, good) if good else None
    if then is None:
        return Check("entry", "ok", origin)
    if then.get("config_hash") == config.digest:
        return Check("entry", "ok", f"{origin}, unchanged since then")
    version = then.get("runner_version")
    changed = f"{origin}; the configuration changed since then"
    if version != __version__:
        changed += f" (runner {version}, now {__version__})"
    if not leans:
        return Check("entry", "ok", changed)
    return Check("entry", "warn", changed, f"compare it with the stock entry, or try it: `runner doctor --live {name}`")


def _origin(config: Config, name: str) -> tuple[str, bool]:
    """In words, and whether a stock entry stands below or behind the project's own."""
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
