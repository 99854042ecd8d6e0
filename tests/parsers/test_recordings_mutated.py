"""Recordings as other versions might have printed them: what is missing stays unknown, and the verdict stays right."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from runner.model import Outcome, Reply, Usage
from runner.values import replace
from tests.parsers.recordings.judged import Recording, concluded, written
from tests.parsers.recordings.row import BEGAN
from tests.parsing import lines, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Event = dict[str, Any]
    Change = Callable[[Event], object]

CODEX, CODEX_OLD = ("codex", "0.169.0"), ("codex", "0.123.0")
CLAUDE, GEMINI, KILO, OPENCODE = ("claude", "2.1.197"), ("gemini", "0.61.0"), ("kilo", "7.7.7"), ("opencode", "1.18.33")
QWEN, QWEN_NEW = ("qwen", "0.15.10"), ("qwen", "0.24.4")


def events(recording: Recording) -> list[Event]:
    return [json.loads(line) for line in recording.stdout.splitlines()]


def changed(recording: Recording, change: Change) -> bytes:
    """Every event after `change`, which works in place; a list it returns stands for the event."""
    out: list[object] = []
    for event in events(recording):
        instead = change(event)
        out += instead if isinstance(instead, list) else [event]
    return lines(*out)


def judged(recording: Recording, stdout: bytes, *, outcome: Outcome | None = None) -> tuple[Reply, str]:
    reply = read(recording.table, stdout, recording.stderr, now=BEGAN)
    return reply, written(concluded(reply, outcome or recording.outcome))


def exited(code: int) -> Outcome:
    return Outcome("exit", BEGAN, BEGAN, 1.0, exit_code=code)


def keys_of(value: Any) -> Iterator[str]:
    for key, inner in value.items() if isinstance(value, dict) else ():
        yield key
        yield from keys_of(inner)
    for inner in value if isinstance(value, list) else ():
        yield from keys_of(inner)


def without(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {name: without(inner, key) for name, inner in value.items() if name != key}
    return [without(inner, key) for inner in value] if isinstance(value, list) else value


ONE_OF_EACH = [
    Recording(agent, version, scenario)
    for agent, version in (CLAUDE, CODEX, GEMINI, KILO, OPENCODE, QWEN, QWEN_NEW)
    for scenario in ("hello", "commit", "auth", "modelnotfound")
    if (agent, scenario) != ("claude", "auth")  # it was stopped
]
# What a sum goes on without: a CLI may leave out a cache that it did not use. The sum is then of the rest.
PARTS = {
    *("cacheReadInputTokens", "cacheCreationInputTokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
    *("cache", "read", "write"),
}


@pytest.mark.parametrize("recording", ONE_OF_EACH, ids=str)
def test_a_field_that_is_gone(recording: Recording) -> None:
    """Any one key, everywhere: no failure becomes a success, and a number is the same or unknown."""
    whole, verdict = judged(recording, recording.stdout)
    assert verdict.split()[0] in ("success", "failed")

    for key in sorted({name for event in events(recording) for name in keys_of(event)}):
        found, now = judged(recording, lines(*(without(event, key) for event in events(recording))))
        assert verdict == "success" or now != "success", key
        for field in vars(Usage()):
            before, after = getattr(whole.usage, field), getattr(found.usage, field)
            fewer = key in PARTS and field == "input_tokens" and after is not None and after < before
            assert after in (None, before) or fewer, (key, field)


@pytest.mark.parametrize("recording", ONE_OF_EACH, ids=str)
def test_unknown_events_in_between(recording: Recording) -> None:
    strange: list[object] = [
        {"type": "heartbeat", "error": None, "result": "rate limit", "usage": {"input_tokens": 7}},
        {"kind": "note", "message": "429 Too Many Requests"},
        {"type": "item.completed", "item": {"type": "hologram", "text": "usage limit reached"}},
        ["result"],
        "not json: error 500",
    ]
    stdout = changed(recording, lambda event: [*strange, event])

    found, verdict = judged(recording, stdout)

    whole, expected = judged(recording, recording.stdout)
    assert verdict == expected
    assert unplaced(found) == unplaced(whole)


def unplaced(reply: Reply) -> Reply:
    """Without what tells the line."""
    return replace(reply, terminal_evidence=None, fault=None, skipped_lines=0)


def error_as_text(event: Event) -> None:
    error = event.get("error")
    if isinstance(error, dict):
        event["error"] = error.get("message") or error["data"]["message"]


@pytest.mark.parametrize(
    ("version", "scenario", "verdict"),
    [
        (CODEX, "auth", "failed auth"),
        (CODEX, "planlimit", "rate_limited usage_limit"),
        (CODEX_OLD, "ratelimit", "rate_limited rate_limit"),
        (GEMINI, "quota", "rate_limited usage_limit"),
        (GEMINI, "modelnotfound", "failed model_not_found"),
        (OPENCODE, "ratelimit", "rate_limited rate_limit"),
        (OPENCODE, "auth", "failed auth"),
        (KILO, "modelnotfound", "failed model_not_found"),
        (KILO, "quota-long", "failed billing"),
        (QWEN_NEW, "auth", "failed auth"),
    ],
)
def test_an_error_that_is_a_text(version: tuple[str, str], scenario: str, verdict: str) -> None:
    recording = Recording(*version, scenario)

    assert judged(recording, changed(recording, error_as_text))[1] == verdict
    assert judged(recording, changed(recording, error_as_text), outcome=exited(0))[1] == verdict


def no_reasoning(event: Event) -> None:
    event.get("usage", {}).pop("reasoning_output_tokens", None)
    event.get("usage", {}).pop("cache_write_input_tokens", None)


def reasoning_in_output(event: Event) -> None:
    tokens = event["part"].get("tokens")
    if tokens:
        tokens["output"] += tokens["reasoning"]


def no_models(event: Event) -> None:
    event.get("stats", {}).pop("models", None)
    if isinstance(event.get("error"), dict):
        event["error"]["type"] = "Error"


def side_model(event: Event) -> None:
    """A small model was asked for a title: it is in modelUsage and in the cost, not in usage."""
    if event["type"] == "result":
        event.pop("api_error_status", None)
        side = {"inputTokens": 100, "outputTokens": 10, "cacheReadInputTokens": 0, "cacheCreationInputTokens": 0}
        event["modelUsage"]["small"] = side


@pytest.mark.parametrize(
    ("version", "change", "usage"),
    [
        (CODEX, no_reasoning, Usage(3391, 76, 640)),  # before 0.169
        (OPENCODE, reasoning_in_output, Usage(3391, 76, 640, 0, 12)),  # 1.1.58: not 88
        (KILO, reasoning_in_output, Usage(3391, 76, 640, 0, 12)),  # 7.0.33
        (GEMINI, no_models, Usage(3391, 76, 640, None, 12)),  # 0.27
        (CLAUDE, side_model, Usage(3391 + 100, 76 + 10, 640, 48)),  # 2.0.37
    ],
    ids=["codex", "opencode", "kilo", "gemini", "claude"],
)
def test_the_numbers_of_other_versions(version: tuple[str, str], change: Change, usage: Usage) -> None:
    recording = Recording(*version, "commit")

    reply, verdict = judged(recording, changed(recording, change))

    assert (reply.usage, verdict) == (usage, "success")


def test_a_model_that_only_the_beginning_names() -> None:
    recording = Recording(*GEMINI, "hello")

    assert judged(recording, changed(recording, no_models))[0].model == "gemini-2.5-pro"


def ascii_apostrophe(event: Event) -> None:
    for holder in (event, event.get("error") or {}):
        if "message" in holder:
            holder["message"] = holder["message"].replace("\u2019", "'")


def bare_reconnecting(event: Event) -> None:
    if event.get("message", "").startswith("Reconnecting"):
        event["message"] = event["message"].partition(" (")[0]


def text_of_old_limit(event: Event) -> list[Event] | None:
    """2.0.37: no rate_limit_event, no status; the same headers, other words."""
    if event["type"] == "rate_limit_event":
        return []
    event.pop("error", None)
    if event["type"] == "result":
        event.pop("api_error_status")
        event["result"] = "Spending cap reached resets 7:24pm"
    return None


def old_model_error(event: Event) -> None:
    event.pop("error", None)
    if event["type"] == "result":
        event.pop("api_error_status")
        event["result"] = 'API Error: 404 {"type":"error","error":{"type":"not_found_error","message":"model: x"}}'


def as_in_0_15(event: Event) -> None:
    if event["type"] == "result":
        event.update(subtype="success", is_error=False, result=event.pop("error")["message"])


def limit_of_0_8(event: Event) -> None:
    if event["type"] == "result":
        event["result"] = "[API Error: 429 Rate limit reached. Please try again in 2s.]"


@pytest.mark.parametrize(
    ("version", "scenario", "change", "code", "verdict"),
    [
        (CODEX, "planlimit", ascii_apostrophe, 1, "rate_limited usage_limit"),
        (CODEX, "ratelimit", bare_reconnecting, 1, "rate_limited rate_limit"),  # 0.72
        (CODEX, "flaky", bare_reconnecting, 0, "success"),
        (OPENCODE, "auth", lambda _: None, 0, "failed auth"),  # 1.1.58 exits with 0
        (OPENCODE, "modelnotfound", lambda _: None, 0, "failed model_not_found"),
        (OPENCODE, "commitlimit", lambda _: None, 0, "rate_limited rate_limit"),
        (GEMINI, "auth", no_models, 144, "failed auth"),  # 0.27
        (CLAUDE, "planlimit-oauth", text_of_old_limit, 1, "rate_limited usage_limit"),  # 2.0.37
        (CLAUDE, "planlimit-oauth", text_of_old_limit, 0, "rate_limited usage_limit"),  # 2.1.49 exits with 0
        (CLAUDE, "modelnotfound", old_model_error, 1, "failed model_not_found"),
        (QWEN_NEW, "auth", as_in_0_15, 0, "failed auth"),
        (QWEN_NEW, "modelnotfound", as_in_0_15, 0, "failed model_not_found"),
        (QWEN, "auth", limit_of_0_8, 0, "rate_limited rate_limit"),
    ],
)
def test_the_verdicts_of_other_versions(
    version: tuple[str, str], scenario: str, change: Change, code: int, verdict: str
) -> None:
    recording = Recording(*version, scenario)

    assert judged(recording, changed(recording, change), outcome=exited(code))[1] == verdict


def test_an_error_that_was_recovered_from() -> None:
    """An error event amid a stream, and then the answer."""
    good, bad = Recording(*OPENCODE, "hello"), Recording(*OPENCODE, "ratelimit")

    assert judged(good, bad.stdout + good.stdout)[1] == "success"
    assert judged(good, good.stdout + bad.stdout)[1] == "rate_limited rate_limit"


def test_a_retry_names_no_failure() -> None:
    """It got over a limit, and then the key was refused."""
    flaky, refused = (events(Recording(*CODEX, scenario)) for scenario in ("flaky", "auth"))
    retries = [event for event in flaky if str(event.get("message")).startswith("Reconnecting")]

    stdout = lines(*refused[:3], *retries, refused[-1])

    assert len(retries) == 2
    assert judged(Recording(*CODEX, "auth"), stdout)[1] == "failed auth"


def test_a_good_answer_that_quotes_an_error() -> None:
    recording = Recording(*QWEN, "mention")

    def quote(event: Event) -> None:
        if event["type"] == "result":
            event["result"] = "The log says:\n[API Error: 429 Rate limit reached]\nI mended the retry."

    assert judged(recording, changed(recording, quote))[1] == "success"
