"""What is kept of a project outside of it, for the night in which its configuration is broken.

One small file below XDG_STATE_HOME, for its owner alone. It names channels, and so programs: what is damaged, somebody
else's or of another version is no memory.
"""

from __future__ import annotations

import json
import os
from _blake2 import blake2b  # hashlib brings OpenSSL, which costs two milliseconds

from runner import files
from runner.notify.policy import rendered
from runner.records.folder import Logs
from runner.template import TemplateError
from runner.values import asdict, dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.model import JsonObject

_VERSION = 1
_MOST_TOLD = 100


@dataclass(frozen=True)
class Memory:
    """The last configuration that was valid, as far as it is needed without it.

    `notify` and `logs` are as the YAML has them, templates and all: what a variable held is never kept. `files` are the
    YAML files that the project had. `told`: what was wrong → a digest of its words; `noted` is the digest of the last
    ones in the runner's log.
    """

    digest: str | None = None
    notify: JsonObject = field(default_factory=dict)
    logs: str | None = None
    files: tuple[str, ...] = ()
    told: Mapping[str, str] = field(default_factory=dict)
    noted: str | None = None

    @property
    def gone(self) -> list[str]:
        """The files that are no longer there."""
        return [path for path in self.files if not os.path.lexists(path)]


@dataclass(frozen=True)
class Place:
    """Where the memory of the project in the folder `root` is."""

    state: str
    root: str

    @property
    def path(self) -> str:
        name = blake2b(os.fsencode(os.path.realpath(self.root)), digest_size=8).hexdigest()
        return os.path.join(self.state, "projects", f"{name}.json")

    def read(self) -> Memory | None:
        """None where nothing was remembered, or nothing that is to be trusted."""
        data = files.read_own(self.path)
        try:
            stored = json.loads(data or b"")
            return _memory(stored["memory"]) if stored["version"] == _VERSION else None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def lock(self) -> int | None:
        """A descriptor that holds it; None while somebody else does, or where there can be no memory."""
        try:
            files.make_folders(os.path.dirname(self.path))
            return files.lock(f"{self.path}.lock")
        except OSError:
            return None

    def write(self, memory: Memory) -> None:
        """The lock is held. What cannot be written is not remembered."""
        told = dict(list(memory.told.items())[-_MOST_TOLD:])
        try:
            files.write_json(self.path, {"version": _VERSION, "memory": {**asdict(memory), "told": told}})
        except OSError:
            pass

    def forget(self) -> None:
        for path in (self.path, f"{self.path}.lock"):
            try:
                files.unlink(path)
            except OSError:
                pass


def logs_of(setting: str | None, root: str, environ: Mapping[str, str]) -> Logs:
    """The log folder of the project in `root` whose `settings.logs`, unrendered, is that."""
    try:
        folder = rendered({"logs": setting}, environ)["logs"]
    except TemplateError:
        folder = None
    return Logs(os.path.join(root, folder or "logs"))


def nearest(state: str | None, start: str, root: str) -> tuple[Place, Memory] | None:
    """The memory of the project in `start`, or in a folder above it up to `root`."""
    folder = start
    while state is not None:
        place = Place(state, folder)
        found = place.read()
        if found is not None:
            return place, found
        if folder in (root, os.path.dirname(folder)):
            return None
        folder = os.path.dirname(folder)
    return None


def _memory(stored: JsonObject) -> Memory:
    """Raises TypeError for what `write` did not write."""
    found = Memory(**{**stored, "files": tuple(stored["files"])})
    if not all(isinstance(value, dict) for value in (found.notify, found.told)):
        raise TypeError
    if not all(isinstance(text, str) for text in (*found.files, *found.told, *found.told.values())):
        raise TypeError
    if not all(text is None or isinstance(text, str) for text in (found.digest, found.logs, found.noted)):
        raise TypeError
    return found
