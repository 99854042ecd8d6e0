"""A rule table that is wrong: every problem at once, each with its place."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from runner.config import find_project, load
from runner.config.display import show_path
from runner.config.project import project_at
from runner.config.yaml_reader import parse
from runner.errors import ConfigError, Problem
from runner.parsers import compile_parser
from tests.parsing import ROOT

if TYPE_CHECKING:
    from pathlib import Path

ERROR = {"in": "stderr", "match": "x", "class": "auth"}
WHEN = {"type": "x"}


def problems(table: Any, folder: Path) -> list[Problem]:
    """What a load says of a parser: its schema first, and what the rules say when that is right."""
    (folder / "agents.yaml").write_text(json.dumps({"parsers": {"mine": table}}))
    with pytest.raises(ConfigError) as raised:
        load(project_at(str(folder)), None)
    return list(raised.value.problems)


def places(path: tuple[str | int, ...], folder: Path) -> list[tuple[int, int] | None]:
    """Where the key and the value of a path stand."""
    document = parse((folder / "agents.yaml").read_bytes())
    return [places.get(("parsers", "mine", *path)) for places in (document.keys, document.values)]


def jsonl(**more: Any) -> dict[str, Any]:
    return {"format": "jsonl", **more}


def field(**rule: Any) -> dict[str, Any]:
    return jsonl(fields={"text": rule})


def error(**rule: Any) -> dict[str, Any]:
    return jsonl(errors=[{**ERROR, **rule}])


# table, path of the problem, what the message says
ROWS: list[tuple[Any, tuple[str | int, ...], str]] = [
    ({}, (), "missing key `format`"),
    ({"format": "jsnl"}, ("format",), "expected one of `jsonl`, `json` or `text`, got `jsnl` (did you mean 'jsonl'?)"),
    ("text", (), "expected a parser: a mapping with `format` and rules, got `text`"),
    (jsonl(feilds={}), ("feilds",), "unknown key (did you mean 'fields'?)"),
    (jsonl(needles="x"), ("needles",), "expected a list, got `x`"),
    (jsonl(needles=["a", ""]), ("needles", 1), "expected a word without line breaks, got an empty text"),
    (jsonl(needles=["a\nb"]), ("needles", 0), "expected a word without line breaks, got `a\\nb`"),
    ({"format": "text", "needles": ["x"]}, ("needles",), "only a jsonl parser has needles, this one is `text`"),
    (jsonl(fields={"txt": {"at": "x"}}), ("fields", "txt"), "unknown key `txt`, did you mean 'text'?"),
    (
        jsonl(fields={"text": "x"}),
        ("fields", "text"),
        "expected a field: a mapping with `when`, `at`, `take`, or with `in` and `match`; or a list of",
    ),
    (field(at="x", tkae="last"), ("fields", "text", "tkae"), "unknown key (did you mean 'take'?)"),
    (field(at="x", take="lst"), ("fields", "text", "take"), "`keys` or `list`, got `lst` (did you mean 'list'?)"),
    (field(at="a..b"), ("fields", "text", "at"), "bad path `a..b`, expected a path such as"),
    (field(at=["a", "b["]), ("fields", "text", "at", 1), "bad path `b[`"),
    (field(at={"sum": ["a", ""]}), ("fields", "text", "at", "sum", 1), "got an empty text"),
    (field(at={"add": ["a"]}), ("fields", "text", "at", "add"), "unknown key (known here: `sum` and `minus`)"),
    (
        field(at={"minus": ["a"]}),
        ("fields", "text", "at", "minus"),
        "expected a list with at least 2 items, got one with 1",
    ),
    (field(at=7), ("fields", "text", "at"), "got `7`"),
    (field(at=[]), ("fields", "text", "at"), "a list of paths, `{sum: [...]}` or `{minus: [a, b]}`, got an empty list"),
    (field(take="last"), ("fields", "text"), "a rule on events needs `when` or `at`"),
    (field(when=WHEN), ("fields", "text"), "`take: last` needs an `at`: the field to take"),
    (field(when=WHEN, match="x", take="count"), ("fields", "text", "match"), "`match` needs an `at`"),
    (field(**{"in": "stdout", "at": "x"}), ("fields", "text"), "`stdout` is text: it has no `when` and no `at`"),
    (
        field(**{"in": "stdin"}),
        ("fields", "text", "in"),
        "expected `stdout`, `stderr`, `{file: PATH}` or `{when: ..., at: ...}`, got `stdin`",
    ),
    (field(**{"in": {"file": ""}}), ("fields", "text", "in", "file"), "expected the path of a file, got an empty text"),
    (field(**{"in": {"fiel": "x"}, "at": "x"}), ("fields", "text", "in", "fiel"), "did you mean 'file'?"),
    (field(at="x", match="("), ("fields", "text", "match"), "bad regular expression `(`: missing ), unterminated"),
    (field(at="x", match=7), ("fields", "text", "match"), "expected a regular expression, got `7`"),
    (
        field(at="x", match="(?P<valeu>x)"),
        ("fields", "text", "match"),
        "unknown named group `valeu`, did you mean 'value'?",
    ),
    (
        field(at="x", match="(?P<q>x)"),
        ("fields", "text", "match"),
        "unknown named group `q`, known are `epoch`, `seconds`",
    ),
    (field(when=[], at="x"), ("fields", "text", "when"), "expected a mapping from paths to values, got an empty list"),
    (
        field(when={}, at="x"),
        ("fields", "text", "when"),
        "expected a mapping from paths to values, got an empty mapping",
    ),
    (field(when={"a..b": 1}, at="x"), ("fields", "text", "when", "a..b"), "bad path `a..b`"),
    (
        field(when={"a": []}, at="x"),
        ("fields", "text", "when", "a"),
        "expected a value, a list of values, `{not: value}` or",
    ),
    (
        field(when={"a": [[1]]}, at="x"),
        ("fields", "text", "when", "a", 0),
        "expected a text, a number, true, false or null, got",
    ),
    (field(when={"a": {"no": 1}}, at="x"), ("fields", "text", "when", "a", "no"), "unknown key (did you mean 'not'?)"),
    (
        field(when={"a": {"exists": 1}}, at="x"),
        ("fields", "text", "when", "a", "exists"),
        "expected true or false, got `1`",
    ),
    (field(at="x", reset={"whne": WHEN}), ("fields", "text", "reset", "whne"), "did you mean 'when'?"),
    (jsonl(errors={}), ("errors",), "expected a list, got an empty mapping"),
    (
        jsonl(errors=[None]),
        ("errors", 0),
        "expected an error rule: a mapping with `in`, `match` and `class`, got nothing",
    ),
    (
        error(**{"class": "usage_limt"}),
        ("errors", 0, "class"),
        "expected a class of errors, got `usage_limt` (did you mean 'usage_limit'?)",
    ),
    (
        error(**{"class": "retry"}),
        ("errors", 0, "class"),
        "expected a class of errors, got `retry` (one of `rate_limit`, ",
    ),
    (
        error(**{"class": "no_commits"}),
        ("errors", 0, "class"),
        "expected a class of errors, got `no_commits` (one of `rate_limit`, ",
    ),
    (error(fails="yes"), ("errors", 0, "fails"), "expected true or false, got `yes`"),
    (error(when=WHEN), ("errors", 0, "when"), "unknown key (known here: `in`, `match`, `class`, `fails` and `reset`)"),
    (error(match=""), ("errors", 0, "match"), "expected a regular expression, got an empty text"),
    (jsonl(errors=[{"in": "stderr", "class": "auth"}]), ("errors", 0), "a rule on text needs `match`"),
    (jsonl(errors=[{"match": "x", "class": "auth"}]), ("errors", 0), "missing key `in`"),
    (
        error(reset={"at": "x", "kind": "minutes"}),
        ("errors", 0, "reset", "kind"),
        "expected one of `epoch`, `seconds`, `ms` or `clock`, got `minutes`",
    ),
    (error(reset={"kind": "ms"}), ("errors", 0, "reset"), "missing key `at`"),
    (jsonl(watch=[{**ERROR, "class": "retyr"}]), ("watch", 0, "class"), "did you mean 'retry'?"),
    (
        jsonl(watch=[{**ERROR, "fails": True}]),
        ("watch", 0, "fails"),
        "unknown key (known here: `in`, `match`, `class` and `reset`)",
    ),
    (jsonl(watch=[{**ERROR, "in": {"file": "x"}}]), ("watch", 0, "in"), "a file is read after the run"),
    (jsonl(success={"wen": WHEN}), ("success", "wen"), "unknown key (did you mean 'when'?)"),
    (jsonl(failure=[{"when": WHEN}, {"in": "stderr"}]), ("failure", 1), "a rule on text needs `match`"),
    (jsonl(fields={"model": []}), ("fields", "model"), "got an empty list"),
    (jsonl(fields={"model": [{"at": "x"}, {"att": "y"}]}), ("fields", "model", 1, "att"), "did you mean 'at'?"),
    (jsonl(success={"field": "finish", "is": 1}), ("success",), "no field `finish` under `fields`"),
    (jsonl(success={"field": "text"}, fields={"text": {"at": "x"}}), ("success",), "`field` needs an `is`"),
    (
        jsonl(success={"field": "text", "is": 1, "at": "y"}, fields={"text": {"at": "x"}}),
        ("success", "at"),
        "exclude each other",
    ),
    (jsonl(exit=[75]), ("exit",), "expected a mapping from exit codes to classes, got a list"),
    (jsonl(exit={75: "rate_limits"}), ("exit", "75"), "got `rate_limits` (did you mean 'rate_limit'?)"),
    (jsonl(exit={"x": "auth"}), ("exit", "x"), "expected an exit code from 1 to 255, got `x`"),
    (jsonl(exit={300: "auth"}), ("exit", "300"), "expected an exit code from 1 to 255, got `300`"),
    (jsonl(strip=["("]), ("strip", 0), "bad regular expression"),
    (jsonl(ignore_exit_code="no"), ("ignore_exit_code",), "expected true or false, got `no`"),
]


@pytest.mark.parametrize(
    ("table", "path", "message"), ROWS, ids=[f"{n}-{'.'.join(map(str, row[1]))}" for n, row in enumerate(ROWS)]
)
def test_problem(table: Any, path: tuple[str | int, ...], message: str, tmp_path: Path) -> None:
    found = problems(table, tmp_path)

    shown = show_path(("parsers", "mine", *path))
    fitting = [problem for problem in found if problem.path == shown and message in str(problem)]
    assert fitting, [str(problem) for problem in found]
    assert (fitting[0].line, fitting[0].column) in places(path, tmp_path)


def test_all_problems_of_the_schema_come_at_once(tmp_path: Path) -> None:
    found = problems(
        {
            "format": "jsnl",
            "fields": {"text": {"at": "x", "take": "lst"}, "model": {"att": "x"}},
            "errors": [{"in": "stderr", "match": "x", "class": "x"}, {"in": "nowhere", "match": "x", "class": "auth"}],
        },
        tmp_path,
    )

    assert [problem.path.removeprefix("parsers.mine.") for problem in found] == [
        "format",
        "fields.text.take",
        "fields.model.att",
        "errors[0].class",
        "errors[1].in",
    ]


def test_all_problems_of_the_rules_come_at_once(tmp_path: Path) -> None:
    found = problems(
        {
            "format": "text",
            "needles": ["x"],
            "fields": {"text": {"at": "a..b", "match": "("}, "txt": {"at": "x"}},
            "errors": [{"in": "stderr", "match": "(", "class": "auth"}, {"in": "stderr", "class": "auth"}],
        },
        tmp_path,
    )

    assert [problem.path.removeprefix("parsers.mine.") for problem in found] == [
        "needles",
        "fields.text.at",
        "fields.text.match",
        "fields.txt",
        "errors[0].match",
        "errors[1]",
    ]


def test_patterns_are_compiled_at_first_use_unless_strict(tmp_path: Path) -> None:
    table = error(match="(")

    compile_parser(table)
    assert problems(table, tmp_path)


def test_the_stock_parsers_are_right() -> None:
    parsers = load(find_project(str(ROOT), None), None).parsers
    assert len(parsers) > 15

    for table in parsers.values():
        compile_parser(table, strict=True)
