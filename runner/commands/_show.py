"""Prints a merged entry with the place that each key came from: `runner agents show`, `runner tasks show`."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from runner.config import Config
from runner.mask import mask_known_tokens, mask_text, mask_tree, secrets_of
from runner.model import JsonObject
from runner.text import json_text, printable

_INLINE = 56
_NOTE_COLUMN = 60


def print_json(config: Config, path: tuple[str, str], entry: JsonObject, more: JsonObject | None = None) -> None:
    """Print the entry as JSON, with `more` beside it; `path` is its section and name."""
    entry = _masked(entry)
    origins = {".".join(keys): where(config, (*path, *keys)) for keys in _leaves(entry, ())}
    shown = {"name": path[1], "defined": where(config, path), "entry": entry, "origins": origins, **(more or {})}
    print(json_text(shown, 2))


def print_yaml(config: Config, path: tuple[str, str], entry: JsonObject) -> None:
    """Print the entry as YAML, a comment at each key."""
    print(_noted(f"{path[1]}:", where(config, path)))
    for line in _lines(config, _masked(entry), path, 1):
        print(printable(line))


def _masked(entry: JsonObject) -> JsonObject:
    """Without what stands for a secret variable, and what looks like a token."""
    values = {name: value for name, value in (entry.get("env") or {}).get("set", {}).items() if "{{" not in str(value)}
    secrets = secrets_of({name: str(value) for name, value in values.items()})
    found: JsonObject = mask_tree(entry, lambda text: mask_known_tokens(mask_text(text, secrets)))
    return found


def where(config: Config, path: tuple[str | int, ...]) -> str:
    """Return `agents.yaml:12`; nothing for the built-in parser, which no file defines."""
    try:
        file, line, _ = config.origin(*path)
    except LookupError:
        return ""
    return f"{file}:{line}" if line else file


def short_place(place: str) -> str:
    """Shorten a place outside the current folder to its last two parts."""
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
        inline = f"{margin}{_key(key)}: {_flow(value)}"
        if isinstance(value, dict) and value:
            yield f"{margin}{_key(key)}:"
            yield from _lines(config, value, (*path, key), depth + 1)
        elif isinstance(value, list) and len(inline) > _INLINE:
            yield _noted(f"{margin}{_key(key)}:", place)
            yield from (f"{margin}  - {_flow(item)}" for item in value)
        elif isinstance(value, str) and len(value.splitlines()) > 1:
            yield _noted(f"{margin}{_key(key)}: |", place)
            yield from (f"{margin}  {line}" for line in value.splitlines())
        else:
            yield _noted(inline, place)


def _noted(text: str, place: str) -> str:
    return f"{text.ljust(_NOTE_COLUMN)}  # {place}" if place else text


def _key(key: str) -> str:
    return key if key.isidentifier() else _flow(key)


def _flow(value: Any) -> str:
    """Return a value on one line, as YAML and JSON both read it; a simple text without quotes."""
    if (
        isinstance(value, str)
        and value.isascii()
        and value.replace("-", "").replace("_", "").replace(" ", "").isalnum()
    ):
        return value if value[0].isalpha() and value == value.strip() else json.dumps(value)
    return json.dumps(value, ensure_ascii=False)
