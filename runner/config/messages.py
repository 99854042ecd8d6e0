"""JSON types and values in the words of a message. Pure."""

from __future__ import annotations

from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.model import JsonObject

_LIMIT = 60
_TYPES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
    "array": "a list",
    "object": "a mapping",
}
_TRUE, _FALSE = ("yes", "on", "y", "1"), ("no", "off", "n", "0")


def type_of(data: Any) -> str:
    """The JSON Schema name of a value's type."""
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


def shown(data: Any) -> str:
    """A value as a message names it."""
    if isinstance(data, dict):
        return "a mapping" if data else "an empty mapping"
    if isinstance(data, list):
        return "a list" if data else "an empty list"
    if data is None:
        return "nothing"
    if data == "":
        return "an empty text"
    return quote(str(data).lower() if isinstance(data, bool) else str(data))


def quote(text: str) -> str:
    """In backticks: short, and without characters that could act on a terminal."""
    short = text if len(text) <= _LIMIT else text[: _LIMIT - 1] + "…"
    return "`" + "".join(char if char.isprintable() else repr(char)[1:-1] for char in short) + "`"


def listed(words: Sequence[Any], last: str = "or") -> str:
    """`a`, `b` or `c`"""
    quoted = [shown(word) for word in words]
    return f" {last} ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else "".join(quoted)


def for_boolean(data: Any, schema: JsonObject) -> str | None:
    if schema.get("type") != "boolean" or not isinstance(data, str | int):
        return None
    word = str(data).lower()
    if word in ("true", "false"):
        return "write it without quotes"
    return "write `true`" if word in _TRUE else "write `false`" if word in _FALSE else None


def for_text(data: Any, schema: JsonObject) -> str | None:
    wants_text = "string" in _all_types(schema)
    if not wants_text or not isinstance(data, bool | int | float):
        return None
    return f"quote it: '{str(data).lower()}'"


def for_list(data: Any, schema: JsonObject) -> str | None:
    types = _all_types(schema)
    if "array" not in types or "object" in types or not isinstance(data, str) or len(data) > _LIMIT:
        return None
    return f"write `[{', '.join(data.split())}]`"


def _all_types(schema: JsonObject) -> set[str]:
    types = schema.get("type", ())
    own = {types} if isinstance(types, str) else set(types)
    return own.union(*(_all_types(branch) for branch in schema.get("anyOf", ())))
