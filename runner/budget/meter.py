"""How much of its budget one run has used, by what its CLI tells while it runs and in the end."""

from __future__ import annotations

import time

from runner.budget import prices
from runner.budget.terms import UNITS, Amounts, shown
from runner.model import Usage
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from runner.budget.terms import Terms
    from runner.model import JsonObject, Reply

    class Live(Protocol):
        """The parser's view of a run that is not over."""

        @property
        def terminal(self) -> bool: ...
        def measured(self, name: str) -> Any: ...


_NOTE_AT = 0.8
_BY_ITSELF = ("exit", "linger")
_KINDS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")


class Meter:
    """`model` is the one that was asked for; the CLI's own word for it is better, once it is there."""

    def __init__(self, terms: Terms, live: Live, model: str | None) -> None:
        self._terms = terms
        self._live = live
        self._model = model
        self._prices: dict[str | None, prices.Price | None] = {}
        self._noted = False
        self._used = Amounts()

    def look(self) -> tuple[bool, str | None]:
        """Whether the run has used its budget, and what is to be said of it, once."""
        own = self._terms.own.known()
        if not own or self._live.terminal:  # a run that is done is not ended any more
            return False, None
        self._used = self._measured()
        share, unit = max((self._share(unit), unit) for unit in own)
        if share >= 1:
            return True, None
        if self._noted or share < _NOTE_AT:
            return False, None
        self._noted = True
        return False, self._words(unit)

    def settle(self, reply: Reply, ended_by: str) -> Reply:
        """The reply with its cost, where a price says it, and with what the record has of the budget."""
        ended = ended_by == "budget"
        cost, source, is_bound = self._cost(reply)
        used = _largest(self._used, _of_usage(reply.usage, cost, reply.tool_calls))
        own = self._terms.own.known()
        known = used.known()
        over = {unit: round(known[unit] - own[unit], 6) for unit in own if known.get(unit, 0.0) > own[unit]}
        notes = [self._words(unit, used) for unit in own if self._share(unit, used) >= (1 if ended else _NOTE_AT)]
        spent: JsonObject = {
            "cost_source": source,
            "cost_lower_bound": is_bound or (cost is not None and ended_by not in _BY_ITSELF),
            "budget": {"limit": own, "used": known, "overshoot": over} if own else None,
            "words": "; ".join(notes) if ended else None,
        }
        doubts = reply.doubts if ended else (*reply.doubts, *notes)
        return replace(reply, cost_usd=cost, doubts=doubts, spent=spent)

    def _share(self, unit: str, used: Amounts | None = None) -> float:
        return ((used or self._used).of(unit) or 0.0) / (self._terms.own.of(unit) or 1.0)

    def _words(self, unit: str, used: Amounts | None = None) -> str:
        """`85 % of the budget is used: $1.70 of $2.00`."""
        amount, limit = (used or self._used).of(unit) or 0.0, self._terms.own.of(unit) or 0.0
        return f"{self._share(unit, used):.0%} of the budget is used: {shown(unit, amount)} of {shown(unit, limit)}"

    def _measured(self) -> Amounts:
        """By the reply as far as it is there, else by the numbers that come with each message."""
        usage = Usage(**{kind: self._live.measured(f"usage.{kind}") for kind in _KINDS})
        cost = self._live.measured("cost_usd")
        if cost is None and self._terms.limits_cost:
            price = self._price(self._live.measured("model"))
            cost = prices.cost_of(usage, price)[0] if price else None
        return _largest(self._used, _of_usage(usage, cost, self._live.measured("tool_calls")))

    def _price(self, model: str | None) -> prices.Price | None:
        for name in (model, self._model):
            if name not in self._prices:
                self._prices[name] = prices.find(name, self._terms.prices, time.time())
            if self._prices[name] is not None:
                return self._prices[name]
        return None

    def _cost(self, reply: Reply) -> tuple[float | None, str | None, bool]:
        """What the run cost, who says so, and whether it is certain to be no less only."""
        if reply.cost_usd is not None:
            return reply.cost_usd, "reported", False
        price = self._price(reply.model)
        if price is None:
            return None, None, False
        cost, is_bound = prices.cost_of(reply.usage, price)
        if cost is not None:
            return round(cost, 6), price.source, is_bound
        # The run ended before its CLI told what it had used.
        usage = Usage(**{kind: self._live.measured(f"usage.{kind}") for kind in _KINDS})
        cost, _ = prices.cost_of(usage, price)
        return (None, None, False) if cost is None else (round(cost, 6), price.source, True)


def _of_usage(usage: Usage, cost: float | None, tool_calls: int | None) -> Amounts:
    told = [tokens for tokens in (usage.input_tokens, usage.output_tokens) if tokens is not None]
    return Amounts(cost, sum(told) if told else None, usage.output_tokens, tool_calls)


def _largest(one: Amounts, other: Amounts) -> Amounts:
    """What was used does not become less; a message that is told again is not used again."""
    pairs = {unit: [found for found in (one.of(unit), other.of(unit)) if found is not None] for unit in UNITS}
    return Amounts(**{unit: max(found, default=None) for unit, found in pairs.items()})
