"""Faults at single system calls of one process, by strace."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# What changes something outside the process. Of openat, that which makes a file.
CALLS = (
    "write pwrite64 writev fsync fdatasync rename renameat renameat2 unlink unlinkat rmdir mkdir ftruncate fallocate "
    "flock fork vfork clone clone3 openat"
).split()
_CALL = re.compile(r"(?:\d+ +)?(\w+)\((.*)")
_FILE = re.compile(r'\d+<([^>]*)>|(?:AT_FDCWD<[^>]*>, )?"([^"]*)"')
_RUN = re.compile(r"\d{8}_\d{6}(?:_\d\d)?(?:-\d+)?")
_PIPE = "a pipe"
_CACHE = re.compile(r"/[0-9a-f]{16}\.json(?:\.\d+)?")


@dataclass(frozen=True)
class Point:
    """The `number`-th call of that name in the life of a process, the `nth` of those about the same file.

    `what` is the same in another life of the same kind: the call, the file that it was about, and how many of those
    there were before.
    """

    call: str
    number: int
    what: str
    file: str | None
    nth: int
    refused: bool = False

    def hit(self, fault: str, folder: Path, run_ids: Iterable[str]) -> tuple[str, ...]:
        """The words for strace that have this point, and no other, struck.

        Of all calls only those on files of the project can be counted without those that signals and looks at /proc
        make, which are not as many in each life; `run_ids` are the names that the run may have.
        """
        number, paths = self.number, []
        if self.file is not None and self.file.startswith("/project/"):
            number, paths = self.nth, sorted({f"{folder}{self.file}".replace("RUN", run_id) for run_id in run_ids})
        return (*(word for path in paths for word in ("-P", path)), "-e", f"inject={self.call}:{fault}:when={number}")

    @property
    def folder(self) -> str:
        return f"{self.call}{self.number}"

    def __str__(self) -> str:
        return f"{self.what} ({self.number}.)"


def words(log: Path, *more: str) -> tuple[str, ...]:
    """strace, which shows each file's name and every call of interest, in `log`."""
    return ("strace", "-q", "-y", "-o", str(log), "-e", f"trace={','.join(CALLS)}", *more)


def points(log: Path, root: Path) -> list[Point]:
    """The calls of a life, in their order."""
    found = []
    calls: Counter[str] = Counter()
    about: Counter[tuple[str, str | None]] = Counter()
    same: Counter[str] = Counter()
    for line in _lines(log):
        match = _CALL.match(line)
        if match is None or match[1] not in CALLS:
            continue
        call, rest = match[1], match[2]
        file = _file(rest, root)
        calls[call] += 1
        about[call, file] += 1
        if call == "openat" and "O_CREAT" not in rest:
            continue
        what = f"{call} {file or ('of a thread' if 'CLONE_THREAD' in rest else 'of a process')}"
        same[what] += 1
        # How often a signal wakes a process up, or a cgroup is not empty yet, is not the same twice.
        what = what if file == _PIPE or call == "rmdir" else f"{what} {same[what]}"
        found.append(Point(call, calls[call], what, file, about[call, file], line.endswith("(INJECTED)")))
    return found


def _file(rest: str, root: Path) -> str | None:
    """The file of a call, without what each life has of its own."""
    match = _FILE.match(rest)
    if match is None:
        return None
    path = (match[1] or match[2]).replace(str(root), "")
    return _PIPE if path.startswith(("pipe:", "socket:")) else _CACHE.sub("/CACHE", _RUN.sub("RUN", path))


def killed(log: Path) -> bool:
    return "+++ killed by SIGKILL +++" in _lines(log)


def last(log: Path) -> str:
    """The call at which a process was killed, as strace shows it."""
    return next((line for line in reversed(_lines(log)) if _CALL.match(line)), "")


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines() if log.exists() else []
