"""Aligned columns, for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from runner.text import one_line

WIDTH = 80
_GAP = 2
_NARROWEST = 8


def table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int = WIDTH) -> str:
    """Align the cells; columns above `width` in all are cut, the widest first, as far as they can be."""
    lines = [[one_line(cell, 1000) for cell in line] for line in (head, *rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    while sum(widths) + _GAP * (len(widths) - 1) > width and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return "".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (_cut(cell, room).ljust(room) for cell, room in zip(cells, widths, strict=True))
    return (" " * _GAP).join(padded).rstrip() + "\n"


def _cut(cell: str, room: int) -> str:
    return cell if len(cell) <= room else cell[: room - 1] + "…"
