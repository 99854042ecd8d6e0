"""Small CLIs that behave as real ones do, each run with its rules: what the whole command makes of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.helpers import Project

ANSWER = """
printf 'Reading the repository\\n'
printf '=== Answer ===\\n\\n    def f():\\n        return 1\\n\\n\\n    f()  # twice the space\\n'
"""
ANSWERED = {"in": "stdout", "match": r"(?s)^=== Answer ===\n(?P<value>.*)"}
SESSION = {"in": "stdout", "match": r"(?s)session:\s+(.*?)\n\n"}
ERROR, DONE = {"in": "stdout", "match": "^ERROR"}, {"in": "stdout", "match": "^All done"}
FATAL = {"in": "stderr", "match": "^fatal: "}
LIMIT = {"in": "stdout", "match": "429", "class": "rate_limit"}
AGAIN = {"in": "stdout", "match": "(?i)^retrying", "class": "retry"}
# A retry every 50 ms, with what stands between them.
WAITS = "while :; do printf '%s'; sleep 0.05; done"
EVENT = {"success": {"when": {"t": "done"}}, "fields": {"text": {"when": {"t": "done"}, "at": "say"}}}
TOKENS = {"usage.input_tokens": {"in": "stdout", "match": "(?P<value>~?[\\d.,]+k?) sent"}}

# what it shows: the script, its parser, what the record holds
ROWS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "text keeps its form": (
        ANSWER,
        {"fields": {"text": ANSWERED}},
        {"text": "    def f():\n        return 1\n\n\n    f()  # twice the space"},
    ),
    "the whole output keeps its form": ("printf '\\n  a\\n\\n    b  \\n'", {}, {"text": "  a\n\n    b"}),
    "collapse": (
        ANSWER,
        {"fields": {"text": {**ANSWERED, "collapse": True}}},
        {"text": "def f():\nreturn 1\nf() # twice the space"},
    ),
    "collapse of the whole output": (
        "printf 'a  b\\n\\n\\n  c\\n'",
        {"fields": {"text": {"in": "stdout", "collapse": True}}},
        {"text": "a b\nc"},
    ),
    "one-line fields are collapsed": (
        "printf 'session:\\n\\n  a1\\n  b2\\n\\nbye\\n'",
        {"fields": {"session_id": {"in": "stdout", "match": "(?s)session:\n(.*)\nbye"}}},
        {"session_id": "a1 b2"},
    ),
    "one-line fields that are not": (
        "printf 'session:  a1\\n\\nbye\\n'",
        {"fields": {"session_id": {**SESSION, "collapse": False}}},
        {"session_id": "a1"},
    ),
    "an error that was overcome": (
        "echo 'ERROR: no answer, once more'; echo 'All done'",
        {"success": DONE, "failure": ERROR},
        {"status": "success"},
    ),
    "an error at the end": (
        "echo 'All done'; echo 'ERROR: could not save'",
        {"success": DONE, "failure": ERROR},
        {"status": "failed", "reason": "agent_error"},
    ),
    "a line that says both": ("echo 'ERROR: All done'", {"success": DONE, "failure": ERROR}, {"status": "failed"}),
    "a failing pattern on stderr beats what stdout says": (
        "echo 'fatal: lost' >&2; sleep 0.1; echo 'All done'",
        {"success": DONE, "failure": FATAL},
        {"status": "failed", "reason": "agent_error"},
    ),
    "stderr's own last line decides for stderr": (
        "echo 'fatal: lost' >&2; echo 'found again' >&2; echo 'All done'",
        {"success": [DONE, {"in": "stderr", "match": "^found again"}], "failure": FATAL},
        {"status": "success"},
    ),
    "a retry that spans lines": (
        WAITS % "Error 429\\n  from the service\\nwaiting 1s for the next try\\n",
        {"watch": [{"in": "stdout", "match": r"429\b.*\n(?:.*\n)*waiting", "class": "rate_limit"}]},
        {"status": "rate_limited", "ended_by": "watch"},
    ),
    "a wait that stands lines below": (
        "printf 'Error 429\\n(request 7)\\nnext try in 900s\\n'; sleep 20",
        {"watch": [{"in": "stdout", "match": r"429(?:.*\n)+next try in (?P<seconds>\d+)s", "class": "rate_limit"}]},
        {"status": "rate_limited", "ended_by": "watch"},
    ),
    "a spinner is no progress": (
        WAITS % "retrying after 429\\n| thinking\\n\\033[2K\\n/ thinking\\n",
        {"watch": [{**AGAIN, "class": "rate_limit"}], "quiet": ["^[-|/\\\\] thinking$"]},
        {"status": "rate_limited", "ended_by": "watch"},
    ),
    "any other line is": (
        "for n in 1 2 3 4 5 6 7 8; do echo 'retrying after 429'; sleep 0.1; echo working; sleep 0.1; done",
        {"watch": [{**AGAIN, "class": "rate_limit"}], "quiet": ["^[-|/\\\\] thinking$"]},
        {"status": "success"},
    ),
    "a nameless retry has the class of the error before it": (
        WAITS % "Error: 429 slow down\\nretrying\\n",
        {"watch": [AGAIN], "errors": [LIMIT]},
        {"status": "rate_limited", "reason": "rate_limit", "ended_by": "watch"},
    ),
    "of the latest error": (
        "echo 'Error: 429'; " + WAITS % "Error: 401\\nretrying\\n",
        {"watch": [AGAIN], "errors": [LIMIT, {"in": "stdout", "match": "401", "class": "auth"}]},
        {"reason": "auth", "ended_by": "watch"},
    ),
    "a rounded number": (
        "echo '1.5k sent'",
        {"fields": TOKENS},
        {"usage": {"input_tokens": 1500, "approximate": True}},
    ),
    "about so many": ("echo '~1,200 sent'", {"fields": TOKENS}, {"usage": {"input_tokens": 1200, "approximate": True}}),
    "an exact number": ("echo '1,200 sent'", {"fields": TOKENS}, {"usage": {"input_tokens": 1200}}),
    "a server's events": (
        """printf 'data: {"t": "open"}\\n\\ndata: {"t": "done", "say": "ok"}\\ndata: [DONE]\\n'""",
        {"format": "jsonl", **EVENT, "prefix": "data: "},
        {"status": "success", "text": "ok"},
    ),
    "time stamps and colours": (
        """printf '\\033[2m[12:00:01]\\033[0m INFO {"t": "done", "say": "ok"}\\n'""",
        {"format": "jsonl", **EVENT, "prefix": r"\[[\d:]+\] INFO "},
        {"status": "success", "text": "ok"},
    ),
}


def watched(found: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    usage = {name: value for name, value in found["usage"].items() if value is not None}
    return {key: usage if key == "usage" else found[key] for key in wanted}


@pytest.mark.parametrize("name", ROWS)
def test_small_cli(project: Project, name: str) -> None:
    script, parser, wanted = ROWS[name]
    agent = {"binary": "sh", "argv": ["-c", script], "parser": "small", "watch": {"stall": "400ms"}, "timeout": "8s"}
    document = {"stock": False, "agents": {"small": agent}, "parsers": {"small": {"format": "text", **parser}}}
    project.write("agents.yaml", json.dumps(document))

    project("run", "small", "free")

    assert watched(project.record(), wanted) == wanted


def test_rounded_tokens_are_shown_as_such(project: Project) -> None:
    rules = {"format": "text", "fields": TOKENS}
    agent = {"binary": "sh", "argv": ["-c", "echo '1.5k sent'"], "parser": "small"}
    project.write("agents.yaml", json.dumps({"stock": False, "agents": {"small": agent}, "parsers": {"small": rules}}))
    project.write("out.txt", "1.5k sent\n")
    summary = project("run", "small", "free").stdout
    usage = json.loads(project("runs", "--json").stdout)["usage"]

    assert "~1,500 in" in summary
    assert "~1,500 in" in project("show", "last").stdout
    assert (usage["input_tokens"], usage["approximate"]) == (1500, True)
    assert "tokens     input ~1,500" in project("parse", "small", "out.txt", "--exit-code", "0").stdout


def test_env_in_argv(project: Project) -> None:
    argv = ["-c", "echo $0 $1", "{{ env.SMALL_URL }}", {"when": "env.SMALL_ZONE", "args": ["zone"]}]
    agent = {"binary": "sh", "argv": argv, "parser": "text", "env": {"pass": ["SMALL_*"]}, "stdin": "{{ prompt }}"}
    project.write("agents.yaml", json.dumps({"stock": False, "agents": {"small": agent}}))

    project("run", "small", "free", env={"SMALL_URL": "http://127.0.0.1:9", "SMALL_ZONE": "eu"})
    assert project.record()["text"] == "http://127.0.0.1:9 zone"
    project("run", "small", "free", env={"SMALL_URL": "http://127.0.0.1:9"})
    assert project.record()["text"] == "http://127.0.0.1:9"
    project.write("agents.yaml", json.dumps({"stock": False, "agents": {"small": {**agent, "env": {}}}}))
    done = project("run", "small", "free")
    assert done.returncode == 3
    assert "unknown variable `env.SMALL_URL` (only what `env.pass` names is known here" in done.stderr
    assert "unknown variable `env.SMALL_ZONE`" in done.stderr
