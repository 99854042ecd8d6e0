"""Everything that `runner validate` looks at beyond what a load checks: templates, choices, agents, schedules.

Also warns of what works, but not for long or not for everybody.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from itertools import chain, islice
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from runner.config.budgets import budget_problems
from runner.config.build import MAX_PROBLEMS
from runner.config.config import Config
from runner.config.display import Path, listed, near, quoted, show_value
from runner.config.senseless import senseless_rules
from runner.config.templates import (
    agent_problems,
    deep_problems,
    output_problems,
    prompt_problems,
    shared_problems,
    task_problems,
    texts_below,
    unused_sandboxes,
)
from runner.crontimes import ALIASES
from runner.errors import Problem
from runner.mask import SHORTEST, is_secret
from runner.model import JsonObject
from runner.parsers.patterns import nests_repeats
from runner.template import names_in_env

_PROMPT = re.compile(r"\{\{-?\s*prompt\b(?!_)")
_PROMPT_OR_FILE = re.compile(r"\{[{%][^{}]*\bprompt(_file)?\b")
_CRON_FIELDS = ("minute", "hour", "day-of-month", "month", "day-of-week")
_ANY_DAY = datetime(2026, 1, 1)


def check_all(config: Config) -> list[Problem]:
    """Return the problems and warnings of every agent and task; at most a few more than are shown."""
    agents = (
        problem
        for name in config.agents
        for check in (agent_problems, deep_problems, _agent_choices, _agent_warnings)
        for problem in check(config, name)
    )
    tasks = (
        problem
        for name in config.tasks
        for problem in chain(
            task_problems(config, name, None),
            prompt_problems(config, name, None),
            output_problems(config, name),
            _task_choices(config, name),
            named_agents(config, name),
            _verify(config, name),
            schedule_problems(config, name),
        )
    )
    shared = chain(
        _slow_patterns(config),
        senseless_rules(config),
        unused_sandboxes(config),
        budget_problems(config),
        shared_problems(config),
        _quiet_zone(config, config.notify, ("notify",)),
    )
    return list(islice(chain(agents, tasks, shared), MAX_PROBLEMS + 1))


def _slow_patterns(config: Config) -> Iterator[Problem]:
    """Warn of patterns that a text of an agent could keep busy; each has a limit of time, and then does not match."""
    for section, entries in (("parsers", config.parsers), ("tasks", config.tasks)):
        for path, text in texts_below(dict(entries), (section,)):
            is_pattern = path[-1] in ("match", "nothing_to_do") or (len(path) > 2 and path[2] == "strip")
            if is_pattern and nests_repeats(text):
                message = f"repeats a repetition without bounds, so some texts take for ever: {quoted(text)}"
                yield _warning(config, path, message, "take one of the two repetitions out")


def _agent_choices(config: Config, name: str) -> Iterator[Problem]:
    """Check the defaults of an agent's model and options against their choices."""
    agent, path = config.agents[name], ("agents", name)
    yield from _default(config, agent.get("model") or {}, (*path, "model"))
    for option, rule in (agent.get("options") or {}).items():
        yield from _default(config, rule, (*path, "options", option))


def _default(config: Config, rule: JsonObject, path: Path) -> Iterator[Problem]:
    choices, value = rule.get("choices"), rule.get("default")
    if choices and value is not None and value not in choices:
        yield _not_among(config, (*path, "default"), value, choices)


def _task_choices(config: Config, name: str) -> Iterator[Problem]:
    """Check a task's model and options against the choices of the agents that may run it."""
    task = config.tasks[name]
    names = [agent for agent in task.get("agents") or config.agents if agent in config.agents]
    for option, value in (task.get("options") or {}).items():
        rules = [config.agents[agent]["options"][option] for agent in names if option in _options(config, agent)]
        path: Path = ("tasks", name, "options", option)
        if not rules:
            known = {known for agent in names for known in _options(config, agent)}
            message = f"no agent that may run this task has an option `{option}`"
            yield Problem(*config.origin(*path), message, config.show(*path), near(option, known))
        elif all(rule.get("choices") and value not in rule["choices"] for rule in rules):
            yield _not_among(config, path, value, [choice for rule in rules for choice in rule["choices"]])
    models = [config.agents[agent].get("model") or {} for agent in names]
    if "model" in task and models and all(task["model"] not in rule.get("choices", [task["model"]]) for rule in models):
        choices = [choice for rule in models for choice in rule["choices"]]
        yield _not_among(config, ("tasks", name, "model"), task["model"], choices)


