"""Whatever an agent prints, reading it raises nothing, costs little, and fools nobody."""

from __future__ import annotations

import json
import time
import tracemalloc
from datetime import UTC

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.parsers import compile_parser
from runner.parsers.lines import MAX_LINE, LineScanner
from tests.parsers.recordings.judged import Recording
from tests.parsers.recordings.row import HELLO, rows
from tests.parsing import NOON, lines, read, stock

FORMATS = (
    *("claude-jsonl", "claude-json", "claude-text", "codex-jsonl", "codex-text", "gemini-jsonl", "gemini-json"),
    *("gemini-text", "qwen-jsonl", "qwen-json", "qwen-text", "opencode-jsonl", "opencode-text", "kilo-jsonl"),
    *("amp-jsonl", "ollama-text", "text"),
)
RESULT = {"type": "result", "is_error": False, "result": "fine"}

HOSTILE = [
    b"",
    b"\n",
    b"\n\n\r\n",
    b"\x00",
    b"\x00" * 5000 + b"\n",
    b"\xff\xfe\x00\x80\n" * 50,
    b"\xef\xbb\xbf",
    b"{",
    b"[",
    b"{}",
    b"[]",
    b"null",
    b'"result"',
    b"{" * 100_000,
    b"[" * 100_000,
    b"[\n" * 20_000,
    b'{"a":' * 50_000,
    b'{"type":"result","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"type":"result","is_error":false,"total_cost_usd":' + b"9" * 10_000 + b"}",
    b'{"type":"result","is_error":false,"usage":{"output_tokens":1e400}}',
    b'{"type":"result","is_error":false,"usage":{"output_tokens":NaN,"input_tokens":-Infinity}}',
    b'{"type":"result","is_error":false,"usage":{"output_tokens":99999999999999999999999}}',
    b'{"type":"result","is_error":false,"result":"\\ud800 lone"}',
    b'{"type":"result","is_error":false,"result":{"not":"text"},"session_id":[1],"modelUsage":"x","usage":7}',
    b'{"type":["result"],"is_error":false}',
    b'{"type":{"result":1}}',
    b'{"type":null,"subtype":{}}',
    b'{"type":"system","subtype":"api_retry","error":{"a":1},"retry_delay_ms":"soon"}',
    b'{"type":"system","subtype":"api_retry","error":"rate_limit","retry_delay_ms":1e300}',
    b'{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":1e300}}',
    b'{"type":"rate_limit_event","rate_limit_info":{"status":"rejected","resetsAt":"' + b"9" * 5000 + b'"}}',
    b'{"type":"assistant","message":{"content":[null,1,"tool_use",[],{"type":"tool_use"}]}}',
    b"\x1b[31m{\x1b[0m\n\x1b]0;title",
    b'{"type":"result"} trailing "result"\n',
    b'{"type":"result","is_error":true,"result":"' + b"resets " * 20_000 + b'"}',
]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_output(name: str, number: int) -> None:
    data = HOSTILE[number]
    began = time.process_time()

    reply = read(stock(name), data, data)

    assert time.process_time() - began < 5
    assert reply == read(stock(name), data, data, cuts=[1, 2, 3, 1000])
    reply.text.encode()
    for count in vars(reply.usage).values():
        assert count is None or 0 <= count < 2**63
    json.dumps(reply.text)


@pytest.mark.parametrize(
    ("prefix", "suffix"),
    [(b"", b"\r\n"), (b"\xef\xbb\xbf", b"\n"), (b"  \t", b"\n"), (b"", b""), (b"noise\n\x00\n", b"\n{broken\n")],
)
def test_a_good_event_survives_its_surroundings(prefix: bytes, suffix: bytes) -> None:
    reply = read(stock("claude-jsonl"), prefix + json.dumps(RESULT).encode() + suffix)

    assert (reply.terminal, reply.text) == ("good", "fine")


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("a\x00b", "a\x00b"),
        ("\ud800x", "\ufffdx"),
        ("\U0001f600", "\U0001f600"),
        ("", ""),
        (12, "12"),
        (None, ""),
        (["x"], ""),
    ],
)
def test_text_is_always_valid(result: object, text: str) -> None:
    assert read(stock("claude-jsonl"), lines({**RESULT, "result": result})).text == text


