"""Agents that a task names: they exist, and they can do what it asks."""

from __future__ import annotations

from runner.config.messages import quote
from runner.config.nearest import near
from runner.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from runner.config.paths import Path
    from runner.config.value import Config
    from runner.model import JsonObject


def pair_problems(config: Config, name: str) -> Iterator[Problem]:
    task, path = config.tasks[name], ("tasks", name)
    for where, agent, is_key in _named(task, path):
        place = config.origin(*where) if is_key else config.locate(*where)
        if agent not in config.agents:
            hint = near(agent, config.agents) or "`runner agents` lists them"
            yield Problem(*place, f"unknown agent {quote(agent)}", config.show(*where), hint)
        elif task.get("requires_commit") and (config.agents[agent].get("requires") or {}).get("edits") is False:
            message = f"the agent {quote(agent)} cannot change files, and the task requires a commit"
            yield Problem(*place, message, config.show(*where))


def _named(task: JsonObject, path: Path) -> Iterator[tuple[Path, str, bool]]:
    """Each name of an agent in a task: its path, the name, whether it is a key."""
    yield from _listed(task.get("agents") or [], (*path, "agents"))
    yield from _fallback(task.get("fallback"), (*path, "fallback"))
    for at, schedule in enumerate(task.get("schedule") or []):
        yield from _listed(schedule.get("agents") or [], (*path, "schedule", at, "agents"))
        yield from _fallback(schedule.get("fallback"), (*path, "schedule", at, "fallback"))


def _fallback(value: Any, path: Path) -> Iterator[tuple[Path, str, bool]]:
    if isinstance(value, dict):
        for name, others in value.items():
            yield (*path, name), name, True
            yield from _listed([others] if isinstance(others, str) else others, (*path, name))
    else:
        yield from _listed(value or [], path)


def _listed(names: list[str], path: Path) -> Iterator[tuple[Path, str, bool]]:
    return (((*path, at), name, False) for at, name in enumerate(names))
