"""Sources → merged configuration, with everything that is wrong in them. The cold path: brings in yaml."""

from __future__ import annotations

import re
from itertools import islice

from runner.config.merge import Layer, Merged, TooLargeError, merge
from runner.config.normalise import normalise
from runner.config.positions import Positions, problem
from runner.config.schema_check import check_data, schema_of
from runner.config.yamlfile import Fault, parse, place
from runner.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.config.snapshot import Source
    from runner.config.yamlfile import Document

MAX_PROBLEMS = 100
MAX_EXPRESSIONS = 64 * 1024
_TAG = re.compile(r"\{[{%][^}]{,1000}")


def build(sources: Sequence[Source], project_root: str) -> tuple[Merged, list[Problem]]:
    """The merged sections and every problem of syntax, schema and inheritance; the warnings have that severity."""
    layers, problems = [], []
    for source in sources:
        document = parse(source.data)
        faults = document.faults or _size_faults(document) or _shape_faults(source, document)
        problems += [problem(source, fault) for fault in faults]
        if document.data is None and not faults:
            problems.append(problem(source, Fault(0, 0, "is empty"), "warning"))
        if not faults:
            logs_base = project_root if source.stock else source.folder
            data = normalise(source.kind, document.data or {}, source.folder, logs_base)
            layers.append(Layer(source, document, data))
    if any(found.severity == "error" for found in problems):
        return Merged(), problems
    try:
        merged = merge(layers)
    except TooLargeError as error:
        return Merged(), [*problems, problem(sources[-1], Fault(0, 0, str(error)))]
    problems += [problem(layer.source, fault) for fault, layer in merged.faults.items()]
    return merged, problems


def _size_faults(document: Document) -> list[Fault]:
    """A file full of expressions would take long to check."""
    size = 0
    for tag in _TAG.finditer(document.text):
        size += tag.end() - tag.start()
        if size > MAX_EXPRESSIONS:
            where = place(document.text, tag.start())
            return [Fault(*where, f"more than {MAX_EXPRESSIONS:,} characters of template expressions in one file")]
    return []


def _shape_faults(source: Source, document: Document) -> list[Fault]:
    if document.data is None:
        return []
    return list(islice(check_data(document, schema_of(source.kind)), MAX_PROBLEMS + 1))


def positions(sources: Sequence[Source], project_root: str) -> Positions:
    return Positions(build(sources, project_root)[0])


def in_order(problems: Iterable[Problem], files: Sequence[str]) -> list[Problem]:
    """By file in the order of `files`, then by place; the first MAX_PROBLEMS, the rest counted as one."""
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
