"""Where the configuration is: the project's folder, the stock set, and their files, read once each."""

from __future__ import annotations

import errno
import os
import stat
from _blake2 import blake2b  # hashlib brings OpenSSL, which costs two milliseconds
from collections.abc import Mapping

from runner.config.display import show_file
from runner.errors import Problem, UsageError
from runner.values import dataclass

AGENTS = "agents.yaml"
TASKS = "tasks.yaml"


@dataclass(frozen=True)
class Project:
    """The folder that holds agents.yaml and tasks.yaml, or would; a file that is not there is None.

    `is_stock`: the folder is the stock set itself, so there is nothing to merge.
    """

    root: str
    agents_file: str | None
    tasks_file: str | None
    is_stock: bool


def state_home(environ: Mapping[str, str]) -> str | None:
    """Return the runner's folder below XDG_STATE_HOME; None without a home."""
    base = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        home = environ.get("HOME", "")
        if not os.path.isabs(home):
            return None
        base = os.path.join(home, ".local", "state")
    return os.path.join(base, "runner")


def stock_dir() -> str:
    """Return the folder of the stock agents.yaml, tasks.yaml, prompts/ and schema/."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    installed = os.path.join(package, "stock")
    return installed if os.path.isdir(installed) else os.path.dirname(package)


def find_project(start: str, explicit: str | None) -> Project:
    """Return the nearest folder from `start` upwards with an agents.yaml, else the git top level, else `start`.

    `explicit` names the folder itself. Raise UsageError when it is not a folder.
    """
    if explicit is not None:
        folder = os.path.abspath(os.path.join(start, explicit))
        if not os.path.isdir(folder):
            raise UsageError(
                f"the project `{explicit}` is not a folder", hint="give a folder to --project or RUNNER_PROJECT"
            )
        return project_at(folder)
    start = os.path.abspath(start)
    root = _upwards(start, AGENTS) or _upwards(start, ".git") or start
    return project_at(root)


def project_at(root: str) -> Project:
    stock = stock_dir()
    is_stock = os.path.realpath(root) == os.path.realpath(stock)
    return Project(root, _existing(root, AGENTS), _existing(root, TASKS), is_stock)


def _existing(folder: str, name: str) -> str | None:
    path = os.path.join(folder, name)
    # A dangling link or a folder of that name exists; reading it reports what is wrong.
    return path if os.path.lexists(path) else None


def _upwards(folder: str, name: str) -> str | None:
    while not os.path.lexists(os.path.join(folder, name)):
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent
    return folder


MAX_YAML = 1024 * 1024
_KINDS = ("agents", "tasks")
_PLAIN_WORDS = {
    errno.ELOOP: "cannot be read: a loop of symbolic links",
    errno.ENOENT: "cannot be read: no such file",
    errno.EACCES: "cannot be read: permission denied",
    errno.ENXIO: "is a socket, expected a file",
}
_WRITABLE_BY_OTHERS = 0o022


@dataclass(frozen=True)
class Source:
    """One input file as it was read. `kind` is agents or tasks."""

    kind: str
    path: str
    stock: bool
    data: bytes

    @property
    def folder(self) -> str:
        return os.path.dirname(self.path)


class UnreadableError(Exception):
    """Why a file is not read."""


def read_sources(project: Project, stock: str) -> tuple[list[Source], list[Problem]]:
    """Read the stock files and the project's, in the order in which they merge; return what could not be read, too."""
    wanted = [(kind, os.path.join(stock, f"{kind}.yaml"), True) for kind in _KINDS]
    if not project.is_stock:
        mine = zip(_KINDS, (project.agents_file, project.tasks_file), strict=True)
        wanted += [(kind, path, False) for kind, path in mine if path is not None]
    sources, problems = [], []
    for kind, path, is_stock in wanted:
        try:
            sources.append(Source(kind, path, is_stock, read_file(path, MAX_YAML, runs=True)))
        except UnreadableError as error:
            problems.append(Problem(show_file(path), 0, 0, str(error)))
    return sources, problems


def read_file(path: str, limit: int, *, runs: bool = False) -> bytes:
    """Read a regular file of at most `limit` bytes without waiting for a FIFO. Raise UnreadableError.

    `runs` is for a file that says which programs run: root reads none that others may write.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise UnreadableError(_PLAIN_WORDS.get(error.errno or 0, f"cannot be read: {error.strerror}")) from None
    except ValueError:
        raise UnreadableError("is not a file name") from None
    try:
        mode = os.fstat(fd).st_mode
        if runs and os.geteuid() == 0 and stat.S_ISREG(mode) and mode & _WRITABLE_BY_OTHERS:
            raise UnreadableError(
                "is writable by its group or by others, and root would run what they write (chmod go-w)"
            )
        return _read(fd, limit)
    finally:
        os.close(fd)


def read_below(root: str, path: str, limit: int) -> str:
    """Return the text of a file that a task names, in the project at `root` or a stock one. Raise UnreadableError."""
    home = os.path.realpath(path)
    if not any(_below(home, os.path.realpath(folder)) for folder in (root, stock_dir())):
        raise UnreadableError("lies outside the folder of its tasks.yaml")
    try:
        return read_file(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableError("is not UTF-8") from None


def _below(path: str, folder: str) -> bool:
    return os.path.commonpath((path, folder)) == folder


def _read(fd: int, limit: int) -> bytes:
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode):
        raise UnreadableError(f"is {_kind(facts.st_mode)}, expected a file")
    if facts.st_size > limit:
        raise UnreadableError(f"is too large: {facts.st_size:,} bytes, the limit is {limit:,}")
    # One byte more than allowed: a file that grows meanwhile does not slip through.
    pieces, left = [], limit + 1
    while left and (piece := os.read(fd, left)):
        pieces.append(piece)
        left -= len(piece)
    if not left:
        raise UnreadableError(f"is too large: the limit is {limit:,} bytes")
    return b"".join(pieces)


def _kind(mode: int) -> str:
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a FIFO"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((words for fits, words in kinds if fits(mode)), "not a file")


def digest(sources: list[Source]) -> str:
    """Hash every input: 16 hex digits."""
    whole = blake2b(digest_size=8)
    for source in sources:
        for part in (os.fsencode(source.path), str(source.stock).encode(), source.data):
            whole.update(len(part).to_bytes(8, "big"))
            whole.update(part)
    return whole.hexdigest()
