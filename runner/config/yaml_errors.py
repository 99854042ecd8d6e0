"""The YAML parser's complaints in plain words. Pure."""

from __future__ import annotations

import yaml

# Part of the parser's message → what it means. The C parser and the one in Python word some of them differently.
_PLAIN = (
    ("cannot start any token", "this character cannot begin a value", "quote the value"),
    (
        "mapping values are not allowed",
        "a `:` is not expected here",
        "quote a value that holds `: `, or fix the indentation",
    ),
    ("could not find expected ':'", "a key without `:`", "write `key: value`, with a space after the colon"),
    ("expected key", "the indentation does not fit the lines above", "keys of one mapping begin at the same column"),
    (
        "expected <block end>",
        "the indentation does not fit the lines above",
        "keys of one mapping begin at the same column",
    ),
    ("'-' indicator", "the indentation does not fit the list above", "items of one list begin at the same column"),
    ("block sequence entries are not allowed", "a list cannot begin here", "begin it on a line of its own"),
    ("expected ',' or ']'", "a list in brackets is not closed", "add the missing `,` or `]`"),
    ("expected ',' or '}'", "a mapping in braces is not closed", "add the missing `,` or `}`"),
    ("unexpected end of stream", "a quoted text is not closed", "add the missing quote"),
    (
        "unknown escape character",
        "an unknown escape in a text with double quotes",
        "use single quotes, or write `\\\\`",
    ),
    ("undefined alias", "an alias of an anchor that is not there", None),
    ("undefined tag handle", "a tag is not allowed here", None),
    ("expected alphabetic or numeric", "a `*` or `&` begins an alias or an anchor", "quote the value"),
    ("expected <document start>", "a value after the end of the document", "fix the indentation"),
)


# Of these the parser reports where it missed the end; what is not closed began at the place of its context.
_UNCLOSED = ("could not find expected ':'", "expected ',' or ']'", "expected ',' or '}'", "unexpected end of stream")


def explain(error: yaml.MarkedYAMLError, text: str) -> tuple[int, int, str, tuple[()], str | None]:
    """Return line, column, message, no path, and hint."""
    problem = error.problem or "is not YAML"
    unclosed = any(part in problem for part in _UNCLOSED)
    mark = (error.context_mark if unclosed else error.problem_mark) or error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    lines = text.split("\n")
    rest = lines[line - 1][column - 1 :] if line <= len(lines) else ""
    if "mapping values are not allowed" in problem and _continues(lines, line):
        before = lines[line - 2]
        column = len(before) - len(before.lstrip()) + 1
        return line - 1, column, "a key without `:`", (), "write `key: value`, with a space after the colon"
    if rest.startswith("\t") or "found a tab" in problem:
        return line, column, "a tab in the indentation", (), "use spaces"
    for part, words, hint in _PLAIN:
        if part in problem:
            return line, column, words, (), hint
    return line, column, f"is not YAML: {problem}", (), None


def _continues(lines: list[str], line: int) -> bool:
    """Whether a line continues the one before it, which then lacks its colon: same indentation, no `:`."""
    if not 1 < line <= len(lines):
        return False
    before, here = lines[line - 2], lines[line - 1]
    same = len(before) - len(before.lstrip()) == len(here) - len(here.lstrip())
    return same and bool(before.strip()) and ":" not in before and before.lstrip()[0] not in "-#"
