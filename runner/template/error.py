"""What can be wrong with a template, and where."""

from __future__ import annotations

from runner.errors import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

MAX_RESULT = 16 * 1024 * 1024
"""Characters that a rendered template may have."""

MAX_ERRORS = 20
# Hints are for people: a question that only a hostile file asks gets none.
_FEW_NAMES = 100
_SHORT_NAME = 64


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
    if len(names) <= _FEW_NAMES and len(name) <= _SHORT_NAME:
        hint = did_you_mean(name, names) or f"known here: {', '.join(sorted(names)) if names else 'none'}"
    return TemplateError(f"unknown variable `{name[:_SHORT_NAME]}`", line, column, hint)


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column, counted from 1, of an offset in a text."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
