"""What git itself leaves in a checkout's git folders: locks, operations in progress, stashes, worktrees, submodules."""

from __future__ import annotations

import os
from collections.abc import Sequence

from runner.git.places import Places
from runner.values import dataclass

_LOCKS = ("index.lock", "HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock", "refs/stash.lock")
_IN_PROGRESS = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}
END_OF = {
    "merge": "git merge --abort",
    "rebase": "git rebase --abort",
    "cherry-pick": "git cherry-pick --abort",
    "revert": "git revert --abort",
    "bisect": "git bisect reset",
}
"""How a person ends an operation that is in progress."""
_MAX_STASHES = 1 << 20  # bytes read of the list of stashes


@dataclass(frozen=True)
class Lock:
    """A lock file of git; its inode and its time say whether it is still the same one."""

    path: str
    inode: int
    mtime_ns: int


@dataclass(frozen=True)
class Traces:
    """`in_progress` names operations such as `merge`."""

    locks: tuple[Lock, ...] = ()
    in_progress: tuple[str, ...] = ()
    stashes: int = 0
    worktrees: tuple[str, ...] = ()
    submodules: tuple[str, ...] = ()


def traces(places: Places) -> Traces:
    """Read without git, which may not answer in such a checkout."""
    if not places.dirs:
        return Traces()
    common, own = places.dirs[0], places.dirs[-1]
    locks = [lock for folder in places.dirs for name in _LOCKS if (lock := _lock(os.path.join(folder, name)))]
    names = (word for name, word in _IN_PROGRESS.items() if os.path.lexists(os.path.join(own, name)))
    return Traces(
        locks=tuple(locks),
        in_progress=tuple(dict.fromkeys(names)),
        stashes=_stashes(os.path.join(common, "logs", "refs", "stash")),
        worktrees=tuple(_listed(os.path.join(common, "worktrees"))),
        submodules=tuple(_listed(os.path.join(common, "modules"))),
    )


def is_open(path: str) -> bool:
    """Whether a process of this host has the file open, as far as /proc shows."""
    for pid in _listed("/proc"):
        if not pid.isdigit():
            continue
        for name in _listed(f"/proc/{pid}/fd"):
            try:
                if os.readlink(f"/proc/{pid}/fd/{name}") == path:
                    return True
            except OSError:
                continue
    return False


def _lock(path: str) -> Lock | None:
    try:
        seen = os.lstat(path)
    except OSError:
        return None
    return Lock(path, seen.st_ino, seen.st_mtime_ns)


def _stashes(path: str) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            return file.read(_MAX_STASHES).count(b"\n")
    except OSError:
        return 0


def _listed(folder: str) -> Sequence[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return ()
