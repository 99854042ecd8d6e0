"""What a message says: enough to decide at once what to do, and nothing that must stay on the machine."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.notify.channels.truncate import truncate_text
from runner.notify.message import digest_message, run_message, unfinished_message
from runner.reasons import REASONS
from runner.values import asdict

RECORD: dict[str, Any] = {
    "run_id": "20260219_175043",
    "agent": "double",
    "task": "document_coverage",
    "status": "rate_limited",
    "reason": "usage_limit",
    "exit_code": 10,
    "model": "double-1",
    "started_at": "2026-02-19T17:50:43.000Z",
    "ended_at": "2026-02-19T17:50:55.345Z",
    "elapsed_seconds": 12.345,
    "argv": ["double", "--key", "sk-ant-api03-AbCdEf0123456789"],
    "text": "",
    "usage": {"input_tokens": 1521, "output_tokens": 49, "cache_read_tokens": 256},
    "cost_usd": 0.0,
    "commits": [],
    "notes": [],
    "error": {
        "class": "usage_limit",
        "message": "You've hit your usage limit",
        "retry_at": "2026-02-19T20:00:00.000Z",
        "evidence": "stdout.log:57",
    },
    "advice": "wait until the reset, or use another agent",
}
SUCCESS = {
    **RECORD,
    "status": "success",
    "reason": None,
    "error": None,
    "advice": None,
    "text": "Alles erledigt: 3 Dateien.\n\nZweite Zeile",
    "commits": [{"sha": f"{number:040x}", "subject": f"Commit {number}"} for number in range(7)],
    "notes": ["the agent was ended for lingering"],
}
SKIPPED = {
    "run_id": "20260219_175044",
    "agent": "double",
    "task": "document_coverage",
    "model": None,
    "status": "skipped",
    "reason": "busy",
    "exit_code": 12,
    "started_at": "2026-02-19T17:50:44.000Z",
    "ended_at": "2026-02-19T17:50:44.000Z",
    "elapsed_seconds": 0.0,
    "error": {"class": "busy", "message": "another run has the checkout", "retry_at": None, "evidence": None},
    "advice": "nothing to do, or use --wait",
}


def test_a_failure_in_full() -> None:
    message = run_message(RECORD, "logs/document_coverage/double/20260219_175043", {})

    assert message.title == "double document_coverage: rate_limited (usage_limit)"
    assert message.body.splitlines() == [
        "rate_limited (usage_limit): You've hit your usage limit",
        "evidence: stdout.log:57",
        "resets: 2026-02-19T20:00:00.000Z",
        "do: wait until the reset, or use another agent",
        "run: 20260219_175043, double on document_coverage, model double-1",
        "logs: logs/document_coverage/double/20260219_175043",
        "took: 12.3s",
        "tokens: 1,521 in (256 cached), 49 out",
        "cost: $0.0000",
    ]
    assert (message.tags, message.priority) == (("hourglass",), 3)
    assert (message.message_id, message.click, message.actions, message.delay) == ("20260219_175043", None, (), None)


def test_a_success_in_full() -> None:
    message = run_message(SUCCESS, "/logs/x", {}, ("recovered after 3 failures",))

    assert message.title == "double document_coverage: success"
    assert message.body.splitlines() == [
        "recovered after 3 failures",
        "success: the run succeeded",
        "run: 20260219_175043, double on document_coverage, model double-1",
        "logs: /logs/x",
        "took: 12.3s",
        "tokens: 1,521 in (256 cached), 49 out",
        "cost: $0.0000",
        "commits: 7",
        *(f"  0000000 Commit {number}" for number in range(5)),
        "  … 2 more",
        "note: the agent was ended for lingering",
        "",
        "Alles erledigt: 3 Dateien.",
        "",
        "Zweite Zeile",
    ]
    assert (message.tags, message.priority) == (("white_check_mark",), 2)


def test_a_skip_has_no_folder_and_no_numbers() -> None:
    message = run_message(SKIPPED, None, {})

    assert message.title == "double document_coverage: skipped (busy)"
    assert message.body.splitlines() == [
        "skipped (busy): another run has the checkout",
        "do: nothing to do, or use --wait",
        "run: 20260219_175044, double on document_coverage",
    ]
    assert (message.tags, message.priority) == ((), 2)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"cost_usd": None}, "cost: unknown"),
        ({"cost_usd": 1.25}, "cost: $1.2500"),
        ({"usage": {"input_tokens": None, "output_tokens": None}}, "tokens: unknown"),
        ({"usage": {"input_tokens": 0, "output_tokens": 0}}, "tokens: 0 in, 0 out"),
        ({"elapsed_seconds": None}, "took: unknown"),
        ({"elapsed_seconds": 0}, "took: 0ms"),
    ],
)
def test_unknown_is_not_zero(change: dict[str, Any], line: str) -> None:
    assert line in run_message({**RECORD, **change}, "logs", {}).body.splitlines()


@pytest.mark.parametrize("reason", [None, *REASONS])
def test_every_reason_has_a_message(reason: str | None) -> None:
    status = REASONS[reason].status if reason else "success"

    message = run_message({**RECORD, "status": status, "reason": reason, "error": None}, "logs", {})

    assert message.title.startswith(f"double document_coverage: {status}")
    assert 1 <= message.priority <= 5
    assert all(message.tags)
    assert json.loads(json.dumps(asdict(message)))["message_id"] == message.message_id


def test_click_and_actions_come_from_the_settings() -> None:
    action = {"action": "view", "label": "Open", "url": "https://example.invalid"}

    message = run_message(RECORD, None, {"topic": "t", "click": "https://example.invalid/1", "actions": [action]})

    assert (message.click, message.actions) == ("https://example.invalid/1", (action,))


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (
            {"error": {**RECORD["error"], "message": "\x1b[31mred\x1b[0m\a\nline \u202eover\ud83d"}},
            "red\ufffd line \ufffdover\ufffd",
        ),
        ({"model": "m\x1b]0;title\x07odel\n"}, "model model"),
        ({"commits": [{"sha": "a" * 40, "subject": "\x1b[2Jclear\u200b"}]}, "  aaaaaaa clear\ufffd"),
        ({"notes": ["a\nb\x00"]}, "note: a b\ufffd"),
        ({"error": {**RECORD["error"], "evidence": "odd\nname:1"}}, "evidence: odd name:1"),
    ],
)
def test_what_an_agent_prints_cannot_act(change: dict[str, Any], where: str) -> None:
    body = run_message({**RECORD, **change}, "logs", {}).body

    assert where in body
    assert not set("\x1b\a\x00\u202e\u200b\ud83d") & set(body)


def test_a_long_reply_shows_its_beginning() -> None:
    text = "".join(f"line {number} {'x' * 500}\n" for number in range(100))

    message = run_message({**SUCCESS, "text": text}, "logs", {})

    lines = message.body.splitlines()
    assert lines[-1].endswith("more lines")
    assert len([line for line in lines if line.startswith("line ")]) == 15
    assert max(len(line) for line in lines) <= 300
    assert len(message.record["text"]) <= 16 * 1024


def test_a_failed_run_does_not_show_its_reply() -> None:
    assert "all is well" not in run_message({**RECORD, "text": "all is well"}, "logs", {}).body


TOKEN = "sk-ant-api03-AbCdEf0123456789xyz"


@pytest.mark.parametrize(
    "change",
    [
        {"text": f"the key is {TOKEN}"},
        {"text": "x" * 280 + f" {TOKEN}"},
        {"text": "x " * 8184 + TOKEN * 20},
        {"text": TOKEN[:5] + "\x1b[0m" + TOKEN[5:]},
        {"commits": [{"sha": "a" * 40, "subject": f"Add {TOKEN}"}]},
        {"notes": [f"{'n' * 280} {TOKEN}"]},
        {"model": TOKEN},
        {"argv": ["double", TOKEN]},
    ],
)
def test_no_token_leaves_in_any_part(change: dict[str, Any]) -> None:
    message = run_message({**SUCCESS, **change}, "logs", {})

    text = json.dumps(asdict(message)).replace("\\u001b[0m", "")
    # The record is for machines: what terminal escapes break up is masked where it is shown.
    shown = text if "\x1b" not in str(change.get("text")) else message.title + message.body
    assert TOKEN[:20] not in shown
    assert "api03" not in shown


def test_the_message_written_before_the_agent_starts() -> None:
    running = {**RECORD, "status": "running", "reason": None, "error": None, "elapsed_seconds": None}

    message = unfinished_message(running, "logs/x", {"click": "https://example.invalid"}, "20m")

    assert message.title == "double document_coverage: did not end"
    assert message.body.startswith("run 20260219_175043 did not end: it began at 2026-02-19T17:50:43.000Z")
    assert "logs: logs/x" in message.body
    assert (message.tags, message.priority, message.delay) == (("x",), 5, "20m")
    assert message.message_id == "20260219_175043"
    assert message.click == "https://example.invalid"
    assert TOKEN[:12] not in json.dumps(asdict(message))


@pytest.mark.parametrize(
    ("counts", "title", "tag", "priority"),
    [
        ({"success": 3}, "3 messages folded: 0 not successful", "white_check_mark", 2),
        ({"failed": 1}, "1 message folded: 1 not successful", "x", 4),
        ({"success": 30, "failed": 5, "timed_out": 2, "skipped": 0}, "37 messages folded: 7 not successful", "x", 4),
        ({"success": 1, "lost": 1}, "2 messages folded: 1 not successful", "x", 5),
    ],
)
def test_a_week_of_outage_in_one_message(counts: dict[str, int], title: str, tag: str, priority: int) -> None:
    message = digest_message("folded_1", counts, "2026-02-12T00:00:00Z", "2026-02-19T00:00:00Z")

    assert (message.title, message.tags, message.priority) == (title, (tag,), priority)
    assert message.message_id == "folded_1"
    for status, number in counts.items():
        assert (f"  {number} {status}" in message.body) == (number > 0)


def test_the_important_lines_survive_the_cut() -> None:
    """4,096 bytes, with characters of four bytes at every offset."""
    for offset in range(8):
        text = "\n".join(["." * offset + "🚀" * 290] * 20)
        body = run_message({**SUCCESS, "text": text}, "/logs/x", {}).body
        assert len(body.encode()) > 4096

        cut = truncate_text(body, 4096)

        assert 4096 - 1200 < len(cut.encode()) <= 4096
        assert cut.startswith("success: the run succeeded\nrun: 20260219_175043")
        assert set(cut.splitlines()[-2]) <= {".", "🚀"}
        assert cut.endswith("\n…")
        assert "\ufffd" not in cut
