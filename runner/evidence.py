"""Where a byte of a log stands: the number of its line."""

from __future__ import annotations

_CHUNK = 1024 * 1024


def line_number(path: str, offset: int) -> int:
    """The line, from 1, that holds the byte at `offset` of a file. Raises OSError."""
    line = 1
    with open(path, "rb") as file:
        while offset > 0:
            chunk = file.read(min(_CHUNK, offset))
            if not chunk:
                break
            line += chunk.count(b"\n")
            offset -= len(chunk)
    return line
