"""What a run looks like while it runs: the last event, tokens, retries; and what stays of it in the reply."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from runner.parsers import compile_parser
from tests.parsing import NOON, lines, read, stock

TABLE: dict[str, Any] = {
    "format": "jsonl",
    "success": {"when": {"type": "done"}},
    "fields": {"usage.output_tokens": {"when": {"type": "step"}, "at": "out", "take": "sum"}},
    "watch": [
        {
            "in": {"when": {"type": "retry", "code": 429}, "at": "msg"},
            "class": "rate_limit",
            "reset": {"at": "ms", "kind": "ms"},
        },
        {"in": {"when": {"type": "retry"}, "at": "msg"}, "class": "retry"},
        {"in": "stderr", "match": r"Attempt \d+ failed with status 429", "class": "rate_limit"},
        {"in": "stderr", "match": r"Retrying after (?P<ms>\d+)ms", "class": "retry"},
    ],
}
RETRY, LIMITED = {"type": "retry", "msg": "again"}, {"type": "retry", "msg": "slow down", "code": 429, "ms": 2000}
STEP, DONE = {"type": "step", "out": 5}, {"type": "done"}


def test_live() -> None:
    reader = compile_parser(TABLE).reader(lambda: NOON, UTC)
    live = reader.live
    seen = []
    position = 0
    for event in ({"type": "system", "subtype": "init"}, STEP, LIMITED, LIMITED, STEP, {"no": "type"}, DONE):
        data = lines(event)
        reader.feed("stdout", data, position)
        position += len(data)
        seen.append((live.event, live.tokens, live.watch and live.watch.kind, live.retries, live.terminal))

    assert seen == [
        (None, None, None, 0, False),  # no rule wants it, so it is not decoded
        ("step", 5, None, 0, False),
        ("retry", 5, "rate_limit", 1, False),
        ("retry", 5, "rate_limit", 2, False),
        ("step", 10, None, 0, False),
        ("step", 10, None, 0, False),
        ("done", 10, None, 0, True),
    ]


@pytest.mark.parametrize(
    ("events", "stderr", "stalled"),
    [
        ([RETRY], b"", ("network", "again", None)),
        ([LIMITED], b"", ("rate_limit", "slow down", NOON + 2)),
        ([LIMITED, RETRY], b"", ("rate_limit", "slow down", None)),  # a class that is known stays
        ([RETRY, LIMITED], b"", ("rate_limit", "slow down", NOON + 2)),
        ([LIMITED, STEP], b"", None),
        ([LIMITED, STEP, RETRY], b"", ("network", "again", None)),
        ([LIMITED, DONE], b"", None),
        ([STEP], b"Attempt 1 failed with status 429.\n", ("rate_limit", "Attempt 1 failed with status 429.", None)),
        (
            [STEP],
            b"Attempt 1 failed with status 429.\nRetrying after 5976ms\n",
            ("rate_limit", "Attempt 1 failed with status 429.", NOON + 5.976),
        ),
        ([STEP], b"Retrying after 5976ms\nnoise\n", ("network", "Retrying after 5976ms", NOON + 5.976)),
    ],
)
def test_stalled(events: list[Any], stderr: bytes, stalled: Any) -> None:
    found = read(TABLE, lines(*events), stderr).stalled

    assert (found and (found.kind, found.message, found.retry_at)) == stalled


def test_an_event_ends_a_stall_that_stderr_reported() -> None:
    reader = compile_parser(TABLE).reader(lambda: NOON, UTC)
    reader.feed("stderr", b"Attempt 1 failed with status 429.\n", 0)
    assert reader.live.watch is not None

    reader.feed("stdout", lines("no event", STEP), 34)

    assert reader.live.watch is None
    assert reader.finish().stalled is None


def test_an_attempt_ends_the_wait_and_not_the_row_of_retries() -> None:
    begins = {"type": "begins"}
    table = {**TABLE, "watch": [{"in": {"when": begins}, "class": "attempt"}, *TABLE["watch"]]}
    reader = compile_parser({**table, "needles": ['"retry"', '"done"']}).reader(lambda: NOON, UTC)
    seen = []
    for event in (begins, LIMITED, begins, RETRY, begins):
        reader.feed("stdout", lines(event), 0)
        seen.append((reader.live.watch and reader.live.watch.kind, reader.live.retries))

    assert seen == [(None, 0), ("rate_limit", 1), (None, 1), ("rate_limit", 2), (None, 2)]
    assert read(table, lines(begins)).stalled is None
    assert read(table, lines(LIMITED, begins, STEP)).stalled is None
    stalled = reader.finish().stalled
    assert stalled is not None
    assert (stalled.kind, stalled.message) == ("rate_limit", "slow down")


def test_a_line_of_the_reply_ends_a_stall_of_a_text_agent() -> None:
    table = {"format": "text", "watch": [{"in": "stderr", "match": "^retry", "class": "retry"}]}
    reader = compile_parser(table).reader(lambda: NOON, UTC)
    reader.feed("stderr", b"retry 1\nnoise\n", 0)
    reader.feed("stdout", b"\n", 0)
    assert reader.live.watch is not None

    reader.feed("stdout", b"words\n", 1)

    assert reader.live.watch is None


def test_an_event_without_a_needle_ends_a_stall_too() -> None:
    table = {**TABLE, "needles": ['"retry"', '"done"']}
    status = {"type": "status"}

    assert read(table, lines(LIMITED, status)).stalled is None
    assert read(table, lines(LIMITED, "noise")).stalled is not None
    assert read(table, lines(LIMITED, status, LIMITED)).stalled is not None


def test_what_is_printed_after_the_runner_began_to_end_the_agent_hides_no_stall() -> None:
    reader = compile_parser(TABLE).reader(lambda: NOON, UTC)
    reader.feed("stdout", lines(LIMITED), 0)
    reader.hold()
    reader.feed("stdout", lines(STEP), len(lines(LIMITED)))

    stalled = reader.finish().stalled

    assert stalled is not None
    assert stalled.kind == "rate_limit"


def test_the_clock_counts_when_the_output_is_read() -> None:
    times = iter([NOON, NOON + 100, NOON + 200, NOON + 300])
    reader = compile_parser(TABLE).reader(lambda: next(times), UTC)
    first = lines(LIMITED)
    reader.feed("stdout", first, 0)
    earlier = reader.live.watch
    reader.feed("stdout", first, len(first))

    assert earlier is not None
    assert reader.live.watch is not None
    assert reader.live.watch.retry_at is not None
    assert earlier.retry_at is not None
    assert reader.live.watch.retry_at > earlier.retry_at


@pytest.mark.parametrize(
    ("status", "more", "watched"),
    [
        ("rejected", {}, True),
        ("rejected", {"isUsingOverage": True}, False),
        ("allowed_warning", {"resetsAt": 1_795_375_248}, False),
        ("allowed", {}, False),
    ],
)
def test_only_a_rejected_window_is_watched(status: str, more: dict[str, Any], *, watched: bool) -> None:
    event = {"type": "rate_limit_event", "rate_limit_info": {"status": status, **more}}

    assert (read(stock("claude-jsonl"), lines(event)).stalled is not None) is watched


def test_the_lines_of_a_retry_that_spans_lines_do_not_end_the_row() -> None:
    watch = {"in": "stdout", "match": r"^error.*\n(?:.*\n)*waiting", "class": "rate_limit"}
    reader = compile_parser({"format": "text", "watch": [watch]}).reader(lambda: NOON, UTC)
    seen = []
    for text in (
        b"error 429\n",
        b"request 1\n",
        b"waiting\n",
        b"error 429\n",
        b"waiting\n",
        b"working\n",
        b"waiting\n",
    ):
        reader.feed("stdout", text, 0)
        seen.append(reader.live.retries)

    assert seen == [0, 0, 1, 0, 2, 0, 0]
