"""JSON data to the values of `runner.values` and back, by the types of their fields.

These are `str`, `int`, `float`, `bool`, `JsonObject`, `Mapping[str, …]`, tuples, other values of the same module, and
each of them with `| None`. `json_keys` of a class are pairs of a field and its key, where the two differ.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeVar

    Value = TypeVar("Value")

_MAX = 2e11  # as a time, the year 8307: nothing of ours is greater, and not all of Python counts further
_PLAIN = {"str": (str,), "int": (int,), "float": (float, int), "bool": (bool,), "JsonObject": (dict,)}


class DecodeError(ValueError):
    """Data that does not fit the value."""


def from_json(cls: type[Value], data: Any) -> Value:
    """Make a value of its JSON form; unknown keys are ignored. Raises DecodeError for a wrong type or a missing key."""
    if not isinstance(data, dict):
        raise DecodeError(f"{cls.__name__}: expected an object")
    scope, keys = vars(sys.modules[cls.__module__]), dict(getattr(cls, "json_keys", ()))
    keyed = {name: keys.get(name, name) for name in cls.__annotations__}
    fields = {
        name: _decoded(cls.__annotations__[name], data[key], f"{cls.__name__}.{key}", scope)
        for name, key in keyed.items()
        if key in data
    }
    try:
        return cls(**fields)
    except TypeError as error:  # a field without a default
        raise DecodeError(str(error)) from None


def _decoded(kind: str, data: Any, where: str, scope: Mapping[str, Any]) -> Any:
    bare = kind.removesuffix(" | None")
    outer, _, inner = bare.removesuffix("]").partition("[")
    if data is None and bare != kind:
        return None
    if outer == "tuple" and isinstance(data, list):
        kinds = [inner[:-5]] * len(data) if inner.endswith(", ...") else inner.split(", ")
        if len(kinds) == len(data):
            return tuple(_decoded(each, item, where, scope) for each, item in zip(kinds, data, strict=True))
    elif outer == "Mapping" and isinstance(data, dict):
        return {key: _decoded(inner.removeprefix("str, "), item, where, scope) for key, item in data.items()}
    elif bare in _PLAIN:
        if type(data) in _PLAIN[bare]:
            if type(data) in (int, float) and not -_MAX < data < _MAX:  # NaN is neither
                raise DecodeError(f"{where}: expected a sensible number")
            return float(data) if bare == "float" else data
    elif bare in scope:
        return from_json(scope[bare], data)
    raise DecodeError(f"{where}: expected {kind}")


def to_json(value: Any) -> Any:
    """Give the JSON form of a value, and of the values in it."""
    if hasattr(type(value), "__match_args__"):
        keys = dict(getattr(value, "json_keys", ()))
        return {keys.get(name, name): to_json(inner) for name, inner in vars(value).items()}
    if isinstance(value, dict):
        return {key: to_json(inner) for key, inner in value.items()}
    return [to_json(inner) for inner in value] if isinstance(value, tuple | list) else value
