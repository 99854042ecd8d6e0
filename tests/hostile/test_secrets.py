"""Secrets of the environment in every form, and tokens of well-known kinds, in every place an agent or user can reach."""

from __future__ import annotations

import base64
import json
import shlex
import urllib.parse
from typing import TYPE_CHECKING

import pytest

from tests.hostile.strike import SECRET, Hostile, leaks, strike

if TYPE_CHECKING:
    from tests.helpers import Project

TOKENS = {
    "anthropic": "sk-ant-api03-AbCdEf0123456789_-xyz",
    "openai": "sk-proj-AbCdEf0123456789AbCdEf",
    "ghp": "ghp_AbCdEf0123456789AbCdEf0123456789abcd",
    "pat": "github_pat_11ABCDEFG0123456789_abcdefgh",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "slack": "xoxb-123456789012-abcdef",
    "google": "AIzaSyA0123456789abcdefghijklmnopqrstuvw",
    "gitlab": "glpat-AbCdEf0123456789xyzw",
    "npm": "npm_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
    "hf": "hf_AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEf",
    "ntfy": "tk_agqdq7mvbofd37zqvcbqf4o9j6e7u",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.dozjgNryP4J3jVmN",
    "login": "https://me:hunter2x@example.org/x",
    "header": "Authorization: Bearer abcdef0123456789",
    "key": "-----BEGIN PRIVATE KEY-----MIIEvQIBADANBgkqhkiG9w0AQEFAASCBKcw-----END PRIVATE KEY-----",
}
GIVES_AWAY = {**TOKENS, "login": "hunter2x", "header": "abcdef0123456789", "key": "MIIEvQIBADANBgkqhkiG9w0"}
FORMS = {
    "plain": SECRET,
    "json": json.dumps(SECRET),
    "json of json": json.dumps(json.dumps(SECRET)),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 shifted": base64.b64encode(b"x" + SECRET.encode()).decode(),
    "base64url shifted": base64.urlsafe_b64encode(b"xy" + SECRET.encode() + b"z").decode(),
    "hex": SECRET.encode().hex(),
    "HEX": SECRET.encode().hex().upper(),
    "url": urllib.parse.quote(SECRET, safe=""),
    "form": urllib.parse.quote_plus(SECRET),
    "shell": shlex.quote(SECRET),
    "in pieces": f"{SECRET[:5]}\x00{SECRET[5:]}",  # written in two writes
}
SCRIPT = """
import json, os, subprocess, sys, time
text, place = open(sys.argv[1], newline='').read(), sys.argv[2]
def say(value, stream=sys.stdout):
    for part in value.split(chr(0)):
        stream.write(part); stream.flush(); time.sleep(0.02 if chr(0) in value else 0)
    stream.write("\\n"); stream.flush()
text_whole = text.replace(chr(0), "")
if place == "stdout": say(text)
elif place == "stderr": say(text, sys.stderr); print("done")
elif place == "error": say(text, sys.stderr); sys.exit(3)
elif place == "commit":
    open("f", "w").write("x"); subprocess.run(["git", "add", "f"], check=True)
    subprocess.run(["git", "commit", "-q", "-m", text_whole], check=True); print("done")
elif place == "result":
    fields = ("result", "session_id", "model")
    print(json.dumps({"type": "result", "is_error": False, **dict.fromkeys(fields, text_whole)}))
elif place == "failure": print(json.dumps({"type": "result", "is_error": True, "result": text_whole}))
elif place == "file": open("f " + text_whole.replace("/", "_"), "w").write(text_whole); print("done")
"""
PLACES = {  # the exit code, and the reason
    "stdout": (0, None),
    "stderr": (0, None),
    "error": (1, "agent_error"),
    "commit": (0, None),
    "result": (0, None),
    "failure": (1, "agent_error"),
    "file": (0, None),
}
PARSER = {
    "format": "jsonl",
    "success": {"when": {"type": "result", "is_error": False}},
    "failure": {"when": {"type": "result", "is_error": True}},
    "fields": {
        "text": {"when": {"type": "result"}, "at": "result", "take": "last"},
        "session_id": {"at": "session_id", "take": "first"},
        "model": {"at": "model", "take": "first"},
    },
}


