"""The last lines of a text source, for patterns that speak of line breaks."""

from __future__ import annotations

from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LINES = 8
MAX_WIDTH = 8 * 1024


class Window:
    """Lines as patterns see them, each with the state of things before it came."""

    def __init__(self) -> None:
        self._lines: deque[tuple[str, Any]] = deque(maxlen=LINES)

    def add(self, text: str, state: Any) -> None:
        self._lines.append((text[:MAX_WIDTH], state))

    @property
    def text(self) -> str:
        return "\n".join(text for text, _ in self._lines)

    @property
    def last(self) -> int:
        """Where the last line begins."""
        return sum(len(text) + 1 for text, _ in self._lines) - len(self._lines[-1][0]) - 1

    def state_at(self, position: int) -> Any:
        """Return the state before the line that begins there."""
        begin = 0
        for text, state in self._lines:
            if begin >= position:
                return state
            begin += len(text) + 1
        raise LookupError(position)
