"""How messages show files, paths, names and values: short, and without characters that could act on a terminal."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from itertools import islice

from runner.errors import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Path: TypeAlias = tuple[str | int, ...]
else:
    Path = tuple  # so that an import of it need not be hidden

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}")
MAX_SHOWN = 60
# Looking for a near name must cost little whatever the file holds.
MAX_NAMES = 1000
MAX_NAME = 64


def show_file(path: str) -> str:
    """Show a file's path: relative when it lies below the current folder."""
    try:
        here = os.path.join(os.getcwd(), "")
    except FileNotFoundError:
        return path
    return path.removeprefix(here)


def show_path(path: Path) -> str:
    """Write `agents.mine.argv[2]`; a key with other characters in brackets and quotes."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f'["{_printable(step)}"]'
    return text


def show_value(data: Any) -> str:
    if isinstance(data, dict):
        return "a mapping" if data else "an empty mapping"
    if isinstance(data, list):
        return "a list" if data else "an empty list"
    if data is None:
        return "nothing"
    if data == "":
        return "an empty text"
    return quoted(str(data).lower() if isinstance(data, bool) else str(data))


def quoted(text: str) -> str:
    return f"`{_printable(text)}`"


def _printable(text: str) -> str:
    short = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in short)


def listed(words: Sequence[Any], last: str = "or") -> str:
    """Write `a`, `b` or `c`."""
    shown = [show_value(word) for word in words]
    return f" {last} ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def near(name: str, known: Iterable[str]) -> str | None:
    """Return `did you mean 'X'?`, or None when nothing is near or the question is too large."""
    if len(name) > MAX_NAME:
        return None
    fitting = (other for other in sorted(known) if abs(len(other) - len(name)) <= max(3, len(name) // 2))
    return did_you_mean(name, islice(fitting, MAX_NAMES))
