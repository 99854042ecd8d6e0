"""Regular expressions of a rule table, compiled at first use: most runs never need most of them."""

from __future__ import annotations

import re

from runner.parsers.scalars import ends_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Pattern:
    """A pattern of the table; `^` and `$` match at each line."""

    __slots__ = ("_compiled", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self._compiled: re.Pattern[str] | None = None

    @property
    def compiled(self) -> re.Pattern[str]:
        """Raises re.error, OverflowError or RecursionError for a bad pattern."""
        if self._compiled is None:
            self._compiled = re.compile(self.source, re.MULTILINE)
        return self._compiled

    def search(self, text: str) -> re.Match[str] | None:
        return self.compiled.search(ends_of(text))

    def values(self, text: str) -> Iterator[str]:
        """Of every match the group `value`, else the first group, else the whole."""
        for match in self.compiled.finditer(ends_of(text)):
            yield matched_value(match)

    def cleaned(self, text: str) -> str:
        """`text` without what the pattern matches in its first and last part."""
        part = ends_of(text)
        if len(part) >= len(text):
            return self.compiled.sub("", text)
        half = len(part) // 2
        return self.compiled.sub("", text[:half]) + text[half:-half] + self.compiled.sub("", text[-half:])


def matched_value(match: re.Match[str]) -> str:
    named = match.groupdict()
    if "value" in named:
        return named["value"] or ""
    return (match[1] or "") if match.re.groups else match[0]


def problem_of(pattern: Pattern) -> str | None:
    """What is wrong with a pattern, in words."""
    try:
        _ = pattern.compiled
    except (re.error, OverflowError, RecursionError) as error:
        return f"bad regular expression `{pattern.source}`: {error}"
    return None
