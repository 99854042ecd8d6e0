"""What the last run left of git's own in a checkout, kept for the next one: a file a checkout in the state folder.

A lock that a closed run left, and that no process holds open, is removed. Where a person is needed, an unattended run
does not begin.
"""

from __future__ import annotations

import os
from _blake2 import blake2b  # hashlib brings OpenSSL, which costs two milliseconds

from runner import files
from runner.git import Snapshot
from runner.git.traces import END_OF, Lock, is_open
from runner.model import Invocation, Skipped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject

_KEPT = ("lock", "branch")
_MAX_SIZE = 1 << 16


def remember(state: str, repo: str, run_id: str, left: tuple[JsonObject, ...]) -> None:
    """Keep what the next run in the checkout should know; what cannot be written is not kept."""
    path, kept = _path(state, repo), [item for item in left if item["kind"] in _KEPT]
    try:
        if kept:
            files.make_folders(os.path.dirname(path))
            files.write_json(path, {"run_id": run_id, "left": kept})
        elif os.path.lexists(path):
            files.unlink(path)
    except OSError:
        pass


def check(state: str, invocation: Invocation, before: Snapshot, *, unattended: bool) -> list[str]:
    """Make the checkout fit for a run that commits, where that is safe; notes on what was done. Raises Skipped."""
    expected = invocation.expectations
    if not (expected.requires_commit or expected.auto_commit):
        return []
    found = _read(_path(state, invocation.cwd))
    notes = []
    for lock in before.traces.locks:
        if _is_stale(lock, found):
            os.unlink(lock.path)
            notes.append(f"removed the stale lock `{lock.path}`, which run {found['run_id']} left")
        elif unattended:
            raise Skipped("dirty_workspace", f"git is locked: end the git that works there, or `rm {lock.path}`")
    if unattended:
        _refuse(before, found)
    return notes


def _refuse(before: Snapshot, found: JsonObject) -> None:
    """Where only a person can say how to go on."""
    for name in before.traces.in_progress:
        raise Skipped("dirty_workspace", f"a {name} is in progress: `{END_OF[name]}` ends it")
    here = before.branch or f"detached at {(before.head or '')[:12]}"
    for item in found["left"]:
        if item["kind"] == "branch" and item["name"] == here:
            message = f"HEAD is still where run {found['run_id']} left it ({here}): `{item['advice']}` brings it back"
            raise Skipped("dirty_workspace", message)


def _is_stale(lock: Lock, found: JsonObject) -> bool:
    same = (
        item["kind"] == "lock"
        and (item["name"], item["inode"], item["mtime_ns"]) == (lock.path, lock.inode, lock.mtime_ns)
        for item in found["left"]
    )
    return any(same) and not is_open(lock.path)


def _read(path: str) -> JsonObject:
    nothing: JsonObject = {"run_id": "", "left": []}
    try:
        found = files.read_json(path, _MAX_SIZE)
        whole = isinstance(found["run_id"], str) and all(
            {"kind", "name", "advice"} <= item.keys()
            and (item["kind"] != "lock" or {"inode", "mtime_ns"} <= item.keys())
            for item in found["left"]
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return nothing
    return found if whole else nothing


def _is_whole(item: JsonObject) -> bool:
    wanted = {"kind", "name", "advice"} | ({"inode", "mtime_ns"} if item["kind"] == "lock" else set())
    return wanted <= item.keys()


def _path(state: str, repo: str) -> str:
    name = blake2b(os.fsencode(os.path.realpath(repo)), digest_size=16).hexdigest()
    return os.path.join(state, "checkouts", f"{name}.json")
