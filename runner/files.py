"""Small files, written so that a reader finds them whole, and nobody but their owner reads them.

An agent can put anything where the runner reads or writes: a FIFO on which an open waits for ever, a folder, a link to
an endless device. So there is one way to open a file, `open_file`.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_SAFELY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FILE = os.O_WRONLY | os.O_CREAT
_WRONG_KIND = (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV)
MAX_SIZE = 64 << 20  # bytes read of a file whose size nothing else bounds
_moved: list[str] = []


def open_file(path: str, flags: int = os.O_RDONLY) -> int:
    """Open a regular file, without following a link and without waiting; its owner alone may read what is created.

    Something else that stands there is moved aside first, to `PATH.damaged`. Raises OSError.
    """
    for _ in range(2):
        try:
            fd = os.open(path, flags | _SAFELY, 0o600)
        except OSError as error:
            if error.errno not in _WRONG_KIND:
                raise
        else:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                return fd
            os.close(fd)
        move_aside(path)
    raise OSError(errno.EEXIST, "is not a regular file, and comes again", path)


def move_aside(path: str) -> None:
    """Rename what has the wrong kind, or is damaged, to the first free `PATH.damaged`, `PATH.damaged2` …."""
    for number in range(1, 1000):
        aside = f"{path}.damaged{'' if number == 1 else number}"
        if not os.path.lexists(aside):
            os.rename(path, aside)
            _moved.append(aside)
            return
    raise OSError(errno.EEXIST, "there are too many damaged ones", path)


def take_moved() -> list[str]:
    """Where what this process moved aside is now, since the last call: for a note."""
    found = list(_moved)
    _moved.clear()
    return found


def read_bytes(path: str, limit: int = MAX_SIZE) -> bytes:
    """The beginning of a file, at most `limit` bytes. Raises OSError."""
    with open(open_file(path), "rb") as file:
        return file.read(limit)


def make_folders(path: str) -> None:
    """The folder and what is missing above it, for their owner alone: os.makedirs gives its mode only to the last."""
    try:
        os.mkdir(path, 0o700)
    except FileNotFoundError:
        make_folders(os.path.dirname(path))
        make_folders(path)
    except FileExistsError:
        if not os.path.isdir(path):
            raise


def own_folder(path: str) -> None:
    """A folder that nobody but the runner makes: a link or a device there is moved aside.

    A plain file is not: whoever wrote it may want it. Raises OSError.
    """
    if os.path.lexists(path) and not stat.S_ISDIR(kind := os.lstat(path).st_mode) and not stat.S_ISREG(kind):
        move_aside(path)
    make_folders(path)


def try_folders(paths: Iterable[str]) -> None:
    """Folders that somebody else may want; whether they do without, they will say."""
    for path in paths:
        try:
            make_folders(path.rstrip("/"))
        except OSError:
            continue


def read_json(path: str, limit: int = MAX_SIZE) -> Any:
    """The data of a file, of which at most `limit` bytes are read. Raises OSError, and ValueError for a damaged one."""
    try:
        return json.loads(read_bytes(path, limit))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def write_json(path: str, data: Mapping[str, Any], *, sync: bool = True) -> None:
    """By staging file, fsync, rename, fsync of the folder: a reader finds the old file or the new, whole."""
    staging = f"{path}.new"
    text = json.dumps(data, ensure_ascii=False, indent=2) + "\n"
    try:
        fd = open_file(staging, _FILE | os.O_TRUNC)
        try:
            write_all(fd, text.encode(errors="replace"))
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        _rename(staging, path)
    except OSError:
        # On a full disk half a file would take the room of what may still come.
        unlink(staging)
        raise
    if sync:
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _rename(staging: str, path: str) -> None:
    try:
        os.rename(staging, path)
    except IsADirectoryError:
        move_aside(path)
        os.rename(staging, path)


def write_text(path: str, text: str) -> None:
    """A small file for its owner alone."""
    fd = open_file(path, _FILE | os.O_TRUNC)
    try:
        write_all(fd, text.encode(errors="replace"))
    finally:
        os.close(fd)


def write_new(path: str, data: bytes) -> None:
    """Raises FileExistsError when it is there."""
    fd = os.open(path, _FILE | os.O_EXCL | _SAFELY, 0o600)
    try:
        write_all(fd, data)
    finally:
        os.close(fd)


def append(path: str, data: bytes, *, sync: bool = True) -> None:
    """One write: lines of several runners do not mix."""
    fd = open_file(path, _FILE | os.O_APPEND)
    try:
        write_all(fd, data)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def read_own(path: str) -> bytes | None:
    """A file that nobody but us can have written; None for any other, and where there is none."""
    try:
        fd = open_file(path)
    except OSError:
        return None
    try:
        facts = os.fstat(fd)
        if facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
            return None
        with open(fd, "rb", closefd=False) as file:
            return file.read(MAX_SIZE)
    except OSError:
        return None
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    """However many writes it takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def lock(path: str, *, make: bool = True) -> int | None:
    """An exclusive lock on a file, without waiting; None when somebody holds it. The descriptor holds the lock.

    Raises FileNotFoundError without `make` when there is no such file, and OSError.
    """
    while True:
        fd = open_file(path, os.O_RDWR | (os.O_CREAT if make else 0))
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The holder before us may have unlinked the file between our open and our lock.
            if os.path.samestat(os.stat(path), os.fstat(fd)):
                return fd
        except BlockingIOError:
            os.close(fd)
            return None
        except FileNotFoundError:
            pass
        except OSError:
            os.close(fd)
            raise
        os.close(fd)


def unlink(path: str) -> None:
    """Remove a file that may be gone already; a folder in its place is moved aside."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except IsADirectoryError:
        move_aside(path)


def reason(error: OSError) -> str:
    """What went wrong, in the words of the system."""
    return (error.strerror or str(error)).lower()
