"""shapes.yaml as values."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache

import yaml

from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


@dataclass(frozen=True)
class ErrorShape:
    """How a class of errors is told; `pattern` is `match` with the wait that may be announced behind it."""

    match: str
    pattern: str

    def fits(self, text: str) -> bool:
        return re.search(self.match, text) is not None


@dataclass(frozen=True)
class Shapes:
    """`fields` and `near` are keys by field, `words` patterns by meaning, `lines` patterns by field."""

    kinds: tuple[str, ...]
    details: tuple[str, ...]
    fields: Mapping[str, tuple[str, ...]]
    near: Mapping[str, tuple[str, ...]]
    words: Mapping[str, str]
    verdicts: tuple[str, ...]
    errors: tuple[str, ...]
    classes: Mapping[str, ErrorShape]
    wait: str
    lines: Mapping[str, tuple[str, ...]]
    base_urls: Mapping[str, str]

    def has_word(self, meaning: str, text: str) -> bool:
        return re.search(self.words[meaning], text) is not None

    def rank(self, field: str, path: str) -> int | None:
        """How well a path's last key fits a field, from 0; None when it does not."""
        key = last_key(path)
        names = self.fields[field]
        if key not in names:
            return None
        near = any(word in path[: -len(key)].lower() for word in self.near.get(field, ()))
        return 2 * names.index(key) - int(near)


def last_key(path: str) -> str:
    """`text` of `content[?type=text].text`."""
    return re.sub(r"\[[^]]*\]$", "", path).rpartition(".")[2].strip('"[]')


@cache
def shapes() -> Shapes:
    with open(os.path.join(os.path.dirname(__file__), "shapes.yaml"), encoding="utf-8") as file:
        data: dict[str, Any] = yaml.safe_load(file)
    classes = {name: _error_shape(shape, data["wait"]) for name, shape in data.pop("classes").items()}
    lists = {key: _tuples(value) for key, value in data.items()}
    return Shapes(classes=classes, **lists)


def _error_shape(shape: Mapping[str, Any], wait: str) -> ErrorShape:
    match = shape["match"]
    words = match.removeprefix("(?i)")
    return ErrorShape(match, f"(?i)(?:{words})(?:.*?{wait})?" if shape.get("waits") else match)


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return {key: _tuples(item) for key, item in value.items()} if isinstance(value, dict) else value
