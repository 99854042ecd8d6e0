"""Signals to the runner, turned into bytes on a pipe so that one poll waits for everything."""

from __future__ import annotations

import os
import select
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """While entered, SIGINT, SIGTERM and SIGHUP are collected instead of ending the process; `received` lists them.

    A signal that the parent had ignored (nohup's SIGHUP, say) stays ignored; one that it had blocked comes through, for
    without them a run would never end. SIGCHLD only wakes the poll.
    """

    def __init__(self) -> None:
        self.received: list[int] = []
        self._before: dict[int, object] = {}
        self.wakeup = -1
        self._write = -1

    def __enter__(self) -> Signals:
        self.wakeup, self._write = os.pipe()
        os.set_blocking(self.wakeup, False)
        os.set_blocking(self._write, False)
        self._wakeup_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (*ENDING_SIGNALS, signal.SIGCHLD):
            before = signal.getsignal(number)
            if before is signal.SIG_IGN and number in (signal.SIGINT, signal.SIGHUP):
                continue
            self._before[number] = before
            signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (*ENDING_SIGNALS, signal.SIGCHLD))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]  # what getsignal gave, signal takes
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self.wakeup)
        os.close(self._write)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self.received.append(number)

    def drain(self) -> None:
        """Empty the wake-up pipe, whose bytes only say that something happened."""
        try:
            while os.read(self.wakeup, 512):
                pass
        except BlockingIOError:
            pass

    def pause(self, seconds: float) -> bool:
        """Wait that long, less when a signal comes; True when one has come that ends the run."""
        select.select([self.wakeup], [], [], seconds)
        self.drain()
        return bool(self.received)

    @property
    def first(self) -> int | None:
        return self.received[0] if self.received else None
