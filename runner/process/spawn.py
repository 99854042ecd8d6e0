"""Start one program in a session of its own, with nothing inherited but what is given."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat

from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.process.cgroup import Cgroup

MAX_WORD = 128 * 1024  # the kernel's MAX_ARG_STRLEN: one argv word or one NAME=value, its final NUL included
_F_SETPIPE_SZ = 1031
_PIPE_SIZE = 1 << 20
# The interpreter and a parent such as nohup ignore some of these, and an ignored signal stays ignored across exec.
RESET = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGCHLD)


class LaunchError(Exception):
    """The agent could not be started; the message says why, for people."""


class ContainmentError(LaunchError):
    """The agent could not be put into its control group."""


@dataclass(frozen=True)
class Program:
    """What is started, and where; `env` is its whole environment."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str


class Pipes:
    """The agent's output: read ends for those who pump, write ends for the agent alone."""

    def __init__(self) -> None:
        self.stdout, self.stdout_write = _pipe()
        self.stderr, self.stderr_write = _pipe()
        os.set_blocking(self.stdout, False)
        os.set_blocking(self.stderr, False)

    def close_writing(self) -> None:
        """Where the agent is not, or is already: else the pipes never end."""
        os.close(self.stdout_write)
        os.close(self.stderr_write)


def find_binary(name: str, path: str, cwd: str) -> str:
    """The absolute path of a program on `path`; a name with a slash is relative to `cwd`. Raises LaunchError."""
    if not name:
        raise LaunchError("the agent's binary is empty")
    if "/" in name:
        candidates = [os.path.join(cwd, name)]
    else:
        candidates = [os.path.join(folder or ".", name) for folder in path.split(os.pathsep)]
    found_unusable = None
    for candidate in candidates:
        try:
            mode = os.stat(candidate).st_mode
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(mode) and os.access(candidate, os.X_OK):
            return os.path.abspath(candidate)
        found_unusable = candidate
    if found_unusable is not None:
        raise LaunchError(f"`{found_unusable}` is not an executable file")
    where = "does not exist" if "/" in name else f"was not found on PATH ({path or 'empty'})"
    raise LaunchError(f"`{name}` {where}")


def check_words(argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Refuse what exec cannot carry. Raises LaunchError."""
    for index, word in enumerate(argv):
        size = len(os.fsencode(word)) + 1
        if size > MAX_WORD:
            raise LaunchError(
                f"argv word {index} has {size:,} bytes, and one word may have {MAX_WORD:,}: pass the prompt on stdin"
            )
        if "\0" in word:
            raise LaunchError(f"argv word {index} holds a NUL")
    for name, value in env.items():
        if "\0" in name or "\0" in value or "=" in name:
            raise LaunchError(f"the environment variable `{name!r}` holds a NUL or an `=` in its name")


def spawn(program: Program, stdin: int, pipes: Pipes, cgroup: Cgroup | None = None) -> int:
    """Start a program with `stdin` (a file's descriptor) and two pipes, inside that cgroup; its pid.

    Raises LaunchError.
    """
    check_words(program.argv, program.env)
    binary = find_binary(program.argv[0], program.env.get("PATH", os.defpath), program.cwd)
    report_read, report_write = os.pipe()
    try:
        pid = os.fork() if cgroup is None else cgroup.fork()
    except OSError as error:
        os.close(report_read)
        os.close(report_write)
        kind = LaunchError if cgroup is None else ContainmentError
        raise kind(f"cannot fork: {(error.strerror or str(error)).lower()}") from None
    if pid == 0:
        _become(binary, program, (stdin, pipes.stdout_write, pipes.stderr_write), report_write)
    os.close(report_write)
    report = os.read(report_read, 64)
    os.close(report_read)
    if report:
        os.waitpid(pid, 0)
        step, _, number = report.decode().partition(" ")
        raise LaunchError(_explain(step, int(number), binary, program.cwd))
    return pid


def _pipe() -> tuple[int, int]:
    read, write = os.pipe()
    try:
        # A pipe of 1 MiB halves the cost of streaming; a user's quota may refuse it, and 64 KiB works as well.
        fcntl.fcntl(write, _F_SETPIPE_SZ, _PIPE_SIZE)
    except OSError:
        pass
    return read, write


def _become(binary: str, program: Program, streams: tuple[int, int, int], report: int) -> None:
    """In the forked child: turn into the program, or report the step that failed and its errno; never returns."""
    step = "setsid"
    try:
        os.setsid()
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        for name in RESET:
            signal.signal(name, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        step = "chdir"
        os.chdir(program.cwd)
        step = "exec"
        os.execve(binary, list(program.argv), dict(program.env))
    except OSError as error:
        os.write(report, f"{step} {error.errno or errno.EIO}".encode())
    finally:
        os._exit(127)


def _explain(step: str, number: int, binary: str, cwd: str) -> str:
    if step == "chdir":
        return f"cannot enter the folder `{cwd}`: {os.strerror(number).lower()}"
    if number == errno.ENOENT:
        return f"`{binary}` exists, but the interpreter that its first line names does not"
    if number == errno.ENOEXEC:
        return f"`{binary}` is no program for this machine (exec format error)"
    if number == errno.E2BIG:
        return f"the arguments and the environment of `{binary}` are too long for exec: pass the prompt on stdin"
    return f"cannot start `{binary}`: {os.strerror(number).lower()}"