def test_invalid_utf_8_in_an_event_is_replaced() -> None:
    line = json.dumps(RESULT).encode().replace(b"fine", b"f\xffne\ttab")

    assert read(stock("claude-jsonl"), line).text == "f\ufffdne\ttab"


def test_words_of_the_model_and_of_tools_name_no_class() -> None:
    words = "API Error: 429 usage limit reached, not logged in, please run /login"
    said = [
        {"type": "assistant", "message": {"content": [{"type": "text", "text": words}]}},
        {"type": "user", "message": {"content": [{"type": "tool_result", "content": words}]}},
        {**RESULT, "result": words},
    ]

    reply = read(stock("claude-jsonl"), lines(*said))

    assert (reply.terminal, reply.fault, reply.failure, reply.stalled) == ("good", None, None, None)


def test_an_event_inside_a_string_is_no_event() -> None:
    inner = json.dumps(RESULT)
    told = {"type": "user", "message": {"content": f"first\n{inner}\nlast"}, "tool_use_result": inner}

    assert read(stock("claude-jsonl"), lines(told)).terminal == "absent"


class TestLongLines:
    def test_a_line_of_many_megabytes_is_decoded(self) -> None:
        text = "0123456789abcde " * (4 * 1024 * 1024 // 16)

        assert read(stock("claude-jsonl"), lines({**RESULT, "result": text}), cuts=[65536] * 64).text == text

    @pytest.mark.parametrize("chunk", [1 << 16, 1 << 26])
    @pytest.mark.parametrize(("excess", "taken"), [(0, 2), (1, 1)])
    def test_the_longest_line(self, chunk: int, excess: int, taken: int) -> None:
        found: list[int] = []
        scanner = LineScanner(lambda line, _: found.append(len(line)))
        data = b"x" * (MAX_LINE + excess) + b"\nshort\n"
        for start in range(0, len(data), chunk):
            scanner.feed(data[start : start + chunk], start)
        scanner.close()

        assert len(found) == taken
        assert found[-1] == 5

    def test_memory_stays_flat_however_long_the_line(self) -> None:
        reader = compile_parser(stock("claude-jsonl")).reader(lambda: NOON, UTC)
        chunk = bytearray(b"x" * (1 << 20))
        tracemalloc.start()
        try:
            for number in range(100):
                reader.feed("stdout", memoryview(chunk), number << 20)
                reader.feed("stderr", chunk, number << 20)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert peak < 96 << 20
        assert reader.finish().terminal == "absent"

    @pytest.mark.parametrize("name", ["text", "claude-text"])
    def test_the_text_of_a_flood_keeps_its_beginning_and_its_end(self, name: str) -> None:
        reader = compile_parser(stock(name)).reader(lambda: NOON, UTC)
        reader.feed("stdout", b"first\n", 0)
        for number in range(20):
            reader.feed("stdout", b"y" * 80 + b"\n" + b"x" * (1 << 20), number << 20)
        reader.feed("stdout", b"\nlast", 21 << 20)

        text = reader.finish().text

        assert text.startswith("first\n")
        assert text.endswith("\nlast")
        assert "bytes left out]" in text
        assert len(text) < 9 << 20


def test_patterns_reach_the_ends_of_a_long_text_alone() -> None:
    table = {"format": "text", "errors": [{"in": "stderr", "match": "(begin|middle|end) it", "class": "server"}]}
    far = b"x" * 200_000

    assert read(table, b"", b"begin it" + far).fault is not None
    assert read(table, b"", far + b"end it").fault is not None
    assert read(table, b"", far + b"middle it" + far).fault is None


EVENTS = st.sampled_from(
    [
        json.dumps(event).encode()
        for event in (
            RESULT,
            {**RESULT, "is_error": True, "result": "Credit balance is too low"},
            {"type": "system", "subtype": "init", "session_id": "s1", "model": "m1"},
            {"type": "system", "subtype": "api_retry", "error": "rate_limit", "retry_delay_ms": 500},
            {"type": "system", "subtype": "status"},
            {"type": "assistant", "message": {"content": [{"type": "tool_use"}, {"type": "tool_use"}]}},
            {"type": "user", "message": {"content": [{"type": "tool_result", "content": '{"type":"result"}'}]}},
            {"type": "stream_event", "text": "ä\u2028"},
            {"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": 1_800_000_000}},
        )
    ]
    + [b"", b"noise", b"\xff\xfe", b'{"type":"result"', b"\r"]
)
OUTPUTS = st.builds(
    lambda parts, ends: b"".join(parts) + ends, st.lists(st.builds(bytes.__add__, EVENTS, st.just(b"\n"))), EVENTS
)


