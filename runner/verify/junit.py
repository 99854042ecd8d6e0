"""The failed tests of a JUnit report. What an agent's tests wrote is hostile: no entities, and bounded."""

from __future__ import annotations

from xml.parsers import expat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

MAX_REPORT = 16 << 20
_MAX_FAILURES = 10_000


class _RefusedError(Exception):
    pass


def failures_in(report: bytes) -> frozenset[str] | None:
    """`class.name` of each test case with a failure or an error; None when it is no such report."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(report[:MAX_REPORT], True)
    except (expat.ExpatError, _RefusedError, ValueError):
        return None
    return frozenset(reader.failures) if reader.is_junit else None


def _refuse(*_: object) -> NoReturn:
    raise _RefusedError


class _Reader:
    def __init__(self) -> None:
        self.failures: set[str] = set()
        self.is_junit = False
        self._case = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in ("testsuite", "testsuites"):
            self.is_junit = True
        elif name == "testcase":
            parts = (attributes.get("classname", ""), attributes.get("name", ""))
            self._case = ".".join(part for part in parts if part)[:300]
        elif name in ("failure", "error") and len(self.failures) < _MAX_FAILURES:
            self.failures.add(self._case)
