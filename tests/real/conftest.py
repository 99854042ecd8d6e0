"""All cells of the session run side by side from its first test on; each test waits for its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.real.rig import Row, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.real.rig import Cell

DONE: list[Cell] = []
BEGAN = time.monotonic()


@pytest.fixture(scope="session")
def cell_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Row], Cell]]:
    """From a row of the selected tests to its cell."""
    given = [item.callspec.params.get("row") for item in request.session.items if hasattr(item, "callspec")]
    rows = [row for row in given if isinstance(row, Row)]
    with running(rows, tmp_path_factory.mktemp("cells")) as cells:

        def result(row: Row) -> Cell:
            cell = cells[row].result()
            DONE.append(cell)
            return cell

        yield result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not DONE:
        return
    total = time.monotonic() - BEGAN
    terminalreporter.section("cells")
    terminalreporter.line(f"{len(DONE)} cells in {total:.0f} s, one by one {sum(cell.seconds for cell in DONE):.0f} s")
    for cell in sorted(DONE, key=lambda cell: -cell.seconds)[:10]:
        terminalreporter.line(f"{cell.seconds:6.1f} s  {cell.row}")
