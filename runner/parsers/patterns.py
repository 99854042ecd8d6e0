"""Regular expressions of YAML over an agent's text: compiled at first use, and never without a limit of time.

A timer signal ends a match: `re` looks for signals every few thousand steps, and setting one costs microseconds (a
helper process would cost milliseconds, and a module with limits of its own is one more package). Only the main thread
gets signals; on others a forked copy does the work. What counts is time of the processor: a machine that does other
things too switches no rule off. Where the form of the pattern says that a text of this length
cannot take long, which is so for nearly all, there is no timer.
"""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Mapping
from math import inf

from runner.parsers.scalars import ends_of
from runner.process.apart import ApartError, apart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, TypeAlias, TypeVar

    T = TypeVar("T")
    Hit: TypeAlias = tuple[str, Mapping[str, str | None]]
else:
    Hit = tuple  # so that an import of it need not be hidden

LINE_SECONDS = 0.05
STREAM_SECONDS = 2.0
END_SECONDS = 1.0
MAX_PREFIX = 4096
"""Characters of a line that its prefix may have."""
_deadline = [inf]  # by the clock of the main thread
_FEW_STEPS = 100_000
_LOOK_AFTER = 20  # matches: a look at the form costs as much as that many timers
_MEMORY = 256 << 20
_REPEATS = frozenset(("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"))


class OutOfTime(Exception):  # noqa: N818  # what the text did to the pattern is no error of ours
    """The pattern took more than its budget."""


class Budget:
    """How many seconds of the processor patterns may take: all together, and each on one text."""

    def __init__(self, total: float, each: float | None = None) -> None:
        self._left = total
        self._each = total if each is None else each

    @property
    def seconds(self) -> float:
        return min(self._left, self._each)

    def spend(self, seconds: float) -> None:
        self._left -= seconds


class Pattern:
    """A pattern of the table; `^` and `$` match at each line. What takes longer than its budget raises OutOfTime."""

    __slots__ = ("_compiled", "_degree", "_used", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self._compiled: re.Pattern[str] | None = None
        self._degree: float | None = None
        self._used = 0

    @property
    def compiled(self) -> re.Pattern[str]:
        """The compiled expression. Raises re.error, OverflowError or RecursionError for a bad one."""
        if self._compiled is None:
            self._compiled = re.compile(self.source, re.MULTILINE)
        return self._compiled

    def hit(self, text: str, budget: Budget) -> Hit | None:
        """Return the group `value`, else the whole text, and the named groups."""
        return self._timed(self._hit, ends_of(text), budget)

    def values(self, text: str, budget: Budget) -> list[str]:
        """Return of every match the group `value`, else the first group, else the whole."""
        return self._timed(self._values, ends_of(text), budget)

    def starts(self, text: str, budget: Budget) -> list[int]:
        """Return where what each match shows begins: behind its white space."""
        return self._timed(self._starts, text, budget)

    @property
    def spans(self) -> bool:
        """Whether it speaks of line breaks."""
        return "\\n" in self.source or "\n" in self.source

    def hit_behind(self, text: str, start: int, budget: Budget) -> tuple[Hit, int] | None:
        """Return a match that ends behind `start`, with the lines that it stands on, and where these begin."""
        found = self._timed(lambda text: self._hit_behind(text, start), text, budget)
        return None if found is None else ((found[0], found[1]), found[2])

    def without_prefix(self, text: str, budget: Budget) -> str:
        """Remove what the pattern matches at the very beginning of `text`."""
        end = self._timed(self._end_at_start, text[:MAX_PREFIX], budget)
        return text[end:]

    def cleaned(self, text: str, budget: Budget) -> str:
        """Remove what the pattern matches in the first and last part of `text`."""
        part = ends_of(text)
        if len(part) >= len(text):
            return self._timed(self._without, text, budget)
        half = len(part) // 2
        first, last = (self._timed(self._without, end, budget) for end in (text[:half], text[-half:]))
        return first + text[half:-half] + last

    def _hit(self, text: str) -> Hit | None:
        match = self.compiled.search(text)
        if match is None:
            return None
        groups = match.groupdict()
        return groups.get("value") or text, groups

    def _hit_behind(self, text: str, start: int) -> tuple[str, Mapping[str, str | None], int] | None:
        for match in self.compiled.finditer(text):
            if match.end() > start:
                begin = text.rfind("\n", 0, match.start()) + 1
                groups = match.groupdict()
                return groups.get("value") or text[begin:], groups, begin
        return None

    def _end_at_start(self, text: str) -> int:
        match = self.compiled.match(text)
        return match.end() if match else 0

    def _values(self, text: str) -> list[str]:
        return [_matched_value(match) for match in self.compiled.finditer(text)]

    def _starts(self, text: str) -> list[int]:
        found = ((match.start(), match[0]) for match in self.compiled.finditer(text))
        return [start + len(shown) - len(shown.lstrip()) for start, shown in found]

    def _without(self, text: str) -> str:
        return self.compiled.sub("", text)

    def _is_quick(self, length: int) -> bool:
        self._used += 1
        if self._used == _LOOK_AFTER or (self._used == 1 and not set("*+{") & set(self.source)):
            self._degree = _degree(_parsed(self.source))
        return self._degree is not None and length ** (self._degree + 1) <= _FEW_STEPS

    def _timed(self, work: Callable[[str], T], text: str, budget: Budget) -> T:
        if self._is_quick(len(text)):
            return work(text)
        if budget.seconds <= 0:
            raise OutOfTime
        begun = time.thread_time()
        try:
            return _alarmed(lambda: work(text), budget.seconds)
        finally:
            budget.spend(time.thread_time() - begun)


def _matched_value(match: re.Match[str]) -> str:
    named = match.groupdict()
    if "value" in named:
        return named["value"] or ""
    return (match[1] or "") if match.re.groups else match[0]


def _ring(_number: int, _frame: FrameType | None) -> None:
    """The handler; it stays, for a signal may come late, and without one it would end the process."""
    if time.thread_time() >= _deadline[0]:
        raise OutOfTime


def _alarmed(work: Callable[[], T], seconds: float) -> T:
    """Return what `work` returns within this time. Raise OutOfTime."""
    try:
        signal.signal(signal.SIGVTALRM, _ring)
    except ValueError:  # not the main thread
        return _elsewhere(work, seconds)
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGVTALRM,))
    _deadline[0] = time.thread_time() + seconds
    try:
        try:
            # Again and again: the time of other threads counts for the timer, and not for the deadline.
            signal.setitimer(signal.ITIMER_VIRTUAL, seconds, seconds / 4)
            return work()
        finally:
            _deadline[0] = inf
    finally:
        _deadline[0] = inf
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _elsewhere(work: Callable[[], T], seconds: float) -> T:
    try:
        found: T = json.loads(apart(lambda: json.dumps(work()).encode(), seconds, _MEMORY))
    except ApartError:
        raise OutOfTime from None
    return found


