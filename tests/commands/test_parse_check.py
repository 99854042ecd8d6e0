"""`runner parse --check`: the recordings of a project against its rules."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import jsonschema
import pytest

from runner.recordings.recording import Ended, write_recording
from tests.helpers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project

AGENTS = """\
stock: false
agents:
  mine: {binary: mine, argv: [], stdin: "{{ prompt }}", parser: mine}
parsers:
  mine:
    format: jsonl
    success: {when: {type: done}}
    fields:
      text: {when: {type: done}, at: answer}
      cost_usd: {when: {type: done}, at: cost}
      usage.output_tokens: {in: {file: "{{ run_dir }}/usage.json", at: output}}
    errors:
      - {in: stderr, match: "limit until (?P<clock>.+)", class: rate_limit}
"""
AT = "2026-11-22T15:56:40Z"


@pytest.fixture
def mine(project: Project) -> Project:
    project.write("agents.yaml", AGENTS)
    (project.root / "tasks.yaml").unlink()
    record(
        project, "hello", '{"type": "done", "answer": "Hello.", "cost": 0.1}\n', files={"usage.json": b'{"output": 7}'}
    )
    record(project, "limit", "", "limit until 7:10 PM\n", code=1)
    expect(project, "hello", "status: success\nreason: null\ntext: Hello.\nusage: {output_tokens: 7}\ncost_usd: 0.1\n")
    expect(project, "limit", "status: rate_limited\nerror: {class: rate_limit, retry_at: 2026-11-22T19:10:00.000Z}\n")
    return project


def record(
    project: Project, name: str, stdout: str, stderr: str = "", *, code: int = 0, files: dict[str, bytes] | None = None
) -> None:
    folder = str(project.root / "recordings" / "mine" / name)
    write_recording(folder, Ended(code, at=AT), stdout.encode(), stderr.encode(), files)


def expect(project: Project, name: str, text: str) -> Path:
    return project.write(f"recordings/mine/{name}/expected.yaml", text)


def test_all_as_expected(mine: Project) -> None:
    done = mine("parse", "--check")

    assert (done.stdout, done.stderr, done.returncode) == ("2 recordings: 2 as expected\n", "", 0)


def test_a_difference_says_where_what_and_what_to_do(mine: Project) -> None:
    expect(mine, "hello", "status: success\ntext: Hullo.\nusage:\n  output_tokens: 8\n  input_tokens: null\n")

    done = mine("parse", "--check")

    assert done.returncode == 1
    assert done.stdout == (
        "mine/hello:\n"
        '  text: expected "Hullo.", found "Hello."\n'
        "  usage.output_tokens: expected 8, found 7\n"
        "  which rule did it: runner parse recordings/mine/hello --explain\n"
        "  if what was found is right: correct recordings/mine/hello/expected.yaml:2, 4\n"
        "2 recordings: 1 as expected, 1 differs\n"
    )


# Written in expected.yaml of a success with the text `Hello.`, and the difference.
DIFFERENCES = [
    ("status: failed", 'status: expected "failed", found "success"'),
    ("reason: auth", 'reason: expected "auth", found null'),
    ('text: ""', 'text: expected "", found "Hello."'),
    ("tool_calls: 0", "tool_calls: expected 0, found null"),
    ("usage: {output_tokens: 7, input_tokens: 0}", "usage.input_tokens: expected 0, found null"),
    ("usage: null", "usage: expected null, found {"),
    ("cost_usd: 0.11", "cost_usd: expected 0.11, found 0.1"),
    ("error: {class: auth}", 'error: expected {"class": "auth"}, found null'),
    ("exit_code: 1", "exit_code: expected 1, found 0"),
    ("exit_code: false", "exit_code: expected false, found 0"),
]


@pytest.mark.parametrize(("text", "difference"), DIFFERENCES)
def test_differences(mine: Project, text: str, difference: str) -> None:
    expect(mine, "hello", f"{text}\n")

    done = mine("parse", "--check")

    assert done.returncode == 1
    assert done.stdout.splitlines()[1].startswith(f"  {difference}")


# What is in expected.yaml (None: no such file), and what is said; the file stands before each.
DAMAGED = [
    (None, ": cannot be read: no such file (`runner parse --check --update` writes what is found now)"),
    ("", ":1:1: expected a mapping such as `status: success`"),
    ("[]\n", ":1:1: expected a mapping such as `status: success`"),
    ("status: success\ntxet: x\n", ":2:7: txet: unknown key `txet` (did you mean 'text'?)"),
    ("usage: {output: 7}\n", ":1:17: usage.output: unknown key `output` (did you mean 'output_tokens'?)"),
    ("usage: 7\n", ":1:8: usage: expected a mapping or null, got `7`"),
    ("error: {klass: auth}\n", ":1:16: error.klass: unknown key `klass` (did you mean 'class'?)"),
    ("at: 2026-11-22T15:56:40Z\n", ":1:1: names nothing to compare (write at least `status:`)"),
    ("status: success\nat: noon\n", ":2:5: at: expected a time such as `2026-02-19T17:50:43Z`"),
    ("status: success\nparser: 5\n", ":2:9: parser: expected the name of a parser"),
    ("status: 'x\n", ":1:9: a quoted text is not closed (add the missing quote)"),
    ("status: success\nstatus: failed\n", ":2:1: duplicate key, first set at line 1"),
]


@pytest.mark.parametrize(("text", "said"), DAMAGED)
def test_a_damaged_expectation_is_named_and_the_others_are_checked(mine: Project, text: str | None, said: str) -> None:
    path = expect(mine, "hello", text or "")
    if text is None:
        path.unlink()

    done = mine("parse", "--check")

    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == (
        f"mine/hello:\n  recordings/mine/hello/expected.yaml{said}\n"
        "2 recordings: 1 as expected, 1 cannot be compared\n"
    )  # fmt: skip


NO_JSON = (
    "is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1) "
    '(expected such as {"code": 0, "timed_out": false, "seconds": 1.2})'
)
NO_AGENT = "unknown agent `yours` (the folder's name is the agent's; `parser:` in expected.yaml names a parser without an agent)"


def test_what_else_a_recording_can_lack(mine: Project) -> None:
    (mine.root / "recordings/mine/hello/stdout").unlink()
    (mine.root / "recordings/mine/limit/exit.json").write_text("{")
    mine.write("recordings/yours/1.0/hello/expected.yaml", "status: success\n")
    mine.write("recordings/mine/other/expected.yaml", "status: success\nparser: nobody\n")
    mine.write("recordings/mine/other/exit.json", '{"code": 0}')

    done = mine("parse", "--check")

    root = mine.root
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if line.startswith("  ")] == [
        f"  cannot read `{root}/recordings/mine/hello/stdout`: No such file or directory",
        f"  {root}/recordings/mine/limit/exit.json: {NO_JSON}",
        "  unknown parser `nobody`",
        f"  {root}/recordings/yours/1.0/hello: {NO_AGENT}",
    ]


def test_another_parser_and_another_time(mine: Project) -> None:
    limit = "parser: mine\nat: 2026-11-22T20:00:00+01:00\nerror: {retry_at: 2026-11-23T18:10:00.000Z}\n"
    expect(mine, "limit", limit)

    done = mine("parse", "--check")

    # 7:10 PM in the zone of `at` has passed by then: the next day's.
    assert (done.stdout, done.returncode) == ("2 recordings: 2 as expected\n", 0)


def test_a_rule_that_changes_turns_it_red(mine: Project) -> None:
    mine.write("agents.yaml", AGENTS.replace("at: answer", "at: anser"))

    done = mine("parse", "--check", "mine")

    assert done.returncode == 1
    assert 'text: expected "Hello.", found ""' in done.stdout


def test_update_writes_what_is_missing_and_changes_nothing(mine: Project) -> None:
    wrong = expect(mine, "limit", "status: success\n")
    missing = mine.root / "recordings/mine/hello/expected.yaml"
    missing.unlink()

    done = mine("parse", "--check", "--update")

    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "mine/hello: expected.yaml was written; read it before you keep it"
    assert wrong.read_text() == "status: success\n"
    assert missing.read_text() == (
        'at: 2026-11-22T15:56:40Z\nstatus: success\nreason: null\ntext: "Hello."\nusage:\n  output_tokens: 7\n'
        "cost_usd: 0.1\nerror: null\nexit_code: 0\n"
    )
    wrong.unlink()
    assert mine("parse", "--check", "--update").returncode == 0
    assert mine("parse", "--check").stdout == "2 recordings: 2 as expected\n"


def test_what_is_written_is_as_expected_for_hostile_text(mine: Project) -> None:
    text = 'yes: "1e3"\n\t# no comment \u2028\u0000 \U0001f600 \ufffd\n---\n{{ x }}'
    record(mine, "hello", json.dumps({"type": "done", "answer": text}) + "\n", files={"usage.json": b"{}"})
    (mine.root / "recordings/mine/hello/expected.yaml").unlink()
    mine("parse", "--check", "--update")

    assert mine("parse", "--check").stdout == "2 recordings: 2 as expected\n"


def test_as_json(mine: Project) -> None:
    expect(mine, "hello", "text: Hullo.\n")
    expect(mine, "limit", "nonsense: 1\n")

    done = mine("parse", "--check", "--json")

    found = json.loads(done.stdout)
    schema = json.loads((ROOT / "schema" / "parse-check.schema.json").read_text())
    jsonschema.validate(found, schema)
    assert done.returncode == 1
    assert [(one["name"], one["as_expected"], len(one["problems"])) for one in found["recordings"]] == [
        ("hello", False, 0),
        ("limit", False, 1),
    ]
    assert found["recordings"][0]["differences"] == [
        {"key": "text", "expected": "Hullo.", "found": "Hello.", "line": 1}
    ]
    assert (found["as_expected"], found["different"], found["unreadable"]) == (0, 1, 1)


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--check", "mien"], 2, "error: unknown agent `mien`\nhint: did you mean 'mine'?"),
        (["--check", "--recordings", "nowhere"], 2, "error: there is no folder `nowhere`\nhint: `--recordings DIR`"),
        (["--check", "--recordings", "empty"], 2, "error: there is no recording below `empty`"),
        (["--check", "--exit-code", "0"], 2, "error: --exit-code and --check exclude each other"),
        (["--check", "--explain"], 2, "error: --explain and --check exclude each other"),
        (["mine", "x", "--update"], 2, "error: --update needs --check"),
        (["mine", "x", "--recordings", "x"], 2, "error: --recordings needs --check"),
    ],
)
def test_wrong_words(mine: Project, args: list[str], code: int, message: str) -> None:
    (mine.root / "empty").mkdir()

    done = mine("parse", *args)

    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(message)


def test_rules_that_do_not_work_are_said_once(mine: Project) -> None:
    mine.write("agents.yaml", AGENTS.replace("limit until", "limit (until"))

    done = mine("parse", "--check")

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("bad regular expression") == 1
