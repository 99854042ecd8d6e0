"""A dead man's switch on loopback, as healthchecks.io has it: it keeps the pings."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class Pings:
    """`with Pings() as server:`; `received` has the path and body of each ping, `status` is the answer."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str]] = []
        self.status = 200
        pings = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
                pings.received.append((self.path, body))
                self.send_response(pings.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/ping/uuid"

    @property
    def signals(self) -> list[str]:
        return [path.removeprefix("/ping/uuid") for path, _ in self.received]

    def __enter__(self) -> Pings:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, _kind: type | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


class BlackHole:
    """Accepts connections and never answers; `connections` counts them."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/ping/uuid"
        self._taken: list[socket.socket] = []

    @property
    def connections(self) -> int:
        return len(self._taken)

    def __enter__(self) -> BlackHole:
        threading.Thread(target=self._take, daemon=True).start()
        return self

    def _take(self) -> None:
        try:
            while True:
                self._taken.append(self._socket.accept()[0])
        except OSError:
            pass

    def __exit__(self, _kind: type | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for taken in self._taken:
            taken.close()
