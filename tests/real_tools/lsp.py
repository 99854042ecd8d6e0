"""As much of an editor as it takes to ask a language server: the protocol on stdin and stdout of the server."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

# What an editor's settings say: no list of schemas from the network.
SETTINGS = {"yaml": {"schemaStore": {"enable": False}, "validate": True, "completion": True, "hover": True}}
SECONDS = 60


class Editor:
    """A running server; after SECONDS it is killed, and whoever waits for it gets an EOFError."""

    def __init__(self, argv: Sequence[str], folder: Path) -> None:
        self.server = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.watchdog = threading.Timer(SECONDS, self.server.kill)
        self.watchdog.start()
        self.ids = itertools.count(1)
        self.ask(
            "initialize",
            processId=os.getpid(),
            rootUri=folder.as_uri(),
            capabilities={
                "textDocument": {"hover": {"contentFormat": ["plaintext"]}, "completion": {}},
                "workspace": {"configuration": True},
            },
        )
        self.tell("initialized")

    def close(self) -> None:
        self.watchdog.cancel()
        self.server.kill()
        self.server.communicate()

    def open(self, path: Path, text: str) -> list[dict[str, Any]]:
        """What is underlined in a file, as it stands in the editor."""
        document = {"uri": path.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self.tell("textDocument/didOpen", textDocument=document)
        found: list[dict[str, Any]] = self._until(
            lambda said: (
                said.get("method") == "textDocument/publishDiagnostics" and said["params"]["uri"] == path.as_uri()
            )
        )["params"]["diagnostics"]
        return found

    def at(self, method: str, path: Path, line: int, character: int) -> Any:
        """The answer to a question about a place; both count from 0."""
        return self.ask(method, textDocument={"uri": path.as_uri()}, position={"line": line, "character": character})

    def ask(self, method: str, **params: Any) -> Any:
        number = next(self.ids)
        self._send({"id": number, "method": method, "params": params})
        return self._until(lambda said: said.get("id") == number and "method" not in said)["result"]

    def tell(self, method: str, **params: Any) -> None:
        self._send({"method": method, "params": params})

    def _until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            said = self._receive()
            if "method" in said and "id" in said:
                self._send({"id": said["id"], "result": self._answer(said)})
            if wanted(said):
                return said

    def _answer(self, asked: dict[str, Any]) -> Any:
        if asked["method"] == "workspace/configuration":
            return [SETTINGS.get(item.get("section")) for item in asked["params"]["items"]]
        return None

    def _send(self, message: dict[str, Any]) -> None:
        assert self.server.stdin
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self.server.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self.server.stdout
        length = 0
        while line := self.server.stdout.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        if not length:
            raise EOFError("the language server has ended")
        message: dict[str, Any] = json.loads(self.server.stdout.read(length))
        return message
