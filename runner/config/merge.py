"""Stock and project files → one set of entries, and where each key of them came from. Pure.

A new name adds, the same name replaces, `extends: NAME` starts from another entry (of its own name: the one below it),
`stock: false` starts from nothing. The sections defaults, notify and settings merge key by key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runner.config.display import Path, near
from runner.config.project import Source
from runner.config.yaml_reader import Document, Fault
from runner.values import dataclass, field

NAMED = ("agents", "tasks", "parsers", "sandboxes")
SHARED = ("defaults", "notify", "settings")
# Keys whose mappings merge key by key when an entry extends another; every other value replaces the inherited one.
MERGED_KEYS = frozenset(
    (
        *("env", "set", "model", "options", "files", "requires", "watch", "vars", "fields", "live", "exit", "notify"),
        *("retry", "budget"),
    )
)
BUILT_IN_PARSER = "text"
MAX_MERGED = 200_000
MAX_CHAIN = 16


class TooLargeError(Exception):
    """Small files that inheritance makes large."""


@dataclass(frozen=True)
class Layer:
    """One file, ready to merge: its data is valid by the schema."""

    source: Source
    document: Document
    data: dict[str, Any]


@dataclass(frozen=True)
class Origin:
    layer: Layer
    path: Path


@dataclass
class Merged:
    """`origins`: the merged path of an entry and of each key that could have come from somewhere else.

    `broken`: entries that extend something unknown, or themselves.
    """

    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    origins: dict[Path, Origin] = field(default_factory=dict)
    faults: dict[Fault, Layer] = field(default_factory=dict)
    broken: set[tuple[str, str]] = field(default_factory=set)
    values: int = 0

    def spend(self, count: int) -> None:
        self.values += count
        if self.values > MAX_MERGED:
            raise TooLargeError(f"more than {MAX_MERGED:,} values after inheritance")

    def overlay(
        self, target: dict[str, Any], path: Path, over: dict[str, Any], origin: Origin, *, deep: bool = False
    ) -> None:
        """Put the keys of `over` into `target`; mappings under MERGED_KEYS (all when `deep`) merge key by key."""
        for key, value in over.items():
            here, there = (*path, key), Origin(origin.layer, (*origin.path, key))
            self.spend(_size(value))
            if isinstance(value, dict) and (deep or key in MERGED_KEYS or _inside(path)):
                kept = target.get(key)
                target[key] = dict(kept) if isinstance(kept, dict) else {}
                self.origins.setdefault(here, there)
                self.overlay(target[key], here, value, there, deep=deep)
            else:
                target[key] = value
                self.origins[here] = there


def merge(layers: Sequence[Layer]) -> Merged:
    """Merge layers from the lowest (stock) to the highest (project). Raise TooLargeError."""
    merged = Merged()
    for section in SHARED:
        target = merged.sections[section] = {}
        for layer in _used(layers, section):
            merged.overlay(target, (section,), layer.data.get(section) or {}, Origin(layer, (section,)), deep=True)
    for section in NAMED:
        _Section(merged, section, _used(layers, section)).resolve_all()
    merged.sections["parsers"].setdefault(BUILT_IN_PARSER, {"format": "text"})
    size = _size(merged.sections["defaults"])
    for agent in merged.sections["agents"].values():
        merged.spend(size)
        _put_below(agent, merged.sections["defaults"])
    return merged


def _size(value: Any) -> int:
    return 1 + sum(_size(inner) for inner in value.values()) if isinstance(value, dict) else 1


def _used(layers: Sequence[Layer], section: str) -> list[Layer]:
    """Return the layers that a section is read from: none below one that says `stock: false`."""
    kind = "tasks" if section in ("tasks", "notify", "settings") else "agents"
    mine = [layer for layer in layers if layer.source.kind == kind]
    first = max((at for at, layer in enumerate(mine) if layer.data.get("stock") is False), default=0)
    return mine[first:]


class _Section:
    """The entries of one section, by layer and name."""

    def __init__(self, merged: Merged, section: str, layers: Sequence[Layer]) -> None:
        self.merged = merged
        self.section = section
        self.layers = layers
        self.entries = [layer.data.get(section) or {} for layer in layers]
        self.loops: set[frozenset[str]] = set()
        self.known = {name for entries in self.entries for name in entries}

    def resolve_all(self) -> None:
        target = self.merged.sections[self.section] = {}
        for at, entries in enumerate(self.entries):
            for name in entries:
                if self._highest(name) == at:
                    target[name] = self._resolve(at, name)

    def _highest(self, name: str, below: int | None = None) -> int | None:
        layers = range(len(self.entries) if below is None else below)
        return max((at for at in layers if name in self.entries[at]), default=None)

    def _resolve(self, at: int, name: str) -> dict[str, Any]:
        result: dict[str, Any] = {}
        path = (self.section, name)
        for level, base in reversed(self._chain(at, name)):
            origin = Origin(self.layers[level], (self.section, base))
            own = {key: value for key, value in self.entries[level][base].items() if key != "extends"}
            self.merged.overlay(result, path, own, origin)
        self.merged.origins[path] = Origin(self.layers[at], path)
        return result

    def _chain(self, at: int, name: str) -> list[tuple[int, str]]:
        """Return an entry and those that it extends, itself first; as far as they are valid."""
        chain = [(at, name)]
        while (base := self.entries[at][name].get("extends")) is not None:
            found = self._highest(base, at if base == name else None)
            if found is None:
                self._fault(at, name, *self._unknown(base, name))
            elif (found, base) in chain:
                loop = [link for _, link in chain[chain.index((found, base)) :]]
                self._loop(found, loop)
            elif len(chain) == MAX_CHAIN:
                self._fault(at, name, f"extends more than {MAX_CHAIN} entries in a row", None)
            else:
                chain.append((found, base))
                at, name = found, base
                continue
            self.merged.broken.add((self.section, chain[0][1]))
            break
        return chain

    def _loop(self, at: int, names: list[str]) -> None:
        known = frozenset(names)
        if known not in self.loops:
            self.loops.add(known)
            self._fault(at, names[0], f"goes round in a circle: {' → '.join([*names, names[0]])}", None)

    def _unknown(self, base: str, name: str) -> tuple[str, str | None]:
        kind = self.section[:-2] if self.section.endswith("xes") else self.section[:-1]
        if base == name:
            return f"there is no stock {kind} `{base}` to start from", None
        return f"unknown {kind} `{base}`", near(base, self.known - {name})

    def _fault(self, at: int, name: str, message: str, hint: str | None) -> None:
        layer, path = self.layers[at], (self.section, name, "extends")
        fault = Fault(*layer.document.values.get(path, (1, 1)), message, path, hint)
        self.merged.faults[fault] = layer


def _inside(path: Path) -> bool:
    """Whether a path lies in a mapping whose values are mappings that merge, too: the options of an agent."""
    return len(path) == 3 and path[2] == "options"


def _put_below(target: dict[str, Any], under: dict[str, Any]) -> None:
    """Fill in what `target` lacks from `under`."""
    for key, value in under.items():
        if key not in target:
            target[key] = value
        elif isinstance(value, dict) and isinstance(target[key], dict):
            _put_below(target[key], value)
