"""The rule language, operator by operator: a table, an output, what comes of it."""

from __future__ import annotations

from typing import Any

import pytest

from runner.model import Usage
from runner.parsers import compile_parser
from runner.parsers.selectors import Path
from tests.parsing import NOON, lines, read

EVENT = {
    "a": {"b": 7, "dashed-key": "d", "none": None, "no": False},
    "list": [10, 20, 30],
    "content": [{"type": "text", "text": "one"}, {"type": "image"}, {"type": "text", "text": "two"}],
    "models": {"m1": {"in": 3}, "m2": {"in": 4}},
    "headers": {"retry-after": "30"},
}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("a.b", [7]),
        ("a", [EVENT["a"]]),
        ('a["dashed-key"]', ["d"]),
        ("a.dashed-key", ["d"]),
        ('["a"].b', [7]),
        ("a.no", [False]),
        ("a.none", []),
        ("a.missing", []),
        ("a.b.c", []),
        ("list[0]", [10]),
        ("list[-1]", [30]),
        ("list[3]", []),
        ("list.b", []),
        ("list[*]", [10, 20, 30]),
        ("list.*", [10, 20, 30]),
        ("models.*.in", [3, 4]),
        ("models[*].in", [3, 4]),
        ("models.*", [{"in": 3}, {"in": 4}]),
        ("content[?type=text].text", ["one", "two"]),
        ('content[?type="text"].text', ["one", "two"]),
        ("content[?type=text][0]", []),
        ("content[1].type", ["image"]),
        ("models[?in=4].in", [4]),
        ("a[?b=7]", []),
    ],
)
def test_path(path: str, values: list[Any]) -> None:
    assert Path(path).values(EVENT) == values


@pytest.mark.parametrize(
    "path", ["", ".", "a.", ".a", "a..b", "a b", "a[", "a[]", "a[x]", 'a["b]', "a[?b]", "a]b", "a[0]b", "a[?=1]"]
)
def test_bad_path(path: str) -> None:
    with pytest.raises(ValueError, match="bad path"):
        Path(path)


@pytest.mark.parametrize(
    ("wanted", "value", "fits"),
    [
        ("x", "x", True),
        ("x", "y", False),
        (True, True, True),
        ("true", True, True),
        (True, 1, False),
        (429, 429, True),
        ("429", 429, True),
        (429, "429", True),
        (1.5, 1.5, True),
        (None, None, True),
        (None, "x", False),
        (["x", "y"], "y", True),
        (["x", "y"], "z", False),
        ({"not": "x"}, "y", True),
        ({"not": "x"}, "x", False),
        ({"not": ["x", "y"]}, "y", False),
        ({"not": "x"}, None, True),
        ({"exists": True}, "x", True),
        ({"exists": True}, False, True),
        ({"exists": True}, None, False),
        ({"exists": False}, None, True),
        ("x", ["x"], False),
        ("x", {"x": 1}, False),
    ],
)
def test_when(wanted: Any, value: Any, *, fits: bool) -> None:
    table = {"format": "jsonl", "fields": {"tool_calls": {"when": {"k": wanted}, "take": "count"}}}

    assert read(table, lines({"k": value})).tool_calls == (1 if fits else None)


@pytest.mark.parametrize("wanted", [{"not": "a"}, {"exists": True}, None, ["b", None]])
def test_rules_on_the_key_that_all_others_ask_for_by_value(wanted: Any) -> None:
    """Rules are looked up by the commonest key: one that asks it for no value must be found all the same."""
    event = {"t": None} if wanted is None else {"t": "b"}
    table = {
        "format": "jsonl",
        "fields": {
            "text": {"when": {"t": "a"}, "at": "v"},
            "session_id": {"when": {"t": ["a", "c"]}, "at": "v"},
            "model": {"when": {"t": wanted}, "at": "v"},
        },
    }

    reply = read(table, lines({**event, "v": "found"}))

    assert (reply.text, reply.session_id, reply.model) == ("", None, "found")


