"""The HTTP server: takes calls in every dialect, plays the steps of a scenario, counts what was asked and given."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn

from runner.modelserver import anthropic_messages, google_generate, openai_chat, openai_responses
from runner.modelserver.dialect import Call, Dialect, HttpAnswer
from runner.modelserver.scenario import SCENARIOS, Answer, Interrupted, Refusal, Reset, Scenario, Silence, Tokens
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from runner.model import JsonObject
    from runner.modelserver.scenario import Step

DIALECTS: tuple[Dialect, ...] = (anthropic_messages, openai_responses, openai_chat, google_generate)
LOOPBACK = "127.0.0.1"
MAX_BODY = 64 * 1024 * 1024
_NOT_FOUND = HttpAnswer(404, {}, {"error": "the scripted server does not know this path"})
_BAD_REQUEST = HttpAnswer(400, {}, {"error": "expected a JSON object with its length"})
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Exchange:
    """One request; `call` is None when it is not a model call."""

    method: str
    path: str
    call: Call | None = None


class ModelServer:
    """A server for one scenario, on loopback, from `with ModelServer("hello") as server:` to the end of the block.

    `requests` are all requests in order, `calls` the model calls among them, `prompts` the user's texts of each call
    (joined by line breaks), `answered` the calls that got a whole answer, with its tokens, `usage` the sum of those.
    An unknown scenario raises KeyError.
    """

    def __init__(self, scenario: str, *, port: int = 0) -> None:
        self._scenario: Scenario = SCENARIOS[scenario]
        self._lock = threading.Lock()
        self._http = _HttpServer((LOOPBACK, port), self)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self.requests: list[Exchange] = []
        self.answered: list[tuple[Call, Tokens]] = []

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.drop_connections()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._http.server_address[1]}"

    @property
    def calls(self) -> list[Call]:
        return [exchange.call for exchange in self.requests if exchange.call]

    @property
    def prompts(self) -> list[str]:
        return ["\n".join(call.texts) for call in self.calls]

    @property
    def usage(self) -> Tokens:
        return sum((tokens for _, tokens in self.answered), Tokens())

    def take(self, exchange: Exchange) -> tuple[int, Step | None]:
        """Count a request; return the number of its call and the step to play, None when it is not a call."""
        with self._lock:
            number = len(self.calls)
            self.requests.append(exchange)
        return number, self._scenario.step(number, exchange.call.tool_results) if exchange.call else None

    def count(self, call: Call, tokens: Tokens) -> None:
        with self._lock:
            self.answered.append((call, tokens))


class _HttpServer(ThreadingMixIn, TCPServer):
    """An HTTP server; http.server's own class looks up the name of its address when it starts."""

    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], model: ModelServer) -> None:
        self.model = model
        self.closing = threading.Event()
        self.open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def drop_connections(self) -> None:
        """End all handlers, so that server_close, which waits for them, returns."""
        self.closing.set()
        for connection in list(self.open):
            with contextlib.suppress(OSError):  # already closed
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _HttpServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)
        if self.server.closing.is_set():  # opened while the others were dropped
            self.connection.shutdown(socket.SHUT_RDWR)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # the client went away
            super().handle()

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name that the base class gave it)
        """Print nothing: `requests` has it all."""

    def do_HEAD(self) -> None:
        self._count_request()
        self._send(HttpAnswer(200, {}, {}), with_body=False)

    def do_GET(self) -> None:
        self._count_request()
        self._send(_NOT_FOUND)

    def do_POST(self) -> None:
        body = self._read_body()
        if body is None:
            self.close_connection = True
            self._count_request()
            self._send(_BAD_REQUEST)
            return
        path = self.path.partition("?")[0]
        for dialect in DIALECTS:
            if call := dialect.read(path, body):
                self._play(dialect, call)
                return
        self._count_request()
        found = next((known for dialect in DIALECTS if (known := dialect.side_answer(path, body)) is not None), None)
        self._send(_NOT_FOUND if found is None else HttpAnswer(200, {}, found))

    def _count_request(self) -> None:
        self.server.model.take(Exchange(self.command, self.path))

    def _read_body(self) -> JsonObject | None:
        """The JSON object that was sent; None for anything else."""
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            return None
        if not 0 <= length <= MAX_BODY:
            return None
        try:
            body = json.loads(self.rfile.read(length))
        except ValueError:
            return None
        return body if isinstance(body, dict) else None

    def _play(self, dialect: Dialect, call: Call) -> None:
        number, step = self.server.model.take(Exchange(self.command, self.path, call))
        match step:
            case Answer():
                self._answer(dialect, call, step, number)
            case Refusal():
                self._send(dialect.refuse(call, step, number, time.time()))
            case Interrupted():
                self._interrupt(dialect, call, step, number)
            case Silence():
                self._silence()
            case Reset():
                self._reset()

    def _answer(self, dialect: Dialect, call: Call, answer: Answer, number: int) -> None:
        # Counted before the last byte, so that a client that has read the answer finds it counted.
        if call.stream:
            self._begin_stream()
            *events, last = dialect.stream(call, answer, number)
            self._send_events(events)
            self.server.model.count(call, answer.tokens)
            self._send_events([last])
            self._end_stream()
        else:
            self.server.model.count(call, answer.tokens)
            self._send(HttpAnswer(200, {}, dialect.answer(call, answer, number)))

    def _interrupt(self, dialect: Dialect, call: Call, step: Interrupted, number: int) -> None:
        if call.stream:
            self._begin_stream()
            events = dialect.stream(call, step.answer, number)
            self._send_events(events[: max(1, round(len(events) * step.share))])
        match step.by:
            case Silence():
                self._silence()
            case Reset() if call.stream:
                self.close_connection = True  # not by RST, which could discard what was sent before
            case Reset():
                self._reset()
            case Refusal() if call.stream:
                self._send_events([dialect.stream_error(call, step.by)])
                self._end_stream()
            case Refusal():
                self._answer(dialect, call, step.answer, number)

    def _silence(self) -> None:
        self.server.closing.wait()
        self.close_connection = True

    def _reset(self) -> None:
        """Close with RST; the socket is closed once the base class closes its reading end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.connection.close()
        self.close_connection = True

    def _send(self, answer: HttpAnswer, *, with_body: bool = True) -> None:
        body = json.dumps(answer.body).encode() if with_body else b""
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _send_events(self, events: Sequence[bytes]) -> None:
        for data in events:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")
