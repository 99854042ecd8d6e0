"""What was agreed on for one run: its own budget, the limits of its windows, prices. Pure."""

from __future__ import annotations

import re
from math import isfinite

from runner.units import format_count
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from runner.model import JsonObject

_TOKENS = r" *(?:(output) *: *)?(\d+(?:\.\d+)?) *([kmg]?) *"
_FACTORS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}
TOKENS_FORM = "a number of tokens such as `3M`, `200k` or `output:200k`"
UNITS = ("cost", "tokens", "output_tokens", "tool_calls")


@dataclass(frozen=True)
class Amounts:
    """US dollars, tokens sent and produced together, those produced, tool calls; None is unknown, or no limit."""

    cost: float | None = None
    tokens: float | None = None
    output_tokens: float | None = None
    tool_calls: float | None = None

    def of(self, unit: str) -> float | None:
        found: float | None = getattr(self, unit)
        return found

    def known(self) -> dict[str, float]:
        return {unit: amount for unit in UNITS if (amount := self.of(unit)) is not None}


@dataclass(frozen=True)
class Limit:
    """What the runs of a window may spend together: `per` day, week or month, `by` all, agent or task."""

    per: str
    by: str
    amounts: Amounts
    on_unknown: str = "tokens"


@dataclass(frozen=True)
class Terms:
    """`prices` are the rows of `settings.prices`, as the YAML has them; `on_unknown` is the run's own."""

    own: Amounts
    limits: tuple[Limit, ...] = ()
    prices: tuple[JsonObject, ...] = ()
    on_unknown: str = "tokens"

    @property
    def limits_cost(self) -> bool:
        return self.own.cost is not None or any(limit.amounts.cost is not None for limit in self.limits)


def parse_tokens(value: str | float) -> tuple[str, float]:
    """The unit, `tokens` or `output_tokens`, and how many. Raises ValueError."""
    found = re.fullmatch(_TOKENS, str(value).lower())
    amount = float(found[2]) * _FACTORS[found[3]] if found else 0.0
    if found is None or not amount or not isfinite(amount):
        raise ValueError(f"expected {TOKENS_FORM}, got `{value}`")
    return ("output_tokens" if found[1] else "tokens"), amount


def amounts_of(entry: Mapping[str, Any]) -> Amounts:
    """Of a `budget`, or of a row of `budgets`. Raises ValueError."""
    given: dict[str, float] = {unit: float(entry[unit]) for unit in ("cost", "tool_calls") if unit in entry}
    if "tokens" in entry:
        unit, amount = parse_tokens(entry["tokens"])
        given[unit] = amount
    return Amounts(**given)


def limits_of(rows: list[JsonObject]) -> tuple[Limit, ...]:
    """`settings.budgets`. Raises ValueError."""
    return tuple(
        Limit(row["per"], row.get("by", "all"), amounts_of(row), row.get("on_unknown", "tokens")) for row in rows
    )


def terms_of(raw: Mapping[str, Any]) -> Terms:
    """What `Invocation.budget` holds. Raises ValueError."""
    own = raw.get("own") or {}
    return Terms(
        own=amounts_of(own),
        limits=limits_of(raw.get("budgets") or []),
        prices=tuple(raw.get("prices") or ()),
        on_unknown=own.get("on_unknown", "tokens"),
    )


def shown(unit: str, amount: float) -> str:
    """`$2.10`, `3,000,000 tokens`."""
    if unit == "cost":
        return f"${amount:,.2f}" if amount >= 0.1 or not amount else f"${amount:,.4f}"
    return f"{format_count(round(amount))} {unit.replace('_', ' ')}"
