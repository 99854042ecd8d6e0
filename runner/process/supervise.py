"""Run one agent under its limits, and end its tree. Waits only in poll, by the monotonic clock."""

from __future__ import annotations

import select
import signal
import time

from runner.model import Outcome
from runner.process.guardian import GuardianLostError
from runner.process.pump import Pump
from runner.process.spawn import LaunchError
from runner.process.tree import Own
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from runner.model import Ending
    from runner.process.guardian import Guardian
    from runner.process.pump import Feed
    from runner.process.signals import Signals
    from runner.process.tree import Tree

    class Observer(Protocol):
        """What the supervisor asks of the parser's live view, and tells of the run."""

        interval: float | None

        def started(self, pid: int) -> None: ...
        def tick(self) -> None: ...
        def finished(self) -> bool: ...
        def ending(self) -> None: ...
        def give_up_at(self, now: float, wall: float) -> float | None: ...
        def exhausted(self) -> bool: ...


_LONGEST_POLL = 86400.0  # seconds; poll itself takes 24 days at most
_PATIENCE = 2.0  # seconds for the guardian to say how a killed agent ended
_LEFTOVER_GRACE = 0.2  # what an agent leaves behind after a good end: servers, shells in sessions of their own


_CRASHES = frozenset(
    (signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGKILL, signal.SIGSEGV)
)


def execute(guardian: Guardian, parser: Feed | None, observer: Observer, signals: Signals) -> Outcome:
    """Start the agent, stream its output, end it in time, and leave no process of it."""
    began, clock, streams = time.time(), time.monotonic(), guardian.streams
    pump = Pump(guardian.pipes, streams, parser)
    try:
        fate = _live(guardian, pump, observer, signals, began)
    finally:
        pump.close()
    return replace(
        fate,
        ended_at=max(time.time(), began),
        elapsed=time.monotonic() - clock,
        stdout_bytes=pump.bytes["stdout"],
        stderr_bytes=pump.bytes["stderr"],
        output_error=streams.transcript.error or streams.stdout.error,
        output_left_out=streams.transcript.left_out,
    )


def _live(guardian: Guardian, pump: Pump, observer: Observer, signals: Signals, began: float) -> Outcome:
    """What became of the agent; when it was over, and how much it had printed, is not in it yet."""
    invocation = guardian.invocation
    none = Outcome("signal", began, began, 0.0, containment="none")
    if signals.received:
        return replace(none, runner_signal=signals.first)
    try:
        guardian.start()
    except LaunchError as error:
        return replace(none, ended_by="launch_failed", launch_error=str(error))
    except GuardianLostError:
        # Killed before it could say what it had started: whatever that was is ours now.
        survivors = guardian.box.tree(Own(0), invocation).kill()
        pump.drain(time.monotonic() + invocation.limits.drain)
        return replace(none, ended_by="lost", survivors=survivors, containment=guardian.box.rung)
    tree = guardian.box.tree(guardian, invocation)
    watch = _Watch(guardian, tree, pump, observer, signals)
    try:
        watch.run()
    finally:
        # Also when the parser or a log raised: no agent outlives its run.
        survivors = tree.kill() if not tree.empty() else 0
    status = _unwrapped(tree.parent.status) if invocation.wrapped else tree.parent.status
    return replace(
        none,
        ended_by=watch.ended_by,
        exit_code=status if status is not None and status >= 0 else None,
        signal=-status if status is not None and status < 0 else None,
        runner_signal=signals.first if watch.ended_by == "signal" else None,
        survivors=survivors,
        containment=guardian.box.rung,
    )


def _unwrapped(status: int | None) -> int | None:
    """What a sandbox reports of the agent: 128 and its number for a signal, of which only those of a crash are certain.

    Programs end with codes such as 130, 143 and 145 by themselves.
    """
    crashed = status is not None and status - 128 in _CRASHES
    return 128 - status if crashed and status is not None else status


