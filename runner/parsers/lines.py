"""Bytes in any chunks → the lines that are worth decoding, each with its place in the log → JSON events.

What is not a JSON object is skipped, never an exception.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from math import inf

from runner.model import JsonObject
from runner.parsers.scalars import decoded, without_escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_LINE = 16 * 1024 * 1024
"""Bytes; a longer line is not decoded, and never more of one is held in memory."""


class LineScanner:
    """Hands `take(line, offset)` every line, or with `groups` those that hold all words of one of these.

    While `every()` says so, groups do not count. What is handed out is the same for every chunking.
    """

    def __init__(
        self,
        take: Callable[[bytes, int], None],
        groups: tuple[tuple[bytes, ...], ...] = (),
        every: Callable[[], bool] | None = None,
    ) -> None:
        self._take = take
        self._groups = groups
        self._needles = tuple({group[0]: None for group in groups})
        self._plain = all(len(group) == 1 for group in groups)
        self._every = every
        self._carry = bytearray()
        self._carry_offset = 0
        self._overlong = False

    def feed(self, data: bytes | bytearray, position: int) -> None:
        """`position` is the offset of the first byte of `data` in its log."""
        end = data.rfind(b"\n") + 1
        if end == 0:
            self._keep(data, position)
            return
        start = 0
        if self._carry or self._overlong:
            start = data.find(b"\n") + 1
            self._keep(data[: start - 1], position)
            self.close()
        if self._needles:
            self._scan(data, start, end, position)
        else:
            self._walk(data, start, end, position)
        if end < len(data):
            self._keep(data[end:], position + end)

    def close(self) -> None:
        """End the open line: at the end of the output, a line without a newline."""
        line, overlong = bytes(self._carry), self._overlong
        self._carry.clear()
        self._overlong = False
        if line and not overlong and (self._wants_all() or self._wants(line)):
            self._take(line, self._carry_offset)

    def _wants_all(self) -> bool:
        return not self._needles or (self._every is not None and self._every())

    def _wants(self, line: bytes | bytearray) -> bool:
        return any(all(word in line for word in group) for group in self._groups)

    def _keep(self, part: bytes | bytearray, position: int) -> None:
        if self._overlong:
            return
        if not self._carry:
            self._carry_offset = position
        self._carry += part
        if len(self._carry) > MAX_LINE:
            self._overlong = True
            self._carry.clear()

    def _walk(self, data: bytes | bytearray, start: int, end: int, position: int) -> None:
        while start < end:
            stop = data.find(b"\n", start, end)
            self._hand_out(data, start, stop, position)
            start = stop + 1

    def _scan(self, data: bytes | bytearray, start: int, end: int, position: int) -> None:
        hits = [-1] * len(self._needles)  # where each needle comes next; `end` when it does not
        while start < end:
            if every := self._wants_all():
                hit = start
            else:
                for index, needle in enumerate(self._needles):
                    if hits[index] < start:
                        found = data.find(needle, start, end)
                        hits[index] = end if found < 0 else found
                hit = min(hits)
                if hit == end:
                    return
                start = max(start, data.rfind(b"\n", start, hit) + 1)
            stop = data.find(b"\n", hit, end)
            if every or self._plain or self._wants(data[start:stop]):
                self._hand_out(data, start, stop, position)
            start = stop + 1

    def _hand_out(self, data: bytes | bytearray, start: int, stop: int, position: int) -> None:
        if start < stop <= start + MAX_LINE:
            self._take(bytes(data[start:stop]), position + start)


class HeadAndTail:
    """Keeps the first and the last bytes of a stream: all of it when it is short, in bounded memory."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0

    def feed(self, data: bytes | bytearray) -> None:
        self._total += len(data)
        room = self._room - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data[-self._room :]
        if len(self._tail) > 2 * self._room:
            del self._tail[: -self._room]

    def content(self) -> bytes:
        """Return what was kept; a line in the middle says how much was left out."""
        tail = self._tail[-self._room :]
        return bytes(self._head + self._mark() + tail)

    def offset(self, position: int) -> int:
        """Return where a byte of the content stood in the stream."""
        return position if position < len(self._head) else position + self._left_out() - len(self._mark())

    def _left_out(self) -> int:
        return self._total - len(self._head) - min(len(self._tail), self._room)

    def _mark(self) -> bytes:
        left_out = self._left_out()
        return b"\n[%d bytes left out]\n" % left_out if left_out else b""


MAX_DOCUMENT = 16 * 1024 * 1024

_LEADING = b" \t\r\xef\xbb\xbf"
_LEADING_TEXT = " \t\r\ufeff"
_BLANKS = " \t"  # no carriage return: what stands behind one was printed over the line
_OPENING = re.compile(r"^\ufeff?(?=[{\[])", re.MULTILINE)
_NESTING_REACH = 100_000


def _short_integer(digits: str) -> float:
    return int(digits) if len(digits) < 30 else inf


# Not strict: some CLIs print raw control characters inside strings.
_DECODER = json.JSONDecoder(strict=False)
_DECODER_OF_HUGE = json.JSONDecoder(strict=False, parse_int=_short_integer)


def events_on(line: bytes) -> list[JsonObject]:
    """Return the JSON objects on a line, as a rule one; none when the line holds anything else, too.

    Terminal escapes around them do not count: a CLI that puts back the cursor does so on the line of an event.
    """
    if not looks_like_object(line):
        return []
    text = _bare(decoded(line).lstrip(_LEADING_TEXT))
    found = []
    while text.strip():
        value, end = _value_at(text, 0)
        if not isinstance(value, dict):
            return []
        found.append(value)
        text = _bare(text[end:])
    return found


def _bare(text: str) -> str:
    """Without the escapes and blanks at its beginning."""
    text = text.lstrip(_BLANKS)
    while text.startswith("\x1b") and (rest := without_escape(text)) != text:
        text = rest.lstrip(_BLANKS)
    return text


def looks_like_object(line: bytes) -> bool:
    beginning = line[:64].lstrip(_LEADING)
    return beginning.startswith(b"{") or (beginning.startswith(b"\x1b") and _bare(decoded(line[:1024])).startswith("{"))


def events_in(content: bytes) -> Iterator[tuple[JsonObject, int]]:
    """Yield the objects of a document, each with its offset in bytes; an array stands for its elements.

    A document begins at the start of a line: a warning printed before it does no harm, and lines of JSON will do, too.
    """
    if len(content) > MAX_DOCUMENT:
        return
    text = decoded(content)
    position = offset = 0
    effort = (
        4 * len(text) + 10 * _NESTING_REACH
    )  # characters that may be read without a result: bounds many broken beginnings
    while effort > 0 and (opening := _OPENING.search(text, position)):
        value, end = _value_at(text, opening.end())
        if value is None:
            effort -= end - opening.end()
            end = opening.end() + 1
        else:
            start = offset + _size(text[position : opening.end()])
            yield from (
                (item, start) for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)
            )
        offset += _size(text[position:end])
        position = end


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _value_at(text: str, start: int) -> tuple[Any, int]:
    """Return the JSON value that begins at `start` and its end; without one, None and how far it was read."""
    for decoder in (_DECODER, _DECODER_OF_HUGE):
        try:
            return decoder.raw_decode(text, start)
        except json.JSONDecodeError as error:
            return None, error.pos + 1
        except RecursionError:
            return None, start + _NESTING_REACH
        except ValueError:  # an integer with more digits than the interpreter converts
            continue
    return None, len(text)
