"""What docs/ must name: each key and fixed value of each schema, each reason, each exit code, each command and option."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from runner import errors
from runner.reasons import REASONS, SUCCESS
from tests.docs.pages import PAGES, code_spans, help_of, named
from tests.helpers import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

# The pages on which a schema's words must stand; of what commands print as JSON it is docs/json.md.
YAML_PAGES = {
    "agents": ("agents", "parsers", "sandboxes", "budgets"),
    "tasks": ("tasks", "verify", "schedules", "messages", "operations", "budgets"),
    "metadata": ("files",),
}
SCHEMAS = {path.name.removesuffix(".schema.json"): json.loads(path.read_text()) for path in ROOT.glob("schema/*.json")}
FILES = PAGES["docs/files.md"]
# `internal` is what a run ends with whatever its reason says; these are no run's.
OTHER_CODES = {errors.EXIT_USAGE, errors.EXIT_CONFIG, errors.EXIT_INTERNAL, errors.EXIT_IO, errors.EXIT_PIPE}
OTHER_CODES |= {128 + 1, 128 + 2, 128 + 15}


def keys(schema: Any) -> Iterator[str]:
    """Every name under a `properties`, wherever it stands, and the beginnings that `patternProperties` allows."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        yield from (
            pattern[1:] for pattern in schema.get("patternProperties", {}) if re.fullmatch(r"\^[\w-]+", pattern)
        )
        for inner in schema.values():
            yield from keys(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from keys(inner)


def values(schema: Any) -> Iterator[str]:
    """Every text of an `enum` or a `const`."""
    if isinstance(schema, dict):
        allowed = [*schema.get("enum", ()), schema.get("const")]
        yield from (value for value in allowed if isinstance(value, str))
        for inner in schema.values():
            yield from values(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from values(inner)


def pages_of(name: str) -> set[str]:
    return {word for page in YAML_PAGES.get(name, ("json",)) for word in named(PAGES[f"docs/{page}.md"])}


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_key_and_value_of_a_schema(name: str) -> None:
    schema = SCHEMAS[name]
    wanted = dict.fromkeys([*keys(schema), *values(schema)])
    assert [word for word in wanted if word not in pages_of(name)] == []


def test_a_key_that_is_not_named_is_found() -> None:
    schema = {"properties": {"binary": {}, "nonsense": {"enum": ["jsonl", "nowhere"]}}, "$defs": {"x": {"const": "no"}}}
    wanted = [*keys(schema), *values(schema)]
    assert [word for word in wanted if word not in pages_of("agents")] == ["nonsense", "nowhere", "no"]


@pytest.mark.parametrize("name", sorted(set(SCHEMAS) - set(YAML_PAGES)))
def test_every_schema_of_json_has_its_section(name: str) -> None:
    assert f"`runner schema {name}`" in PAGES["docs/json.md"]


@pytest.mark.parametrize("reason", [None, *REASONS])
def test_every_reason_has_its_row(reason: str | None) -> None:
    """With its status, its exit code, and who else may try."""
    row = SUCCESS if reason is None else REASONS[reason]
    name = "–" if reason is None else f"`{reason}`"
    found = re.search(rf"^\| {re.escape(name)} \| `(\w+)` \| ([^|]+) \| (\d|–) \| (yes|) ?\|", FILES, re.MULTILINE)
    assert found, f"no row for {name} in docs/files.md"
    codes = "129, 130, 143" if reason == "interrupted" else "–" if row.exit_code is None else str(row.exit_code)
    priority = str(row.priority) if row.priority else "–"
    assert found.groups() == (row.status, codes, priority, "yes" if row.next_agent_helps else "")


def test_every_exit_code() -> None:
    wanted = {row.exit_code for row in REASONS.values() if row.exit_code is not None} | OTHER_CODES
    section = FILES.partition("## Exit codes")[2].partition("\n## ")[0]
    told = {int(code) for first in re.findall(r"^\| ([\d, ]+) \|", section, re.MULTILINE) for code in first.split(",")}
    assert told == wanted


INDEX = PAGES["docs/README.md"]
ROWS = re.findall(r"^\| `runner ([a-z ]+?)(?: [^a-z`][^`]*)?` .*\| \[\w+\]\((\w+\.md)\) \|$", INDEX, re.MULTILINE)


def subcommands(*group: str) -> list[str]:
    listed = help_of(*group).partition("Commands:\n")[2]
    return [" ".join((*group, name)) for name in re.findall(r"^  ([a-z]+) ", listed, re.MULTILINE)]


def test_every_command_has_its_row() -> None:
    """In the table of docs/README.md; a group that is no command itself has those of its commands."""
    known = {command for command, _ in ROWS}
    groups = sorted({command.split()[0] for command in known if " " in command})
    wanted = [*subcommands(), *(command for group in groups for command in subcommands(group))]
    assert [command for command in wanted if command not in {*known, *groups}] == []


@pytest.mark.parametrize(("command", "page"), ROWS)
def test_every_option_is_named_on_the_page_of_its_command(command: str, page: str) -> None:
    options = set(re.findall(r"^  (--?[a-z][a-z-]*)", help_of(*command.split()), re.MULTILINE)) - {"-h"}
    told = " ".join([*code_spans(PAGES[f"docs/{page}"]), *code_spans(INDEX)])
    assert [option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", told)] == []
