"""The demo agent: a small program that behaves like an agent CLI, offline and without a model.

`python -m runner.demo_agent [--model NAME]` reads a prompt on stdin and prints the events of a `stream-json` CLI, one
JSON object a line. It understands five instructions, each at the beginning of a line of the prompt (a list mark aside),
with its words between backticks, and follows them one after the other in the current folder:

    Say hello …                                              it answers with a greeting
    Send one GET request to `URL` …                          it makes that request
    Create the file `NAME` … the one line `LINE` …           it writes the file
    Append the line `LINE` to the file `NAME` …              it writes the file
    Commit … with the message `MESSAGE` …                    it commits the files that were written, and no others

The first step that fails ends the work, and the answer says so. A prompt without any of these gets the answer that this
is not a model, with the last line `NOTHING TO DO: …`, which also is the answer when a file is already committed as
asked.
Tokens are words. The exit code is 0, or 1 when there is no prompt to read.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import time

TYPE_CHECKING = False  # to a type checker it is True, as the one of `typing`, which would take long to import
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

GREETING = "Hello from the offline stand-in: I follow a few fixed instructions and am no model."
NO_MODEL = "I am the offline stand-in, no model, and this prompt holds no instruction that I understand."
REQUEST_SECONDS = 10.0

_INSTRUCTION = re.compile(
    r"^[ \t]*(?:\d+[.)][ \t]+|[-*][ \t]+)?"
    r"(?:(?P<hello>Say hello\b)"
    r"|Send one GET request to `(?P<url>[^`\n]+)`"
    r"|Create the file `(?P<create>[^`\n]+)`[^`\n]* the one line `(?P<content>[^`\n]*)`"
    r"|Append the line `(?P<line>[^`\n]*)` to the file `(?P<append>[^`\n]+)`"
    r"|Commit\b[^`\n]* with the message `(?P<commit>[^`\n]+)`)",
    re.MULTILINE,
)


class StepError(Exception):
    """An instruction that failed; the message goes into the tool's result and into the answer."""


