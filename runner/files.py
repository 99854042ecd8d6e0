"""Small files, written so that a reader finds them whole, and nobody but their owner reads them."""

from __future__ import annotations

import fcntl
import json
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FILE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


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


def try_folders(paths: Iterable[str]) -> None:
    """Folders that somebody else may want; whether they do without, they will say."""
    for path in paths:
        try:
            make_folders(path.rstrip("/"))
        except OSError:
            continue


def read_json(path: str, limit: int = -1) -> Any:
    """The data of a file, of which at most `limit` bytes are read. Raises OSError, and ValueError for a damaged one."""
    with open(path, "rb", opener=lambda name, _: os.open(name, _READ)) as file:
        text = file.read(limit).decode()
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def write_json(path: str, data: Mapping[str, Any], *, sync: bool = True) -> None:
    """By staging file, fsync, rename, fsync of the folder: a reader finds the old file or the new, whole."""
    staging = f"{path}.new"
    text = json.dumps(data, ensure_ascii=False, indent=2) + "\n"
    try:
        fd = os.open(staging, _FILE | os.O_TRUNC, 0o600)
        try:
            write_all(fd, text.encode(errors="replace"))
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(staging, path)
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


def write_text(path: str, text: str) -> None:
    """A small file for its owner alone."""
    fd = os.open(path, _FILE | os.O_TRUNC, 0o600)
    try:
        write_all(fd, text.encode(errors="replace"))
    finally:
        os.close(fd)


def write_new(path: str, data: bytes) -> None:
    """Raises FileExistsError when it is there."""
    fd = os.open(path, _FILE | os.O_EXCL, 0o600)
    try:
        write_all(fd, data)
    finally:
        os.close(fd)


def append(path: str, data: bytes, *, sync: bool = True) -> None:
    """One write: lines of several runners do not mix."""
    fd = os.open(path, _FILE | os.O_APPEND, 0o600)
    try:
        write_all(fd, data)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def read_own(path: str) -> bytes | None:
    """A file that nobody but us can have written; None for any other, and where there is none."""
    try:
        fd = os.open(path, _READ)
    except OSError:
        return None
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
            return None
        with open(fd, "rb", closefd=False) as file:
            return file.read()
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
        fd = os.open(path, os.O_RDWR | (os.O_CREAT if make else 0) | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
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
    """Gone is gone."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def reason(error: OSError) -> str:
    """What went wrong, in the words of the system."""
    return (error.strerror or str(error)).lower()
