"""What can be wrong with a template, and where."""

from __future__ import annotations

from collections.abc import Collection

from runner.errors import did_you_mean

MAX_RESULT = 16 * 1024 * 1024
"""Characters that a rendered template may have."""

MAX_ERRORS = 20
# Hints are for people: a question that only a hostile file asks gets none.
_MAX_NAMES = 100
_MAX_NAME = 64


class TemplateError(Exception):
    """Line and column count from 1 within the template's text."""

    def __init__(self, message: str, line: int = 1, column: int = 1, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.hint = hint


def too_large() -> TemplateError:
    return TemplateError(f"the result has more than {MAX_RESULT:,} characters")


def unknown_variable(name: str, names: Collection[str], line: int, column: int) -> TemplateError:
    hint = None
    if len(names) <= _MAX_NAMES and len(name) <= _MAX_NAME:
        hint = did_you_mean(name, names) or f"known here: {', '.join(sorted(names)) if names else 'none'}"
    return TemplateError(f"unknown variable `{name[:_MAX_NAME]}`", line, column, hint)
