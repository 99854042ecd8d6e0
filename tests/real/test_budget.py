"""A real claude is ended within the message of the model that uses up the run's budget."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.real.rig import ASKED, Row

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.real.rig import Cell

pytestmark = pytest.mark.real

PRICES = [{"match": "claude-*", "from": "2026-01-01", "input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75}]


def budgeted(name: str, budget: dict[str, float | str]) -> Row:
    tasks = {"tasks": {ASKED: {"prompt": "prompts/asked.md", "budget": budget}}, "settings": {"prices": PRICES}}
    files = (("tasks.yaml", json.dumps(tasks)), ("prompts/asked.md", "do it"))
    # The first message asks for a command that takes five minutes.
    return Row("claude", "sleep", ASKED, "failed", "budget", 1, files=files, name=name, within=60)


@pytest.mark.parametrize(
    ("row", "unit", "least"),
    [
        (budgeted("tokens", {"tokens": 1400}), "tokens", 1461),
        (budgeted("cost", {"cost": 0.004}), "cost", 0.004061),
        (budgeted("calls", {"tool_calls": 1}), "tool_calls", 1),
    ],
    ids=str,
)
def test_it_is_ended_within_one_message(
    check_cell: Callable[[Row, Callable[[Cell], None]], None], row: Row, unit: str, least: float
) -> None:
    def check(cell: Cell) -> None:
        record = cell.record
        assert (record["status"], record["reason"], record["ended_by"]) == ("failed", "budget", "budget"), cell.stderr
        assert sum(call.shell is not None for call, _ in cell.server.answered) == 1
        # A block of a message comes before its last: of what is produced only the beginning is known.
        assert least <= record["budget"]["used"][unit] <= least * 1.05
        assert (record["cost_source"], record["cost_lower_bound"]) == ("table 2026-01-01", True)
        assert 0.00406 < record["cost_usd"] < 0.0047
        assert cell.left == []
        assert cell.seconds < (row.within or 0)

    check_cell(row, check)
