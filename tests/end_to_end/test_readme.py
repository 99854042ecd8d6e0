"""Every example of README is run: commands in a scratch checkout, YAML through the validator."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers import ROOT, with_crontab

if TYPE_CHECKING:
    from tests.helpers import Project

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
CONSOLE = [body for language, body in BLOCKS if language == "console"]
COMMANDS = [line[2:] for body in CONSOLE for line in body.splitlines() if line.startswith("$ ")]
# What this very test run is, and what would change the machine.
NOT_RUN = {"uv run pytest"}
# What differs from run to run, and the width that it changes.
VARIABLE = [
    (r"\d{8}_\d{6}(_\d\d+)?", "RUN"),
    (r"\b\d+(\.\d+)?(ms|s)\b", "TIME"),
    (r"pid \d+", "pid N"),
    (r"\b[0-9a-f]{7}\b", "SHA"),
    (r"(?m)^(.*?) +$", r"\1"),
]


@pytest.mark.parametrize("body", CONSOLE, ids=lambda body: body.splitlines()[0][2:])
def test_console_examples(stock_project: Project, body: str) -> None:
    """Each command ends well, or with the code that a comment behind it names; what is printed is what README shows."""
    stock_project.env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with_crontab(stock_project)
    steps = re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]
    for step in steps:
        line, _, expected = step.partition("\n")
        command, _, comment = line.partition("  # ")
        if command in NOT_RUN:
            continue
        done = subprocess.run(
            shlex.split(command.removeprefix("uv run ")),
            cwd=stock_project.root,
            env=stock_project.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        code = re.search(r"exit (\d+)", comment)
        assert done.returncode == (int(code[1]) if code else 0), done.stdout + done.stderr
        if expected:
            assert same(done.stdout) == same(expected)


def same(text: str) -> str:
    for pattern, word in VARIABLE:
        text = re.sub(pattern, word, text)
    return text.strip()


def test_the_two_commands_come_first_and_ci_calls_the_second() -> None:
    assert COMMANDS[:2] == ["uv run runner run demo debug_hello_simple", "uv run pytest"]
    assert "\nuv run pytest\n" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("body", [body for language, body in BLOCKS if language == "yaml"])
def test_yaml_examples(stock_project: Project, body: str) -> None:
    """An example is a whole file: it loads beside the stock set."""
    name = "agents.yaml" if body.startswith(("agents:", "parsers:", "sandboxes:")) else "tasks.yaml"
    stock_project.write(name, body)
    for prompt in re.findall(r"prompt: (\S+\.md)", body):
        stock_project.write(prompt, "Do it.\n")
    stock_project.write("agents.yaml", body if name == "agents.yaml" else "agents: {}\n")
    done = stock_project("validate") if "validate" in README else stock_project("agents")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_promise_names_its_tests() -> None:
    rows = re.findall(r"^\| \*\*.+", README.partition("## Promises")[2], re.MULTILINE)
    named = [re.findall(r"`(tests/\S+\.py)`", row) for row in rows]
    assert len(rows) == 7
    assert all(named)
    assert [name for names in named for name in names if not (ROOT / name).exists()] == []


def test_every_option_of_run_and_every_command_is_named() -> None:
    from runner.cli.reader import COMMANDS

    options = [option.flag for command in COMMANDS if command.name == "run" for option in command.options]
    assert "--dry-run" in options
    missing = [flag for flag in options if flag not in README]
    missing += [command.name for command in COMMANDS if not command.hidden and f"`runner {command.name}" not in README]
    assert missing == []