class Session:
    """What has been counted so far; every event goes to stdout as it happens."""

    def __init__(self, model: str, prompt: str) -> None:
        self.model = model
        self.session_id = _uuid()
        self.written: list[str] = []
        self._started = time.monotonic()
        self._prompt_words = len(prompt.split())
        self._turns = 0
        self._words = 0

    def begin(self) -> None:
        self._emit(
            "system",
            subtype="init",
            cwd=os.getcwd(),
            tools=["Bash", "WebFetch", "Write"],
            mcp_servers=[],
            model=self.model,
            permissionMode="bypassPermissions",
        )

    def use(self, tool: str, arguments: dict[str, str], action: Callable[[], str]) -> str:
        """Announce a tool's use, do it, report its result; a StepError is reported and raised again."""
        use_id = f"toolu_{os.urandom(8).hex()}"
        words = sum(len(value.split()) for value in arguments.values())
        self._turn({"type": "tool_use", "id": use_id, "name": tool, "input": arguments}, words)
        try:
            result = action()
        except StepError as error:
            self._tool_result(use_id, str(error), is_error=True)
            raise
        self._tool_result(use_id, result, is_error=False)
        return result

    def end(self, answer: str) -> None:
        self._turn({"type": "text", "text": answer}, len(answer.split()))
        tokens = self._usage(self._turns * self._prompt_words, self._words)
        self._emit(
            "result",
            subtype="success",
            is_error=False,
            api_error_status=None,
            duration_ms=round((time.monotonic() - self._started) * 1000),
            duration_api_ms=0,
            num_turns=self._turns,
            result=answer,
            stop_reason="end_turn",
            total_cost_usd=0,
            usage=tokens,
            modelUsage={
                self.model: {
                    "inputTokens": tokens["input_tokens"],
                    "outputTokens": tokens["output_tokens"],
                    "cacheReadInputTokens": 0,
                    "cacheCreationInputTokens": 0,
                    "costUSD": 0,
                }
            },
            permission_denials=[],
            terminal_reason="completed",
        )

    def _turn(self, block: dict[str, Any], words: int) -> None:
        """Emit what a model would answer in one call; each call reads the whole prompt."""
        self._turns += 1
        self._words += words
        message = {
            "id": f"msg_{os.urandom(8).hex()}",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [block],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self._usage(self._prompt_words, words),
        }
        self._emit("assistant", message=message, parent_tool_use_id=None)

    def _tool_result(self, use_id: str, content: str, *, is_error: bool) -> None:
        block = {"tool_use_id": use_id, "type": "tool_result", "content": content, "is_error": is_error}
        self._emit("user", message={"role": "user", "content": [block]}, parent_tool_use_id=None)

    @staticmethod
    def _usage(input_tokens: int, output_tokens: int) -> dict[str, int]:
        return {
            "input_tokens": input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": output_tokens,
        }

    def _emit(self, kind: str, **values: Any) -> None:
        event = {"type": kind, **values, "session_id": self.session_id, "uuid": _uuid()}
        line = json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n"
        sys.stdout.buffer.write(line.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()


def _uuid() -> str:
    digits = os.urandom(16).hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def main(arguments: Sequence[str]) -> int:
    match arguments:
        case []:
            model = "no-model"
        case ["--model", model]:
            pass
        case _:
            sys.stderr.write("Error: usage: python -m runner.demo_agent [--model NAME] < PROMPT\n")
            return 1
    prompt = _read_prompt()
    if not prompt.strip():
        sys.stderr.write("Error: no prompt on stdin\n")
        return 1
    session = Session(model, prompt)
    session.begin()
    session.end(_follow(session, prompt))
    return 0


def _read_prompt() -> str:
    try:
        with open(0, "rb", closefd=False) as stdin:
            return stdin.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _follow(session: Session, prompt: str) -> str:
    """Follow the prompt's instructions; return the answer, one line a step."""
    lines: list[str] = []
    try:
        lines.extend(_step(session, found) for found in _INSTRUCTION.finditer(prompt))
    except StepError as error:
        lines.append(f"Stopped: {error}")
    return "\n".join(lines) or f"{NO_MODEL}\nNOTHING TO DO: this prompt needs a model"


def _step(session: Session, found: re.Match[str]) -> str:
    if found["hello"]:
        return GREETING
    if url := found["url"]:
        return session.use("WebFetch", {"url": url}, lambda: _get(url))
    if message := found["commit"]:
        return _commit(session, message)
    if name := found["create"]:
        return _write(session, name, found["content"], "w")
    return _write(session, found["append"], found["line"], "a")


def _write(session: Session, name: str, line: str, mode: str) -> str:
    def write() -> str:
        try:
            with open(_inside(name), mode, encoding="utf-8", errors="replace") as file:
                file.write(line + "\n")
        except OSError as error:
            raise StepError(f"{name}: {error.strerror}") from None
        return "written"

    session.use("Write", {"file_path": name, "content": line}, write)
    session.written.append(name)
    return f"{name} holds the line."


def _inside(name: str) -> str:
    """The path of a file below the current folder, links resolved."""
    folder = os.path.realpath(os.curdir)
    path = os.path.realpath(name)
    if os.path.commonpath((folder, path)) != folder:
        raise StepError(f"{name}: not below the current folder")
    return path


def _commit(session: Session, message: str) -> str:
    names = session.written
    if not names:
        raise StepError("there is nothing to commit: no file was written before")
    _git(session, "add", "--", *names)
    if not _git(session, "status", "--porcelain", "--", *names):
        return f"NOTHING TO DO: {' '.join(names)} is committed already as asked"
    _git(session, "commit", "--quiet", "-m", message, "--", *names)
    return f"Committed {' '.join(names)}: {message}"


def _git(session: Session, *arguments: str) -> str:
    argv = ("git", *arguments)
    return session.use("Bash", {"command": shlex.join(argv)}, lambda: _run(argv))


def _run(argv: tuple[str, ...]) -> str:
    """Output of a command, stderr included. By posix_spawn: importing subprocess takes longer than all else here."""
    reader, writer = os.pipe()
    output = [(os.POSIX_SPAWN_DUP2, writer, 1), (os.POSIX_SPAWN_DUP2, writer, 2)]
    with open(reader, "rb") as stream:
        try:
            pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=output)
        except OSError as error:
            raise StepError(f"{argv[0]}: {error.strerror}") from None
        finally:
            os.close(writer)
        text = stream.read().decode("utf-8", "replace").strip()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        raise StepError(text or f"{argv[0]} ended with {code}")
    return text


def _get(url: str) -> str:
    from http.client import HTTPException  # noqa: PLC0415 - slower than all the rest, for few prompts
    from urllib.error import HTTPError  # noqa: PLC0415 - the same
    from urllib.request import urlopen  # noqa: PLC0415 - the same

    if not url.startswith(("http://", "https://")):
        raise StepError(f"{url} is not an http address")
    try:
        with urlopen(url, timeout=REQUEST_SECONDS) as response:  # noqa: S310  (the scheme is checked above)
            return f"{url} answered {response.status}."
    except HTTPError as error:
        return f"{url} answered {error.code}."
    except (OSError, HTTPException, ValueError) as error:
        raise StepError(f"{url} did not answer: {error}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
