"""What the commands print about the configuration."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import jsonschema
import pytest

from runner.commands import agents, schema, tasks
from runner.commands._table import table
from runner.commands.validate import validate
from runner.config import Config, load
from runner.config.checks import ALIASES, cron_fault
from runner.config.project import project_at
from runner.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project

AGENTS = """\
stock: false
agents:
  base:
    description: the first
    binary: "{{ python }}"
    argv: [-c, "print(1)", "a third word that makes this line long enough to be broken"]
    stdin: |
      One.
      {{ prompt }}
    parser: text
    model: {default: small, env: [MINE_MODEL]}
  child: {extends: base, binary: tool, install: pip install tool, env: {set: {A: x}}}
  late: {extends: base, binary: "{{ run_dir }}/tool"}
"""
TASKS = """\
stock: false
settings: {path: [bin, ~/bin]}
tasks:
  ask: {description: only asks, prompt: prompts/ask.md}
  work: {prompt: prompts/work.md, requires_commit: true}
  tidy: {prompt: prompts/work.md, auto_commit: true}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path, text in {
        "agents.yaml": AGENTS,
        "tasks.yaml": TASKS,
        "prompts/ask.md": "?",
        "prompts/work.md": "!",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def config(folder: Path) -> Config:
    return load(project_at(str(folder)), None)


def executable(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_agents(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("MINE_MODEL", "large")

    assert agents.agents(None, as_json=False) == 0

    assert capsys.readouterr().out == (
        "AGENT  MODEL  PARSER  DEFINED IN      BINARY\n"
        "base   large  text    agents.yaml:3   found\n"
        "child  large  text    agents.yaml:12  no `tool`\n"
        "late   large  text    agents.yaml:13  no `{{ run_dir }}/tool`\n"
    )


def test_agents_as_json(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "")

    agents.agents(None, as_json=True)
    first, second, _ = json.loads(capsys.readouterr().out)

    assert first["binary"] == first["found"] == sys.executable
    assert second == {
        "name": "child",
        "description": "the first",
        "model": "small",
        "parser": "text",
        "defined": "agents.yaml:12",
        "binary": "tool",
        "found": None,
        "install": "pip install tool",
        "cooldown": None,
    }


@pytest.mark.parametrize("place", ["path", "home", "environment", "project"])
def test_where_a_binary_is_looked_for(config: Config, folder: Path, place: str) -> None:
    environ = {"PATH": str(folder / "somewhere"), "HOME": str(folder / "home")}
    places = {"path": "somewhere", "home": "home/bin", "environment": "else", "project": "bin"}
    (folder / "home").mkdir()
    tool = executable(folder / places[place] / "tool")
    if place == "environment":
        environ["RUNNER_CHILD_BIN"] = str(tool)

    assert agents.find_binary(config, "child", environ)[1] == str(tool)


def test_tasks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tasks.tasks(None, as_json=False) == 0

    assert capsys.readouterr().out == (
        "TASK  PROMPT   COMMIT    DEFINED IN\n"
        "ask   ask.md   -         tasks.yaml:4\n"
        "tidy  work.md  auto      tasks.yaml:6\n"
        "work  work.md  required  tasks.yaml:5\n"
    )


def test_tasks_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tasks.tasks(None, as_json=True)

    assert json.loads(capsys.readouterr().out)[0] == {
        "name": "ask",
        "description": "only asks",
        "prompt": str(folder / "prompts" / "ask.md"),
        "requires_commit": False,
        "auto_commit": False,
        "defined": "tasks.yaml:4",
    }


def test_nothing_to_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "agents.yaml").write_text("stock: false\n")
    (folder / "tasks.yaml").write_text("stock: false\n")

    agents.agents(None, as_json=False)
    tasks.tasks(None, as_json=False)

    assert capsys.readouterr().out == "no agents; add one to agents.yaml\nno tasks; add one to tasks.yaml\n"


def test_show_an_agent(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert agents.show(None, "child", as_json=False) == 0

    assert [tuple(part.strip() for part in line.split("  #")) for line in capsys.readouterr().out.splitlines()] == [
        ("child:", "agents.yaml:12"),
        ("description: the first", "agents.yaml:4"),
        ("binary: tool", "agents.yaml:12"),
        ("argv:", "agents.yaml:6"),
        ('- "-c"',),
        ('- "print(1)"',),
        ("- a third word that makes this line long enough to be broken",),
        ("stdin: |", "agents.yaml:7"),
        ("One.",),
        ("{{ prompt }}",),
        ("parser: text", "agents.yaml:10"),
        ("model:",),
        ("default: small", "agents.yaml:11"),
        ('env: ["MINE_MODEL"]', "agents.yaml:11"),
        ("install: pip install tool", "agents.yaml:12"),
        ("env:",),
        ("set:",),
        ("A: x", "agents.yaml:12"),
    ]


def test_show_as_json(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    tasks.show(None, "work", as_json=True)

    shown = json.loads(capsys.readouterr().out)
    assert (shown["name"], shown["defined"]) == ("work", "tasks.yaml:5")
    assert shown["entry"] == config.tasks["work"]
    assert shown["origins"] == {"prompt": "tasks.yaml:5", "requires_commit": "tasks.yaml:5"}


def test_show_an_unknown_name(folder: Path) -> None:
    with pytest.raises(UsageError, match="unknown agent `chidl`"):
        agents.show(None, "chidl", as_json=False)
    with pytest.raises(UsageError, match="unknown task `wrk`"):
        tasks.show(None, "wrk", as_json=False)


def test_a_table_fits_its_width() -> None:
    shown = table(("A", "B"), [("x" * 100, "y" * 5), ("short", "z" * 100)])

    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "…" in shown
    assert table(("A", "B"), [("x" * 50, "y" * 50)], width=10).splitlines()[1] == "xxxxxxx…  yyyyyyy…"


def test_validate_what_is_right(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate([]) == 0
    assert validate([str(folder), "agents.yaml", str(folder / "tasks.yaml")]) == 0

    assert capsys.readouterr().out == "ok: 3 agents, 3 tasks\n" * 2


@pytest.mark.parametrize(
    ("path", "message"), [("prompts/ask.md", "`prompts/ask.md` is not a project"), ("x/tasks.yaml", "does not exist")]
)
def test_validate_what_is_no_project(folder: Path, path: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        validate([path])
    with pytest.raises(UsageError, match="unknown format `yaml`"):
        validate([], "yaml")


@pytest.fixture
def wrong(folder: Path) -> Path:
    (folder / "agents.yaml").write_text(AGENTS.replace("install:", "instal:"))
    return folder


def test_validate_as_json(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert validate([], "json") == 3

    assert json.loads(capsys.readouterr().out) == {
        "ok": False,
        "agents": 0,
        "tasks": 0,
        "problems": [
            {
                "file": "agents.yaml",
                "line": 12,
                "column": 40,
                "message": "unknown key",
                "path": "agents.child.instal",
                "hint": "did you mean 'install'?",
                "severity": "error",
            }
        ],
    }


def test_validate_for_github(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (wrong / "tasks.yaml").write_text('tasks: {"a,b:%": 1}\n')
    validate([], "github")

    assert capsys.readouterr().out.splitlines() == [
        "::error file=agents.yaml,line=12,col=40,title=agents.child.instal::unknown key (did you mean 'install'?)",
        (
            '::error file=tasks.yaml,line=1,col=9,title=tasks["a%2Cb%3A%25"]::expected a name of lower-case letters, digits, '
            "`-` and `_` that begins with a letter or digit, got `a,b:%25` (did you mean 'a-b'?)"
        ),
        '::error file=tasks.yaml,line=1,col=18,title=tasks["a%2Cb%3A%25"]::expected a task: a mapping with `prompt`, got `1`',
    ]


def test_validate_for_junit(wrong: Path, capsys: pytest.CaptureFixture[str]) -> None:
    validate([], "junit")

    suite = ET.fromstring(capsys.readouterr().out)
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.get("name") for case in suite] == ["agents.yaml", "tasks.yaml"]
    failure = suite[0][0]
    assert failure.get("message") == "unknown key (did you mean 'install'?)"
    assert failure.text == "agents.yaml:12:40: agents.child.instal: unknown key (did you mean 'install'?)"
    assert len(suite[1]) == 0


def test_nothing_from_a_file_reaches_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Right-to-left marks, escapes, C1: neither a key nor a value acts on a terminal or a log."""
    (folder / "agents.yaml").write_text('agents:\n  "a\\e[31m\\u202e\\x9b": {binary: "\\e]0;x\\a", argv: "\\u202e"}\n')
    for fmt in ("text", "json", "github", "junit"):
        validate([], fmt)

        assert not set(capsys.readouterr().out) & set("\x1b\u202e\x9b\x07")


def test_nothing_of_an_entry_reaches_the_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = '"a\\e[31m\\u202eb"'
    text = f"agents:\n  mine: {{binary: {hostile}, argv: [], parser: text, description: {hostile}, model: {hostile}}}\n"
    (folder / "agents.yaml").write_text("stock: false\n" + text)
    for as_json in (False, True):
        agents.agents(None, as_json=as_json)
        agents.show(None, "mine", as_json=as_json)

    assert not set(capsys.readouterr().out) & set("\x1b\u202e")


@pytest.mark.parametrize("name", schema.NAMES)
def test_schema(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert schema.print_schema(name) == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(capsys.readouterr().out))


def test_an_unknown_schema() -> None:
    with pytest.raises(UsageError, match="unknown schema `agnts`") as caught:
        schema.print_schema("agnts")
    assert caught.value.hint == "did you mean 'agents'?"


@pytest.mark.parametrize(
    "text", [*ALIASES, "* * * * *", "*/30 3-5 1,15 JAN-MAR mon", "0 0 L * *", "0 0 * * MON#2", "0 0 29 2 *"]
)
def test_cron_expressions(text: str) -> None:
    assert cron_fault(text)[0] is None


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("@nightly", 1, "unknown cron word `@nightly`"),
        ("", 1, "expected five fields, got 0 in ``"),
        ("* * * * * *", 1, "expected five fields, got 6 in `* * * * * *`"),
        ("60 * * * *", 1, "the minute of a cron expression cannot be `60`"),
        ("0  24 * * *", 4, "the hour of a cron expression cannot be `24`"),
        ("0 0 32 * *", 5, "the day-of-month of a cron expression cannot be `32`"),
        ("0 0 1 13 *", 7, "the month of a cron expression cannot be `13`"),
        ("0 0 1 1 FUN", 9, "the day-of-week of a cron expression cannot be `FUN`"),
        ("0 0 31 2,4 *", 5, "the day-of-month of a cron expression cannot be `31`"),
        ("0 0 30 2 *", 5, "the day-of-month of a cron expression cannot be `30`"),
    ],
)
def test_wrong_cron_expressions(text: str, column: int, message: str) -> None:
    assert cron_fault(text)[:2] == (message, column)


def test_a_word_of_argv_may_be_any_text(project: Project) -> None:
    project.write(
        "agents.yaml", "stock: false\nagents: {mine: {binary: /bin/echo, argv: [when, args], parser: text}}\n"
    )
    done = project("run", "mine", "free")
    assert (done.returncode, project.record()["text"]) == (0, "when args"), done.stderr
