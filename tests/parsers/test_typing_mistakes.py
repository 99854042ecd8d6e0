"""Typing mistakes in rules, one by one and all at once: what `runner validate` says to each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runner.commands.validate import examine_all
from runner.config import load
from runner.config.project import project_at
from runner.config.senseless import unfired_rules

if TYPE_CHECKING:
    from pathlib import Path

AGENT = 'agents:\n  mine: {binary: mycli, argv: [], stdin: "{{ prompt }}", parser: mine}\nparsers:\n  mine:\n'
JSONL = "    format: jsonl\n"
TEXT = "    format: text\n"

# the parser's lines from line 5 on, the whole message
MISTAKES: list[tuple[str, str]] = [
    ("    format: jsnl", "5:13: parsers.mine.format: expected one of `jsonl`, `json` or `text`, got `jsnl` (did you mean 'jsonl'?)"),
    (JSONL + "    sucess: {when: {type: done}}", "6:5: parsers.mine.sucess: unknown key (did you mean 'success'?)"),
    (JSONL + "    success: {wehn: {type: done}}", "6:15: parsers.mine.success.wehn: unknown key (did you mean 'when'?)"),
    (JSONL + "    success: {field: finish, is: ok}", "6:14: parsers.mine.success: no field `finish` under `fields`"),
    (JSONL + "    fields: {txt: {at: say}}", "6:14: parsers.mine.fields.txt: unknown key `txt`, did you mean 'text'?"),
    (JSONL + "    fields: {usage.output_token: {at: out}}", "6:14: parsers.mine.fields[\"usage.output_token\"]: unknown key `usage.output_token`, did you mean 'usage.output_tokens'?"),
    (JSONL + "    fields: {text: {at: say, take: lats}}", "6:36: parsers.mine.fields.text.take: expected one of `first`, `last`, `sum`, `max`, `count`, `join`, `keys` or `list`, got `lats` (did you mean 'last'?)"),
    (JSONL + "    fields: {text: {at: say..it}}", "6:25: parsers.mine.fields.text.at: bad path `say..it`, expected a path such as `usage.input_tokens`, `headers[\"retry-after\"]`, `items[0]`, `content[?type=text]` or `models.*`"),
    (JSONL + "    fields: {text: {at: say, colapse: true}}", "6:30: parsers.mine.fields.text.colapse: unknown key (did you mean 'collapse'?)"),
    (JSONL + "    fields: {text: {in: stdin, match: x}}", "6:25: parsers.mine.fields.text.in: expected `stdout`, `stderr`, `{file: PATH}` or `{when: ..., at: ...}`, got `stdin`"),
    (JSONL + "    fields: {text: {at: say, match: '(ab'}}", "6:37: parsers.mine.fields.text.match: bad regular expression `(ab`: missing ), unterminated subpattern at position 0"),
    (JSONL + "    fields: {model: {at: models, match: x, take: keys}}", "6:50: parsers.mine.fields.model.take: `take: keys` wants a mapping, and what a pattern finds is a text (take `match` out, or take `list` or `join`)"),
    (JSONL + "    fields: {text: {at: say, reset: {when: {type: tool}}}}", "6:37: parsers.mine.fields.text.reset: `take: last` gathers nothing that could begin again (`take: join` or `list` begins again at an event)"),
    (JSONL + "    fields: {text: {when: {msg: done}, at: msg.text}}", "6:44: parsers.mine.fields.text.at: `msg.text` can never be there: `when` says that `msg` is a plain value"),
    (JSONL + "    fields: {text: {when: {error: {exists: false}}, at: error.message}}", "6:57: parsers.mine.fields.text.at: `error.message` can never be there: `when` says that `error` is missing"),
    (JSONL + "    fields: {text: {at: 'content[?type=text][0].text'}}", "6:25: parsers.mine.fields.text.at: `content[?type=text][0].text` can never be there: `[?type=text]` gives each member itself, which has no `[0]` (leave `[0]` out, and let `take` choose)"),
    (JSONL + "    fields: {stopped: {at: why}}", "6:23: warning: parsers.mine.fields.stopped: nobody uses `stopped`: no `success` or `failure` looks at it, and it is no field of the reply (add `{field: stopped, is: ...}` to one of them, or take it out)"),
    (JSONL + "    errors: [{in: stderr, match: x, class: rate_limt}]", "6:44: parsers.mine.errors[0].class: expected a class of errors, got `rate_limt` (did you mean 'rate_limit'?)"),
    (JSONL + "    errors: [{in: stderr, class: auth}]", "6:14: parsers.mine.errors[0]: a rule on text needs `match`"),
    (JSONL + "    errors: [{in: stderr, match: '(?P<secnds>x)', class: auth}]", "6:34: parsers.mine.errors[0].match: unknown named group `secnds`, did you mean 'seconds'?"),
    (JSONL + "    watch: [{in: stderr, match: x, class: retry, reset: {at: ms, kind: ms}}]", "6:57: parsers.mine.watch[0].reset: `reset` reads an event, and here is only text (name a group of `match`: `(?P<seconds>...)`, `epoch`, `ms` or `clock`)"),
    (JSONL + "    exit: {256: auth}", "6:12: parsers.mine.exit.256: expected an exit code from 1 to 255, got `256`"),
    (JSONL + "    quiet: ['^x']", "6:12: parsers.mine.quiet: only a text parser has quiet, this one is `jsonl`"),
    (TEXT + "    prefix: 'data: '", "6:13: parsers.mine.prefix: only a jsonl parser has prefix, this one is `text`"),
    (TEXT + "    success: {when: {type: done}}", "6:21: parsers.mine.success.when: a text parser has no events, so `when` never fits (use `in` and `match`)"),
    (TEXT + "    watch: [{in: {when: {type: retry}}, class: retry}]", "6:25: parsers.mine.watch[0].in.when: a text parser has no events, so `when` never fits (use `in` and `match`)"),
    (TEXT + "    strip: ['^x{2,1}']", "6:13: parsers.mine.strip[0]: bad regular expression `^x{2,1}`: min repeat greater than max repeat at position 3"),
]  # fmt: skip


def told(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    (folder / "agents.yaml").write_text(text)
    monkeypatch.chdir(folder)
    return [str(problem).removeprefix("agents.yaml:") for problem in examine_all([project_at(str(folder))]).problems]


@pytest.mark.parametrize(("rules", "message"), MISTAKES, ids=[row[1].partition(":")[2][:50] for row in MISTAKES])
def test_mistake(rules: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(tmp_path, AGENT + rules + "\n", monkeypatch) == [message]


def test_all_mistakes_of_both_kinds_come_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in a parser of its own: what the schema refuses in one hides nothing in another."""
    parsers = "".join(f"  p{number}:\n{rules}\n" for number, (rules, _) in enumerate(MISTAKES))
    found = told(tmp_path, "parsers:\n" + parsers, monkeypatch)

    said = [message.partition(": parsers.mine.")[2].partition(": ")[2] for _, message in MISTAKES]
    assert [line.partition(": parsers.p")[2].partition(": ")[2] for line in found] == said


