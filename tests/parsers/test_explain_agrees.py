"""What `runner parse --explain` says decided is what the verdict says: on all recordings, and on small texts."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from runner.model import Changes, Expectations, Outcome, Verdict
from runner.parsers import compile_parser
from runner.parsers.explain import Explanation, Judgement, Told, explain
from runner.parsers.survey import Survey
from runner.run.judge import judge, place_slow_rules
from tests.parsers.recordings.judged import recordings
from tests.parsing import NOON

if TYPE_CHECKING:
    from tests.parsers.recordings.judged import Recording

# Classes that only a rule can give; others follow from how the agent ended, too.
CLASSES = {"usage_limit", "rate_limit", "billing", "auth", "model_not_found", "overloaded", "server", "refusal"}


def told(table: dict[str, Any], stdout: bytes, stderr: bytes, outcome: Outcome) -> tuple[Verdict, Explanation]:
    parser = compile_parser(table, strict=True)
    reader, survey = parser.reader(lambda: NOON), Survey(parser.rules, needles=bool(table.get("needles")))
    for source, data in (("stdout", stdout), ("stderr", stderr)):
        reader.feed(source, data, 0)  # type: ignore[arg-type]
        survey.feed(source, data, 0)
    survey.finish()
    reply = place_slow_rules(reader.finish(), "small", lambda *_: ("agents.yaml", 1, 1))
    verdict = judge(Expectations(), outcome, reply, Changes(repository=False))
    return verdict, explain(table, survey, Judgement(reply, verdict, outcome, reader.origins()))


def deciding(explanation: Explanation) -> list[Told]:
    return [rule for rule in explanation.rules if rule.decided]


def reduced(table: dict[str, Any], rules: list[Told]) -> dict[str, Any]:
    """The table with these rules as the only ones that could say that a run failed, or why."""
    trails = [rule.trail for rule in rules]
    left = copy.deepcopy(table)
    for part in ("failure", "errors", "watch"):
        listed = table.get(part, [])
        if isinstance(listed, dict):
            left |= {part: listed if (part,) in trails else []}
        else:
            left[part] = [rule for at, rule in enumerate(listed) if (part, at) in trails]
    left["exit"] = {code: name for code, name in table.get("exit", {}).items() if ("exit", str(code)) in trails}
    return left


def agree(table: dict[str, Any], stdout: bytes, stderr: bytes, outcome: Outcome) -> Explanation:
    """The rules that decided have the verdict's class and place, and come to the same verdict without all others."""
    verdict, explanation = told(table, stdout, stderr, outcome)
    rules = deciding(explanation)
    said = " ".join(filter(None, (verdict.status, verdict.reason)))
    assert explanation.decision.startswith(f"{said}: by `" if rules else f"{said}: ")
    kinds = {rule.trail[0] for rule in rules}
    assert kinds <= ({"success"} if verdict.status == "success" else {"failure", "errors", "watch", "exit"})
    if kinds & {"errors", "watch"}:
        assert verdict.evidence is not None
        assert (verdict.evidence.source, verdict.evidence.offset) in [rule.place for rule in rules]
    if rules:
        other, _ = told(reduced(table, rules), stdout, stderr, outcome)
        assert (other.status, other.reason) == (verdict.status, verdict.reason), explanation.decision
    elif verdict.reason in CLASSES:
        raise AssertionError(f"nothing is said to have decided: {explanation.decision}")
    return explanation


@pytest.mark.parametrize("recording", [one for one, _ in recordings()], ids=[str(one) for one, _ in recordings()])
def test_on_recordings(recording: Recording) -> None:
    agree(recording.table, recording.stdout, recording.stderr, recording.outcome)


TEXT: dict[str, Any] = {
    "format": "text",
    "success": {"in": "stdout", "match": "^=== end "},
    "failure": {"in": "stdout", "match": "^ERROR: "},
    "fields": {
        "session_id": {"in": "stdout", "match": r"^session (\w+)"},
        "text": {"in": "stdout", "match": r"(?s)^=== answer ===\n(.*?)^=== end "},
        "usage.input_tokens": {"in": "stdout", "match": r"(~?[\d.,]+k?) tokens in"},
    },
    "errors": [
        {"in": "stdout", "match": "^ERROR: 429", "class": "rate_limit"},
        {"in": "stdout", "match": "^ERROR: 401", "class": "auth"},
    ],
    "watch": [
        {"in": "stdout", "match": r"(?i)limited\n(?:.*\n)*again in (?P<seconds>\d+)s", "class": "usage_limit"},
        {"in": "stdout", "match": r"retrying in (?P<seconds>\d+)s", "class": "retry"},
    ],
    "quiet": ["^[|/-] thinking", "^request "],
}
ANSWER = "session 7f3a\n| thinking\n=== answer ===\nTwo files:\n\n    a.py\n=== end (~1.5k tokens in)\n"
ENDED = {"exit": Outcome("exit", NOON, NOON, 0, exit_code=0), "watch": Outcome("watch", NOON, NOON, 0)}
EVENTS: dict[str, Any] = {
    "format": "jsonl",
    "success": {"when": {"t": "done"}},
    "failure": {"when": {"t": "lost"}},
    "fields": {"text": {"when": {"t": "done"}, "at": "say"}, "model": {"in": "stdout", "match": "model (.*)"}},
    "errors": [{"in": {"when": {"t": "lost"}, "at": "why"}, "match": "401", "class": "auth"}],
    "watch": [
        {"in": {"when": {"t": "again", "code": 429}}, "class": "rate_limit"},
        {"in": {"when": {"t": "again"}}, "class": "retry"},
    ],
    "prefix": r"\[\d+\] ",
}
DONE = b'{"t": "done", "say": "ok"}'

