"""A CLI's own caps, denied tools, and ends that look better or worse than they are, through the stock rules."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.model import Changes, Expectations, Outcome
from runner.run.judge import judge
from tests.parsing import NOON, lines, read, stock

RESULT = {"type": "result", "subtype": "success", "is_error": False, "num_turns": 3, "result": "Done.", "total_cost_usd": 0.5,
          "usage": {"input_tokens": 5, "output_tokens": 2}}  # fmt: skip
EMPTY = {"type": "result", "subtype": "error_during_execution", "is_error": True, "num_turns": 0, "total_cost_usd": 0,
         "usage": {"input_tokens": 0, "output_tokens": 0}}  # fmt: skip
LIMITED = {"type": "assistant", "is_api_error_message": True, "error": "rate_limit",
           "message": {"model": "<synthetic>", "content": [{"type": "text", "text": "API Error: slow down"}]}}  # fmt: skip
SPOKE = {"type": "assistant", "message": {"model": "m", "content": [{"type": "text", "text": "Done."}]}}
QUOTA = "Hello.[API Error: You exceeded your current quota]\nPlease wait and try again later. Request a quota increase."
TURNS = {"type": "result", "subtype": "error_max_turns", "is_error": False, "num_turns": 2}
MONEY = {
    "type": "result",
    "subtype": "error_max_budget_usd",
    "is_error": False,
    "errors": ["Reached maximum budget ($0.01)"],
}
DENIED = {"permission_denials": [{"tool_name": "Bash"}, {"tool_name": "Write"}, {"tool_name": "Bash"}]}
STOPPED = {"type": "error", "severity": "error", "message": "Maximum session turns exceeded"}


def qwen(text: str) -> dict[str, Any]:
    return {"type": "result", "is_error": False, "result": text}


# parser, events, stderr, exit code, status, reason
ENDS: list[tuple[str, list[dict[str, Any]], bytes, int, str, str | None]] = [
    ("claude-jsonl", [RESULT], b"", 0, "success", None),
    ("claude-jsonl", [TURNS], b"", 0, "failed", "turn_limit"),
    ("claude-jsonl", [{**TURNS, "is_error": True}], b"", 1, "failed", "turn_limit"),
    ("claude-json", [TURNS], b"", 0, "failed", "turn_limit"),
    ("claude-jsonl", [MONEY], b"", 0, "failed", "budget"),
    ("claude-json", [MONEY], b"", 1, "failed", "budget"),
    ("claude-jsonl", [{**EMPTY, "is_error": False}], b"", 0, "failed", "agent_error"),
    ("claude-jsonl", [RESULT, EMPTY], b"", 1, "failed", "agent_error"),
    ("claude-jsonl", [LIMITED, RESULT], b"", 0, "rate_limited", "rate_limit"),
    ("claude-jsonl", [LIMITED, SPOKE, RESULT], b"", 0, "success", None),
    ("claude-jsonl", [{**LIMITED, "error": "authentication_failed"}, RESULT], b"", 0, "failed", "auth"),
    ("claude-jsonl", [{**LIMITED, "error": "overloaded"}, RESULT], b"", 0, "failed", "overloaded"),
    ("claude-jsonl", [{**LIMITED, "error": "unknown"}, RESULT], b"", 0, "failed", "agent_error"),
    ("amp-jsonl", [TURNS], b"", 0, "failed", "agent_error"),
    ("gemini-jsonl", [STOPPED, {"type": "result", "status": "success"}], b"", 0, "failed", "turn_limit"),
    ("gemini-jsonl", [], b"Reached max session turns for this session.\n", 53, "failed", "turn_limit"),
    ("gemini-json", [], b"", 53, "failed", "turn_limit"),
    ("gemini-jsonl", [], b"", 55, "failed", "permission"),
    ("qwen-jsonl", [], b"", 53, "failed", "turn_limit"),
    ("qwen-jsonl", [], b"", 55, "failed", "turn_limit"),
    ("qwen-jsonl", [], b"Error: maximum wall time exceeded\n", 55, "timed_out", "timeout"),
    ("qwen-text", [], b"Reached max session turns for this session.\n", 53, "failed", "turn_limit"),
    ("qwen-jsonl", [qwen(QUOTA)], b"", 0, "failed", "billing"),
    ("qwen-jsonl", [qwen("Hello.[API Error: terminated (cause: [x]\n[y])]")], b"", 0, "failed", "network"),
    ("qwen-jsonl", [qwen('Hello.[API Error: 503 {"details": ["a", "b"]}]')], b"", 0, "failed", "overloaded"),
    ("qwen-jsonl", [qwen("The log said [API Error: 503], and I fixed it.")], b"", 0, "success", None),
    ("qwen-jsonl", [qwen("See [API Error: 503] and then [1] for more")], b"", 0, "success", None),
]  # fmt: skip


@pytest.mark.parametrize(("parser", "events", "stderr", "code", "status", "reason"), ENDS)
def test_end(
    parser: str, events: list[dict[str, Any]], stderr: bytes, code: int, status: str, reason: str | None
) -> None:
    reply = read(stock(parser), lines(*events), stderr)

    verdict = judge(Expectations(), Outcome("exit", NOON, NOON, 1.0, code), reply, Changes(repository=True))

    assert (verdict.status, verdict.reason) == (status, reason)


@pytest.mark.parametrize("parser", ["claude-jsonl", "claude-json"])
def test_what_was_spent_stays(parser: str) -> None:
    reply = read(stock(parser), lines(RESULT, EMPTY))

    assert (reply.cost_usd, reply.usage.input_tokens, reply.usage.output_tokens, reply.text) == (0.5, 5, 2, "Done.")


DECLINED = {"type": "item.completed", "item": {"type": "command_execution", "status": "declined"}}
REJECTED = {
    "type": "tool_use",
    "part": {"state": {"status": "error", "error": "The user rejected permission to use it."}},
}
DENIALS: list[tuple[str, list[dict[str, Any]], dict[str, Any] | None]] = [
    ("claude-jsonl", [{**RESULT, **DENIED}], {"count": 3, "names": ["Bash", "Write"]}),
    ("claude-json", [{**RESULT, **DENIED}], {"count": 3, "names": ["Bash", "Write"]}),
    ("claude-jsonl", [{**RESULT, **DENIED}, {**RESULT, **DENIED}], {"count": 3, "names": ["Bash", "Write"]}),
    ("claude-jsonl", [{**RESULT, **DENIED}, EMPTY], {"count": 3, "names": ["Bash", "Write"]}),
    ("claude-jsonl", [RESULT], None),
    ("claude-jsonl", [{**RESULT, "permission_denials": []}], None),
    ("claude-jsonl", [{**RESULT, "permission_denials": "x"}], None),
    ("qwen-jsonl", [{**qwen("ok"), **DENIED}], {"count": 3, "names": ["Bash", "Write"]}),
    ("codex-jsonl", [DECLINED, DECLINED], {"count": 2, "names": ["command_execution"]}),
    ("opencode-jsonl", [REJECTED], {"count": 1, "names": ["permission"]}),
    ("kilo-jsonl", [REJECTED], {"count": 1, "names": ["permission"]}),
]  # fmt: skip


@pytest.mark.parametrize(("parser", "events", "denials"), DENIALS)
def test_denials(parser: str, events: list[dict[str, Any]], denials: dict[str, Any] | None) -> None:
    assert read(stock(parser), lines(*events)).denials == denials


@pytest.mark.parametrize(("denied", "status", "reason"), [("note", "success", None), ("fail", "failed", "permission")])
def test_what_denied_means(denied: str, status: str, reason: str | None) -> None:
    reply = read(stock("claude-jsonl"), lines({**RESULT, **DENIED}))

    verdict = judge(Expectations(denied=denied), Outcome("exit", NOON, NOON, 1.0, 0), reply, Changes(repository=True))

    assert (verdict.status, verdict.reason) == (status, reason)
    said = "3 tool calls were denied: Bash, Write"
    assert said in (verdict.notes if denied == "note" else (verdict.message,))


@pytest.mark.parametrize(
    ("code", "reason"), [(137, "crashed"), (139, "crashed"), (143, "crashed"), (134, "crashed"), (1, "agent_error"),
                         (127, "agent_error"), (128, "agent_error"), (129, "agent_error"), (255, "agent_error")],
)  # fmt: skip
def test_death_behind_a_wrapper(code: int, reason: str) -> None:
    reply = read({"format": "text"}, b"half an answer\n")

    verdict = judge(Expectations(), Outcome("exit", NOON, NOON, 1.0, code), reply, Changes(repository=True))

    assert verdict.reason == reason
    if code == 137:
        assert verdict.message == "exit code 137: a process of it was ended by SIGKILL (out of memory?)"


DONE = json.dumps({"type": "done"})
SAID = json.dumps({"type": "say"})
# One line of output → how the run ended.
SHARED_LINES = {
    f"{SAID}{DONE}": "good",
    f"{SAID} {DONE}": "good",
    f"\x1b[0m{DONE}": "good",
    f"\x1b[2K\x1b[1G{DONE}\x1b[0m": "good",
    f"\x1b]0;title\x07{DONE}": "good",
    f"{DONE}\r": "good",
    f"{SAID}\r{DONE}": "absent",  # printed over the line: anybody could have
    f"{SAID}, {DONE}": "absent",
    f"data: {DONE}": "absent",
    f"{DONE} trailing": "absent",
}


@pytest.mark.parametrize("line", SHARED_LINES)
def test_a_line_that_holds_more_than_one_event(line: str) -> None:
    table = {"format": "jsonl", "success": {"when": {"type": "done"}}}

    assert read(table, line.encode() + b"\n").terminal == SHARED_LINES[line]
