"""`runner completion`: the shells' scripts, and the lines that answer them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from runner.text import one_line

_SCRIPTS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "shells")
_HELP = 70


class Item(NamedTuple):
    """`kind` is plain, or file or dir, which the shell itself completes better."""

    kind: str
    value: str
    help: str


def print_script(shell: str) -> int:
    with open(os.path.join(_SCRIPTS, f"runner.{shell}"), encoding="utf-8") as file:
        print(file.read(), end="")
    return 0


def print_items(items: Iterable[Item]) -> int:
    """Print a line each: kind, value and help, separated by tabs; a description cannot act on a terminal."""
    for item in items:
        print("\t".join((item.kind, item.value, one_line(item.help, _HELP))))
    return 0
