"""A dialect, the API of a provider: one module with the functions of `Dialect`, listed in `server.DIALECTS`.

Pure: no clock, no socket.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Protocol

from runner.modelserver.scenario import Answer, Refusal
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runner.model import JsonObject

CREATED = 1_700_000_000  # the time of creation in answers; no client reads it
_SHELL_NAME = re.compile(r"bash|shell|exec_command", re.IGNORECASE)
_COMMAND_ARGUMENTS = ("command", "cmd")


@dataclass(frozen=True)
class ShellTool:
    """The tool that a call offers for commands, and the name of the argument that takes the command."""

    name: str
    argument: str


@dataclass(frozen=True)
class Call:
    """One model call, the same for every dialect. `texts` are the user's texts in the conversation, in order."""

    model: str
    stream: bool
    texts: tuple[str, ...]
    tool_results: int
    shell: ShellTool | None


@dataclass(frozen=True)
class ShellUse:
    name: str
    arguments: JsonObject


@dataclass(frozen=True)
class HttpAnswer:
    status: int
    headers: Mapping[str, str]
    body: JsonObject


class Dialect(Protocol):
    """`number` is the call's number, for ids; `now` is seconds since the epoch."""

    def read(self, path: str, body: JsonObject) -> Call | None:
        """Read a call; None for a path that this dialect does not have."""

    def side_answer(self, path: str, body: JsonObject) -> JsonObject | None:
        """Answer a request that is not a model call, such as counting tokens; None for any other path."""

    def answer(self, call: Call, answer: Answer, number: int) -> JsonObject:
        """Return the whole answer, for a call that does not stream."""

    def stream(self, call: Call, answer: Answer, number: int) -> list[bytes]:
        """Return the same as server-sent events, to be sent one by one."""

    def refuse(self, call: Call, refusal: Refusal, number: int, now: float) -> HttpAnswer:
        """Return the HTTP error."""

    def stream_error(self, call: Call, refusal: Refusal) -> bytes:
        """Return the error as an event within a stream."""


def find_shell(tools: Iterable[tuple[str, Mapping[str, Any]]]) -> ShellTool | None:
    """Find the shell tool among (name, JSON schema of the arguments)."""
    for name, schema in tools:
        properties = schema.get("properties") or {}
        argument = next((known for known in _COMMAND_ARGUMENTS if known in properties), None)
        if argument and _SHELL_NAME.search(name):
            return ShellTool(name, argument)
    return None


def shell_use(call: Call, answer: Answer) -> ShellUse | None:
    """The tool call of an answer with a command; None without a command, or without a tool for it."""
    if answer.command is None or call.shell is None:
        return None
    return ShellUse(call.shell.name, {call.shell.argument: answer.command})


def halves(text: str) -> tuple[str, str]:
    """Split a text into two pieces, so that clients have to join them."""
    return text[: len(text) // 2], text[len(text) // 2 :]


def words_in(texts: Iterable[str]) -> int:
    return sum(len(text.split()) for text in texts)


def data_event(data: JsonObject) -> bytes:
    return f"data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def event(name: str, data: JsonObject) -> bytes:
    return f"event: {name}\n".encode() + data_event(data)