def _verify(config: Config, name: str) -> Iterator[Problem]:
    """Check that no two checks have one name, and warn of commands that are not here."""
    seen: set[str] = set()
    for at, check in enumerate((config.tasks[name].get("verify") or {}).get("checks") or ()):
        path: Path = ("tasks", name, "verify", "checks", at)
        if check["name"] in seen:
            message = f"there is a check {quoted(check['name'])} already"
            yield Problem(*config.locate(*path, "name"), message, config.show(*path, "name"), "give it another name")
        seen.add(check["name"])
        program = check["run"][0] if isinstance(check["run"], list) else "/bin/sh"
        if "{" not in program and shutil.which(program) is None and os.sep not in program:
            hint = "a run of the task is skipped where a check cannot be started"
            yield _warning(config, (*path, "run"), f"there is no program {quoted(program)} on this machine", hint)


def _options(config: Config, agent: str) -> JsonObject:
    return config.agents[agent].get("options") or {}


def _not_among(config: Config, path: Path, value: Any, choices: list[Any]) -> Problem:
    hint = near(str(value), [str(choice) for choice in choices])
    message = f"expected one of {listed(list(dict.fromkeys(choices))[:16])}, got {show_value(value)}"
    return Problem(*config.locate(*path), message, config.show(*path), hint)


def named_agents(config: Config, name: str) -> Iterator[Problem]:
    """Check that the agents that a task names exist, and that they can do what it asks."""
    task, path = config.tasks[name], ("tasks", name)
    for where, agent, is_key in _named(task, path):
        place = config.origin(*where) if is_key else config.locate(*where)
        if agent not in config.agents:
            hint = near(agent, config.agents) or "`runner agents` lists them"
            yield Problem(*place, f"unknown agent {quoted(agent)}", config.show(*where), hint)
        elif task.get("requires_commit") and (config.agents[agent].get("requires") or {}).get("edits") is False:
            message = f"the agent {quoted(agent)} cannot change files, and the task requires a commit"
            yield Problem(*place, message, config.show(*where))


def _named(task: JsonObject, path: Path) -> Iterator[tuple[Path, str, bool]]:
    """Yield each name of an agent in a task: its path, the name, whether it is a key."""
    for entry, where in ((task, path), *_schedules(task, path)):
        yield from _listed(entry.get("agents") or [], (*where, "agents"))
        yield from _fallback(entry.get("fallback"), (*where, "fallback"))


def _schedules(task: JsonObject, path: Path) -> list[tuple[JsonObject, Path]]:
    return [(schedule, (*path, "schedule", at)) for at, schedule in enumerate(task.get("schedule") or [])]


def _fallback(value: Any, path: Path) -> Iterator[tuple[Path, str, bool]]:
    if isinstance(value, dict):
        for name, others in value.items():
            yield (*path, name), name, True
            yield from _listed([others] if isinstance(others, str) else others, (*path, name))
    else:
        yield from _listed(value or [], path)


def _listed(names: list[str], path: Path) -> Iterator[tuple[Path, str, bool]]:
    return (((*path, at), name, False) for at, name in enumerate(names))


def schedule_problems(config: Config, name: str) -> Iterator[Problem]:
    task, path = config.tasks[name], ("tasks", name)
    for schedule, where in _schedules(task, path):
        yield from _cron(config, schedule["cron"], (*where, "cron"))
        if "timezone" in schedule:
            yield from _zone(config, schedule["timezone"], (*where, "timezone"))
        if "agents" not in schedule and "agents" not in task:
            hint = "add `agents` to the schedule or to the task"
            yield Problem(*config.origin(*where), "a schedule without agents", config.show(*where), hint)
    if isinstance(task.get("notify"), dict):
        yield from _quiet_zone(config, task["notify"], (*path, "notify"))