class _Watch:
    """The waiting: one poll over output, the agent's end, and signals to the runner."""

    def __init__(
        self,
        guardian: Guardian,
        tree: Tree,
        pump: Pump,
        observer: Observer,
        signals: Signals,
    ) -> None:
        self.limits = guardian.invocation.limits
        self.guardian = guardian
        self.tree = tree
        self.pump = pump
        self.observer = observer
        self.signals = signals
        self.ended_by: Ending = "exit"
        self.began = self.last_output = time.monotonic()
        self.poll = select.poll()
        for fd in (*pump.open_fds, guardian.report, signals.wakeup):
            self.poll.register(fd, select.POLLIN)
        observer.started(guardian.leader)

    @property
    def ended(self) -> bool:
        """The agent has ended, and it is known whether something of it is left."""
        return self.tree.parent.status is not None and (self.guardian.settled or self.guardian.gone)

    def run(self) -> None:
        """Until the agent has ended or was ended; afterwards only leftovers of its tree may live."""
        while not self.ended:
            limit = self._due()
            if limit is not None:
                self._end(limit)
                return
            self._wait(self._next_deadline())
        self._clear_leftovers()

    def _due(self) -> Ending | None:
        """The limit that is reached, if any."""
        if self.signals.received:
            return "signal"
        if self.guardian.gone:
            return "lost"
        if self.observer.exhausted():
            return "budget"
        now = time.monotonic()
        for name, at in self._deadlines(now):
            if at is not None and now >= at:
                return name
        return None

    def _deadlines(self, now: float) -> list[tuple[Ending, float | None]]:
        limits, produced = self.limits, self.pump.bytes["stdout"] > 0
        rows: list[tuple[Ending, float | None]] = [
            ("timeout", _after(self.began, limits.timeout)),
            ("first_output", None if produced else _after(self.began, limits.first_output)),
            ("idle_timeout", _after(self.last_output, limits.idle_timeout)),
        ]
        rows.append(("watch", self.observer.give_up_at(now, time.time())))
        if self.observer.finished():
            rows.insert(0, ("linger", self.last_output + limits.linger))
        return rows

    def _next_deadline(self) -> float | None:
        now = time.monotonic()
        times = [at for _, at in self._deadlines(now) if at is not None]
        if self.observer.interval is not None:
            times.append(now + self.observer.interval)
        return min(times, default=None)

    def _wait(self, deadline: float | None) -> None:
        """One poll, then move what came; sets `status` when the agent has ended."""
        left = _LONGEST_POLL if deadline is None else max(0.0, deadline - time.monotonic())
        ready = dict(self.poll.poll(int(min(left, _LONGEST_POLL) * 1000) + 1))
        for fd in self.pump.open_fds:
            if fd in ready and self.pump.read(fd):
                self.last_output = time.monotonic()
            if fd not in self.pump.open_fds:
                self.poll.unregister(fd)
        if self.signals.wakeup in ready:
            self.signals.drain()
        if self.guardian.report in ready:
            self.guardian.reap()
            if self.guardian.gone:
                self._take_over()
        self.tree.parent.reap()
        self.observer.tick()

    def _take_over(self) -> None:
        """The guardian is gone, and its children are ours; how the agent ended is not lost with it."""
        self.poll.unregister(self.guardian.report)
        own = Own(self.guardian.leader)
        own.status = self.guardian.status
        own.reap()
        self.tree.parent = own

    def _end(self, limit: Ending) -> None:
        """SIGTERM to the tree, the grace time for the agent, SIGKILL; a second signal to the runner cuts it short."""
        self.ended_by = limit
        self.observer.ending()
        enough = 2 if limit == "signal" else 1
        deadline = time.monotonic() + (0.0 if limit == "lost" else self.limits.grace)
        if limit != "lost":
            self.tree.signal(signal.SIGTERM)
        while self.tree.parent.status is None and time.monotonic() < deadline:
            if len(self.signals.received) >= enough:
                break
            self._wait(deadline)
        self._kill()

    def _clear_leftovers(self) -> None:
        """After a good end: what still runs gets SIGTERM and a moment, and never delays the run by more."""
        if not self.tree.empty():
            if self.tree.signal(signal.SIGTERM):
                deadline = time.monotonic() + _LEFTOVER_GRACE
                while not self.tree.empty() and time.monotonic() < deadline:
                    self._wait(deadline)
            self._kill()
        self._drain()

    def _kill(self) -> None:
        self.tree.kill()
        deadline = time.monotonic() + _PATIENCE
        while self.tree.parent.status is None:
            self._wait(time.monotonic() + 0.01)
            self.tree.kill(0.0)
            if not self.guardian.gone and time.monotonic() > deadline:
                # Stopped, perhaps by what it guards.
                self.guardian.end()
        self._drain()

    def _drain(self) -> None:
        """Read on to the end of the pipes, or for the drain time where a process out of reach holds one."""
        deadline = time.monotonic() + self.limits.drain
        self.pump.drain(deadline)
        while self.pump.open_fds and time.monotonic() < deadline:
            self._wait(deadline)


def _after(start: float, seconds: float | None) -> float | None:
    return None if seconds is None else start + seconds
