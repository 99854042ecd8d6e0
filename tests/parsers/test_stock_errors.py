"""Endings of the stock agents' CLIs that no recording has, through their own rules; captured, and shortened."""

from __future__ import annotations

from typing import Any

import pytest

from runner.parsers import compile_parser
from tests.parsing import NOON, lines, read, stock

CLOSED = "[API Error: terminated (cause: other side closed)]"
LIMITED = (
    "[API Error: 429 Rate limit reached. Please try again in 2s. Visit https://example.com/rate-limits to learn more.]"
)


def qwen(text: str) -> dict[str, Any]:
    """What a version before 0.24 says, whatever happened."""
    return {"type": "result", "subtype": "success", "is_error": False, "result": text}


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (CLOSED, "network", CLOSED),
        (f"Hello from the scripted model.{CLOSED}", "network", CLOSED),
        (f"Two lines,\nand a piece of the {CLOSED}", "network", CLOSED),
        (f"Hello.{LIMITED}", "rate_limit", LIMITED),
        ("Hello.[API Error: something else]", "agent_error", "[API Error: something else]"),
        (f"It once said {CLOSED} and went on, see [the log] for [more]", None, None),
        (f"It says {LIMITED}\nwhich is a limit [1]", None, None),
        ("`[API Error: terminated]` means that the connection was closed", None, None),
        (f"The text is `{CLOSED}`", None, None),
    ],
)
@pytest.mark.parametrize("parser", ["qwen-json", "qwen-jsonl"])
def test_an_error_behind_a_broken_answer(parser: str, text: str, kind: str | None, message: str | None) -> None:
    reply = read(stock(parser), lines(qwen(text)))

    assert reply.terminal == ("good" if kind is None else "bad")
    fault = reply.fault
    assert (fault and fault.kind, fault and fault.message) == (kind, message)


QWEN_BROKEN = {
    "type": "result",
    "is_error": True,
    "error": {"message": "[API Error: terminated (cause: UND_ERR_SOCKET: other side closed)]"},
}
GEMINI_BROKEN = {
    "type": "result",
    "status": "error",
    "error": {"type": "unknown", "message": "[API Error: terminated]"},
}
GEMINI_REPORT = b"Error when talking to Gemini API Full report available at: /tmp/report.json TypeError: terminated\n"


@pytest.mark.parametrize(
    ("parser", "stdout", "stderr"),
    [
        ("qwen-jsonl", lines(QWEN_BROKEN), b""),
        ("qwen-text", b"", b"[API Error: terminated (cause: other side closed)]\n"),
        ("gemini-jsonl", lines(GEMINI_BROKEN), b""),
        ("gemini-json", b"", GEMINI_REPORT),
    ],
)
def test_a_broken_connection(parser: str, stdout: bytes, stderr: bytes) -> None:
    fault = read(stock(parser), stdout, stderr).fault

    assert fault is not None
    assert fault.kind == "network"


@pytest.mark.parametrize("agent", ["opencode", "kilo"])
def test_a_step_that_begins_after_an_error_amid_a_stream_is_no_progress(agent: str) -> None:
    limit = (
        b'level=ERROR message="stream error" small=false agent=build error.error.message="Rate limit reached for a model on '
        b'tokens per min (TPM): Limit 30000. Visit https://example.com/account/rate-limits to learn more."\n'
    )
    begins, went_on = {"type": "step_start", "part": {}}, {"type": "tool_use", "part": {}}

    reader = compile_parser(stock(f"{agent}-jsonl")).reader(lambda: NOON)
    reader.feed("stderr", limit, 0)
    reader.feed("stdout", lines(begins), 0)
    assert (reader.live.watch, reader.live.retries) == (None, 1)
    reader.hold()
    reader.feed("stdout", lines(went_on), 0)

    assert reader.live.retries == 0
    stalled = reader.finish().stalled
    assert stalled is not None
    assert stalled.kind == "rate_limit"
