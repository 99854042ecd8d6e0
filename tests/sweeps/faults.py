"""Faults at single system calls of one process, by strace."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# What changes something outside the process. Of openat, that which makes a file.
CALLS = (
    "write pwrite64 writev fsync fdatasync rename renameat renameat2 unlink unlinkat rmdir mkdir ftruncate fallocate "
    "flock fork vfork clone clone3 openat"
).split()
_CALL = re.compile(r"(?:\d+ +)?(\w+)\((.*)")
_FILE = re.compile(r'\d+<([^>]*)>|(?:AT_FDCWD<[^>]*>, )?"([^"]*)"')
_RUN = re.compile(r"\d{8}_\d{6}(?:_\d\d)?(?:-\d+)?")
_CACHE = re.compile(r"/[0-9a-f]{16}\.json(?:\.\d+)?")


@dataclass(frozen=True)
class Point:
    """The `number`-th call of that name in the life of a process.

    `what` is the same in another run of the same kind: the call, the file that it was about, and how many of those
    there were before.
    """

    call: str
    number: int
    what: str

    def hit(self, fault: str) -> str:
        """The word for strace that has this point, and no other, struck."""
        return f"inject={self.call}:{fault}:when={self.number}"

    @property
    def folder(self) -> str:
        return f"{self.call}{self.number}"

    def __str__(self) -> str:
        return f"{self.what} ({self.number}.)"


def words(log: Path, *more: str) -> tuple[str, ...]:
    """strace, which shows each file's name and every call of interest, in `log`."""
    return ("strace", "-qq", "-y", "-o", str(log), "-e", f"trace={','.join(CALLS)}", *more)


def points(log: Path, root: Path) -> list[Point]:
    """The calls of a life, in their order."""
    found = []
    calls: Counter[str] = Counter()
    same: Counter[str] = Counter()
    for line in _lines(log):
        match = _CALL.match(line)
        if match is None or match[1] not in CALLS:
            continue
        call, rest = match[1], match[2]
        calls[call] += 1
        if call == "openat" and "O_CREAT" not in rest:
            continue
        what = f"{call} {_about(rest, root)}"
        same[what] += 1
        # How often a signal wakes a process up, and what it says on the way, is not the same twice.
        found.append(Point(call, calls[call], what if what.endswith("a pipe") else f"{what} {same[what]}"))
    return found


def _about(rest: str, root: Path) -> str:
    """The file of a call, without what each run has of its own."""
    match = _FILE.match(rest)
    if match is None:
        return "of a thread" if "CLONE_THREAD" in rest else "of a process"
    path = (match[1] or match[2]).replace(str(root), "")
    return "a pipe" if path.startswith(("pipe:", "socket:")) else _CACHE.sub("/CACHE", _RUN.sub("RUN", path))


def groups(log: Path) -> set[str]:
    """The cgroups that were made."""
    return set(re.findall(r'mkdir\("([^"]*/runner-[^"/]+)"', "\n".join(_lines(log))))


def last(log: Path) -> str:
    """The call at which a process was killed, as strace shows it."""
    return next((line for line in reversed(_lines(log)) if _CALL.match(line)), "")


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines() if log.exists() else []
