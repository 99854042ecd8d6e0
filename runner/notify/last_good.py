"""The last valid configuration of a project, as far as it is needed to report that the present one is broken.

A small file below XDG_STATE_HOME, for its owner alone. It names channels, and so programs: a file that is damaged, of
another user or of another version is ignored.
"""

from __future__ import annotations

import json
import os
from _blake2 import blake2b  # hashlib brings OpenSSL, which costs two milliseconds
from collections.abc import Callable, Mapping

from runner import files
from runner.codec import from_json, to_json
from runner.config import Config
from runner.config.project import TASKS
from runner.errors import ConfigError, Problem
from runner.model import JsonObject
from runner.notify.channels.settings import rendered
from runner.notify.policy import Policy, read_policy
from runner.records.folder import Logs
from runner.template import TemplateError
from runner.values import dataclass, field, replace

# What can be wrong, beside one agent and task: the files as a whole, and files that are no longer there.
LOADING, MISSING = "configuration", "files"
LOGGED = "log"  # not a cause: the digest of the error that was last written to the runner's log

_VERSION = 1
_MAX_REPORTED = 100


@dataclass(frozen=True)
class LastGoodConfig:
    """The settings by which a broken configuration is reported, and what was reported already.

    `notify` and `logs` are as the YAML has them, templates unrendered: the value of a variable is never kept. `files`
    are the YAML files that the project had. `reported` maps causes to the digest of the error.
    """

    digest: str | None = None
    notify: JsonObject = field(default_factory=dict)
    logs: str | None = None
    files: tuple[str, ...] = ()
    reported: Mapping[str, str] = field(default_factory=dict)

    json_keys = (("reported", "told"),)

    @property
    def missing(self) -> tuple[str, ...]:
        """The files that are no longer there."""
        return tuple(path for path in self.files if not os.path.lexists(path))

    def resolved(self, *causes: str) -> LastGoodConfig:
        """Without these causes: when they come back, they are reported again."""
        return replace(self, reported={key: value for key, value in self.reported.items() if key not in causes})


@dataclass(frozen=True)
class LastGoodFile:
    """Where the last valid configuration of the project in the folder `root` is kept."""

    state: str
    root: str

    @property
    def path(self) -> str:
        return os.path.join(self.state, "projects", f"{digest_of(os.fsencode(os.path.realpath(self.root)))}.json")

    def read(self) -> LastGoodConfig | None:
        """None where nothing is kept, or nothing that is to be trusted."""
        try:
            stored = json.loads(files.read_own(self.path) or b"")
            if stored["version"] != _VERSION:
                return None
            found = from_json(LastGoodConfig, stored["memory"])
            logged = stored["memory"].get("noted")  # where it stood before it was one of `reported`
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        return replace(found, reported={**found.reported, LOGGED: logged}) if isinstance(logged, str) else found

    def update(self, change: Callable[[LastGoodConfig], LastGoodConfig]) -> None:
        """Replace what is kept, unless another process does; a failure is ignored."""
        lock = self.lock()
        if lock is not None:
            self.write(change(self.read() or LastGoodConfig()))
            os.close(lock)

    def lock(self) -> int | None:
        """A descriptor that holds the lock; None while another process does, or where none can be made."""
        try:
            files.make_folders(os.path.dirname(self.path))
            return files.lock(f"{self.path}.lock")
        except OSError:
            return None

    def write(self, config: LastGoodConfig) -> bool:
        """Replace the file, under the lock; return whether that went well."""
        newest = dict(list(config.reported.items())[-_MAX_REPORTED:])
        try:
            files.write_json(self.path, {"version": _VERSION, "memory": to_json(replace(config, reported=newest))})
        except OSError:
            return False
        return True

    def delete(self) -> None:
        for path in (self.path, f"{self.path}.lock"):
            try:
                files.unlink(path)
            except OSError:
                pass


def digest_of(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()


def nearest(state: str | None, start: str, root: str) -> tuple[LastGoodFile, LastGoodConfig] | None:
    """Find what is kept of the project in `start`, or in a folder above it up to `root`."""
    folder = start
    while state is not None:
        file = LastGoodFile(state, folder)
        found = file.read()
        if found is not None:
            return file, found
        if folder in (root, os.path.dirname(folder)):
            return None
        folder = os.path.dirname(folder)
    return None


def logs_of(setting: str | None, root: str, environ: Mapping[str, str]) -> Logs:
    """The log folder of the project in `root`, by its unrendered `settings.logs`."""
    try:
        folder = rendered({"logs": setting}, environ)["logs"]
    except TemplateError:
        folder = None
    return Logs(os.path.join(root, folder or "logs"))


def policy_of(known: LastGoodConfig, environ: Mapping[str, str]) -> Policy:
    """The policy of messages when the configuration was last valid."""
    try:
        return read_policy(known.notify, {}, environ)
    except (TemplateError, AttributeError, LookupError, TypeError, ValueError):
        return Policy()  # settings that this version does not write


def remember(file: LastGoodFile, config: Config, environ: Mapping[str, str]) -> None:
    """Keep what a valid configuration, unrendered, says about messages.

    On a warm start one small file is read and nothing is written.
    """
    known = file.read()
    if known is not None and known.digest == config.digest and not _contradicted(known):
        return
    try:
        read_policy(config.notify, {}, environ)
        rendered({"logs": config.settings.get("logs")}, environ)
    except TemplateError:
        return
    file.update(lambda known: _updated(known, config))


def _contradicted(known: LastGoodConfig) -> set[str]:
    """Causes that a valid configuration ends."""
    ended = {LOGGED, LOADING} if known.missing else {LOGGED, LOADING, MISSING}
    return ended & known.reported.keys()


def _updated(known: LastGoodConfig, config: Config) -> LastGoodConfig:
    present = tuple(path for path in (config.project.agents_file, config.project.tasks_file) if path is not None)
    missing = tuple(path for path in known.missing if path not in present)
    kept = replace(known.resolved(*_contradicted(known)), digest=config.digest, files=(*present, *missing))
    if any(os.path.basename(path) == TASKS for path in missing):
        return kept  # what is valid now lacks the file with the notify section: the last good one still counts
    return replace(kept, notify=dict(config.notify), logs=config.settings.get("logs"))


def resolve(file: LastGoodFile, known: LastGoodConfig, cause: str) -> None:
    """Forget what was reported about `cause`, which is over."""
    if cause in known.reported:
        file.update(lambda known: known.resolved(cause))


def missing_files(state: str | None, start: str, root: str) -> tuple[LastGoodFile, ConfigError] | None:
    """The YAML files that the project had and that are gone, as an error."""
    found = nearest(state, start, root)
    if found is None or not found[1].missing:
        return None
    hint = "put it back, or start a run from a terminal when it is meant to be gone"
    return found[0], ConfigError(Problem(path, 0, 0, "is gone", hint=hint) for path in found[1].missing)
