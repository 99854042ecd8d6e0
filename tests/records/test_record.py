"""The type of a record, and its schema."""

from __future__ import annotations

import ast
import inspect
import json
import typing
from types import ModuleType
from typing import Any

from runner.history import tables
from runner.records import entries, metadata
from tests.helpers import ROOT

SCHEMA = json.loads((ROOT / "schema" / "metadata.schema.json").read_text())
JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def types_of(*modules: ModuleType) -> dict[str, Any]:
    """The types that modules define for type checkers alone."""
    names: dict[str, Any] = {"TypedDict": typing.TypedDict, **vars(entries)}
    for module in modules:
        blocks = [node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.If)]
        body = [node for block in blocks for node in block.body if isinstance(node, ast.ClassDef | ast.Assign)]
        exec(compile(ast.Module(body, []), "types", "exec", dont_inherit=True), names)  # annotations as values
    return names


def shape(kind: Any) -> object:
    """A type as the schema would have it: the keys of an object, the items of an array, the set of plain types."""
    if kind is object:  # any JSON
        return {"object", "array", "string", "number", "boolean", "null"}
    if typing.is_typeddict(kind):
        return {key: shape(inner) for key, inner in typing.get_type_hints(kind).items()}
    if typing.get_origin(kind) is list:
        return [shape(typing.get_args(kind)[0])]
    options = [option for option in typing.get_args(kind) or (kind,) if option is not type(None)]
    if typing.is_typeddict(options[0]):
        return shape(options[0])
    return {JSON_TYPES[option] for option in typing.get_args(kind) or (kind,)}


def schema_shape(schema: dict[str, Any]) -> object:
    if "properties" in schema:
        return {key: schema_shape(inner) for key, inner in schema["properties"].items()}
    if "items" in schema:
        return [schema_shape(schema["items"])]
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if values is not None:
        return {JSON_TYPES[type(value)] for value in values}
    found = schema["type"]
    return {found} if isinstance(found, str) else set(found)


def test_the_type_is_the_schema() -> None:
    assert shape(types_of(metadata)["Record"]) == schema_shape(SCHEMA)


def test_the_keys_of_a_skip_are_in_every_record() -> None:
    assert types_of(metadata)["Record"].__required_keys__ < set(SCHEMA["required"])


def test_the_type_of_an_entry_is_its_schema() -> None:
    schema = json.loads((ROOT / "schema" / "runs.schema.json").read_text())

    assert set(shape(types_of(metadata, tables)["Entry"])) == set(schema["properties"])  # type: ignore[call-overload]
