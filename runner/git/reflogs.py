"""Which commits were made in this repository, by its reflogs: what `git commit` and its like wrote there.

A commit that came by `pull`, `fetch`, `reset` or `checkout` stands there too, under that name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from runner.git.places import Places

_MAKING = ("commit", "cherry-pick", "revert", "am", "filter-branch")
# Of a rebase, by itself or by `git pull`: `(start)` and `(finish)` only move HEAD.
_STEPS = tuple(f"({step})" for step in ("pick", "reword", "squash", "fixup", "edit", "continue", "merge", "amend"))
_MERGED = "Merge made by"
_MAX_READ = 1 << 20  # bytes of one reflog, from its end
_MAX_LOGS = 2000


def sizes(places: Places) -> dict[str, int]:
    """The length of each reflog now."""
    found = {}
    for path in _paths(places):
        try:
            found[path] = os.lstat(path).st_size
        except OSError:
            continue
    return found


def made_since(places: Places, before: Mapping[str, int]) -> frozenset[str]:
    """The commits that entries newer than `before` say were made here."""
    made: set[str] = set()
    for path in _paths(places):
        for line in _new_lines(path, before.get(path, 0)):
            ids, _, message = line.partition("\t")
            words = ids.split(" ", 2)
            if len(words) == 3 and _was_made(message):
                made.add(words[1])
    return frozenset(made)


def _was_made(message: str) -> bool:
    action = message.partition(":")[0]
    return action.startswith(_MAKING) or action.endswith(_STEPS) or _MERGED in message


def _paths(places: Places) -> list[str]:
    found = [os.path.join(folder, "logs", "HEAD") for folder in places.dirs]
    if places.dirs:
        common = places.dirs[0]
        for top in (os.path.join(common, "logs", "refs", "heads"), os.path.join(common, "worktrees")):
            for folder, _, names in os.walk(top):
                inside = top.endswith("heads") or os.path.basename(folder) == "logs"
                found += [os.path.join(folder, name) for name in names] if inside else []
                if len(found) > _MAX_LOGS:
                    return found
    return found


def _new_lines(path: str, start: int) -> list[str]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            size = os.fstat(fd).st_size
            # A reflog that became shorter was rewritten: all of it is new.
            file.seek(max(start if start <= size else 0, size - _MAX_READ))
            return [line for line in file.read(_MAX_READ).decode(errors="replace").split("\n") if line]
    except OSError:
        return []
