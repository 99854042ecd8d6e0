"""A table of broken configurations: folders of YAML beside the whole output that they get."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from runner.commands.validate import examine_all, validate
from runner.config.project import project_at
from tests.helpers import DATA

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = DATA / "broken"
ROWS = sorted(row.name for row in BROKEN.iterdir())
# What is wrong with a whole line or with what is not there, so that no word at the place can be in the message.
UNNAMED = (
    "an unknown escape",
    "a `:` is not expected here",
    "a key without `:`",
    "a list in brackets is not closed",
    "a mapping in braces is not closed",
    "a quoted text is not closed",
    "a second document begins here",
    "a tab in the indentation",
    "a template without quotes",
    "a value after the end",
    "is nested more than",
    "is not UTF-8",
    "more than 20,000 values",
    "the control character",
    "the indentation does not fit",
    "this character cannot begin a value",
    "expected a mapping",
    "expected either",
    "expected a text that is not empty, got an empty text",
    "is not a regular expression",
    "a `*` or `&` begins",
)


def copied(row: str, folder: Path) -> Path:
    shutil.copytree(BROKEN / row, folder / "project")
    return folder / "project"


def counted(text: str) -> str:
    """How many agents and tasks are right depends on the stock set."""
    return re.sub(r"ok: \d+ agents?, \d+ tasks?", "ok: N agents, N tasks", text)


def test_the_table_is_long() -> None:
    assert len(ROWS) >= 80


@pytest.mark.parametrize("row", ROWS)
def test_output(row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    expected = (BROKEN / row / "expected.txt").read_text()
    monkeypatch.chdir(copied(row, tmp_path))

    code = validate([])

    assert counted(capsys.readouterr().out) == counted(expected)
    assert code == (0 if expected.splitlines()[-1].startswith("ok: ") else 3)


@pytest.mark.parametrize("row", ROWS)
def test_places_point_at_the_offending_token(row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands at the line and column is what the message or the key path speaks of."""
    monkeypatch.chdir(copied(row, tmp_path))

    for problem in examine_all([project_at(os.getcwd())]).problems:
        if not problem.line:
            assert problem.message == "is empty"
            continue
        with open(problem.file, encoding="utf-8", errors="replace") as file:
            line = file.read().split("\n")[problem.line - 1]
        before, rest = line[: problem.column - 1], line[problem.column - 1 :]
        assert rest, f"{problem} points behind the end of the line"
        assert (
            named(rest, f"{problem.path} {problem.message}")
            or is_value_of(before, problem.path)
            or (problem.message.startswith("missing key") and re.search(r"[-\[,] *$", before))
            or (problem.message.startswith("template syntax") and rest.startswith(("{{", "{%")))
            or any(part in problem.message for part in UNNAMED)
        ), f"{problem} points at `{rest}`"


def named(rest: str, spoken: str) -> bool:
    """Whether the message or the key path has the word, quoted text or name that begins here."""
    found = re.match(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|([^\s,:\[\]{}"\'|]+)', rest)
    words = [*filter(None, found.groups()), *re.findall(r"^\w+", found[0])] if found else []
    return any(word in spoken for word in words)


def is_value_of(before: str, path: str) -> bool:
    """Whether what begins here stands behind the last key of the path, or begins the item of its last index."""
    key = re.sub(r"(\[\d+\])+$", "", path).rpartition(".")[2]
    return bool(key) and re.search(rf"\b{re.escape(key)}: *(\[.*)?$", before) is not None
