"""Templates: text with `{{ name }}`. Pure.

Plain text and bare names are rendered here by one regular expression; everything else by jinja2's sandbox (`jinja.py`),
which costs tens of milliseconds to import. Both give the same text. A value is never rendered again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from itertools import islice

from runner.template.error import MAX_ERRORS, MAX_RESULT, TemplateError, too_large, unknown_variable
from runner.text import position

__all__ = ["TemplateError", "check", "is_plain", "names_in_env", "render"]

# An attribute in capitals is a key of a mapping (`env.HOME`): no method of Python's has such a name.
_NAME = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)(?:\.([A-Z][A-Z0-9_]*))?\s*\}\}")
_TAG = re.compile(r"\{\{.{0,10000}?\}\}|\{%.{0,10000}?%\}", re.DOTALL)
_IN_ENV = re.compile(r"""(?<![\w.])env(?:\.([A-Za-z_]\w*)|\[\s*["']([A-Za-z_]\w*)["']\s*\])""")
_MARKER = re.compile(r"\{[{%#]")
_NEWLINE = re.compile(r"\r\n?")
# Words that cannot be variables in an expression: constants, operators, and what jinja2 itself defines.
_WORDS = "true false none True False None and or not in is if else elif self super loop caller range recursive"
_RESERVED = frozenset(_WORDS.split())


def is_plain(text: str) -> bool:
    """Whether `text` holds nothing but literal text and `{{ name }}`."""
    return "{" not in text or not (_MARKER.search(_NAME.sub("", text)) or _has_words(text) or _overlaps(text))


def _has_words(text: str) -> bool:
    return any(found[1] in _RESERVED for found in _NAME.finditer(text))


def _overlaps(text: str) -> bool:
    # `{{{ name }}` and `{%{{ name }}`: what is left and right of a name could form a marker together with it.
    return any(text[found.start() - 1 : found.start()] == "{" for found in _NAME.finditer(text))


def render(text: str, variables: Mapping[str, object]) -> str:
    """Put the variables into `text`; None becomes the empty string. Raise TemplateError."""
    if "{" not in text:
        return _NEWLINE.sub("\n", text) if "\r" in text else text
    if not is_plain(text):
        from runner.template.jinja import render_jinja  # noqa: PLC0415 - brings jinja2, which most runs do not need

        return render_jinja(text, variables)
    errors = _unknown_names(text, variables)
    if errors:
        raise errors[0]
    return _limited(_render_plain(text, variables))


def _render_plain(text: str, variables: Mapping[str, object]) -> str:
    pieces: list[str] = []
    position = size = 0
    for found in _NAME.finditer(text):
        value = variables[found[1]] if found[2] is None else _key(variables[found[1]], found, text)
        pieces += (_NEWLINE.sub("\n", text[position : found.start()]), "" if value is None else str(value))
        position = found.end()
        size += len(pieces[-1])
        if size > MAX_RESULT:
            break
    pieces.append(_NEWLINE.sub("\n", text[position:]))
    return "".join(pieces)


def _key(value: object, found: re.Match[str], text: str) -> object:
    try:
        return value[found[2]]  # type: ignore[index]  # what cannot be indexed raises TypeError
    except (KeyError, TypeError):
        raise TemplateError(f"`{found[1]}` has no `{found[2]}`", *position(text, found.start(2))) from None


def _limited(result: str) -> str:
    if len(result) > MAX_RESULT:
        raise too_large()
    return result


def check(text: str, names: Collection[str]) -> list[TemplateError]:
    """Return the first MAX_ERRORS errors of syntax and variables in a template that may use `names`; never raise."""
    if is_plain(text):
        return _unknown_names(text, names)
    from runner.template.jinja import check_jinja  # noqa: PLC0415 - brings jinja2, which plain templates do not need

    return check_jinja(text, names)


def names_in_env(text: str) -> list[tuple[str, int, int]]:
    """Return the names that a template takes from `env`, each with its line and column."""
    if "env" not in text:
        return []
    return [
        (found[1] or found[2], *position(text, tag.start() + found.start()))
        for tag in _TAG.finditer(text)
        for found in _IN_ENV.finditer(tag[0])
    ]


def _unknown_names(text: str, names: Collection[str]) -> list[TemplateError]:
    unknown = (found for found in _NAME.finditer(text) if found[1] not in names)
    return [unknown_variable(found[1], names, *position(text, found.start(1))) for found in islice(unknown, MAX_ERRORS)]
