"""What claude may not do or spend, a denied tool and its own caps, and an answer that it was to give: the reasons."""

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


def unmet(cli: str) -> Row:
    """A schema is asked for, and the scripted server answers with plain text."""
    tasks = {"tasks": {ASKED: {"prompt": "prompts/asked.md", "output": {"schema": "prompts/asked.json"}}}}
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    # One of the CLIs takes only a schema that allows nothing more.
    texts = json.dumps(tasks), "do it", json.dumps({**schema, "additionalProperties": False})
    files = tuple(zip(("tasks.yaml", "prompts/asked.md", "prompts/asked.json"), texts, strict=True))
    return Row(cli, "hello", ASKED, "failed", "invalid_output", 1, files=files, name="schema")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (unmet("claude"), "the agent was given the schema, and its structured answer is absent"),
        (unmet("codex"), "the reply is not JSON: line 1, column 1: expecting value"),
        (unmet("qwen-0.24"), "Model produced plain text instead of calling the structured_output tool"),
    ],
    ids=str,
)
def test_a_schema_that_is_not_met(
    check_cell: Callable[[Row, Callable[[Cell], None]], None], row: Row, message: str
) -> None:
    def check(cell: Cell) -> None:
        record = cell.record
        assert (record["status"], record["reason"], cell.exit_code) == (row.status, row.reason, row.exit_code)
        assert record["error"]["message"].startswith(message)
        assert {"--json-schema", "--output-schema"} & set(record["argv"])

    check_cell(row, check)


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
