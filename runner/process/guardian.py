"""The second process of a run: the agent's parent, which ends and closes the run when the runner is killed.

It is forked before the agent starts and holds all that the runner holds: both locks, the logs, the read ends of the
pipes. Each of the two knows the other's end by the end of a pipe between them, which needs neither pid nor pidfd and so
cannot be mistaken. The words on these pipes are lines: `start` and `bye` to the guardian; `started PID RUNG`,
`failed MESSAGE`, `ended STATUS`, `left`, `empty` from it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time

from runner.process.pump import Pump
from runner.process.signals import ENDING_SIGNALS
from runner.process.spawn import ContainmentError, LaunchError, Pipes, Program, find_binary, spawn
from runner.process.tree import Own, become_subreaper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from runner.model import Invocation
    from runner.process.containment import Containment
    from runner.process.pump import Streams

_PATIENCE = 2.0  # seconds for an answer of the other process, which needs a millisecond


class NoProcessError(Exception):
    """The system lets no further process start."""


class GuardianLostError(Exception):
    """Somebody ended the guardian."""


class Guardian:
    """The runner's side: starts the agent, hears of its end, and sends the guardian away. A `Parent` of the tree."""

    def __init__(
        self, invocation: Invocation, streams: Streams, box: Containment, orphaned: Callable[[int, str], None]
    ) -> None:
        """Fork. `orphaned` is called in the guardian when the runner is gone: survivors, and the containment's name."""
        self.invocation = invocation
        self.streams = streams
        self.box = box
        self.orphaned = orphaned
        self.pipes = Pipes()
        self.leader = 0
        self.status: int | None = None
        self.settled = False
        self.gone = False
        self._empty = True
        self._heard = b""
        control, self._control = os.pipe()
        self.report, report = os.pipe()
        os.set_blocking(self.report, False)
        try:
            self.pid = os.fork()
        except OSError as error:
            raise NoProcessError(
                f"cannot start another process ({(error.strerror or '').lower()}): see `ulimit -u`"
            ) from None
        if self.pid == 0:
            os.close(self._control)
            os.close(self.report)
            _Watcher(self, control, report).live()
        os.close(control)
        os.close(report)
        self.pipes.close_writing()

    def start(self) -> None:
        """Have the agent started. Raises LaunchError and GuardianLostError."""
        self._say("start")
        self._empty = False
        while not self.leader and not self.gone:
            self.wait(_PATIENCE)
            self.reap()
        if self.gone:
            raise GuardianLostError

    def reap(self) -> None:
        """Take in what the guardian says. Raises LaunchError."""
        while not self.gone:
            try:
                heard = os.read(self.report, 4096)
            except BlockingIOError:
                break
            if not heard:
                self.gone = True
            self._heard += heard
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            self._take(line.decode())

    def _take(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "started":
            pid, rung = rest.split()
            self.leader = int(pid)
            if rung != "cgroup":
                self.box.give_up_cgroup()
        elif word == "failed":
            self._empty = True
            raise LaunchError(json.loads(rest))
        elif word == "ended":
            self.status = int(rest)
        else:
            self.settled = True
            self._empty = word == "empty"

    def empty(self) -> bool:
        return self._empty

    def wait(self, seconds: float) -> None:
        select.select([self.report], [], [], seconds)

    def end(self) -> None:
        """End a guardian that no longer answers; this process gets its children."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.wait(_PATIENCE)
        self.reap()

    def dismiss(self) -> None:
        """Send it away and wait for its end: after that its locks are free."""
        self._say("bye")
        deadline = time.monotonic() + _PATIENCE
        while not self.gone and (left := deadline - time.monotonic()) > 0:
            self.wait(left)
            self.reap()
        if not self.gone:
            self.end()
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass  # reaped by a runner that took over
        os.close(self._control)
        os.close(self.report)

    def _say(self, word: str) -> None:
        try:
            os.write(self._control, f"{word}\n".encode())
        except BrokenPipeError:
            self.gone = True


class _Watcher:
    """The guardian itself, in the forked process; never returns to the code that forked it."""

    def __init__(self, guardian: Guardian, control: int, report: int) -> None:
        """`guardian` is the runner's side as it was at the fork."""
        self._invocation = guardian.invocation
        self._streams = guardian.streams
        self._pipes = guardian.pipes
        self._box = guardian.box
        self._orphaned = guardian.orphaned
        self._control = control
        self._report = report
        self._children: Own | None = None
        self._said = ""

    def live(self) -> NoReturn:
        try:
            self._settle_in()
            self._watch()
        finally:
            os._exit(0)

    def _settle_in(self) -> None:
        """A session of its own, deaf to what ends a runner, and without the caller's terminal or pipes."""
        os.setsid()
        for number in ENDING_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._wakeup, wakeup_write = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(wakeup_write, False)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        if self._box.subreaper:
            become_subreaper()

    def _watch(self) -> None:
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wakeup, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if self._wakeup in ready:
                os.read(self._wakeup, 512)
                self._reap()
            if self._control in ready:
                words = os.read(self._control, 64).split()
                if not words:
                    return self._take_over()
                if b"bye" in words:
                    return None
                self._launch()

    def _launch(self) -> None:
        try:
            try:
                pid = self._spawn()
            except ContainmentError:
                self._box.give_up_cgroup()
                pid = self._spawn()
        except LaunchError as error:
            self._say(f"failed {json.dumps(str(error))}")
        else:
            self._children = Own(pid, self._ended)
            self._say(f"started {pid} {self._box.rung}")
            # It may have ended before there was anybody to note it.
            self._reap()
        finally:
            self._pipes.close_writing()

    def _spawn(self) -> int:
        invocation, group = self._invocation, self._box.cgroup
        if invocation.wrapped:
            # A sandbox that does not find the program says so in words of its own.
            find_binary(invocation.argv[invocation.wrapped], invocation.env.get("PATH", os.defpath), invocation.cwd)
        program = Program(invocation.argv, invocation.env, invocation.cwd)
        return spawn(program, self._streams.stdin, self._pipes, group)

    def _reap(self) -> None:
        children = self._children
        if children is None:
            return
        children.reap()
        if children.status is not None:
            self._say("empty" if children.empty() else "left", once=True)

    def _ended(self, status: int) -> None:
        """Said before the agent is reaped: whoever is killed in between, the other knows how it ended."""
        self._say(f"ended {status}")

    def _say(self, line: str, *, once: bool = False) -> None:
        if once and line == self._said:
            return
        self._said = line
        try:
            os.write(self._report, f"{line}\n".encode())
        except BrokenPipeError:
            pass  # the runner is gone, which the other pipe will say

    def _take_over(self) -> None:
        """The runner is gone: end the tree at once, save what the pipes hold, close the run."""
        survivors = 0
        containment = "none"
        if self._children is not None:
            tree = self._box.tree(self._children, self._invocation)
            containment = self._box.rung
            survivors = tree.kill() if not tree.empty() else 0
            pump = Pump(self._pipes, self._streams, None)
            pump.drain(time.monotonic() + self._invocation.limits.drain)
            pump.close()
        self._box.close()
        self._streams.close()
        self._orphaned(survivors, containment)
