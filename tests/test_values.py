"""Our value types do what the standard ones do, as far as they are used."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from runner import values


def _classes(module: Any) -> tuple[type, type]:
    @module.dataclass(frozen=True)
    class Inner:
        number: int
        text: str | None = None

    @module.dataclass(frozen=True)
    class Outer:
        name: str
        inner: Inner = Inner(1)
        many: tuple[Inner, ...] = ()
        data: dict[str, int] = module.field(default_factory=dict)

        @property
        def loud(self) -> str:
            return self.name.upper()

    return Inner, Outer


def _plain(text: str) -> str:
    return text.replace("_classes.<locals>.", "")


CALLS = {
    "positions": lambda inner, outer: outer("a", inner(2, "b"), (inner(3),), {"k": 1}),
    "words": lambda inner, outer: outer(data={"k": 1}, name="a"),
    "both": lambda inner, outer: outer("a", many=(inner(1), inner(2, text="c"))),
    "defaults": lambda _inner, outer: outer("a"),
    "one missing": lambda _inner, outer: outer(),
    "one too many": lambda inner, outer: outer("a", inner(1), (), {}, 5),
    "one unknown": lambda _inner, outer: outer("a", colour="red"),
    "one twice": lambda _inner, outer: outer("a", name="b"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_as_the_standard_ones(call: Any) -> None:
    found = []
    for module in (dataclasses, values):
        inner, outer = _classes(module)
        try:
            value = call(inner, outer)
        except TypeError:
            found.append("TypeError")
            continue
        again = module.replace(value, name="other")
        found.append(
            (_plain(repr(value)), module.asdict(value), value == call(inner, outer), value == again, again.loud)
        )
    assert found[0] == found[1]


@pytest.mark.parametrize("module", [dataclasses, values])
def test_frozen_equal_and_hashed(module: Any) -> None:
    inner, outer = _classes(module)
    value = inner(1)
    for change in (lambda: setattr(value, "number", 2), lambda: delattr(value, "number")):
        with pytest.raises(AttributeError):
            change()
    assert len({inner(1), inner(1), inner(2)}) == 2
    assert inner(1) != outer("a") and outer("a").data is not outer("a").data
    match value:
        case inner(number, text):
            assert (number, text) == (1, None)


@pytest.mark.parametrize("module", [dataclasses, values])
def test_one_that_changes(module: Any) -> None:
    @module.dataclass
    class Counter:
        number: int = 0

    counter = Counter()
    counter.number += 1
    assert counter == Counter(1)
    with pytest.raises(TypeError, match="unhashable"):
        hash(counter)