BOTH = """\
agents:
  mine:
    binary: mycli
    arvg: [run]
    argv: ["{{ modle }}", 5, {when: fsat, args: [x]}]
    stdin: "{{ prmopt }}"
    options: {fast: {defualt: true}}
    parser: mine
  other: {extends: mine, argv: ["{{ fast }}"], parser: mien, stdin: "{{ prompt }}", timeout: 0}
parsers:
  mine:
    format: jsonl
    success: {wehn: {type: done}}
    fields:
      text: {at: "a..b"}
      model: [{at: x, tkae: last}, {at: "y["}]
    errors:
      - {in: stderr, match: x, class: rate_limt}
      - {in: stderr, match: "(", class: auth}
"""


def test_both_phases_in_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(tmp_path, BOTH, monkeypatch)

    wanted = (
        "agents.mine.arvg: unknown key (did you mean 'argv'?)",
        "agents.mine.argv[0]: unknown variable `modle` (did you mean 'model'?)",
        "agents.mine.argv[1]: expected an argument: a text, or `{when: NAME, args: [...]}`, got `5`",
        "agents.mine.argv[2].when: unknown variable `fsat` (did you mean 'fast'?)",
        "agents.mine.stdin: unknown variable `prmopt` (did you mean 'prompt'?)",
        "agents.mine.options.fast.defualt: unknown key (did you mean 'default'?)",
        "agents.other.parser: unknown parser `mien` (did you mean 'mine'?)",
        "agents.other.timeout: would end every run at once (write `none` for no limit)",
        "parsers.mine.success.wehn: unknown key (did you mean 'when'?)",
        "parsers.mine.fields.text.at: bad path `a..b`, expected a path such as",
        "parsers.mine.fields.model[0].tkae: unknown key (did you mean 'take'?)",
        "parsers.mine.fields.model[1].at: bad path `y[`, expected a path such as",
        "parsers.mine.errors[0].class: expected a class of errors, got `rate_limt`",
        "parsers.mine.errors[1].match: bad regular expression `(`",
    )
    for line, beginning in zip(found, wanted, strict=True):
        assert line.partition(": ")[2].startswith(beginning)


