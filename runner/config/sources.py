"""Reading the input files, once each, whatever stands under their names."""

from __future__ import annotations

import errno
import os
import stat
from _blake2 import blake2b  # hashlib brings OpenSSL, which costs two milliseconds

from runner.config.display import show_file
from runner.config.project import Project
from runner.errors import Problem
from runner.values import dataclass

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
