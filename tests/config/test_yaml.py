"""YAML to plain data with places; what is wrong is a fault with a place, whatever the bytes hold."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from runner.config import yaml_reader
from runner.config.yaml_reader import parse


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", None),
        ("# only a comment\n", None),
        ("a: 1\nb: -2\nc: 0.5\nd: 1e3\n", {"a": 1, "b": -2, "c": 0.5, "d": 1000.0}),
        ("a: true\nb: False\nc: null\nd: ~\ne:\n", {"a": True, "b": False, "c": None, "d": None, "e": None}),
        ("a: yes\nb: off\nc: 12:30\nd: 2026-01-01\n", {"a": "yes", "b": "off", "c": "12:30", "d": "2026-01-01"}),
        ("a: '1'\nb: \"true\"\nc: !!str 5\n", {"a": "1", "b": "true", "c": "5"}),
        ("75: x\ntrue: y\n", {"75": "x", "true": "y"}),
        ("a: 1_000\nb: 1e999\nc: " + "9" * 5000 + "\n", {"a": "1_000", "b": "1e999", "c": "9" * 5000}),
        ("a: &x {p: 1}\nb: *x\n", {"a": {"p": 1}, "b": {"p": 1}}),
        ("a: &x {p: 1, q: 1}\nb: {<<: *x, q: 2}\n", {"a": {"p": 1, "q": 1}, "b": {"q": 2, "p": 1}}),
        ("a: &x {p: 1}\nb: &y {q: 2}\nc: {<<: [*x, *y]}\n", {"a": {"p": 1}, "b": {"q": 2}, "c": {"p": 1, "q": 2}}),
        ("a: |\n  one\n  two\nb: >-\n  one\n  two\n", {"a": "one\ntwo\n", "b": "one two"}),
        ("\ufeffa: 1\r\n", {"a": 1}),
        ("- [1, [2]]\n- {a: []}\n", [[1, [2]], {"a": []}]),
    ],
)
def test_data(text: str, data: Any) -> None:
    document = parse(text.encode())

    assert document.data == data
    assert document.faults == []


def test_places() -> None:
    document = parse(b'agents:\n  kilo:\n    argv: [run, "-x"]\n    empty:\n')

    assert document.keys["agents",] == (1, 1)
    assert document.keys["agents", "kilo"] == (2, 3)
    assert document.values["agents", "kilo"] == (3, 5)
    assert document.values["agents", "kilo", "argv", 1] == (3, 17)
    assert document.values["agents", "kilo", "empty"] == (4, 5)


@pytest.mark.parametrize("loader", ["CSafeLoader", "SafeLoader"])
@pytest.mark.parametrize(
    ("data", "place", "message"),
    [
        (b"a: 1\na: 2\n", (2, 1), "duplicate key, first set at line 1"),
        (b"a: {b: 1, b: 2}\n", (1, 11), "duplicate key, first set at line 1"),
        (b"a: !!python/object/new:x [1]\n", (1, 4), "the tag `!!python/object/new:x` is not allowed"),
        (b"a: *x\n", (1, 4), "unknown alias `*x`"),
        (b"a: &a [*a]\n", (1, 8), "unknown alias `*a`"),
        (b"a: 1\n---\nb: 2\n", (2, 1), "a second document begins here, expected one document a file"),
        (b"[" * 500_000, (1, 65), "is nested more than 64 levels deep"),
        (b"a: 1\nb: [x, " + b"[" * 500_000, (2, 70), "is nested more than 64 levels deep"),
        (b"- " * 500_000, (1, 129), "is nested more than 64 levels deep"),
        (b"{" * 100, (1, 2), "a template without quotes"),
        (b"? [a]\n: b\n", (1, 3), "expected a word as key"),
        (b"a: \xff\n", (1, 4), "is not UTF-8"),
        (b"a: 1\nb: \x00\n", (2, 4), "the control character U+0000 is not allowed"),
        (b"\xef\xbb\xbfa: 1\na: 2\n", (2, 1), "duplicate key, first set at line 1"),
    ],
)
def test_faults(
    data: bytes, place: tuple[int, int], message: str, loader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parser in C and the one in Python agree."""
    monkeypatch.setattr(yaml_reader, "_LOADER", getattr(yaml, loader))

    fault = parse(data[:20_000] if loader == "SafeLoader" else data).faults[0]

    assert ((fault.line, fault.column), fault.message) == (place, message)


def test_aliases_count_as_what_they_stand_for() -> None:
    lines = ["x0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 9)]

    fault = parse("\n".join(lines).encode()).faults[0]

    assert fault.message.startswith("more than 20,000 values")


@given(st.binary(max_size=200) | st.text(alphabet="ab:-[]{}&*!|>'\"#% \n\t,?<", max_size=60).map(str.encode))
def test_nothing_raises(data: bytes) -> None:
    document = parse(data)

    for fault in document.faults:
        assert fault.line >= 1
        assert fault.column >= 1


TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(alphabet="abc -:'{}", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=10,
)


@given(TREES, st.booleans())
def test_what_yaml_writes_is_read_back(data: Any, flow: bool) -> None:
    text = yaml.safe_dump(data, default_flow_style=flow)

    assert parse(text.encode()).data == data