def test_a_missing_value_is_as_good_as_null() -> None:
    table = {"format": "jsonl", "fields": {"tool_calls": {"when": {"k": None, "t": {"exists": True}}, "take": "count"}}}

    assert read(table, lines({"t": 1}, {"t": 1, "k": None}, {"t": 1, "k": 0})).tool_calls == 2


def test_when_any_of_many_values_fits() -> None:
    table = {"format": "jsonl", "fields": {"text": {"when": {"list[*].k": "b"}, "at": "name"}}}

    assert (
        read(table, lines({"name": "yes", "list": [{"k": "a"}, {"k": "b"}]}, {"name": "no", "list": []})).text == "yes"
    )


NUMBERS = [{"t": "n", "v": 3}, {"t": "n", "v": 10}, {"t": "x", "v": 99}, {"t": "n", "v": 4}]


@pytest.mark.parametrize(
    ("take", "value"), [(None, 4), ("last", 4), ("first", 3), ("sum", 17), ("max", 10), ("count", 3)]
)
def test_take_a_number(take: str | None, value: int) -> None:
    rule = {"when": {"t": "n"}, "at": "v"} | ({"take": take} if take else {})
    table = {"format": "jsonl", "fields": {"usage.output_tokens": rule}}

    assert read(table, lines(*NUMBERS)).usage == Usage(output_tokens=value)


def test_take_join_starts_again_at_a_reset() -> None:
    table = {
        "format": "jsonl",
        "fields": {
            "text": {"when": {"t": "text"}, "at": "v", "take": "join", "reset": {"when": {"t": ["tool", "step"]}}}
        },
    }
    said = [{"t": "text", "v": word} for word in ("I ", "look.")]

    assert read(table, lines(*said)).text == "I look."
    assert read(table, lines(*said, {"t": "tool"}, {"t": "text", "v": "Done"}, {"t": "text", "v": "."})).text == "Done."
    assert read(table, lines(*said, {"t": "step"})).text == ""


def test_take_keys() -> None:
    table = {"format": "jsonl", "fields": {"model": {"at": "models", "take": "keys"}}}

    assert read(table, lines({"models": {"a": 1}}, {"models": {"b": 1, "a": 2}})).model == "a, b"
    assert read(table, lines({"models": {}})).model is None


@pytest.mark.parametrize(
    ("at", "event", "value"),
    [
        ("a", {"a": 1}, 1),
        (["a", "b"], {"b": 2}, 2),
        (["a", "b"], {"a": 1, "b": 2}, 1),
        (["a", "b"], {"a": {"deeper": 1}, "b": 2}, 2),
        ({"sum": ["a", "b"]}, {"a": 1, "b": 2}, 3),
        ({"sum": ["a", "b"]}, {"a": 1}, 1),
        ({"sum": ["a", "b"]}, {}, None),
        ({"sum": ["m.*.in", "b"]}, {"m": {"x": {"in": 4}, "y": {"in": 5}}, "b": 1}, 10),
        ({"minus": ["a", "b"]}, {"a": 5, "b": 2}, 3),
        ({"minus": ["a", "b", "c"]}, {"a": 5, "b": 2, "c": 2}, 1),
        ({"minus": ["a", "b"]}, {"a": 5}, None),
        ({"minus": ["a", "b"]}, {"a": 1, "b": 2}, None),
        ([{"minus": ["a", "b"]}, "c"], {"c": 9}, 9),
        ([{"minus": ["a", "b"]}, "c"], {"a": 1, "b": 2, "c": 9}, 9),
        ({"minus": ["a", {"sum": ["b", "c"]}]}, {"a": 9, "b": 2}, 7),
        ({"sum": [["x", "a"], {"minus": ["b", "c"]}]}, {"a": 1, "b": 5, "c": 2}, 4),
        ("a", {"a": "1,461"}, 1461),
        ("a", {"a": "25k"}, 25_000),
        ("a", {"a": "1.2M"}, 1_200_000),
        ("a", {"a": "12 tokens"}, None),
        ("a", {"a": 3.0}, 3),
        ("a", {"a": 3.5}, None),
        ("a", {"a": -1}, None),
        ("a", {"a": True}, None),
        ("a", {"a": None}, None),
        ("a", {"a": [1]}, None),
    ],
)
def test_at(at: Any, event: dict[str, Any], value: int | None) -> None:
    table = {"format": "jsonl", "fields": {"usage.input_tokens": {"at": at}}}

    assert read(table, lines(event)).usage.input_tokens == value


