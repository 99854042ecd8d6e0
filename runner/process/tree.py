"""Everything that descends from the agent: find it, signal it, and know when nothing is left.

The runner is a child subreaper: a process that daemonises away from the agent becomes the runner's own child, so the
tree is empty exactly when the runner has no child at all. Where that is not to be had (macOS) only the agent's process
group is known, and `containment` says so.
"""

from __future__ import annotations

import os
import signal
import sys

_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> bool:
    """True where orphans of the agent will become this process's children."""
    if sys.platform != "linux":
        return False
    # ctypes is 1.5 ms of import, and the kernel call has no other door.
    import ctypes  # noqa: PLC0415

    return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def has_children() -> bool:
    """Whether any child, alive or not yet reaped, is left."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def descendants(root: int) -> list[int]:
    """The living descendants of `root`, from one pass over /proc; this kernel may lack /proc/*/task/*/children."""
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
    """End what a run left whose runner is gone; returns how many processes were still there at the end."""
    left: list[int] = []
    for _ in range(rounds):
        left = marked(run_dir)
        if not left:
            break
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
    return len(left)


class Tree:
    """The processes of one run. While the leader is not reaped its group's number cannot belong to anybody else."""

    def __init__(self, leader: int, run_dir: str, *, subreaper: bool) -> None:
        self.leader = leader
        self.run_dir = run_dir
        self.subreaper = subreaper
        self.leader_reaped = False

    @property
    def containment(self) -> str:
        return "subreaper" if self.subreaper else "group"

    def empty(self) -> bool:
        """Proof that nothing is left, where there is a subreaper: it has no child."""
        return self.leader_reaped and not has_children()

    def signal(self, number: int) -> list[int]:
        """To the agent's group, and to what of its tree lives in sessions of its own; returns the pids found alive."""
        if not (self.leader_reaped and self.subreaper):
            try:
                os.killpg(self.leader, number)
            except (ProcessLookupError, PermissionError):
                pass
        alive = descendants(os.getpid()) or marked(self.run_dir)
        for pid in alive:
            try:
                os.kill(pid, number)
            except (ProcessLookupError, PermissionError):
                pass
        return alive

    def reap_leader(self) -> int | None:
        """The leader's wait status once it has ended, else None."""
        pid, status = os.waitpid(self.leader, os.WNOHANG)
        if pid == 0:
            return None
        self.leader_reaped = True
        return status

    def reap_orphans(self) -> None:
        """Reap the ended children that are not the leader."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None or (ended.si_pid == self.leader and not self.leader_reaped):
                return
            os.waitpid(ended.si_pid, 0)

    def kill(self, rounds: int = 200) -> int:
        """SIGKILL until two passes in a row find nothing; returns how many processes were still there at the end."""
        quiet = 0
        left: list[int] = []
        for _ in range(rounds):
            left = self.signal(signal.SIGKILL)
            self.reap_orphans()
            quiet = 0 if left else quiet + 1
            if quiet == 2 or self.empty():
                return 0
        return len(left)