def _quiet_zone(config: Config, notify: JsonObject, path: Path) -> Iterator[Problem]:
    quiet = notify.get("quiet")
    if isinstance(quiet, dict) and "timezone" in quiet:
        yield from _zone(config, quiet["timezone"], (*path, "quiet", "timezone"))


def _cron(config: Config, text: str, path: Path) -> Iterator[Problem]:
    message, column, hint = cron_fault(text)
    if message:
        yield Problem(*config.inside(path, 1, column), message, config.show(*path), hint)


def cron_fault(text: str) -> tuple[str | None, int, str | None]:
    """Return what is wrong with a cron expression, at which column, and what to write; None when it is right."""
    if text.startswith("@"):
        known = text in ALIASES
        return (None, 1, None) if known else (f"unknown cron word {quoted(text)}", 1, near(text, ALIASES))
    fields = list(re.finditer(r"\S+", text))
    if len(fields) != len(_CRON_FIELDS):
        hint = f"in order: {', '.join(_CRON_FIELDS)}"
        return f"expected five fields, got {len(fields)} in {quoted(text)}", 1, hint
    try:
        CronSim(text.upper(), _ANY_DAY)
    except CronSimError as error:
        kind = str(error).removeprefix("Bad ")
        field = fields[_CRON_FIELDS.index(kind)] if kind in _CRON_FIELDS else fields[0]
        return f"the {kind} of a cron expression cannot be {quoted(field[0])}", field.start() + 1, None
    return None, 1, None


def _zone(config: Config, zone: str, path: Path) -> Iterator[Problem]:
    try:
        ZoneInfo(zone)
    except (LookupError, ValueError, OSError):
        hint = near(zone, available_timezones()) or "a name such as `Europe/Berlin`"
        yield Problem(*config.locate(*path), f"unknown time zone {quoted(zone)}", config.show(*path), hint)


def _agent_warnings(config: Config, name: str) -> Iterator[Problem]:
    agent, path = config.agents[name], ("agents", name)
    for where, word in texts_below(agent["argv"], (*path, "argv")):
        if _PROMPT.search(word):
            hint = 'give it as `stdin: "{{ prompt }}"`, or name `{{ prompt_file }}`'
            message = "a prompt in argv is seen by every user of the machine, and fails above 128 KiB"
            yield _warning(config, where, message, hint)
    for where, word in texts_below(agent["argv"], (*path, "argv")):
        for variable, _, _ in names_in_env(word):
            if is_secret(variable):
                message = f"`{variable}` is a secret by its name, and every user of the machine sees what is in argv"
                yield _warning(config, where, message, f"the agent has `{variable}` in its environment already")
    for variable, value in ((agent.get("env") or {}).get("set") or {}).items():
        if is_secret(variable) and len(value) >= SHORTEST and "{{" not in value:
            hint = f"set `{variable}` in the environment and name it in `env.pass`"
            message = "by its name this is a secret, and whoever reads the file reads it"
            yield _warning(config, (*path, "env", "set", variable), message, hint)
    if not _hands_over(agent):
        hint = 'add `stdin: "{{ prompt }}"`'
        yield _warning(config, path, "nothing hands the prompt to this agent", hint, at_key=True)
    form = config.parser(agent["parser"])["format"]
    if agent.get("first_output") not in (None, "none") and form != "jsonl":
        where = (*path, "first_output")
        yield _warning(config, where, f"makes sense for jsonl parsers only, this one is `{form}`", None, at_key=True)


def _hands_over(agent: JsonObject) -> bool:
    places = (agent["argv"], agent.get("stdin"), agent.get("files"), (agent.get("env") or {}).get("set"))
    return any(_PROMPT_OR_FILE.search(text) for _, text in texts_below(list(places), ()))


def _warning(config: Config, path: Path, message: str, hint: str | None, *, at_key: bool = False) -> Problem:
    place = config.origin(*path) if at_key else config.locate(*path)
    return Problem(*place, message, config.show(*path), hint, "warning")