def test_a_pattern_on_a_field_takes_its_value_group_else_its_first() -> None:
    fields = {
        "session_id": {"at": "v", "match": r"id=(\w+)"},
        "model": {"at": "v", "match": r"(\w+)=(?P<value>m\d)"},
        "text": {"at": "v", "match": "x=.*"},
    }

    reply = read({"format": "jsonl", "fields": fields}, lines({"v": "id=abc k=m1 x=rest"}))

    assert (reply.session_id, reply.model, reply.text) == ("abc", "m1", "x=rest")


def test_fields_from_text_see_all_matches_without_ansi_and_with_blanks_collapsed() -> None:
    fields = {
        "usage.input_tokens": {"in": "stderr", "match": r"^prompt eval count: (\d+)"},
        "usage.output_tokens": {"in": "stderr", "match": r"^eval count: ([\d,]+)", "take": "sum"},
        "usage.reasoning_tokens": {"in": "stderr", "match": r"^tokens used\s+([\d,]+)"},
        "model": {"in": "stderr", "match": r"model: (\w+)"},
    }
    stderr = (
        b"\x1b[1mmodel:\x1b[0m gpt\r\nprompt eval count:    26 token(s)\neval count:\t  1,400 token(s)\n"
        b"\n  eval count: 61\ntokens used\n1,314\n"
    )

    reply = read({"format": "text", "fields": fields}, b"the reply\n", stderr)

    assert reply.usage == Usage(input_tokens=26, output_tokens=1461, reasoning_tokens=1314)
    assert (reply.model, reply.text) == ("gpt", "the reply")


def test_fields_from_a_file_that_the_agent_wrote() -> None:
    table = {
        "format": "text",
        "fields": {
            "usage.output_tokens": {"in": {"file": "{{ run_dir }}/usage.json", "at": "usage.out"}},
            "text": {"in": {"file": "{{ run_dir }}/last.txt"}},
            "session_id": {"in": {"file": "{{ run_dir }}/last.txt"}, "match": r"session (\w+)"},
        },
        "errors": [{"in": {"file": "{{ run_dir }}/last.txt"}, "match": "out of credit", "class": "billing"}],
    }
    files = {
        "{{ run_dir }}/usage.json": b'{\n "usage": {"out": 12}\n}\n',
        "{{ run_dir }}/last.txt": b"session s1\nout of credit\n",
    }

    reply = read(table, b"noise", files=files)

    assert compile_parser(table).sources == ("{{ run_dir }}/usage.json", "{{ run_dir }}/last.txt")
    assert (reply.usage.output_tokens, reply.text, reply.session_id) == (12, "session s1\nout of credit", "s1")
    assert reply.fault is not None
    assert (reply.fault.kind, reply.fault.evidence and reply.fault.evidence.offset) == ("billing", 11)
    assert read(table, b"noise").text == ""  # the file was not written: no facts


@pytest.mark.parametrize(
    ("events", "model", "calls"),
    [
        ([{"name": "asked"}, {"t": "end", "models": {"a": {}, "b": {}}}], "a, b", 0),
        ([{"name": "asked"}, {"t": "end", "models": {}}], "asked", 0),  # nothing found: the next rule counts
        ([{"name": "asked"}], "asked", None),
        ([{"t": "call"}, {"t": "end"}], None, 1),
        ([{"t": "end", "calls": 5}, {"t": "call"}], None, 5),
    ],
)
def test_a_field_with_several_rules(events: list[Any], model: str | None, calls: int | None) -> None:
    table = {
        "format": "jsonl",
        "success": {"when": {"t": "end"}},
        "fields": {
            "model": [{"at": "models", "take": "keys"}, {"at": "name"}],
            "tool_calls": [{"at": "calls"}, {"when": {"t": "call"}, "take": "count"}],
        },
    }
    reply = read(table, lines(*events))
    assert (reply.model, reply.tool_calls) == (model, calls)


