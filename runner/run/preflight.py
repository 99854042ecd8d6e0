"""Commands that must succeed before an unattended run: which they are, and what became of them."""

from __future__ import annotations

import shlex

from runner.config.templates import is_test_command
from runner.mask import mask_text, secrets_of
from runner.model import Skipped
from runner.process import capture
from runner.process.spawn import LaunchError, find_binary
from runner.process.tree import kill_marked
from runner.text import one_line, printable
from runner.units import format_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
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
_TAIL_LENGTH = 1 << 16
_COMMAND, _LAST = 60, 80  # characters that are shown of a command, and of its last line


def commands(
    entries: Mapping[tuple[str, str], JsonObject], settings: JsonObject, render: Render
) -> tuple[JsonObject, ...]:
    """The preflight commands of an agent's and a task's entry, by place, in the form that Invocation describes."""
    return tuple(item for place, entry in entries.items() for item in _commands(entry, settings, place, render))


def _commands(entry: JsonObject, settings: JsonObject, place: tuple[str, str], render: Render) -> Iterator[JsonObject]:
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


def check(planned: Invocation, signals: Signals, say: Callable[[str], None]) -> list[str]:
    """Run the commands in the checkout, with the agent's environment; notes for the run's record. Raises Skipped."""
    secrets = secrets_of(planned.env)
    notes: list[str] = []
    done: list[list[str]] = []
    for item in planned.preflight:
        if item["words"] in done:
            continue
        # Masked before it is cut, so that no half of a secret is left.
        shown = one_line(mask_text(shlex.join(item["words"]), secrets), _COMMAND)
        say(f"preflight: {shown}")
        if item["default"] and not _is_there(item["words"][0], planned):
            notes.append(f"there is no `{TEST_COMMAND[0]}` here, so the preflight ran no tests (settings.test_command)")
            continue
        ended, said = run_command(item["words"], planned, signals)
        if signals.first is not None:
            message = f"the runner received signal {signals.first} during the preflight"
            raise Skipped("interrupted", message, 128 + signals.first)
        if ended is not None and not (item["tests"] and said is not None and said.code == _NO_TESTS):
            tail = tail_of(said, secrets) if said else []
            last = one_line(tail[-1].strip("=-_ "), _LAST) if tail else ""
            first = f"the {item['of']}'s preflight {ended}: `{shown}`" + (f": {last}" if last else "")
            raise Skipped("preflight", "\n".join((first, *tail)), for_all=item["of"] == "task")
        done.append(item["words"])
    return notes


def _is_there(name: str, planned: Invocation) -> bool:
    try:
        find_binary(name, planned.env["PATH"], planned.cwd)
    except LaunchError:
        return False
    return True


def run_command(words: list[str], planned: Invocation, signals: Signals) -> tuple[str | None, capture.Said | None]:
    """How it failed, None when it did not; and what it printed, where it was started. No process of it is left."""
    limit = planned.limits.timeout or _LONGEST
    try:
        child = capture.start(words, planned.env, planned.cwd)
    except LaunchError as error:
        # Without the folders of PATH, which may be many.
        return f"could not be started ({str(error).partition(' (')[0]})", None
    try:
        said = capture.finish(child, limit, _GRACE, lambda: bool(signals.received))
    finally:
        kill_marked(planned.run_dir)
    if said.code is None:
        return f"did not end within {format_duration(limit)}", said
    if said.code < 0:
        return f"was ended by signal {-said.code}", said
    return f"ended with exit code {said.code}" if said.code else None, said


def tail_of(said: capture.Said, secrets: list[bytes]) -> list[str]:
    """The end of stdout, then of stderr."""
    return [
        line
        for output, count in ((said.out, _OUT_LINES), (said.err, _ERR_LINES))
        for line in _last(output, count, secrets)
    ]


def _last(output: bytes, count: int, secrets: list[bytes]) -> list[str]:
    text = mask_text(output.decode(errors="replace"), secrets)[-_TAIL_LENGTH:]
    return [one_line(line) for line in printable(text).splitlines() if line.strip()][-count:]
