"""Files → Config: from the cache when nothing changed, else read, merged and checked."""

from __future__ import annotations

from functools import lru_cache
from itertools import islice

from runner.config import cache
from runner.config.project import stock_dir
from runner.config.snapshot import digest, read_sources, shown
from runner.config.value import SECTIONS, Config
from runner.errors import ConfigError, Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.config.project import Project
    from runner.config.snapshot import Source
    from runner.model import JsonObject


def load(project: Project, state_home: str | None) -> Config:
    """The merged configuration. Raises ConfigError with everything that is wrong in syntax, schema and inheritance.

    `state_home` is the runner's folder below XDG_STATE_HOME, for the cache; None means no cache.
    """
    config, problems = examine(project, state_home)
    errors = [problem for problem in problems if problem.severity == "error"]
    if config is None or errors:
        raise ConfigError(problems)
    return config


def examine(project: Project, state_home: str | None) -> tuple[Config | None, list[Problem]]:
    """The configuration, None when it cannot be built, and its problems and warnings."""
    sources, unreadable = read_sources(project, stock_dir())
    if unreadable:
        # The other files are still looked at, so that everything wrong is said at once.
        return None, [*unreadable, *_cold(sources, project)[1]]
    hashed = digest(sources)
    path = cache.cache_path(state_home, project.root) if state_home else None
    stored = cache.read(path, hashed) if path else None
    if stored is not None:
        warnings = [Problem(**warning) for warning in stored["warnings"]]
        return _config(project, hashed, sources, stored["sections"], warnings), warnings
    sections, problems = _cold(sources, project)
    if any(problem.severity == "error" for problem in problems):
        return None, problems
    if path:
        cache.write(path, hashed, {"sections": sections, "warnings": [vars(problem) for problem in problems]})
    return _config(project, hashed, sources, sections, problems), problems


def _cold(sources: list[Source], project: Project) -> tuple[JsonObject, list[Problem]]:
    from runner.config import build, references  # noqa: PLC0415 - brings yaml, which a warm start does not need

    merged, problems = build.build(sources, project.root)
    if merged.sections:
        problems += islice(references.check(merged), build.MAX_PROBLEMS + 1)
    return merged.sections, build.in_order(problems, [shown(source.path) for source in sources])


def _config(
    project: Project, hashed: str, sources: list[Source], sections: JsonObject, warnings: list[Problem]
) -> Config:
    @lru_cache(maxsize=1)
    def positions() -> object:
        from runner.config import build  # noqa: PLC0415 - brings yaml, which a run without an error does not need

        return build.positions(sources, project.root)

    named = {name: sections[name] for name in SECTIONS}
    return Config(project=project, digest=hashed, warnings=tuple(warnings), positions=positions, **named)
