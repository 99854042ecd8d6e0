"""Everything that descends from the agent: find it, signal it, and know when nothing is left.

The guardian is a child subreaper: a process that daemonises away from the agent becomes the guardian's own child, so
the tree is empty exactly when the guardian has no child at all. Where that is not to be had (macOS) only the agent's
process group is known, and `containment` says so.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from runner.process.cgroup import Cgroup

    class Parent(Protocol):
        """Who reaps the agent and its orphans: the guardian, or this process where there is none.

        `leader` is the agent, 0 where it is not known. `status` is its exit code, a signal's number negative, None
        while it lives.
        """

        pid: int
        leader: int
        status: int | None

        def reap(self) -> None:
            """Take note of what has ended; does not wait."""

        def empty(self) -> bool:
            """Proof that nothing is left: the agent has ended, and whoever gets its orphans has none."""

        def wait(self, seconds: float) -> None:
            """For news of an end, that long at the most."""


_PR_SET_CHILD_SUBREAPER = 36
_ROUND = 0.005  # seconds for the kernel to end what was killed, before the next look
_KILLING = 1.0  # seconds for a tree to be gone


def become_subreaper() -> bool:
    """True where orphans of the agent will become this process's children."""
    if sys.platform != "linux":
        return False
    import ctypes  # noqa: PLC0415 - ctypes is 1.5 ms of import, and the kernel call has no other door

    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def has_children() -> bool:
    """Whether any child, alive or not yet reaped, is left."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def descendants(root: int) -> list[int]:
    """The living descendants of `root`, from one pass over /proc; this kernel may lack /proc/*/task/*/children.

    None of 0, which is no process: from it everything on the machine descends.
    """
    if root <= 0:
        return []
    children: dict[int, list[int]] = {}
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    for name in names:
        if name.isdigit():
            parent = _living_parent(name)
            if parent is not None:
                children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    waiting = [root]
    while waiting:
        mine = children.get(waiting.pop(), [])
        found += mine
        waiting += mine
    return found


def _living_parent(pid: str) -> int | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[1])


def marked(run_dir: str) -> list[int]:
    """Living processes whose environment carries the run's folder: those that left the tree altogether.

    Not the run's id, which another project may have given to a run of the same second.
    """
    marker = b"RUNNER_RUN_DIR=" + os.fsencode(run_dir)
    me = os.getpid()
    found = []
    try:
        names = [name for name in os.listdir("/proc") if name.isdigit() and int(name) != me]
    except OSError:
        return []
    for name in names:
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if marker in file.read().split(b"\0") and _living_parent(name) is not None:
                    found.append(int(name))
        except OSError:
            continue
    return found


def kill_marked(run_dir: str, rounds: int = 20) -> int:
    """End what a run left whose runner is gone; returns how many processes were still there at the end.

    Two passes in a row that find nothing: what forks while it is looked for is in the next one.
    """
    quiet = 0
    left: list[int] = []
    for _ in range(rounds):
        left = marked(run_dir)
        quiet = 0 if left else quiet + 1
        if quiet == 2:
            break
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
    return len(left)


class Own:
    """This process is the agent's parent and gets its orphans; `tell` hears of the agent's end before it is reaped."""

    def __init__(self, leader: int, tell: Callable[[int], None] | None = None) -> None:
        self.pid = os.getpid()
        self.leader = leader
        self.status: int | None = None
        self._tell = tell

    def reap(self) -> None:
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            if ended.si_pid == self.leader:
                self.status = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
                if self._tell is not None:
                    self._tell(self.status)
            os.waitpid(ended.si_pid, 0)

    def empty(self) -> bool:
        return not has_children()

    def wait(self, seconds: float) -> None:
        select.select([], [], [], min(seconds, 0.001))


class Tree:
    """The processes of one run."""

    def __init__(
        self,
        parent: Parent,
        run_dir: str,
        *,
        subreaper: bool,
        cgroup: Cgroup | None = None,
        wrapper: str | None = None,
    ) -> None:
        """`wrapper` is the program, as argv names it, that may stay around the agent."""
        self.parent = parent
        self.run_dir = run_dir
        self.subreaper = subreaper
        self.cgroup = cgroup
        self.wrapper = wrapper

    def empty(self) -> bool:
        """Proof that nothing is left; without a subreaper there is none."""
        return self.subreaper and self.parent.empty()

    def signal(self, number: int) -> list[int]:
        """To the agent's group, and to what of its tree lives in sessions of its own; returns the pids found alive."""
        contained = self.cgroup.processes() if self.cgroup is not None else []
        if self.cgroup is not None and number == signal.SIGKILL:
            self.cgroup.kill()
        # With a sandbox's process all that is in it dies at once: the agent is to have its grace.
        spared = self.parent.leader if number != signal.SIGKILL and self._is_wrapped() else None
        # While the agent is not reaped its group's number cannot belong to anybody else.
        # Without a leader the number would be 0, which is our own group.
        if self.parent.leader and spared is None and (self.parent.status is None or not self.subreaper):
            try:
                os.killpg(self.parent.leader, number)
            except (ProcessLookupError, PermissionError):
                pass
        # Root can write itself out of its group: the walk follows also there.
        alive = descendants(self.parent.pid) or contained or marked(self.run_dir)
        for pid in alive:
            try:
                if pid != spared:
                    os.kill(pid, number)
            except (ProcessLookupError, PermissionError):
                pass
        return alive

    def _is_wrapped(self) -> bool:
        """Whether the first process still is the wrapper: one such as `nice` has become the agent itself."""
        if self.wrapper is None:
            return False
        try:
            with open(f"/proc/{self.parent.leader}/cmdline", "rb") as file:
                return file.read(4096).split(b"\0")[0] == os.fsencode(self.wrapper)
        except OSError:
            return False

    def kill(self, seconds: float = _KILLING) -> int:
        """SIGKILL until nothing is left; returns how many processes were still there when that time was over.

        Without a subreaper, whose children are the proof, two passes in a row that find nothing have to do.
        """
        deadline = time.monotonic() + seconds
        quiet = 0
        while True:
            left = self.signal(signal.SIGKILL)
            self.parent.wait(_ROUND)
            self.parent.reap()
            quiet = 0 if left else quiet + 1
            if self.empty() or (quiet == 2 and not self.subreaper):
                return 0
            if time.monotonic() >= deadline:
                # A pass over /proc misses what moves on to a new process fast enough; that it is there is known.
                return max(len(left), int(self.subreaper))
