"""How the values of a field become one: first, last, sum, max, count, join, keys."""

from __future__ import annotations

from collections.abc import Callable

from runner.model import Evidence, JsonObject
from runner.parsers.faults import Line
from runner.parsers.scalars import collapsed, count, is_absurd, is_rounded, number, one_line, scalar_text, valid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Step: TypeAlias = Callable[[Any, list[Any]], Any]

MAX_JOIN = 16 * 1024 * 1024
MAX_LIST = 1000
MAX_NAMES = 20
MAX_KEY = 200
MAX_KEYS = 100_000


def _sum(kept: Any, values: list[Any]) -> Any:
    amounts = _numbers(values)
    return (kept or 0) + sum(amounts) if amounts else kept


def _max(kept: Any, values: list[Any]) -> Any:
    amounts = _numbers(values)
    return max(amounts if kept is None else [kept, *amounts], default=kept)


def _join(kept: Any, values: list[Any]) -> Any:
    room: int
    parts: list[str]  # adding to one long string would copy it each time
    room, parts = (MAX_JOIN, []) if kept is None else kept
    text = "".join(scalar_text(value) or "" for value in values)[:room]
    parts.append(text)
    return room - len(text), parts


def _keys(kept: Any, values: list[Any]) -> Any:
    names = [key for value in values if isinstance(value, dict) for key in value]
    return dict.fromkeys([*(kept or ()), *names])


def _numbers(values: list[Any]) -> list[float]:
    return [amount for value in values if (amount := number(value)) is not None]


TAKES: dict[str, Step] = {
    "last": lambda _kept, values: values[-1],
    "first": lambda _kept, values: values[0],  # `Fold` adds nothing to a first value
    "sum": _sum,
    "max": _max,
    "count": lambda kept, values: (kept or 0) + len(values),
    "join": _join,
    "keys": _keys,
    "list": lambda kept, values: [*(kept or ()), *values][:MAX_LIST],
}


class Fold:
    """The value of one field rule so far, and the line that last had a part in it."""

    __slots__ = ("_collapse", "_kept", "_limit", "_line", "_of", "_step", "_take", "absurd", "approximate")

    def __init__(self, take: str, limit: float | None = None, *, collapse: bool = False) -> None:
        """`limit` is for numbers: one that is not from 0 to there makes the value unknown."""
        self._limit = limit
        self._collapse = collapse
        self.approximate = False
        self.absurd: float | None = None
        self._take = take
        self._step = TAKES[take]
        self._kept: Any = None
        self._of: dict[str, float] = {}
        self._line: Line | None = None

    def add(self, values: list[Any], line: Line) -> None:
        if values and not (self._take == "first" and self._kept is not None):
            if self._limit is not None and not self.counts:
                self.absurd = next((value for value in values if is_absurd(value, self._limit)), self.absurd)
                self.approximate = self._is_approximate(values)
            self._kept = self._step(self._kept, values)
            self._line = line

    def increase(self, keys: list[Any], values: list[Any]) -> list[Any]:
        """How much more these values are than what came with the same keys before: a message may be told twice."""
        amounts = _numbers(values)
        key = " ".join(scalar_text(key) or "" for key in keys)[:MAX_KEY]
        if not amounts or not key or (key not in self._of and len(self._of) >= MAX_KEYS):
            return values
        before, amount = self._of.get(key, 0), max(amounts)
        self._of[key] = max(before, amount)
        return [max(amount - before, 0)]

    def _is_approximate(self, values: list[Any]) -> bool:
        """Whether a rounded number has a part in what is kept when these come."""
        if self._take in ("first", "last"):
            return is_rounded(values[0 if self._take == "first" else -1])
        return self.approximate or any(is_rounded(value) for value in values)

    def reset(self) -> None:
        self._kept = None
        self.approximate = False

    @property
    def counts(self) -> bool:
        return self._take == "count"

    @property
    def evidence(self) -> Evidence | None:
        return self._line.evidence if self._line else None

    @property
    def value(self) -> Any:
        """A scalar or a list; None when nothing was reported, or nothing that can be."""
        found = self._folded()
        return collapsed(found) if self._collapse and isinstance(found, str) else found

    def _folded(self) -> Any:
        if self.absurd is not None:
            return None
        if self._take == "join" and self._kept is not None:
            return "".join(self._kept[1])
        if self._take == "keys" and self._kept is not None:
            return ", ".join(self._kept) or None
        return self._kept


def as_text(value: Any) -> str | None:
    return None if value is None else valid(scalar_text(value) or "")


def as_name(value: Any) -> str | None:
    """Return a short text on one line: an id, a model's name; an empty one was not reported."""
    text = as_text(value)
    return (one_line(text[:500]) or None) if text else None


def as_denials(value: Any) -> JsonObject | None:
    """Return how many tool calls were denied and the names of the tools, each once."""
    if not isinstance(value, list):
        return None
    names = (as_name(name) for name in value)
    return {"count": len(value), "names": list(dict.fromkeys(name for name in names if name))[:MAX_NAMES]}


def as_money(value: Any) -> float | None:
    amount = number(value)
    return float(amount) if amount is not None and amount >= 0 else None


FIELDS: dict[str, Callable[[Any], Any]] = {
    "text": as_text,
    "session_id": as_name,
    "model": as_name,
    "cost_usd": as_money,
    "tool_calls": count,
    "denials": as_denials,
    "output": lambda value: value,
    "usage.input_tokens": count,
    "usage.output_tokens": count,
    "usage.cache_read_tokens": count,
    "usage.cache_write_tokens": count,
    "usage.reasoning_tokens": count,
}
"""The fields of a reply and what a folded value must be to count as reported."""

MAX_TOKENS = 1e12
LIMITS = {
    "cost_usd": 1e6,
    "tool_calls": 1e9,
    **{name: MAX_TOKENS for name in FIELDS if name.startswith("usage.")},
}
"""The largest number that is believed."""
