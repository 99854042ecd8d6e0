"""Models and options against the choices that an agent gives."""

from __future__ import annotations

from runner.config.messages import listed, shown
from runner.config.nearest import near
from runner.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from runner.config.paths import Path
    from runner.config.value import Config
    from runner.model import JsonObject


def agent_choices(config: Config, name: str) -> Iterator[Problem]:
    agent, path = config.agents[name], ("agents", name)
    yield from _default(config, agent.get("model") or {}, (*path, "model"))
    for option, rule in (agent.get("options") or {}).items():
        yield from _default(config, rule, (*path, "options", option))


def _default(config: Config, rule: JsonObject, path: Path) -> Iterator[Problem]:
    choices, value = rule.get("choices"), rule.get("default")
    if choices and value is not None and value not in choices:
        yield _not_among(config, (*path, "default"), value, choices)


def task_choices(config: Config, name: str) -> Iterator[Problem]:
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


def _options(config: Config, agent: str) -> JsonObject:
    return config.agents[agent].get("options") or {}


def _not_among(config: Config, path: Path, value: Any, choices: list[Any]) -> Problem:
    hint = near(str(value), [str(choice) for choice in choices])
    message = f"expected one of {listed(list(dict.fromkeys(choices))[:16])}, got {shown(value)}"
    return Problem(*config.locate(*path), message, config.show(*path), hint)
