"""What /proc says of the processes of a run that lives."""

from __future__ import annotations

import os

from runner.process.tree import marked


def names(run_dir: str) -> dict[int, str]:
    """The run's processes, pid → name, those that carry its marker."""
    found = {}
    for pid in marked(run_dir):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                found[pid] = file.read().strip()
        except OSError:
            continue
    return dict(sorted(found.items()))


def has_open(pid: int, path: str) -> bool:
    """Whether a process holds a file open: a pid in a file may long be somebody else's."""
    folder = f"/proc/{pid}/fd"
    try:
        wanted = os.stat(path)
        return any(_same(os.path.join(folder, fd), wanted) for fd in os.listdir(folder))
    except OSError:
        return False


def holders(path: str) -> list[int]:
    """The other processes that hold a file open, as far as this user may see them."""
    return [
        int(name) for name in os.listdir("/proc") if name.isdigit() and _is_other(name) and has_open(int(name), path)
    ]


def _is_other(pid: str) -> bool:
    return int(pid) != os.getpid()


def _same(link: str, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(link), wanted)
    except OSError:
        return False
