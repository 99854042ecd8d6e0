"""What an agent prints to hold, fool or confuse the runner, through the real command: patterns, templates, numbers."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.hostile.strike import Hostile, strike

if TYPE_CHECKING:
    from tests.helpers import Project

A = "a" * 40 + "!"
NESTED = "^(a+)+$"
SECONDS = 50.0  # far below what any of these would take, on a machine that does other things too


def double(project: Project, *, parser: str, said: str = "", err: str = "", code: int = 0, task: str = "{}") -> None:
    """An agent that prints `said` and `err`, under a parser and a task."""
    project.write("said", said)
    project.write("err", err)
    here = project.root
    project.write(
        "agents.yaml",
        "stock: false\nagents:\n  double:\n    binary: /bin/sh\n"
        f"    argv: [-c, 'cat {here}/said; cat {here}/err >&2; exit {code}']\n    parser: mine\n"
        f"    stdin: '{{{{ prompt }}}}'\nparsers:\n  mine: {parser}\n",
    )
    rest = task[1:-1]
    project.write("prompts/free.md", "go")
    tasks = f"stock: false\ntasks:\n  free: {{prompt: prompts/free.md{', ' + rest if rest else ''}}}\n"
    notify = (project.root / "tasks.yaml").read_text().partition("notify:\n")
    project.write("tasks.yaml", tasks + "".join(notify[1:]))


def result(**fields: Any) -> str:
    return json.dumps({"type": "result", "ok": True, "text": "done", **fields}) + "\n"


GOOD = "success: {when: {type: result, ok: true}}, fields: {text: {at: text}}"
EVIL = json.dumps({"type": "say", "text": A}) + "\n"

# id, parser, stdout, stderr, task, exit code, reason
PATTERNS: list[tuple[str, str, str, str, str, int, str | None]] = [
    ("nothing_to_do", "{format: text}", A, "", f"{{nothing_to_do: '{NESTED}'}}", 0, None),
    ("nothing_to_do with a commit wanted", "{format: text}", A, "", f"{{nothing_to_do: '{NESTED}', requires_commit: true}}", 1, "no_commits"),
    ("errors on stderr", f"{{format: text, errors: [{{in: stderr, match: '{NESTED}', class: auth}}]}}", "ok", A + "\n", "{}", 0, None),
    ("errors on stdout", f"{{format: text, errors: [{{in: stdout, match: '{NESTED}', class: auth}}]}}", A + "\n", "", "{}", 0, None),
    ("errors that fail", f"{{format: text, errors: [{{in: stdout, match: '{NESTED}', class: auth, fails: true}}]}}", A + "\n", "", "{}", 1, "agent_error"),
    ("a cap", f"{{format: text, errors: [{{in: stdout, match: '{NESTED}', class: turn_limit}}]}}", A + "\n", "", "{}", 1, "agent_error"),
    ("a budget", f"{{format: text, errors: [{{in: stdout, match: '{NESTED}', class: budget}}]}}", A + "\n", "", "{}", 1, "agent_error"),
    ("failure", f"{{format: text, failure: {{in: stdout, match: '{NESTED}'}}}}", A + "\n", "", "{}", 1, "agent_error"),
    ("success", f"{{format: text, success: {{in: stdout, match: '{NESTED}'}}}}", A + "\n", "", "{}", 1, "no_terminal_event"),
    ("watch", f"{{format: text, watch: [{{in: stdout, match: '{NESTED}', class: rate_limit}}]}}", A + "\n", "", "{}", 0, None),
    ("strip", f"{{format: text, strip: ['{NESTED}']}}", A, "", "{}", 0, None),
    ("a text field", f"{{format: text, fields: {{model: {{in: stdout, match: '{NESTED}'}}}}}}", A, "", "{}", 0, None),
    ("denials", f"{{format: text, fields: {{denials: {{in: stdout, match: '{NESTED}', take: list}}}}}}", A, "", "{}", 1, "agent_error"),
    ("errors on an event", f"{{format: jsonl, {GOOD}, errors: [{{in: {{when: {{type: say}}, at: text}}, match: '{NESTED}', class: auth}}]}}", EVIL + result(), "", "{}", 0, None),
    ("watch on an event", f"{{format: jsonl, {GOOD}, watch: [{{in: {{when: {{type: say}}, at: text}}, match: '{NESTED}', class: auth}}]}}", EVIL + result(), "", "{}", 0, None),
    ("errors in a document", f"{{format: json, {GOOD}, errors: [{{in: {{when: {{type: say}}, at: text}}, match: '{NESTED}', class: auth}}]}}", EVIL + result(), "", "{}", 0, None),
    ("a choice in a repeat", "{format: text, errors: [{in: stdout, match: '^(a|a)+$', class: auth}]}", A + "\n", "", "{}", 0, None),
    ("a lookahead", "{format: text, errors: [{in: stdout, match: '^(?=(a+)+$)', class: auth}]}", A + "\n", "", "{}", 0, None),
    ("many repeats", "{format: text, errors: [{in: stderr, match: 'x.*x.*x.*x.*x.*y', class: auth}]}", "ok", "x" * 4000 + "\n", "{}", 0, None),
    ("blanks", "{format: text, errors: [{in: stderr, match: '(?:[ab]+)+c', class: auth}]}", "ok", "ab" * 30_000 + "\n", "{}", 0, None),
    ("a thousand lines", f"{{format: text, errors: [{{in: stderr, match: '{NESTED}', class: auth}}]}}", "ok", (A + "\n") * 1000, "{}", 0, None),
]  # fmt: skip


@pytest.mark.parametrize("row", PATTERNS, ids=lambda row: row[0])
def test_a_pattern_ends_in_time(project: Project, row: tuple[str, str, str, str, str, int, str | None]) -> None:
    """It counts as not matched, or the run as failed; the note names the rule with file and line."""
    name, parser, said, err, task, code, reason = row
    begun = time.monotonic()

    struck = strike(
        project,
        Hostile(name, partial(double, parser=parser, said=said, err=err, task=task), code=code, reason=reason),
    )

    assert time.monotonic() - begun < SECONDS
    assert struck.record is not None
    notes = [note for note in struck.record["notes"] if "took too long" in note]
    file, line = ("tasks.yaml", 3) if "nothing_to_do" in name else ("agents.yaml", 9)
    assert len(notes) == 1
    assert f"{file}:{line})" in notes[0]
    if reason == "agent_error":
        assert "took too long" in struck.record["error"]["message"]
        assert struck.record["error"]["evidence"] == f"{file}:{line}"


NUMBERS = {
    "NaN": ("{\"cost\": NaN}", "cost_usd"),
    "infinite": ("{\"cost\": 1e999}", "cost_usd"),
    "minus infinity": ("{\"cost\": -Infinity}", "cost_usd"),
    "negative": ("{\"cost\": -1}", "cost_usd"),
    "a million and one dollars": ("{\"cost\": 1000001}", "cost_usd"),
    "as text": ("{\"cost\": \"nan\"}", "cost_usd"),
    "as a long text": ("{\"cost\": \"99,999,999,999\"}", "cost_usd"),
    "tokens 1e999": ("{\"out\": 1e999}", "usage"),
    "tokens of 400 digits": ("{\"out\": " + "9" * 400 + "}", "usage"),
    "tokens of 5000 digits": ("{\"out\": " + "9" * 5000 + "}", "usage"),
    "negative tokens": ("{\"out\": -5}", "usage"),
    "a part of a sum": ("{\"in1\": NaN, \"in2\": 5}", "usage"),
    "a negative part": ("{\"in1\": -9, \"in2\": 50}", "usage"),
    "of a difference": ("{\"all\": 1e999, \"in2\": 5}", "usage"),
    "more than 10^12": ("{\"out\": 1000000000001}", "usage"),
    "calls": ("{\"calls\": -1}", "tool_calls"),
    "calls without end": ("{\"calls\": Infinity}", "tool_calls"),
}  # fmt: skip
RECKONED = (
    "{format: jsonl, success: {when: {type: result}}, fields: {text: {at: text}, cost_usd: {at: cost}, tool_calls: {at: calls},"
    " usage.output_tokens: {at: out}, usage.input_tokens: {at: {sum: [in1, in2]}},"
    " usage.cache_read_tokens: {at: {minus: [all, in2]}}}}"
)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_cannot_be_is_unknown(project: Project, name: str) -> None:
    given, key = NUMBERS[name]
    said = '{"type": "result", "text": "done", ' + given[1:] + "\n"

    struck = strike(project, Hostile(name, partial(double, parser=RECKONED, said=said)))

    assert struck.record is not None
    known = struck.record[key]
    assert known is None or None in known.values()
    assert all(value in (None, 5) for value in (known or {}).values())
    assert any("which cannot be" in note for note in struck.record["notes"])


RESETS = ["1000000000", "0", "-5", "99999999999", "1e300", "253402300799000", "4102444800"]


@pytest.mark.parametrize("epoch", RESETS)
def test_a_reset_that_cannot_be_is_none(project: Project, epoch: str) -> None:
    parser = (
        "{format: jsonl, success: {when: {type: result}},"
        " errors: [{in: {when: {type: limit}}, class: usage_limit, fails: true, reset: {at: until, kind: epoch}}]}"
    )
    said = '{"type": "limit", "until": ' + epoch + "}\n"

    case = Hostile(epoch, partial(double, parser=parser, said=said, code=1), code=10, reason="usage_limit")
    struck = strike(project, case)

    assert struck.record is not None
    assert struck.record["error"]["retry_at"] is None
    assert any("is not believed" in note for note in struck.record["notes"])


TEMPLATES = [
    "{{ 1|round(-1000000000) }}",
    "{{ 'a' * 1000000000 }}",
    "{{ [0] * 1000000000 }}",
    "{{ range(1000000000)|list }}",
    "{{ range(1000000000)|max }}",
    "{{ range(1000000000)|sum }}",
    "{{ range(1000000000)|first }}{{ range(1000000000)|last }}{{ range(1000000000)|min }}",
    "{{ -1.5 in range(1000000000) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ 'x'|replace('x', 'y' * 100000000) }}",
    "{{ 'a'|list * 100000000 }}",
    "{{ ['a'] * 100000000|join }}",
    "{% for a in range(1000000000) %}{% endfor %}",
    "{% for a in range(100000) %}{% if range(100000)|max == 1 %}x{% endif %}{% endfor %}",
    "{% for a in range(100000) %}{% for b in range(100000) %}{% if a == b + 0.5 %}x{% endif %}{% endfor %}{% endfor %}",
    "{% for a in range(100000000) %}aaaaaaaaaa{% endfor %}",
]


@pytest.mark.parametrize("text", TEMPLATES)
def test_a_template_ends_in_time(project: Project, text: str) -> None:
    """With file and line, in the prompt; nothing was started."""

    def arrange(project: Project) -> None:
        double(project, parser="{format: text}", said="ok")
        project.write("prompts/free.md", f"go\n\n{text}\n")

    begun = time.monotonic()
    struck = strike(project, Hostile("template", arrange, code=3))

    assert time.monotonic() - begun < SECONDS
    assert "free.md:3" in struck.done.stderr
    assert project("validate").returncode in (0, 3)


DATA = ["{{x}}", "{{ x", "{% for a in b %}", "{# x", "{{ 1/0 }}", "{{ prompt }}", "{% raw %}"]


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("place", ["prompt", "variable", "environment", "folder"])
def test_data_is_never_a_template(project: Project, place: str, data: str) -> None:
    def arrange(project: Project) -> None:
        double(project, parser="{format: text}", said="ok", task="{vars: {name: v}}" if place == "variable" else "{}")
        if place == "variable":
            project.write("prompts/free.md", "{{ vars.name }}")
        if place == "environment":
            agents = (project.root / "agents.yaml").read_text()
            project.write(
                "agents.yaml", agents.replace("    parser: mine\n", "    parser: mine\n    env: {pass: [ODD]}\n")
            )

    words = ("run", "double", "free")
    if place == "folder":
        folder = project.root / data.replace("/", "_")
        folder.mkdir()
        more: dict[str, Any] = {"options": {}}
        words = (*words, "--repo", str(folder))
    else:
        more = {"env": {"ODD": data}}
    if place == "variable":
        words = (*words, "--var", f"name={data}")
    if place == "prompt":
        words = ("run", "double", "--prompt", data)

    struck = strike(project, Hostile(place, arrange, words=words, **more))

    assert struck.record is not None
    if place in ("prompt", "variable"):
        assert (project.folders()[0] / "prompt.md").read_text().strip() == data
