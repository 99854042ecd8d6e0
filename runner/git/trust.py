"""What can make git run programs: the configuration in effect, hooks and attributes, before and after a run."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from runner.git.calls import run_all
from runner.git.places import Places
from runner.values import dataclass

LISTING = ("config", "--list", "-z")
_MAX_FILE = 1 << 20
_MAX_FILES = 200
# What an agent sets in the course of its work, and that names no program: key, or its first and last part.
_HARMLESS = frozenset(
    "user.name user.email branch.merge branch.remote branch.rebase branch.pushremote branch.description "
    "branch.vscode-merge-base remote.url remote.fetch remote.pushurl submodule.url submodule.active core.bare "
    "pull.rebase push.autosetupremote push.default init.defaultbranch advice.detachedhead safe.directory".split()
)


@dataclass(frozen=True)
class Trust:
    """`config` are the settings that may name a program; `files` the hooks, attributes and submodules' configurations.

    `filters` are the names of the filters that the configuration has.
    """

    config: frozenset[str]
    files: Mapping[str, bytes]
    filters: frozenset[str] = frozenset()

    def changed(self, after: Trust) -> list[str]:
        """What is not as it was, in words."""
        keys = sorted({entry.partition("\n")[0] for entry in self.config ^ after.config})
        names = sorted(self.files.keys() | after.files.keys())
        files = [name for name in names if self.files.get(name) != after.files.get(name)]
        return [*(f"`{key}` in the configuration" for key in keys), *(f"`{name}`" for name in files)]

    @property
    def without_programs(self) -> tuple[str, ...]:
        """Settings with which a git that reads runs none of the filters."""
        empty = ("clean=", "smudge=", "process=", "required=false")
        return tuple(f"filter.{name}.{setting}" for name in sorted(self.filters) for setting in empty)


def parse(listing: bytes, places: Places) -> Trust:
    """From the output of `git config --list -z`."""
    entries = [entry for entry in os.fsdecode(listing).split("\0") if entry]
    keys = (entry.partition("\n")[0] for entry in entries)
    filters = {key.partition(".")[2].rpartition(".")[0] for key in keys if key.startswith("filter.")}
    config = frozenset(entry for entry in entries if not _is_harmless(entry.partition("\n")[0]))
    # Ours, by which no hook is run, is the last one listed.
    hooks = [entry.partition("\n")[2] for entry in entries if entry.startswith("core.hookspath\n")]
    chosen = next((path for path in reversed(hooks) if path != os.devnull), None)
    return Trust(config, _files(places, chosen), frozenset(filters))


def read(repo: str, env: Mapping[str, str], places: Places) -> Trust:
    (listing,) = run_all([LISTING], repo, env)
    return parse(listing.out, places)


def _is_harmless(key: str) -> bool:
    section, _, rest = key.partition(".")
    return f"{section}.{rest.rpartition('.')[2]}" in _HARMLESS


def _files(places: Places, hooks: str | None) -> dict[str, bytes]:
    if not places.dirs:
        return {}
    common = places.dirs[0]
    folders = [os.path.join(common, "hooks")]
    if hooks:
        folders.append(os.path.join(places.top, os.path.expanduser(hooks)))
    paths = [os.path.join(folder, name) for folder in folders for name in _listed(folder)]
    paths = [path for path in paths if not path.endswith(".sample")]
    paths += [os.path.join(folder, "info", "attributes") for folder in places.dirs]
    paths += [os.path.join(common, "modules", name, "config") for name in _listed(os.path.join(common, "modules"))]
    found = {path: content(path) for path in paths[:_MAX_FILES]}
    return {os.path.relpath(path, places.top): data for path, data in found.items() if data is not None}


def content(path: str, size: int = _MAX_FILE) -> bytes | None:
    """The beginning of a regular file, with its mode; None for anything else."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(fd, "rb") as file:
        mode = os.fstat(fd).st_mode
        if mode & 0o170000 != 0o100000:
            return None
        return oct(mode & 0o777).encode() + b" " + file.read(size)


def _listed(folder: str) -> Sequence[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return ()
