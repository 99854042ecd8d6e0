"""What claude may not do or spend: a denied tool and its own caps, each with its reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.real.rig import ASKED, Row

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.real.rig import Cell

pytestmark = pytest.mark.real

PRINTED = ("-p", "--output-format", "stream-json", "--verbose")
ALLOWED = (*PRINTED, "--dangerously-skip-permissions")
DENIED = {"count": 1, "names": ["Bash"]}


def capped(name: str, reason: str | None, argv: tuple[str, ...], denied: str = "note") -> Row:
    agents = {"agents": {"claude": {"extends": "claude", "argv": argv}}}
    tasks = {"tasks": {ASKED: {"prompt": "prompts/asked.md", "denied": denied}}}
    files = (("agents.yaml", json.dumps(agents)), ("tasks.yaml", json.dumps(tasks)), ("prompts/asked.md", "do it"))
    status, exit_code = ("failed", 1) if reason else ("success", 0)
    return Row("claude", "commit", ASKED, status, reason, exit_code, files=files, name=name)


@pytest.mark.parametrize(
    ("row", "denials", "message"),
    [
        (capped("denied", None, PRINTED), DENIED, None),
        (capped("denied-fails", "permission", PRINTED, "fail"), DENIED, "1 tool call was denied: Bash"),
        (capped("turns", "turn_limit", (*ALLOWED, "--max-turns", "1")), None, "Reached maximum number of turns (1)"),
        (capped("budget", "budget", (*ALLOWED, "--max-budget-usd", "0.01")), None, "Reached maximum budget ($0.01)"),
    ],
    ids=str,
)
def test_it_is_told(
    check_cell: Callable[[Row, Callable[[Cell], None]], None], row: Row, denials: object, message: str | None
) -> None:
    def check(cell: Cell) -> None:
        record = cell.record
        assert (record["status"], record["reason"], cell.exit_code) == (row.status, row.reason, row.exit_code)
        assert record["denials"] == denials
        assert (record["error"] or {}).get("message") == message
        assert ("denied: Bash" in json.dumps(cell.messages)) == (denials is not None)

    check_cell(row, check)
