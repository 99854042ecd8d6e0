"""Evidence in a log: from a byte to the number of its line, and from `FILE:LINE` to the line."""

from __future__ import annotations

import os

from runner.files import open_file

_CHUNK = 1024 * 1024
_MAX_LINE = 4096  # bytes of a line that are shown


def line_number(path: str, offset: int) -> int:
    """Return the number, from 1, of the line with the byte at `offset` of a file. Raises OSError."""
    line = 1
    with open(open_file(path), "rb") as file:
        while offset > 0:
            chunk = file.read(min(_CHUNK, offset))
            if not chunk:
                break
            line += chunk.count(b"\n")
            offset -= len(chunk)
    return line


def line_at(folder: str, place: str) -> str | None:
    """Read the beginning of the line that `FILE:LINE` names, of a file in this folder; None when there is none."""
    name, colon, number = place.rpartition(":")
    if not colon or not number.isdecimal() or name != os.path.basename(name):
        return None
    try:
        fd = open_file(os.path.join(folder, name))
    except OSError:
        return None
    with open(fd, "rb") as file:
        left = int(number) - 1
        while left > 0:
            line = file.readline(_CHUNK)
            if not line:
                return None
            left -= line.endswith(b"\n")
        return file.readline(_MAX_LINE).decode(errors="replace").rstrip("\n")
