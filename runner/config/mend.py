"""A file's data without what its schema refused, so that all else in it can be checked in the same pass. Pure.

Nothing runs with mended data. What is taken out is as small as possible and leaves a trace where the rest would seem
wrong without it: a rule becomes None, an option keeps its name, a required key has a value that says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from runner.config.display import Path
from runner.config.schema import check_data, schema_of
from runner.config.yaml_reader import Document, Fault
from runner.errors import Problem
from runner.model import JsonObject
from runner.values import replace

NOTHING: dict[str, dict[str, Any]] = {
    "agents": {"binary": "unknown", "argv": [], "parser": "text"},
    "tasks": {"prompt": "unknown"},
    "parsers": {"format": "jsonl"},
    "sandboxes": {"argv": []},
}
"""What stands for a required key that is not there, or refused."""
_RULES = ("success", "failure", "errors", "watch", "needles", "strip", "quiet")


def mended(kind: str, document: Document, faults: Sequence[Fault]) -> JsonObject | None:
    """Return the data that is left; None where nothing sensible is."""
    data: JsonObject | None = deepcopy(document.data) if isinstance(document.data, dict) else None
    for fault in faults:
        if data is None or not fault.path or (len(fault.path) == 1 and fault.path[0] in NOTHING):
            return None
        _take_out(data, fault.path)
    # A fault can hide another below it: then there is no telling what is left.
    clean = None if data is None else replace(document, data=_without_gaps(data))
    return None if clean is None or any(check_data(clean, schema_of(kind))) else data


def complete(sections: dict[str, JsonObject]) -> dict[str, JsonObject]:
    """Fill in what entries lack or name in vain; that has been told."""
    filled = {
        **sections,
        **{
            section: {name: entry if section == "tasks" else {**given, **entry} for name, entry in entries.items()}
            for section, given in NOTHING.items()
            for entries in (sections[section],)
        },
    }
    for name, agent in filled["agents"].items():
        if "argv" not in sections["agents"][name]:
            agent.setdefault("stdin", "{{ prompt }}")  # its argv could have named it
        if agent["parser"] not in filled["parsers"]:
            agent["parser"] = "text"
        if agent.get("sandbox") not in filled["sandboxes"]:
            agent["sandbox"] = None
    return filled


def without_echoes(told: Sequence[Problem], more: Sequence[Problem]) -> list[Problem]:
    """Leave out of `more` what only follows from an error that was told."""
    errors = [problem for problem in told if problem.severity == "error"]
    places = {(problem.file, problem.line, problem.column) for problem in errors}
    entries = {".".join(problem.path.split(".")[:2]) for problem in errors}
    orphans = tuple(
        f"{problem.path.removesuffix('extends')}" for problem in errors if problem.path.endswith(".extends")
    )
    return [
        problem
        for problem in more
        if (problem.file, problem.line, problem.column) not in places
        and not (problem.severity != "error" and problem.path in entries)
        and not (orphans and problem.path.startswith(orphans))
    ]


def _take_out(data: JsonObject, path: Path) -> None:
    section, *rest = map(str, path[:2])
    if section not in NOTHING or not rest:
        _drop(data, path)
        return
    entries, name = data.get(section) or {}, rest[0]
    entry = entries.get(name)
    if len(path) == 2 or not isinstance(entry, dict):
        entries[name] = dict(NOTHING[section])
        return
    key = path[2]
    if section == "parsers" and key in (*_RULES, "fields") and isinstance(entry.get(key), dict | list):
        _take_out_rule(entry, path[2:])
    elif section == "agents" and key == "options" and len(path) > 3 and isinstance(entry.get(key), dict):
        entry[key][path[3]] = ""
    elif section == "agents" and key == "env":
        _drop(data, path)
        entry["env"] = {**entry.get("env", {}), "pass": "*"}
    elif section == "agents" and key == "argv" and len(path) > 3 and len(entry.get(key, "")) > int(path[3]):
        entry["argv"][path[3]] = ""
    elif key in NOTHING[section]:
        entry[key] = NOTHING[section][str(key)]
    else:
        _drop(data, path)
        if len(path) == 3 and "extends" not in entry:  # perhaps a required key in other words
            entries[name] = {**NOTHING[section], **entry}


def _take_out_rule(entry: JsonObject, path: Path) -> None:
    """Put None for the rule that a path leads into; for all of a key, where it leads to no rule."""
    holder, steps = (entry["fields"], path[1:]) if path[0] == "fields" else (entry, path)
    if not steps:
        entry.pop("fields")
        return
    key, at = str(steps[0]), steps[1] if len(steps) > 1 else None
    if isinstance(at, int) and isinstance(holder.get(key), list):
        holder[key][at] = None
    else:
        holder[key] = [None]


def _drop(data: Any, path: Path) -> None:
    """Take out what a path leads to; of a list, the whole list."""
    for at, step in enumerate(path):
        inner = data.get(step) if isinstance(data, dict) else None
        if at + 1 == len(path) or not isinstance(inner, dict):
            data.pop(step, None)
            return
        data = inner


def _without_gaps(data: JsonObject) -> JsonObject:
    """Return the data as its schema can have it: without the rules that are None."""
    parsers = {name: dict(_closed(parser)) for name, parser in (data.get("parsers") or {}).items()}
    return {**data, **({"parsers": parsers} if parsers else {})}


def _closed(parser: JsonObject) -> Iterator[tuple[str, Any]]:
    for key, value in parser.items():
        inner = dict(_closed(value)) if key == "fields" else value
        found = [item for item in inner if item is not None] if isinstance(inner, list) else inner
        if found or found == inner:
            yield key, found
