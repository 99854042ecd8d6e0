"""When it may be tried again, in every form that the stock agents' CLIs write it, through their own rules."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from runner.parsers import compile_parser
from tests.parsing import lines, stock

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def claude(text: str) -> dict[str, Any]:
    return {"type": "result", "is_error": True, "result": text}


def codex(text: str) -> dict[str, Any]:
    return {"type": "turn.failed", "error": {"message": f"You\u2019ve hit your usage limit. Or {text}."}}


def gemini(text: str) -> dict[str, Any]:
    return {"type": "result", "status": "error", "error": {"message": f"[API Error: {text}]"}}


def opencode(**data: Any) -> dict[str, Any]:
    return {"type": "error", "error": {"data": {"message": "Rate limit reached", "statusCode": 429, **data}}}


# agent, what it prints, when (UTC), the machine's zone, class, when it may be tried again (UTC)
FORMS: list[tuple[str, object, str, tzinfo, str, str | None]] = [
    ("claude", claude("You've hit your session limit · resets 7:19pm (UTC)"), "2026-02-19T12:00", BERLIN, "usage_limit", "2026-02-19T19:19"),
    ("claude", claude("You've hit your limit · resets 3pm (America/New_York)"), "2026-02-19T12:00", UTC, "usage_limit", "2026-02-19T20:00"),
    ("claude", claude("You've hit your session limit · resets 3:50pm"), "2026-02-19T12:00", BERLIN, "usage_limit", "2026-02-19T14:50"),
    ("claude", claude("Spending cap reached resets 7:24pm"), "2026-02-19T19:24:30", UTC, "usage_limit", "2026-02-19T19:24:30"),
    ("claude", claude("Spending cap reached resets 7:24pm"), "2026-02-19T19:25", UTC, "usage_limit", "2026-02-20T19:24"),
    ("claude", claude("Claude AI usage limit reached|1771531200"), "2026-02-19T12:00", UTC, "usage_limit", "2026-02-19T20:00"),
    ("claude", claude("Claude usage limit reached. Your limit will reset at 1pm (Etc/GMT+5)."), "2026-02-19T12:00", BERLIN, "usage_limit", "2026-02-19T18:00"),
    ("codex", codex("try again at 7:10 PM"), "2026-02-19T12:00", BERLIN, "usage_limit", "2026-02-19T18:10"),
    ("codex", codex("try again at 12:05 AM"), "2026-02-19T23:59", UTC, "usage_limit", "2026-02-20T00:05"),
    ("codex", codex("try again at 11:59 PM"), "2026-12-31T23:58", UTC, "usage_limit", "2026-12-31T23:59"),
    ("codex", codex("try again at 12:01 AM"), "2026-12-31T23:58", UTC, "usage_limit", "2027-01-01T00:01"),
    ("codex", codex("try again at Feb 23rd, 2026 4:46 PM"), "2026-02-19T12:00", UTC, "usage_limit", "2026-02-23T16:46"),
    ("codex", codex("try later"), "2026-02-19T12:00", UTC, "usage_limit", None),
    ("codex", {"type": "turn.failed", "error": "rate limit exceeded. Please try again in 2s. Visit"}, "2026-02-19T12:00", UTC, "rate_limit", "2026-02-19T12:00:02"),
    ("codex", {"type": "turn.failed", "error": "rate limit exceeded. Please try again in 1h2m3s. Visit"}, "2026-02-19T12:00", UTC, "rate_limit", "2026-02-19T13:02:03"),
    ("gemini", gemini("You have exhausted your capacity on this model. Your quota will reset after 3h0m0s."), "2026-02-19T22:00", UTC, "usage_limit", "2026-02-20T01:00"),
    ("gemini", gemini("You exceeded your current quota\n* Quota exceeded\nPlease retry in 2.5s."), "2026-02-19T12:00", UTC, "rate_limit", "2026-02-19T12:00:02.5"),
    ("opencode", opencode(responseHeaders={"retry-after": "90"}), "2026-02-19T12:00", UTC, "rate_limit", "2026-02-19T12:01:30"),
    ("opencode", opencode(responseHeaders={"retry-after": "soon"}), "2026-02-19T12:00", UTC, "rate_limit", None),
    ("kilo", opencode(statusCode=None, message='{"message":"Rate limit: try again in 20s"}'), "2026-02-19T12:00", UTC, "rate_limit", "2026-02-19T12:00:20"),
    ("qwen", {"type": "result", "is_error": False, "result": "[API Error: 429 Please try again in 120ms.]"}, "2026-02-19T12:00", UTC, "rate_limit", "2026-02-19T12:00:00.12"),
]  # fmt: skip


@pytest.mark.parametrize(("agent", "event", "now", "zone", "kind", "expected"), FORMS)
def test_a_reset(agent: str, event: object, now: str, zone: tzinfo, kind: str, expected: str | None) -> None:
    reader = compile_parser(stock(f"{agent}-jsonl")).reader(lambda: at(now), zone)
    reader.feed("stdout", lines(event), 0)
    fault = reader.finish().fault

    assert fault is not None
    assert fault.kind == kind
    assert fault.retry_at == (None if expected is None else pytest.approx(at(expected), abs=1e-3))


# What is retried while the run goes on: agent, stream, line, class, seconds until the next try
RETRIES = [
    ("claude", "stdout", '{"type":"system","subtype":"api_retry","error":"rate_limit","retry_delay_ms":1500}', "rate_limit", 1.5),
    ("codex", "stdout", '{"type":"error","message":"Reconnecting... 1/5"}', "network", None),
    ("codex", "stdout", '{"type":"error","message":"Reconnecting... 1/5 (rate limit exceeded: try again in 2s.)"}', "rate_limit", 2),
    ("gemini", "stderr", ("Attempt 1 failed: You have exhausted your capacity on this model. Your quota will reset after 3h0m0s.. "
     "Retrying after 11295743ms..."), "usage_limit", 10_800),
    ("gemini", "stderr", "Attempt 1 failed: You exceeded your current quota.\nSuggested retry after 2s.. Retrying after 5976ms...", "rate_limit", 5.976),
    ("gemini", "stderr", "Attempt 2 failed with status 503. Retrying with backoff...", "overloaded", None),
    ("qwen", "stdout", '{"type":"system","subtype":"retry","data":{"attempt":1,"maxRetries":10,"delayMs":60000}}', "rate_limit", 60),
    ("opencode", "stderr", ('level=ERROR message="stream error" small=false error.error="AI_APICallError: Rate limit reached. Please try '
     'again in 3h0m0s."'), "rate_limit", 10_800),
    ("kilo", "stderr", ('level=ERROR message="stream error" small=false error.error="AI_APICallError: Rate limit reached. Please try again in '
     '3h0m0s. Visit https://platform.openai.com/account/rate-limits to learn more."'), "rate_limit", 10_800),
    ("kilo", "stderr", 'level=ERROR message="stream error" small=false error.error="AI_APICallError: Cannot connect"', "network", None),
]  # fmt: skip


@pytest.mark.parametrize(("agent", "source", "text", "kind", "delay"), RETRIES)
def test_a_retry(agent: str, source: str, text: str, kind: str, delay: float | None) -> None:
    reader = compile_parser(stock(f"{agent}-jsonl")).reader(lambda: 0.0, UTC)
    reader.feed("stderr" if source == "stderr" else "stdout", text.encode() + b"\n", 0)

    assert reader.live.watch is not None
    assert (reader.live.watch.kind, reader.live.watch.retry_at) == (kind, delay)


def test_a_call_for_a_title_is_no_stall() -> None:
    reader = compile_parser(stock("opencode-jsonl")).reader(lambda: 0.0, UTC)
    reader.feed("stderr", b'message="stream error" small=true agent=title error.error="AI_RetryError: Rate limit"\n', 0)

    assert reader.live.watch is None
