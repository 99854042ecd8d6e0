"""What an agent needs to run: program, version, requirements, parser; and its last good run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from runner.config import Config
from runner.doctor import sandbox_check
from runner.doctor.check import AgentReport, Check
from runner.doctor.last_good import entry_check, last_check, last_good_runs
from runner.errors import RunnerError
from runner.mask import mask_text, secrets_of
from runner.model import Request, Skipped
from runner.process import capture
from runner.process.capture import Child
from runner.process.spawn import LaunchError, find_binary
from runner.records.folder import Logs
from runner.run import cooldown
from runner.run.plan import PROMPT_TASK, RunConfig, TemplateFaultError, binary_variable, plan
from runner.run.requires import expand
from runner.run.site import Machine
from runner.text import one_line
from runner.values import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject

_VERSION_SECONDS = 30.0
_NEUTRAL_FOLDER = "/"  # a CLI may read settings of the folder that it is started in


@dataclass(frozen=True)
class Context:
    config: Config
    logs: Logs
    machine: Machine
    now: float


@dataclass(frozen=True)
class Program:
    path: str
    env: dict[str, str]


@dataclass(frozen=True)
class _Started:
    """An agent whose version command runs. A text says why there is no program, or why the command did not start."""

    agent: str
    program: Program | str
    version: Child | str | None


def examine(context: Context, names: Sequence[str], *, asked: bool) -> list[AgentReport]:
    """Examine agents; their version commands run in parallel.

    `asked`: the agents were named by the user, so that a missing program is a failure.
    """
    started = [_start(context.config, name, context.machine) for name in names]
    good = last_good_runs(context.logs)
    reports = []
    for one in started:
        report = _program(context, one, asked=asked)
        if asked or report.binary is not None:
            checks = _further_checks(context, one.agent, good.get(one.agent))
            report = replace(report, checks=(*report.checks, *checks))
        reports.append(report)
    return reports


def _further_checks(context: Context, name: str, good: JsonObject | None) -> Iterator[Check]:
    config, logs = context.config, context.logs
    yield from _requirements(config.agents[name], context.machine)
    yield from sandbox_check.used_by(config, name, context.machine)
    # Its rules are known to compile: a configuration in which they do not is refused before this point.
    yield Check("parser", "ok", config.agents[name]["parser"])
    yield from _cooldown(logs, name, context.now)
    yield last_check(good, context.now)
    yield entry_check(config, logs, name, good)


def locate(config: Config, name: str, machine: Machine) -> Program | str:
    """Find the program as a run does; a text says why there is none."""
    agent = config.agents[name]
    model = {**(agent.get("model") or {}), "required": False}
    bare = {**agent, "argv": [], "files": {}, "stdin": None, "requires": {}, "model": model}
    run_config = RunConfig(bare, {}, {}, config.settings, config.digest, "")
    try:
        planned = plan(run_config, Request(name, PROMPT_TASK, prompt=""), machine, "doctor")
        env = dict(planned.env)
        return Program(find_binary(planned.argv[0], env.get("PATH", os.defpath), machine.repo), env)
    except Skipped as skipped:
        return skipped.skip.message
    except TemplateFaultError as fault:
        return f"{config.show(*fault.path)}: {fault.error.message}"
    except RunnerError as error:
        return error.message
    except LaunchError as error:
        return str(error).partition(" (")[0]  # without the folders of PATH, which may be many


def _start(config: Config, name: str, machine: Machine) -> _Started:
    program = locate(config, name, machine)
    argv = config.agents[name].get("version")
    if isinstance(program, str) or not argv:
        return _Started(name, program, None)
    try:
        return _Started(name, program, capture.start([program.path, *argv[1:]], program.env, _NEUTRAL_FOLDER))
    except LaunchError as error:
        return _Started(name, program, str(error))


def _program(context: Context, started: _Started, *, asked: bool) -> AgentReport:
    agent, program = started.agent, started.program
    if isinstance(program, str):
        install = context.config.agents[agent].get("install")
        advice = f"to install it: {install}" if install else None
        return AgentReport(agent, asked, None, None, (Check("binary", "fail" if asked else "warn", program, advice),))
    variable = binary_variable(agent)
    found = f"{program.path} (by {variable})" if context.machine.environ.get(variable) else program.path
    version, check = _version(started.version, program.env)
    return AgentReport(agent, asked, program.path, version, (Check("binary", "ok", found), check))


def _version(started: Child | str | None, env: Mapping[str, str]) -> tuple[str | None, Check]:
    if started is None:
        return None, Check("version", "ok", "not asked: the entry has no `version`")
    if isinstance(started, str):
        return None, Check("version", "fail", started)
    done = capture.finish(started, _VERSION_SECONDS)
    printed = (done.out if done.out.strip() else done.err).decode(errors="replace").strip()
    line = one_line(mask_text(printed.splitlines()[0], secrets_of(env)), 100) if printed else ""
    if done.code == 0 and line:
        return line, Check("version", "ok", line)
    ending = f"no answer within {_VERSION_SECONDS:g} s" if done.code is None else f"exit code {done.code}"
    return None, Check("version", "warn", f"{ending}: {line}" if line else ending, "start it by hand and look")


def _requirements(agent: JsonObject, machine: Machine) -> Iterator[Check]:
    """Check that what the entry names is there, without reading it."""
    requires, rule = agent.get("requires") or {}, agent.get("model") or {}
    for name in requires.get("env") or []:
        there = bool(machine.environ.get(name))
        yield _present(f"variable {name}", "set it where the runner is started, also for cron", there=there)
    for path in requires.get("files") or []:
        there = machine.exists(expand(path, machine))
        yield _present(f"file {path}", "log in with the CLI once", there=there)
    if rule.get("required") and not rule.get("default"):
        names = [name for name in rule.get("env") or [] if machine.environ.get(name)]
        found = f"model from {names[0]}" if names else "no model is set, and a run needs one"
        wanted = f"give --model, or set {' or '.join(rule.get('env') or [])}".removesuffix(", or set ")
        yield Check("model", "ok" if names else "warn", found, None if names else wanted)


def _cooldown(logs: Logs, name: str, now: float) -> Iterator[Check]:
    """Check for a cooldown; a run by hand ignores it, so this is a warning."""
    found = cooldown.read(logs, name)
    if found is not None and found.blocks(now):
        advice = f"unattended runs leave it alone; `runner agents clear {name}` ends it"
        yield Check("cooldown", "warn", str(found), advice)


def _present(what: str, advice: str, *, there: bool) -> Check:
    if there:
        return Check("requires", "ok", f"{what} is there")
    return Check("requires", "fail", f"{what} is missing", advice)