GOOD, BAD, OTHER = {"t": "done", "ok": True}, {"t": "done", "ok": False}, {"t": "item", "text": "x"}
EVENTS = {"success": {"when": {"t": "done", "ok": True}}, "failure": {"when": {"t": "done", "ok": False}}}
OVERLAP = {
    "success": {"when": {"t": "done"}},
    "failure": [{"when": {"ok": False}}, {"when": {"t": "done"}, "at": "say", "match": "^ERROR"}],
}
TEXTS = {**EVENTS, "failure": [EVENTS["failure"], {"in": "stderr", "match": "^fatal:"}]}
FOLDED = {
    "fields": {"finish": {"when": {"t": "step"}, "at": "why"}},
    "success": {"field": "finish", "is": "stop"},
    "failure": [{"when": {"t": "error"}}, {"field": "finish", "is": ["length", "refused"]}],
}
STEP = {"t": "step", "why": "tools"}
STOP = {"t": "step", "why": "stop"}


@pytest.mark.parametrize(
    ("rules", "events", "stderr", "terminal"),
    [
        (EVENTS, [OTHER, GOOD], b"", "good"),
        (EVENTS, [OTHER, BAD], b"", "bad"),
        (EVENTS, [OTHER], b"", "absent"),
        (EVENTS, [BAD, OTHER, GOOD], b"", "good"),
        (EVENTS, [GOOD, BAD], b"", "bad"),
        (EVENTS, [], b"", "absent"),
        ({}, [GOOD], b"", "undeclared"),
        ({"failure": EVENTS["failure"]}, [GOOD], b"", "undeclared"),
        ({"failure": EVENTS["failure"]}, [BAD], b"", "bad"),
        (OVERLAP, [GOOD], b"", "good"),
        (OVERLAP, [BAD], b"", "bad"),
        (OVERLAP, [{**GOOD, "say": "ERROR 500"}], b"", "bad"),
        (OVERLAP, [{**GOOD, "say": "no ERROR"}], b"", "good"),
        (OVERLAP, [{**GOOD, "say": "ERROR 500"}, GOOD], b"", "good"),
        (TEXTS, [GOOD], b"warn\nfatal: out of disk\n", "bad"),
        (TEXTS, [GOOD], b"not fatal: this\n", "good"),
        (FOLDED, [STEP, STOP], b"", "good"),
        (FOLDED, [STOP, STEP], b"", "absent"),
        (FOLDED, [], b"", "absent"),
        (FOLDED, [{"t": "step", "why": "length"}], b"", "bad"),
        (FOLDED, [STOP, {"t": "error"}], b"", "bad"),
    ],
)
def test_terminal(rules: dict[str, Any], events: list[Any], stderr: bytes, terminal: str) -> None:
    assert read({"format": "jsonl", **rules}, lines(*events), stderr).terminal == terminal


def test_a_count_is_known_only_with_a_terminal_event() -> None:
    table = {"format": "jsonl", **EVENTS, "fields": {"tool_calls": {"when": {"t": "tool"}, "take": "count"}}}

    assert read(table, lines({"t": "tool"}, OTHER)).tool_calls is None
    assert read(table, lines({"t": "tool"}, GOOD)).tool_calls == 1
    assert read(table, lines(GOOD)).tool_calls == 0
    assert read(table, lines(BAD)).tool_calls == 0


