"""A file's data against its JSON Schema, with each fault in plain words. Pure but for reading the schema.

It knows the part of JSON Schema that schema/*.json uses (a test holds that), and words its messages from their titles.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from runner.config.display import MAX_SHOWN, Path, listed, near, quoted, show_value
from runner.config.project import stock_dir
from runner.config.yaml_reader import Document, Fault
from runner.model import JsonObject
from runner.units import is_too_long

# Words that people use for a key of another name.
_SYNONYMS = {
    **dict.fromkeys(("command", "cmd", "executable", "program"), "binary"),
    **dict.fromkeys(("arguments", "flags", "params"), "argv"),
    **dict.fromkeys(("environment", "variables"), "env"),
    **dict.fromkeys(("input",), "stdin"),
    **dict.fromkeys(("inherits", "base", "from"), "extends"),
    **dict.fromkeys(("tz", "zone"), "timezone"),
    **dict.fromkeys(("commit", "require_commit"), "requires_commit"),
}
_ELSEWHERE = {
    **dict.fromkeys(("notify", "settings", "tasks"), "tasks.yaml"),
    **dict.fromkeys(("agents", "parsers", "sandboxes", "defaults"), "agents.yaml"),
}

_TYPES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "object": "a mapping",
}
_DURATION = "runner-duration"  # a format, which other readers of the schema pass over
_TRUE, _FALSE = ("yes", "on", "y", "1"), ("no", "off", "n", "0")


@lru_cache
def schema_of(kind: str) -> JsonObject:
    """Return the JSON Schema of agents, tasks or metadata."""
    with open(os.path.join(stock_dir(), "schema", f"{kind}.schema.json"), encoding="utf-8") as file:
        schema: JsonObject = json.load(file)
    return schema


def check_data(document: Document, schema: JsonObject) -> Iterator[Fault]:
    """Yield every fault, in the order of the data."""
    return _Walk(document, schema).check(document.data, schema, (), None)


class _Walk:
    def __init__(self, document: Document, root: JsonObject) -> None:
        self.document = document
        self.root = root

    def check(self, data: Any, schema: JsonObject, path: Path, title: str | None) -> Iterator[Fault]:
        """`title` says what is expected where the schema itself does not."""
        schema = self._resolved(schema)
        title = schema.get("title", title)
        if "anyOf" in schema:
            yield from self._any_of(data, schema["anyOf"], path, title)
        elif not _admits(schema, data) or not _fits(schema, data):
            yield self._expected(data, schema, path, title)
        elif isinstance(data, dict):
            yield from self._mapping(data, schema, path)
        elif isinstance(data, list):
            for at, item in enumerate(data):
                yield from self.check(item, schema.get("items", {}), (*path, at), None)

    def _resolved(self, schema: JsonObject) -> JsonObject:
        """Return `schema` with what it refers to put in; its own keywords are stronger."""
        while "$ref" in schema:
            target: Any = self.root
            for step in schema["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
        return schema

    def _any_of(self, data: Any, branches: list[JsonObject], path: Path, title: str | None) -> Iterator[Fault]:
        resolved = [self._resolved(branch) for branch in branches]
        fitting = [branch for branch in resolved if self._could_be(branch, data)]
        if len(fitting) == 1:
            yield from self.check(data, fitting[0], path, title)
        elif not any(not any(self.check(data, branch, path, title)) for branch in fitting):
            words = [word for branch in resolved for word in _words_of(branch)]
            yield self._expected(
                data, {"anyOf": resolved, "enum": words} if words else {"anyOf": resolved}, path, title
            )

    def _could_be(self, branch: JsonObject, data: Any) -> bool:
        if "anyOf" in branch:
            return any(self._could_be(self._resolved(inner), data) for inner in branch["anyOf"])
        return _admits(branch, data)

    def _mapping(self, data: JsonObject, schema: JsonObject, path: Path) -> Iterator[Fault]:
        known = schema.get("properties", {})
        for key, value in data.items():
            here = (*path, key)
            yield from self._key(key, schema.get("propertyNames", {}), here)
            if key in known:
                yield from self.check(value, known[key], here, None)
            elif not any(_matches(pattern, key) for pattern in schema.get("patternProperties", {})):
                others = schema.get("additionalProperties", {})
                if others is False:
                    yield self._at_key(here, "unknown key", _hint_for_key(key, known, path))
                else:
                    yield from self.check(value, others, here, None)
        for key in schema.get("required", ()):
            if key not in data:
                yield self._at_key(path, f"missing key `{key}`", None)

    def _key(self, key: str, schema: JsonObject, path: Path) -> Iterator[Fault]:
        for part in (schema, *schema.get("allOf", ())):
            rule = self._resolved(part)
            refused = rule.get("not", {})
            if key in refused.get("enum", ()):
                yield self._at_key(path, f"{quoted(key)} is {refused['title']}, choose another", None)
            elif not _fits(rule, key):
                yield self._at_key(
                    path, f"expected {rule.get('title', 'a key')}, got {quoted(key)}", _similar(key, rule)
                )

    def _expected(self, data: Any, schema: JsonObject, path: Path, title: str | None) -> Fault:
        words = _words_of(schema)
        if not path:
            what = "a mapping with " + listed(list(schema.get("properties", {})), "and")
        elif title:
            what = title
        else:
            what = f"one of {listed(words)}" if words else type_words(schema)
        hint = near(data, [str(word) for word in words]) if isinstance(data, str) else None
        if hint is None and not all(show_value(word).strip("`") in what for word in words):
            hint = f"one of {listed(words)}"
        hint = (
            hint
            or _hint_for_duration(data, schema)
            or _hint_for_boolean(data, schema)
            or _hint_for_text(data, schema)
            or _hint_for_list(data, schema)
        )
        got = f"one with {len(data)}" if isinstance(data, list) and "minItems" in schema and data else show_value(data)
        return Fault(*self._place(path), f"expected {what}, got {got}", path, hint)

    def _place(self, path: Path) -> tuple[int, int]:
        while path not in self.document.values and path:
            path = path[:-1]
        return self.document.values.get(path, (1, 1))

    def _at_key(self, path: Path, message: str, hint: str | None) -> Fault:
        place = self.document.keys.get(path) or self._place(path)
        return Fault(*place, message, path, hint)


def _type_of(data: Any) -> str:
    """Return the JSON Schema name of a value's type."""
    if data is None:
        return "null"
    if isinstance(data, bool):
        return "boolean"
    names = ((str, "string"), (int, "integer"), (float, "number"), (list, "array"))
    return next((name for kind, name in names if isinstance(data, kind)), "object")


