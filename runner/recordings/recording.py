"""A recording: the folder with what an agent printed, how it ended and what it wrote.

`recordings/AGENT/[VERSION/]NAME/` holds `stdout`, and as far as there are any `stderr`, `exit.json`, `files/` and
`expected.yaml`. Other files are ignored.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime

from runner.errors import RunnerError, UsageError
from runner.files import make_folders, open_file, read_bytes, reason, write_all
from runner.text import rfc3339
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runner.model import JsonObject

RECORDINGS = "recordings"
"""The folder in a project."""

STDOUT, STDERR, EXIT, FILES, EXPECTED = "stdout", "stderr", "exit.json", "files", "expected.yaml"
_MARKS = (STDOUT, EXIT, EXPECTED)
_DEPTHS = (2, 3)
_MAX_EXIT = 1 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


class RecordingError(RunnerError):
    """A recording that cannot be read, as `file: what is wrong`."""


@dataclass(frozen=True)
class Ended:
    """How the agent ended: `code` is negative for a signal, and does not count when it was stopped (`timed_out`).

    `seconds` is how long it took; `at` is when it ended, RFC 3339, None where nobody noted it.
    """

    code: int | None
    timed_out: bool = False
    seconds: float = 0.0
    at: str | None = None


@dataclass(frozen=True)
class Recording:
    folder: str
    agent: str
    version: str | None
    name: str

    def __str__(self) -> str:
        return "/".join(part for part in (self.agent, self.version, self.name) if part)

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def has(self, name: str) -> bool:
        return os.path.lexists(self.path(name))

    def ended(self) -> Ended:
        """Raises RecordingError for an exit.json that is missing or damaged."""
        path = self.path(EXIT)
        try:
            found = json.loads(read_bytes(path, _MAX_EXIT))
        except OSError as error:
            raise RecordingError(f"{path}: cannot be read: {reason(error)}", hint=_EXIT_HINT) from None
        except (ValueError, RecursionError) as error:
            raise RecordingError(f"{path}: is not JSON: {error}", hint=_EXIT_HINT) from None
        wrong = _wrong_in_exit(found)
        if wrong:
            raise RecordingError(f"{path}: {wrong}", hint=_EXIT_HINT)
        return Ended(found.get("code"), found.get("timed_out", False), found.get("seconds", 0.0), found.get("at"))


_EXIT_HINT = 'expected such as {"code": 0, "timed_out": false, "seconds": 1.2}'


def _wrong_in_exit(found: Any) -> str | None:
    if not isinstance(found, dict):
        return "expected a mapping"
    code: Any = found.get("code")
    seconds: Any = found.get("seconds", 0.0)
    if not isinstance(found.get("timed_out", False), bool):
        return "`timed_out` must be true or false"
    if not (_is_number(code, int) and -64 <= code <= 255) and not (found.get("timed_out") and code is None):
        return "`code` must be an exit code from 0 to 255, or a negative number for a signal"
    if not _is_number(seconds, (int, float)) or not 0 <= seconds < 1e9:
        return "`seconds` must be a number from 0"
    return "`at` must be a time such as `2026-02-19T17:50:43Z`" if not isinstance(found.get("at"), str | None) else None


def _is_number(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def find_recordings(root: str) -> list[Recording]:
    """Return all recordings below a folder, in order of their names.

    Raises UsageError when it is no folder, RecordingError for a recording that stands too deep or too high.
    """
    if not os.path.isdir(root):
        raise UsageError(f"there is no folder `{root}`", hint="`--recordings DIR` names another one")
    return [_at(folder, steps) for folder, steps in _folders(root, ())]


def recording_at(folder: str, agents: Collection[str]) -> Recording | None:
    """Return the recording that a folder is, None for another folder; its agent is the nearest of `agents` above it."""
    if not any(os.path.isfile(os.path.join(folder, mark)) for mark in (EXIT, EXPECTED)):
        return None
    *above, name = os.path.abspath(folder).split(os.sep)
    depth = next((depth for depth in _DEPTHS if above[1 - depth :][:1] and above[1 - depth] in agents), _DEPTHS[0])
    return _at(folder, (*above[1 - depth :], name))


def _at(folder: str, steps: tuple[str, ...]) -> Recording:
    return Recording(folder, steps[0], steps[1] if len(steps) == 3 else None, steps[-1])


def _folders(folder: str, steps: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    if any(os.path.isfile(os.path.join(folder, mark)) for mark in _MARKS):
        if len(steps) not in _DEPTHS:
            raise RecordingError(f"{folder}: a recording stands in `AGENT/NAME/` or `AGENT/VERSION/NAME/`")
        yield folder, steps
    elif len(steps) <= _DEPTHS[-1]:
        try:
            names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and entry.name[0] != ".")
        except OSError as error:
            raise RecordingError(f"{folder}: cannot be read: {reason(error)}") from None
        for name in names:
            yield from _folders(os.path.join(folder, name), (*steps, name))


def write_recording(
    folder: str, ended: Ended, stdout: bytes, stderr: bytes = b"", files: Mapping[str, bytes] | None = None
) -> None:
    """Write one recording over what is there; `expected.yaml` is not touched. `files`: path below `files/` → content.

    Raises OSError, and ValueError for a path that leads out of the folder.
    """
    made = {STDOUT: stdout, STDERR: stderr, EXIT: _exit_json(ended)}
    for path, content in (files or {}).items():
        if os.path.isabs(path) or ".." in path.split("/"):
            raise ValueError(f"`{path}` leads out of the recording")
        made[os.path.join(FILES, path)] = content
    for path, content in made.items():
        where = os.path.join(folder, path)
        make_folders(os.path.dirname(where))
        fd = open_file(where, _NEW)
        try:
            write_all(fd, content)
        finally:
            os.close(fd)


def _exit_json(ended: Ended) -> bytes:
    found: JsonObject = {"code": ended.code, "timed_out": ended.timed_out, "seconds": round(ended.seconds, 3)}
    if ended.at is not None:
        found["at"] = ended.at
    return f"{json.dumps(found)}\n".encode()


def time_of_end(when: float) -> str:
    """Return the `at` of an agent that ended then, in the machine's zone: the one that clock times without any mean."""
    try:
        return datetime.fromtimestamp(when).astimezone().isoformat(timespec="seconds")
    except (OverflowError, OSError, ValueError):
        return rfc3339(when)
