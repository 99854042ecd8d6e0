"""Commands that must succeed before an unattended run: which they are, and what became of them."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from runner.config.templates import is_test_command
from runner.mask import mask_text, secrets_of
from runner.model import Skip
from runner.process import command
from runner.process.spawn import LaunchError, find_binary
from runner.process.tree import kill_marked
from runner.text import one_line, printable
from runner.units import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    from runner.model import Invocation, JsonObject
    from runner.process.signals import Signals

    class Render(Protocol):
        """A template at its place in the configuration → text."""

        def __call__(self, word: str, *path: str | int) -> str: ...


TEST_COMMAND = ("pytest",)
_NO_TESTS = 5  # how pytest and unittest end when there are no tests
_LONGEST = 900.0  # seconds for a command, where the run itself has no timeout
_GRACE = 5.0
_OUT_LINES, _ERR_LINES = 10, 5
_TAIL_BYTES = 1 << 16


def commands(entry: JsonObject, settings: JsonObject, place: tuple[str, str], render: Render) -> Iterator[JsonObject]:
    """The preflight commands of an agent's or a task's entry, in the form that Invocation describes."""
    chosen = settings.get("test_command")
    for at, words in enumerate(entry.get("preflight") or []):
        tests = any(is_test_command(word) for word in words)
        rendered: list[str] = []
        for index, word in enumerate(words):
            if is_test_command(word):
                rendered += chosen or TEST_COMMAND
            else:
                rendered.append(render(word, *place, "preflight", at, index))
        yield {"words": rendered, "of": place[0][:-1], "tests": tests, "default": tests and not chosen}


def check(planned: Invocation, signals: Signals, say: Callable[[str], None]) -> tuple[Skip | None, list[str]]:
    """Run the commands in the checkout, with the agent's environment: why the run may not begin, and notes for it."""
    notes: list[str] = []
    done: list[list[str]] = []
    for item in planned.preflight:
        if item["words"] in done:
            continue
        say(f"preflight: {one_line(shlex.join(item['words']), 100)}")
        skip, note = _outcome(item, planned, signals)
        if skip is not None:
            return skip, notes
        done.append(item["words"])
        notes += [note] if note else []
    return None, notes


def _outcome(item: JsonObject, planned: Invocation, signals: Signals) -> tuple[Skip | None, str | None]:
    """Why this command does not let the run begin; or what is to be known of it all the same."""
    words = item["words"]
    try:
        find_binary(words[0], planned.env["PATH"], planned.cwd)
    except LaunchError:
        if item["default"]:
            return None, f"there is no `{words[0]}` here, so the preflight ran no tests (settings.test_command)"
    limit = planned.limits.timeout or _LONGEST
    try:
        child = command.start(words, planned.env, planned.cwd)
        try:
            said = command.finish(child, limit, _GRACE, lambda: bool(signals.received))
        finally:
            kill_marked(planned.run_dir)
            _reap()
    except LaunchError as error:
        return _failed(item, planned, str(error).partition(" (")[0]), None
    if said.code is None and signals.first is not None:
        message = f"the runner received signal {signals.first} during the preflight"
        return Skip("interrupted", message, 128 + signals.first), None
    if said.code == 0 or (item["tests"] and said.code == _NO_TESTS):
        return None, None
    ended = f"did not end within {format_duration(limit)}" if said.code is None else _ending(said.code)
    return _failed(item, planned, ended, *_tail(said.out, _OUT_LINES), *_tail(said.err, _ERR_LINES)), None


def _reap() -> None:
    """What daemonised away may have become a child of ours, which the run to come must not find."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _ending(code: int) -> str:
    return f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"


def _failed(item: JsonObject, planned: Invocation, *lines: str) -> Skip:
    """The first line says what happened, the others are the end of the output."""
    first, *tail = lines
    text = "\n".join((f"the {item['of']}'s preflight `{shlex.join(item['words'])}`: {first}", *tail))
    masked = mask_text(text, secrets_of(planned.env))
    return Skip("preflight", masked, for_all=item["of"] == "task")


def _tail(output: bytes, count: int) -> list[str]:
    lines = printable(output[-_TAIL_BYTES:].decode(errors="replace")).splitlines()
    return [one_line(line) for line in lines if line.strip()][-count:]