def type_words(schema: JsonObject) -> str:
    types = schema.get("type", "object")
    names = [types] if isinstance(types, str) else [name for name in types if name != "null"]
    words = " or ".join(_TYPES[name] for name in names)
    if "minimum" in schema or "maximum" in schema:
        words += f" from {schema.get('minimum', 'any')}" + (f" to {schema['maximum']}" if "maximum" in schema else "")
    for singular, least in (("item", schema.get("minItems")), ("key", schema.get("minProperties"))):
        if least:
            words += f" with at least {least} {singular}{'s' if least > 1 else ''}"
    if schema.get("maxItems"):
        words += f" of at most {schema['maxItems']} items"
    if schema.get("minLength"):
        words += " that is not empty"
    return words


def _admits(schema: JsonObject, data: Any) -> bool:
    """Whether data of this type can fit at all."""
    words = _words_of(schema)
    if words:
        return _type_of(data) in {_type_of(word) for word in words}
    types = schema.get("type")
    if types is None:
        return True
    kind = _type_of(data)
    allowed = [types] if isinstance(types, str) else types
    return kind in allowed or (kind == "integer" and "number" in allowed)


def _words_of(schema: JsonObject) -> list[Any]:
    return [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else [])]


def _fits(schema: JsonObject, data: Any) -> bool:
    """Whether data of an admitted type has an admitted value or size; what is inside is not looked at."""
    words = _words_of(schema)
    if words and not any(word == data and _type_of(word) == _type_of(data) for word in words):
        return False
    if isinstance(data, str):
        long_enough: bool = schema.get("minLength", 0) <= len(data) <= schema.get("maxLength", len(data))
        fitting = long_enough and ("pattern" not in schema or _matches(schema["pattern"], data))
        return fitting and not (schema.get("format") == _DURATION and is_too_long(data))
    if isinstance(data, list):
        return bool(schema.get("minItems", 0) <= len(data) <= schema.get("maxItems", len(data)))
    if isinstance(data, dict):
        return bool(schema.get("minProperties", 0) <= len(data) <= schema.get("maxProperties", len(data)))
    if isinstance(data, int | float):
        return bool(schema.get("minimum", data) <= data <= schema.get("maximum", data))
    return True


def _matches(pattern: str, text: str) -> bool:
    # In JSON Schema `$` is the very end; in Python it is also before a last newline.
    return re.search(pattern.removesuffix("$") + r"\Z" if pattern.endswith("$") else pattern, text) is not None


def _hint_for_key(key: str, known: JsonObject, path: Path) -> str | None:
    if not path and key in _ELSEWHERE:
        return f"`{key}` belongs in {_ELSEWHERE[key]}"
    synonym = _SYNONYMS.get(key)
    if synonym in known:
        return f"did you mean '{synonym}'?"
    return near(key, known) or (f"known here: {listed(list(known), 'and')}" if 0 < len(known) <= 6 else None)


def _similar(key: str, rule: JsonObject) -> str | None:
    """Suggest a key that fits and looks much like `key`."""
    similar = re.sub(r"[^a-z0-9_-]+", "-", key[:64].lower()).strip("-_")
    return f"did you mean '{similar}'?" if similar and _fits(rule, similar) else None


def _hint_for_boolean(data: Any, schema: JsonObject) -> str | None:
    if schema.get("type") != "boolean" or not isinstance(data, str | int):
        return None
    word = str(data).lower()
    if word in ("true", "false"):
        return "write it without quotes"
    return "write `true`" if word in _TRUE else "write `false`" if word in _FALSE else None


def _hint_for_text(data: Any, schema: JsonObject) -> str | None:
    wants_text = "string" in _all_types(schema)
    if not wants_text or not isinstance(data, bool | int | float):
        return None
    return f"quote it: '{str(data).lower()}'"


def _hint_for_duration(data: Any, schema: JsonObject) -> str | None:
    is_duration = any(rule.get("format") == _DURATION for rule in (schema, *schema.get("anyOf", ())))
    return "at most ten years" if is_duration and isinstance(data, str | int | float) and is_too_long(data) else None


def _hint_for_list(data: Any, schema: JsonObject) -> str | None:
    types = _all_types(schema)
    if "array" not in types or "object" in types or not isinstance(data, str) or len(data) > MAX_SHOWN:
        return None
    return f"write `[{', '.join(data.split())}]`"


def _all_types(schema: JsonObject) -> set[str]:
    types = schema.get("type", ())
    own = {types} if isinstance(types, str) else set(types)
    return own.union(*(_all_types(branch) for branch in schema.get("anyOf", ())))
