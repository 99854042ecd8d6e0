"""Recordings through the real command: an agent that commits and then runs into a limit, or lies about how it ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.parsers.recordings.judged import Recording

if TYPE_CHECKING:
    from tests.helpers import Project

REPLAY = Path(__file__).resolve().parents[1] / "doubles" / "replay.py"
SUBJECT = "stub: add stub-a.txt"


def run(project: Project, recording: Recording, *words: str) -> tuple[int, dict[str, Any]]:
    """The stock agent with its own parser and environment, but another program."""
    code = json.loads((recording.folder / "exit.json").read_text())["code"]
    argv = [str(REPLAY), str(recording.folder / "stdout"), str(recording.folder / "stderr")]
    agent = {
        "extends": recording.agent,
        "binary": "{{ python }}",
        "argv": [*argv, "hang" if code is None else str(code), *words],
        "parser": recording.parser,
    }
    project.write("agents.yaml", json.dumps({"agents": {recording.agent: agent}}))
    project.write("tasks.yaml", "tasks: {work: {prompt: prompts/work.md, requires_commit: true}}\n")
    project.write("prompts/work.md", "Work.\n")
    project.git("add", "-A")
    project.git("commit", "-qm", "configuration")
    done = project("run", recording.agent, "work", "--timeout", "5s")
    return done.returncode, project.record()


@pytest.mark.parametrize(
    "recording",
    [
        Recording("claude", "2.1.197", "commitlimit"),  # still waiting: ended by the runner, as the wait does not fit
        Recording("codex", "0.169.0", "commitlimit"),
        Recording("gemini", "0.61.0", "commitlimit"),  # still waiting
        Recording("kilo", "7.7.7", "commitlimit"),
        Recording("opencode", "1.18.33", "commitlimit"),
        Recording("qwen", "0.15.10", "streamlimit"),  # with exit code 0
    ],
    ids=str,
)
def test_a_commit_and_then_a_limit(stock_project: Project, recording: Recording) -> None:
    exit_code, record = run(stock_project, recording, "commit")

    assert (exit_code, record["status"], record["reason"]) == (10, "rate_limited", "rate_limit")
    assert [commit["subject"] for commit in record["commits"]] == [SUBJECT]
    assert record["elapsed_seconds"] < 5


@pytest.mark.parametrize(
    ("recording", "commits", "verdict"),
    [
        (Recording("qwen", "0.15.10", "auth"), True, ("failed", "auth", 1)),  # exit code 0 and subtype "success"
        (Recording("gemini", "0.61.0", "streamlimit"), True, ("failed", "server", 1)),  # exit code 0
        (Recording("gemini", "0.61.0", "commit-globalgit"), False, ("failed", "no_commits", 1)),
        (Recording("codex", "0.169.0", "mention"), True, ("success", None, 0)),
        (Recording("opencode", "1.18.33", "toolfail"), True, ("success", None, 0)),
    ],
    ids=str,
)
def test_a_verdict(
    stock_project: Project, recording: Recording, commits: bool, verdict: tuple[str, str | None, int]
) -> None:
    exit_code, record = run(stock_project, recording, *(["commit"] if commits else []))

    assert (record["status"], record["reason"], exit_code) == verdict