def test_the_two_changed_defaults_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    once = "once a failing one always won"
    rules = (
        TEXT + "    success: {in: stdout, match: ok}\n    failure: {in: stdout, match: no}\n"
        "    fields: {text: {in: stdout, match: 'a(.*)b'}}\n"
    )
    found = told(tmp_path, AGENT + rules, monkeypatch)
    assert [line.partition(" (")[0] for line in found] == [
        f"7:14: note: parsers.mine.failure: of success and failure patterns in `stdout` the last decides; {once}",
        "8:20: note: parsers.mine.fields.text: keeps blank lines and indentation, which once were collapsed",
    ]
    quiet = TEXT + "    fields: {text: {in: stdout, match: x, collapse: false}}\n"
    assert told(tmp_path, AGENT + quiet, monkeypatch) == []


UNFIRED = """\
    format: jsonl
    success: {when: {type: done}}
    failure: {when: {type: fialed}}
    fields:
      text: {when: {type: say}, at: text}
      model: {when: {type: start}, at: modle}
      session_id: {in: stdout, match: "session (.*)"}
    errors: [{in: stderr, match: "^fatal: ", class: network}, {in: {when: {type: done}, at: why}, match: 429, class: auth}]
    watch: [{in: stderr, match: 'again\\\\n.*in \\\\d+s', class: retry}, {in: stderr, match: "^agian", class: retry}]
"""


def test_rules_that_no_recording_needs_are_noted(tmp_path: Path) -> None:
    (tmp_path / "agents.yaml").write_text(AGENT + UNFIRED.replace("429", "'429'").replace("\\\\", "\\"))
    config = load(project_at(str(tmp_path)), None)
    outputs = [
        (
            b'{"type": "start", "model": "m"}\n{"type": "say", "text": "hi"}\n{"type": "done"}\n',
            b"again\nwait\nin 5s\n",
        ),
        (b"session x\n", b"again\nlater, in 5s\nfatal: no net\n"),
    ]

    found = list(unfired_rules(config, "mine", outputs))

    assert [problem.path.removeprefix("parsers.mine.") for problem in found] == [
        "failure",
        "fields.model",
        "errors[1]",
        "watch[1]",
    ]
    assert {(problem.message, problem.severity) for problem in found} == {
        ("this rule fired in none of 2 recordings", "note")
    }
    assert list(unfired_rules(config, "mine", [])) == []
