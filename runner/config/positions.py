"""From the path of a merged value to the file, line and column that it came from."""

from __future__ import annotations

from runner.config.display import Path, show_file, show_path
from runner.config.merge import Merged, Origin
from runner.config.project import Source
from runner.config.yaml_reader import Document, Fault
from runner.errors import Problem
from runner.values import dataclass, replace


@dataclass(frozen=True)
class Positions:
    merged: Merged

    def locate(self, path: Path) -> tuple[str, int, int]:
        """Return the place of a value, or of the nearest one around it."""
        origin, path = self._origin(path)
        return show_file(origin.layer.source.path), *nearest_place(origin.layer.document, path)

    def origin(self, path: Path) -> tuple[str, int, int]:
        """Return the place of a key, or of the nearest one around it."""
        origin, path = self._origin(path)
        keys = origin.layer.document.keys
        if path not in keys and path in origin.layer.document.values:
            return show_file(origin.layer.source.path), *origin.layer.document.values[path]
        while path not in keys and len(path) > 1:
            path = path[:-1]
        return show_file(origin.layer.source.path), *keys.get(path, (1, 1))

    def written_in(self, path: Path) -> tuple[str, Path]:
        """Return the file of a value, and its path there."""
        origin, there = self._origin(path)
        return origin.layer.source.path, there

    def inside(self, path: Path, line: int, column: int) -> tuple[str, int, int]:
        """Return the place of a line and column within a text value, as exactly as the file's spelling shows it."""
        origin, path = self._origin(path)
        return show_file(origin.layer.source.path), *place_inside(origin.layer.document, path, line, column)

    def spelled(self, path: Path) -> Path:
        """Return `path` as its file spells it: without the `[0]` of a text that stands for a list of one."""
        origin, length = self._nearest(path)
        whole = (*origin.path, *path[length:])
        there = _written(origin.layer.document, whole)
        if there == whole:
            return path
        left_out = next(at for at in range(1, len(whole) + 1) if at > len(there) or whole[-at] != there[-at])
        return (*path[: len(path) - left_out], *path[len(path) - left_out + 1 :])

    def _origin(self, path: Path) -> tuple[Origin, Path]:
        origin, length = self._nearest(path)
        return origin, _written(origin.layer.document, (*origin.path, *path[length:]))

    def _nearest(self, path: Path) -> tuple[Origin, int]:
        """Return the origin of the longest prefix of `path` that has one, else of something in it; and its length."""
        origins = self.merged.origins
        for length in range(len(path), 0, -1):
            origin = origins.get(path[:length])
            if origin is None and path[0] == "agents" and length > 2:
                origin = origins.get(("defaults", *path[2:length]))
            if origin is not None:
                return origin, length
        # A section is merged key by key, and has no origin of its own.
        for known, origin in origins.items():
            if known[: len(path)] == path:
                return replace(origin, path=origin.path[: len(path)]), len(path)
        raise LookupError(path)


# The steps that a shorthand leaves out: of a list of one, a sandbox, a model or option, a retry.
_WRITTEN_OUT = (0, "argv", "default", "count")


def _written(document: Document, path: Path) -> Path:
    """Return `path` without the step that it was given when a shorthand was written out."""
    if path in document.values:
        return path
    shorter = ((*path[:at], *path[at + 1 :]) for at, step in enumerate(path) if step in _WRITTEN_OUT)
    return next((candidate for candidate in shorter if candidate in document.values), path)


def nearest_place(document: Document, path: Path) -> tuple[int, int]:
    while path not in document.values and path:
        path = path[:-1]
    return document.values.get(path, (1, 1))


def place_inside(document: Document, path: Path, line: int, column: int) -> tuple[int, int]:
    """Return the place in the file of a line and column of a text value; its start when the spelling hides it."""
    start = nearest_place(document, path)
    value = _value(document.data, path)
    if not isinstance(value, str):
        return start
    lines = document.lines
    wanted = value.split("\n")[line - 1]
    first = lines[start[0] - 1][start[1] - 1 :]
    if "\n" not in value.rstrip("\n"):
        quote = 1 if first[:1] in ("'", '"') else 0
        if first[quote : quote + column] == wanted[:column]:
            return start[0], start[1] + quote + column - 1
    for number in range(start[0] + line - 1, min(start[0] + line + 1, len(lines))):
        indent = len(lines[number]) - len(lines[number].lstrip(" "))
        if wanted and lines[number].strip() == wanted.strip():
            return number + 1, indent + column - (len(wanted) - len(wanted.lstrip(" ")))
    return start


def _value(data: object, path: Path) -> object:
    for step in path:
        try:
            data = data[step]  # type: ignore[index]  # whatever has no such step raises
        except (LookupError, TypeError):
            return None
    return data


def problem(source: Source, fault: Fault, severity: str = "error") -> Problem:
    file, path = show_file(source.path), show_path(fault.path)
    return Problem(file, fault.line, fault.column, fault.message, path, fault.hint, severity)
