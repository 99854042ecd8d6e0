"""What a run left git with, beside commits and changed files: in the record, in words, and for the next run."""

from __future__ import annotations

from runner.git.snapshots import Snapshot
from runner.git.traces import END_OF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject


def what_is_left(before: Snapshot, after: Snapshot) -> list[JsonObject]:
    """Objects with `kind`, `name` and what to do (`advice`); a lock also with `inode` and `mtime_ns`."""
    then, now = before.traces, after.traces
    found: list[JsonObject] = [
        {
            "kind": "lock",
            "name": lock.path,
            "advice": f"rm {lock.path}",
            "inode": lock.inode,
            "mtime_ns": lock.mtime_ns,
        }
        for lock in now.locks
        if lock not in then.locks
    ]
    found += [_left("in_progress", name, END_OF[name]) for name in now.in_progress if name not in then.in_progress]
    if before.branch != after.branch and before.branch and before.repository:
        name = after.branch or f"detached at {(after.head or '')[:12]}"
        found.append(_left("branch", name, f"git switch {before.branch}"))
    if now.stashes > then.stashes:
        found.append(_left("stash", str(now.stashes - then.stashes), "git stash list"))
    found += [_left("worktree", name, "git worktree list") for name in now.worktrees if name not in then.worktrees]
    found += [_left("submodule", name, "git submodule") for name in now.submodules if name not in then.submodules]
    found += [_left("config", name, "look at it before git runs there") for name in before.trust.changed(after.trust)]
    return found


def left_notes(left: list[JsonObject]) -> list[str]:
    """One note a kind; the branch has one already."""
    return [f"left in git: {_words(item)}" for item in left if item["kind"] != "branch"]


def _left(kind: str, name: str, advice: str) -> JsonObject:
    return {"kind": kind, "name": name, "advice": advice}


def _words(item: JsonObject) -> str:
    words = {
        "lock": f"the lock `{item['name']}`",
        "in_progress": f"a {item['name']} in progress (`{item['advice']}` ends it)",
        "stash": f"{item['name']} new in the stash",
        "worktree": f"the worktree `{item['name']}`",
        "submodule": f"the submodule `{item['name']}`",
        "config": f"{item['name']} was changed",
    }
    return words[item["kind"]]
