"""A run's folder: its record, its prompt, its input.

A run has begun when its first metadata.json is renamed into place.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from runner.files import make_folders, reason, write_all, write_json, write_new
from runner.logs import RecordError
from runner.migrate import upgrade

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from runner.model import JsonObject


def open_run(run_dir: str, metadata: Mapping[str, Any], prompt: str) -> None:
    """Make the run's folder with its prompt and its record as `running`, on the disk before it returns."""
    try:
        make_folders(run_dir)
        write_new(os.path.join(run_dir, "prompt.md"), prompt.encode(errors="replace"))
        write_metadata(run_dir, metadata)
    except OSError as error:
        raise RecordError(f"cannot write the record in `{run_dir}`: {reason(error)}") from None


def write_metadata(run_dir: str, metadata: Mapping[str, Any]) -> None:
    """The run's record, whole and on the disk before it returns."""
    write_json(os.path.join(run_dir, "metadata.json"), metadata)


def read_metadata(run_dir: str) -> JsonObject | None:
    """The run's record in the present form of the schema; None when there is none, or none that can be read."""
    try:
        with open(os.path.join(run_dir, "metadata.json"), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError, RecursionError):
        return None
    return upgrade(found) if isinstance(found, dict) else None


def set_notification(run_dir: str, notification: Mapping[str, Any]) -> None:
    """Write what became of the run's message; not brought to the disk, for the outbox file is the truth until then."""
    metadata = read_metadata(run_dir)
    if metadata is not None:
        write_json(os.path.join(run_dir, "metadata.json"), {**metadata, "notification": notification}, sync=False)


def open_input(run_dir: str, text: str | None) -> int:
    """The agent's stdin: an unnamed file with `text`, or /dev/null; never a pipe, never the terminal."""
    if text is None:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    path = os.path.join(run_dir, ".stdin")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    write_all(fd, text.encode(errors="replace"))
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
