"""The nearest name, at a cost that no hostile file can drive up. Pure."""

from __future__ import annotations

from itertools import islice

from runner.errors import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NAMES = 1000
MAX_LENGTH = 64


def near(name: str, known: Iterable[str]) -> str | None:
    """`did you mean 'X'?`, or None when nothing is near or the question is too large."""
    if len(name) > MAX_LENGTH:
        return None
    fitting = (other for other in sorted(known) if abs(len(other) - len(name)) <= max(3, len(name) // 2))
    return did_you_mean(name, islice(fitting, MAX_NAMES))
