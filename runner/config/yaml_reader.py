"""YAML bytes → plain data with a position for every key and value. Pure.

Built on the parser's events, not on its nodes or constructors: so duplicate keys are seen, an alias keeps its place,
tags make no objects, nesting and aliases are counted before they cost anything, and what is wrong first is said first.
Words mean what they mean in YAML 1.2 (`yes` is a word, `1:30` too).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import Any, NoReturn, TypeAlias

import yaml

from runner.config.display import Path
from runner.config.yaml_errors import explain
from runner.text import position
from runner.values import dataclass, field

Place: TypeAlias = tuple[int, int]

MAX_DEPTH = 64
MAX_VALUES = 20_000
_STRING_TAGS = ("!", "tag:yaml.org,2002:str")
_KIND_TAGS = {"tag:yaml.org,2002:map": "mapping", "tag:yaml.org,2002:seq": "sequence"}
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# The C parser is many times faster; both give the same events.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Fault:
    """What is wrong in a file's text; line and column count from 1."""

    line: int
    column: int
    message: str
    path: Path = ()
    hint: str | None = None


@dataclass
class Document:
    """A file's data, and for each path the place of its key and of its value."""

    text: str = ""
    data: Any = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @cached_property
    def lines(self) -> list[str]:
        return self.text.split("\n")


def parse(data: bytes) -> Document:
    """Read the one document of a file; `faults` says what is wrong, `data` holds what could be read all the same."""
    document = Document()
    try:
        document.text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        document.faults.append(Fault(*position(before, len(before)), "is not UTF-8"))
        return document
    found = _UNPRINTABLE.search(document.text)
    if found:
        code = f"U+{ord(found[0]):04X}"
        where = position(document.text, found.start())
        document.faults.append(Fault(*where, f"the control character {code} is not allowed"))
        return document
    try:
        _Reader(document).read()
    except _StopError as stop:
        document.faults.append(stop.fault)
    except yaml.MarkedYAMLError as error:
        document.faults.append(Fault(*explain(error, document.text)))
    return document


class _StopError(Exception):
    def __init__(self, place: Place, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.fault = Fault(*place, message, (), hint)


class _Reader:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.count = 0
        self.events = self._events()

    def _events(self) -> Iterator[Any]:
        """Yield the parser's events. It looks ahead, and may refuse deep nesting before it gives the event."""
        events: Iterator[Any] = yaml.parse(self.document.text, Loader=_LOADER)
        depth = read = 0
        try:
            for event in events:
                depth += isinstance(event, yaml.CollectionStartEvent)
                depth -= isinstance(event, yaml.CollectionEndEvent)
                yield event
                read = event.end_mark.index
        except yaml.MarkedYAMLError as error:
            if "nesting depth" not in (error.problem or ""):
                raise
            brackets = re.compile(r"[\[{]").finditer(self.document.text, read)
            opened = next(islice(brackets, MAX_DEPTH - depth, None), None)
            self._too_deep(position(self.document.text, opened.start() if opened else read))

    def read(self) -> None:
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _StopError(_place(event), "a second document begins here, expected one document a file")
            elif isinstance(event, yaml.NodeEvent):
                self.document.data = self._value(event, ())

    def _value(self, event: Any, path: Path) -> Any:
        # A key without a value has no place of its own for it.
        empty = isinstance(event, yaml.ScalarEvent) and not event.value and event.style in (None, "")
        self.document.values[path] = self.document.keys.get(path, _place(event)) if empty else _place(event)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        counted = self.count
        self._spend(1, event)
        self._check_tag(event, path)
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        elif len(path) >= MAX_DEPTH:
            self._too_deep(_place(event))
        else:
            value = self._mapping(path) if isinstance(event, yaml.MappingStartEvent) else self._list(path)
        if event.anchor:
            self.anchors[event.anchor] = (value, self.count - counted)
        return value

    def _list(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: Path) -> dict[str, Any]:
        pairs: dict[str, Any] = {}
        merged = []
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            here = (*path, self._key(event, path, pairs))
            value = self._value(next(self.events), here)
            if event.value == "<<" and isinstance(value, dict | list):
                merged.append((value, self.document.values[here]))
                del self.document.keys[here]
            else:
                pairs[event.value] = value
        for value, place in merged:
            self._merge(pairs, path, value, place)
        return pairs

    def _key(self, event: Any, path: Path, pairs: dict[str, Any]) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise _StopError(_place(event), *self._no_key(event))
        self._spend(1, event)
        key: str = event.value
        here = (*path, key)
        if key in pairs and here in self.document.keys:
            first = self.document.keys[here][0]
            self.document.faults.append(Fault(*_place(event), f"duplicate key, first set at line {first}", here))
        self.document.keys[here] = _place(event)
        return key

    def _no_key(self, event: Any) -> tuple[str, str]:
        rest = self.document.lines[event.start_mark.line][max(0, event.start_mark.column - 1) :]
        if rest.startswith("{{"):
            return "a template without quotes", 'write "{{ name }}"'
        return "expected a word as key", "quote a key that begins with `{`, `[`, `*` or `?`"

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self.anchors:
            message = f"unknown alias `*{event.anchor}`"
            raise _StopError(_place(event), message, "an anchor stands before its aliases")
        value, size = self.anchors[event.anchor]
        self._spend(size, event)
        return value

    def _merge(self, pairs: dict[str, Any], path: Path, given: Any, place: Place) -> None:
        """Add what `<<: *base` or `<<: [*one, *two]` brings: the keys that are not there yet."""
        for mapping in given if isinstance(given, list) else [given]:
            if not isinstance(mapping, dict):
                message = "expected a mapping or a list of mappings"
                self.document.faults.append(Fault(*place, message, (*path, "<<")))
                continue
            for key in mapping.keys() - pairs.keys():
                self.document.keys[(*path, key)] = self.document.values[(*path, key)] = place
            for key, value in mapping.items():
                pairs.setdefault(key, value)

    def _check_tag(self, event: Any, path: Path) -> None:
        tag = event.tag
        if tag is None or (isinstance(event, yaml.ScalarEvent) and tag in _STRING_TAGS):
            return
        kind = "mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence"
        if isinstance(event, yaml.ScalarEvent) or _KIND_TAGS.get(tag) != kind:
            name = tag.replace("tag:yaml.org,2002:", "!!")
            self.document.faults.append(Fault(*_place(event), f"the tag `{name[:60]}` is not allowed", path))

    def _spend(self, size: int, event: Any) -> None:
        self.count += size
        if self.count > MAX_VALUES:
            message = f"more than {MAX_VALUES:,} values, aliases counted as what they stand for"
            raise _StopError(_place(event), message)

    def _too_deep(self, place: Place) -> NoReturn:
        raise _StopError(place, f"is nested more than {MAX_DEPTH} levels deep")


def _place(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _scalar(event: Any) -> str | int | float | bool | None:
    text: str = event.value
    if event.style not in (None, "") or event.tag is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text