ERRORS = {
    **EVENTS,
    "errors": [
        {"in": {"when": {"t": "error"}, "at": ["msg", "error"]}, "match": "(?i)quota", "class": "usage_limit"},
        {"in": {"when": {"t": "error"}, "at": ["msg", "error"]}, "match": "429", "class": "rate_limit"},
        {"in": "stderr", "match": "^login:", "class": "auth"},
        {"in": {"when": {"t": "error", "code": 500}}, "class": "server"},
        {"in": {"when": {"t": "panic"}, "at": "msg"}, "class": "agent_error", "fails": True},
        {"in": "stderr", "match": "^disk", "class": "agent_error", "fails": True},
    ],
}


@pytest.mark.parametrize(
    ("events", "stderr", "fault", "failure"),
    [
        ([OTHER], b"", None, None),
        ([{"t": "error", "msg": "429 then Quota"}], b"", ("usage_limit", "429 then Quota"), None),
        ([{"t": "error", "error": "429"}], b"", ("rate_limit", "429"), None),
        ([{"t": "error", "msg": "429"}, {"t": "error", "msg": "quota"}], b"", ("usage_limit", "quota"), None),
        ([{"t": "error", "msg": "429 a"}, {"t": "error", "msg": "429 b"}], b"", ("rate_limit", "429 b"), None),
        ([{"t": "error", "code": 500}], b"", ("server", "the service failed on its side"), None),
        ([{"t": "error", "msg": "429"}, GOOD], b"", None, None),
        ([GOOD, {"t": "error", "msg": "429"}], b"", ("rate_limit", "429"), None),
        ([GOOD], b"login: please\n", ("auth", "login: please"), None),
        ([{"t": "item", "text": "429 quota login:"}], b"", None, None),
        ([{"t": "panic", "msg": "boom"}], b"", ("agent_error", "boom"), ("agent_error", "boom")),
        ([{"t": "panic", "msg": "boom"}, GOOD], b"", None, None),
        ([GOOD, {"t": "panic", "msg": "boom"}], b"", ("agent_error", "boom"), ("agent_error", "boom")),
        ([OTHER], b"disk  full\n", ("agent_error", "disk full"), ("agent_error", "disk full")),
        ([GOOD], b"disk full\n", ("agent_error", "disk full"), None),
        ([BAD], b"disk full\n", ("agent_error", "disk full"), ("agent_error", "disk full")),
    ],
)
def test_errors(events: list[Any], stderr: bytes, fault: Any, failure: Any) -> None:
    reply = read({"format": "jsonl", **ERRORS}, lines(*events), stderr)

    assert (reply.fault and (reply.fault.kind, reply.fault.message)) == fault
    assert (reply.failure and (reply.failure.kind, reply.failure.message)) == failure


RESETS = {
    "errors": [
        {"in": {"when": {"t": "plan"}, "at": "msg"}, "class": "usage_limit"},
        {"in": {"when": {"t": "limit"}, "at": "msg"}, "match": r"in (?P<seconds>[\d.]+)s", "class": "rate_limit"},
        {"in": {"when": {"t": "limit"}}, "class": "rate_limit", "reset": {"at": 'h["retry-after"]', "kind": "seconds"}},
        {"in": {"when": {"t": "window"}}, "class": "usage_limit", "reset": {"at": "until", "kind": "epoch"}},
    ]
}


@pytest.mark.parametrize(
    ("events", "kind", "retry_at"),
    [
        ([{"t": "limit", "msg": "again in 2.5s"}], "rate_limit", NOON + 2.5),
        ([{"t": "limit", "msg": "?", "h": {"retry-after": "30"}}], "rate_limit", NOON + 30),
        ([{"t": "plan", "msg": "used up"}], "usage_limit", None),
        ([{"t": "plan", "msg": "used up"}, {"t": "window", "until": 1_771_600_000}], "usage_limit", 1_771_600_000),
        ([{"t": "plan", "msg": "used up"}, {"t": "limit", "msg": "again in 2s"}], "usage_limit", None),
    ],
)
def test_a_reset_from_the_rule_or_the_next_of_its_class(events: list[Any], kind: str, retry_at: float | None) -> None:
    fault = read({"format": "jsonl", **RESETS}, lines(*events)).fault

    assert fault is not None
    assert (fault.kind, fault.retry_at) == (kind, retry_at)


