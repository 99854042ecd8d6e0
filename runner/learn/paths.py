"""The values in an event, each with its path in the parser's language; and what kind of event it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from runner.learn.sample import Event, Output
from runner.learn.shapes import shapes
from runner.parsers.scalars import scalar_text
from runner.parsers.selectors import Path
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Scalar: TypeAlias = str | int | float | bool
    When: TypeAlias = tuple[tuple[str, str], ...]
else:
    When = tuple  # so that an import of it need not be hidden

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_$@-]+")
_DEPTH = 12
_LEAVES = 4000  # of one event


def leaves(data: Mapping[str, Any]) -> Iterator[tuple[str, Scalar]]:
    """Yield path and value of each scalar in an event; blocks of a list by their type."""
    left = _LEAVES
    stack: list[tuple[str, Any, int]] = [("", data, 0)]
    while stack and left:
        path, value, depth = stack.pop()
        if isinstance(value, dict) and depth < _DEPTH:
            stack += [(_below(path, key), item, depth + 1) for key, item in reversed(value.items())]
        elif isinstance(value, list) and depth < _DEPTH:
            stack += [(f"{path}{_step(item)}", item, depth + 1) for item in reversed(value[:50])]
        elif isinstance(value, str | int | float) and path:
            left -= 1
            yield path, value


def _below(path: str, key: str) -> str:
    if _PLAIN_KEY.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f'{path}["{key}"]'


def _step(item: Any) -> str:
    kind = item.get("type") if isinstance(item, dict) else None
    return f"[?type={kind}]" if isinstance(kind, str) and _PLAIN_KEY.fullmatch(kind) else "[*]"


def kind_path(outputs: Sequence[Output]) -> str | None:
    """The path whose value tells the kinds of events apart: the first one that most events have."""
    events = [event.data for output in outputs for event in output.events]
    for path in shapes().kinds:
        if sum(kind_of(event, path) is not None for event in events) > len(events) / 2:
            return path
    return None


def kind_of(event: Mapping[str, Any], path: str | None) -> str | None:
    found = Path(path).values(event) if path else []
    return found[0] if len(found) == 1 and isinstance(found[0], str) else None


def whens(event: Mapping[str, Any], main: str | None) -> list[When]:
    """Ways to select events such as this one, the simplest first: by its kind, then by its kind and one detail."""
    kind = kind_of(event, main)
    base: When = ((main, kind),) if main and kind is not None else ()
    details = ((path, kind_of(event, path)) for path in shapes().details if path != main)
    return [base, *((*base, (path, value)) for path, value in details if value is not None)]


@dataclass(frozen=True)
class Selector:
    """Which events (`when`: path and value) and what in them (`at`; None: the event itself)."""

    when: When
    at: str | None

    def values(self, output: Output) -> list[tuple[Scalar, Event]]:
        found: list[tuple[Scalar, Event]] = []
        path = Path(self.at) if self.at is not None else None
        for event in chosen(output, self.when):
            values = path.values(event.data) if path else [True]
            found += [(value, event) for value in values if isinstance(value, str | int | float)]
        return found

    @property
    def weight(self) -> tuple[int, int, int]:
        """How much there is of it: of two that do the same, the lighter one is proposed."""
        at = self.at or ""
        return len(self.when), at.count(".") + at.count("["), len(at)

    def rule(self) -> dict[str, Any]:
        """As a rule of the parser's language."""
        return {
            **({"when": {path: _typed(value) for path, value in self.when}} if self.when else {}),
            **({"at": self.at} if self.at is not None else {}),
        }


def _typed(value: str) -> Any:
    return {"true": True, "false": False}.get(value, int(value) if re.fullmatch(r"\d{1,9}", value) else value)


def chosen(output: Output, when: When) -> list[Event]:
    compiled = [(Path(path), value) for path, value in when]
    return [
        event
        for event in output.events
        if all(any(scalar_text(found) == value for found in path.values(event.data)) for path, value in compiled)
    ]


def selectors(outputs: Sequence[Output], wanted: Any) -> list[Selector]:
    """All ways to select a leaf for which `wanted(path, value)` holds in some event, the lightest first."""
    main = kind_path(outputs)
    found: dict[Selector, None] = {}
    for output in outputs:
        for event in output.events:
            paths = [path for path, value in leaves(event.data) if wanted(path, value)]
            if paths:
                for when in whens(event.data, main):
                    found.update(dict.fromkeys(Selector(when, path) for path in paths))
    return sorted(found, key=lambda selector: selector.weight)
