"""`runner run`: one agent on one task."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import partial

from runner import git
from runner.commands._project import Watch
from runner.commands._request import Candidates, RunArguments, agents_of, candidates, run_arguments
from runner.config import Config
from runner.errors import ConfigError, Problem, UsageError
from runner.model import Invocation, Request, Skipped
from runner.process.containment import CONTAINMENT_VARIABLE, check_rung
from runner.records.folder import Logs, candidate_ids
from runner.records.summary import facts
from runner.run import cooldown
from runner.run.closing import Finished
from runner.run.plan import PROMPT_TASK, RunConfig, TemplateFaultError, plan
from runner.run.run import run as run_steps
from runner.run.site import Machine, Site
from runner.text import json_text, printable
from runner.units import parse_duration
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def run(names: tuple[str, ...], **values: Any) -> int:
    """The whole command; returns the last run's exit code. Raises RunnerError before a run has begun."""
    args = run_arguments(names, **values)
    report = not args.dry_run and (args.unattended or not sys.stderr.isatty())
    with Watch(args.project, report=report, words=repr(args)) as watch:
        return _runs(args, watch)


def _runs(args: RunArguments, watch: Watch) -> int:
    names, request = _asked(args)
    check_rung(os.environ.get(CONTAINMENT_VARIABLE))
    try:
        opened = watch.open(f"{request.agent} {request.task}")
        config = opened.config
        found = candidates(config, names, request)
        run_config, first = next(iter(found.values()))
        machine = Machine(
            environ=opened.environ,
            project=config.project.root,
            repo=_repo(config, request, run_config),
            logs=opened.logs.root,
            python=sys.executable,
            state=opened.state,
        )
        if args.dry_run:
            return _dry_run(run_config, first, machine, as_json=args.json)
        site = Site(machine, opened.logs, opened.notifier(run_config.task), sys.stderr)
        finished: list[Finished] = []
        code = _run(site, found, partial(_report, finished, as_json=args.json))
    except TemplateFaultError as fault:
        raise _located(fault, config, request) from None
    if args.json:
        print(json_text(finished[-1].record, 2))
    return code


def _run(site: Site, found: Candidates, report: Callable[[Finished], None]) -> int:
    """One run, or as many as it takes."""
    (name, (run_config, request)), *others = found.items()
    if not others and "retry" not in run_config.task:
        if not request.unattended:
            _note_cooldown(site.logs, name)
        finished = run_steps(site, run_config, request)
        report(finished)
        return finished.exit_code
    from runner.run.fallback import run_with_fallback  # noqa: PLC0415 - most commands are one run, which starts sooner without these
    from runner.run.retry import read_retry  # noqa: PLC0415 - the same

    for _, planned in others:
        _check(*planned, site.machine)
    return run_with_fallback(found, read_retry(run_config.task.get("retry")), site, report)


def _check(run_config: RunConfig, request: Request, machine: Machine) -> None:
    """Say what is wrong with the run of a fallback before anything runs. Raises RunnerError."""
    try:
        plan(run_config, request, machine, next(candidate_ids(time.time())))
    except Skipped:
        pass  # its turn may never come


def _note_cooldown(logs: Logs, agent: str) -> None:
    found = cooldown.read(logs, agent)
    if found is not None and found.blocks(time.time()):
        print(f"note: agent `{agent}` is {found}; a run by hand is tried all the same", file=sys.stderr)


def _report(before: list[Finished], finished: Finished, *, as_json: bool) -> None:
    """Each run when it is over; with --json stdout is left to the last one's record."""
    if as_json:
        print(facts(finished.record).headline, file=sys.stderr)
    else:
        print(("\n" if before else "") + finished.summary.rstrip("\n"))
    before.append(finished)


def _asked(args: RunArguments) -> tuple[tuple[str, ...], Request]:
    """The agents, and the request for the first of them."""
    agent, task = args.agent, args.task or (PROMPT_TASK if args.prompt is not None else None)
    if agent is None or task is None:
        what = "an agent and a task" if agent is None else "a task"
        raise UsageError(f"`runner run` needs {what}", hint="for example: runner run demo debug_hello_simple")
    if args.prompt is not None and not args.prompt.strip():
        raise UsageError("--prompt is empty", hint='for example: runner run demo --prompt "Say hello."')
    names = agents_of(agent)
    request = Request(
        agent=names[0],
        task=task,
        model=args.model,
        timeout=args.timeout,
        options=args.options,
        vars=args.vars,
        repo=args.repo,
        prompt=args.prompt,
        trigger="schedule" if args.unattended else "manual",
        wait=_wait(args.wait),
        unattended=args.unattended,
        gate=args.unattended or args.gate,
    )
    return names, request


def _wait(text: str | None) -> float:
    try:
        return parse_duration(text) or 0.0
    except ValueError as error:
        raise UsageError(f"--wait: {error}") from None


def _repo(config: Config, request: Request, run_config: RunConfig) -> str:
    """The checkout to work in: --repo, the task's, the project's folder."""
    repo = os.path.abspath(request.repo or run_config.task.get("repo") or config.project.root)
    if not os.path.isdir(repo):
        raise UsageError(f"the repository folder `{repo}` does not exist")
    return repo


def _located(fault: TemplateFaultError, config: Config, request: Request) -> ConfigError:
    """A template's fault as a problem at its place: in the prompt file itself, or at the YAML value that holds it."""
    line, column, key = fault.error.line, fault.error.column, ".".join(map(str, fault.path))
    if fault.path == ("tasks", request.task, "prompt"):
        place = os.path.relpath(config.task(request.task)["prompt"]), line, column
    else:
        place = config.inside(fault.path, line, column)
    return ConfigError([Problem(*place, fault.error.message, key)])


def _dry_run(run_config: RunConfig, request: Request, machine: Machine, *, as_json: bool) -> int:
    machine = replace(machine, identity=git.snapshot(machine.repo, machine.environ).identity)
    try:
        planned = plan(run_config, request, machine, next(candidate_ids(time.time())))
    except Skipped as skipped:
        skip = skipped.skip
        found = {"status": "skipped", "reason": skip.reason, "message": skip.message}
        text = f"would be skipped ({skip.reason}): {skip.message}"
        print(json_text(found, 2) if as_json else printable(text))
        return 12
    env = sorted(planned.env)
    shown = {"argv": list(planned.argv), "stdin": planned.stdin, "env": env, "cwd": planned.cwd}
    print(json_text(shown, 2) if as_json else printable(_shown(planned)))
    return 0


def _shown(planned: Invocation) -> str:
    import shlex  # noqa: PLC0415 - only for people who ask for it: off the hot path

    stdin = (
        "/dev/null" if planned.stdin is None else "\n" + "\n".join(f"  {line}" for line in planned.stdin.splitlines())
    )
    names = "\n".join(f"  {name}" for name in sorted(planned.env))
    return f"argv: {shlex.join(planned.argv)}\ncwd: {planned.cwd}\nenv:\n{names}\nstdin: {stdin}"
