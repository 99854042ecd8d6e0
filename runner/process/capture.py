"""A short program whose output is wanted, not a run: a time limit, and what it printed."""

from __future__ import annotations

import os
import select
import signal
import time

from runner.process.spawn import Pipes, Program, spawn
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MAX_OUTPUT = 16 << 20  # bytes kept of each stream
_TICK = 20  # milliseconds
_DRAIN = 0.2  # seconds for what a child of the program still holds open


@dataclass(frozen=True)
class Said:
    """`code` is None when time was up, negative for a signal."""

    code: int | None
    out: bytes
    err: bytes


@dataclass(frozen=True)
class Child:
    """A started program: its pid, and the read ends of its output."""

    pid: int
    stdout: int
    stderr: int


def start(argv: Sequence[str], env: Mapping[str, str], cwd: str, stdin: int | None = None) -> Child:
    """In a session of its own, with an open file on stdin, or nothing. Raises LaunchError."""
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    pipes = Pipes()
    try:
        pid = spawn(Program(argv, env, cwd), nothing if stdin is None else stdin, pipes)
        return Child(pid, pipes.stdout, pipes.stderr)
    except BaseException:
        os.close(pipes.stdout)
        os.close(pipes.stderr)
        raise
    finally:
        pipes.close_writing()
        os.close(nothing)


def finish(child: Child, seconds: float, grace: float = 0.5, stopped: Callable[[], bool] = bool) -> Said:
    """Wait for its end; when time is up, or the caller is interrupted, it gets SIGTERM, then SIGKILL.

    What is left of its group at the end is killed. `stopped` is asked again and again: True is as if time were up.
    """
    streams = _Streams(child)
    ended = False
    try:
        ended = _wait(child, streams, seconds, stopped)
        if ended:
            streams.drain(_DRAIN)
    finally:
        if not ended:
            os.killpg(child.pid, signal.SIGTERM)
            _wait(child, streams, grace, bool)
        os.killpg(child.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
        _, status = os.waitpid(child.pid, 0)
        streams.close()
    return Said(os.waitstatus_to_exitcode(status) if ended else None, *streams.texts())


def _wait(child: Child, streams: _Streams, seconds: float, stopped: Callable[[], bool]) -> bool:
    """Whether it has ended within this time; it is not reaped."""
    deadline = time.monotonic() + seconds
    while os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() >= deadline or stopped():
            return False
        streams.read(_TICK)
    return True


class _Streams:
    """Both outputs of a child, as far as they came."""

    def __init__(self, child: Child) -> None:
        self._kept = {child.stdout: bytearray(), child.stderr: bytearray()}
        self._open = set(self._kept)
        self._poll = select.poll()
        for fd in self._kept:
            self._poll.register(fd, select.POLLIN)

    def read(self, milliseconds: float) -> None:
        """What comes in this time at most; returns at the first of it."""
        for fd, _ in self._poll.poll(milliseconds):
            chunk = os.read(fd, 1 << 16)
            self._kept[fd] += chunk[: _MAX_OUTPUT - len(self._kept[fd])]
            if not chunk:
                self._poll.unregister(fd)
                self._open.discard(fd)

    def drain(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._open and time.monotonic() < deadline:
            self.read(_TICK)

    def texts(self) -> tuple[bytes, bytes]:
        out, err = self._kept.values()
        return bytes(out), bytes(err)

    def close(self) -> None:
        for fd in self._kept:
            os.close(fd)
