"""The verdict does not depend on who listens: full, closed, broken and stopped outputs, for what acts and what prints."""

from __future__ import annotations

import contextlib
import os
import pty
import socket
import termios
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.hostile.strike import Hostile, Struck, strike

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.helpers import Project

IO, PIPE = 74, 141


def full() -> Iterator[int]:
    yield os.open("/dev/full", os.O_WRONLY)


def reader_gone() -> Iterator[int]:
    read, write = os.pipe()
    os.close(read)
    yield write


def peer_gone() -> Iterator[int]:
    here, there = socket.socketpair()
    there.close()
    yield here.detach()


def not_writable() -> Iterator[int]:
    yield os.open(os.devnull, os.O_RDONLY)


def terminal_gone() -> Iterator[int]:
    master, slave = pty.openpty()
    os.close(master)
    yield slave


def terminal_stopped() -> Iterator[int]:
    """Somebody pressed control-S."""
    master, slave = pty.openpty()
    termios.tcflow(slave, termios.TCOOFF)
    yield slave
    os.close(master)


def _fill(fd: int) -> None:
    os.set_blocking(fd, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(fd, b"x" * 4096)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(fd, b"x")


def nobody_reads() -> Iterator[int]:
    read, write = os.pipe()
    _fill(write)
    os.set_blocking(write, True)
    yield write
    os.close(read)


def read_late() -> Iterator[int]:
    """Non-blocking, full at first, and then read to its end."""
    read, write = os.pipe()
    _fill(write)

    def drain() -> None:
        time.sleep(1)
        while os.read(read, 1 << 16):
            pass
        os.close(read)

    thread = threading.Thread(target=drain)
    thread.start()
    yield write
    thread.join()


CODES: dict[Callable[[], Iterator[int]], int] = {
    full: IO,
    reader_gone: PIPE,
    peer_gone: PIPE,
    not_writable: IO,
    terminal_gone: IO,
    read_late: 0,
}
SINKS = [*CODES, terminal_stopped, nobody_reads]
GOOD = ("run", "double", "free")
ASLEEP = ("run", "double", "free", "--var", "mode=hang", "--timeout", "1s")
FAILED = Hostile(
    "failed", words=(*GOOD, "--var", "mode=exit_with", "--set", "argument=3"), code=1, reason="agent_error"
)
JSON = Hostile("json", words=(*GOOD, "--json"))
LATE = Hostile("timeout", words=ASLEEP, code=11, reason="timeout")


def struck(project: Project, case: Hostile, sink: Callable[[], Iterator[int]], *streams: str) -> Struck:
    opened = sink()
    fd = next(opened)
    try:
        options: dict[str, Any] = {**case.options, **dict.fromkeys(streams, fd)}
        done = strike(project, replace(case, options=options))
    finally:
        os.close(fd)
        next(opened, None)
    return done


@pytest.mark.parametrize("sink", SINKS, ids=lambda sink: sink.__name__)
@pytest.mark.parametrize("case", [Hostile("good"), FAILED, LATE], ids=str)
def test_a_run_with_nobody_at_its_stderr(project: Project, case: Hostile, sink: Callable[[], Iterator[int]]) -> None:
    assert (case.words[0], struck(project, case, sink, "stderr").done.stdout.split(":")[0]) != ("run", "")


@pytest.mark.parametrize("sink", CODES, ids=lambda sink: sink.__name__)
@pytest.mark.parametrize("case", [Hostile("good"), FAILED, JSON], ids=str)
def test_a_run_with_nobody_at_both(project: Project, case: Hostile, sink: Callable[[], Iterator[int]]) -> None:
    record = struck(project, case, sink, "stdout", "stderr").record
    assert record is not None
    assert record["ended_at"]
    assert record["notification"]["state"] == "delivered"


def ran(project: Project) -> None:
    assert project(*GOOD).returncode == 0


PRINTING = [
    ("runs",), ("runs", "--json"), ("show", "last"), ("why", "last"), ("logs", "last"), ("logs", "last", "--stdout"),
    ("ps",), ("agents",), ("tasks", "show", "free"), ("stats", "--csv"), ("triage",), ("notify", "list"),
    ("schema", "runs"), ("validate",), ("--help",), ("run", "--help"), ("--version",), ("completion", "bash"),
    ("run", "double", "free", "--dry-run"), ("parse", "double", "README"),
]  # fmt: skip


@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_what_only_prints_ends_as_cat_would(project: Project, words: tuple[str, ...]) -> None:
    ran(project)
    for sink, code in CODES.items():
        opened = sink()
        fd = next(opened)
        done = project(*words, stdout=fd)
        os.close(fd)
        next(opened, None)
        assert done.returncode == code, sink.__name__
        assert "Traceback" not in done.stderr
        assert done.stderr.startswith("error: cannot write to stdout: ") == (code == IO), (sink.__name__, done.stderr)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_by_the_starter(project: Project, closed: str) -> None:
    before = ("sh", "-c", f'exec "$@" {closed}', "sh")
    strike(project, Hostile(closed, options={"before": before}))
    assert project("runs", before=before).returncode == (IO if ">&-" in closed.split() else 0)


WRONG = [
    ("nosuch",),
    ("show", "nosuch"),
    ("runs", "--limit", "x"),
    ("run", "double", "nosuch"),
    ("validate", "/nowhere"),
]


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_an_error_that_nobody_reads_has_its_code(project: Project, words: tuple[str, ...]) -> None:
    wanted = project(*words).returncode
    for sink in CODES:
        opened = sink()
        fd = next(opened)
        done = project(*words, stderr=fd)
        os.close(fd)
        next(opened, None)
        assert (done.returncode, wanted) in ((2, 2), (3, 3)), sink.__name__


def test_what_acts_acts(project: Project) -> None:
    with open("/dev/full", "w") as sink:
        for words in (("init",), ("heartbeat",), ("notify", "flush"), ("prune",), ("agents", "clear", "double")):
            done = project(*words, stdout=sink)
            assert (done.returncode, done.stderr) == (0, ""), words
    assert (project.root / ".runner" / "schema" / "agents.schema.json").exists()


def test_what_was_printed_before_an_error_is_there(project: Project) -> None:
    (project.root / ".runner").write_text("a file where a folder is to be\n")
    done = project("init")
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 3)
