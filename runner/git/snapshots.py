"""What a checkout holds at one moment."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

from runner.git import reflogs, trust
from runner.git.calls import Result, run_all
from runner.git.places import Places, places
from runner.git.traces import Traces, traces
from runner.git.trust import Trust
from runner.values import dataclass, field

_STATUS = ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal", "--no-renames")
_REFS = ("for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/remotes")
_HEAD = ("rev-parse", "--verify", "--quiet", "HEAD")
_BRANCH = ("symbolic-ref", "--quiet", "--short", "HEAD")


@dataclass(frozen=True)
class Snapshot:
    """A checkout at one moment. `error` says why git could not tell, where there seems to be a repository.

    `dirt` has one entry a changed or untracked path, with size and time of the file, so that a file that was dirty
    before and was changed again counts; None where git could tell no more than HEAD and the branches. `taken_at` is
    the wall clock, `reflogs` the length of each.
    """

    repository: bool
    head: str | None = None
    branch: str | None = None
    refs: Mapping[str, str] = field(default_factory=dict)
    dirt: frozenset[tuple[str, int, int]] | None = frozenset()
    identity: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None
    taken_at: float = 0.0
    places: Places = Places("")
    traces: Traces = Traces()
    trust: Trust = Trust(frozenset(), {})
    reflogs: Mapping[str, int] = field(default_factory=dict)


def snapshot(repo: str, env: Mapping[str, str], before: Snapshot | None = None) -> Snapshot:
    """What the checkout around `repo` holds now, and who is configured to commit there.

    After a run, `before` is the snapshot before it: where what can make git run programs is no longer the same, none
    of the repository's programs are run.
    """
    taken_at, where = time.time(), places(repo)
    found = traces(where)
    if before is None:
        status, refs, listing = run_all([_STATUS, _REFS, trust.LISTING], repo, env)
        now = trust.parse(listing.out, where)
    else:
        (listing,) = run_all([trust.LISTING], repo, env)
        now = trust.parse(listing.out, where)
        suspicious = now != before.trust
        # The configuration of a submodule is its own: git would ask it.
        words = (*_STATUS, "--ignore-submodules=dirty") if suspicious and found.submodules else _STATUS
        status, refs = run_all([words, _REFS], repo, env, now.without_programs if suspicious else ())
    seen = Snapshot(
        repository=True,
        refs=_parse_refs(refs.out.decode(errors="replace")),
        identity=_identity(listing.out),
        taken_at=taken_at,
        places=where,
        traces=found,
        trust=now,
        reflogs=reflogs.sizes(where),
    )
    return _with_status(seen, status) if status.code == 0 else _without_status(seen, status, repo, env)


def _with_status(seen: Snapshot, status: Result) -> Snapshot:
    head, branch, paths = _parse_status(status.out)
    dirt = frozenset(signature_of(seen.places.top, path) for path in paths)
    return Snapshot(**{**vars(seen), "head": head, "branch": branch, "dirt": dirt})


def _without_status(seen: Snapshot, status: Result, repo: str, env: Mapping[str, str]) -> Snapshot:
    """HEAD and the branches, which git reads also where the index or the work tree is damaged."""
    message = status.err.decode(errors="replace").strip()
    if "not a git repository" in message:
        return Snapshot(repository=False, taken_at=seen.taken_at, places=seen.places, trust=seen.trust)
    error = message or f"git status ended with {status.code}"
    head, branch = run_all([_HEAD, _BRANCH], repo, env)
    if head.code not in (0, 1) or branch.code not in (0, 1):
        return Snapshot(repository=False, error=error, taken_at=seen.taken_at, places=seen.places, trust=seen.trust)
    changed = {"head": _line(head), "branch": _line(branch), "dirt": None, "error": error}
    return Snapshot(**{**vars(seen), **changed})


def _line(result: Result) -> str | None:
    return result.out.decode(errors="replace").strip() or None if result.code == 0 else None


def _parse_status(out: bytes) -> tuple[str | None, str | None, list[str]]:
    """(HEAD's commit, branch, changed paths); None for an unborn HEAD and for a detached one."""
    head = branch = None
    paths: list[str] = []
    fields = iter(os.fsdecode(out).split("\0"))
    for entry in fields:
        kind = entry[:2]
        if entry.startswith("# branch.oid ") and not entry.endswith("(initial)"):
            head = entry[13:]
        elif entry.startswith("# branch.head ") and not entry.endswith("(detached)"):
            branch = entry[14:]
        elif kind == "1 ":
            paths.append(entry.split(" ", 8)[8])
        elif kind == "2 ":
            paths.append(entry.split(" ", 9)[9])
            next(fields)  # the path it was renamed from
        elif kind == "u ":
            paths.append(entry.split(" ", 10)[10])
        elif kind == "? ":
            paths.append(entry[2:])
    return head, branch, paths


def _parse_refs(out: str) -> dict[str, str]:
    """Commit by name of the branch."""
    pairs = [line.split(" ", 1) for line in out.split("\n") if " " in line]
    return {name: sha for sha, name in pairs}


def signature_of(top: str, path: str) -> tuple[str, int, int]:
    """The path with size and time of the file, by which a change of it is seen; -1 for one that is gone."""
    try:
        seen = os.lstat(os.path.join(top, path))
    except OSError:
        return path, -1, -1
    return path, seen.st_size, seen.st_mtime_ns


def _identity(listing: bytes) -> dict[str, str]:
    """GIT_AUTHOR_* and GIT_COMMITTER_* of the configured user: some agents hide the global git configuration."""
    entries = (entry.partition("\n") for entry in listing.decode(errors="replace").split("\0"))
    values = {key: value for key, _, value in entries}
    return {
        f"GIT_{role}_{key.upper()}": values[f"user.{key}"]
        for role in ("AUTHOR", "COMMITTER")
        for key in ("name", "email")
        if values.get(f"user.{key}")
    }
