"""`runner parse` through the real command."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import jsonschema
import pytest

from runner.records.evidence import line_number
from tests.helpers import ROOT
from tests.parsers.recordings.row import HELLO, TRANSCRIPTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project

RECORDINGS = TRANSCRIPTS / "claude" / "2.1.197"


def test_a_success_as_json(stock_project: Project) -> None:
    done = stock_project("parse", "claude", str(RECORDINGS / "hello" / "stdout"), "--exit-code", "0", "--json")

    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert list(found.items()) == [
        ("text", HELLO),
        ("session_id", "efa0d501-4fb2-4f03-a7b8-d308fbe175ee"),
        ("model", "claude-sonnet-5"),
        (
            "usage",
            {
                "input_tokens": 1521,
                "output_tokens": 49,
                "cache_read_tokens": 256,
                "cache_write_tokens": 64,
                "reasoning_tokens": None,
            },
        ),
        ("cost_usd", 0.0046548),
        ("tool_calls", 0),
        ("status", "success"),
        ("reason", None),
        ("error", None),
        ("exit_code", 0),
    ]
    assert list(found["usage"]) == [
        "input_tokens",
        "output_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
    ]


@pytest.mark.parametrize(
    ("scenario", "args", "error", "exit_code"),
    [
        (
            "ratelimit",
            ["--at", "2026-11-22T12:00:00Z"],
            {
                "class": "rate_limit",
                "message": "the service limits requests",
                "retry_at": "2026-11-22T12:00:38.240Z",
                "evidence": "stdout:8",
            },
            10,
        ),
        (
            "planlimit-oauth",
            ["--exit-code", "1", "--at", "2026-11-22T12:00:00Z"],
            {
                "class": "usage_limit",
                "message": "You've hit your session limit · resets 7:19pm (UTC)",
                "retry_at": "2026-11-22T19:19:36.000Z",
                "evidence": "stdout:4",
            },
            10,
        ),
        (
            "probe-noprompt-null",
            ["--exit-code", "1", "--stderr", str(RECORDINGS / "probe-noprompt-null" / "stderr")],
            {
                "class": "no_terminal_event",
                "message": "the output ends without its terminal event, exit code 1; stderr ends with: Error: Input must "
                "be provided either through stdin or as a prompt argument when using --print",
                "retry_at": None,
                "evidence": "stderr:1",
            },
            1,
        ),
        (
            "probe-kill-sleep",
            ["--exit-code", "-9"],
            {
                "class": "no_terminal_event",
                "message": "the output ends without its terminal event, the agent was ended by SIGKILL",
                "retry_at": None,
                "evidence": None,
            },
            1,
        ),
        (
            "stall",
            [],
            {"class": "timeout", "message": "the run took longer than its timeout", "retry_at": None, "evidence": None},
            11,
        ),
    ],
)
def test_an_error_as_json(
    stock_project: Project, scenario: str, args: list[str], error: dict[str, object], exit_code: int
) -> None:
    done = stock_project("parse", "claude", str(RECORDINGS / scenario / "stdout"), *args, "--json")

    found = json.loads(done.stdout)
    assert (found["error"], found["exit_code"]) == (error, exit_code)
    assert (done.returncode, found["reason"]) == (0, error["class"])


def test_relative_times_count_from_when_the_file_was_written(stock_project: Project, tmp_path: Path) -> None:
    copy = tmp_path / "stdout"
    copy.write_bytes((RECORDINGS / "ratelimit" / "stdout").read_bytes())
    os.utime(copy, (1_771_502_400, 1_771_502_400))

    done = stock_project("parse", "claude", str(copy), "--json")

    assert json.loads(done.stdout)["error"]["retry_at"] == "2026-02-19T12:00:38.240Z"


def test_for_people(stock_project: Project) -> None:
    done = stock_project("parse", "claude", str(RECORDINGS / "commit" / "stdout"), "--exit-code", "0")

    assert done.stdout == (
        "status      success\n"
        "exit code   0\n"
        "session     ad0a7d8a-a8dd-4084-92ac-889edff7b652\n"
        "model       claude-sonnet-5\n"
        "tokens      input 3,391, output 76, cache_read 640, cache_write 48\n"
        "cost        $0.0096\n"
        "tool calls  1\n"
        "\nDone: committed stub-a.txt.\n"
    )


def test_another_parser_and_what_the_terminal_must_not_see(stock_project: Project, tmp_path: Path) -> None:
    output = tmp_path / "out.txt"
    output.write_bytes(b"\x1b]0;title\x07 hello \x1b[31mred\x1b[0m \x07\n")

    done = stock_project("parse", "claude", str(output), "--parser", "claude-text", "--exit-code", "0")

    assert done.stdout == "status     success\nexit code  0\n\nhello red \ufffd\n"


def test_explain_names_rule_place_line_and_value(stock_project: Project) -> None:
    output = str(RECORDINGS / "planlimit-oauth" / "stdout")

    done = stock_project("parse", "claude", output, "--exit-code", "1", "--explain")
    as_json = stock_project("parse", "claude", output, "--exit-code", "1", "--explain", "--json")

    rows = [re.split(r"  +", line) for line in done.stdout.partition("RULE")[2].splitlines()[1:]]
    found = {row[0]: row[1:] for row in rows}
    assert found["failure.0"][1:] == ["stdout:4", "bad"]
    assert found["fields.session_id"][1:] == ["stdout:1", "415017a3-c3eb-4fb7-86ed-edf38518d1c9"]
    assert found["errors.4"][1] == "stdout:4"
    # Where the checkout's path is long, the column is cut shorter.
    shown = found["errors.4"][2].removesuffix("…")
    assert shown.startswith("usage_limit")
    assert "usage_limit: You've hit your session limit · resets 7:19pm (UTC)".startswith(shown)
    assert re.fullmatch(r"(.*/)?agents\.yaml:\d+", found["errors.4"][0])
    assert json.loads(as_json.stdout)["reason"] == "usage_limit"
    explanation = json.loads(as_json.stdout)["explanation"]
    told = {rule["rule"]: rule for rule in explanation["rules"]}
    assert explanation["lines"] == ["stdout: 4 lines, 4 JSON"]
    assert explanation["decision"] == "rate_limited usage_limit: by `failure.2` and `errors.4`"
    assert [name for name, rule in told.items() if rule["decided"]] == ["failure.2", "errors.4"]
    assert (told["fields.session_id"]["place"], told["fields.session_id"]["times"]) == ("stdout:1", 2)
    assert (told["success"]["state"], told["success"]["place"]) == ("missed", None)
    schema = json.loads((ROOT / "schema" / "parse.schema.json").read_text())["properties"]["explanation"]
    jsonschema.validate(explanation, schema)


# A parser, a recording, and a rule that must have given something at a line.
EXPLAINED = [
    ("codex", "codex/0.169.0/planlimit", ["--exit-code", "1"], "errors.0", "stdout:5"),
    ("gemini", "gemini/0.61.0/hello-auto", ["--exit-code", "0"], "fields.model.0", "stdout:6"),
    ("gemini", "gemini/0.61.0/big", ["--exit-code", "0"], "failure.1", "stdout:3"),
    ("kilo", "kilo/7.7.7/commit", ["--exit-code", "0"], "fields.usage.output_tokens", "stdout:7"),
    ("opencode", "opencode/1.18.33/ratelimit", ["--exit-code", "1"], "errors.4", "stdout:1"),
    ("qwen", "qwen/0.15.10/auth", ["--exit-code", "0"], "failure.1", "stdout:3"),
    ("qwen", "qwen/0.15.10/hello-json", ["--exit-code", "0", "--parser", "qwen-json"], "success", "stdout:1"),
    ("amp", "claude/2.1.197/hello", ["--exit-code", "0"], "fields.usage.input_tokens.0", "stdout:5"),
    ("ollama", "opencode/1.18.33/hello-text", ["--exit-code", "0"], "format", "stdout:1"),
]  # fmt: skip


@pytest.mark.parametrize(("agent", "recording", "args", "rule", "place"), EXPLAINED)
def test_explain_for_every_agent(
    stock_project: Project, agent: str, recording: str, args: list[str], rule: str, place: str
) -> None:
    done = stock_project("parse", agent, str(TRANSCRIPTS / recording / "stdout"), *args, "--explain")

    assert (done.returncode, done.stderr) == (0, "")
    rows = [re.split(r"  +", line) for line in done.stdout.partition("RULE")[2].splitlines()[1:]]
    assert place in [row[2] for row in rows if row[0] == rule]
    assert all(re.fullmatch(r"(.*/)?agents\.yaml:\d+|built in", row[1]) for row in rows)


def test_explain_of_the_parser_that_no_file_defines(stock_project: Project) -> None:
    output = str(RECORDINGS / "hello-text" / "stdout")

    done = stock_project("parse", "claude", output, "--parser", "text", "--exit-code", "0", "--explain")

    assert "format  built in    stdout:1  Hello from the stub model, set a." in done.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["cluade", "x"], "error: unknown agent `cluade`\nhint: did you mean 'claude'?"),
        (["claude", "missing"], "error: cannot read `missing`: No such file or directory"),
        (["claude", "."], "error: cannot read `.`: Is a directory"),
        (["claude", "README", "--stderr", "missing"], "error: cannot read `missing`: No such file or directory"),
        (["claude", "README", "--parser", "claude-jsnl"], "error: unknown parser `claude-jsnl`\nhint: did you mean 'claude-jsonl'?"),
        (["claude", "README", "--at", "noon"], "error: expected a time such as `2026-02-19T17:50:43Z`, got `noon`"),
    ],
)  # fmt: skip
def test_wrong_arguments(stock_project: Project, args: list[str], message: str) -> None:
    done = stock_project("parse", *args)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(message)


@pytest.mark.parametrize(("offset", "line"), [(0, 1), (5, 1), (6, 2), (7, 3), (1_500_008, 4), (99_999_999, 4)])
def test_line_number(tmp_path: Path, offset: int, line: int) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"first\n\n" + b"x" * 1_500_000 + b"\nlast")

    assert line_number(str(path), offset) == line
