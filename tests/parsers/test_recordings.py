"""Recorded output of the real programs: what the rules make of each, by the `expected.yaml` beside it."""

from __future__ import annotations

import json
import re
from random import Random
from typing import TYPE_CHECKING

import pytest

from runner.model import Outcome
from runner.parsers import compile_parser
from runner.reasons import reason_of
from runner.values import replace
from tests.parsers.recordings.judged import Recording, concluded, recordings, written
from tests.parsers.recordings.row import BEGAN, TRANSCRIPTS, Row
from tests.parsing import read, stock_agent

if TYPE_CHECKING:
    from tests.helpers import Project

ALL = recordings()
ENDED_WELL = Outcome("exit", BEGAN, BEGAN, 0, exit_code=0)
every = pytest.mark.parametrize(("recording", "row"), ALL, ids=[str(recording) for recording, _ in ALL])


def test_every_recording_says_what_it_must_come_to() -> None:
    there = sorted(path.relative_to(TRANSCRIPTS).parts for path in TRANSCRIPTS.glob("*/*/*"))

    assert sorted((recording.agent, recording.version, recording.scenario) for recording, _ in ALL) == there
    assert len(there) == 313


def test_one_command_checks_them_all(stock_project: Project) -> None:
    done = stock_project("parse", "--check", "--recordings", str(TRANSCRIPTS))

    assert (done.stdout, done.stderr, done.returncode) == ("313 recordings: 313 as expected\n", "", 0)


@every
def test_the_parser_is_that_of_the_format(recording: Recording, row: Row) -> None:
    assert recording.parser == (row.parser or stock_agent(recording.agent)["parser"])


@every
def test_recording(recording: Recording, row: Row) -> None:
    reply, verdict = recording.concluded()

    assert written(verdict) == row.verdict
    assert verdict.exit_code == reason_of(verdict.reason).exit_code
    assert (reply.text, reply.usage, reply.tool_calls) == (row.text, row.usage, row.tool_calls)
    wait = None if verdict.retry_at is None else verdict.retry_at - BEGAN
    assert wait == (None if row.wait is None else pytest.approx(row.wait, abs=1e-3))


@every
def test_the_session_is_the_one_that_the_output_names(recording: Recording, row: Row) -> None:
    names = r'"(?:session_id|sessionID|thread_id)": ?"([^"]+)"'
    found = re.findall(names, recording.stdout.decode(errors="replace"))
    if recording.parser == "codex-text":
        found = re.findall("session id: (.*)", recording.stderr.decode())

    assert recording.concluded()[0].session_id == (found[0] if found else None)


# The recorder's prices by the million: 3 fresh, 15 produced, 0.3 from the cache.
ONE_COST = (1265 * 3 + 49 * 15 + 256 * 0.3) / 1e6
TWO_COSTS = ((1333 + 1418) * 3 + 76 * 15 + 640 * 0.3) / 1e6
# agent, version, scenario, model, cost
ORIGINS: list[tuple[str, str, str, str | None, float | None]] = [
    ("claude", "2.1.197", "hello", "claude-sonnet-5", 0.0046548),  # as it says: by prices of its own
    ("claude", "2.1.197", "hello-json", "claude-sonnet-5", 0.0046548),
    ("codex", "0.169.0", "hello", None, None),  # it tells neither
    ("codex", "0.169.0", "hello-text", "gpt-5.1-codex", None),
    ("gemini", "0.61.0", "hello", "gemini-2.5-pro", None),
    ("gemini", "0.61.0", "hello-auto", "gemini-3.5-flash-lite, gemini-3.8-flash", None),
    ("gemini", "0.61.0", "hello-json", "gemini-2.5-pro", None),
    ("gemini", "0.61.0", "stall", "gemini-2.5-pro", None),  # from its beginning, as the end is missing
    ("kilo", "7.7.7", "hello", None, ONE_COST),
    ("opencode", "1.18.33", "hello", None, ONE_COST),
    ("opencode", "1.18.33", "commit", None, TWO_COSTS),
    ("qwen", "0.15.10", "hello", "qwen3-coder-plus", None),
    ("qwen", "0.15.10", "hello-json", "qwen3-coder-plus", None),
]


@pytest.mark.parametrize(("agent", "version", "scenario", "model", "cost"), ORIGINS)
def test_model_and_cost(agent: str, version: str, scenario: str, model: str | None, cost: float | None) -> None:
    reply, _ = Recording(agent, version, scenario).concluded()

    assert reply.model == model
    assert reply.cost_usd == (None if cost is None else pytest.approx(cost))


