"""What stands between an agent and its next run: program, version, requirements, parser, its last good run."""

from __future__ import annotations

import os

from runner.doctor import sandbox
from runner.doctor.check import Check, Patient
from runner.doctor.entry import entry_check, last_check
from runner.doctor.history import last_good_runs
from runner.errors import RunnerError
from runner.mask import mask_text, secrets_of
from runner.model import Request, Skipped
from runner.process import capture
from runner.process.spawn import LaunchError, find_binary
from runner.run import cooldown
from runner.run.plan import (
    PROMPT_TASK,
    Entries,
    TemplateFaultError,
    binary_variable,
    expand,
    plan,
)
from runner.text import one_line
from runner.values import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.config import Config
    from runner.model import JsonObject
    from runner.process.capture import Child
    from runner.records.folder import Logs
    from runner.run.site import World

_VERSION_SECONDS = 30.0
_NOWHERE = "/"  # a CLI may read settings of the folder that it is started in


@dataclass(frozen=True)
class Located:
    """An agent's program, and the environment that a run would give it."""

    path: str
    env: dict[str, str]


@dataclass(frozen=True)
class _Begun:
    """An agent that is being examined: its program or why there is none, its version command or why there is none."""

    agent: str
    located: Located | str
    asking: Child | str | None


def examine(
    config: Config, logs: Logs, names: Sequence[str], world: World, *, asked: bool, now: float
) -> list[Patient]:
    """All version commands run side by side. `asked`: by name, so that a missing program is a failure."""
    begun = [_begin(config, name, world) for name in names]
    good = last_good_runs(logs)
    patients = []
    for one in begun:
        patient = _program(config, one, world, asked=asked)
        if asked or patient.binary is not None:
            known = [*_requirements(config.agents[one.agent], world), *sandbox.of_agent(config, one.agent, world)]
            # That its rules compile is known: a configuration in which they do not is refused before anybody gets here.
            known.append(Check("parser", "ok", config.agents[one.agent]["parser"]))
            known += _cooldown(logs, one.agent, now)
            known += [last_check(good.get(one.agent), now), entry_check(config, logs, one.agent, good.get(one.agent))]
            patient = replace(patient, checks=(*patient.checks, *known))
        patients.append(patient)
    return patients


def locate(config: Config, name: str, world: World) -> Located | str:
    """By the same steps as a run; else why there is no program, in words."""
    agent = config.agents[name]
    model = {**(agent.get("model") or {}), "required": False}
    bare = {**agent, "argv": [], "files": {}, "stdin": None, "requires": {}, "model": model}
    entries = Entries(bare, {}, {}, config.settings, config.digest, "")
    try:
        planned = plan(entries, Request(name, PROMPT_TASK, prompt=""), world, "doctor")
        env = dict(planned.env)
        return Located(find_binary(planned.argv[0], env.get("PATH", os.defpath), world.repo), env)
    except Skipped as skipped:
        return skipped.skip.message
    except TemplateFaultError as fault:
        return f"{config.show(*fault.path)}: {fault.error.message}"
    except RunnerError as error:
        return error.message
    except LaunchError as error:
        return str(error).partition(" (")[0]  # without the folders of PATH, which may be many


def _begin(config: Config, name: str, world: World) -> _Begun:
    located = locate(config, name, world)
    words = config.agents[name].get("version")
    if isinstance(located, str) or not words:
        return _Begun(name, located, None)
    try:
        return _Begun(name, located, capture.start([located.path, *words[1:]], located.env, _NOWHERE))
    except LaunchError as error:
        return _Begun(name, located, str(error))


def _program(config: Config, begun: _Begun, world: World, *, asked: bool) -> Patient:
    agent = config.agents[begun.agent]
    if isinstance(begun.located, str):
        install = agent.get("install")
        missing = Check(
            "binary", "fail" if asked else "warn", begun.located, f"to install it: {install}" if install else None
        )
        return Patient(begun.agent, asked, None, None, (missing,))
    path = begun.located.path
    variable = binary_variable(begun.agent)
    binary = Check("binary", "ok", f"{path} (by {variable})" if world.environ.get(variable) else path)
    version, check = _version(begun, begun.located.env)
    return Patient(begun.agent, asked, path, version, (binary, check))


def _version(begun: _Begun, env: Mapping[str, str]) -> tuple[str | None, Check]:
    if begun.asking is None:
        return None, Check("version", "ok", "not asked: the entry has no `version`")
    if isinstance(begun.asking, str):
        return None, Check("version", "fail", begun.asking)
    said = capture.finish(begun.asking, _VERSION_SECONDS)
    printed = (said.out if said.out.strip() else said.err).decode(errors="replace").strip()
    line = one_line(mask_text(printed.splitlines()[0], secrets_of(env)), 100) if printed else ""
    if said.code == 0 and line:
        return line, Check("version", "ok", line)
    ending = f"no answer within {_VERSION_SECONDS:g} s" if said.code is None else f"exit code {said.code}"
    return None, Check("version", "warn", f"{ending}: {line}" if line else ending, "start it by hand and look")


def _requirements(agent: JsonObject, world: World) -> Iterator[Check]:
    """Whether what the entry names is there; never what it holds."""
    requires, rule = agent.get("requires") or {}, agent.get("model") or {}
    for name in requires.get("env") or []:
        there = bool(world.environ.get(name))
        yield _present(f"variable {name}", "set it where the runner is started, also for cron", there=there)
    for path in requires.get("files") or []:
        there = world.exists(expand(path, world))
        yield _present(f"file {path}", "log in with the CLI once", there=there)
    if rule.get("required") and not rule.get("default"):
        names = [name for name in rule.get("env") or [] if world.environ.get(name)]
        found = f"model from {names[0]}" if names else "no model is set, and a run needs one"
        wanted = f"give --model, or set {' or '.join(rule.get('env') or [])}".removesuffix(", or set ")
        yield Check("model", "ok" if names else "warn", found, None if names else wanted)


def _cooldown(logs: Logs, name: str, now: float) -> list[Check]:
    """A run by hand goes all the same, so this is a warning."""
    found = cooldown.read(logs, name)
    if found is None or not found.blocks(now):
        return []
    return [
        Check("cooldown", "warn", str(found), f"unattended runs leave it alone; `runner agents clear {name}` ends it")
    ]


def _present(what: str, advice: str, *, there: bool) -> Check:
    return Check(
        "requires", "ok" if there else "fail", f"{what} is {'there' if there else 'missing'}", None if there else advice
    )
