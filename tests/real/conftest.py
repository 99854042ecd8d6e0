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
AGAIN: list[str] = []
BEGAN = time.monotonic()


@pytest.fixture(scope="session")
def check_cell(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Row, Callable[[Cell], None]], None]]:
    """Holds a check against the cell of a row of the selected tests."""
    given = [item.callspec.params.get("row") for item in request.session.items if hasattr(item, "callspec")]
    rows = [row for row in given if isinstance(row, Row)]
    with running(rows, tmp_path_factory.mktemp("cells")) as cells:

        def checked(row: Row, check: Callable[[Cell], None]) -> None:
            """A real CLI on a busy machine may be slower than its row allows: it has a second try, and the report says so."""
            cell = cells.first[row].result()
            DONE.append(cell)
            try:
                check(cell)
            except AssertionError as error:
                AGAIN.append(f"{row}: {str(error).splitlines()[0][:160] if str(error) else error!r}")
                check(cells.again(row))

        yield checked


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not DONE:
        return
    total = time.monotonic() - BEGAN
    terminalreporter.section("cells")
    terminalreporter.line(f"{len(DONE)} cells in {total:.0f} s, one by one {sum(cell.seconds for cell in DONE):.0f} s")
    for cell in sorted(DONE, key=lambda cell: -cell.seconds)[:10]:
        terminalreporter.line(f"{cell.seconds:6.1f} s  {cell.row}")
    terminalreporter.line(f"{len(AGAIN)} needed a second try")
    for line in AGAIN:
        terminalreporter.line(f"  {line}")
