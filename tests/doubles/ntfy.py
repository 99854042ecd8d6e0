"""A strict ntfy server on loopback, from the published rules, that can be made to misbehave while it runs.

In a test: `with Ntfy() as server: ... server.mode = "silent" ... server.messages`. As a program: `python
tests/doubles/ntfy.py [--tls FOLDER] [--token T] [--burst N] [--replenish S]` prints its URL, takes modes on stdin, one a
line, and answers `GET /_double/state` with what it holds.

Stricter than the real one: what that accepts and we never mean to send (an unknown field, a message that would become
an attachment) is an error here, and is kept in `violations`.
"""

from __future__ import annotations

import argparse
import json
import re
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from base64 import b64encode
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

MESSAGE_LIMIT, REQUEST_LIMIT = 4096, 8192
DELAYS = (10, 3 * 86400)
NAME = re.compile(r"[-_A-Za-z0-9]{1,64}")
FIELDS = {"topic", "title", "message", "tags", "priority", "click", "actions", "delay", "sequence_id"}
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
MODES = (
    "well",
    "refused",  # nothing listens
    "deaf",  # the connection is accepted by the system, and not read
    "silent",  # the request is read, and not answered
    "slow",  # one byte of the answer a second
    "internal_error",  # 500
    "bad_gateway",  # 502 with HTML
    "unavailable",  # 503 with Retry-After as a date
    "limited",  # 429 with Retry-After
    "unauthorized",  # 401
    "forbidden",  # 403
    "not_found",  # 404
    "too_large",  # 413
    "hangs_up",  # the connection ends before an answer
    "closes_midway",  # … and in the middle of one
    "garbage",  # 200 with HTML, as a captive portal answers
    "no_id",  # 200 with JSON that is not a message
    "redirects",  # 302 to another host
    "endless",  # 200 with a body that does not end
    "stores_and_hangs_up",  # the one case in which a duplicate is right: it has the message and gave no answer
)
REFUSALS: dict[str, tuple[int, dict[str, Any]]] = {
    "internal_error": (500, {"code": 50001, "http": 500, "error": "internal server error"}),
    "limited": (429, {"code": 42901, "http": 429, "error": "limit reached: too many requests"}),
    "unauthorized": (401, {"code": 40101, "http": 401, "error": "unauthorized"}),
    "forbidden": (403, {"code": 40301, "http": 403, "error": "forbidden"}),
    "not_found": (404, {"code": 40401, "http": 404, "error": "page not found"}),
    "too_large": (413, {"code": 41301, "http": 413, "error": "attachment too large"}),
}
HTML = b"<html><head><title>Log in</title></head><body>Welcome to the hotel's network</body></html>"


class RefusalError(Exception):
    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


