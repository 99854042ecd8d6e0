"""`runner validate` in a project with recordings: a note on each rule that fired in none, and never more than that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.helpers import Project

RULES = """
stock: false
agents: {mine: {binary: mine, argv: [], stdin: "{{ prompt }}", parser: mine-jsonl}}
parsers:
  mine-jsonl:
    format: jsonl
    success: {when: {event: end}}
    fields:
      text: {when: {event: end}, at: answer}
      model: {when: {event: begin}, at: model}
    errors: [{in: stderr, match: "^fatal", class: network}, {in: stderr, match: "^no login", class: auth}]
"""
END = '{"event": "end", "answer": "done"}\n'


def keep(project: Project, name: str, stdout: str, stderr: str = "", parser: str | None = None) -> None:
    project.write(f"recordings/mine/{name}/stdout", stdout)
    project.write(f"recordings/mine/{name}/stderr", stderr)
    project.write(f"recordings/mine/{name}/exit.json", '{"code": 0}')
    if parser:
        project.write(f"recordings/mine/{name}/expected.yaml", f"parser: {parser}\nstatus: success\n")


@pytest.fixture
def recorded(project: Project) -> Project:
    project.write("agents.yaml", RULES)
    project.write("tasks.yaml", "tasks: {}\n")
    keep(project, "one", END)
    keep(project, "two", END, "fatal: no net\n")
    return project


def noted(project: Project, *, code: int = 0) -> list[tuple[str, str]]:
    done = project("validate", "--format", "json")
    assert (done.returncode, done.stderr) == (code, "")
    problems = json.loads(done.stdout)["problems"]
    assert {problem["severity"] for problem in problems if "fired" in problem["message"]} <= {"note"}
    return [(problem["path"], problem["message"]) for problem in problems if "fired" in problem["message"]]


def test_rules_that_fired_in_none_are_noted(recorded: Project) -> None:
    none = "this rule fired in none of 2 recordings"

    assert noted(recorded) == [
        ("parsers.mine-jsonl.fields.model", none),
        ("parsers.mine-jsonl.errors[1]", none),
    ]
    assert "agents.yaml:10:14: note: parsers.mine-jsonl.fields.model: " in recorded("validate").stdout


@pytest.mark.parametrize("parser", ["mine-jsonl", None])
def test_a_recording_counts_for_its_parser(recorded: Project, parser: str | None) -> None:
    keep(recorded, "three", '{"event": "begin", "model": "m"}\n', "no login\n", parser)

    assert noted(recorded) == []


def test_without_recordings_nothing_is_noted(project: Project) -> None:
    project.write("agents.yaml", RULES)

    assert noted(project) == []


def test_one_for_another_parser_does_not(recorded: Project) -> None:
    keep(recorded, "three", '{"event": "begin", "model": "m"}\n', "no login\n", "text")

    assert len(noted(recorded)) == 2


def test_what_is_large_is_not_looked_at(recorded: Project) -> None:
    keep(recorded, "three", '{"event": "begin", "model": "m"}\n' + " " * (5 << 20), "no login\n")

    assert noted(recorded)[0][1] == "this rule fired in none of 2 recordings that were looked at"


DAMAGES = {
    "no recording of an agent": ("recordings/other/one/stdout", "x"),
    "too deep": ("recordings/mine/a/b/c/stdout", "x"),
    "a bad expected.yaml": ("recordings/mine/one/expected.yaml", "{"),
    "a bad exit.json": ("recordings/mine/one/exit.json", "{"),
    "bytes": ("recordings/mine/one/stdout", "\x00\x1b[2K{"),
    "no recordings at all": ("recordings", "x"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_fails_nothing(project: Project, name: str) -> None:
    project.write("agents.yaml", RULES)
    project.write("tasks.yaml", "tasks: {}\n")
    project.write(*DAMAGES[name])

    noted(project)


def test_a_pattern_without_end_is_bounded_and_not_told(recorded: Project) -> None:
    recorded.write("agents.yaml", RULES.replace('"^no login"', "'^(a+)+$'"))
    keep(recorded, "three", END, f"{'a' * 40}!\n" * 50)

    assert [path for path, _ in noted(recorded)] == ["parsers.mine-jsonl.fields.model"]
