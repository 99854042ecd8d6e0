"""Which events a rule looks at (`when`) and what it takes from them (`at`)."""

from __future__ import annotations

from runner.parsers.paths import Path
from runner.parsers.scalars import number, scalar_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Pick(Protocol):
        def values(self, event: Any) -> list[Any]: ...


class Condition:
    """One line of a `when`: the scalars at a path are, or are not, among some texts; or something is there at all.

    A missing value equals nothing but null.
    """

    __slots__ = ("_exists", "_negated", "path", "texts")

    def __init__(self, path: Path, texts: frozenset[str], *, negated: bool = False, exists: bool | None = None) -> None:
        self.path = path
        self.texts = texts
        self._negated = negated
        self._exists = exists

    @property
    def literal(self) -> bool:
        """Whether it holds only for an event that has one of `texts` at its path."""
        return not self._negated and self._exists is None and "null" not in self.texts

    def holds(self, event: Any) -> bool:
        return self.accepts(self.path.values(event))

    def accepts(self, values: list[Any]) -> bool:
        if self._exists is not None:
            return bool(values) is self._exists
        equal = any(scalar_text(value) in self.texts for value in values) if values else "null" in self.texts
        return equal is not self._negated


class When:
    """All conditions must hold; without any, every event fits."""

    __slots__ = ("conditions",)

    def __init__(self, conditions: tuple[Condition, ...] = ()) -> None:
        self.conditions = conditions

    def fits(self, event: Any) -> bool:
        return all(condition.holds(event) for condition in self.conditions)


class At:
    """The scalars at a path, or whatever is there when `containers` (for `count` and `keys`)."""

    __slots__ = ("_containers", "_path")

    def __init__(self, path: Path, *, containers: bool = False) -> None:
        self._path = path
        self._containers = containers

    def values(self, event: Any) -> list[Any]:
        found = self._path.values(event)
        return found if self._containers else [value for value in found if not isinstance(value, dict | list)]


class FirstOf:
    """The first alternative that yields anything."""

    __slots__ = ("_alternatives",)

    def __init__(self, alternatives: tuple[Pick, ...]) -> None:
        self._alternatives = alternatives

    def values(self, event: Any) -> list[Any]:
        for alternative in self._alternatives:
            found = alternative.values(event)
            if found:
                return found
        return []


class Sum:
    """The sum of the parts that are there: a CLI leaves out a cache count that it did not use. No part, no sum."""

    __slots__ = ("_parts",)

    def __init__(self, parts: tuple[Pick, ...]) -> None:
        self._parts = parts

    def values(self, event: Any) -> list[Any]:
        found = [amount for part in self._parts for amount in _numbers(part, event)]
        return [sum(found)] if found else []


class Minus:
    """The first part less all others; unknown when a part is missing or when less than nothing remains."""

    __slots__ = ("_parts",)

    def __init__(self, parts: tuple[Pick, ...]) -> None:
        self._parts = parts

    def values(self, event: Any) -> list[Any]:
        amounts = [_numbers(part, event) for part in self._parts]
        if not all(amounts):
            return []
        first, *rest = (sum(amount) for amount in amounts)
        return [first - sum(rest)] if first >= sum(rest) else []


def _numbers(part: Pick, event: Any) -> list[float]:
    return [amount for value in part.values(event) if (amount := number(value)) is not None]
