"""The JSON Schema that a task's `output` names: its text, and whether it is one. Checking brings jsonschema."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from runner.asked import Output
from runner.config.config import Config
from runner.config.display import show_file, show_value
from runner.config.project import UnreadableError, read_below
from runner.errors import Problem
from runner.model import JsonObject
from runner.text import one_line

MAX_SCHEMA = 64 * 1024
"""Bytes; a CLI may get it as one word of its command line, of which 128 KiB are the most."""
_MAX_MESSAGE = 200


def read_schema(config: Config, name: str) -> str:
    """Return the schema of a task's answer as one line of JSON. Raise UnreadableError, and ValueError for no JSON."""
    schema = json.loads(read_below(config.project.root, config.tasks[name]["output"]["schema"], MAX_SCHEMA))
    return json.dumps(schema, separators=(",", ":"))


def output_of(rule: JsonObject, agent: JsonObject, parser: JsonObject, schema: str) -> Output:
    """Return what a task's `output` asks of this agent."""
    file = rule["from"].removeprefix("file:") if rule["from"] != "reply" else None
    told = file is None and "schema_args" in agent and "output" in parser.get("fields", {})
    return Output(schema, os.path.basename(rule["schema"]), file, told)


def problems(config: Config, name: str) -> Iterator[Problem]:
    """Check that the schema is there and is one, that it needs no other file, and that the answer's path is inside."""
    output = config.tasks[name]["output"]
    path = output["schema"]
    where = ("tasks", name, "output", "schema")
    try:
        schema = json.loads(read_schema(config, name))
    except UnreadableError as error:
        yield Problem(*config.locate(*where), f"the schema `{show_file(path)}` {error}", config.show(*where))
    except json.JSONDecodeError as error:
        yield Problem(show_file(path), error.lineno, error.colno, f"is not JSON: {error.msg}")
    except (ValueError, RecursionError) as error:
        yield Problem(show_file(path), 1, 1, f"is not JSON that can be read: {one_line(str(error), _MAX_MESSAGE)}")
    else:
        message = _fault(schema)
        if message:
            yield Problem(show_file(path), 1, 1, f"is not a JSON Schema: {message}")
    if os.path.normpath(output["from"].removeprefix("file:")).startswith(".."):
        where = ("tasks", name, "output", "from")
        yield Problem(*config.locate(*where), "leads out of the checkout", config.show(*where))


def _fault(schema: Any) -> str | None:
    if not isinstance(schema, dict):
        return f"expected a mapping, got {show_value(schema)}"
    from jsonschema import Draft202012Validator, exceptions, validators  # noqa: PLC0415 - heavy

    kind = validators.validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except exceptions.SchemaError as error:
        return f"at `{error.json_path}`: {one_line(error.message, _MAX_MESSAGE)}"
    except RecursionError:
        return "nested too deeply"
    outside = next(_outside(schema), None)
    return f"`{one_line(outside, _MAX_MESSAGE)}` refers to what is outside of the file" if outside else None


def _outside(schema: Any) -> Iterator[str]:
    """Yield the references that do not begin with `#`; where a part has an `$id`, they may mean that."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$id":
                return
            if key in ("$ref", "$dynamicRef") and isinstance(value, str) and not value.startswith("#"):
                yield value
            yield from _outside(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _outside(value)
