"""`runner agents`: what one may run."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING

from runner import template
from runner.commands.entry import short_place, show_entry, where
from runner.commands.table import table
from runner.plan import binary_variable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.config import Config
    from runner.model import JsonObject


def list_agents(config: Config, environ: Mapping[str, str], as_json: bool) -> int:
    agents = [_described(config, name, environ) for name in sorted(config.agents)]
    if as_json:
        print(json.dumps(agents, indent=2))
    elif agents:
        head = ("AGENT", "MODEL", "PARSER", "DEFINED IN", "BINARY")
        print(table(head, [_row(agent) for agent in agents]), end="")
    else:
        print("no agents; add one to agents.yaml")
    return 0


def show_agent(config: Config, name: str, as_json: bool) -> int:
    """Raises UsageError for an unknown name."""
    return show_entry(config, "agents", name, config.agent(name), as_json=as_json)


def _described(config: Config, name: str, environ: Mapping[str, str]) -> JsonObject:
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
