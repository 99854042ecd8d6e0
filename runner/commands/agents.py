"""`runner agents`: what can be run, and which agents are in cooldown."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Mapping

from runner import template
from runner.commands._project import open_project
from runner.commands._show import print_json, print_yaml, short_place, where
from runner.commands._table import table
from runner.config import Config
from runner.errors import RunnerError
from runner.files import reason
from runner.model import JsonObject
from runner.records.folder import Logs
from runner.run import cooldown as cooldowns
from runner.run.cooldown import Cooldown
from runner.run.plan import binary_variable
from runner.text import json_text, rfc3339

_ENDED_BY = "`runner agents clear {}` ends it"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


def agents(project: str | None, *, as_json: bool) -> int:
    opened = open_project(project)
    config, cooling = opened.config, _cooling(opened.logs)
    found = [_described(config, name, opened.environ, cooling.get(name)) for name in sorted(config.agents)]
    if as_json:
        print(json_text(found, 2))
    elif found:
        head = ("AGENT", "MODEL", "PARSER", "DEFINED IN", "BINARY")
        print(table(head, [_row(agent) for agent in found]), end="")
        for name in sorted(cooling):
            print(f"{name}: {cooling[name]}; {_ENDED_BY.format(name)}")
    else:
        print("no agents; add one to agents.yaml")
    return 0


def show(project: str | None, name: str, *, as_json: bool) -> int:
    """Raises UsageError for an unknown name."""
    opened = open_project(project)
    entry, cooldown = opened.config.agent(name), _cooling(opened.logs).get(name)
    if as_json:
        print_json(opened.config, ("agents", name), entry, {"cooldown": _shown(cooldown)})
    else:
        if cooldown is not None:
            print(f"# {cooldown}; {_ENDED_BY.format(name)}")
        print_yaml(opened.config, ("agents", name), entry)
    return 0


def clear(project: str | None, name: str) -> int:
    """End an agent's cooldown. Raises UsageError for an unknown name."""
    opened = open_project(project)
    found = cooldowns.read(opened.logs, name) if _NAME.fullmatch(name) else None
    if found is None:
        opened.config.agent(name)
    try:
        cleared = cooldowns.clear(opened.logs, name)
    except OSError as error:
        raise RunnerError(f"the cooldown of `{name}` cannot be cleared: {reason(error)}") from None
    if found is not None:
        print(f"cleared: {name} was {found}")
    else:
        print(f"cleared: a damaged cooldown of {name}" if cleared else f"nothing to clear: {name} is not in cooldown")
    return 0


def _cooling(logs: Logs) -> dict[str, Cooldown]:
    """Return the cooldowns that are in force, by agent."""
    now = time.time()
    return {found.agent: found for found in cooldowns.all_of(logs) if found.blocks(now)}


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
    """Return the model of a run that names none: from the environment, else the default."""
    named = next((environ[name] for name in rule.get("env") or [] if environ.get(name)), None)
    return named or rule.get("default")


def find_binary(config: Config, name: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the binary as it is called, and its path when it can be executed."""
    binary = environ.get(binary_variable(name)) or config.agents[name]["binary"]
    try:
        binary = template.render(binary, {"python": sys.executable, "project": config.project.root})
    except template.TemplateError:
        return binary, None  # it depends on the run: only a run can tell
    home = environ.get("HOME", "")
    folders = [home + folder[1:] if folder.startswith("~/") else folder for folder in config.settings.get("path") or []]
    search = os.pathsep.join([*folders, environ.get("PATH", os.defpath)])
    return binary, shutil.which(binary, path=search)
