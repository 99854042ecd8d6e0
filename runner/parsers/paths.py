"""Paths into a JSON value: `a.b`, `["dashed-key"]`, `[0]`, `[?key=value]` and `*`.

A path yields every value that it reaches, in order; a step that does not fit (a missing key, a list where an object
was expected) yields nothing. A null counts as not there: a value that was not reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from runner.parsers.scalars import scalar_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Step: TypeAlias = Callable[[Any], Iterable[Any]]

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