# what it shows: the rules, the output, how it ended, the rules that decided, what is said of some
ROWS: dict[str, tuple[dict[str, Any], str | bytes, str, list[str], dict[str, str]]] = {
    "a text that ends well": (
        TEXT,
        ANSWER,
        "exit",
        ["success"],
        {
            "fields.text": "Two files:\n\n    a.py",
            "quiet.0": "no progress",
            "quiet.1": "the pattern was tried on 6 lines and fits none",
        },
    ),
    "an error that was overcome": (
        TEXT,
        f"ERROR: 429\n{ANSWER}",
        "exit",
        ["success"],
        {"failure": "another rule decided"},
    ),
    "an error at the end": (TEXT, f"{ANSWER}ERROR: 401\n", "exit", ["errors.1", "failure"], {}),
    "the last of two": (TEXT, f"ERROR: 401\n{ANSWER}ERROR: 429\n", "exit", ["errors.0", "failure"], {}),
    "a nameless retry": (
        TEXT,
        "ERROR: 401\nretrying in 1s\nERROR: 429\nrequest 7\nretrying in 900s\n",
        "watch",
        ["errors.0", "watch.1"],
        {},
    ),
    "a retry that spans lines": (
        TEXT,
        "Limited\n| thinking\nnext one\nagain in 900s\n",
        "watch",
        ["watch.0"],
        {"watch.1": "the pattern was tried on 4 lines and fits none"},
    ),
    "none of its lines alone": (
        TEXT,
        "again in 900s\nLimited\n=== end ()",
        "exit",
        ["success"],
        {"watch.0": "the pattern was tried on 3 lines, each with those before it, and fits none"},
    ),
    "a prefix": (
        EVENTS,
        b"[1] model m\n[2] " + DONE + b"\n",
        "exit",
        ["success"],
        {"prefix": "taken off", "fields.model": "m"},
    ),
    "a prefix behind colours": (
        EVENTS,
        b"\x1b[2m[12]\x1b[0m " + DONE + b"\n",
        "exit",
        ["success"],
        {"prefix": "taken off"},
    ),
    "another prefix": (
        EVENTS,
        b"(1) " + DONE + b"\n",
        "exit",
        [],
        {"prefix": "no line of 1 line begins with it; the first is `(1) {"},
    ),
    "a prefix that is not at the beginning": (
        EVENTS,
        b"at [1] " + DONE + b"\n",
        "exit",
        [],
        {"prefix": "no line of 1 line begins with it; it stands further on in 1 line"},
    ),
    "a retry with the class of the one before": (
        EVENTS,
        b'[1] {"t": "again", "code": 429}\n[2] {"t": "again"}\n',
        "watch",
        ["watch.0", "watch.1"],
        {},
    ),
    "a text with blank lines": (
        {**TEXT, "fields": {"text": {"in": "stdout", "match": "(?s)answer ===\nTwo files:\na.py"}}},
        ANSWER,
        "exit",
        ["success"],
        {"fields.text": "fits nothing; it would fit with `collapse: true`"},
    ),
    "a field whose blank lines are gone": (
        {**TEXT, "fields": {"model": {"in": "stdout", "match": r"(?s)files:\n\n +(\S+)"}}},
        ANSWER,
        "exit",
        ["success"],
        {
            "fields.model": "the pattern was tried on the whole text, 6 lines, and fits nothing; it would fit with `collapse: false`"
        },
    ),
    "a line break in a rule of lines": (
        {**TEXT, "success": {"in": "stdout", "match": "a.py\n=== end"}},
        ANSWER,
        "exit",
        [],
        {"success": "it speaks of line breaks, but sees one line at a time"},
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_on_small_outputs(name: str) -> None:
    table, output, ended, decided, says = ROWS[name]
    stdout = output.encode() if isinstance(output, str) else output

    explanation = agree(table, stdout, b"", ENDED[ended])

    assert sorted(named(rule) for rule in deciding(explanation)) == decided
    found = {named(rule): f"{rule.value or ''} {rule.why or ''}" for rule in explanation.rules}
    assert [(rule, found[rule]) for rule, text in says.items() if text not in found[rule]] == []


def named(rule: Told) -> str:
    return ".".join(map(str, rule.trail))


def test_places_of_a_text_read_as_a_whole() -> None:
    _, explanation = told(TEXT, ANSWER.encode(), b"", ENDED["exit"])
    places = {named(rule): rule.place for rule in explanation.rules}

    assert places["fields.text"] == ("stdout", ANSWER.index("=== answer"))
    assert places["fields.usage.input_tokens"] == ("stdout", ANSWER.index("=== end"))
    assert places["quiet.0"] == ("stdout", ANSWER.index("| thinking"))


def test_a_rule_that_took_too_long_and_failed_the_run_decided() -> None:
    table = {**TEXT, "failure": {"in": "stdout", "match": "^(a+)+$"}}

    verdict, explanation = told(table, b"a" * 40 + b"!\n", b"", ENDED["exit"])

    assert verdict.reason == "agent_error"
    assert [named(rule) for rule in deciding(explanation)] == ["failure"]
