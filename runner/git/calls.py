"""Git processes: side by side, without a shell, a prompt, a hook or a program that the repository names.

Each has a process group of its own (a Ctrl-C at the terminal must not end it), which is ended with it.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Mapping, Sequence

from runner.values import dataclass

_TIMEOUT = 60.0  # seconds for one batch; a checkout on a dead network disk must not hang the runner
_MAX_OUTPUT = 64 << 20  # bytes kept of one process's output

# What `git rev-parse --local-env-vars` lists: they point at one repository, that of a hook that called us, say.
LOCAL_VARS = frozenset(
    "GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_CONFIG GIT_CONFIG_PARAMETERS GIT_CONFIG_COUNT GIT_OBJECT_DIRECTORY GIT_DIR "
    "GIT_WORK_TREE GIT_IMPLICIT_WORK_TREE GIT_GRAFT_FILE GIT_INDEX_FILE GIT_NO_REPLACE_OBJECTS GIT_REPLACE_REF_BASE "
    "GIT_PREFIX GIT_SHALLOW_FILE GIT_COMMON_DIR".split()
)
# Programs of the environment that git would start; none is needed to read.
_PROGRAM_VARS = frozenset("GIT_EXTERNAL_DIFF GIT_PAGER GIT_EDITOR GIT_TRACE2_EVENT".split())
# fsmonitor would start a daemon, which the end of the run would take for something that the agent left.
_QUIET = ("core.fsmonitor=false", "log.showSignature=false", "diff.external=", "core.pager=cat")
_NO_HOOKS = "core.hooksPath=/dev/null"


@dataclass(frozen=True)
class Result:
    code: int
    out: bytes
    err: bytes


def run_all(
    commands: Sequence[Sequence[str]],
    cwd: str,
    env: Mapping[str, str],
    settings: Sequence[str] = (),
    *,
    hooks: bool = False,
) -> list[Result]:
    """Run git commands at the same time in `cwd`; a git that cannot be started or hangs is a Result with code 127.

    `settings` are further `key=value` for each; `hooks` lets the repository's hooks run.
    """
    clean = {name: value for name, value in env.items() if name not in LOCAL_VARS and name not in _PROGRAM_VARS}
    clean |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    options = [word for setting in (*_QUIET, *(() if hooks else (_NO_HOOKS,)), *settings) for word in ("-c", setting)]
    running = [_start(["git", *options, "-C", cwd, *command], clean) for command in commands]
    chunks = _collect([fd for _, *fds in running for fd in fds])
    return [_finish(pid, b"".join(chunks[out]), b"".join(chunks[err])) for pid, out, err in running]


def _start(argv: list[str], env: dict[str, str]) -> tuple[int, int, int]:
    """(pid, stdout, stderr); pid 0 when git cannot be started."""
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
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
    sizes = dict.fromkeys(fds, 0)
    deadline = time.monotonic() + _TIMEOUT
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    waiting = set(fds)
    while waiting and (rest := deadline - time.monotonic()) > 0:
        for fd, _ in poll.poll(rest * 1000):
            chunk = os.read(fd, 1 << 16)
            sizes[fd] += len(chunk)
            if chunk and sizes[fd] <= _MAX_OUTPUT:
                chunks[fd].append(chunk)
            elif not chunk:
                poll.unregister(fd)
                waiting.discard(fd)
    for fd in fds:
        os.close(fd)
    return chunks


def _finish(pid: int, out: bytes, err: bytes) -> Result:
    if pid == 0:
        return Result(127, out, err)
    # Its output has ended and it has not, or its time is up: a moment more.
    deadline = time.monotonic() + 1.0
    while not _has_ended(pid) and time.monotonic() < deadline:
        select.select([], [], [], 0.002)
    in_time = _has_ended(pid)
    # Before it is reaped its group's number cannot be another's.
    _kill_group(pid)
    _, status = os.waitpid(pid, 0)
    if not in_time:
        return Result(127, out, err or b"git took too long")
    return Result(os.waitstatus_to_exitcode(status), out, err)


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass
