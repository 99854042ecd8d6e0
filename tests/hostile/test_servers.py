"""Hostile servers and hostile settings of channels: one answer each, and what becomes of the run and of its message."""

from __future__ import annotations

import base64
import json
import os
import socket
import threading
import time
import urllib.parse
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.doubles.ntfy import Ntfy
from tests.hostile.strike import LIMIT, leaks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.helpers import Project

TOKEN = "tk_Zm9vYmFyMTIzNDU2Nzg5MA/x+y9"
WORDS = ("run", "double", "free")


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    """A whole response."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def error(text: str, status: str = "401 Unauthorized") -> bytes:
    return answer(status, json.dumps({"code": 40101, "error": text}).encode())


def accepted(identifier: object) -> bytes:
    return answer("200 OK", json.dumps({"id": identifier, "event": "message"}).encode())


def between(mark: str) -> str:
    return mark.join(TOKEN)


# What the server answers, and what the message's state is then.
ECHOES = {
    "in an error": (error(f"invalid header Authorization: Bearer {TOKEN}"), "dead"),
    "without a word around": (error(TOKEN), "dead"),
    "where the text is cut": (error("x " * 118 + TOKEN), "dead"),
    "where a long text is cut": (error("y" * 19_990 + TOKEN), "dead"),
    "in the reason": (answer(f"403 no {TOKEN}"), "dead"),
    "in the reason of a proxy": (answer(f"502 {TOKEN}", b"<html>"), "pending"),
    "as the message's id": (accepted(TOKEN), "delivered"),
    "as a part of an id": (accepted(f"id-{TOKEN}"), "delivered"),
    "in a redirect": (answer("302 Found", b"", f"Location: http://{TOKEN}.example.invalid/x"), "pending"),
    "as a redirect's login": (answer("307 T", b"", f"Location: http://u:{TOKEN}@example.invalid/"), "pending"),
    "with escapes between": (error(between("\x1b[0m")), "dead"),
    "as JSON writes it": (error(TOKEN.replace("/", "\\/")), "dead"),
    "in a page": (answer("500 X", f"<p>{TOKEN}</p>".encode()), "pending"),
    "in a header": (answer("429 X", b"{}", f"Retry-After: {TOKEN}", f"X-Echo: {TOKEN}"), "pending"),
}
ODD = {
    "nothing": (b"", "pending"),
    "no HTTP": (b"\x00\xff" * 2000, "pending"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", "pending"),
    "a status of letters": (b"HTTP/1.1 abc OK\r\n\r\n", "pending"),
    "status 999": (answer("999 X"), "pending"),
    "a minus": (b"HTTP/1.1 -1 X\r\n\r\n", "pending"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", "pending"),
    "a negative length": (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}", "pending"),
    "a length of letters": (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}", "pending"),
    "too great a length": (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}", "pending"),
    "a header of a megabyte": (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n{}", "pending"),
    "a thousand headers": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n{}", "pending"),
    "a broken chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", "pending"),
    "only continue": (b"HTTP/1.1 100 Continue\r\n\r\n" * 50, "pending"),
    "compressed": (answer("200 OK", b"\x1f\x8b\x08\x00" + b"\x00" * 500, "Content-Encoding: gzip"), "pending"),
    "a list": (answer("200 OK", b'[{"id": "a"}]'), "pending"),
    "deep": (answer("200 OK", b"[" * 60_000), "pending"),
    "deep in an error": (answer("401 X", b'{"error":' * 7000), "dead"),
    "an error that is a mapping": (answer("401 X", b'{"error": {"error": 1}}'), "dead"),
    "no UTF-8": (answer("400 X", b'{"error": "\xff\xfe"}'), "dead"),
    "an id of null": (accepted(None), "pending"),
    "an id that is a list": (accepted(["a"]), "pending"),
    "an id of 40,000 letters": (accepted("i" * 40_000), "delivered"),
    "an id with escapes": (accepted("a\x1b[2Jb\u202ec\nd"), "delivered"),
    "hidden text in an error": (error("\u202eneddih\x07\x1b]0;t\x07 \ue0041"), "dead"),
    "an endless wait": (answer("429 X", b"{}", "Retry-After: 1e999"), "pending"),
    "a wait of ages": (answer("503 X", b"{}", "Retry-After: 99999999999999999999"), "pending"),
    "a wait until 9999": (answer("429 X", b"{}", "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"), "pending"),
    "a redirect to a file": (answer("301 X", b"", "Location: file:///etc/passwd"), "pending"),
    "a redirect to itself": (answer("308 X", b"", "Location: /"), "pending"),
    "a redirect that is broken": (answer("302 X", b"", "Location: http://[::1"), "pending"),
}


@dataclass
class Raw:
    """Answers each request with the same bytes and closes the connection."""

    said: bytes
    requests: list[bytes] = field(default_factory=list)
    url: str = ""


@contextmanager
def raw(said: bytes) -> Iterator[Raw]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Raw(said, url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        threading.Thread(target=_serve, args=(listener, server), daemon=True).start()
        yield server


def _serve(listener: socket.socket, server: Raw) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            try:
                connection.settimeout(5)
                server.requests.append(connection.recv(65536))
                connection.sendall(server.said)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except OSError:
                continue


def configure(project: Project, notify: object) -> None:
    """The notify section beside the tasks that are there."""
    text = (project.root / "tasks.yaml").read_text().partition("notify:")[0]
    project.write("tasks.yaml", f"{text}notify: {json.dumps(notify)}\n")


def run(project: Project, secret: str, **env: str) -> str:
    """One run, which must go well; what all commands print about its message. Nothing of the secret is anywhere."""
    began = time.monotonic()
    done = project(*WORDS, timeout=LIMIT, env=env)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < LIMIT
    listed = project("notify", "list", env=env)
    shown = project("show", "last", env=env)
    texts = {"run": done.stdout + done.stderr, "list": listed.stdout + listed.stderr, "show": shown.stdout}
    assert leaks(project, secret, texts) == []
    assert project.record()["status"] == "success"
    assert project.processes() == []
    return "\n".join(texts.values())


@pytest.mark.parametrize("name", [*ECHOES, *ODD])
def test_what_a_server_says_harms_nothing(project: Project, name: str) -> None:
    said, state = {**ECHOES, **ODD}[name]
    with raw(said) as server:
        configure(project, {"ntfy": {"url": server.url, "topic": "runs", "token_env": "LOGIN"}})
        run(project, TOKEN, LOGIN=TOKEN)
        notification = project.record()["notification"]
        assert notification["state"] == state, notification
        assert len(server.requests) <= 1, "nothing is sent twice, and no redirect is followed"
    words = f"{notification['last_error']} {notification['message_id']}"
    assert len(words) < 400
    assert all(char.isprintable() for char in words)
    place = {"pending": "outbox", "dead": "outbox/dead", "delivered": None}[state]
    waiting = sorted((project.root / "logs" / "outbox").rglob("*.json"))
    assert [path.parent.relative_to(project.root / "logs").as_posix() for path in waiting] == ([place] if place else [])


@pytest.mark.parametrize(
    "form",
    [
        lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
        lambda text: f"http://user:{text}@proxy.example/",
        lambda text: f"Authorization: Bearer {text}",
    ],
    ids=["basic", "login", "header"],
)
def test_forms_of_a_login_are_masked(project: Project, form: Callable[[str], str]) -> None:
    secret = "p4ssw0rd-for-ntfy"
    with raw(error(form(secret))) as server:
        settings = {"url": server.url, "topic": "runs", "user_env": "WHO", "password_env": "HOW"}
        configure(project, {"ntfy": settings})
        run(project, secret, WHO="user", HOW=secret)
        assert form(secret) not in json.dumps(project.record())


CYRILLIC, CURLY = "tk_\u0430bc", "\u201ctk_abc\u201d"
# Settings of ntfy and variables; whether it arrives, and what is said where it cannot.
SETTINGS: dict[str, tuple[dict[str, str], dict[str, str], str | None]] = {
    "typographic quotes": ({"token_env": "LOGIN"}, {"LOGIN": CURLY}, "the variable LOGIN holds `\u201c` (U+201C)"),
    "a Cyrillic letter": ({"token_env": "LOGIN"}, {"LOGIN": CYRILLIC}, "the variable LOGIN holds `\u0430` (U+0430)"),
    "a hidden space": ({"token_env": "LOGIN"}, {"LOGIN": "tk_a\u200bb"}, "the variable LOGIN holds U+200B"),
    "a line break": ({"token_env": "LOGIN"}, {"LOGIN": "tk_a\nX: y"}, "the variable LOGIN holds U+000A"),
    "no UTF-8": ({"token_env": "LOGIN"}, {"LOGIN": "tk_\udcff"}, "the variable LOGIN holds the byte 0xFF"),
    "a picture": ({"token_env": "LOGIN"}, {"LOGIN": "tk_\U0001f511"}, "(U+1F511)"),
    "a BOM before a token": ({"token_env": "LOGIN"}, {"LOGIN": "\ufefftk_right"}, "U+FEFF"),
    "a token from Windows": ({"token_env": "LOGIN"}, {"LOGIN": "tk_right\r"}, None),
    "a token in white space": ({"token_env": "LOGIN"}, {"LOGIN": "\n tk_right \xa0"}, None),
    "a topic from Windows": ({"topic": "{{ env.WHERE }}"}, {"WHERE": "runs\r"}, None),
    "an address from Windows": ({"url": "{{ env.SERVER }}\r\n"}, {}, None),
    "an address in white space": ({"url": " {{ env.SERVER }} "}, {}, None),
    "a space in the topic": ({"topic": "my runs"}, {}, "holds U+0020"),
    "a hidden mark in the topic": ({"topic": "runs\u200e"}, {}, "holds U+200E"),
    "a letter in the topic": ({"topic": "r\u00fcns"}, {}, "holds `\u00fc` (U+00FC)"),
    "a long topic": ({"topic": "r" * 65}, {}, "1 to 64"),
    "a space in the address": ({"url": "{{ env.SERVER }}/ x"}, {}, "its url holds U+0020"),
    "a BOM before the address": ({"url": "\ufeff{{ env.SERVER }}"}, {}, "its url holds U+FEFF"),
    "a line break in the address": ({"url": "{{ env.SERVER }}\n/x"}, {}, "its url holds U+000A"),
    "no scheme": ({"url": "ntfy.example.org"}, {}, "not an http or https address"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_no_request_can_hold(project: Project, name: str) -> None:
    """Stripped where that helps, else a dead letter at once that names the character; doctor says the same before."""
    settings, env, said = SETTINGS[name]
    with Ntfy(token="tk_right") as server:
        env = {"SERVER": server.url, "LOGIN": "tk_right", **env}
        configure(project, {"ntfy": {"url": server.url, "topic": "runs", "token_env": "LOGIN", **settings}})
        before = project("doctor", env=env, timeout=LIMIT).stdout
        done = project(*WORDS, env=env, timeout=LIMIT)
        assert done.returncode == 0, done.stderr
        assert len(server.messages) == (said is None)
        asked = len(server.requests)
        assert project("notify", "flush", env=env).returncode == 0
        assert len(server.requests) == asked, "a dead letter is not tried again"
    notification = project.record()["notification"]
    assert notification["state"] == ("delivered" if said is None else "dead")
    assert said is None or (said in (notification["last_error"] or "") and said in " ".join(before.split()))
    assert said is not None or "no message by it" not in before


HOOKS: dict[str, tuple[dict[str, object], str | None]] = {
    "an address from Windows": ({"url": "{{ env.SERVER }}/hook\r"}, None),
    "a header from Windows": ({"headers": {"X-A": "b\r"}}, None),
    "a header that no header can hold": (
        {"headers": {"X-A": "{{ env.ODD }}"}},
        "the header X-A holds `\u201c` (U+201C)",
    ),
    "a name that no header has": ({"headers": {"X A": "b"}}, "`X A` is not the name of an HTTP header"),
    "a name with a line break": ({"headers": {"X\r\nHost": "b"}}, "is not the name of an HTTP header"),
    "an address with a hidden mark": ({"url": "{{ env.SERVER }}/\u2066hook"}, "its url holds U+2066"),
    "another scheme": ({"url": "file:///etc/passwd"}, "not an http or https address"),
}


@pytest.mark.parametrize("name", HOOKS)
def test_webhooks_that_no_request_can_hold(project: Project, name: str) -> None:
    settings, said = HOOKS[name]
    with raw(answer("200 OK")) as server:
        configure(project, {"webhook": {"url": f"{server.url}/hook", **settings}})
        run(project, "no-such-secret", SERVER=server.url, ODD="\u201cx")
        assert len(server.requests) == (said is None)
    notification = project.record()["notification"]
    assert notification["state"] == ("delivered" if said is None else "dead")
    assert said is None or said in notification["last_error"]


CAPABILITY = "T00000000-B0000-XXXXyyyy"
ECHO = "import os,sys; sys.stderr.write('no route: %s' % os.environ['PLACE']); sys.exit({})"
# The settings of a channel that holds the secret in $PLACE, and how its message ends.
KEPT: dict[str, tuple[Mapping[str, object], str]] = {
    "webhook": ({"webhook": {"url": "SERVER/hooks/{{ env.PLACE }}"}}, "dead"),
    "webhook by name": ({"webhook": {"url_env": "ADDRESS"}}, "dead"),
    "a header": ({"webhook": {"url": "SERVER", "headers": {"X-Login": "{{ env.PLACE }}"}}}, "dead"),
    "a click": ({"ntfy": {"url": "SERVER", "topic": "t", "click": "http://x/{{ env.PLACE }}"}}, "dead"),
    "a button": ({"ntfy": {"url": "SERVER", "topic": "t", "actions": [{"url": "http://x/{{ env.PLACE }}"}]}}, "dead"),
    "a login in the address": ({"ntfy": {"url": "HOST:{{ env.PLACE }}@NETLOC", "topic": "t"}}, "dead"),
    "a topic by a secret's name": ({"ntfy": {"url": "SERVER", "topic": "{{ env.TOPIC_KEY }}"}}, "dead"),
    "a command": ({"command": {"argv": ["python3", "-c", ECHO.format(1), "{{ env.PLACE }}"]}}, "pending"),
    "a command that is gone": ({"command": {"argv": ["python3", "-c", ECHO.format(127)]}}, "dead"),
}


@pytest.mark.parametrize("name", KEPT)
def test_the_outbox_holds_templates_and_names(project: Project, name: str) -> None:
    notify, state = KEPT[name]
    with raw(error(f"there is no /hooks/{CAPABILITY} for {urllib.parse.quote(CAPABILITY)}", "404 Not Found")) as server:
        host = server.url.removeprefix("http://")
        text = json.dumps(notify).replace("SERVER", server.url).replace("HOST", "http://u").replace("NETLOC", host)
        configure(project, json.loads(text))
        env = {"PLACE": CAPABILITY, "TOPIC_KEY": CAPABILITY, "ADDRESS": f"{server.url}/hooks/{CAPABILITY}"}
        run(project, CAPABILITY, PATH=os.environ["PATH"], **env)
    assert project.record()["notification"]["state"] == state, project.record()["notification"]


def test_a_heartbeat_without_the_variables_keeps_a_message_waiting(project: Project) -> None:
    """The address is needed when it is sent; what is not there now may be there for the next try."""
    with raw(answer("500 X")) as server:
        configure(project, {"webhook": {"url": "{{ env.HOOK_PLACE }}/x"}})
        run(project, "no-such-secret", HOOK_PLACE=server.url)
        assert project("heartbeat").returncode == 0
        assert "the variable HOOK_PLACE is not set" in project("notify", "list").stdout
        server.said = answer("200 OK")
        assert project("notify", "flush", env={"HOOK_PLACE": server.url}).returncode == 0
    assert project.record()["notification"]["state"] == "delivered"