@dataclass
class Seen:
    """One request, whatever became of it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Ntfy:
    """The server. `messages` are the accepted publications in order, `requests` everything that came."""

    token: str | None = None
    login: tuple[str, str] | None = None
    tls: Path | None = None
    burst: int = 60
    replenish: float = 5.0
    retry_after: str = "5"
    clock: Callable[[], float] = time.time
    port: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list)
    requests: list[Seen] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._mode = "well"
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._over = threading.Event()
        self._tokens, self._filled = float(self.burst), self.clock()
        self._server: _Server | None = None
        self._context = _certificate(self.tls) if self.tls else None
        self._counter = 0

    def __enter__(self) -> Ntfy:
        self._listen()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._close()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def mode(self) -> str:
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        assert mode in MODES, mode
        with self._lock:
            self._mode = mode
        if mode == "refused":
            self._close()
        else:
            self._listen()

    def delivered(self, topic: str) -> dict[str, list[dict[str, Any]]]:
        """What subscribers of a topic have got: sequence id → its revisions, the last one being shown."""
        found: dict[str, list[dict[str, Any]]] = {}
        with self._lock:
            for message in self.messages:
                if message["topic"] == topic and message["event"] == "message" and message["time"] <= self.clock():
                    found.setdefault(message["sequence_id"], []).append(message)
        return found

    def wait_for(self, count: int, timeout: float = 10.0) -> None:
        """Until so many messages were accepted."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.messages) >= count, timeout), len(self.messages)

    def state(self) -> dict[str, Any]:
        with self._lock:
            seen = [
                {"method": one.method, "path": one.path, "body": one.body.decode(errors="replace")}
                for one in self.requests
            ]
            return {"mode": self._mode, "messages": self.messages, "requests": seen, "violations": self.violations}

    # What a server does with a request that it means to answer well.

    def handle(self, seen: Seen) -> bytes:
        with self._lock:
            self._take_token()
            parts = urlsplit(seen.path)
            words = parts.path.strip("/").split("/")
            if seen.method in ("POST", "PUT") and parts.path == "/":
                fields = self._fields(seen.body)
                self._authorize(seen)
                return _line(self._publish(fields))
            if not NAME.fullmatch(words[0]):
                raise RefusalError(404, 40401, "page not found")
            self._authorize(seen)
            if seen.method == "GET" and words[1:] == ["json"]:
                return b"".join(_line(one) for one in self._poll(words[0], parse_qs(parts.query)))
            if seen.method == "DELETE" and len(words) == 2 and NAME.fullmatch(words[1]):
                return _line(self._delete(*words))
            self.violations.append(f"{seen.method} {seen.path}")
            raise RefusalError(404, 40401, "page not found")

    def _take_token(self) -> None:
        now = self.clock()
        self._tokens = min(float(self.burst), self._tokens + (now - self._filled) / self.replenish)
        self._filled = now
        if self._tokens < 1:
            raise RefusalError(429, 42901, "limit reached: too many requests, please be nice")
        self._tokens -= 1

    def _authorize(self, seen: Seen) -> None:
        given = seen.headers.get("authorization")
        wanted = []
        if self.token:
            wanted.append(f"Bearer {self.token}")
        if self.login:
            wanted.append("Basic " + b64encode(":".join(self.login).encode()).decode())
        if given is not None and given not in wanted:
            raise RefusalError(401, 40101, "unauthorized")
        if wanted and given is None:
            raise RefusalError(403, 40301, "forbidden")

    def _fields(self, body: bytes) -> dict[str, Any]:
        if len(body) > REQUEST_LIMIT:
            self._refuse(413, 41303, "JSON body too large")
        try:
            fields = json.loads(body.decode())
        except ValueError:
            self._refuse(400, 40024, "request body must be valid JSON")
        if not isinstance(fields, dict):
            self._refuse(400, 40017, "request body must be message JSON")
        found: dict[str, Any] = fields
        return found

    def _publish(self, fields: dict[str, Any]) -> dict[str, Any]:
        self._check(fields)
        now = self.clock()
        due = now if fields.get("delay") is None else self._due(str(fields["delay"]), now)
        identifier = self._identifier()
        sequence_id = fields.get("sequence_id", identifier)
        # A message that waits for its delay is replaced by the next one of its sequence.
        self._forget_waiting(fields["topic"], sequence_id)
        kept: dict[str, Any] = {
            name: fields[name] for name in ("topic", "title", "tags", "priority", "click", "actions") if name in fields
        }
        message: dict[str, Any] = {
            "id": identifier,
            "sequence_id": sequence_id,
            "time": due,
            "event": "message",
            "message": fields.get("message") or "triggered",
            **kept,
        }
        self._add(message)
        return message

    def _delete(self, topic: str, sequence_id: str) -> dict[str, Any]:
        self._forget_waiting(topic, sequence_id)
        event = {
            "id": self._identifier(),
            "sequence_id": sequence_id,
            "time": self.clock(),
            "event": "message_delete",
            "topic": topic,
        }
        self._add(event)
        return event

    def _poll(self, topic: str, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        if query.get("poll") != ["1"]:
            self._refuse(400, 40000, "this double knows no subscriptions, only poll=1")
        since = query.get("since", ["all"])[0]
        now = self.clock()
        ours = [one for one in self.messages if one["topic"] == topic and one["time"] <= now]
        if since == "all":
            return ours
        if any(one["id"] == since for one in ours):
            index = next(index for index, one in enumerate(ours) if one["id"] == since)
            return ours[index + 1 :]
        duration = _duration(since)
        if duration is None and not since.isdecimal():
            self._refuse(400, 40008, "invalid since parameter")
        earliest = now - duration if duration is not None else float(since)
        return [one for one in ours if one["time"] >= earliest]

    def _check(self, fields: dict[str, Any]) -> None:
        if unknown := set(fields) - FIELDS:
            self._refuse(400, 40017, f"unknown fields {sorted(unknown)}")
        if not isinstance(fields.get("topic"), str) or not NAME.fullmatch(fields["topic"]):
            self._refuse(400, 40009, "topic invalid")
        for name in ("message", "title", "click", "delay"):
            if name in fields and not isinstance(fields[name], str):
                self._refuse(400, 40017, f"{name} must be a string")
        if len(fields.get("message", "").encode(errors="replace")) > MESSAGE_LIMIT:
            self._refuse(413, 41301, "the message would become an attachment")
        if (
            re.search(r"[\x00-\x08\x0a-\x1f\ud800-\udfff]", fields.get("title", ""))
            or len(fields.get("title", "")) > 250
        ):
            self._refuse(400, 40057, "title invalid")
        priority = fields.get("priority", 3)
        if not isinstance(priority, int) or isinstance(priority, bool) or not 1 <= priority <= 5:
            self._refuse(400, 40007, "invalid priority parameter")
        tags = fields.get("tags", [])
        if not isinstance(tags, list) or not all(isinstance(tag, str) and tag and "," not in tag for tag in tags):
            self._refuse(400, 40058, "tags must be a list of words")
        if not re.fullmatch(r"(?:[a-z][a-z0-9+.-]*:.+)?", fields.get("click", "")):
            self._refuse(400, 40017, "click is not a URL")
        if "sequence_id" in fields and not NAME.fullmatch(str(fields["sequence_id"])):
            self._refuse(400, 40049, "sequence id invalid")
        self._check_actions(fields.get("actions", []))

    def _check_actions(self, actions: Any) -> None:
        if not isinstance(actions, list) or len(actions) > 3:
            self._refuse(400, 40018, "actions invalid: too many")
        for action in actions:
            kind = action.get("action") if isinstance(action, dict) else None
            if kind not in ("view", "http", "broadcast", "copy") or not action.get("label"):
                self._refuse(400, 40018, "actions invalid: action and label are required")
            if kind in ("view", "http") and not action.get("url"):
                self._refuse(400, 40018, "actions invalid: url is required")

    def _due(self, delay: str, now: float) -> float:
        seconds = _duration(delay)
        if seconds is None:
            if not delay.isdecimal():
                self._refuse(400, 40004, "unable to parse delay")
            seconds = int(delay) - now
        if seconds < DELAYS[0]:
            self._refuse(400, 40005, "invalid delay parameter: too small")
        if seconds > DELAYS[1]:
            self._refuse(400, 40006, "invalid delay parameter: too large")
        return now + seconds

    def _forget_waiting(self, topic: str, sequence_id: str) -> None:
        now = self.clock()
        for one in [one for one in self.messages if one["time"] > now]:
            if (one["topic"], one["sequence_id"]) == (topic, sequence_id):
                self.messages.remove(one)

    def _add(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        self._changed.notify_all()

    def _identifier(self) -> str:
        self._counter += 1
        return f"double{self._counter:06}"

    def _refuse(self, status: int, code: int, text: str) -> None:
        self.violations.append(text)
        raise RefusalError(status, code, text)

    # The connection.

    def _listen(self) -> None:
        if self._server is None:
            self._server = _Server(("127.0.0.1", self.port), _Handler)
            self._server.double = self
            self.port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    double: Ntfy

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        connection.settimeout(30)
        return connection, address

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away, or does not trust the certificate, is not an error of a test."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def setup(self) -> None:
        double = self.server.double
        if double._context is not None:
            self.request = double._context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.request.close()

    def handle(self) -> None:
        if self.server.double.mode == "deaf":
            self._hold()
        else:
            self.handle_one_request()

    def _serve(self) -> None:
        double = self.server.double
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/_double/state":
            self._answer(200, json.dumps(double.state()).encode())
            return
        if self.command in ("POST", "PUT") and "Content-Length" not in self.headers:
            double.violations.append("no Content-Length")
        if len(body) < int(self.headers.get("Content-Length") or 0):
            return  # the client gave up: no server takes half a request
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.command, self.path, headers, body)
        with double._lock:
            double.requests.append(seen)
            mode = double.mode
        _MISBEHAVIOURS.get(mode, _Handler._well)(self, seen)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the library's names

    def _well(self, seen: Seen) -> None:
        status, headers, body = self._result(seen)
        self._answer(status, body, **headers)

    def _result(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        mode = self.server.double.mode
        try:
            if mode in REFUSALS:
                status, error = REFUSALS[mode]
                raise RefusalError(status, error["code"], error["error"])
            return 200, {}, self.server.double.handle(seen)
        except RefusalError as error:
            headers = {"Retry-After": self.server.double.retry_after} if error.status == 429 else {}
            text = {"code": error.code, "http": error.status, "error": error.text}
            return error.status, headers, _line(text)

    def _answer(self, status: int, body: bytes, content_type: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def _html(self, status: int) -> None:
        self._answer(status, HTML, "text/html")

    def _hold(self) -> None:
        """Until the client goes, or the test is over."""
        mode = self.server.double.mode
        while self.server.double.mode == mode and not self.server.double._over.wait(0.02):
            pass
        self.close_connection = True

    def _slow(self) -> None:
        line = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{"id": "never read to its end by any one"}'
        for byte in line:
            self.wfile.write(bytes([byte]))
            if self.server.double._over.wait(1.0):
                break
        self.close_connection = True

    def _midway(self) -> None:
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n" + b'{"id": "doub'
        )
        self.close_connection = True

    def _endless(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while not self.server.double._over.is_set():
            self.wfile.write(b"x" * 65536)

    def _hang_up(self, seen: Seen | None = None) -> None:
        if seen is not None:
            self._result(seen)
        self.close_connection = True

    def log_message(self, *arguments: object) -> None:
        """Quiet."""


_MISBEHAVIOURS: dict[str, Callable[[_Handler, Seen], None]] = {
    "silent": lambda handler, _: handler._hold(),
    "slow": lambda handler, _: handler._slow(),
    "bad_gateway": lambda handler, _: handler._html(502),
    "unavailable": lambda handler, _: handler._answer(
        503, HTML, "text/html", **{"Retry-After": handler.date_time_string(int(time.time()) + 60)}
    ),
    "hangs_up": lambda handler, _: handler._hang_up(),
    "closes_midway": lambda handler, _: handler._midway(),
    "garbage": lambda handler, _: handler._html(200),
    "no_id": lambda handler, _: handler._answer(200, b'{"success": true}'),
    "redirects": lambda handler, _: handler._answer(302, HTML, "text/html", Location="http://portal.invalid/login"),
    "endless": lambda handler, _: handler._endless(),
    "stores_and_hangs_up": lambda handler, seen: handler._hang_up(seen),
}


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _duration(text: str) -> float | None:
    """`30s`, `10m`, `2 hours`; None for anything else."""
    found = re.fullmatch(r"(\d+)\s*(s|m|h|d)(?:ec\w*|in\w*|our\w*|ay\w*)?", text)
    return int(found[1]) * UNITS[found[2]] if found else None


def _certificate(folder: Path) -> ssl.SSLContext:
    """A self-signed certificate, made on the spot: a key in the repository would be one more secret."""
    key, certificate = folder / "double.key", folder / "double.pem"
    if not certificate.exists():
        words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
        subject = ["-addext", "subjectAltName=IP:127.0.0.1"]
        subprocess.run(
            ["openssl", *words.split(), *subject, "-keyout", key, "-out", certificate], check=True, capture_output=True
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token")
    parser.add_argument("--tls", type=Path)
    parser.add_argument("--burst", type=int, default=60)
    parser.add_argument("--replenish", type=float, default=5.0)
    with Ntfy(**vars(parser.parse_args())) as server:
        print(server.url, flush=True)
        for line in sys.stdin:
            server.mode = line.strip()
            print(server.mode, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
