"""Sweeps end with figures: what was counted and measured stands in the summary."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


class Figures:
    """Lines, and named series of seconds."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.seconds: dict[str, list[float]] = {}

    def say(self, line: str) -> None:
        self.lines.append(line)

    def took(self, what: str, seconds: float) -> None:
        self.seconds.setdefault(what, []).append(seconds)

    def shown(self) -> Iterator[str]:
        yield from self.lines
        for what, found in self.seconds.items():
            middle, worst = statistics.median(found), max(found)
            yield f"{what}: {len(found)} times, median {middle:.3f} s, worst {worst:.3f} s"


FIGURES = Figures()


@pytest.fixture(scope="session")
def figures() -> Figures:
    return FIGURES


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    shown = list(FIGURES.shown())
    if shown:
        terminalreporter.section("figures of the sweeps")
    for line in shown:
        terminalreporter.line(line)
