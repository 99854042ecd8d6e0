"""README's two commands and its promises; its examples are run by tests/docs/test_examples.py."""

from __future__ import annotations

import re

from tests.helpers import ROOT

README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^\$ (.+)$", README, re.MULTILINE)


def test_the_two_commands_come_first_and_ci_calls_the_second() -> None:
    assert COMMANDS[:2] == ["uv run runner run demo debug_hello_simple", "uv run pytest -n auto"]
    assert "\nuv run pytest -n auto\n" in (ROOT / ".ci" / "run").read_text()


def test_every_promise_names_its_tests() -> None:
    rows = re.findall(r"^\| \*\*.+", README.partition("## Promises")[2], re.MULTILINE)
    named = [re.findall(r"`(tests/\S+\.py)`", row) for row in rows]
    assert len(rows) == 7
    assert all(named)
    assert [name for names in named for name in names if not (ROOT / name).exists()] == []