def test_strip_and_exit_classes_and_the_exit_code() -> None:
    table = {
        "format": "text",
        "strip": [r"(?s)\AThinking\.\.\..*?\.\.\.done thinking\.\s*", "^noise$"],
        "exit": {"75": "rate_limit", 41: "auth"},
        "ignore_exit_code": True,
    }

    reply = read(table, b"Thinking...\nhm\n...done thinking.\n\n\x1b[1mThe reply\x1b[0m\nnoise\n\n")

    assert reply.text == "The reply"
    assert (dict(reply.exit_classes), reply.ignore_exit_code) == ({75: "rate_limit", 41: "auth"}, True)


@pytest.mark.parametrize(
    ("stdout", "text", "terminal"),
    [
        (b'{"t": "done", "ok": true, "text": "hi"}', "hi", "good"),
        (b'{\n  "t": "done",\n  "ok": true,\n  "text": "hi"\n}\n', "hi", "good"),
        (b'[{"text": "first"}, {"t": "done", "ok": true, "text": "hi"}]', "hi", "good"),
        (b'warning: old version\n{"t": "done", "ok": false, "text": "no"}\n', "no", "bad"),
        (b'{"text": "a"}\n{"t": "done", "ok": true, "text": "b"}\n', "b", "good"),
        (b'\xef\xbb\xbf{"t": "done", "ok": true, "text": "hi"}', "hi", "good"),
        (b"", "", "absent"),
        (b"error: no login\n", "", "absent"),
        (b'{"t": "done", "ok": true, "text": "hi"', "", "absent"),
        (b'[{"t": "done", "ok": true}', "", "absent"),
        (b'{\n"a": [\n{"t": "done", "ok": true}\n', "", "good"),  # whole events in a broken document count
    ],
)
def test_a_json_document(stdout: bytes, text: str, terminal: str) -> None:
    table = {"format": "json", **EVENTS, "fields": {"text": {"at": "text"}}}

    reply = read(table, stdout, cuts=[5, 5])

    assert (reply.text, reply.terminal) == (text, terminal)


def test_the_places_of_many_documents_in_one_output() -> None:
    table = {"format": "json", "errors": [{"in": {"when": {"n": 19_999}, "at": "text"}, "class": "server"}]}
    stdout = b"warn\xc3\xa4\n" + lines(*({"n": number, "text": "\u00e4"} for number in range(20_000)))

    fault = read(table, stdout).fault

    assert fault is not None
    assert fault.evidence is not None
    assert stdout[fault.evidence.offset :].startswith(b'{"n": 19999,')


def test_an_error_in_a_json_file_that_the_agent_wrote() -> None:
    table = {
        "format": "text",
        "errors": [{"in": {"file": "log", "when": {"level": "fatal"}, "at": "say"}, "class": "auth"}],
    }

    fault = read(table, b"x", files={"log": lines({"level": "info", "say": "a"}, {"level": "fatal", "say": "b"})}).fault

    assert fault is not None
    assert (fault.kind, fault.message) == ("auth", "b")
    assert fault.evidence is not None
    assert (fault.evidence.source, fault.evidence.offset) == ("log", 30)


def test_plain_lines_among_the_events_and_the_events_themselves() -> None:
    """Patterns on stdout see what is no event, and never the events, which hold the model's words."""
    table = {
        "format": "jsonl",
        "needles": ['"done"'],
        **EVENTS,
        "errors": [{"in": "stdout", "match": "not logged in", "class": "auth"}],
    }

    assert read(table, lines({"t": "x", "text": "not logged in"}, '{"broken": not logged in')).fault is None
    fault = read(table, lines({"t": "x"}, "You are not logged in")).fault
    assert fault is not None
    assert (fault.kind, fault.evidence and fault.evidence.offset) == ("auth", 11)


def test_what_was_skipped_is_counted() -> None:
    assert read({"format": "jsonl"}, lines({}, "", "noise", "{broken", "[1]", {"a": 1})).skipped_lines == 3
