"""`runner agents`: what one may run, and which agents are left alone for now."""

from __future__ import annotations

import os
import re
import shutil
import sys
from types import MappingProxyType

from runner import template
from runner.commands.entry import short_place, show_entry, where
from runner.commands.table import table
from runner.errors import RunnerError
from runner.files import reason
from runner.run.cooldown import all_of, clear, read
from runner.run.plan import binary_variable
from runner.text import json_text, rfc3339

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.config import Config
    from runner.model import JsonObject
    from runner.records.folder import Logs
    from runner.run.cooldown import Cooldown

NO_COOLDOWNS: Mapping[str, Cooldown] = MappingProxyType({})
_ENDED_BY = "`runner agents clear {}` ends it"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def list_agents(
    config: Config, environ: Mapping[str, str], as_json: bool, cooling: Mapping[str, Cooldown] = NO_COOLDOWNS
) -> int:
    agents = [_described(config, name, environ, cooling.get(name)) for name in sorted(config.agents)]
    if as_json:
        print(json_text(agents, 2))
    elif agents:
        head = ("AGENT", "MODEL", "PARSER", "DEFINED IN", "BINARY")
        print(table(head, [_row(agent) for agent in agents]), end="")
        for name in sorted(cooling):
            print(f"{name}: {cooling[name]}; {_ENDED_BY.format(name)}")
    else:
        print("no agents; add one to agents.yaml")
    return 0


def show_agent(config: Config, name: str, as_json: bool, cooldown: Cooldown | None = None) -> int:
    """Raises UsageError for an unknown name."""
    entry = config.agent(name)
    if cooldown is not None and not as_json:
        print(f"# {cooldown}; {_ENDED_BY.format(name)}")
    return show_entry(config, "agents", name, entry, as_json=as_json, more={"cooldown": _shown(cooldown)})


def clear_agent(config: Config, logs: Logs, name: str) -> int:
    """End an agent's cooldown. Raises UsageError for an unknown name."""
    found = read(logs, name) if _NAME.fullmatch(name) else None
    if found is None:
        config.agent(name)
    try:
        cleared = clear(logs, name)
    except OSError as error:
        raise RunnerError(f"the cooldown of `{name}` cannot be cleared: {reason(error)}") from None
    if found is not None:
        print(f"cleared: {name} was {found}")
    else:
        print(f"cleared: a damaged cooldown of {name}" if cleared else f"nothing to clear: {name} is in no cooldown")
    return 0


def cooling_now(logs: Logs, now: float) -> dict[str, Cooldown]:
    """The agents that are left alone at this time."""
    return {found.agent: found for found in all_of(logs) if found.blocks(now)}


def _shown(cooldown: Cooldown | None) -> JsonObject | None:
    if cooldown is None:
        return None
    times = {"since": rfc3339(cooldown.since), "until": rfc3339(cooldown.until)}
    return {"reason": cooldown.reason, **times, "run_id": cooldown.run_id}


def _described(config: Config, name: str, environ: Mapping[str, str], cooldown: Cooldown | None) -> JsonObject:
    agent = config.agents[name]
    binary, found = find_binary(config, name, environ)
    return {
        "name": name,
        "description": agent.get("description"),
        "model": _model(agent.get("model") or {}, environ),
        "parser": agent["parser"],
        "defined": where(config, ("agents", name)),
        "binary": binary,
        "found": found,
        "install": agent.get("install"),
        "cooldown": _shown(cooldown),
    }


def _row(agent: JsonObject) -> tuple[str, ...]:
    model = agent["model"] or "-"
    state = "found" if agent["found"] else f"no `{agent['binary']}`"
    return agent["name"], model, agent["parser"], short_place(agent["defined"]), state


def _model(rule: JsonObject, environ: Mapping[str, str]) -> str | None:
    """The model of a run that says nothing: from the environment, else the default."""
    named = next((environ[name] for name in rule.get("env") or [] if environ.get(name)), None)
    return named or rule.get("default")


def find_binary(config: Config, name: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """The binary as it is called, and its path when it can be executed."""
    binary = environ.get(binary_variable(name)) or config.agents[name]["binary"]
    try:
        binary = template.render(binary, {"python": sys.executable, "project": config.project.root})
    except template.TemplateError:
        return binary, None  # it depends on the run: only a run can tell
    home = environ.get("HOME", "")
    folders = [home + folder[1:] if folder.startswith("~/") else folder for folder in config.settings.get("path") or []]
    search = os.pathsep.join([*folders, environ.get("PATH", os.defpath)])
    return binary, shutil.which(binary, path=search)
