"""The JSON Schemas: what they describe, and that our own walk over them judges as jsonschema does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from runner.config.schema import check_data, schema_of, type_words
from runner.config.templates import VARIABLES
from runner.config.yaml_reader import parse
from runner.parsers import compile_parser
from runner.parsers.folds import FIELDS, TAKES
from runner.parsers.resets import KINDS
from runner.reasons import FAULT_CLASSES, REASONS
from runner.units import parse_duration, parse_size
from tests.helpers import DATA, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.model import JsonObject

NAMES = ("agents", "tasks", "metadata", "doctor")
KNOWN_KEYWORDS = frozenset(
    (
        *("$schema", "$ref", "$defs", "title", "description", "default", "type", "enum", "const", "anyOf", "allOf"),
        *("not", "properties", "patternProperties", "additionalProperties", "propertyNames", "required", "items"),
        *("minItems", "maxItems", "minProperties", "maxProperties", "pattern", "minLength", "maxLength"),
        *("minimum", "maximum", "format"),
    )
)


def schemas(schema: JsonObject) -> Iterator[JsonObject]:
    """A schema and all those inside it."""
    yield schema
    for keyword in ("properties", "patternProperties", "$defs"):
        for inner in schema.get(keyword, {}).values():
            yield from schemas(inner)
    for keyword in ("additionalProperties", "propertyNames", "items", "not"):
        if isinstance(schema.get(keyword), dict):
            yield from schemas(schema[keyword])
    for keyword in ("anyOf", "allOf"):
        for inner in schema.get(keyword, ()):
            yield from schemas(inner)


def resolved(root: JsonObject, schema: JsonObject) -> JsonObject:
    while "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


@pytest.mark.parametrize("name", NAMES)
def test_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(schema_of(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_key_is_described(name: str) -> None:
    root = schema_of(name)
    for schema in schemas(root):
        for key, inner in schema.get("properties", {}).items():
            assert resolved(root, inner).get("description"), key


@pytest.mark.parametrize("name", ["agents", "tasks"])
def test_no_unknown_key_passes(name: str) -> None:
    for schema in schemas(schema_of(name)):
        if "properties" in schema:
            assert "additionalProperties" in schema, schema


@pytest.mark.parametrize("name", ["agents", "tasks"])
def test_the_walk_knows_every_keyword(name: str) -> None:
    for schema in schemas(schema_of(name)):
        assert set(schema) <= KNOWN_KEYWORDS, schema


@pytest.mark.parametrize("name", ["agents", "tasks"])
def test_every_type_has_words(name: str) -> None:
    for schema in schemas(schema_of(name)):
        if "type" in schema:
            assert type_words(schema)


def test_what_both_files_share_is_the_same() -> None:
    agents, tasks = schema_of("agents")["$defs"], schema_of("tasks")["$defs"]
    shared = agents.keys() & tasks.keys()

    assert {"duration", "env", "class", "extends"} <= shared
    assert {name: agents[name] for name in shared} == {name: tasks[name] for name in shared}


class Watched(dict[str, Any]):
    """A table that notes which of its keys are read."""

    def __init__(self, **entries: Any) -> None:
        super().__init__(entries)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)


def keys_read(form: str) -> set[str]:
    """The keys of a parser's table that the code reads."""
    table = Watched(format=form)
    compile_parser(table, live=True)
    return table.read


def test_the_schema_says_what_the_code_knows() -> None:
    definitions = schema_of("agents")["$defs"]
    parser = definitions["parser"]["properties"]
    options = definitions["agent"]["properties"]["options"]

    assert set(parser) - {"description", "extends"} == keys_read("jsonl") == keys_read("text")
    assert parser["format"]["enum"] == ["jsonl", "json", "text"]
    assert set(parser["fields"]["properties"]) == set(FIELDS)
    assert set(definitions["class"]["enum"]) == FAULT_CLASSES
    assert set(definitions["field"]["properties"]["take"]["enum"]) == set(TAKES)
    assert set(definitions["reset_time"]["properties"]["kind"]["enum"]) == set(KINDS)
    assert set(options["propertyNames"]["not"]["enum"]) == VARIABLES | {"env"}
    assert set(schema_of("metadata")["properties"]["reason"]["enum"]) == {None, *REASONS}


@pytest.mark.parametrize(
    ("kind", "read", "good", "bad"),
    [
        (
            "duration",
            parse_duration,
            ["15m", "90s", "1h30m", "1h 30m", "250ms", "1.5h", "2d", "1w", "none", "30", "5min", 10, 0, 2.5],
            ["", "m", "15 minutes", "-5s", "5x", "1h-", "s5", "1m\n", "1m" + " " * 100 + "x", -1, True],
        ),
        (
            "size",
            parse_size,
            ["64KiB", "10MB", "10 MB", "1.5GiB", "512", "5b", "7k", "none", 4096],
            ["", "KiB", "64 megs", "-1k", "1kib2", 2.5, -1, True],
        ),
    ],
)
def test_durations_and_sizes_mean_what_the_program_reads(kind: str, read: Any, good: list[Any], bad: list[Any]) -> None:
    root = schema_of("agents")
    key = "timeout" if kind == "duration" else "max_output"
    for value in [*good, *bad]:
        document = parse(yaml.safe_dump({"defaults": {key: value}}).encode())
        faults = list(check_data(document, root))
        assert (faults == []) is (value in good), value
    for value in good:
        read(value)


def ours(kind: str, data: Any) -> bool:
    document = parse(b"")
    document.data = data
    return not any(check_data(document, schema_of(kind)))


def theirs(kind: str, data: Any) -> bool:
    return bool(Draft202012Validator(schema_of(kind)).is_valid(data))


def configurations(kind: str) -> list[Any]:
    """The stock file, and each broken file that is YAML."""
    files = [ROOT / f"{kind}.yaml", *sorted(DATA.glob(f"broken/*/{kind}.yaml"))]
    documents = [parse(path.read_bytes()) for path in files]
    return [document.data for document in documents if not document.faults and document.data is not None]


@pytest.mark.parametrize("kind", ["agents", "tasks"])
def test_the_walk_judges_as_jsonschema_does(kind: str) -> None:
    judged = [(ours(kind, data), theirs(kind, data)) for data in configurations(kind)]

    assert {True, False} <= {mine for mine, _ in judged}
    assert all(mine == other for mine, other in judged)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 300)
    | st.sampled_from(["text", "x", "15m", "auth", "A B", "", "~/x", "jsonl"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["when", "at", "not", "in", "default", "set", "75", "x y", "sum"]), inner, max_size=2
        )
    ),
    max_leaves=4,
)
BASE = {kind: configurations(kind)[0] for kind in ("agents", "tasks")}


def spots(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from spots(value, (*path, key))


SPOTS = {kind: list(spots(data)) for kind, data in BASE.items()}


@pytest.mark.parametrize("kind", ["agents", "tasks"])
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_walk_judges_mutants_as_jsonschema_does(kind: str, data: st.DataObject) -> None:
    mutant = json.loads(json.dumps(BASE[kind]))
    path = data.draw(st.sampled_from(SPOTS[kind]))
    value = data.draw(VALUES)
    if path:
        target = mutant
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = value
    else:
        mutant = value

    assert ours(kind, mutant) == theirs(kind, mutant)
