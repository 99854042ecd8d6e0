"""Two stock agents that no real program can drive here: one through a double, one up to its refusal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.helpers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project

DOUBLE = ROOT / "tests" / "doubles" / "ollama.py"
HELLO = "Hello from a local model."
BOTH = (25, 33)


def program(project: Project, name: str, text: str) -> Path:
    path = project.home / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def ollama(stock_project: Project) -> Project:
    path = program(stock_project, "ollama", f'exec "{sys.executable}" "{DOUBLE}" "$@"')
    stock_project.env["RUNNER_OLLAMA_BIN"] = str(path)
    return stock_project


@pytest.mark.parametrize(
    ("model", "text", "tokens"),
    [
        ("llama3.2", HELLO, BOTH),
        ("thinker", HELLO, BOTH),
        ("stubborn", HELLO, BOTH),  # --hidethinking is not heeded
        ("fetched", HELLO, BOTH),  # after the bars of a pull on stderr
        ("cached", HELLO, (None, 33)),  # a number that is 0 has no line
        ("talker", "Error: model 'x' not found\nprompt eval count: 7 token(s)\n429 Too Many Requests", BOTH),
    ],
)
def test_an_answer(ollama: Project, model: str, text: str, tokens: tuple[int | None, int]) -> None:
    done = ollama("run", "ollama", "debug_hello_simple", "--model", model)
    assert done.returncode == 0, done.stdout + done.stderr
    record = ollama.record()
    assert (record["status"], record["reason"], record["text"]) == ("success", None, text)
    assert (record["usage"]["input_tokens"], record["usage"]["output_tokens"]) == tokens
    assert (record["model"], record["session_id"], record["cost_usd"], record["tool_calls"]) == (
        model,
        None,
        None,
        None,
    )
    assert ollama.processes() == []
    assert ollama.git("status", "--porcelain") == ""


def test_the_prompt_comes_whole(ollama: Project) -> None:
    prompt = "-- é " * 60_000 + "the end"
    ollama.write("tasks.yaml", "tasks: {long: {prompt: prompts/long.md}}\n")
    ollama.write("prompts/long.md", prompt)
    done = ollama("run", "ollama", "long", "--model", "counter")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ollama.record()["text"] == f"{len(prompt)} characters, the last are {prompt[-9:]!r}"


@pytest.mark.parametrize(
    ("model", "host", "reason", "code", "message"),
    [
        ("unknown:7b", "", "model_not_found", 1, "pull model manifest: file does not exist"),
        ("gone", "", "model_not_found", 1, "model 'gone' not found"),
        ("llama3.2", "down", "network", 1, "could not connect to ollama server"),
        ("llama3.2", "down-older", "network", 1, "could not connect to ollama app"),
        ("crash", "", "agent_error", 1, "500 Internal Server Error"),
        ("cloud", "", "auth", 1, "401 Unauthorized"),
        ("cloud-hour", "", "usage_limit", 10, "hourly usage limit"),
        ("cloud-busy", "", "rate_limit", 10, "429 Too Many Requests"),
        ("mute", "", "no_output", 1, ""),
    ],
)
def test_a_failure(ollama: Project, model: str, host: str, reason: str, code: int, message: str) -> None:
    done = ollama("run", "ollama", "debug_hello_simple", "--model", model, env={"OLLAMA_HOST": host})
    record = ollama.record()
    assert (done.returncode, record["reason"]) == (code, reason), done.stdout
    assert message in record["error"]["message"]
    if message:
        assert "\x1b" not in record["error"]["message"]
        assert record["error"]["evidence"].startswith("transcript.log:")


def test_what_it_read_is_not_what_it_said(ollama: Project) -> None:
    ollama("run", "ollama", "debug_hello_simple", "--model", "mute")
    usage = ollama.record()["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (25, None)


def test_a_slow_model_is_ended(ollama: Project) -> None:
    done = ollama("run", "ollama", "debug_hello_simple", "--model", "slow", "--timeout", "1s")
    record = ollama.record()
    assert (done.returncode, record["reason"], record["text"]) == (11, "timeout", HELLO)
    assert ollama.processes() == []


def test_a_version_that_does_not_know_a_flag(ollama: Project) -> None:
    program(ollama, "ollama", "echo 'Error: unknown flag: --hidethinking' >&2; exit 1")
    assert ollama("run", "ollama", "debug_hello_simple", "--model", "m").returncode == 1
    record = ollama.record()
    assert (record["reason"], "unknown flag" in record["error"]["message"]) == ("agent_error", True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("ollama", "debug_hello_simple"), "agent `ollama` needs a model: give --model, or set `OLLAMA_MODEL`"),
        (
            ("ollama", "debug_smoke_commit", "--model", "m"),
            "agent `ollama` cannot change files, and the task requires a commit",
        ),
        (("amp", "debug_hello_simple"), "agent `amp` requires the environment variable `AMP_API_KEY`"),
        (("amp", "debug_smoke_commit"), "agent `amp` requires the environment variable `AMP_API_KEY`"),
    ],
)
def test_a_run_that_is_refused(ollama: Project, words: tuple[str, ...], message: str) -> None:
    """Before any program is started: there is none for one of them, and no folder for either."""
    done = ollama("run", *words)
    assert done.returncode == 12
    (line,) = ollama.feed()
    assert (line["status"], line["reason"], line["exit_code"]) == ("skipped", "missing_requirement", 12)
    assert line["error"]["message"] == message
    assert message in done.stdout
    assert ollama.folders() == []


def test_the_model_by_environment(ollama: Project) -> None:
    assert ollama("run", "ollama", "debug_hello_simple", env={"OLLAMA_MODEL": "thinker"}).returncode == 0
    assert ollama.record()["argv"][1:3] == ["run", "thinker"]


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        ("Error: Couldn't connect to the Amp server at http://127.0.0.1:9/", "network"),
        ("Error: API request for getUserInfo failed: 401", "auth"),
        ("Error: API request for getUserInfo failed: 404", "agent_error"),
        ("No API key found. Starting login flow...", "auth"),
    ],
)
def test_amp_with_a_key_that_does_not_serve(stock_project: Project, printed: str, reason: str) -> None:
    path = program(stock_project, "amp", f'echo "{printed}" >&2; exit 1')
    env = {"AMP_API_KEY": "no-secret-0123456789", "RUNNER_AMP_BIN": str(path)}
    assert stock_project("run", "amp", "debug_hello_simple", env=env).returncode == 1
    assert stock_project.record()["reason"] == reason
    assert stock_project.record()["argv"][1:] == ["--execute", "--stream-json", "--dangerously-allow-all"]


def test_the_doctor_knows_both(ollama: Project) -> None:
    done = ollama("doctor", "ollama")
    assert done.returncode == 0, done.stdout
    assert "  ok    version     ollama version is 0.12.3\n" in done.stdout
    assert "no model is set, and a run needs one; give --model, or set" in done.stdout
    path = program(ollama, "amp", "echo 0.0.1790142911")
    done = ollama("doctor", "amp", env={"RUNNER_AMP_BIN": str(path)})
    assert (done.returncode, "variable AMP_API_KEY is missing" in done.stdout) == (1, True)