def problem_of(pattern: Pattern) -> str | None:
    """Say what is wrong with a pattern, if anything."""
    try:
        _ = pattern.compiled
    except (re.error, OverflowError, RecursionError) as error:
        return f"bad regular expression `{pattern.source}`: {error}"
    return None


def nests_repeats(source: str) -> bool:
    """Whether an unbounded repeat stands in another, as in `(a+)+`: a text that nearly fits can take for ever."""
    try:
        return _nests(_parsed(source), inside=False)
    except (re.error, OverflowError, RecursionError):  # a bad one, which is told elsewhere
        return False


def _nests(parsed: Any, *, inside: bool) -> bool:
    for code, argument in parsed:
        endless = str(code) in _REPEATS and str(argument[1]) == "MAXREPEAT"
        if (endless and inside) or any(_nests(part, inside=inside or endless) for part in _parts(code, argument)):
            return True
    return False


def _degree(parsed: Any) -> float:
    """Return how the steps of a match at one place grow with a text's length, as an exponent; infinite: beyond any."""
    degree = 0.0
    for code, argument in parsed:
        parts = _parts(code, argument)
        inner = max((_degree(part) for part in parts), default=0)
        if str(code) in _REPEATS and argument[1] != 1:
            # What repeats something that can match in several ways can do so in a power of ways.
            degree += inner + 1 if all(_is_fixed(part) for part in parts) else inf
        else:
            degree += inner
    return degree


def _is_fixed(parsed: Any) -> bool:
    """Whether it matches in one way only: no repeat and no choice in it."""
    return all(
        str(code) not in (*_REPEATS, "BRANCH", "GROUPREF_EXISTS") and all(map(_is_fixed, _parts(code, argument)))
        for code, argument in parsed
    )


def _parts(code: Any, argument: Any) -> list[Any]:
    """Return the patterns inside an item of a parsed pattern."""
    name = str(code)
    if name in (*_REPEATS, "SUBPATTERN"):
        return [argument[-1]]
    if name == "BRANCH":
        return list(argument[1])
    if name in ("ASSERT", "ASSERT_NOT"):
        return [argument[1]]
    if name == "ATOMIC_GROUP":
        return [argument]
    return [part for part in argument[1:] if part] if name == "GROUPREF_EXISTS" else []


def _parsed(source: str) -> Any:
    parser: Any = re._parser  # type: ignore[attr-defined]  # noqa: SLF001  # the parsed form has no public door
    return parser.parse(source, re.MULTILINE)
