"""What the project needs of the environment in which its heartbeat runs. Looks for programs; changes nothing."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import sys

from runner import template
from runner.crontab.command import Beat
from runner.crontab.search import path_for, versioned
from runner.process.spawn import LaunchError, find_binary
from runner.run.plan import binary_variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from runner.config import Config
    from runner.model import JsonObject

_ALWAYS = ("XDG_STATE_HOME", "AGENT_RUNNER_TIMEOUT_SECONDS", "*_proxy", "*_PROXY", "SSL_CERT_*")
_IN_TEMPLATE = re.compile(r"\benv\.([A-Za-z_]\w*)")
_NAMED = re.compile(r'"\w+_env": "([A-Za-z_]\w*)"')


def beat_of(config: Config, environ: Mapping[str, str]) -> Beat:
    """The heartbeat of this project by this interpreter, with a PATH on which its programs are found."""
    return Beat(sys.executable, config.project.root, path_for(_programs(config, environ), _path(environ)))


def _path(environ: Mapping[str, str]) -> str:
    return environ.get("PATH", os.defpath)


def _programs(config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    """Names to be looked up on PATH, and absolute paths of what is found without it."""
    yield "git"
    for name in config.agents:
        found = program(config, name, environ)
        if found is not None:
            yield found
    entries = [*config.agents.values(), *config.tasks.values(), config.defaults]
    commands = [command for entry in entries for command in entry.get("preflight") or ()]
    commands += [config.settings.get("test_command") or ["pytest"], *(box["argv"] for box in config.sandboxes.values())]
    for command in commands:
        if command and isinstance(command[0], str) and os.sep not in command[0]:
            yield command[0]


def program(config: Config, name: str, environ: Mapping[str, str]) -> str | None:
    """An agent's binary: a name that PATH finds, an absolute path found otherwise; None where it is not found.

    The variable that overrides a binary is this shell's, and cron does not have it.
    """
    try:
        variables = {"python": sys.executable, "project": config.project.root}
        binary = template.render(config.agents[name]["binary"], variables)
    except template.TemplateError:
        return None  # it depends on the run: only a run can tell
    home = environ.get("HOME", "")
    folders = [home + folder[1:] if folder.startswith("~/") else folder for folder in config.settings.get("path") or ()]
    ours = _found(binary, os.pathsep.join(folders), config.project.root) if folders or "/" in binary else None
    return ours or (binary if _found(binary, _path(environ), config.project.root) else None)


def _found(binary: str, path: str, cwd: str) -> str | None:
    try:
        return find_binary(binary, path, cwd)
    except LaunchError:
        return None


def remarks(
    config: Config, beat: Beat, environ: Mapping[str, str], scheduled: Collection[str], known: Collection[str]
) -> list[str]:
    """What a person should know, a sentence each: `scheduled` agents that are not found, folders that the next update
    of a tool leaves behind, variables of this shell that the heartbeat's environment lacks; it has the `known` ones.
    """
    said = []
    missing = [name for name in sorted(scheduled) if program(config, name, environ) is None]
    if missing:
        said.append(f"scheduled, but not found on this PATH: {_listed(missing)}")
    said += [f"{folder} names a version: install again when that is updated" for folder in versioned(beat.path)]
    lacking = sorted(_used(config, environ, scheduled) - set(known))
    if lacking:
        said.append(f"set in this shell, but not where the heartbeat runs: {_listed(lacking)}")
    return said


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _used(config: Config, environ: Mapping[str, str], scheduled: Iterable[str]) -> set[str]:
    """The names of the variables that are set here, and that the heartbeat or a scheduled run would use."""
    patterns = [*_ALWAYS]
    for section in (config.notify, config.settings, *(task.get("notify") or {} for task in config.tasks.values())):
        text = json.dumps(section)
        patterns += [*_IN_TEMPLATE.findall(text), *_NAMED.findall(text)]
    for name in scheduled:
        patterns += [binary_variable(name), *_of_agent(config.agents[name])]
    return {name for name in environ if environ[name] and any(fnmatch.fnmatchcase(name, glob) for glob in patterns)}


def _of_agent(agent: JsonObject) -> Iterator[str]:
    for rule in (agent.get("model") or {}, agent.get("requires") or {}, *(agent.get("options") or {}).values()):
        yield from rule.get("env") or ()
    yield from (agent.get("env") or {}).get("pass") or ()
