"""Twenty typing mistakes in rules, and what `runner parse --explain` says to each; `validate` finds none of them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from runner.model import Changes, Expectations, Outcome
from runner.parsers import compile_parser
from runner.parsers.explain import Explanation, Judgement, Told, explain
from runner.parsers.survey import Survey
from runner.run.judge import judge
from tests.parsing import NOON, lines

REPORT = "{{ run_dir }}/usage.json"
TABLE: dict[str, Any] = {
    "format": "jsonl",
    "success": {"when": {"type": "done", "ok": True}},
    "failure": [{"when": {"type": "done", "ok": False}}, {"in": "stderr", "match": "^fatal: "}],
    "fields": {
        "session_id": {"when": {"type": "start"}, "at": "session.id", "take": "first"},
        "text": {"when": {"type": "say"}, "at": "text", "take": "join"},
        "model": {"in": "stderr", "match": r"^model: (\S+)"},
        "usage.output_tokens": {"when": {"type": "done"}, "at": "usage.output"},
    },
    "errors": [{"in": {"when": {"type": "done", "ok": False}, "at": "error.message"}, "class": "auth"}],
    "watch": [{"in": {"when": {"type": "retry", "status": 429}}, "class": "rate_limit"}],
    "exit": {75: "rate_limit"},
}
STDOUT = lines(
    "mycli 1.0 starts",
    {"type": "start", "session": {"id": "s-1", "Model": "m1"}},
    {"type": "say", "text": "Hel"},
    {"type": "say", "text": "lo."},
    {"type": "retry", "status": 429},
    {"type": "done", "ok": True, "usage": {"output": 7, "unit": "7 tokens"}, "stats": []},
)
STDERR = b"model:   m1\n\nERROR: login (401) expired\n"


def explained(
    table: dict[str, Any], stdout: bytes = STDOUT, stderr: bytes = STDERR, code: int = 0, ended_by: Any = "exit"
) -> Explanation:
    parser = compile_parser(table, strict=True)
    reader, survey = parser.reader(lambda: NOON), Survey(parser.rules, needles="needles" in table)
    for source, data in (("stdout", stdout), ("stderr", stderr)):
        reader.feed(source, data, 0)  # type: ignore[arg-type]
        survey.feed(source, data, 0)
    survey.finish()
    reply, outcome = reader.finish(), Outcome(ended_by, NOON, NOON, 0, exit_code=code)
    verdict = judge(Expectations(), outcome, reply, Changes(repository=False))
    return explain(table, survey, Judgement(reply, verdict, outcome, reader.origins()))


def rule(explanation: Explanation, name: str) -> Told:
    return next(told for told in explanation.rules if ".".join(map(str, told.trail)) == name)


# The rule, where in it what is written instead, and what is said.
MISTAKES: list[tuple[str, tuple[str | int, ...], Any, str]] = [
    # a value
    (
        "fields.text",
        ("fields", "text", "when"),
        {"type": "saay"},
        "`type: saay`: no such value; 5 events have `type`: say, start, retry, done (did you mean `say`?)",
    ),
    (
        "fields.text",
        ("fields", "text", "when"),
        {"type": "Say"},
        "`type: Say`: no such value; 5 events have `type`: say, start, retry, done (did you mean `say`?)",
    ),
    (
        "success",
        ("success", "when"),
        {"type": "done", "ok": "yes"},
        "`ok: yes`: no such value; 1 event with `type: done` has `ok`: true",
    ),
    (
        "watch.0",
        ("watch", 0, "in", "when"),
        {"type": "retry", "status": 492},
        "`status: 492`: no such value; 1 event with `type: retry` has `status`: 429",
    ),
    # a key or a path
    (
        "fields.text",
        ("fields", "text", "when"),
        {"tpye": "say"},
        "`tpye: say`: none of 5 events has `tpye`; the nearest is `type`",
    ),
    (
        "success",
        ("success", "when"),
        {"type": "done", "okay": True},
        "`okay: true`: none of 1 event with `type: done` has `okay`; the nearest is `ok`",
    ),
    ("fields.text", ("fields", "text", "at"), "txet", "fits 2 events, but none has `txet`; the nearest is `text`"),
    (
        "fields.session_id",
        ("fields", "session_id", "at"),
        "sessoin.id",
        "fits 1 event, but none has `sessoin.id`; the nearest is `session.id`",
    ),
    (
        "fields.session_id",
        ("fields", "session_id", "at"),
        "id",
        "fits 1 event, but none has `id`; the nearest is `session.id`",
    ),
    (
        "fields.session_id",
        ("fields", "session_id", "at"),
        "session",
        "`session` is a mapping or list, not a value; in it: `session.id`, `session.Model`",
    ),
    (
        "fields.usage.output_tokens",
        ("fields", "usage.output_tokens", "at"),
        "usage.outputs.total",
        "fits 1 event, but none has `usage.outputs.total`; `usage` is there, and has `usage.output`, `usage.unit`",
    ),
    (
        "fields.usage.output_tokens",
        ("fields", "usage.output_tokens", "at"),
        "stats[0].output",
        "fits 1 event, but none has `stats[0].output`; the nearest is `usage.output`",
    ),
    (
        "fields.usage.output_tokens",
        ("fields", "usage.output_tokens", "at"),
        "usage.unit",
        "found `7 tokens`, which is no number",
    ),
    # a pattern
    (
        "fields.model",
        ("fields", "model", "match"),
        r"^Model: (\S+)",
        "the pattern was tried on 2 lines and fits none; 1 line would fit if case did not count: begin it with `(?i)`",
    ),
    (
        "fields.model",
        ("fields", "model", "match"),
        r"^model:   (\S+)",
        "the pattern was tried on 2 lines and fits none; 1 line would fit with one blank: white space is collapsed before",
    ),
    (
        "failure.1",
        ("failure", 1, "match"),
        "^login ",
        "the pattern was tried on 2 lines and fits none; 1 line would fit without `^` at its beginning",
    ),
    (
        "failure.1",
        ("failure", 1, "match"),
        "login (401)",
        "the pattern was tried on 2 lines and fits none; 1 line would fit as plain text: put `\\` before signs such as `( ) [ ] . * + ? |`",
    ),
    (
        "failure.1",
        ("failure", 1, "match"),
        "error: login expired",
        "the pattern was tried on 2 lines and fits none; the nearest, `ERROR: login (401) expired`",
    ),
    # a place
    (
        "fields.model",
        ("fields", "model", "in"),
        "stdout",
        "the pattern was tried on 6 lines and fits none; it fits 1 line of stderr",
    ),
    (
        "failure.1",
        ("failure", 1),
        {"in": "stdout", "match": '"type": "retry"'},
        "the pattern was tried on 1 line and fits none; it fits 1 line of JSON: look into them by `when` and `at`",
    ),
    (
        "fields.usage.output_tokens",
        ("fields", "usage.output_tokens"),
        {"in": {"file": REPORT, "at": "output"}},
        "the file `{{ run_dir }}/usage.json` is not there",
    ),
    # which lines, which exit code
    ("success", ("needles",), ["result"], "fits 1 line, but a line with none of the `needles` is not read"),
    ("exit.75", ("exit",), {75: "rate_limit"}, "the exit code was 0"),
]


def put(table: dict[str, Any], where: tuple[str | int, ...], value: Any) -> None:
    inner: Any = table
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = value


@pytest.mark.parametrize(("name", "where", "written", "said"), MISTAKES)
def test_what_is_said_to_a_mistake(name: str, where: tuple[str | int, ...], written: object, said: str) -> None:
    right, table = rule(explained(TABLE), name), copy.deepcopy(TABLE)
    put(table, where, written)

    found = rule(explained(table), name)

    assert (found.why, found.state in ("missed", "fitted")) == (said, True)
    assert right.why != said or name == "exit.75"


def test_without_a_mistake_every_rule_is_told_in_order_of_the_table() -> None:
    found = explained(TABLE)

    assert [(".".join(map(str, told.trail)), told.state) for told in found.rules] == [
        ("success", "gave"),
        ("failure.0", "missed"),
        ("failure.1", "missed"),
        ("fields.session_id", "gave"),
        ("fields.text", "gave"),
        ("fields.model", "gave"),
        ("fields.usage.output_tokens", "gave"),
        ("errors.0", "missed"),
        ("watch.0", "fitted"),
        ("exit.75", "missed"),
    ]
    assert [told.trail for told in found.rules if told.decided] == [("success",)]
    assert found.decision == "success: by `success`"


def test_the_lines_are_counted_and_the_skipped_ones_have_a_reason() -> None:
    stdout = STDOUT + b'\n{"type": \n[1]\n7\nplain\n'

    found = explained({**TABLE, "needles": ["done"]}, stdout)

    out, err = found.lines
    assert out.split(", ", 3)[:3] == ["stdout: 11 lines", "5 JSON", "1 blank"]
    assert out.split(", ", 3)[3] == (
        "2 skipped: no JSON (first stdout:1), 4 skipped: JSON that holds none of the `needles` (first stdout:2), "
        "1 skipped: broken JSON (first stdout:8), 2 skipped: JSON, but no object (first stdout:9)"
    )
    assert err == "stderr: 3 lines, 1 blank"


# What is printed, the exit code, and what decided.
RETRY = {"type": "retry", "status": 429}
BAD = {"type": "done", "ok": False, "error": {"message": "no key"}}
DECIDED: list[tuple[bytes, bytes, int, str]] = [
    (STDOUT, b"", 0, "success: by `success`"),
    (lines(BAD), b"", 1, "failed auth: by `failure.0` and `errors.0`"),
    (lines({"type": "done", "ok": False}), b"", 1, "failed agent_error: by `failure.0`"),
    (STDOUT, b"fatal: no\n", 0, "failed agent_error: by `failure.1`"),
    (lines(RETRY), b"", 75, "rate_limited rate_limit: by `exit.75`"),
    (lines(RETRY), b"", 1, "failed no_terminal_event: no rule of `success` or `failure` fitted"),
    (b"", b"", 0, "failed no_terminal_event: no rule of `success` or `failure` fitted"),
    (STDOUT, b"", 3, "failed agent_error: by no rule, by how the agent ended"),
]


@pytest.mark.parametrize(("stdout", "stderr", "code", "decision"), DECIDED)
def test_what_decided(stdout: bytes, stderr: bytes, code: int, decision: str) -> None:
    found = explained(TABLE, stdout, stderr, code)

    assert found.decision == decision
    assert [f"`{'.'.join(map(str, told.trail))}`" in decision for told in found.rules if told.decided] == (
        [True] * decision.count("` and `") + [True] * ("by `" in decision)
    )


ENDED = [
    ("watch", lines(RETRY), "rate_limited rate_limit: by `watch.0`"),
    ("timeout", lines(RETRY), "rate_limited rate_limit: by `watch.0`"),
    ("timeout", STDOUT, "timed_out timeout: by no rule, the run was ended by timeout"),
]


@pytest.mark.parametrize(("ended_by", "stdout", "decision"), ENDED)
def test_a_watch_rule_that_decided(ended_by: Any, stdout: bytes, decision: str) -> None:
    assert explained(TABLE, stdout, ended_by=ended_by).decision == decision


@pytest.mark.parametrize(
    ("take", "value", "before"), [("last", "m2", b"one\n\nmodel: m1\n"), ("first", "m1", b"one\n\n")]
)
def test_a_text_field_names_its_own_line(take: str, value: str, before: bytes) -> None:
    table = {"format": "text", "fields": {"model": {"in": "stdout", "match": "model: (.+)", "take": take}}}

    found = rule(explained(table, b"one\n\nmodel: m1\nmodel: m2\nlast\n"), "fields.model")

    assert (found.value, found.place) == (value, ("stdout", len(before)))


def test_what_came_later_or_was_forgiven_is_said() -> None:
    stdout = lines(BAD, *STDOUT.splitlines())

    found = explained(TABLE, stdout)

    assert rule(found, "errors.0").why == "fitted 1 time, and a success came after: forgiven"
    assert rule(found, "failure.0").why == "fitted 1 time, and another rule decided"


def test_the_first_rule_of_a_field_is_taken() -> None:
    both = [{"when": {"type": "say"}, "at": "text"}, {"when": {"type": "done"}, "at": "usage.unit"}]
    table = {**TABLE, "fields": {**TABLE["fields"], "text": both}}

    assert rule(explained(table), "fields.text.1").why == "not taken: `fields.text.0` gave a value before"


def test_hostile_output_is_explained_in_time() -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = {"a": deep, "b": [deep]} if _ < 3 else {"a": deep}
    wide = {f"key{number}": number for number in range(50_000)}
    stdout = lines({"type": "say", **wide}, {"type": "say", "deep": deep}, b"\xff\x00" * 1000, b"{" * 10_000)

    found = rule(explained(TABLE, stdout), "fields.text")

    assert (found.why or "").startswith("fits 2 events, but none has `text`; ")
    assert len(found.why or "") < 300