@given(stdout=OUTPUTS, cuts=st.lists(st.integers(1, 400), max_size=30), name=st.sampled_from(FORMATS))
@settings(max_examples=100, deadline=None)
def test_any_chunking_gives_the_same_reply(stdout: bytes, cuts: list[int], name: str) -> None:
    assert read(stock(name), stdout, cuts=cuts) == read(stock(name), stdout)


@given(stdout=OUTPUTS, cuts=st.lists(st.integers(1, 400), max_size=30))
@settings(max_examples=150, deadline=None)
def test_needles_make_no_difference_but_to_what_is_counted_as_skipped(stdout: bytes, cuts: list[int]) -> None:
    table = stock("claude-jsonl")
    bare = {**table, "needles": ["{"]}

    with_needles, without = read(table, stdout, cuts=cuts), read(bare, stdout)

    assert {**vars(with_needles), "skipped_lines": 0} == {**vars(without), "skipped_lines": 0}


@given(st.binary(max_size=300), st.binary(max_size=300), st.sampled_from(FORMATS))
@settings(max_examples=100, deadline=None)
def test_no_bytes_raise(stdout: bytes, stderr: bytes, name: str) -> None:
    reply = read(stock(name), stdout, stderr)

    assert reply.terminal != "good"


KEYS = st.sampled_from(["type", "result", "message", "content", "usage", "modelUsage", "error", "is_error"])
SCALARS = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=8)


@given(VALUES)
@settings(max_examples=100, deadline=None)
def test_no_event_raises(value: object) -> None:
    for kind in ("result", "assistant", "system", "rate_limit_event"):
        event = {**(value if isinstance(value, dict) else {"result": value}), "type": kind, "subtype": "api_retry"}
        read(stock("claude-jsonl"), lines(event)).text.encode()


def test_a_memoryview_of_a_reused_buffer_is_read_at_once() -> None:
    data = Recording("claude", "2.1.197", "hello").stdout
    reader = compile_parser(stock("claude-jsonl")).reader(lambda: NOON, UTC)
    buffer = bytearray(512)
    for start in range(0, len(data), 512):
        part = data[start : start + 512]
        buffer[: len(part)] = part
        reader.feed("stdout", memoryview(buffer)[: len(part)], start)

    reply = reader.finish()

    assert (reply.text, reply.usage) == (HELLO, rows()["claude", "2.1.197", "hello"].usage)


def test_a_document_that_is_too_long_is_none() -> None:
    document = json.dumps({**RESULT, "result": "x" * (16 << 20)}).encode()

    assert read(stock("claude-json"), document, cuts=[1 << 20] * 8).terminal == "absent"


def test_a_number_too_long_to_convert_is_not_reported_and_its_event_is() -> None:
    reply = read(
        stock("claude-jsonl"), b'{"type":"result","is_error":false,"total_cost_usd":' + b"9" * 5000 + b',"result":"ok"}'
    )

    assert (reply.text, reply.cost_usd, reply.terminal) == ("ok", None, "good")


def test_only_the_ends_of_a_very_long_reply_are_cleaned() -> None:
    table = {"format": "text", "strip": ["noise"]}
    far = "x" * 100_000

    text = read(table, f"noise{far}noise{far}noise".encode()).text

    assert text == f"{far}noise{far}"


@pytest.mark.parametrize("at", ["v", ["w", "v"]])
def test_a_string_of_digits_too_long_to_convert_is_no_number(at: object) -> None:
    table = {"format": "jsonl", "fields": {"usage.input_tokens": {"at": at}}}

    assert read(table, b'{"v":"' + b"9" * 5000 + b'"}').usage.input_tokens is None
