"""Every example of README and docs/ is run: commands in a scratch checkout, YAML through the validator.

| language       | what is done with it                                                                      |
|----------------|-------------------------------------------------------------------------------------------|
| console        | each command is run, in a project with the YAML that its section shows before it          |
| bash           | the script is run, in an empty folder (README's: tests/commands/test_init.py)             |
| yaml           | a whole agents.yaml or tasks.yaml, which `runner validate` finds well                     |
| sh             | cannot be run here: it needs a real agent, root or a network; parsed, its options looked up |
| yml            | another program's file: it is read                                                        |
| (none)         | a picture in letters                                                                      |
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.docs.pages import BLOCKS, Block, blocks_in, file_of, help_of, run_console, run_in, with_runner, write_yaml
from tests.helpers import Project

if TYPE_CHECKING:
    from pathlib import Path

LANGUAGES = {"console", "bash", "yaml", "sh", "yml", ""}
GROUPS = ("agents", "tasks", "notify", "cron")


def test_every_block_is_of_a_known_kind() -> None:
    assert [str(block) for block in BLOCKS if block.language not in LANGUAGES] == []
    assert {block.language for block in BLOCKS} == LANGUAGES


@pytest.mark.parametrize("block", blocks_in("console"), ids=str)
def test_console(stock_project: Project, block: Block) -> None:
    run_console(with_runner(stock_project), block)


@pytest.mark.parametrize("block", [block for block in blocks_in("bash") if block.page != "README.md"], ids=str)
def test_bash(stock_project: Project, block: Block, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = run_in(Project(empty, stock_project.home, with_runner(stock_project).env), ["bash", "-e", "-c", block.body])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("block", blocks_in("yaml"), ids=str)
def test_yaml(stock_project: Project, block: Block) -> None:
    """It loads beside the stock set, and nothing about it is worth a warning."""
    write_yaml(stock_project, block.body)
    done = stock_project("validate")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout


@pytest.mark.parametrize("block", blocks_in("yml"), ids=str)
def test_files_of_other_programs(block: Block) -> None:
    assert yaml.safe_load(block.body)


@pytest.mark.parametrize("block", blocks_in("sh"), ids=str)
def test_sh(stock_project: Project, block: Block) -> None:
    done = run_in(stock_project, ["sh", "-n", "-c", block.body])
    assert done.returncode == 0, done.stderr
    assert [problem for command in commands_in(block.body) if (problem := unknown_in(command))] == []


def commands_in(script: str) -> list[tuple[str, ...]]:
    """The words after `runner` on each line that calls it."""
    found = (re.search(r"(?:^|[\s(])runner ((?:[^#|>&)]|#\S)+)", line) for line in script.splitlines())
    return [tuple(shlex.split(match[1])) for match in found if match]


def unknown_in(words: tuple[str, ...]) -> str | None:
    """The option that the command's help does not name."""
    command = words[:2] if words[0] in GROUPS and len(words) > 1 and not words[1].startswith("-") else words[:1]
    options = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    known = help_of(*command).replace("\n", " ")
    return next((f"{' '.join(words)}: {option}" for option in options if f"{option} " not in known), None)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("runner run codex nightly --timeout 5m", None),
        ('eval "$(runner completion bash)"', None),
        ("runner run codex nightly --patience 5m", "run codex nightly --patience 5m: --patience"),
        ("runner cron install --systemd  # as root", None),
    ],
)
def test_what_sh_is_looked_through_for(line: str, problem: str | None) -> None:
    (command,) = commands_in(line)
    assert unknown_in(command) == problem


@pytest.mark.parametrize(
    ("body", "file"),
    [("agents: {}\n", "agents.yaml"), ("defaults: {}\n", "agents.yaml"), ("# x\nsettings: {}\n", "tasks.yaml")],
)
def test_which_file_an_example_is(body: str, file: str) -> None:
    assert file_of(body) == file
