"""The real Claude Code CLI, pinned in package.json, through `runner run`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from runner.modelserver import SCENARIOS, ModelServer
from runner.modelserver.scenario import Answer
from tests.helpers import make_project
from tests.real.rig import drive, pinned, subjects, usage_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project
    from tests.real.rig import Cell

pytestmark = pytest.mark.real

HELLO, COMMIT = "debug_hello_simple", "debug_smoke_commit"
ONE_RETRY = {"CLAUDE_CODE_MAX_RETRIES": "1"}  # ten by default, which takes minutes
SUBSCRIPTION = {"CLAUDE_CODE_OAUTH_TOKEN": "stub-token", "ANTHROPIC_API_KEY": ""}


@pytest.fixture
def claude(tmp_path: Path) -> Project:
    project = make_project(tmp_path, stock=True)
    project.env |= {"RUNNER_CLAUDE_BIN": pinned("claude"), "ANTHROPIC_API_KEY": "stub-key"}
    return project


@dataclass(frozen=True)
class Row:
    scenario: str
    task: str
    status: str
    reason: str | None
    exit_code: int
    commits: tuple[str, ...] = ()
    dirt: str = ""
    timeout: str = "60s"
    environment: dict[str, str] = field(default_factory=dict)
    retry_at: bool = False
    counted: bool = True  # its tokens are those that the server counted, which counts whole answers


TABLE = [
    Row("hello", HELLO, "success", None, 0),
    Row("mention", HELLO, "success", None, 0),
    Row("flaky", HELLO, "success", None, 0),
    Row("streamlimit", HELLO, "success", None, 0),
    Row("toolfail", HELLO, "success", None, 0),
    Row("commit", COMMIT, "success", None, 0, commits=("Add scripted.txt",)),
    Row("toolfail", COMMIT, "failed", "no_commits", 1),
    Row("edit", COMMIT, "failed", "uncommitted_changes", 1, dirt="?? scripted.txt"),
    Row("modelnotfound", HELLO, "failed", "model_not_found", 1),
    Row("quota", HELLO, "failed", "billing", 1),
    Row("auth", HELLO, "failed", "auth", 1, environment=ONE_RETRY),
    Row("overloaded", HELLO, "failed", "overloaded", 1, environment=ONE_RETRY),
    Row("crash500", HELLO, "failed", "server", 1, environment=ONE_RETRY),
    Row("reset", HELLO, "failed", "network", 1, environment=ONE_RETRY),
    Row("broken", HELLO, "failed", "network", 1, environment=ONE_RETRY, counted=False),
    Row("ratelimit", HELLO, "rate_limited", "rate_limit", 10, environment=ONE_RETRY),
    Row("ratelimit-bare", HELLO, "rate_limited", "rate_limit", 10, environment=ONE_RETRY),
    Row("streamlimit-late", HELLO, "rate_limited", "rate_limit", 10),
    Row("ratelimit", HELLO, "rate_limited", "rate_limit", 10, timeout="8s", retry_at=True, counted=False),
    Row(
        "commitlimit",
        COMMIT,
        "rate_limited",
        "rate_limit",
        10,
        commits=("Add scripted.txt",),
        timeout="8s",
        retry_at=True,
        counted=False,
    ),
    Row("planlimit", HELLO, "rate_limited", "usage_limit", 10, environment=SUBSCRIPTION, retry_at=True),
    Row("hang", HELLO, "timed_out", "timeout", 11, timeout="6s", counted=False),
    Row("stall", HELLO, "timed_out", "timeout", 11, timeout="6s", counted=False),
    Row("sleep", COMMIT, "timed_out", "timeout", 11, timeout="6s", counted=False),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.scenario}-{row.task}-{row.reason}")
def test_table(claude: Project, row: Row) -> None:
    words = ("claude", row.task, "--timeout", row.timeout)
    with ModelServer(row.scenario) as server:
        cell = drive(claude, server, *words, ANTHROPIC_BASE_URL=server.url, **row.environment)
    record = cell.record
    assert (record["status"], record["reason"], cell.exit_code) == (row.status, row.reason, row.exit_code), cell.stderr
    assert tuple(commit["subject"] for commit in record["commits"]) == row.commits
    assert tuple(subjects(claude)) == row.commits
    assert claude.git("status", "--porcelain") == row.dirt
    assert record["agent"] == "claude"
    assert_session_is_in_the_home(claude, cell)
    if row.counted:
        assert_counted(cell)
    if row.status == "success":
        assert_answered(cell, row)
    else:
        shown_by_the_agent = row.reason not in ("timeout", "no_commits", "uncommitted_changes")
        assert bool(record["error"]["evidence"]) == shown_by_the_agent
        assert bool(record["error"]["retry_at"]) == row.retry_at


def assert_session_is_in_the_home(claude: Project, cell: Cell) -> None:
    found = [path.stem for path in claude.home.glob(".claude/projects/*/*.jsonl")]
    assert found == [cell.record["session_id"]]


def assert_counted(cell: Cell) -> None:
    counted = {name: cell.record["usage"][name] for name in usage_of(cell.server)}
    assert counted == usage_of(cell.server)


def assert_answered(cell: Cell, row: Row) -> None:
    turns = SCENARIOS[row.scenario].turns
    steps = [step for step in turns if isinstance(step, Answer)]
    if steps:
        assert cell.record["text"] == steps[-1].text
    assert cell.record["tool_calls"] == sum(step.command is not None for step in steps)
    assert cell.record["model"] == cell.server.calls[-1].model
    assert cell.record["cost_usd"] > 0


PLANES = " ".join(chr(plane * 0x10000 + offset) for plane in range(17) for offset in (0x41, 0x1234, 0xFFFD))
LONG = "\n".join(f"line {number:05} of a long prompt, with an é and a 𝄞" for number in range(4500))


@pytest.mark.parametrize(
    "text",
    [LONG, "-rf --help\n- a list\n", "--model nothing", PLANES, "quotes \" ' ` $(id) \\ %s {braces} <tags>"],
    ids=["200-KB", "dash", "double-dash", "planes", "quotes"],
)
def test_a_prompt_reaches_the_model_unchanged(claude: Project, text: str) -> None:
    claude.write("tasks.yaml", "tasks:\n  long: {prompt: prompts/long.md}\n")
    claude.write("prompts/long.md", text)
    claude.git("add", "-A")
    claude.git("commit", "-q", "-m", "a task")
    with ModelServer("hello") as server:
        cell = drive(claude, server, "claude", "long", ANTHROPIC_BASE_URL=server.url)
    assert cell.exit_code == 0, cell.stderr
    assert text.strip() in server.prompts[0]


def test_a_prompt_from_the_command_line(claude: Project) -> None:
    with ModelServer("hello") as server:
        cell = drive(claude, server, "claude", "--prompt=-p is how this begins", ANTHROPIC_BASE_URL=server.url)
    assert (cell.exit_code, cell.record["task"]) == (0, "prompt"), cell.stderr
    assert "-p is how this begins" in server.prompts[0]


def test_the_model_that_is_asked_for(claude: Project) -> None:
    with ModelServer("hello") as server:
        drive(claude, server, "claude", HELLO, "--model", "claude-haiku-4-5", ANTHROPIC_BASE_URL=server.url)
    assert {call.model for call in server.calls} == {"claude-haiku-4-5"}
