"""`runner parse RUN`: a run judged again by today's rules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from runner.recordings.of_run import stderr_in
from tests.helpers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project

AGENTS = """\
stock: false
agents:
  shell:
    binary: /bin/sh
    argv: [-c, "{{ vars.script }}"]
    env: {set: {REPORT: "{{ run_dir }}/usage.json"}}
    parser: mine
  second: {extends: shell}
parsers:
  mine:
    format: jsonl
    success: {when: {type: done}}
    fields:
      text: {when: {type: done}, at: answer}
      model: {in: stderr, match: "^model: (.+)"}
      usage.output_tokens: {in: {file: "{{ run_dir }}/usage.json", at: output}}
    errors:
      - {in: stderr, match: "^429", class: rate_limit}
"""
TASKS = """\
stock: false
tasks:
  good:
    prompt: prompts/free.md
    vars: {script: 'echo "model: m1" >&2; echo "{\\"type\\": \\"done\\", \\"answer\\": \\"Hello.\\"}"; echo "{\\"output\\": 7}" >$REPORT'}
  broken: {prompt: prompts/free.md, vars: {script: 'echo "{\\"type\\": \\"done\\", \\"answer\\": \\"x\\"}"; exit 3'}}
  commit: {extends: good, requires_commit: true}
  limited: {prompt: prompts/free.md, fallback: [second], vars: {script: 'echo "429 slow down" >&2; exit 1'}}
  killed: {prompt: prompts/free.md, vars: {script: 'kill -9 $$'}}
  slow: {prompt: prompts/free.md, timeout: 1s, vars: {script: 'sleep 60'}}
"""


@pytest.fixture
def shell(project: Project) -> Project:
    project.write("agents.yaml", AGENTS)
    project.write("tasks.yaml", TASKS)
    return project


def parsed(project: Project, *words: str) -> dict[str, object]:
    done = project("parse", *words, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("task", ["good", "commit", "broken", "limited", "killed", "slow"])
def test_a_run_is_judged_again_as_it_was(shell: Project, task: str) -> None:
    code = shell("run", "shell", task).returncode
    record = shell.record()

    found = parsed(shell, record["run_id"])

    assert {key: record[key] for key in found} == found
    assert found["exit_code"] == code
    if task == "good":
        assert (found["model"], found["text"]) == ("m1", "Hello.")
        assert shell.record()["usage"]["output_tokens"] == 7


def test_a_run_by_its_other_names(shell: Project) -> None:
    shell("run", "shell", "good")
    folder = shell.folders()[-1]

    found = [parsed(shell, name) for name in ("last", str(folder), "last:shell/good", folder.name[:-1])]

    assert all(one == found[0] for one in found)
    assert found[0]["status"] == "success"


def test_todays_rules_count_and_the_difference_is_said(shell: Project) -> None:
    shell("run", "shell", "good")
    shell.write("agents.yaml", AGENTS.replace("success: {when: {type: done}}", "success: {when: {type: end}}"))

    done = shell("parse", "last")

    assert done.stdout.splitlines()[:3] == [
        "status     failed",
        "reason     no_terminal_event",
        "recorded   success",
    ]
    assert "recorded" not in shell("parse", "last", "--parser", "text").stdout


def test_a_file_that_is_not_there_is_named(shell: Project) -> None:
    shell("run", "shell", "good")
    report = shell.folders()[-1] / "usage.json"
    report.unlink()
    shell.write("elsewhere.json", '{"output": 9}')

    without = shell("parse", "last", "--json")
    given = shell("parse", "last", "--json", "--file", "{{ run_dir }}/usage.json=elsewhere.json")

    assert without.stderr == (
        f"note: rules look into `{{{{ run_dir }}}}/usage.json`, which cannot be read: no such file: `{report}`\n"
    )
    assert json.loads(without.stdout)["usage"]["output_tokens"] is None
    assert (json.loads(given.stdout)["usage"]["output_tokens"], given.stderr) == (9, "")


def test_files_beside_a_file_of_output(shell: Project) -> None:
    shell.write("out", '{"type": "done", "answer": "x"}\n')
    shell.write("report", '{"output": 9}')

    without = shell("parse", "shell", "out", "--exit-code", "0", "--json")
    given = shell("parse", "shell", "out", "--exit-code", "0", "--json", "--file", "{{ run_dir }}/usage.json=report")
    wrong = shell("parse", "shell", "out", "--file", "usage.json=report")

    assert without.stderr == (
        "note: rules look into `{{ run_dir }}/usage.json`, which was not given: "
        "--file '{{ run_dir }}/usage.json=PATH'\n"
    )  # fmt: skip
    assert json.loads(given.stdout)["usage"]["output_tokens"] == 9
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == (
        "error: no rule looks into `usage.json`\nhint: the rules of `mine` name `{{ run_dir }}/usage.json`\n"
    )


def test_several_tries(shell: Project) -> None:
    shell("run", "shell", "limited")
    first, second = (folder.name for folder in shell.folders())

    shown = shell("parse", "last", "--tries")
    found = json.loads(shell("parse", "last", "--tries", "--json").stdout)

    headings = [line for line in shown.stdout.splitlines() if line.startswith("try ")]
    assert headings == [f"try 1: {first} shell limited", f"try 2: {second} second limited"]
    assert [(one["run_id"], one["reason"]) for one in found["tries"]] == [(first, "rate_limit"), (second, "rate_limit")]
    assert found["run_id"] == second
    schema = json.loads((ROOT / "schema" / "parse.schema.json").read_text())
    assert set(found) <= set(schema["properties"])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "error: expected a run, a folder, or an agent and the file with its stdout"),
        (["shell"], "error: `shell` is an agent: what did it print?\nhint: `runner parse shell FILE`"),
        (["last", "--exit-code", "0"], "error: --exit-code needs a file: `runner parse AGENT STDOUT`"),
        (["prompts"], "error: `prompts` is neither a run nor a recording"),
        (["a", "b", "c"], "error: expected a run, a folder, or an agent and the file with its stdout"),
        (["shell", "README", "--tries"], "error: --tries needs a run"),
        (["2001"], "error: there is no run `2001`"),
    ],
)
def test_wrong_words(shell: Project, args: list[str], message: str) -> None:
    done = shell("parse", *args)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(message)


# What was written to stdout and to stderr, as the transcript has it: `o` and `e` before each piece. What is told to be
# stderr, with the offsets.
MIXED: list[tuple[list[str], list[tuple[str, int]]]] = [
    (["oout\n", "eerr\n", "oout\n"], [("err\n", 4)]),
    (["eerr\n"], [("err\n", 0)]),
    (["oout\n"], []),
    (["eone\n", "oout\n", "etwo"], [("one\n", 0), ("two", 8)]),
    (["epart", "oout\n"], [("part", 0)]),  # a prompt without a newline, then a line of stdout
    (["oout", "eerr\n"], [("err\n", 3)]),  # the last line of stdout without a newline
    (["o\n", "eerr\n", "o\n"], [("err\n", 1)]),
]


@pytest.mark.parametrize(("pieces", "told"), MIXED)
def test_stderr_is_told_apart(tmp_path: Path, pieces: list[str], told: list[tuple[str, int]]) -> None:
    (tmp_path / "transcript.log").write_text("".join(piece[1:] for piece in pieces))
    (tmp_path / "stdout.log").write_text("".join(piece[1:] for piece in pieces if piece[0] == "o"))

    found = stderr_in(str(tmp_path / "transcript.log"), str(tmp_path / "stdout.log"))

    assert [(text.decode(), offset) for text, offset in found] == told
