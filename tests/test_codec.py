"""Values come back from JSON as they were, and what they did not write is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from runner.codec import DecodeError, from_json, to_json
from runner.model import JsonObject
from runner.values import dataclass, field


@dataclass(frozen=True)
class Inner:
    when: float
    label: str | None = None

    json_keys = (("label", "name"),)


@dataclass(frozen=True)
class Outer:
    text: str
    count: int = 0
    ready: bool = False
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    spans: tuple[tuple[float, float], ...] = ()
    data: JsonObject = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


FULL = Outer(
    "t", 3, True, Inner(1.5, "a"), (Inner(2.0),), ((1.0, 2.0), (3.0, 4.0)), {"any": [1, None]}, {"key": "value"}
)


@pytest.mark.parametrize("value", [FULL, Outer("t")])
def test_there_and_back(value: Outer) -> None:
    assert from_json(Outer, json.loads(json.dumps(to_json(value)))) == value


def test_keys_of_the_file() -> None:
    assert to_json(FULL)["inner"] == {"when": 1.5, "name": "a"}


def test_unknown_keys_are_ignored_and_whole_numbers_are_floats() -> None:
    assert from_json(Outer, {"text": "t", "later": 1, "inner": {"when": 7}}) == Outer("t", inner=Inner(7.0))


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (None, "Outer: expected an object"),
        ([], "Outer: expected an object"),
        ({}, "text"),
        ({"text": None}, "Outer.text: expected str"),
        ({"text": 1}, "Outer.text"),
        ({"text": "t", "count": True}, "Outer.count: expected int"),
        ({"text": "t", "count": 1.5}, "Outer.count"),
        ({"text": "t", "ready": 1}, "Outer.ready"),
        ({"text": "t", "inner": []}, "Inner: expected an object"),
        ({"text": "t", "inner": {"when": "soon"}}, "Inner.when: expected float"),
        ({"text": "t", "inner": {"when": 1, "name": 7}}, "Inner.name"),
        ({"text": "t", "many": {}}, "Outer.many"),
        ({"text": "t", "many": [None]}, "Inner: expected an object"),
        ({"text": "t", "spans": [[1]]}, "Outer.spans"),
        ({"text": "t", "spans": [[1, "2"]]}, "Outer.spans: expected float"),
        ({"text": "t", "data": []}, "Outer.data"),
        ({"text": "t", "labels": {"key": 1}}, "Outer.labels"),
    ],
)
def test_what_does_not_fit(data: Any, where: str) -> None:
    with pytest.raises(DecodeError, match=where):
        from_json(Outer, data)
