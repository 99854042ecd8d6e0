"""Which paths are not as they were at a commit: in another commit, and in the working tree."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from runner.asked import Edit
from runner.git.calls import Result, run_all
from runner.git.places import places
from runner.git.snapshots import Snapshot, signature_of

_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_DIFF = (
    "diff",
    "--no-renames",
    "--no-ext-diff",
    "--no-textconv",
    "--no-color",
    "--no-relative",
    "--ignore-submodules=dirty",
    "-z",
)
_OTHERS = ("ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", ":/")
_CHANGES = {"A": "added", "D": "deleted"}
_CLOCK = 2.0  # seconds by which the time of a file may be behind the clock


class UnknownError(Exception):
    """Git cannot tell what was changed, and says why."""


def edits_since(repo: str, before: Snapshot, after: Snapshot, env: Mapping[str, str]) -> list[Edit]:
    """What a run edited: in its final commit, and uncommitted. Ignored files are not looked at. Raises UnknownError.

    What was uncommitted before the run, and is unchanged, is not the run's.
    """
    base = before.head or _EMPTY_TREE
    last = after.head or _EMPTY_TREE
    safe = after.trust.without_programs if after.trust != before.trust else ()
    ranges = ([base, last], [base])
    commands = [[*_DIFF, form, *commits, "--"] for commits in ranges for form in ("--name-status", "--numstat")]
    results = run_all([*commands, list(_OTHERS)], repo, env, safe)
    for result in results:
        if result.code != 0:
            raise UnknownError(result.err.decode(errors="replace").strip() or f"git diff ended with {result.code}")
    own = {path for path, _, _ in (after.dirt or frozenset()) - (before.dirt or frozenset())}
    found = {edit.path: edit for edit in _new_files(results[4], before, own)}
    found |= {edit.path: edit for edit in _edits(*results[2:4]) if edit.path in own or before.dirt is None}
    for edit in _edits(*results[:2]):
        # The worse of the two: what the commit or what the working tree did to it.
        other = found.get(edit.path)
        if other is None or edit.change == "deleted" or (other.change != "deleted" and _loss(edit) > _loss(other)):
            found[edit.path] = edit
    return [found[path] for path in sorted(found)]


def unlike(repo: str, commit: str, env: Mapping[str, str], settings: Sequence[str] = ()) -> list[tuple[str, int, int]]:
    """The paths that are not as in the commit, each with size and time, -1 where it is gone. Raises UnknownError."""
    top = os.fsdecode(places(repo).top)
    results = run_all([[*_DIFF, "--name-only", commit, "--"], list(_OTHERS)], repo, env, settings)
    for result in results:
        if result.code != 0:
            raise UnknownError(result.err.decode(errors="replace").strip())
    return [signature_of(top, path) for result in results for path in _fields(result)]


def _loss(edit: Edit) -> float:
    return float("inf") if edit.removed is None else edit.removed


def _edits(status: Result, counts: Result) -> Iterator[Edit]:
    lines = {}
    for entry in _fields(counts):
        added, removed, path = entry.split("\t", 2)
        lines[path] = (int(added), int(removed)) if added != "-" else (None, None)
    words = _fields(status)
    for kind, path in zip(words[::2], words[1::2], strict=True):
        yield Edit(path, _CHANGES.get(kind[:1], "changed"), *lines.get(path, (None, None)))


def _new_files(others: Result, before: Snapshot, own: set[str]) -> Iterator[Edit]:
    """Files that git does not know yet; status names a new folder as one."""
    folders = tuple(path for path in own if path.endswith("/"))
    for path in _fields(others):
        if path in own or (path.startswith(folders) and _is_new(before, path)):
            yield Edit(path, "added")


def _is_new(before: Snapshot, path: str) -> bool:
    try:
        changed_at = os.lstat(os.path.join(before.places.top, path)).st_ctime
    except OSError:
        return False
    known = signature_of(before.places.top, path) in (before.dirt or ())
    return not known and changed_at >= before.taken_at - _CLOCK


def _fields(result: Result) -> list[str]:
    return [field for field in os.fsdecode(result.out).split("\0") if field]
