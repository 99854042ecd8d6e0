"""The only caller of git: what a checkout holds before and after a run.

Calls run side by side, in process groups of their own (a Ctrl-C at the terminal must not end them), without a shell.
"""

from __future__ import annotations

import os
import select
import signal
import time

from runner.checkout import top_of
from runner.model import Changes, Commit
from runner.values import dataclass, field

_TIMEOUT = 60.0  # seconds for one batch; a checkout on a dead network disk must not hang the runner
_MAX_COMMITS = 1000
_MAX_TIPS = 2000  # 41 bytes each on the command line

# What `git rev-parse --local-env-vars` lists: they point at one repository, that of a hook that called us, say.
LOCAL_VARS = frozenset(
    "GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_CONFIG GIT_CONFIG_PARAMETERS GIT_CONFIG_COUNT GIT_OBJECT_DIRECTORY GIT_DIR "
    "GIT_WORK_TREE GIT_IMPLICIT_WORK_TREE GIT_GRAFT_FILE GIT_INDEX_FILE GIT_NO_REPLACE_OBJECTS GIT_REPLACE_REF_BASE "
    "GIT_PREFIX GIT_SHALLOW_FILE GIT_COMMON_DIR".split()
)


@dataclass(frozen=True)
class Result:
    code: int
    out: bytes
    err: bytes


@dataclass(frozen=True)
class Snapshot:
    """A checkout at one moment. `error` says why git could not tell, where there seems to be a repository.

    `dirt` has one entry a changed or untracked path, with size and time of the file, so that a file that was dirty
    before and was changed again counts.
    """

    repository: bool
    head: str | None = None
    branch: str | None = None
    refs: dict[str, str] = field(default_factory=dict)
    dirt: frozenset[tuple[str, int, int]] = frozenset()
    identity: dict[str, str] = field(default_factory=dict)
    error: str | None = None


def run_all(commands: list[list[str]], cwd: str, env: dict[str, str]) -> list[Result]:
    """Run git commands at the same time in `cwd`; a git that cannot be started or hangs is a Result with code 127."""
    clean = {name: value for name, value in env.items() if name not in LOCAL_VARS}
    clean |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    running = [_start(command, cwd, clean) for command in commands]
    chunks = _collect([fd for _, *fds in running for fd in fds])
    return [_finish(pid, b"".join(chunks[out]), b"".join(chunks[err])) for pid, out, err in running]


def _start(command: list[str], cwd: str, env: dict[str, str]) -> tuple[int, int, int]:
    """(pid, stdout, stderr); pid 0 when git cannot be started."""
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    # fsmonitor would start a daemon, which the end of the run would take for something that the agent left.
    argv = ["git", "-c", "core.fsmonitor=false", "-C", cwd, *command]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, out_write, 1),
        (os.POSIX_SPAWN_DUP2, err_write, 2),
    ]
    try:
        pid = os.posix_spawnp("git", argv, env, file_actions=actions, setpgroup=0, setsigdef=(signal.SIGPIPE,))
    except OSError as error:
        os.write(err_write, f"cannot start git: {error.strerror}".encode())
        pid = 0
    os.close(out_write)
    os.close(err_write)
    return pid, out_read, err_read


def _collect(fds: list[int]) -> dict[int, list[bytes]]:
    chunks: dict[int, list[bytes]] = {fd: [] for fd in fds}
    deadline = time.monotonic() + _TIMEOUT
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    waiting = set(fds)
    while waiting and (rest := deadline - time.monotonic()) > 0:
        for fd, _ in poll.poll(rest * 1000):
            chunk = os.read(fd, 1 << 16)
            if chunk:
                chunks[fd].append(chunk)
            else:
                poll.unregister(fd)
                waiting.discard(fd)
    for fd in fds:
        os.close(fd)
    return chunks


def _finish(pid: int, out: bytes, err: bytes) -> Result:
    if pid == 0:
        return Result(127, out, err)
    done, status = os.waitpid(pid, os.WNOHANG)
    if done == 0:
        # Its output has ended and it has not, or its time is up.
        deadline = time.monotonic() + 1.0
        while done == 0 and time.monotonic() < deadline:
            select.select([], [], [], 0.002)
            done, status = os.waitpid(pid, os.WNOHANG)
    if done == 0:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return Result(127, out, err or b"git took too long")
    return Result(os.waitstatus_to_exitcode(status), out, err)


