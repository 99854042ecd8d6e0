"""Sources → merged configuration, with everything that is wrong in it. The cold path: brings in yaml."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from runner.config.display import Path, listed, near, show_file, show_path
from runner.config.mend import mended, without_echoes
from runner.config.merge import BUILT_IN_PARSER, Layer, Merged, TooLargeError, merge
from runner.config.normalise import normalise
from runner.config.positions import Positions, problem
from runner.config.project import Source
from runner.config.schema import check_data, schema_of
from runner.config.templates import texts_below
from runner.config.yaml_reader import Document, Fault, parse
from runner.errors import Problem
from runner.model import JsonObject
from runner.parsers import RuleError, compile_parser
from runner.text import position
from runner.units import parse_duration

MAX_PROBLEMS = 100
MAX_EXPRESSIONS = 64 * 1024
_MAX_LISTED = 8
_LIMITS = ("timeout", "first_output", "idle_timeout")
_FREE_TEXTS = ("stdin", "files", "description", "nothing_to_do", "deep")
_TAG = re.compile(r"\{[{%][^}]{,1000}")
REQUIRED = {
    "agents": ("binary", "argv", "parser"),
    "tasks": ("prompt",),
    "sandboxes": ("argv",),
    "parsers": ("format",),
}


def build_checked(sources: Sequence[Source], project_root: str) -> tuple[JsonObject, list[Problem]]:
    """Return the merged sections and, in order, every problem that a run must not start with."""
    merged, problems = build(sources, project_root)
    if merged.sections:
        more = list(islice(_reference_problems(merged), MAX_PROBLEMS + 1))
        problems += without_echoes(problems, more) if problems else more
    return merged.sections, in_order(problems, [show_file(source.path) for source in sources])


def build(sources: Sequence[Source], project_root: str) -> tuple[Merged, list[Problem]]:
    """Return the merged sections and every problem and warning of syntax, schema and inheritance.

    With errors the sections are what is left without what is wrong; none where that says nothing about the rest.
    """
    layers, problems = [], []
    for source in sources:
        document = parse(source.data)
        unreadable = document.faults or _size_faults(document)
        faults = unreadable or _shape_faults(source, document)
        problems += [problem(source, fault) for fault in faults]
        if document.data is None and not faults:
            problems.append(problem(source, Fault(0, 0, "is empty"), "warning"))
        data = (document.data or {}) if not faults else None
        if faults and not unreadable and len(faults) <= MAX_PROBLEMS:
            data = mended(source.kind, document, faults)
        if data is not None:
            logs_base = project_root if source.stock else source.folder
            layers.append(Layer(source, document, normalise(source.kind, data, source.folder, logs_base)))
        elif source.kind == "agents":
            return Merged(), [*problems, *_rest(sources, source)]
    try:
        merged = merge(layers)
    except TooLargeError as error:
        return Merged(), [*problems, problem(sources[-1], Fault(0, 0, str(error)))]
    problems += [problem(layer.source, fault) for fault, layer in merged.faults.items()]
    return merged, problems


def _rest(sources: Sequence[Source], broken: Source) -> list[Problem]:
    """Return what is wrong by itself in the files after one that cannot be used: what they say of it is not known."""
    found = []
    for source in sources[sources.index(broken) + 1 :]:
        document = parse(source.data)
        faults = document.faults or _size_faults(document) or _shape_faults(source, document)
        found += [problem(source, fault) for fault in faults]
    return found


def positions(sources: Sequence[Source], project_root: str) -> Positions:
    return Positions(build(sources, project_root)[0])


def _size_faults(document: Document) -> list[Fault]:
    """Refuse a file full of expressions, which would take long to check."""
    size = 0
    for tag in _TAG.finditer(document.text):
        size += tag.end() - tag.start()
        if size > MAX_EXPRESSIONS:
            where = position(document.text, tag.start())
            return [Fault(*where, f"more than {MAX_EXPRESSIONS:,} characters of template expressions in one file")]
    return []


def _shape_faults(source: Source, document: Document) -> list[Fault]:
    if document.data is None:
        return []
    return list(islice(check_data(document, schema_of(source.kind)), MAX_PROBLEMS + 1))


def in_order(problems: Iterable[Problem], files: Sequence[str]) -> list[Problem]:
    """Sort by file in the order of `files`, then by place; the first MAX_PROBLEMS, the rest counted as one."""
    unique: dict[tuple[object, ...], Problem] = {}
    for found in problems:  # a fault that several entries inherit is one fault
        unique.setdefault((found.file, found.line, found.column, found.message), found)
    rank = {file: at for at, file in enumerate(files)}
    ordered = sorted(unique.values(), key=lambda found: (rank.get(found.file, len(rank)), *_order(found)))
    if len(ordered) > MAX_PROBLEMS:
        last = ordered[MAX_PROBLEMS]
        ordered = [
            *ordered[:MAX_PROBLEMS],
            Problem(last.file, last.line, last.column, "more problems follow, not shown"),
        ]
    return ordered


def _order(found: Problem) -> tuple[str, int, int]:
    return found.file, found.line, found.column


def _reference_problems(merged: Merged) -> Iterator[Problem]:
    """Check what an entry must have after inheritance, and what it says of other entries."""
    positions = Positions(merged)
    return chain(
        _missing(merged, positions),
        _unknown(merged, positions, "parser", "parsers"),
        _unknown(merged, positions, "sandbox", "sandboxes"),
        _rules(merged, positions),
        _patterns(merged, positions),
        _prompts(merged, positions),
        _impossible(merged, positions),
    )


def _missing(merged: Merged, positions: Positions) -> Iterator[Problem]:
    for section, required in REQUIRED.items():
        for name, entry in merged.sections[section].items():
            for key in required:
                if key not in entry and (section, name) not in merged.broken:
                    path: Path = (section, name)
                    yield Problem(*positions.origin(path), f"missing key `{key}`", show_path(path))


def _unknown(merged: Merged, positions: Positions, key: str, section: str) -> Iterator[Problem]:
    known = merged.sections[section]
    for name, entry in merged.sections["agents"].items():
        wanted = entry.get(key)
        if isinstance(wanted, str) and wanted not in known:
            path: Path = ("agents", name, key)
            few = 0 < len(known) <= _MAX_LISTED
            hint = near(wanted, known) or (f"known: {listed(sorted(known), 'and')}" if few else None)
            yield Problem(*positions.locate(path), f"unknown {key} `{wanted}`", show_path(path), hint)


def _rules(merged: Merged, positions: Positions) -> Iterator[Problem]:
    origin = merged.origins.get(("parsers", BUILT_IN_PARSER))
    if origin is not None and not origin.layer.source.stock:
        path: Path = ("parsers", BUILT_IN_PARSER)
        yield Problem(*positions.origin(path), "the built-in parser cannot be replaced", show_path(path), "rename it")
    for name, rules in merged.sections["parsers"].items():
        try:
            if "format" in rules:
                compile_parser(rules, strict=True)
        except RuleError as error:
            for trail, message in error.problems:
                path = ("parsers", name, *trail)
                place = positions.origin(path) if message.startswith("unknown key") else positions.locate(path)
                yield Problem(*place, message, show_path(positions.spelled(path)))


def _patterns(merged: Merged, positions: Positions) -> Iterator[Problem]:
    for name, task in merged.sections["tasks"].items():
        try:
            re.compile(task.get("nothing_to_do", ""))
        except (re.error, OverflowError, RecursionError) as error:
            path: Path = ("tasks", name, "nothing_to_do")
            place = positions.inside(path, 1, (getattr(error, "colno", None) or 1))
            yield Problem(*place, f"is not a regular expression: {error}", show_path(path))


def _impossible(merged: Merged, positions: Positions) -> Iterator[Problem]:
    """Refuse values with which every run would fail: a limit that is over at once, a NUL in what a program is given."""
    for section in ("agents", "tasks", "sandboxes"):
        for name, entry in merged.sections[section].items():
            path: Path = (section, name)
            for key in _LIMITS:
                if key in entry and parse_duration(entry[key]) == 0:
                    here = (*path, key)
                    place = positions.locate(here)
                    yield Problem(*place, "would end every run at once", show_path(here), "write `none` for no limit")
            given = {key: value for key, value in entry.items() if key not in _FREE_TEXTS}
            for here, text in texts_below(given, path):
                if "\0" in text:
                    yield Problem(
                        *positions.locate(here), "holds a NUL, which no program can be given", show_path(here)
                    )


def _prompts(merged: Merged, positions: Positions) -> Iterator[Problem]:
    """Check that a prompt stays below its file's folder by name; links are followed when it is read."""
    for name, task in merged.sections["tasks"].items():
        path: Path = ("tasks", name, "prompt")
        if "prompt" in task:
            folder = merged.origins[path].layer.source.folder
            if os.path.commonpath((task["prompt"], folder)) != folder:
                message = "lies outside the folder of this file"
                yield Problem(*positions.locate(path), message, show_path(path), "move the prompt below it")
