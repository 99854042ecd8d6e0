"""The log folder: ids, locks, run folders, and the feeds that other commands read.

Beginning: id → live file, locked → folder → metadata.json `running`. Closing, each step repeatable: final metadata.json
→ a line in runs.jsonl → unlink the live file. A run has begun when its first metadata.json is renamed into place.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import RunnerError
from runner.text import one_line, rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_FILE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class RecordError(RunnerError):
    """The log folder cannot be written."""


@dataclass(frozen=True)
class Claim:
    """An id that is this process's own: its live file is locked for as long as `lock` is open."""

    run_id: str
    lock: int


class Logs:
    """The log folder of a project."""

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)

    def prepare(self) -> None:
        """Make the folder, for its owner alone and unseen by git. Raises RecordError."""
        try:
            for folder in ("ids", "live"):
                os.makedirs(self.path(folder), mode=0o700, exist_ok=True)
            ignore = self.path(".gitignore")
            if not os.path.lexists(ignore):
                _write_new(ignore, b"# runs are this machine's own\n*\n")
        except OSError as error:
            raise RecordError(f"cannot write to the log folder `{self.root}`: {_reason(error)}") from None

    def claim(self, run_id: str, task: str, agent: str) -> Claim | None:
        """Take an id and its run lock; None when the id is taken. Raises RecordError."""
        try:
            _write_new(self.path("ids", run_id), f"{task}/{agent}\n".encode())
        except FileExistsError:
            return None
        except OSError as error:
            raise RecordError(f"cannot write to the log folder `{self.root}`: {_reason(error)}") from None
        try:
            lock = os.open(self.path("live", run_id), _FILE | os.O_EXCL, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RecordError(f"cannot lock the run `{run_id}`: {_reason(error)}") from None
        return Claim(run_id, lock)

    def release(self, claim: Claim, *, keep_id: bool) -> None:
        """The last step of closing; without `keep_id` the run never began and its id is free again."""
        if not keep_id:
            _unlink(self.path("ids", claim.run_id))
        _unlink(self.path("live", claim.run_id))
        os.close(claim.lock)

    def append_run(self, line: Mapping[str, Any]) -> None:
        """One line in the feed runs.jsonl and one in the task's log."""
        os.makedirs(self.path(line["task"]), mode=0o700, exist_ok=True)
        _append(self.path("runs.jsonl"), b"\n" + json.dumps(line, ensure_ascii=False).encode(errors="replace") + b"\n")
        _append(self.path(line["task"], "task.log"), (_task_line(line) + "\n").encode(errors="replace"), sync=False)

    def note(self, text: str, now: float) -> None:
        """A line in the runner's own log, or more where `text` has more; never raises."""
        try:
            os.makedirs(self.root, mode=0o700, exist_ok=True)
            _append(self.path("runner.log"), f"{rfc3339(now)} {text.rstrip()}\n".encode(errors="replace"), sync=False)
        except OSError:
            pass


def candidate_ids(now: float) -> Iterator[str]:
    """`20260219_175043`, then `_02`, `_03` … of the same second."""
    stamp = time.strftime("%Y%m%d_%H%M%S", time.gmtime(now))
    yield stamp
    for number in range(2, 1000):
        yield f"{stamp}_{number:02}"
    raise RecordError(f"all run ids of {stamp} are taken")


def open_run(run_dir: str, metadata: Mapping[str, Any], prompt: str) -> None:
    """Make the run's folder with its prompt and its record as `running`, on the disk before it returns."""
    try:
        os.makedirs(run_dir, mode=0o700, exist_ok=True)
        _write_new(os.path.join(run_dir, "prompt.md"), prompt.encode(errors="replace"))
        write_metadata(run_dir, metadata)
    except OSError as error:
        raise RecordError(f"cannot write the record in `{run_dir}`: {_reason(error)}") from None


def write_metadata(run_dir: str, metadata: Mapping[str, Any]) -> None:
    """By staging file, fsync, rename, fsync of the folder: a reader finds the old record or the new, whole."""
    staging, final = os.path.join(run_dir, "metadata.json.new"), os.path.join(run_dir, "metadata.json")
    text = json.dumps(metadata, ensure_ascii=False, indent=2) + "\n"
    fd = os.open(staging, _FILE | os.O_TRUNC, 0o600)
    try:
        _write_all(fd, text.encode(errors="replace"))
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(staging, final)
    folder = os.open(run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_text(path: str, text: str) -> None:
    """A small file for its owner alone."""
    fd = os.open(path, _FILE | os.O_TRUNC, 0o600)
    try:
        _write_all(fd, text.encode(errors="replace"))
    finally:
        os.close(fd)


def open_input(run_dir: str, text: str | None) -> int:
    """The agent's stdin: an unnamed file with `text`, or /dev/null; never a pipe, never the terminal."""
    if text is None:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    path = os.path.join(run_dir, ".stdin")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.unlink(path)
    _write_all(fd, text.encode(errors="replace"))
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _write_new(path: str, data: bytes) -> None:
    fd = os.open(path, _FILE | os.O_EXCL, 0o600)
    try:
        _write_all(fd, data)
    finally:
        os.close(fd)


def _append(path: str, data: bytes, *, sync: bool = True) -> None:
    """One write: lines of several runners do not mix."""
    fd = os.open(path, _FILE | os.O_APPEND, 0o600)
    try:
        _write_all(fd, data)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _task_line(line: Mapping[str, Any]) -> str:
    """`2026-02-19T17:50:55.000Z 20260219_175043 demo failed no_commits 12.3s 0 commits`."""
    error = line.get("error") or {}
    words = [line["ended_at"], line["run_id"], line["agent"], line["status"]]
    words += [line["reason"]] if line["reason"] else []
    if line.get("elapsed_seconds") is not None:
        words.append(f"{line['elapsed_seconds']:.1f}s")
    if line.get("commits") is not None:
        words.append(f"{line['commits']} commit{'' if line['commits'] == 1 else 's'}")
    if error.get("message"):
        words.append(f"({one_line(error['message'])})")
    return " ".join(words)
