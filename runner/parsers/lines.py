"""Bytes in any chunks → the lines that are worth decoding, each with its place in the log."""

from __future__ import annotations

from collections.abc import Callable

MAX_LINE = 16 * 1024 * 1024
"""Bytes; a longer line is not decoded, and never more of one is held in memory."""


class LineScanner:
    """Hands `take(line, offset)` every line, or with `needles` those that hold one of them.

    While `every()` says so, needles do not count. What is handed out is the same for every chunking.
    """

    def __init__(
        self,
        take: Callable[[bytes, int], None],
        needles: tuple[bytes, ...] = (),
        every: Callable[[], bool] | None = None,
    ) -> None:
        self._take = take
        self._needles = needles
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
        if line and not overlong and (self._wants_all() or any(needle in line for needle in self._needles)):
            self._take(line, self._carry_offset)

    def _wants_all(self) -> bool:
        return not self._needles or (self._every is not None and self._every())

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
            if self._wants_all():
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
        left_out = self._total - len(self._head) - len(tail)
        mark = b"\n[%d bytes left out]\n" % left_out if left_out else b""
        return bytes(self._head + mark + tail)
