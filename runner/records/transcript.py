"""An agent's output as a person reads it. A line that is a JSON object is an event, of any agent. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator

from runner.text import first_lines, one_line, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runner.model import JsonObject

_MAX_DECODED = 1 << 20  # bytes of a line
_MAX_SHOWN = 500  # characters of a line
_MAX_LINES = 30  # of one event
_MAX_DEPTH = 8
_LABEL_KEYS = ("type", "event", "kind", "subtype", "role", "tool_name", "tool", "name", "status")
_NESTED_KEYS = ("item", "part", "message", "event", "delta")
_TEXT_KEYS = (
    "text thinking reasoning content message delta result response output aggregated_output error command "
    "item part event state"
).split()
_ARGUMENT_KEYS = ("input", "parameters", "arguments", "args")
_MAX_FACTS = 4


class Events:
    """From bytes in any pieces to lines of text, without control characters."""

    def __init__(self) -> None:
        self._held = b""
        self._length = 0
        self._pieces: list[str] = []
        self._of = ""

    def feed(self, data: bytes) -> Iterator[str]:
        """Take bytes, and yield the lines that are complete now."""
        *whole, rest = data.split(b"\n")
        for line in whole:
            yield from self._line(self._held + line[: _MAX_DECODED + 1 - len(self._held)], self._length + len(line))
            self._held, self._length = b"", 0
        self._held += rest[: _MAX_DECODED + 1 - len(self._held)]
        self._length += len(rest)

    def finish(self) -> Iterator[str]:
        if self._held:
            yield from self._line(self._held, self._length)
        yield from self._flush()

    def _line(self, line: bytes, length: int) -> Iterator[str]:
        event = _decoded(line) if length <= _MAX_DECODED else None
        if event is None:
            yield from self._flush()
            text = one_line(line.decode(errors="replace"), _MAX_SHOWN)
            yield f"{text} ({length:,} bytes)" if length > _MAX_DECODED else text
            return
        label = _label(event)
        texts = list(_texts(event, 0))
        if _is_delta(event) and texts:
            # A text in many pieces is shown as one, when something else follows.
            if label != self._of:
                yield from self._flush()
            self._of = label
            self._pieces += texts
            return
        yield from self._flush()
        yield from _shown(label, "\n".join(texts) or _facts(event))

    def _flush(self) -> Iterator[str]:
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
    lines = [one_line(line, _MAX_SHOWN) for line in printable(text).strip("\n").split("\n")]
    yield f"[{label}] {lines[0]}".rstrip()
    yield from (f"  {line}" for line in first_lines(lines, _MAX_LINES, " lines")[1:])


def _label(event: JsonObject) -> str:
    """The event's own name: `assistant`, `item.completed command_execution`."""
    words = []
    for holder in (event, *(event[key] for key in _NESTED_KEYS if isinstance(event.get(key), dict))):
        words += [holder[key] for key in _LABEL_KEYS if isinstance(holder.get(key), str)]
    return one_line(" ".join(dict.fromkeys(words[:4])), 60) or "event"


def _is_delta(event: JsonObject) -> bool:
    return event.get("delta") is True or str(event.get("type", "")).endswith("delta")


def _texts(value: Any, depth: int) -> Iterator[str]:
    """Yield the texts in an event, in the order of the keys that usually hold them."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, depth + 1)
    elif isinstance(value, dict):
        for key in _TEXT_KEYS:
            if key in value and not isinstance(value[key], bool):
                yield from _texts(value[key], depth + 1)
        for key in _ARGUMENT_KEYS:
            if value.get(key):
                called = value.get("name") or value.get("tool_name") or value.get("tool") or ""
                yield f"{called} {json.dumps(value[key], ensure_ascii=False)}".strip()


def _facts(event: JsonObject) -> str:
    """Describe an event without text by its short values."""
    found = [
        f"{key}={value}"
        for key, value in event.items()
        if isinstance(value, str | int | float) and key not in _LABEL_KEYS and not key.lower().endswith("id")
    ]
    return " ".join(one_line(fact, 80) for fact in found[:_MAX_FACTS])