def snapshot(repo: str, env: dict[str, str], *, identity: bool = False) -> Snapshot:
    """What the checkout around `repo` holds now, and who is configured to commit there if that is asked for."""
    commands = [
        ["status", "--porcelain=v2", "--branch", "-z", "--untracked-files=normal"],
        ["for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/remotes"],
        ["config", "--get-regexp", r"^user\.(name|email)$"],
    ]
    status, refs, *user = run_all(commands if identity else commands[:2], repo, env)
    if status.code != 0:
        message = status.err.decode(errors="replace").strip()
        gone = "not a git repository" in message
        return Snapshot(repository=False, error=None if gone else message or f"git status ended with {status.code}")
    head, branch, paths = _parse_status(status.out)
    top = top_of(repo)
    return Snapshot(
        repository=True,
        head=head,
        branch=branch,
        refs=_parse_refs(refs.out.decode(errors="replace")),
        dirt=frozenset(_signature(top, path) for path in paths),
        identity=_identity(user[0].out.decode(errors="replace")) if user else {},
    )


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
    pairs = [line.split(" ", 1) for line in out.splitlines() if " " in line]
    return {name: sha for sha, name in pairs}


def _signature(top: str, path: str) -> tuple[str, int, int]:
    try:
        seen = os.lstat(os.path.join(top, path))
    except OSError:
        return path, -1, -1
    return path, seen.st_size, seen.st_mtime_ns


def _identity(out: str) -> dict[str, str]:
    """GIT_AUTHOR_* and GIT_COMMITTER_* of the configured user: some agents hide the global git configuration."""
    pairs = dict(line.split(" ", 1) for line in out.splitlines() if " " in line)
    return {
        f"GIT_{role}_{key.upper()}": pairs[f"user.{key}"]
        for role in ("AUTHOR", "COMMITTER")
        for key in ("name", "email")
        if f"user.{key}" in pairs
    }


def changes(repo: str, before: Snapshot, after: Snapshot, env: dict[str, str]) -> Changes:
    """What came between two snapshots; commits newest first."""
    if not after.repository:
        gone = f"git cannot tell: {after.error}" if after.error else "the git repository is gone"
        return Changes(before.repository, notes=(gone,) if before.repository or after.error else ())
    dirt = tuple(sorted(path for path, _, _ in after.dirt - before.dirt))
    moved = sorted(
        {sha for ref, sha in after.refs.items() if before.refs.get(ref) != sha and ref.startswith("refs/heads/")}
    )
    if after.head == before.head and not moved and before.branch == after.branch:
        return Changes(True, dirt=dirt)
    known = sorted({*before.refs.values(), *([before.head] if before.head else [])})
    if len(known) > _MAX_TIPS:
        changed = {sha for ref, sha in before.refs.items() if after.refs.get(ref) != sha}
        known = sorted(changed | ({before.head} if before.head else set()))[:_MAX_TIPS]
    ours = _log(repo, [after.head] if after.head else [], known, env)
    others = _log(repo, moved[:_MAX_TIPS], [*known, *([after.head] if after.head else [])], env)
    notes = _notes(repo, before, after, env)
    if others:
        notes.append(f"{len(others)} commit{'s' if len(others) > 1 else ''} on another branch than HEAD")
    return Changes(True, tuple(ours + others), dirt, tuple(notes))


def _log(repo: str, tips: list[str], known: list[str], env: dict[str, str]) -> list[Commit]:
    if not tips:
        return []
    command = ["log", "--ignore-missing", f"--max-count={_MAX_COMMITS}", "--format=%H %s", *tips, "--not", *known, "--"]
    (result,) = run_all([command], repo, env)
    return [Commit(*line.split(" ", 1)) for line in result.out.decode(errors="replace").splitlines() if " " in line]


def _notes(repo: str, before: Snapshot, after: Snapshot, env: dict[str, str]) -> list[str]:
    """What a maintainer wants to know of the branch that the run began on."""
    notes = []
    if before.branch != after.branch:
        notes.append(f"HEAD moved from `{before.branch or 'detached'}` to `{after.branch or 'detached'}`")
    ref = f"refs/heads/{before.branch}"
    then, now = (before.refs.get(ref), after.refs.get(ref)) if before.branch else (before.head, after.head)
    if then and not now:
        notes.append(f"the branch `{before.branch}` is gone")
    elif then and now and then != now:
        (ancestor,) = run_all([["merge-base", "--is-ancestor", then, now]], repo, env)
        if ancestor.code != 0:
            notes.append(f"history was rewritten: {then[:12]} is no ancestor of {now[:12]}")
    return notes


def commit_all(repo: str, message: str, env: dict[str, str]) -> str | None:
    """Commit everything in the checkout; returns what git said when it failed."""
    for command in (["add", "--all", "--", ":/"], ["commit", "--quiet", "--message", message]):
        (result,) = run_all([command], repo, env)
        if result.code != 0:
            return (result.err or result.out).decode(
                errors="replace"
            ).strip() or f"git {command[0]} ended with {result.code}"
    return None


def show(repo: str, shas: list[str], env: dict[str, str]) -> Result:
    """The commits with their patches, without programs that the repository's configuration may name."""
    command = ["show", "--no-color", "--no-ext-diff", "--no-textconv", "--no-show-signature", "--stat", "--patch"]
    (result,) = run_all([[*command, *shas, "--"]], repo, env)
    return result
