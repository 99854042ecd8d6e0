"""Every channel against every behaviour of the other side: what it concludes, and that it never takes longer than allowed."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import sys
import textwrap
import threading
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest

from runner.notify import channels
from runner.notify.channels.base import Failed, Message, Sent
from runner.notify.channels.truncate import truncate_line, truncate_text
from runner.values import replace
from tests.doubles.ntfy import Ntfy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from runner.notify.channels.base import Delivery

BUDGET = 1.0
SLACK = 0.5  # a loaded machine
MESSAGE = Message(
    title="double free: failed (auth)",
    body="failed (auth): Zugriff verweigert 🚫\nrun: 20260219_175043",
    tags=("x",),
    priority=4,
    click="https://example.invalid/runs/1",
    actions=({"action": "view", "label": "Öffnen", "url": "https://example.invalid"},),
    message_id="20260219_175043",
    record={"run_id": "20260219_175043", "text": "grüß"},
)


@pytest.fixture
def server() -> Iterator[Ntfy]:
    with Ntfy() as server:
        yield server


def target(server: Ntfy, **more: Any) -> dict[str, Any]:
    return {"kind": "ntfy", "url": server.url, "topic": "runs", **more}


def timed(
    kind: str, settings: dict[str, Any], environ: dict[str, str] | None = None, budget: float = BUDGET
) -> Delivery:
    """Send, and hold the promise of the interface: no exception, no more time than given."""
    began = time.monotonic()
    delivery = channels.send(kind, settings, MESSAGE, environ or {}, budget)
    assert time.monotonic() - began < budget + SLACK
    return delivery


def test_a_message_arrives_whole(server: Ntfy) -> None:
    delivery = timed("ntfy", target(server))

    [message] = server.messages
    assert delivery == Sent(message["id"])
    assert (message["title"], message["message"]) == (MESSAGE.title, MESSAGE.body)
    assert (message["tags"], message["priority"], message["click"]) == (["x"], 4, MESSAGE.click)
    assert message["actions"] == list(MESSAGE.actions)
    assert message["sequence_id"] == MESSAGE.message_id
    assert server.violations == []


# What each behaviour means: a piece of the error, permanent, the wait that the server asks for.
BEHAVIOURS = {
    "refused": ("connection refused", False, None),
    "deaf": ("", False, None),
    "silent": ("", False, None),
    "slow": ("no answer within 1 s", False, None),
    "internal_error": ("500 internal server error", False, None),
    "bad_gateway": ("502 bad gateway", False, None),
    "unavailable": ("503 service unavailable", False, 60),
    "limited": ("429 too many requests", False, 5),
    "unauthorized": ("401 unauthorized", True, None),
    "forbidden": ("403 forbidden", True, None),
    "not_found": ("404 not found (page not found)", True, None),
    "too_large": ("413 ", True, None),
    "hangs_up": ("remote end closed connection", False, None),
    "closes_midway": ("not one of an ntfy server", False, None),
    "garbage": ("captive portal", False, None),
    "no_id": ("captive portal", False, None),
    "redirects": ("redirects to portal.invalid", False, None),
    "endless": ("captive portal", False, None),
    "stores_and_hangs_up": ("remote end closed connection", False, None),
}


@pytest.mark.parametrize("mode", BEHAVIOURS)
def test_a_server_that_misbehaves(server: Ntfy, mode: str) -> None:
    error, permanent, wait = BEHAVIOURS[mode]
    server.mode = mode

    failed = timed("ntfy", target(server))

    assert isinstance(failed, Failed)
    assert error in failed.error
    assert failed.permanent == permanent
    assert failed.retry_after == (wait if wait is None else pytest.approx(wait, abs=2))
    assert "<html" not in failed.error
    assert len(failed.error) < 300

    server.mode = "well"
    assert isinstance(timed("ntfy", target(server)), Sent)
    assert list(server.delivered("runs")) == [MESSAGE.message_id]
    assert len(server.messages) == (2 if mode == "stores_and_hangs_up" else 1)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("99999999999999999999", 86400.0),
        ("9" * 5000, 86400.0),
        ("-5", None),
        ("soon", None),
        ("NaN", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 99 Foo 2026 00:00:00 GMT", None),
        ("IN 30 SECONDS", pytest.approx(30, abs=2)),
    ],
)
def test_retry_after(server: Ntfy, header: str, expected: float | None) -> None:
    server.retry_after = formatdate(time.time() + 30, usegmt=True) if header == "IN 30 SECONDS" else header
    server.mode = "limited"

    failed = timed("ntfy", target(server))

    assert isinstance(failed, Failed)
    assert failed.retry_after == expected


def test_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    with Ntfy(tls=tmp_path) as server:
        failed = timed("ntfy", target(server))

        assert isinstance(failed, Failed)
        assert "certificate is not trusted (self-signed certificate)" in failed.error
        assert not failed.permanent
        assert server.requests == []

        trusting = {"REQUESTS_CA_BUNDLE": str(tmp_path / "double.pem")}
        assert isinstance(timed("ntfy", target(server), trusting), Sent)


def test_a_bundle_that_is_not_there(tmp_path: Path) -> None:
    with Ntfy(tls=tmp_path) as server:
        failed = timed("ntfy", target(server), {"SSL_CERT_FILE": str(tmp_path / "none.pem")})

    assert isinstance(failed, Failed)
    assert "none.pem" in failed.error


def test_a_name_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*words: object, **options: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    failed = timed("ntfy", {"url": "http://ntfy.invalid", "topic": "runs"})

    assert failed == Failed("cannot reach `ntfy.invalid`: name or service not known", permanent=False)


def test_a_name_server_that_hangs_is_given_up_for_good(server: Ntfy, monkeypatch: pytest.MonkeyPatch) -> None:
    """And when the name is resolved at last, nothing is sent: another process may have sent the message by then."""
    answered, done = threading.Event(), threading.Event()
    real = socket.getaddrinfo

    def hang(*words: Any, **options: Any) -> Any:
        answered.wait(10)
        done.set()
        return real("127.0.0.1", *words[1:], **options)

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    failed = timed("ntfy", {"url": f"http://slow.invalid:{server.port}", "topic": "runs"}, budget=0.3)
    before = {thread for thread in threading.enumerate() if thread.name == "channel"}
    answered.set()
    for thread in before:
        thread.join(10)

    assert failed == Failed("`slow.invalid` gave no answer within 0.3 s", permanent=False)
    assert before
    assert done.is_set()
    assert server.messages == []


@pytest.mark.parametrize(
    ("settings", "permanent", "error"),
    [
        ({"topic": None}, True, "no topic"),
        ({"topic": ""}, True, "no topic"),
        ({"topic": "zwei Wörter"}, True, "1 to 64"),
        ({"topic": "a/../b"}, True, "1 to 64"),
        ({"url": "ftp://example.invalid"}, True, "not an http or https address"),
        ({"url": "ntfy.sh"}, True, "not an http or https address"),
        ({"url": None}, True, "not an http or https address"),
        ({"url": "http://[broken"}, True, "not an http or https address"),
        ({"url": "http://127.0.0.1:99999"}, False, "cannot reach"),
        ({"token_env": "GONE"}, False, "the variable GONE is not set"),
        ({"user_env": "ME", "password_env": "GONE"}, False, "the variable GONE is not set"),
        ({"token_env": "ODD"}, True, "the variable ODD holds U+000A, which no HTTP header can hold"),
    ],
)
def test_settings_that_cannot_work(server: Ntfy, settings: dict[str, Any], permanent: bool, error: str) -> None:
    failed = timed("ntfy", target(server, **settings), {"ME": "me", "ODD": "tk_\nx: y"})

    assert isinstance(failed, Failed)
    assert error in failed.error
    assert "tk_" not in failed.error
    assert failed.permanent == permanent
    assert server.messages == []


@pytest.mark.parametrize(
    "settings", [{"token_env": "TOKEN"}, {"user_env": "ME", "password_env": "PASSWORD"}], ids=["token", "user"]
)
def test_logins(settings: dict[str, Any]) -> None:
    environ = {"TOKEN": "tk_right\n", "ME": "jürgen", "PASSWORD": "päss:wört"}
    with Ntfy(token="tk_right", login=("jürgen", "päss:wört")) as server:
        assert isinstance(timed("ntfy", target(server, **settings), environ), Sent)
        assert isinstance(timed("ntfy", target(server)), Failed)
        wrong = timed("ntfy", target(server, token_env="TOKEN"), {"TOKEN": "tk_wrong"})

    assert wrong == Failed("401 unauthorized (unauthorized)", permanent=True)


def test_nothing_but_the_given_environment_counts(
    server: Ntfy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password netrc-secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    assert isinstance(timed("ntfy", target(server)), Sent)
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("environ", "goes_by_proxy"),
    [
        ({"http_proxy": "PROXY"}, True),
        ({"HTTP_PROXY": "PROXY"}, True),
        ({"ALL_PROXY": "PROXY"}, True),
        ({"https_proxy": "PROXY"}, False),
        ({"http_proxy": "PROXY", "no_proxy": "example.org, .invalid"}, False),
        ({"http_proxy": "PROXY", "NO_PROXY": "*"}, False),
        ({"http_proxy": "PROXY", "no_proxy": "lid,example.org"}, True),
    ],
)
def test_proxies(server: Ntfy, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], goes_by_proxy: bool) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *words, **more: real("0.0.0.0" if host == "far.invalid" else host, *words, **more),
    )
    environ = {name: value.replace("PROXY", server.url) for name, value in environ.items()}

    timed("ntfy", {"url": f"http://far.invalid:{server.port}", "topic": "runs"}, environ)

    assert server.requests[0].path.startswith("http://far.invalid" if goes_by_proxy else "/")


def test_a_redirect_is_not_followed(server: Ntfy) -> None:
    server.mode = "redirects"

    timed("ntfy", target(server, token_env="TOKEN"), {"TOKEN": "tk_x"})

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body",
    ["x" * 5000, "é" * 3000, "🚀" * 2000, '"' * 4096, "\n" * 5000, "zeile\n" * 1000, '\\"' * 4000, "\ud800" * 5000, ""],
)
def test_any_body_fits(server: Ntfy, body: str) -> None:
    message = replace(MESSAGE, body=body, title="ü" * 300, actions=())

    delivery = channels.send("ntfy", target(server), message, {}, BUDGET)

    assert isinstance(delivery, Sent), delivery
    assert server.violations == []


def test_a_message_id_of_other_characters_still_is_a_sequence(server: Ntfy) -> None:
    message = replace(MESSAGE, message_id="week 8/ü" + "x" * 80, priority=0, actions=MESSAGE.actions * 5)

    assert isinstance(channels.send("ntfy", target(server), message, {}, BUDGET), Sent)
    assert server.messages[0]["priority"] == 1


@pytest.mark.parametrize("unit", ["a", "é", "€", "🚀", "e\u0301", "e\u0301\u0323"], ids=ascii)
def test_a_cut_never_splits_a_character(unit: str) -> None:
    for offset in range(8):
        for limit in (64, 65, 66, 67):
            cut = truncate_text("." * offset + unit * 100, limit)

            assert len(cut.encode()) <= limit
            assert cut.endswith("\n…")
            kept = cut.removesuffix("\n…").lstrip(".")
            assert kept == unit * (len(kept) // len(unit))
            assert len(cut.encode()) > limit - 8


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("short", 5, "short"),
        ("one\ntwo\nthree", 13, "one\ntwo\nthree"),
        ("one\ntwo\nthree", 12, "one\ntwo\n…"),
        ("one\ntwo\nthree", 11, "one\ntwo\n…"),
        ("one two three", 12, "one two\n…"),
        ("aaaaaaaa b\nccccccc", 14, "aaaaaaaa b\n…"),
        ("one\n" + "x" * 30, 24, "one\n" + "x" * 16 + "\n…"),
        ("\n\n\n\n\n\n\n\n\n", 8, "\n…"),
        ("abcdef", 4, "abcd"),
        ("éé", 3, "é"),
        ("é", 1, ""),
        ("abc", 0, ""),
    ],
)
def test_where_a_text_is_cut(text: str, limit: int, expected: str) -> None:
    assert truncate_text(text, limit) == expected


def test_where_a_line_is_cut() -> None:
    assert truncate_line("a title of some words", 10) == "a title…"
    assert truncate_line("üüüü", 8) == "üüüü"
    assert truncate_line("üüüüü", 8) == "üü…"


def test_history_and_taking_back(server: Ntfy) -> None:
    settings = target(server, token_env="TOKEN")
    environ = {"TOKEN": "tk_x"}
    server.token = "tk_x"
    for identifier in ("run1", "run2"):
        channels.send("ntfy", settings, replace(MESSAGE, message_id=identifier), environ, BUDGET)
    channels.send("ntfy", settings, replace(MESSAGE, message_id="late", delay="30m"), environ, BUDGET)

    found = channels.poll("ntfy", settings, "1h", environ, BUDGET)

    assert isinstance(found, list)
    assert [one["sequence_id"] for one in found] == ["run1", "run2"]
    assert isinstance(channels.cancel("ntfy", settings, "late", environ, BUDGET), Sent)
    assert [one["sequence_id"] for one in server.messages if one["event"] == "message"] == ["run1", "run2"]
    server.mode = "garbage"
    assert channels.poll("ntfy", settings, "1h", environ, BUDGET) == []
    server.mode = "refused"
    assert isinstance(channels.poll("ntfy", settings, "1h", environ, BUDGET), Failed)
    assert isinstance(channels.cancel("ntfy", settings, "late", environ, BUDGET), Failed)


def test_what_a_channel_cannot_do() -> None:
    assert channels.send("pigeon", {}, MESSAGE, {}, BUDGET) == Failed(
        "there is no channel `pigeon`, only ntfy, webhook, command, apprise", permanent=True
    )
    assert channels.cancel("command", {}, "x", {}, BUDGET) == Failed(
        "a message by `command` cannot be taken back", permanent=True
    )
    assert channels.poll("webhook", {}, "1h", {}, BUDGET) == Failed("`webhook` keeps no messages", permanent=True)


@pytest.mark.parametrize("kind", channels.CHANNELS)
@pytest.mark.parametrize(
    "settings", [{}, {"url": 3, "topic": 4, "argv": 5, "url_env": 6, "headers": 7}], ids=["empty", "odd"]
)
def test_settings_of_any_kind_never_raise(kind: str, settings: dict[str, Any]) -> None:
    assert isinstance(timed(kind, settings), Failed)


# webhook


def test_a_webhook_gets_signed_json(server: Ntfy) -> None:
    settings = {"url": f"{server.url}/hook", "secret_env": "HOOK_SECRET", "headers": {"X-Place": "here"}}

    timed("webhook", settings, {"HOOK_SECRET": "geheim"})

    [seen] = server.requests
    stamp = seen.headers["x-runner-timestamp"]
    signed = hmac.new(b"geheim", stamp.encode() + b"." + seen.body, hashlib.sha256).hexdigest()
    assert seen.headers["x-runner-signature"] == f"sha256={signed}"
    assert abs(int(stamp) - time.time()) < 10
    assert seen.headers["x-place"] == "here"
    body = json.loads(seen.body)
    assert (body["message_id"], body["record"]) == (MESSAGE.message_id, MESSAGE.record)
    assert body["body"] == MESSAGE.body


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("garbage", Sent(None)),  # a webhook has no answer of its own
        ("internal_error", Failed("500 internal server error (internal server error)", permanent=False)),
        ("unauthorized", Failed("401 unauthorized (unauthorized)", permanent=True)),
    ],
)
def test_what_a_webhook_answers(server: Ntfy, mode: str, expected: Delivery) -> None:
    server.mode = mode

    assert timed("webhook", {"url_env": "HOOK"}, {"HOOK": f"{server.url}/T0/B0/secret-path"}) == expected


@pytest.mark.parametrize("missing", [{"url_env": "GONE"}, {"url": "http://127.0.0.1:9", "secret_env": "GONE"}])
def test_a_webhook_without_its_secret_is_not_sent(missing: dict[str, str]) -> None:
    assert timed("webhook", missing) == Failed("the variable GONE is not set", permanent=False)


# command


@pytest.fixture
def script(tmp_path: Path) -> Any:
    def write(text: str) -> list[str]:
        path = tmp_path / "notify.py"
        path.write_text(textwrap.dedent(text))
        return [sys.executable, "-S", str(path)]

    return write


def test_a_command_gets_the_body_and_the_rest(script: Any, tmp_path: Path) -> None:
    argv = script(
        """
        import json, os, sys
        given = {name: value for name, value in os.environ.items() if name.startswith("RUNNER_")}
        open(sys.argv[1], "w").write(json.dumps([sys.stdin.buffer.read().decode(), given, os.environ["MINE"]]))
        """
    )

    assert timed("command", {"argv": [*argv, str(tmp_path / "out")]}, {"MINE": "1"}, budget=10) == Sent(None)

    body, given, mine = json.loads((tmp_path / "out").read_text())
    assert (body, mine) == (MESSAGE.body, "1")
    assert given == {
        "RUNNER_TITLE": MESSAGE.title,
        "RUNNER_PRIORITY": "4",
        "RUNNER_TAGS": "x",
        "RUNNER_MESSAGE_ID": MESSAGE.message_id,
        "RUNNER_CLICK": MESSAGE.click,
    }


@pytest.mark.parametrize(
    ("code", "error", "permanent"),
    [
        ("sys.exit(75)", "exit 75", False),
        ("sys.exit(1)", "exit 1", False),
        ("sys.exit(126)", "exit 126", True),
        ("sys.exit(127)", "exit 127", True),
        ("sys.exit('no \\x1b[31mroute\\n to host')", "exit 1: to host", False),
        ("os.kill(os.getpid(), 9)", "SIGKILL", False),
        ("sys.stderr.write('x' * 100000); sys.exit(2)", "exit 2: " + "x" * 241 + "…", False),
    ],
)
def test_how_a_command_ends(script: Any, code: str, error: str, permanent: bool) -> None:
    argv = script(f"import os, sys\n{code}\n")

    assert timed("command", {"argv": argv}, budget=10) == Failed(error, permanent=permanent)


@pytest.mark.parametrize("words", [["/nonexistent/notify"], ["/etc/hostname"], ["no-such-command-anywhere"], ["a\0b"]])
def test_a_command_that_cannot_start(words: list[str]) -> None:
    failed = timed("command", {"argv": words}, {"PATH": "/usr/bin:/bin"})

    assert isinstance(failed, Failed)
    assert failed.permanent


def test_a_command_that_hangs_is_killed_with_its_children(script: Any, tmp_path: Path) -> None:
    argv = script(
        """
        import os, sys, time
        if os.fork() == 0:
            open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(60)
        """
    )

    failed = timed("command", {"argv": [*argv, str(tmp_path / "pid")]})

    assert failed == Failed("the command did not end within 1 s", permanent=False)
    child = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 5
    while _lives(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_command_that_leaves_a_child_is_not_waited_for(script: Any) -> None:
    argv = script("import os, time\nif os.fork() == 0: time.sleep(3)\n")

    assert timed("command", {"argv": argv}, budget=2) == Sent(None)


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return ") Z " not in stat.read()
    except OSError:
        return False


# apprise

APPRISE = """
import time
class Apprise:
    def add(self, url):
        self.url = url
        return url.startswith("double://")
    def notify(self, title, body):
        assert len(body.encode()) <= 2000 and title
        if self.url == "double://hangs":
            time.sleep(3)
        if self.url == "double://breaks":
            raise RuntimeError(self.url)
        return self.url == "double://well"
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "apprise.py").write_text(APPRISE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("apprise", None)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("double://well", Sent(None)),
        ("double://ill", Failed("apprise could not send it", permanent=False)),
        ("double://hangs", Failed("apprise gave no answer within 1 s", permanent=False)),
        ("double://breaks", Failed("the channel `apprise` broke: RuntimeError", permanent=False)),
        ("pigeon://", Failed("the variable APPRISE_URL holds no URL that apprise knows", permanent=True)),
        ("", Failed("the variable APPRISE_URL is not set", permanent=False)),
    ],
)
@pytest.mark.usefixtures("library")
def test_apprise(url: str, expected: Delivery) -> None:
    assert timed("apprise", {"url_env": "APPRISE_URL"}, {"APPRISE_URL": url}) == expected


def test_apprise_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)

    failed = timed("apprise", {"url_env": "APPRISE_URL"}, {"APPRISE_URL": "double://well"})

    assert failed == Failed("apprise is not installed: `pip install 'runner-agents[notify]'`", permanent=True)


def test_a_channel_is_imported_when_it_is_used() -> None:
    import subprocess

    code = (
        "import runner.notify.channels, sys; print({'requests', 'threading', 'subprocess', 'hmac'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=os.getcwd()
    )

    assert done.stdout == "set()\n"
