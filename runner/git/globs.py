"""Globs on the paths of a checkout."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_PARTS = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^]/]+\]|.", re.DOTALL)
_MEANING = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def matcher(globs: Iterable[str]) -> Callable[[str], bool]:
    """Tell whether a path, relative to the top of the checkout, fits one of them.

    `*` and `?` stay in a folder, `**` goes through folders. A glob without a slash fits a name at any depth, and one
    that fits a folder fits all below it.
    """
    pattern = re.compile("|".join(_pattern(glob) for glob in globs) or r"(?!)", re.DOTALL)
    return lambda path: pattern.fullmatch(path) is not None


def _pattern(glob: str) -> str:
    bare = glob.removeprefix("./").rstrip("/")
    anywhere = "" if "/" in bare else "(?:.*/)?"
    return f"{anywhere}{''.join(_part(part) for part in _PARTS.findall(bare))}(?:/.*)?"


def _part(part: str) -> str:
    if part in _MEANING:
        return _MEANING[part]
    if len(part) > 1:  # a class of characters
        inner = re.escape(part[1:-1].removeprefix("!")).replace(r"\-", "-")
        return f"[^/{inner}]" if part[1] == "!" else f"[{inner}]"
    return re.escape(part)
