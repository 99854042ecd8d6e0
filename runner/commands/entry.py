"""A merged entry with the place that each key came from: `runner agents show`, `runner tasks show`."""

from __future__ import annotations

import json
import os
from typing import Any

from runner.text import json_text, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config import Config
    from runner.model import JsonObject

_INLINE = 56
_NOTE_COLUMN = 60


def show_entry(
    config: Config, section: str, name: str, entry: JsonObject, *, as_json: bool, more: JsonObject | None = None
) -> int:
    """`more` stands beside the entry in the JSON."""
    path = (section, name)
    if as_json:
        origins = {".".join(map(str, keys)): where(config, (*path, *keys)) for keys in _leaves(entry, ())}
        shown = {"name": name, "defined": where(config, path), "entry": entry, "origins": origins, **(more or {})}
        print(json_text(shown, 2))
        return 0
    print(_noted(f"{name}:", where(config, path)))
    for line in _lines(config, entry, path, 1):
        print(printable(line))
    return 0


def where(config: Config, path: tuple[str | int, ...]) -> str:
    """`agents.yaml:12`; nothing for what no file says: the built-in parser."""
    try:
        file, line, _ = config.origin(*path)
    except LookupError:
        return ""
    return f"{file}:{line}" if line else file


def short_place(place: str) -> str:
    """A place outside the current folder by its last two parts."""
    return os.path.join("…", *place.split(os.sep)[-2:]) if place.startswith(os.sep) else place


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path


def _lines(config: Config, entry: JsonObject, path: tuple[str | int, ...], depth: int) -> Iterator[str]:
    margin = "  " * depth
    for key, value in entry.items():
        place = where(config, (*path, key))
        inline = f"{margin}{_word(key)}: {_flow(value)}"
        if isinstance(value, dict) and value:
            yield f"{margin}{_word(key)}:"
            yield from _lines(config, value, (*path, key), depth + 1)
        elif isinstance(value, list) and len(inline) > _INLINE:
            yield _noted(f"{margin}{_word(key)}:", place)
            yield from (f"{margin}  - {_flow(item)}" for item in value)
        elif isinstance(value, str) and len(value.splitlines()) > 1:
            yield _noted(f"{margin}{_word(key)}: |", place)
            yield from (f"{margin}  {line}" for line in value.splitlines())
        else:
            yield _noted(inline, place)


def _noted(text: str, place: str) -> str:
    return f"{text.ljust(_NOTE_COLUMN)}  # {place}" if place else text


def _word(key: str) -> str:
    return key if key.isidentifier() else _flow(key)


def _flow(value: Any) -> str:
    """A value on one line, as YAML and JSON both read it; a simple text without quotes."""
    if (
        isinstance(value, str)
        and value.isascii()
        and value.replace("-", "").replace("_", "").replace(" ", "").isalnum()
    ):
        return value if value[0].isalpha() and value == value.strip() else json.dumps(value)
    return json.dumps(value, ensure_ascii=False)
