"""Exact values out of a stream of bytes that comes in any pieces, or out of a whole text. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MASK = "***"
_NOT_NEWLINE = re.compile(rb"[^\n]")
_ANCHOR = re.compile(rb"[0-9A-Za-z]{8,}")


class Masker:
    """Masks a stream that comes in any pieces.

    Every byte of any occurrence of a secret is removed; occurrences that overlap become one `***`, or with
    `keep_length` as many stars as they had bytes, newlines kept: then a byte's place in the masked stream is its place
    in the stream. Only what could be the beginning of a secret is held back until the next piece or `flush`.
    """

    def __init__(self, secrets: Iterable[bytes], *, keep_length: bool = False) -> None:
        self._keep_length = keep_length
        self.only(secrets)
        self._held = b""
        self._covered = 0  # this many bytes at the beginning of what is held belong to a secret that was written

    def only(self, secrets: Iterable[bytes]) -> None:
        """From here on look for these alone."""
        self._groups, self._with_byte = _compiled(tuple(secrets))

    @property
    def held(self) -> int:
        """Bytes that were fed and not yet returned."""
        return len(self._held)

    def feed(self, data: memoryview) -> memoryview:
        """Return what can be written now; `data` itself where there is nothing to mask."""
        if not self._groups:
            return data
        buffer = b"".join((self._held, data))
        end = self._possible_beginning(buffer)
        spans = self._spans(buffer)
        if not spans and not self._held and end == len(buffer):
            return data
        return memoryview(self._emit(buffer, spans, end))

    def flush(self) -> memoryview:
        """Return the rest, at the end of the stream."""
        buffer = self._held
        return memoryview(self._emit(buffer, self._spans(buffer), len(buffer)))

    def _emit(self, buffer: bytes, spans: list[tuple[int, int]], end: int) -> bytes:
        """Mask `buffer` up to `end`; the rest is held, with how far a span reaches into it."""
        out: list[bytes] = []
        done = 0
        if self._covered:
            done = self._covered
            out.append(self._hidden(buffer[: min(done, end)]))
        for start, stop in spans:
            if start >= end:
                break
            if start >= done:
                out += (buffer[done:start], b"" if self._keep_length else MASK.encode())
            out.append(self._hidden(buffer[max(start, done) : min(stop, end)]))
            done = max(done, stop)
        out.append(buffer[done:end])
        self._held = buffer[end:]
        self._covered = max(0, done - end)
        return b"".join(out)

    def _hidden(self, secret: bytes) -> bytes:
        return _NOT_NEWLINE.sub(b"*", secret) if self._keep_length else b""

    def _spans(self, buffer: bytes) -> list[tuple[int, int]]:
        """Find every occurrence of every secret, overlapping ones included, in the order of their starts."""
        # One `find` for what the forms of a secret have in common: at memory speed, where an alternation would try each
        # byte of the stream.
        found: list[tuple[int, int]] = []
        for anchor, secrets in self._groups:
            if anchor in buffer:
                for secret in secrets:
                    start = buffer.find(secret)
                    while start >= 0:
                        found.append((start, start + len(secret)))
                        start = buffer.find(secret, start + 1)
        return sorted(found)

    def _possible_beginning(self, buffer: bytes) -> int:
        """Find where the longest end of `buffer` starts that could begin a secret; its length when there is none."""
        earliest = len(buffer)
        for secret in self._with_byte.get(buffer[-1], ()) if buffer else ():
            start = buffer.find(secret[:1], max(0, len(buffer) - len(secret) + 1), earliest)
            while start >= 0:
                if secret.startswith(buffer[start:]):
                    earliest = start
                    break
                start = buffer.find(secret[:1], start + 1, earliest)
        return earliest


@lru_cache(maxsize=8)
def _compiled(secrets: tuple[bytes, ...]) -> tuple[list[tuple[bytes, list[bytes]]], dict[int, list[bytes]]]:
    """The secrets by what they have in common, their longest run of letters and digits, and by the bytes in them."""
    groups: dict[bytes, list[bytes]] = {}
    with_byte: dict[int, list[bytes]] = {}
    for secret in sorted({secret for secret in secrets if secret}, key=len, reverse=True):
        anchor = max(_ANCHOR.findall(secret), key=len, default=secret)
        groups.setdefault(anchor, []).append(secret)
        for byte in set(secret):
            with_byte.setdefault(byte, []).append(secret)
    return list(groups.items()), with_byte


def mask_bytes(data: bytes, secrets: Sequence[bytes], *, keep_length: bool = False) -> bytes:
    """Mask the secrets in a whole."""
    masker = Masker(secrets, keep_length=keep_length)
    return b"".join((masker.feed(memoryview(data)), masker.flush()))


def mask_text(text: str, secrets: Sequence[bytes]) -> str:
    """Mask the secrets in a whole text."""
    if not secrets:
        return text
    data = text.encode(errors="surrogatepass")
    masked = mask_bytes(data, secrets)
    return text if masked == data else masked.decode(errors="replace")


def mask_tree(value: Any, mask: Callable[[str], str]) -> Any:
    """Mask every text in a JSON value, keys excepted."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: mask_tree(item, mask) for key, item in value.items()}
    if isinstance(value, list):
        return [mask_tree(item, mask) for item in value]
    return value
