"""`runner budgets` and `runner prices`: what may still be spent, and what tokens cost."""

from __future__ import annotations

import time

from runner.budget import prices as known_prices
from runner.budget.admission import State, state_of
from runner.budget.ledger import Book, Entry, Ledger, is_live
from runner.budget.terms import limits_of, shown
from runner.commands._project import Opened, open_project
from runner.commands._table import table
from runner.commands.runs import terminal_width
from runner.errors import RunnerError
from runner.files import reason
from runner.model import JsonObject
from runner.text import json_text, rfc3339
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD = ("WINDOW", "BY", "UNIT", "LIMIT", "USED", "RESERVED", "LEFT", "UNTIL", "")


def budgets(project: str | None, *, as_json: bool) -> int:
    """Raises RunnerError where the file cannot be read."""
    opened = open_project(project)
    ledger = Ledger(opened.state)
    try:
        book = ledger.read()
    except OSError as error:
        raise RunnerError(f"cannot read `{ledger.path}`: {reason(error)}") from None
    book = replace(book, open={live: entry for live, entry in book.open.items() if is_live(live)})
    found = list(_states(opened, book))
    if as_json:
        print(json_text([_described(of, state) for of, state in found], 2))
    elif found:
        print(table(_HEAD, [row for of, state in found for row in _rows(of, state)], terminal_width()), end="")
    else:
        print("no budgets; add some under `settings.budgets` in tasks.yaml")
    return 0


def _states(opened: Opened, book: Book) -> list[tuple[str | None, State]]:
    """Each limit in its window of today, by agent or task once for each that it knows of; None for all."""
    now, root = time.time(), opened.config.project.root
    entries = [*book.spent, *book.open.values()]
    found: list[tuple[str | None, State]] = []
    for limit in limits_of(opened.config.settings.get("budgets") or []):
        names: dict[str | None, None] = {None: None}
        if limit.by == "agent":
            names = dict.fromkeys(sorted({entry.agent for entry in entries if entry.agent})) or names
        elif limit.by == "task":
            names = dict.fromkeys(sorted({entry.task for entry in entries if entry.project == root})) or names
        for name in names:
            who = Entry("", now, "", agent=name or "", task=name or "", project=root)
            found.append((name, state_of(limit, book, who, now)))
    return found


def _described(of: str | None, state: State) -> JsonObject:
    units = state.limit.amounts.known()
    return {
        "per": state.limit.per,
        "by": state.limit.by,
        "of": of,
        "begins": rfc3339(state.begins),
        "ends": rfc3339(state.ends),
        "limit": units,
        "used": _rounded(state.used),
        "reserved": _rounded(state.reserved),
        "left": {unit: max(0.0, round(state.left(unit), 6)) for unit in units},
        "holders": state.holders,
        "unknown": state.unknown,
    }


def _rounded(amounts: Mapping[str, float]) -> JsonObject:
    return {unit: round(amount, 6) for unit, amount in amounts.items()}


def _rows(of: str | None, state: State) -> list[tuple[str, ...]]:
    note = f"{state.unknown} unknown" if state.unknown else ""
    until = time.strftime("%Y-%m-%d", time.localtime(state.ends))
    whose = state.limit.by if of is None else f"{state.limit.by} {of}"
    return [
        (
            state.limit.per,
            whose,
            unit.removesuffix("_tokens"),
            *(_amount(unit, found) for found in (amount, state.used[unit], state.reserved[unit])),
            _amount(unit, max(0.0, state.left(unit))),
            until,
            note,
        )
        for unit, amount in state.limit.amounts.known().items()
    ]


def _amount(unit: str, amount: float) -> str:
    return shown(unit, amount).partition(" ")[0]


def prices(project: str | None, model: str, *, as_json: bool) -> int:
    """What the tokens of a model cost today, and who says so."""
    rows = open_project(project).config.settings.get("prices") or []
    found = known_prices.find(model, rows, time.time())
    why = found.why if found else known_prices.why_unknown()
    if as_json:
        kinds = ("input", "output", "cache_read", "cache_write")
        price = {kind: getattr(found, kind) for kind in kinds} if found else None
        print(json_text({"model": model, "price": price, "source": found.source if found else None, "why": why}, 2))
    elif found:
        print(f"{model}, per million tokens, by {why}:")
        print(f"  input ${found.input:g}, output ${found.output:g}", end="")
        print(f", cache read ${found.cache_read:g}, cache write ${found.cache_write:g}")
    else:
        print(f"{model}: unknown; {why}")
    return 0
