"""The ntfy double keeps the published rules: a test that passes against it would pass against the server."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.doubles import ntfy
from tests.doubles.ntfy import Ntfy

if TYPE_CHECKING:
    from collections.abc import Iterator


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[Ntfy]:
    with Ntfy(clock=clock) as server:
        yield server


def ask(
    server: Ntfy, method: str = "POST", path: str = "/", body: bytes = b"", login: str | None = None
) -> tuple[int, bytes, Any]:
    headers = {"Authorization": login} if login else {}
    request = Request(server.url + path, data=body or None, method=method, headers=headers)
    try:
        with urlopen(request, timeout=10) as answer:
            return answer.status, answer.read(), answer.headers
    except HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


def publish(server: Ntfy, **fields: Any) -> int:
    status, _, _ = ask(server, body=json.dumps({"topic": "mine", **fields}, ensure_ascii=False).encode())
    return status


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 200),
        ({"message": "x" * 4096}, 200),
        ({"message": "x" * 4097}, 413),
        ({"message": "é" * 2048}, 200),
        ({"message": "é" * 2048 + "x"}, 413),
        ({"message": '"' * 4096}, 413),  # 8,192 bytes of JSON, before the other fields
        ({"topic": "a" * 64}, 200),
        ({"topic": "a" * 65}, 400),
        ({"topic": ""}, 400),
        ({"topic": "no spaces"}, 400),
        ({"topic": "a/b"}, 400),
        ({"topic": None}, 400),
        ({"priority": 1}, 200),
        ({"priority": 5}, 200),
        ({"priority": 0}, 400),
        ({"priority": 6}, 400),
        ({"priority": "high"}, 400),
        ({"tags": ["x", "warning"]}, 200),
        ({"tags": "x,warning"}, 400),
        ({"tags": [""]}, 400),
        ({"title": "Zeile\nzwei"}, 400),
        ({"title": "Prüfung 🚀"}, 200),
        ({"click": "https://example.invalid/x"}, 200),
        ({"click": "no url"}, 400),
        ({"actions": [{"action": "view", "label": "Open", "url": "https://example.invalid"}]}, 200),
        ({"actions": [{"action": "view", "label": "Open"}]}, 400),
        ({"actions": [{"action": "view", "label": "O", "url": "u"}] * 4}, 400),
        ({"delay": "9s"}, 400),
        ({"delay": "10s"}, 200),
        ({"delay": "3d"}, 200),
        ({"delay": "73h"}, 400),
        ({"delay": "1000010"}, 200),
        ({"delay": "1000009"}, 400),
        ({"delay": "soon"}, 400),
        ({"sequence_id": "20260219_175043_02"}, 200),
        ({"sequence_id": "a b"}, 400),
        ({"sequence_id": "a" * 65}, 400),
        ({"colour": "red"}, 400),
    ],
)
def test_publishing_keeps_the_rules(server: Ntfy, fields: dict[str, Any], status: int) -> None:
    assert publish(server, **fields) == status
    assert len(server.messages) == (status == 200)
    assert bool(server.violations) == (status != 200)
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"topic": "mine", "message": "\xff"}', b"x" * 8193])
def test_a_body_that_is_no_message_is_refused(server: Ntfy, body: bytes) -> None:
    status, _, _ = ask(server, body=body)

    assert status in (400, 413)
    assert not server.messages


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/mine"), ("PUT", "/mine/x"), ("GET", "/"), ("GET", "/mine/json"), ("DELETE", "/mine")],
)
def test_what_the_runner_never_means_is_refused(server: Ntfy, method: str, path: str) -> None:
    status, _, _ = ask(server, method, path)

    assert status in (400, 404)


def test_sixty_requests_at_once_then_one_in_five_seconds(server: Ntfy, clock: Clock) -> None:
    assert {publish(server) for _ in range(60)} == {200}

    status, _, headers = ask(server, body=b'{"topic": "mine"}')

    assert (status, headers["Retry-After"]) == (429, "5")
    clock.now += 5
    assert [publish(server), publish(server)] == [200, 429]
    clock.now += 3600
    assert [publish(server) for _ in range(61)].count(429) == 1


def test_a_sequence_keeps_its_revisions(server: Ntfy) -> None:
    for text in ("first", "second"):
        publish(server, message=text, sequence_id="run1")
    publish(server, message="other")

    found = server.delivered("mine")

    assert [one["message"] for one in found["run1"]] == ["first", "second"]
    assert len(found) == 2
    assert server.delivered("another") == {}


def test_a_delayed_message_comes_when_it_is_due(server: Ntfy, clock: Clock) -> None:
    publish(server, message="late", delay="30m", sequence_id="run1")
    assert server.delivered("mine") == {}

    clock.now += 1800

    assert [one["message"] for one in server.delivered("mine")["run1"]] == ["late"]


@pytest.mark.parametrize("how", ["delete", "publish"])
def test_a_delayed_message_can_be_taken_back(server: Ntfy, clock: Clock, how: str) -> None:
    publish(server, message="late", delay="30m", sequence_id="run1")
    publish(server, message="another", delay="30m", sequence_id="run2")

    if how == "delete":
        assert ask(server, "DELETE", "/mine/run1")[0] == 200
    else:
        publish(server, message="early", sequence_id="run1")

    clock.now += 1800
    found = {name: [one["message"] for one in revisions] for name, revisions in server.delivered("mine").items()}
    assert found == {"run2": ["another"], **({"run1": ["early"]} if how == "publish" else {})}


@pytest.mark.parametrize(
    ("since", "expected"),
    [("all", ["a", "b", "c"]), ("90s", ["b", "c"]), ("30s", ["c"]), ("1000060", ["b", "c"]), ("double000002", ["c"])],
)
def test_cached_messages_by_poll(server: Ntfy, clock: Clock, since: str, expected: list[str]) -> None:
    for text in "abc":
        publish(server, message=text)
        clock.now += 60
    clock.now -= 60

    _, body, _ = ask(server, "GET", f"/mine/json?poll=1&since={since}")

    assert [json.loads(line)["message"] for line in body.splitlines()] == expected
    assert ask(server, "GET", "/mine/json?poll=1&since=yesterday%20noon")[0] == 400


@pytest.mark.parametrize(
    ("given", "status"),
    [("Bearer tk_right", 200), ("Basic bWU6cMOkc3M=", 200), ("Bearer wrong", 401), (None, 403)],
)
def test_logins(given: str | None, status: int) -> None:
    with Ntfy(token="tk_right", login=("me", "päss")) as server:
        assert ask(server, body=b'{"topic": "mine"}', login=given)[0] == status
        assert ask(server, "GET", "/mine/json?poll=1", login=given)[0] == status


def test_the_mode_changes_on_a_port_that_stays(server: Ntfy) -> None:
    server.mode = "refused"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), 1)
    server.mode = "internal_error"
    assert publish(server) == 500
    server.mode = "well"

    assert publish(server) == 200
    assert [one.method for one in server.requests] == ["POST", "POST"]
    assert len(server.messages) == 1


@pytest.mark.parametrize("mode", sorted(set(ntfy.MODES) - {"well", "refused", "deaf", "silent", "slow", "endless"}))
def test_a_misbehaving_server_stores_nothing(server: Ntfy, mode: str) -> None:
    server.mode = mode

    try:
        publish(server)
    except (OSError, ValueError, AssertionError):
        pass
    except Exception as error:
        assert type(error).__name__ in ("IncompleteRead", "RemoteDisconnected")

    assert len(server.messages) == (mode == "stores_and_hangs_up")


def test_as_a_program() -> None:
    words = [sys.executable, str(Path(ntfy.__file__)), "--token", "tk_x"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            process.stdin.write("internal_error\n")
            process.stdin.flush()
            assert process.stdout.readline() == "internal_error\n"
            with pytest.raises(HTTPError) as caught:
                urlopen(Request(url, data=b'{"topic": "mine"}'), timeout=10)
            caught.value.close()
            with urlopen(f"{url}/_double/state", timeout=10) as answer:
                state = json.load(answer)
        finally:
            process.kill()

    assert [one["body"] for one in state["requests"]] == ['{"topic": "mine"}']
    assert state["messages"] == []
