"""The configuration as a value: merged, checked, ready for a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runner.config.display import Path, show_path
from runner.config.project import Project
from runner.errors import Problem, UsageError, did_you_mean
from runner.model import JsonObject
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.config.positions import Positions

SECTIONS = ("agents", "tasks", "parsers", "sandboxes", "notify", "settings", "defaults")
_LISTED_BY = {"agent": "`runner agents` lists them", "task": "`runner tasks` lists them"}


@dataclass(frozen=True)
class Config:
    """All sections merged; entries are plain JSON-able mappings with the keys of DESIGN's tables."""

    project: Project
    digest: str
    warnings: tuple[Problem, ...]
    agents: Mapping[str, JsonObject]
    tasks: Mapping[str, JsonObject]
    parsers: Mapping[str, JsonObject]
    sandboxes: Mapping[str, JsonObject]
    notify: JsonObject
    settings: JsonObject
    defaults: JsonObject
    # Positions are needed for messages only, so they are made from the files' bytes when one is asked for.
    positions: Callable[[], Positions]

    # One entry by its name. Raises UsageError with the nearest one.

    def agent(self, name: str) -> JsonObject:
        return _entry("agent", name, self.agents)

    def task(self, name: str) -> JsonObject:
        return _entry("task", name, self.tasks)

    def parser(self, name: str) -> JsonObject:
        return _entry("parser", name, self.parsers)

    def locate(self, *path: str | int) -> tuple[str, int, int]:
        """Return file, line and column of a value, or of what stands nearest around it."""
        return self.positions().locate(path)

    def inside(self, path: Path, line: int, column: int) -> tuple[str, int, int]:
        """Return file, line and column of a place within a text value."""
        return self.positions().inside(path, line, column)

    def show(self, *path: str | int) -> str:
        """Return a path as messages show it."""
        return show_path(self.positions().spelled(path))

    def written_in(self, path: Path) -> tuple[str, Path]:
        """Return the file and the path at which a value is written: the entry's own, or that of one it extends."""
        return self.positions().written_in(path)

    def origin(self, *path: str | int) -> tuple[str, int, int]:
        """Return file, line and column of a key."""
        return self.positions().origin(path)


def _entry(kind: str, name: str, known: Mapping[str, JsonObject]) -> JsonObject:
    if name in known:
        return known[name]
    listed = _LISTED_BY.get(kind)
    hint = " ".join(part for part in (did_you_mean(name, known), listed) if part)
    raise UsageError(f"unknown {kind} `{name}`", hint=hint or None)
