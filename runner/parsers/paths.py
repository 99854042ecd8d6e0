"""Paths into a JSON value: `a.b`, `["dashed-key"]`, `[0]`, `[?key=value]` and `*`.

A path yields every value that it reaches, in order; a step that does not fit (a missing key, a list where an object
was expected) yields nothing. A null counts as not there: a value that was not reported.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runner.parsers.words import scalar_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypeAlias

    Step: TypeAlias = Callable[[Any], Iterable[Any]]

FORM = 'a path such as `usage.input_tokens`, `headers["retry-after"]`, `items[0]`, `content[?type=text]` or `models.*`'

_PLAIN = re.compile(r"[\w$@-]+(?:\.[\w$@-]+)*")
_TOKEN = re.compile(
    r"""(?:^|\.)(?P<key>[\w$@-]+)
      | (?:^|\.)(?P<any>\*)
      | \["(?P<quoted>[^"]+)"\]
      | \[(?P<index>-?\d{1,9})\]
      | \[(?P<every>\*)\]
      | \[\?(?P<test>[\w$@.-]+)=(?P<value>[^\]]*)\]""",
    re.VERBOSE,
)


class Path:
    """A compiled path. `Path(text)` raises ValueError when `text` is none."""

    __slots__ = ("_keys", "_steps", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._keys: tuple[str, ...] | None = None
        self._steps: tuple[Step, ...] = ()
        if _PLAIN.fullmatch(text):
            self._keys = tuple(text.split("."))
        else:
            self._steps = tuple(_steps(text))

    @property
    def key(self) -> str | None:
        """The key, when the path is nothing but one."""
        return self._keys[0] if self._keys and len(self._keys) == 1 else None

    def values(self, data: Any) -> list[Any]:
        """Every value at the path that is not null."""
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
        token = _TOKEN.match(text, position)
        if token is None or token.end() == position:
            raise ValueError(f"bad path `{text}` at character {position + 1}, expected {FORM}")
        yield _step(token)
        position = token.end()
    if not text:
        raise ValueError(f"the path is empty, expected {FORM}")


def _step(token: re.Match[str]) -> Step:
    if token["any"] or token["every"]:
        return _members
    if token["index"]:
        return _indexed(int(token["index"]))
    if token["test"]:
        return _tested(Path(token["test"]), token["value"].strip().strip('"'))
    return _keyed(token["key"] or token["quoted"])


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
