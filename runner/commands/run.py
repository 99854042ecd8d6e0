"""`runner run`: one agent on one task."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from runner import git
from runner.commands.open import note_config_error, open_project
from runner.config import check_pair
from runner.config.prompts import read_prompt
from runner.errors import ConfigError, Problem, UsageError
from runner.logs import candidate_ids
from runner.model import Request, Skip
from runner.plan import PROMPT_TASK, Entries, TemplateFaultError, World, plan
from runner.process.containment import CONTAINMENT_VARIABLE, check_rung
from runner.run import run as run_steps
from runner.summary import headline
from runner.units import parse_duration

if TYPE_CHECKING:
    from runner.config import Config
    from runner.model import Invocation, JsonObject
    from runner.words import RunWords


def run(words: RunWords) -> int:
    """The whole command; returns the run's exit code. Raises RunnerError before a run has begun."""
    request = _request(words)
    check_rung(os.environ.get(CONTAINMENT_VARIABLE))
    try:
        opened = open_project(words.project)
        config, logs = opened.config, opened.logs
        entries = _entries(config, request)
        world = World(
            environ=opened.environ,
            project=config.project.root,
            repo=_repo(config, request, entries),
            logs=logs.root,
            python=sys.executable,
            state=opened.state,
        )
        if words.dry_run:
            return _dry_run(entries, request, world, as_json=words.json)
        finished = run_steps(entries, request, world, logs, opened.post(entries.task), sys.stderr)
    except TemplateFaultError as fault:
        raise _located(fault, config, request) from None
    except ConfigError as error:
        note_config_error(words.project, error)
        raise
    if words.json:
        _print(json.dumps(finished.record, ensure_ascii=False, indent=2))
        print(headline(finished.record), file=sys.stderr)
    else:
        _print(finished.summary.rstrip("\n"))
    return finished.exit_code


def _request(words: RunWords) -> Request:
    agent, task = words.agent, words.task or (PROMPT_TASK if words.prompt is not None else None)
    if agent is None or task is None:
        what = "an agent and a task" if agent is None else "a task"
        raise UsageError(f"`runner run` needs {what}", hint="for example: runner run demo debug_hello_simple")
    return Request(
        agent=agent,
        task=task,
        model=words.model,
        timeout=words.timeout,
        options=words.options,
        vars=words.vars,
        repo=words.repo,
        prompt=words.prompt,
        wait=_wait(words.wait),
    )


def _wait(text: str | None) -> float:
    try:
        return parse_duration(text) or 0.0
    except ValueError as error:
        raise UsageError(f"--wait: {error}") from None


def _entries(config: Config, request: Request) -> Entries:
    """The chosen agent and task. Raises UsageError for unknown names and ConfigError for what is wrong in the pair."""
    agent = config.agent(request.agent)
    free = request.task == PROMPT_TASK and request.prompt is not None
    task: JsonObject = {} if free else config.task(request.task)
    check_pair(config, request.agent, None if free else request.task)
    prompt = read_prompt(config, request.task) if request.prompt is None else request.prompt
    return Entries(agent, task, config.parser(agent["parser"]), config.settings, config.digest, prompt)


def _repo(config: Config, request: Request, entries: Entries) -> str:
    """The checkout to work in: --repo, the task's, the project's folder."""
    repo = os.path.abspath(request.repo or entries.task.get("repo") or config.project.root)
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


def _dry_run(entries: Entries, request: Request, world: World, *, as_json: bool) -> int:
    world = replace(world, identity=git.snapshot(world.repo, dict(world.environ), identity=True).identity)
    planned = plan(entries, request, world, next(candidate_ids(time.time())))
    if isinstance(planned, Skip):
        _print(f"would be skipped ({planned.reason}): {planned.message}")
        return 12
    _print(json.dumps(_described(planned), ensure_ascii=False, indent=2) if as_json else _shown(planned))
    return 0


def _described(planned: Invocation) -> JsonObject:
    return {
        "argv": list(planned.argv),
        "stdin": planned.stdin,
        "env": sorted(planned.env),
        "cwd": planned.cwd,
    }


def _shown(planned: Invocation) -> str:
    # Only for people who ask for it: off the hot path.
    import shlex  # noqa: PLC0415

    stdin = (
        "/dev/null" if planned.stdin is None else "\n" + "\n".join(f"  {line}" for line in planned.stdin.splitlines())
    )
    names = "\n".join(f"  {name}" for name in sorted(planned.env))
    return f"argv: {shlex.join(planned.argv)}\ncwd: {planned.cwd}\nenv:\n{names}\nstdin: {stdin}"


def _print(text: str) -> None:
    """A reader that went away must not change the run's exit code."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
