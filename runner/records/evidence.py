"""Where a byte of a log stands: the number of its line; and the line of a number."""

from __future__ import annotations

import os

_CHUNK = 1024 * 1024
_BEGINNING = 4096  # bytes of a line that are shown at the most


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


def line_at(folder: str, place: str) -> str | None:
    """The beginning of the line that `FILE:LINE` names, of a file in this very folder; None when it is not there."""
    name, colon, number = place.rpartition(":")
    if not colon or not number.isdecimal() or name != os.path.basename(name):
        return None
    try:
        fd = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(fd, "rb") as file:
        left = int(number) - 1
        while left > 0:
            line = file.readline(_CHUNK)
            if not line:
                return None
            left -= line.endswith(b"\n")
        return file.readline(_BEGINNING).decode(errors="replace").rstrip("\n")