def saying(project: Project, text: str, place: str) -> None:
    said = project.home / "said"  # not in the YAML, which is the user's own file
    said.write_text(text)
    parser = "result" if place in ("result", "failure") else "text"
    entry = {
        "binary": "{{ python }}",
        "argv": ["-c", SCRIPT, str(said), place],
        "env": {"pass": ["DOUBLE_API_KEY"]},
        "parser": parser,
    }
    project.write("agents.yaml", json.dumps({"stock": False, "agents": {"evil": entry}, "parsers": {"result": PARSER}}))


def printed(project: Project, secret: str) -> dict[str, str]:
    """What each command says about the newest run, by a user with the same environment."""
    commands = ("show last", "show last --json", "why last", "logs last", "logs last --raw", "logs last --prompt")
    commands += ("runs", "runs --json", "triage", "diff last", "stats --json", "agents show evil")
    env = {"DOUBLE_API_KEY": secret}
    found = {}
    for command in commands:
        done = project(*command.split(), env=env)
        found[command] = done.stdout + done.stderr
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("place", PLACES)
def test_no_form_of_a_secret_gets_out(project: Project, form: str, place: str) -> None:
    code, reason = PLACES[place]
    case = Hostile(
        f"{form} {place}", lambda found: saying(found, FORMS[form], place), ("run", "evil", "free"), code, reason
    )
    strike(project, case)
    if form in ("plain", "base64 shifted", "url"):
        assert leaks(project, SECRET, printed(project, SECRET)) == []


@pytest.mark.parametrize("place", PLACES)
def test_no_token_gets_into_a_record_a_message_or_a_print(project: Project, place: str) -> None:
    code, reason = PLACES[place]
    text = (
        " ".join(TOKENS.values())[:230]
        if place == "file"
        else ("\n" if place == "stdout" else " ").join(TOKENS.values())
    )
    case = Hostile(f"tokens {place}", lambda found: saying(found, text, place), ("run", "evil", "free"), code, reason)
    struck = strike(project, case)

    texts = {"stdout": struck.done.stdout, "stderr": struck.done.stderr, "messages": json.dumps(dict(struck.messages))}
    texts |= printed(project, SECRET)
    found = [leaks(project, lost, texts, logs=False) for lost in GIVES_AWAY.values()]
    assert not any(found), found


@pytest.mark.parametrize("option", ["prompt", "var", "model"])
def test_what_a_user_gives_is_masked_as_well(project: Project, option: str) -> None:
    words = {
        "prompt": ("run", "double", "--prompt", f"use {SECRET} and {TOKENS['ghp']}"),
        "var": ("run", "double", "free", "--var", f"mode={TOKENS['aws']}"),
        "model": ("run", "double", "free", "--model", TOKENS["openai"]),
    }[option]
    with_env = {"DOUBLE_API_KEY": SECRET}
    done = project(*words, env=with_env)
    texts = {"stdout": done.stdout, "stderr": done.stderr, **printed(project, SECRET)}

    assert leaks(project, SECRET, texts) == []
    for token in ("ghp", "aws", "openai"):
        assert leaks(project, TOKENS[token], texts, logs=False) == []


def test_more_than_is_searched_as_it_comes(project: Project) -> None:
    """Far into a long output, where encoded forms are looked for at the end, and a reader finds its evidence there."""
    encoded = base64.b64encode(b"x" + SECRET.encode()).decode()
    script = "import sys\nfor _ in range(20): sys.stdout.write(('y' * 99 + '\\n') * 10000)\n"
    script += f"print({encoded[:9]!r} + {encoded[9:]!r})\nsys.exit(3)"
    entry = {"binary": "{{ python }}", "argv": ["-c", script], "parser": "text"}

    def arrange(found: Project) -> None:
        found.write("agents.yaml", json.dumps({"stock": False, "agents": {"evil": entry}}))

    struck = strike(project, Hostile("long", arrange, ("run", "evil", "free"), 1, "agent_error"))
    assert struck.record is not None
    log = (project.folders()[-1] / "stdout.log").read_bytes()
    assert len(log) == 20 * 1_000_000 + len(encoded) + 1
    assert log.endswith(b"*\n") or b"***" in log[-100:]
