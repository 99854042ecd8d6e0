"""The environment that the heartbeat needs under cron or systemd: its PATH, and the variables it lacks there."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping

from runner import template
from runner.config import Config
from runner.crontab.crontab import HeartbeatCommand
from runner.model import JsonObject
from runner.process.spawn import LaunchError, find_binary
from runner.run.plan import binary_variable

_STANDARD_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
_ENV_SHEBANG = re.compile(rb"#![ \t]*\S*/env[ \t]+(?:-\S+[ \t]+|[A-Za-z_]\w*=\S*[ \t]+)*([^\s=]+)")
_VERSION = re.compile(r"v?\d+\.\d+(\.\d+)?")
_ALWAYS = ("XDG_STATE_HOME", "AGENT_RUNNER_TIMEOUT_SECONDS", "*_proxy", "*_PROXY", "SSL_CERT_*")
_IN_TEMPLATE = re.compile(r"\benv\.([A-Za-z_]\w*)")
_NAMED = re.compile(r'"\w+_env": "([A-Za-z_]\w*)"')


def heartbeat_command(config: Config, environ: Mapping[str, str]) -> HeartbeatCommand:
    """The heartbeat of this project by this interpreter, with a PATH on which its programs are found."""
    path = find_on_path(_programs(config, environ), environ.get("PATH", os.defpath))
    return HeartbeatCommand(sys.executable, config.project.root, path)


def find_on_path(programs: Iterable[str], path: str) -> tuple[str, ...]:
    """The folders of `path` that hold these programs and the interpreters of their scripts, in its order.

    The result finds the same programs as `path`. Of a program with its folder only the interpreter is looked up. The
    standard folders are always part of the result.
    """
    needed = set(_STANDARD_PATH)
    for program in programs:
        found = shutil.which(program, path=path)
        if found is not None:
            needed |= _interpreters(found, path)
            if os.sep not in program:
                needed.add(os.path.dirname(os.path.abspath(found)))
    ordered = [os.path.abspath(folder) for folder in path.split(os.pathsep) if folder]
    return tuple(dict.fromkeys(folder for folder in (*ordered, *_STANDARD_PATH) if folder in needed))


def _interpreters(program: str, path: str) -> set[str]:
    """The folder of what a script's first line looks up by `env`: a script of npm needs its node."""
    try:
        with open(program, "rb") as file:
            named = _ENV_SHEBANG.match(file.read(256))
    except OSError:
        return set()
    found = shutil.which(os.fsdecode(named[1]), path=path) if named else None
    return {os.path.dirname(os.path.abspath(found))} if found else set()


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

    The variable that overrides a binary is ignored: cron does not have it.
    """
    try:
        variables = {"python": sys.executable, "project": config.project.root}
        binary = template.render(config.agents[name]["binary"], variables)
    except template.TemplateError:
        return None  # it depends on the run
    home = environ.get("HOME", "")
    folders = [home + folder[1:] if folder.startswith("~/") else folder for folder in config.settings.get("path") or ()]
    ours = _found(binary, os.pathsep.join(folders), config.project.root) if folders or "/" in binary else None
    return ours or (binary if _found(binary, environ.get("PATH", os.defpath), config.project.root) else None)


def _found(binary: str, path: str, cwd: str) -> str | None:
    try:
        return find_binary(binary, path, cwd)
    except LaunchError:
        return None


def remarks(
    config: Config,
    heartbeat: HeartbeatCommand,
    environ: Mapping[str, str],
    scheduled: Collection[str],
    known: Collection[str],
) -> list[str]:
    """What a person should know, a sentence each.

    Of the `scheduled` agents those that are not found, then folders that the next update of a tool leaves behind, and
    variables of this shell that the heartbeat lacks; it has the `known` ones.
    """
    lines = []
    missing = [name for name in sorted(scheduled) if program(config, name, environ) is None]
    if missing:
        lines.append(f"scheduled, but not found on this PATH: {_joined(missing)}")
    versioned = [path for path in heartbeat.path if any(_VERSION.fullmatch(part) for part in path.split(os.sep))]
    lines += [f"{folder} names a version: install again when that is updated" for folder in versioned]
    lacking = sorted(_used(config, environ, scheduled) - set(known))
    if lacking:
        lines.append(f"set in this shell, but not where the heartbeat runs: {_joined(lacking)}")
    return lines


def _joined(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _used(config: Config, environ: Mapping[str, str], scheduled: Iterable[str]) -> set[str]:
    """The variables that are set here and that the heartbeat or a scheduled run would use."""
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
