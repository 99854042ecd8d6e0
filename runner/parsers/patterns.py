"""Regular expressions of a rule table, compiled at first use: most runs never need most of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.parsers.scalars import ends_of


class Pattern:
    """A pattern of the table; `^` and `$` match at each line."""

    __slots__ = ("_compiled", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self._compiled: re.Pattern[str] | None = None

    @property
    def compiled(self) -> re.Pattern[str]:
        """The compiled expression. Raises re.error, OverflowError or RecursionError for a bad one."""
        if self._compiled is None:
            self._compiled = re.compile(self.source, re.MULTILINE)
        return self._compiled

    def search(self, text: str) -> re.Match[str] | None:
        return self.compiled.search(ends_of(text))

    def values(self, text: str) -> Iterator[str]:
        """Yield of every match the group `value`, else the first group, else the whole."""
        for match in self.compiled.finditer(ends_of(text)):
            yield matched_value(match)

    def cleaned(self, text: str) -> str:
        """Remove what the pattern matches in the first and last part of `text`."""
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
    """Say what is wrong with a pattern, if anything."""
    try:
        _ = pattern.compiled
    except (re.error, OverflowError, RecursionError) as error:
        return f"bad regular expression `{pattern.source}`: {error}"
    return None
