"""Files → Config: from the cache when nothing changed, else read, merged and checked.

The cache is one JSON file, so that a warm start reads no YAML; a cache that cannot be used is a miss.
"""

from __future__ import annotations

import json
import os
import sys
from _blake2 import blake2b  # hashlib brings OpenSSL, which costs two milliseconds
from functools import lru_cache

from runner import __version__
from runner.config.config import SECTIONS, Config
from runner.config.project import Project, Source, digest, read_sources, stock_dir
from runner.errors import ConfigError, Problem
from runner.files import make_folders, read_own
from runner.model import JsonObject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runner.config.positions import Positions

_VERSIONS = [__version__, ".".join(map(str, sys.version_info[:3])), 1]
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def load(project: Project, state_home: str | None) -> Config:
    """Return the merged configuration. Raise ConfigError with all errors of syntax, schema and inheritance.

    `state_home` is the runner's folder below XDG_STATE_HOME, for the cache; None means no cache.
    """
    config, problems = examine(project, state_home)
    errors = [problem for problem in problems if problem.severity == "error"]
    if config is None or errors:
        raise ConfigError(problems)
    return config


def examine(project: Project, state_home: str | None) -> tuple[Config | None, list[Problem]]:
    """Return the configuration, None when it cannot be built, with its problems and warnings."""
    sources, unreadable = read_sources(project, stock_dir())
    if unreadable:
        # The other files are still looked at, so that everything wrong is said at once.
        return None, [*unreadable, *_built(sources, project)[1]]
    hashed = digest(sources)
    path = cache_path(state_home, project.root) if state_home else None
    stored = _read_cache(path, hashed) if path else None
    if stored is not None:
        warnings = [Problem(**warning) for warning in stored["warnings"]]
        return _config(project, hashed, sources, stored["sections"], warnings), warnings
    sections, problems = _built(sources, project)
    if any(problem.severity == "error" for problem in problems):
        return None, problems
    if path:
        _write_cache(path, hashed, {"sections": sections, "warnings": [vars(problem) for problem in problems]})
    return _config(project, hashed, sources, sections, problems), problems


def inspect(project: Project) -> tuple[Config | None, list[Problem]]:
    """As `examine`, from the files alone; with errors, the configuration is what is left of it, to be checked further.

    None where nothing sensible is left.
    """
    from runner.config.build import MAX_PROBLEMS  # noqa: PLC0415 - see `_built`
    from runner.config.mend import complete  # noqa: PLC0415 - only `validate` needs it

    sources, unreadable = read_sources(project, stock_dir())
    sections, problems = _built(sources, project)
    if unreadable or not sections or len(problems) > MAX_PROBLEMS:  # more would not be shown
        return None, [*unreadable, *problems]
    if any(problem.severity == "error" for problem in problems):
        sections = complete(sections)
    return _config(project, digest(sources), sources, sections, problems), problems


def _built(sources: list[Source], project: Project) -> tuple[JsonObject, list[Problem]]:
    from runner.config.build import build_checked  # noqa: PLC0415 - brings yaml, which a warm start does not need

    return build_checked(sources, project.root)


def _config(
    project: Project, hashed: str, sources: list[Source], sections: JsonObject, warnings: list[Problem]
) -> Config:
    @lru_cache(maxsize=1)
    def positions() -> Positions:
        from runner.config import build  # noqa: PLC0415 - brings yaml, which a run without an error does not need

        return build.positions(sources, project.root)

    named = {name: sections[name] for name in SECTIONS}
    return Config(project=project, digest=hashed, warnings=tuple(warnings), positions=positions, **named)


def cache_path(state_home: str, root: str) -> str:
    """Return the path of a project's one cache file."""
    name = blake2b(os.fsencode(root), digest_size=8).hexdigest()
    return os.path.join(state_home, "config", f"{name}.json")


def _read_cache(path: str, digest: str) -> Any:
    """Return what `_write_cache` stored for the same inputs and versions, else None."""
    data = read_own(path)  # a file that others could have written decides nothing here: it names the programs to start
    try:
        stored = json.loads(data or b"")
        return stored["config"] if stored["versions"] == _VERSIONS and stored["digest"] == digest else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _write_cache(path: str, digest: str, config: Any) -> None:
    """Write the whole file or nothing: without a cache the next start is only slower."""
    staging = f"{path}.{os.getpid()}.new"
    try:
        make_folders(os.path.dirname(path))
        with open(os.open(staging, _NEW, 0o600), "w", encoding="utf-8") as file:
            json.dump({"versions": _VERSIONS, "digest": digest, "config": config}, file, separators=(",", ":"))
        os.rename(staging, path)
    except (OSError, UnicodeError):
        try:
            os.unlink(staging)
        except OSError:
            pass