# agent, version, scenario, where the evidence stands and in which line from 0, how the message begins
EVIDENCE = [
    ("claude", "2.1.197", "auth-oauth", "stdout", 4, "Not logged in · Please run /login"),
    ("claude", "2.1.197", "planlimit-oauth", "stdout", 3, "You've hit your session limit · resets 7:19pm (UTC)"),
    ("claude", "2.1.197", "probe-argv-dash", "stdout", 0, "Error: --resume requires a valid session ID"),
    ("claude", "2.1.197", "ratelimit", "stdout", 7, "the service limits requests"),
    ("claude", "2.1.197", "quota-text", "stdout", 0, "Credit balance is too low"),
    ("claude", "2.1.197", "hello-noverbose", "stderr", 0, "the output ends without its terminal event, exit code 1; stderr ends"),
    ("codex", "0.169.0", "planlimit", "stdout", 4, "You\u2019ve hit your usage limit."),
    ("codex", "0.169.0", "commitlimit", "stdout", 13, "exceeded retry limit, last status: 429 Too Many Requests"),
    ("codex", "0.169.0", "modelnotfound-text", "stderr", 15, "ERROR: The requested model 'gpt-5.1-codex' does not exist."),
    ("gemini", "0.61.0", "planlimit", "stderr", 5, "Attempt 1 failed: You have exhausted your capacity on this model."),
    ("gemini", "0.61.0", "ratelimit", "stderr", 20, "Attempt 4 failed: You exceeded your current quota"),
    ("gemini", "0.61.0", "quota-json", "stderr", 6, "TerminalQuotaError: You have exhausted your daily quota"),
    ("gemini", "0.61.0", "big", "stdout", 2, "the agent reported an error"),
    ("kilo", "7.7.7", "commit-noauto", "stdout", 4, "run ended with an auto-rejected permission; pass --auto"),
    ("opencode", "1.18.33", "hello-unknownmodel-printlogs", "stderr", 1, "ProviderModelNotFoundError: Model not found: stub/nope."),
    ("opencode", "1.18.33", "quota-printlogs", "stderr", 4, "AI_APICallError: You exceeded your current quota"),
    ("qwen", "0.15.10", "auth", "stdout", 2, "[API Error: 401 Incorrect API key provided: stub-key."),
    ("qwen", "0.24.4", "auth", "stdout", 3, "[API Error: 401 Incorrect API key provided: stub-key."),
]  # fmt: skip


@pytest.mark.parametrize(("agent", "version", "scenario", "source", "line", "message"), EVIDENCE)
def test_evidence(agent: str, version: str, scenario: str, source: str, line: int, message: str) -> None:
    recording = Recording(agent, version, scenario)

    _, verdict = recording.concluded()

    assert (verdict.message or "").startswith(message)
    assert verdict.evidence is not None
    log = {"stdout": recording.stdout, "stderr": recording.stderr}[source]
    assert (verdict.evidence.source, log[: verdict.evidence.offset].count(b"\n")) == (source, line)


JSON = [(recording, row) for recording, row in ALL if not recording.parser.endswith("-text") and recording.stdout]


@pytest.mark.parametrize("recording", [recording for recording, _ in JSON], ids=str)
def test_an_output_that_is_cut_short_is_not_a_success(recording: Recording) -> None:
    """At every line and at 200 other bytes before the last of the terminal event, with the best of exit codes."""
    stdout, stderr = recording.stdout, recording.stderr
    end = len(stdout.rstrip())
    parser = compile_parser(recording.table)
    lines = {0, *(place.end() for place in re.finditer(rb"\n", stdout[:end]))}

    for cut in {*lines, *Random(str(recording)).sample(range(end), min(end, 200)), end - 1}:
        reader = parser.reader(lambda: BEGAN)
        reader.feed("stdout", stdout[:cut], 0)
        reader.feed("stderr", stderr, 0)
        assert concluded(reader.finish(), ENDED_WELL).status != "success", cut


@pytest.mark.parametrize("recording", [recording for recording, row in JSON if row.verdict == "success"], ids=str)
def test_the_last_byte_of_the_terminal_event_makes_the_success(recording: Recording) -> None:
    end = len(recording.stdout.rstrip())

    assert read(recording.table, recording.stdout[:end], recording.stderr).terminal == "good"
    assert read(recording.table, recording.stdout[: end - 1], recording.stderr).terminal == "absent"


@every
@pytest.mark.parametrize("size", [1, 61, 4096])
def test_the_chunking_makes_no_difference(recording: Recording, row: Row, size: int) -> None:
    stdout, stderr = recording.stdout, recording.stderr
    if len(stdout) > 100_000 and size == 1:
        size = 7  # a fifth of the time

    chunked = read(recording.table, stdout, stderr, cuts=[size] * (len(stdout) // size))

    assert chunked == read(recording.table, stdout, stderr)


OF_LINES = [(recording, row) for recording, row in ALL if recording.table["format"] == "jsonl"]


@pytest.mark.parametrize("recording", [recording for recording, _ in OF_LINES], ids=str)
def test_the_prefilter_makes_no_difference(recording: Recording) -> None:
    stdout, stderr = recording.stdout, recording.stderr
    bare = {**recording.table, "needles": ["{"]}  # every line of JSON

    found, expected = read(recording.table, stdout, stderr), read(bare, stdout, stderr)

    # With the prefilter only the lines that a rule can want are looked at, so only those can be counted as skipped.
    assert replace(found, skipped_lines=0) == replace(expected, skipped_lines=0)


GOOD_ALL_THE_SAME = ("mention", "flaky", "planwarn", "toolfail")


def test_what_only_looks_like_a_failure_is_not_one() -> None:
    rows = [row for _, row in ALL if row.scenario.split("-")[0] in GOOD_ALL_THE_SAME]

    assert len(rows) > 20
    assert {row.verdict for row in rows} == {"success"}


def test_a_terminal_event_says_the_session_again() -> None:
    """The check above reads raw text; here is one as JSON, so that both cannot be wrong in the same way."""
    recording = Recording("codex", "0.169.0", "hello")

    assert recording.concluded()[0].session_id == json.loads(recording.stdout.splitlines()[0])["thread_id"]
