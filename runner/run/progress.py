"""What a person sees on stderr while a run lasts: a status line on a terminal, a line per change elsewhere."""

from __future__ import annotations

import time

from runner.run.retry_watch import RetryWatch
from runner.text import one_line
from runner.units import format_count, format_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol, TextIO

    from runner.budget.meter import Meter
    from runner.model import Fault, Limits
    from runner.run.workspace import Pause

    class Live(Protocol):
        """The parser's view of a run that is not over."""

        @property
        def event(self) -> str | None: ...
        @property
        def tokens(self) -> int | None: ...
        @property
        def terminal(self) -> bool: ...
        @property
        def watch(self) -> Fault | None: ...
        @property
        def retries(self) -> int: ...

    class Reader(Protocol):
        """The parser of a run that is not over."""

        @property
        def live(self) -> Live: ...
        def hold(self) -> None: ...


_TERMINAL_INTERVAL = 0.5
_CLEAR = "\r\x1b[K"


def say(stream: TextIO | None, text: str) -> None:
    """A line between two runs, or before one."""
    _put(stream, f"{one_line(text)}\n")


def count_down(text: str, seconds: float, pause: Pause, stream: TextIO | None) -> bool:
    """Wait, and say for how long still; True when the wait was ended early, as `pause` says."""
    terminal = stream is not None and stream.isatty()
    if not terminal:
        say(stream, f"{text}: in {format_duration(seconds)}")
    deadline = time.monotonic() + seconds
    stopped = False
    while not stopped and (left := deadline - time.monotonic()) > 0:
        if terminal:
            _put(stream, f"{_CLEAR}{one_line(f'{text}: in {format_duration(left)}', 79)}")
        stopped = pause(min(left, _TERMINAL_INTERVAL) if terminal else left)
    if terminal:
        _put(stream, _CLEAR)
    return stopped


def _put(stream: TextIO | None, text: str) -> None:
    """A closed stderr must not end a run."""
    try:
        if stream is not None:
            stream.write(text)
            stream.flush()
    except (OSError, ValueError):
        pass


class Progress:
    """Observes one run for the supervisor. `stream` None shows nothing."""

    def __init__(self, reader: Reader, name: str, limits: Limits, stream: TextIO | None, meter: Meter | None) -> None:
        self._reader = reader
        self._live = reader.live
        self._name = name
        self._meter = meter
        self._timeout = limits.timeout
        self._stream = stream
        self._terminal = stream is not None and stream.isatty()
        self._began = time.monotonic()
        self._retries = RetryWatch(reader.live, limits, self._began)
        self._shown: str | None = None
        self._next = 0.0
        self.interval: float | None = _TERMINAL_INTERVAL if self._terminal else None

    def started(self, pid: int) -> None:
        limit = "" if self._timeout is None else f", timeout {format_duration(self._timeout)}"
        self._show_line(f"started, pid {pid}{limit}")

    def finished(self) -> bool:
        return self._live.terminal

    def give_up_at(self, now: float, wall: float) -> float | None:
        return self._retries.give_up_at(now, wall)

    def exhausted(self) -> bool:
        """Whether the run has used up its budget; when most of it is used, that is said."""
        if self._meter is None:
            return False
        over, note = self._meter.look()
        if note:
            self._write(f"{_CLEAR if self._terminal else ''}{self._name}: {note}\n")
        return over

    def ending(self) -> None:
        """What the agent prints from now on, it prints because it is being ended."""
        self._reader.hold()

    def tick(self) -> None:
        if self._stream is None:
            return
        state = self._state()
        now = time.monotonic()
        if self._terminal and now >= self._next:
            self._next = now + _TERMINAL_INTERVAL
            self._write(f"{_CLEAR}{one_line(f'{self._name} {format_duration(now - self._began)} {state}', 79)}")
        elif not self._terminal and state != self._shown:
            self._shown = state
            self._show_line(state)

    def _state(self) -> str:
        """The last event; on a terminal with the tokens, which change too often for a line each."""
        live = self._live
        words = [live.event or "waiting"]
        if live.watch is not None:
            words.append(f"{live.watch.kind}: {one_line(live.watch.message, 60)}")
        if self._terminal and live.tokens is not None:
            words.append(f"{format_count(live.tokens)} tokens")
        return ", ".join(words)

    def _show_line(self, text: str) -> None:
        if self._terminal:
            return
        self._write(f"[{format_duration(time.monotonic() - self._began)}] {self._name}: {text}\n")

    def close(self) -> None:
        if self._terminal:
            self._write(_CLEAR)

    def _write(self, text: str) -> None:
        """A closed stderr must not end a run."""
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None
