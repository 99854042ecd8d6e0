"""The pinned CLIs inside bubblewrap: they find what they need, commit in the checkout, and their state outlives the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.real.clis import CLIS
from tests.real.rig import COMMIT, Row, subjects

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.real.rig import Cell

pytestmark = pytest.mark.real

ROWS = [Row(cli, "commit", COMMIT, counted=True, sandbox="bubblewrap") for cli in CLIS]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_it_commits_inside(row: Row, check_cell: Callable[[Row, Callable[[Cell], None]], None]) -> None:
    def check(cell: Cell) -> None:
        assert (cell.exit_code, cell.record["reason"]) == (0, None), cell.record["error"]
        assert cell.record["argv"][0] == "bwrap"
        assert subjects(cell.project)[1:] == ["Add scripted.txt"]
        assert cell.record["usage"] | cell.answered == cell.record["usage"]
        assert (cell.left, cell.record["survivors"]) == ([], 0)
        if cell.cli.sessions is not None:
            session = cell.record["session_id"]
            assert [path for path in cell.project.home.glob(cell.cli.sessions) if session in path.name]

    check_cell(row, check)
