"""A run's folder: its record, its prompt, its input.

A run has begun when its first metadata.json is renamed into place.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from runner.files import (
    make_folders,
    open_file,
    read_json,
    reason,
    unlink,
    write_all,
    write_json,
    write_new,
    write_text,
)
from runner.records.folder import RecordError
from runner.records.metadata import Notification, Record
from runner.records.migrate import is_whole, upgrade

_RESERVE = ".reserve"
_RESERVED = 64 * 1024
_NEEDED = 128 * 1024  # bytes free before a run begins: the reserve, and some output
_FILES = 16
_SHORT_REPLY = 2000  # characters, in a record for which there is hardly any room


def open_run(run_dir: str, metadata: Record, prompt: str) -> None:
    """Make the run's folder with its prompt and its record as `running`, on the disk before it returns."""
    try:
        make_folders(run_dir)
        write_new(os.path.join(run_dir, "prompt.md"), prompt.encode(errors="replace"))
        reserve(run_dir)
        write_metadata(run_dir, metadata)
    except OSError as error:
        raise RecordError(f"cannot write the record in `{run_dir}`: {reason(error)}") from None


def reserve(run_dir: str) -> None:
    """Reserve room for the final record, in case the disk is full by then. Raises OSError."""
    fd = open_file(os.path.join(run_dir, _RESERVE), os.O_WRONLY | os.O_CREAT)
    try:
        os.posix_fallocate(fd, 0, _RESERVED)
    finally:
        os.close(fd)


def use_reserve(run_dir: str) -> None:
    """Free the reserved room: from here on only the end of the run is written."""
    unlink(os.path.join(run_dir, _RESERVE))


def discard(run_dir: str) -> None:
    """Remove what there is of a run that could not begin."""
    for name in ("prompt.md", _RESERVE, "metadata.json"):
        unlink(os.path.join(run_dir, name))
    try:
        os.rmdir(run_dir)
    except OSError:
        pass


def shortage(folder: str) -> str | None:
    """Say why there is no room for another run in a log folder; None when there is."""
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    if free < _NEEDED:
        return f"{free:,} bytes are free, and a run needs {_NEEDED:,}"
    if found.f_files and found.f_favail < _FILES:
        return f"{found.f_favail:,} inodes are free, and a run needs {_FILES}"
    return None


def close_run(run_dir: str, metadata: Record, texts: Mapping[str, str]) -> Record:
    """Write the final record, and small files beside it where there is room; returns the record as written.

    Raises OSError when not even a shortened record can be written.
    """
    make_folders(run_dir)
    use_reserve(run_dir)
    try:
        write_metadata(run_dir, metadata)
    except OSError as error:
        metadata = {**metadata, "text": (metadata["text"] or "")[:_SHORT_REPLY], "commits": metadata["commits"][:10]}
        metadata["notes"] = [*metadata["notes"], f"the record is shortened: {reason(error)}"]
        write_metadata(run_dir, metadata)
    for name, text in texts.items():
        try:
            write_text(os.path.join(run_dir, name), text)
        except OSError:
            continue  # the record has it all
    return metadata


def write_metadata(run_dir: str, metadata: Record) -> None:
    """Write the run's record, whole and on the disk before it returns."""
    write_json(os.path.join(run_dir, "metadata.json"), metadata)


def read_metadata(run_dir: str) -> Record | None:
    """Read the run's record in the current form of the schema; None when it is missing or damaged."""
    try:
        found = read_json(os.path.join(run_dir, "metadata.json"))
    except (OSError, ValueError):
        return None
    whole = upgrade(found) if isinstance(found, dict) else {}
    return whole if is_whole(whole) else None


def tidy(run_dir: str) -> None:
    """Remove what a killed process had begun to write."""
    try:
        unlink(os.path.join(run_dir, "metadata.json.new"))
    except OSError:
        pass


def set_notification(run_dir: str, notification: Notification) -> None:
    """Write what became of the run's message; without fsync, because the outbox file is the truth until then."""
    metadata = read_metadata(run_dir)
    if metadata is not None:
        write_json(os.path.join(run_dir, "metadata.json"), {**metadata, "notification": notification}, sync=False)


def open_input(run_dir: str, text: str | None) -> int:
    """Open the agent's stdin: an unnamed file with `text`, or /dev/null; never a pipe or the terminal."""
    if text is None:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    path = os.path.join(run_dir, ".stdin")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    write_all(fd, text.encode(errors="replace"))
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
