"""Pure: an agent's output as a person reads it. A line that is a JSON object is an event, whoever's it is."""

from __future__ import annotations

import json
from collections.abc import Iterator

from runner.text import one_line, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runner.model import JsonObject

_LONGEST = 1 << 20  # bytes of a line that is decoded
_SHOWN = 500  # characters of a line
_LINES = 30  # lines of one event
_DEPTH = 8
_NAMES = ("type", "event", "kind", "subtype", "role", "tool_name", "tool", "name", "status")
_INSIDE = ("item", "part", "message", "event", "delta")
_SAID = (
    "text thinking reasoning content message delta result response output aggregated_output error command "
    "item part event state"
).split()
_GIVEN = ("input", "parameters", "arguments", "args")
_FACTS = 4


class Events:
    """Bytes in any pieces → lines of text, without anything that acts on a terminal."""

    def __init__(self) -> None:
        self._held = b""
        self._length = 0
        self._pieces: list[str] = []
        self._of = ""

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that are complete now."""
        *whole, rest = data.split(b"\n")
        for line in whole:
            yield from self._line(self._held + line[: _LONGEST + 1 - len(self._held)], self._length + len(line))
            self._held, self._length = b"", 0
        self._held += rest[: _LONGEST + 1 - len(self._held)]
        self._length += len(rest)

    def finish(self) -> Iterator[str]:
        """What is left when the output has ended."""
        if self._held:
            yield from self._line(self._held, self._length)
        yield from self._spoken()

    def _line(self, line: bytes, length: int) -> Iterator[str]:
        event = _decoded(line) if length <= _LONGEST else None
        if event is None:
            yield from self._spoken()
            text = one_line(line.decode(errors="replace"), _SHOWN)
            yield f"{text} ({length:,} bytes)" if length > _LONGEST else text
            return
        label = _label(event)
        said = list(_said(event, 0))
        if _is_piece(event) and said:
            # Word by word: shown as one when something else follows.
            if label != self._of:
                yield from self._spoken()
            self._of = label
            self._pieces += said
            return
        yield from self._spoken()
        yield from _shown(label, "\n".join(said) or _facts(event))

    def _spoken(self) -> Iterator[str]:
        if self._pieces:
            text, self._pieces = "".join(self._pieces), []
            yield from _shown(self._of, text)
        self._of = ""


def _decoded(line: bytes) -> JsonObject | None:
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _shown(label: str, text: str) -> Iterator[str]:
    """`[assistant] text`, further lines below it."""
    lines = [one_line(line, _SHOWN) for line in printable(text).strip("\n").split("\n")]
    yield f"[{label}] {lines[0]}".rstrip()
    yield from (f"  {line}" for line in lines[1:_LINES])
    if len(lines) > _LINES:
        yield f"  … {len(lines) - _LINES} more lines"


def _label(event: JsonObject) -> str:
    """What the event calls itself: `assistant`, `item.completed command_execution`."""
    words = []
    for holder in (event, *(event[key] for key in _INSIDE if isinstance(event.get(key), dict))):
        words += [holder[key] for key in _NAMES if isinstance(holder.get(key), str)]
    return one_line(" ".join(dict.fromkeys(words[:4])), 60) or "event"


def _is_piece(event: JsonObject) -> bool:
    return event.get("delta") is True or str(event.get("type", "")).endswith("delta")


def _said(value: Any, depth: int) -> Iterator[str]:
    """The texts in an event, in the order of the keys that usually hold them."""
    if depth > _DEPTH:
        return
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, list):
        for item in value:
            yield from _said(item, depth + 1)
    elif isinstance(value, dict):
        for key in _SAID:
            if key in value and not isinstance(value[key], bool):
                yield from _said(value[key], depth + 1)
        for key in _GIVEN:
            if value.get(key):
                called = value.get("name") or value.get("tool_name") or value.get("tool") or ""
                yield f"{called} {json.dumps(value[key], ensure_ascii=False)}".strip()


def _facts(event: JsonObject) -> str:
    """An event without text by its short values."""
    found = [
        f"{key}={value}"
        for key, value in event.items()
        if isinstance(value, str | int | float) and key not in _NAMES and not key.lower().endswith("id")
    ]
    return " ".join(one_line(fact, 80) for fact in found[:_FACTS])
