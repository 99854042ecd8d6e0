"""YAML bytes → plain data with a position for every key and value. Pure.

Built on the parser's events, not on its constructors: so duplicate keys are seen, tags make no objects, nesting and
aliases are counted before they cost anything. Words mean what they mean in YAML 1.2 (`yes` is a word, `1:30` too).
"""

from __future__ import annotations

import math
import re
from functools import cached_property
from typing import Any

import yaml

from runner.config.yamlwords import explain
from runner.values import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from runner.config.paths import Path

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
    """The one document of a file; `faults` says what is wrong, `data` holds what could be read all the same."""
    document = Document()
    try:
        document.text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        document.faults.append(Fault(*place(before, len(before)), "is not UTF-8"))
        return document
    found = _UNPRINTABLE.search(document.text)
    if found:
        code = f"U+{ord(found[0]):04X}"
        where = place(document.text, found.start())
        document.faults.append(Fault(*where, f"the control character {code} is not allowed"))
        return document
    try:
        _Composer(document).run()
    except _StopError as stop:
        document.faults.append(stop.fault)
    except yaml.MarkedYAMLError as error:
        document.faults.append(Fault(*explain(error, document.text)))
    return document


def place(text: str, offset: int) -> Place:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


class _StopError(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass
class _Open:
    """A collection that is not closed yet. `key` is None while a mapping waits for its next key."""

    path: Path
    value: Any
    anchor: str | None
    begun_at: int
    key: str | None = None
    merged: list[tuple[Any, Place]] = field(default_factory=list)


class _Composer:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.count = 0

    def run(self) -> None:
        documents = 0
        for event in self._events():
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(event, "a second document begins here, expected one document a file")
            elif isinstance(event, yaml.NodeEvent):
                self._node(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()

    def _events(self) -> Iterator[Any]:
        events: Iterator[Any] = yaml.parse(self.document.text, Loader=_LOADER)
        return events

    def _node(self, event: Any) -> None:
        top = self.stack[-1] if self.stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._begin_pair(top, event)
            return
        path = self._path(top)
        # A key without a value has no place of its own for it.
        empty = isinstance(event, yaml.ScalarEvent) and not event.value and event.style in (None, "")
        at = self.document.keys.get(path, _place(event)) if empty else _place(event)
        self.document.values[path] = at
        if isinstance(event, yaml.AliasEvent):
            self._put(top, self._alias(event), at)
            return
        self._spend(1, event)
        self._check_tag(event, path)
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
            if event.anchor:
                self.anchors[event.anchor] = (value, 1)
            self._put(top, value, at)
        else:
            if len(self.stack) >= MAX_DEPTH:
                self._stop(event, f"is nested more than {MAX_DEPTH} levels deep")
            opened: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            self.stack.append(_Open(path, opened, event.anchor, self.count))

    def _path(self, top: _Open | None) -> Path:
        if top is None:
            return ()
        return (*top.path, len(top.value) if isinstance(top.value, list) else top.key or "")

    def _begin_pair(self, top: _Open, event: Any) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            self._stop(event, *self._no_key(event))
        self._spend(1, event)
        key = event.value
        path = (*top.path, key)
        if key in top.value and path in self.document.keys:
            first = self.document.keys[path][0]
            self._fault(event, f"duplicate key, first set at line {first}", path)
        self.document.keys[path] = _place(event)
        top.key = key

    def _no_key(self, event: Any) -> tuple[str, str]:
        rest = self.document.lines[event.start_mark.line][max(0, event.start_mark.column - 1) :]
        if rest.startswith("{{"):
            return "a template without quotes", 'write "{{ name }}"'
        return "expected a word as key", "quote a key that begins with `{`, `[`, `*` or `?`"

    def _alias(self, event: Any) -> Any:
        if event.anchor not in self.anchors:
            self._stop(event, f"unknown alias `*{event.anchor}`", "an anchor stands before its aliases")
        value, size = self.anchors[event.anchor]
        self._spend(size, event)
        return value

    def _close(self) -> None:
        closed = self.stack.pop()
        for pairs, at in closed.merged:
            self._merge(closed, pairs, at)
        if closed.anchor:
            self.anchors[closed.anchor] = (closed.value, self.count - closed.begun_at + 1)
        self._put(self.stack[-1] if self.stack else None, closed.value, self.document.values[closed.path])

    def _put(self, top: _Open | None, value: Any, at: Place) -> None:
        if top is None:
            self.document.data = value
        elif isinstance(top.value, list):
            top.value.append(value)
        else:
            assert top.key is not None
            if top.key == "<<" and isinstance(value, dict | list):
                top.merged.append((value, at))
                del self.document.keys[(*top.path, "<<")]
            else:
                top.value[top.key] = value
            top.key = None

    def _merge(self, closed: _Open, pairs: Any, at: Place) -> None:
        """`<<: *base` and `<<: [*one, *two]`: keys that are not there yet."""
        for mapping in pairs if isinstance(pairs, list) else [pairs]:
            if not isinstance(mapping, dict):
                self.document.faults.append(
                    Fault(*at, "expected a mapping or a list of mappings", (*closed.path, "<<"))
                )
                continue
            for key, value in mapping.items():
                if key not in closed.value:
                    closed.value[key] = value
                    self.document.keys[(*closed.path, key)] = self.document.values[(*closed.path, key)] = at

    def _check_tag(self, event: Any, path: Path) -> None:
        tag = event.tag
        if tag is None or (isinstance(event, yaml.ScalarEvent) and tag in _STRING_TAGS):
            return
        kind = "mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence"
        if isinstance(event, yaml.ScalarEvent) or _KIND_TAGS.get(tag) != kind:
            name = tag.replace("tag:yaml.org,2002:", "!!")
            self._fault(event, f"the tag `{name[:60]}` is not allowed", path)

    def _spend(self, size: int, event: Any) -> None:
        self.count += size
        if self.count > MAX_VALUES:
            self._stop(event, f"more than {MAX_VALUES:,} values, aliases counted as what they stand for")

    def _fault(self, event: Any, message: str, path: Path = (), hint: str | None = None) -> None:
        self.document.faults.append(Fault(*_place(event), message, path, hint))

    def _stop(self, event: Any, message: str, hint: str | None = None) -> None:
        raise _StopError(Fault(*_place(event), message, (), hint))


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
