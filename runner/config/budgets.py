"""What `validate` looks at in budgets and prices: what nobody can measure, and rows that say nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date

from runner.budget.measure import is_refused, unknown_units, why
from runner.budget.terms import amounts_of
from runner.config.config import Config
from runner.config.display import Path
from runner.errors import Problem
from runner.model import JsonObject

_HINT = "add a row to `settings.prices`, or say `on_unknown: allow`"
_HINT_WITHOUT_COST = "limit what it tells, or say `on_unknown: allow`"


def budget_problems(config: Config) -> Iterator[Problem]:
    """Yield errors of rows that say nothing, and a warning for each agent of a task that no budget can be kept with."""
    yield from _rows(config)
    seen = set()
    for task, agent in _pairs(config):
        for path, entry in _budgets(config, task, agent):
            problem = _unmeasured(config, path, entry, (task, agent))
            if problem is not None and (problem.line, problem.message) not in seen:
                seen.add((problem.line, problem.message))
                yield problem


def _rows(config: Config) -> Iterator[Problem]:
    for at, row in enumerate(config.settings.get("budgets") or []):
        path: Path = ("settings", "budgets", at)
        if "cost" not in row and "tokens" not in row:
            yield _problem(config, (*path, "per"), "this row limits nothing", "add `cost` or `tokens`", "error")
    known: dict[tuple[str, str], int] = {}
    for at, row in enumerate(config.settings.get("prices") or []):
        path, begin = ("settings", "prices", at), row.get("from", "")
        if begin and not _is_day(begin):
            yield _problem(config, (*path, "from"), f"there is no day `{begin}`", None, "error")
        first = known.setdefault((row["match"].lower(), begin), at)
        if first != at:
            message = f"is never used: row {first + 1} is for the same models and days"
            yield _problem(config, (*path, "match"), message, "give it a later `from`", "warning")


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _pairs(config: Config) -> Iterator[tuple[str, str]]:
    """Yield each task with the agents that it or its schedules name."""
    for name, task in config.tasks.items():
        for entry in (task, *(task.get("schedule") or [])):
            yield from ((name, agent) for agent in entry.get("agents") or [] if agent in config.agents)


def _budgets(config: Config, task: str, agent: str) -> Iterator[tuple[Path, JsonObject]]:
    for section, name, entries in (("tasks", task, config.tasks), ("agents", agent, config.agents)):
        if "budget" in entries[name]:
            yield (section, name, "budget"), entries[name]["budget"]
    for at, row in enumerate(config.settings.get("budgets") or []):
        yield ("settings", "budgets", at), row


def _unmeasured(config: Config, path: Path, entry: JsonObject, pair: tuple[str, str]) -> Problem | None:
    task, agent = config.tasks[pair[0]], config.agents[pair[1]]
    model = task.get("model") or (agent.get("model") or {}).get("default")
    amounts, rows = amounts_of(entry), config.settings.get("prices") or []
    unknown = unknown_units(amounts, config.parser(agent["parser"]), model, rows, time.time())
    if not is_refused(unknown, amounts, entry.get("on_unknown", "tokens")):
        return None
    message = f"no run of `{pair[1]}` would begin: {why(unknown, agent['parser'], model)}"
    path = (*path, "tokens" if unknown[0] == "output_tokens" else unknown[0])
    return _problem(config, path, message, _HINT if unknown[0] == "cost" else _HINT_WITHOUT_COST, "warning")


def _problem(config: Config, path: Path, message: str, hint: str | None, severity: str) -> Problem:
    return Problem(*config.locate(*path), message, config.show(*path), hint, severity)
