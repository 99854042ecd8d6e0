"""Which lines of JSON some rule can want, told from their bytes: lines that none wants are never decoded. Pure.

A rule wants an event only where all literals of its `when` and of the tests in its path stand in it, as JSON writes
them: `{type: result}` needs `"result"` somewhere in the line. Only literals that every encoder writes in the same way
count (ASCII words and whole numbers; a slash or a letter with an accent may be escaped).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Table: TypeAlias = Mapping[str, Any]
    Group: TypeAlias = tuple[bytes, ...]

_MAX_GROUPS = 32
_WORD = r"[A-Za-z_][A-Za-z0-9_.: -]*"
_TEST = r'\[\?[^=\]]+=\s*"?([^\]"]*)"?\s*\]'
_KEY = r"[A-Za-z0-9_-]+"


def groups_of(table: Table) -> tuple[Group, ...]:
    """Return groups of words, of which a line must hold one whole group to be wanted; none: every line is wanted."""
    if table.get("needles"):
        return tuple((needle.encode(),) for needle in table["needles"] if needle)
    found: set[Group] = set()
    for when, at in _looked_at(table):
        groups = _of_rule(when, at)
        if not all(groups):
            return ()
        found.update(groups)
    least = [group for group in found if not any(set(other) < set(group) for other in found)]
    return tuple(sorted(least)) if len(least) <= _MAX_GROUPS else ()


def _looked_at(table: Table) -> Iterator[tuple[Table, Any]]:
    """Yield the `when` and the `at` of every rule on events."""
    fields = table.get("fields", {})
    for given in (*(table.get(key, []) for key in ("success", "failure", "errors", "watch")), *fields.values()):
        for rule in given if isinstance(given, list) else [given]:
            if rule is None:
                continue
            source = rule.get("in")
            inner = source if isinstance(source, dict) else rule
            if "field" not in rule and not isinstance(source, str) and "file" not in inner:
                yield inner.get("when", {}), inner.get("at")
            if "reset" in rule and "when" in rule["reset"]:
                yield rule["reset"]["when"], None


def _of_rule(when: Table, at: Any) -> list[Group]:
    """Return the alternatives for one rule, each with the words that all must be there, the rarest first."""
    choices = [words for path, wanted in when.items() if (words := _words(wanted))]
    choices.sort(key=len)
    tests = re.findall(_TEST, at) if isinstance(at, str) else []
    choices = [[word] for test in tests if (word := _word(test))] + choices
    if not choices and isinstance(at, str) and (key := re.match(_KEY, at)):
        choices = [[f'"{key[0]}"'.encode()]]
    groups: list[Group] = [()]
    for words in choices:
        if len(groups) * len(words) <= _MAX_GROUPS:
            groups = [tuple(dict.fromkeys((*group, word))) for group, word in product(groups, words)]
    return groups


def _words(wanted: Any) -> list[bytes]:
    """Return the words of which an event must hold one; none where it could do without."""
    values = wanted if isinstance(wanted, list) else [wanted]
    words = [_word(value) for value in values]
    return [word for word in words if word] if all(words) else []


def _word(value: Any) -> bytes | None:
    """Return a scalar as it stands in JSON. Text and number compare as equal, so what could be both has no quotes."""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int):
        return str(value).encode()
    if not isinstance(value, str) or value == "null":
        return None
    if value in ("true", "false") or re.fullmatch(r"\d{1,15}", value):
        return value.encode()
    return f'"{value}"'.encode() if re.fullmatch(_WORD, value) else None
