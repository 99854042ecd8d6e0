"""Which events a rule looks at (`when`) and what it takes from them (`at`), by paths into a JSON value.

A path is `a.b`, `["dashed-key"]`, `[0]`, `[?key=value]` and `*`. It yields every value it reaches, in order; a step
that does not fit (a missing key, a list where an object was expected) yields nothing. A null counts as not there: a
value that was not reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import nan

from runner.parsers.scalars import MAX_COUNT, Rounded, is_absurd, number, scalar_text
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Step: TypeAlias = Callable[[Any], Iterable[Any]]
    Pick: TypeAlias = Callable[[Any], list[Any]]
else:
    Pick = object  # so that an import of it need not be hidden


FORM = 'a path such as `usage.input_tokens`, `headers["retry-after"]`, `items[0]`, `content[?type=text]` or `models.*`'

# Read by hand: a regular expression for it would cost every start of the runner more than all its paths.
_SPECIAL = frozenset(".*[]\"'?=(){}<>|&;,: \t\r\n\\")


class Path:
    """A compiled path. `Path(text)` raises ValueError when `text` is not a path."""

    __slots__ = ("_keys", "_steps", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._keys: tuple[str, ...] | None = None
        self._steps: tuple[Step, ...] = ()
        if "[" in text or "*" in text:
            self._steps = tuple(_steps(text))
        else:
            self._keys = tuple(_checked(key, text) for key in text.split("."))

    @property
    def key(self) -> str | None:
        """The key, when the path is a single one."""
        return self._keys[0] if self._keys and len(self._keys) == 1 else None

    def values(self, data: Any) -> list[Any]:
        """Return every value at the path that is not null."""
        if self._keys is None:
            return self._fanned_out(data)
        for key in self._keys:
            if not isinstance(data, dict):
                return []
            data = data.get(key)
        return [] if data is None else [data]

    def _fanned_out(self, data: Any) -> list[Any]:
        reached = [data]
        for step in self._steps:
            reached = [value for item in reached for value in step(item)]
        return [value for value in reached if value is not None]


def _steps(text: str) -> Iterator[Step]:
    position = 0
    while position < len(text):
        if text[position] == "[":
            end = (
                text.find('"]', position + 2) + 1
                if text[position + 1 : position + 2] == '"'
                else text.find("]", position)
            )
            if end <= position:
                raise _bad(text)
            yield _bracketed(text[position + 1 : end], text)
            position = end + 1
            continue
        if position > 0:
            if text[position] != ".":
                raise _bad(text)
            position += 1
        end = min((at for mark in ".[" if (at := text.find(mark, position)) >= 0), default=len(text))
        key = text[position:end]
        yield _members if key == "*" else _keyed(_checked(key, text))
        position = end


def _bracketed(inner: str, text: str) -> Step:
    if inner == "*":
        return _members
    if inner.startswith('"') and len(inner) > 2:
        return _keyed(inner[1:-1])
    if inner.removeprefix("-").isdecimal() and len(inner) < 10:
        return _indexed(int(inner))
    name, equals, value = inner.removeprefix("?").partition("=")
    if inner.startswith("?") and equals and name and not {"[", "*"} & set(name):
        return _tested(Path(name), value.strip().strip('"'))
    raise _bad(text)


def _checked(key: str, text: str) -> str:
    if not key or _SPECIAL & set(key):
        raise _bad(text)
    return key


def _bad(text: str) -> ValueError:
    return ValueError(f"bad path `{text}`, expected {FORM}")


def _members(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _keyed(key: str) -> Step:
    return lambda value: (value.get(key),) if isinstance(value, dict) else ()


def _indexed(index: int) -> Step:
    def step(value: Any) -> Iterable[Any]:
        return (value[index],) if isinstance(value, list) and -len(value) <= index < len(value) else ()

    return step


def _tested(path: Path, wanted: str) -> Step:
    def fits(item: Any) -> bool:
        return any(scalar_text(value) == wanted for value in path.values(item))

    return lambda value: [item for item in _members(value) if fits(item)]


@dataclass(frozen=True, eq=False, repr=False)
class Condition:
    """One line of a `when`: the scalars at a path are, or are not, among some texts; or something is there at all.

    A missing value equals nothing but null.
    """

    path: Path
    texts: frozenset[str]
    negated: bool = False
    exists: bool | None = None

    @property
    def literal(self) -> bool:
        """Whether it holds only for an event that has one of `texts` at its path."""
        return not self.negated and self.exists is None and "null" not in self.texts

    def holds(self, event: Any) -> bool:
        return self.accepts(self.path.values(event))

    def accepts(self, values: list[Any]) -> bool:
        if self.exists is not None:
            return bool(values) is self.exists
        equal = any(scalar_text(value) in self.texts for value in values) if values else "null" in self.texts
        return equal is not self.negated


@dataclass(frozen=True, eq=False, repr=False)
class When:
    """All conditions must hold; without any, every event fits."""

    conditions: tuple[Condition, ...] = ()

    def fits(self, event: Any) -> bool:
        return all(condition.holds(event) for condition in self.conditions)


def at(path: Path, *, containers: bool = False) -> Pick:
    """Take the scalars at a path, or whatever is there when `containers` (for `count` and `keys`)."""
    if containers:
        return path.values
    return lambda event: [value for value in path.values(event) if not isinstance(value, dict | list)]


def first_of(alternatives: tuple[Pick, ...]) -> Pick:
    """Take the first alternative that yields anything."""
    return lambda event: next((found for pick in alternatives if (found := pick(event))), [])


def sum_of(parts: tuple[Pick, ...]) -> Pick:
    """Add the parts that are there: a CLI leaves out a cache count that it did not use. No part, no sum."""

    def values(event: Any) -> list[Any]:
        found = [amount for part in parts for amount in _numbers(part, event)]
        return [_like(found, sum(found))] if found else []

    return values


def minus(parts: tuple[Pick, ...]) -> Pick:
    """Take all others from the first part; unknown when a part is missing or when less than nothing remains."""

    def values(event: Any) -> list[Any]:
        amounts = [_numbers(part, event) for part in parts]
        if not all(amounts):
            return []
        first, *rest = (sum(amount) for amount in amounts)
        used = [amount for part in amounts for amount in part]
        return [] if first < sum(rest) else [_like(used, first - sum(rest))]

    return values


def _like(parts: list[float], result: float) -> float:
    """What is reckoned from a rounded number is rounded."""
    return Rounded(result) if any(isinstance(part, Rounded) for part in parts) else result


def _numbers(part: Pick, event: Any) -> list[float]:
    """Return the amounts; one that cannot be is NaN, and so is what is reckoned from it."""
    values = [nan if is_absurd(value, MAX_COUNT) else number(value) for value in part(event)]
    return [value for value in values if value is not None]
