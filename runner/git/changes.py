"""What came between two snapshots of a checkout, and whose work it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runner.git import reflogs
from runner.git.calls import run_all
from runner.git.left import left_notes, what_is_left
from runner.git.snapshots import Snapshot
from runner.model import Changes, Commit
from runner.values import dataclass

_MAX_COMMITS = 1000
_MAX_TIPS = 2000  # 41 bytes each on the command line
_CLOCK = 2.0  # seconds by which a commit may be older than the run that made it: git's times have whole ones


@dataclass(frozen=True)
class _Commit:
    sha: str
    committed_at: int
    subject: str


def changes(repo: str, before: Snapshot, after: Snapshot, env: Mapping[str, str]) -> Changes:
    """What the run left; commits newest first."""
    if not after.repository:
        gone = f"git cannot tell: {after.error}" if after.error else "the git repository is gone"
        noted = before.repository or after.error is not None
        return Changes(before.repository, notes=(gone,) if noted else (), unknown=gone if before.repository else None)
    found = _Changes(repo, before, after, env)
    commits, notes = found.commits() if found.moved else ([], [])
    unknown = f"git cannot tell what is uncommitted: {after.error}" if after.dirt is None else None
    left = what_is_left(before, after)
    return Changes(
        repository=True,
        commits=tuple(commits),
        dirt=_dirt(before, after),
        notes=(*notes, *([unknown] if unknown else []), *left_notes(left)),
        left=tuple(left),
        unknown=unknown,
        tampered=tuple(before.trust.changed(after.trust)),
    )


def _dirt(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    return tuple(sorted(path for path, _, _ in (after.dirt or frozenset()) - (before.dirt or frozenset())))


class _Changes:
    """The commits between two snapshots, by reading that runs no program of the repository."""

    def __init__(self, repo: str, before: Snapshot, after: Snapshot, env: Mapping[str, str]) -> None:
        self._repo = repo
        self._before = before
        self._after = after
        self._env = env
        known = {*before.refs.values(), *([before.head] if before.head else [])}
        if len(known) > _MAX_TIPS:
            changed = {sha for ref, sha in before.refs.items() if after.refs.get(ref) != sha}
            known = changed | ({before.head} if before.head else set())
        self._known = sorted(known)[:_MAX_TIPS]

    @property
    def moved(self) -> bool:
        return (
            self._after.head != self._before.head
            or self._before.branch != self._after.branch
            or bool(self._new_tips("refs/heads/"))
        )

    def commits(self) -> tuple[list[Commit], list[str]]:
        """The run's own, and notes on the others and on the branch that it began on."""
        head = [self._after.head] if self._after.head else []
        ours = self._log(head, self._known)
        elsewhere = self._log(self._new_tips("refs/heads/"), [*self._known, *head])
        own, notes = self._own([*ours, *elsewhere])
        others = sum(commit.sha in own for commit in elsewhere)
        notes += self._branch_notes()
        if others:
            notes.append(f"{others} commit{'s' if others > 1 else ''} on another branch than HEAD")
        return [Commit(commit.sha, commit.subject) for commit in (*ours, *elsewhere) if commit.sha in own], notes

    def _own(self, found: Sequence[_Commit]) -> tuple[frozenset[str], list[str]]:
        """The commits that were made by this run: a reflog says so, or they are as new and came from no remote."""
        if not found:
            return frozenset(), []
        made = reflogs.made_since(self._after.places, self._before.reflogs)
        remote = {commit.sha for commit in self._log(self._new_tips("refs/remotes/"), self._known)}
        began = self._before.taken_at - _CLOCK
        new = {commit.sha for commit in found if commit.committed_at >= began and commit.sha not in remote}
        own = frozenset(commit.sha for commit in found if commit.sha in made or commit.sha in new)
        came = sum(commit.sha in remote and commit.sha not in own for commit in found)
        older = len(found) - len(own) - came
        notes = []
        if came:
            notes.append(f"{_count(came)} came from {self._remote_name()}, and {_is(came)} not this run's work")
        if older:
            notes.append(f"{_count(older)} {_is(older)} older than this run, and not its work")
        return own, notes

    def _remote_name(self) -> str:
        names = [ref for ref, sha in self._after.refs.items() if self._is_new(ref, sha, "refs/remotes/")]
        return names[0].removeprefix("refs/remotes/") if names else "a remote"

    def _new_tips(self, prefix: str) -> list[str]:
        tips = {sha for ref, sha in self._after.refs.items() if self._is_new(ref, sha, prefix)}
        return sorted(tips)[:_MAX_TIPS]

    def _is_new(self, ref: str, sha: str, prefix: str) -> bool:
        return ref.startswith(prefix) and self._before.refs.get(ref) != sha

    def _log(self, tips: Sequence[str], known: Sequence[str]) -> list[_Commit]:
        if not tips:
            return []
        form = "--format=%H %ct %s"
        command = ["log", "--ignore-missing", f"--max-count={_MAX_COMMITS}", form, *tips, "--not", *known, "--"]
        (result,) = run_all([command], self._repo, self._env)
        lines = (line.split(" ", 2) for line in result.out.decode(errors="replace").split("\n"))
        return [
            _Commit(words[0], int(words[1]), words[2]) for words in lines if len(words) == 3 and words[1].isdecimal()
        ]

    def _branch_notes(self) -> list[str]:
        """What a maintainer wants to know of the branch that the run began on."""
        before, after, notes = self._before, self._after, []
        if before.branch != after.branch:
            notes.append(f"HEAD moved from `{before.branch or 'detached'}` to `{after.branch or 'detached'}`")
        ref = f"refs/heads/{before.branch}"
        then, now = (before.refs.get(ref), after.refs.get(ref)) if before.branch else (before.head, after.head)
        if then and not now:
            notes.append(f"the branch `{before.branch}` is gone")
        elif then and now and then != now:
            (ancestor,) = run_all([["merge-base", "--is-ancestor", then, now]], self._repo, self._env)
            if ancestor.code != 0:
                notes.append(f"history was rewritten: {then[:12]} is not an ancestor of {now[:12]}")
        return notes


def _count(number: int) -> str:
    return f"{number} commit{'' if number == 1 else 's'}"


def _is(number: int) -> str:
    return "is" if number == 1 else "are"
