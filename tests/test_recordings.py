"""Recorded output of the real programs: what the rules make of each."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.judge import judge
from runner.model import Changes, Expectations, Outcome, Reply, Usage, Verdict
from tests.parsing import read, stock

RECORDINGS = Path(__file__).resolve().parent / "data" / "transcripts" / "claude" / "2.1.197"
BEGAN = 1_795_363_000.0  # 2026-11-22, the day of the recordings

HELLO = "Hello from the stub model, set a."
DONE = "Done: committed stub-a.txt."
MENTION = (
    "All good. I documented the 429 rate limit path: 'Rate limit exceeded', 'usage limit reached', 'quota exceeded', "
    "'model not found', 'invalid api key', 'Error: 500'. Nothing failed."
)
NO_MODEL = (
    "There's an issue with the selected model (claude-sonnet-5). It may not exist or you may not have access to it. "
    "Run --model to pick a different model."
)
LOGIN = "Not logged in · Please run /login"
SERVER = (
    "API Error: 500 Internal server error. This is a server-side issue, usually temporary — try again in a moment. "
    "If it persists, check your inference gateway (127.0.0.1:8080)."
)
CREDIT = "Credit balance is too low"
PLAN = "You've hit your session limit · resets 7:19pm (UTC)"
REJECTED = "API Error: Request rejected (429) · This request would exceed your "
TEMPORARY = "API Error: Server is temporarily limiting requests (not your usage limit) · "

# The true numbers: fresh input + cache read + cache written, cache read, cache written, visible output + thinking.
ONE_CALL = Usage(1201 + 256 + 64, 37 + 12, 256, 64)
TWO_CALLS = Usage(1301 + 128 + 32 + 1402 + 512 + 16, 41 + 8 + 23 + 4, 128 + 512, 32 + 16)
FIRST_OF_TWO = Usage(1301 + 128 + 32, 41 + 8, 128, 32)
NOTHING_SENT = Usage(0, 0, 0, 0)
UNKNOWN = Usage()

# scenario, status, reason, how the text begins, tokens, tool calls, when it may be tried again
ROWS: list[tuple[str, str, str | None, str, Usage, int | None, float | None]] = [
    ("auth", "failed", "auth", "", UNKNOWN, None, None),
    ("auth-oauth", "failed", "auth", LOGIN, NOTHING_SENT, 0, None),
    ("big", "failed", "no_terminal_event", "", UNKNOWN, None, None),  # cut by the recorder
    ("commit", "success", None, DONE, TWO_CALLS, 1, None),
    ("commit-globalgit", "success", None, DONE, TWO_CALLS, 1, None),
    ("commit-noperm", "success", None, DONE, TWO_CALLS, 1, None),
    ("commitlimit", "rate_limited", "rate_limit", "", UNKNOWN, None, BEGAN + 39.73636518630187),
    ("crash500", "failed", "server", "", UNKNOWN, None, None),
    ("crash500-long", "failed", "server", SERVER, NOTHING_SENT, 0, None),
    ("edit", "success", None, DONE, TWO_CALLS, 1, None),
    ("flaky", "success", None, HELLO, ONE_CALL, 0, None),
    ("garbage", "failed", "server", "API Error: Failed to parse JSON", NOTHING_SENT, 0, None),
    ("hello", "success", None, HELLO, ONE_CALL, 0, None),
    ("hello-json", "success", None, HELLO, ONE_CALL, None, None),
    ("hello-nokey", "failed", "auth", LOGIN, NOTHING_SENT, 0, None),
    ("hello-noverbose", "failed", "no_terminal_event", "", UNKNOWN, None, None),
    ("hello-text", "success", None, HELLO, UNKNOWN, None, None),
    ("mention", "success", None, MENTION, ONE_CALL, 0, None),
    ("modelnotfound", "failed", "model_not_found", NO_MODEL, NOTHING_SENT, 0, None),
    ("modelnotfound-json", "failed", "model_not_found", NO_MODEL, NOTHING_SENT, None, None),
    ("modelnotfound-text", "failed", "model_not_found", NO_MODEL, UNKNOWN, None, None),
    ("overloaded", "failed", "overloaded", "", UNKNOWN, None, None),
    ("planlimit", "rate_limited", "rate_limit", REJECTED, NOTHING_SENT, 0, None),
    ("planlimit-oauth", "rate_limited", "usage_limit", PLAN, NOTHING_SENT, 0, 1_795_375_176.0),
    ("planwarn-oauth", "success", None, HELLO, ONE_CALL, 0, None),
    ("probe-argv-dash", "failed", "agent_error", "", NOTHING_SENT, 0, None),
    ("probe-argv-dashdash", "success", None, HELLO, ONE_CALL, 0, None),
    ("probe-argv-empty", "success", None, HELLO, ONE_CALL, 0, None),
    ("probe-argv-null", "success", None, HELLO, ONE_CALL, 0, None),
    ("probe-argv-open", "success", None, HELLO, ONE_CALL, 0, None),
    ("probe-argv-tty", "success", None, HELLO, ONE_CALL, 0, None),
    ("probe-gint-sleep", "failed", "agent_error", "", FIRST_OF_TWO, 1, None),
    ("probe-gkill-sleep", "failed", "no_terminal_event", "", UNKNOWN, None, None),
    ("probe-gterm-sleep", "success", None, DONE, TWO_CALLS, 1, None),  # as an exit with 0: nobody ended it by a limit
    ("probe-gterm-slow", "failed", "no_terminal_event", "", UNKNOWN, None, None),
    ("probe-int-sleep", "failed", "agent_error", "", FIRST_OF_TWO, 1, None),
    ("probe-int-slow", "failed", "no_terminal_event", "", UNKNOWN, None, None),  # exit code 0
    ("probe-kill-sleep", "failed", "no_terminal_event", "", UNKNOWN, None, None),
    ("probe-noprompt-empty", "failed", "no_terminal_event", "", UNKNOWN, None, None),
    ("probe-noprompt-null", "failed", "no_terminal_event", "", UNKNOWN, None, None),
    ("probe-offline", "failed", "network", "", UNKNOWN, None, None),
    ("probe-stdin-big", "success", None, HELLO, ONE_CALL, 0, None),
    ("probe-stdin-dash", "success", None, HELLO, ONE_CALL, 0, None),
    ("probe-term-sleep", "failed", "agent_error", DONE, TWO_CALLS, 1, None),  # a good result, then exit code 143
    ("probe-term-slow", "failed", "no_terminal_event", "", UNKNOWN, None, None),
    ("quota", "failed", "billing", CREDIT, NOTHING_SENT, 0, None),
    ("quota-json", "failed", "billing", CREDIT, NOTHING_SENT, None, None),
    ("quota-text", "failed", "billing", CREDIT, UNKNOWN, None, None),
    ("ratelimit", "rate_limited", "rate_limit", "", UNKNOWN, None, BEGAN + 38.23973509733699),
    ("ratelimit-maxretries1", "rate_limited", "rate_limit", REJECTED, NOTHING_SENT, 0, None),
    ("ratelimit-oauth", "rate_limited", "rate_limit", TEMPORARY, NOTHING_SENT, 0, None),
    ("reset", "failed", "network", "", UNKNOWN, None, None),
    ("slow", "timed_out", "timeout", "", UNKNOWN, None, None),
    ("slow-long", "failed", "network", "", UNKNOWN, None, None),  # one retry after five minutes, then silence
    ("stall", "timed_out", "timeout", "", UNKNOWN, None, None),
    ("streamlimit", "success", None, HELLO, ONE_CALL, 0, None),
    ("toolfail", "success", None, DONE, TWO_CALLS, 1, None),
]
SCENARIOS = [row[0] for row in ROWS]
EXIT_CODES = {"success": 0, "failed": 1, "rate_limited": 10, "timed_out": 11}


def table_of(scenario: str) -> dict[str, Any]:
    label = scenario.rpartition("-")[2]
    return stock(f"claude-{label}" if label in ("text", "json") else "claude-jsonl")


def output(scenario: str) -> tuple[bytes, bytes]:
    folder = RECORDINGS / scenario
    return (folder / "stdout").read_bytes(), (folder / "stderr").read_bytes()


def outcome(scenario: str) -> Outcome:
    """A recording that was stopped at its time is a run that was ended by its timeout."""
    ended = json.loads((RECORDINGS / scenario / "exit.json").read_text())
    code = ended["code"]
    if ended["timed_out"]:
        return Outcome("timeout", BEGAN, BEGAN, ended["seconds"])
    if code < 0:
        return Outcome("exit", BEGAN, BEGAN, ended["seconds"], signal=-code)
    return Outcome("exit", BEGAN, BEGAN, ended["seconds"], exit_code=code)


def concluded(scenario: str) -> tuple[Reply, Verdict]:
    reply = read(table_of(scenario), *output(scenario), now=BEGAN)
    return reply, judge(Expectations(), outcome(scenario), reply, Changes(repository=True))


def test_the_table_holds_every_recording() -> None:
    assert sorted(SCENARIOS) == sorted(folder.name for folder in RECORDINGS.iterdir())


@pytest.mark.parametrize("row", ROWS, ids=SCENARIOS)
def test_recording(row: tuple[str, str, str | None, str, Usage, int | None, float | None]) -> None:
    scenario, status, reason, text, usage, tool_calls, retry_at = row

    reply, verdict = concluded(scenario)

    assert (verdict.status, verdict.reason, verdict.exit_code) == (status, reason, EXIT_CODES[status])
    assert reply.text == text or (text in (REJECTED, TEMPORARY) and reply.text.startswith(text))
    assert (reply.usage, reply.tool_calls) == (usage, tool_calls)
    assert verdict.retry_at == (None if retry_at is None else pytest.approx(retry_at, abs=1e-3))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_session_is_the_one_that_the_events_name(scenario: str) -> None:
    events = [
        json.loads(line) for line in output(scenario)[0].splitlines() if line.startswith(b"{") and line.endswith(b"}")
    ]
    expected = events[0]["session_id"] if events else None

    assert concluded(scenario)[0].session_id == expected


# scenario, where the evidence stands, how the message begins
EVIDENCE = [
    ("auth-oauth", "stdout", 4, LOGIN),
    ("planlimit-oauth", "stdout", 3, PLAN),
    ("probe-argv-dash", "stdout", 0, "Error: --resume requires a valid session ID"),
    ("ratelimit", "stdout", 7, "the service limits requests"),
    ("quota-text", "stdout", 0, CREDIT),
    (
        "hello-noverbose",
        "stderr",
        0,
        "the output ends without its terminal event, exit code 1; stderr ends with: Error: When using --print",
    ),
]


@pytest.mark.parametrize(("scenario", "source", "line", "message"), EVIDENCE, ids=[row[0] for row in EVIDENCE])
def test_evidence(scenario: str, source: str, line: int, message: str) -> None:
    logs = dict(zip(("stdout", "stderr"), output(scenario), strict=True))

    _, verdict = concluded(scenario)

    assert (verdict.message or "").startswith(message)
    assert verdict.evidence is not None
    assert verdict.evidence.source == source
    assert logs[source][: verdict.evidence.offset].count(b"\n") == line


@pytest.mark.parametrize("scenario", [row[0] for row in ROWS if row[1] == "success" and row[0] != "hello-text"])
def test_an_output_that_is_cut_short_is_no_success(scenario: str) -> None:
    stdout, stderr = output(scenario)
    end = len(stdout.rstrip())
    start = stdout.rstrip().rfind(b"\n") + 1

    for cut in {*range(0, start, 211), *range(start, end, 29), end - 1}:
        reply = read(table_of(scenario), stdout[:cut], stderr)
        verdict = judge(Expectations(), Outcome("exit", 0, 0, 0, exit_code=0), reply, Changes(repository=True))
        assert (reply.terminal, verdict.reason) == ("absent", "no_terminal_event"), cut
    assert read(table_of(scenario), stdout[:end], stderr).terminal == "good"


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("size", [1, 61, 4096])
def test_the_chunking_makes_no_difference(scenario: str, size: int) -> None:
    stdout, stderr = output(scenario)

    chunked = read(table_of(scenario), stdout, stderr, cuts=[size] * (len(stdout) // size))

    assert chunked == read(table_of(scenario), stdout, stderr)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_needles_make_no_difference(scenario: str) -> None:
    table = table_of(scenario)
    stdout, stderr = output(scenario)

    bare = {key: value for key, value in table.items() if key != "needles"}

    # With needles only the lines that hold one are looked at, so only those can be counted as skipped.
    assert replace(read(table, stdout, stderr), skipped_lines=0) == replace(read(bare, stdout, stderr), skipped_lines=0)
