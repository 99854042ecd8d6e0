"""Reading the journal runs.jsonl and the run folders, a piece at a time: what the index is made from."""

from __future__ import annotations

import json
import os
from _blake2 import blake2b  # hashlib is 5 ms of import
from collections.abc import Iterator

from runner.files import open_file
from runner.records.migrate import upgrade
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject

_NOT_TASKS = frozenset(("ids", "live", "outbox", "state", "heartbeat"))
_TAIL = 1 << 14  # bytes; a line is seldom longer
_CHUNK = 1 << 16
_ID_KEY = b'"run_id": "'
_MAX_ID = 64
_NAMES = ("run_id", "agent", "task")


@dataclass(frozen=True)
class Position:
    """How far the journal has been read: its inode, and the last whole line before `end` by its place and digest.

    An inode of 0 stands for a journal that is not there.
    """

    inode: int = 0
    begin: int = 0
    end: int = 0
    digest: str = ""

    def after(self, data: bytes) -> Position:
        """The position once `data`, which ends with a whole line, has been read as well."""
        body = data.rstrip(b"\n")
        last = body[body.rfind(b"\n") + 1 :] + data[len(body) :]
        end = self.end + len(data)
        if not body:
            return Position(self.inode, end, end, _digest(b""))
        return Position(self.inode, end - len(last), end, _digest(last))


def _digest(line: bytes) -> str:
    return blake2b(line, digest_size=16).hexdigest()


def end_position(path: str) -> Position:
    """The position behind the last whole line of the journal."""
    try:
        with open(open_file(path), "rb") as file:
            status = os.fstat(file.fileno())
            size = _TAIL
            while True:
                start = max(0, status.st_size - size)
                file.seek(start)
                data = file.read(status.st_size - start)
                whole = data[: data.rfind(b"\n") + 1]
                if start == 0 or b"\n" in whole.rstrip(b"\n"):
                    return Position(status.st_ino, start, start).after(whole)
                size *= 8
    except OSError:
        return Position()


def read_from(path: str, position: Position) -> bytes | None:
    """Read the whole lines behind the position; None when the journal is not the one that was read."""
    try:
        with open(open_file(path), "rb") as file:
            if os.fstat(file.fileno()).st_ino != position.inode:
                return None
            file.seek(position.begin)
            data = file.read()
    except OSError:
        return b"" if position.inode == 0 else None
    known = position.end - position.begin
    if len(data) < known or _digest(data[:known]) != position.digest:
        return None
    return data[known : data.rfind(b"\n") + 1] if data.rfind(b"\n") >= known else b""


def decoded_lines(data: bytes) -> Iterator[JsonObject]:
    """The objects of the journal's lines, without empty and broken ones."""
    for line in data.split(b"\n"):
        found = _decoded(line) if line else None
        if found is not None:
            yield found


def lines_until(path: str, end: int) -> Iterator[tuple[str, bytes]]:
    """The journal's lines up to `end`, each with its run id."""
    try:
        with open(open_file(path), "rb") as file:
            for line in file:
                end -= len(line)
                if end < 0:
                    return
                run_id = line.partition(_ID_KEY)[2][:_MAX_ID].partition(b'"')[0]
                if run_id:
                    yield run_id.decode(errors="replace"), line
    except OSError:
        return


def closed_records(root: str) -> Iterator[JsonObject]:
    """The records of all run folders, without those of runs that still go on."""
    for task in _folders(root):
        if task.name not in _NOT_TASKS:
            for agent in _folders(task.path):
                for run in _folders(agent.path):
                    found = _record(run.path)
                    names = (run.name, agent.name, task.name)
                    if (
                        found is not None
                        and tuple(map(found.get, _NAMES)) == names
                        and found.get("status") != "running"
                    ):
                        yield found


def _folders(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _record(folder: str) -> JsonObject | None:
    """Read a record without the layers of a text file: there may be a hundred thousand of them."""
    try:
        fd = open_file(folder + "/metadata.json")
        try:
            text = os.read(fd, _CHUNK)
            while len(text) % _CHUNK == 0 and (more := os.read(fd, _CHUNK)):
                text += more
        finally:
            os.close(fd)
    except OSError:
        return None
    found = _decoded(text)
    return upgrade(found) if found is not None else None


def _decoded(text: bytes) -> JsonObject | None:
    try:
        found = json.loads(text.decode())
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
