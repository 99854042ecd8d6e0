"""A control group of its own for one run: the one thing that a process cannot leave by forking.

Only cgroup v2 with `cgroup.kill` counts: on a hybrid machine a folder below the v1 mount is made as easily and holds
nobody.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_PREFIX = "runner-"
_SYS_CLONE3 = 435  # on every architecture
_CLONE_INTO_CGROUP = 0x200000000
_TICK = 0.001
_EMPTYING = 0.5  # seconds for the kernel to finish with what was killed


class Cgroup:
    """One folder of the cgroup file system; every method is harmless when it is gone."""

    def __init__(self, path: str) -> None:
        self.path = path

    def fork(self) -> int:
        """As os.fork, with the child born inside. Raises OSError.

        A process that moves in afterwards waits some fifteen milliseconds for the kernel. Python's own hooks around a
        fork do not run: the child may do no more than become another program.
        """
        import ctypes  # noqa: PLC0415 - imported by become_subreaper already; the kernel call has no other door

        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            arguments = struct.pack("11Q", _CLONE_INTO_CGROUP, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, folder)
            library = ctypes.PyDLL(None, use_errno=True)
            library.syscall.restype = ctypes.c_long
            pid: int = library.syscall(ctypes.c_long(_SYS_CLONE3), arguments, ctypes.c_size_t(len(arguments)))
            if pid < 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
        finally:
            os.close(folder)
        return pid

    def processes(self) -> list[int]:
        """Everything in it, groups that the agent made below it included."""
        found = []
        for folder, _, _ in os.walk(self.path):
            found += [int(word) for word in _read(os.path.join(folder, "cgroup.procs")).split()]
        return found

    def kill(self) -> None:
        """SIGKILL to all at once; nothing can fork its way out."""
        try:
            with open(os.path.join(self.path, "cgroup.kill"), "w", encoding="ascii") as file:
                file.write("1")
        except OSError:
            pass

    def remove(self) -> None:
        """With what the agent made below it; one that is not empty stays."""
        deadline = time.monotonic() + _EMPTYING
        while os.path.isdir(self.path):
            for folder, _, _ in os.walk(self.path, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    continue
            if not os.path.isdir(self.path) or time.monotonic() > deadline:
                return
            select.select([], [], [], _TICK)  # what was killed needs a moment to be gone


def make(name: str, announce: Callable[[str], None] | None = None) -> Cgroup | None:
    """A new group below the one that this process is in; None where that cannot be.

    `announce` hears of its folder before it is made: nobody finds it later who has not heard of it.
    """
    base = own_folder()
    if base is None:
        return None
    path = os.path.join(base, f"{_PREFIX}{name}-{os.getpid()}")
    if announce is not None:
        announce(path)
    try:
        os.mkdir(path, 0o700)
    except OSError:
        return None
    if os.path.exists(os.path.join(path, "cgroup.kill")):
        return Cgroup(path)
    os.rmdir(path)
    return None


def left_behind(path: str) -> Cgroup | None:
    """The group of a run whose runner is gone; None for a path that is no such group."""
    known = os.path.basename(path).startswith(_PREFIX) and os.path.exists(os.path.join(path, "cgroup.kill"))
    return Cgroup(path) if known else None


def own_folder() -> str | None:
    """The folder of this process's own group in the v2 hierarchy, wherever that is mounted."""
    inside = next((line[3:] for line in _read("/proc/self/cgroup").splitlines() if line.startswith("0::")), None)
    if inside is None:
        return None
    for line in _read("/proc/self/mountinfo").splitlines():
        fields, _, kind = line.partition(" - ")
        if kind.startswith("cgroup2 "):
            root, mount = fields.split()[3:5]
            if root != "/" and inside.startswith(f"{root}/"):
                inside = inside[len(root) :]
            return os.path.join(_unescaped(mount), inside.strip("/")).rstrip("/")
    return None


def _unescaped(text: str) -> str:
    """mountinfo writes a blank as \\040."""
    return text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
