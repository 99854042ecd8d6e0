"""Truncate text to a number of bytes. Pure."""

from __future__ import annotations

from unicodedata import combining

_ELLIPSIS = "…"
_MAX_LOSS = 4  # a line end is taken when no more than a fourth of the room is lost by it


def truncate_text(text: str, limit: int) -> str:
    """`text` in at most `limit` bytes of UTF-8, ending with a line `…` where something is missing.

    The cut is at a line end where one is near, else between words, never inside a character.
    """
    encoded = text.encode(errors="replace")
    if len(encoded) <= limit:
        return encoded.decode()
    end = f"\n{_ELLIPSIS}"
    room = limit - len(end.encode())
    if room <= 0:
        return _whole(encoded, max(limit, 0))
    kept = _whole(encoded, room)
    least = len(kept) - len(kept) // _MAX_LOSS
    # The line that ends exactly here is whole.
    if encoded[len(kept.encode()) : len(kept.encode()) + 1] != b"\n":
        border = kept.rfind("\n", least)
        if border < 0:
            border = kept.rfind(" ", least)
        kept = kept[:border] if border >= 0 else kept
    return kept.rstrip() + end


def truncate_line(text: str, limit: int) -> str:
    """The same for text of one line, which ends with `…` where something is missing."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= limit:
        return encoded.decode()
    return _whole(encoded, limit - len(_ELLIPSIS.encode())).rstrip() + _ELLIPSIS


def _whole(encoded: bytes, limit: int) -> str:
    """The characters that fit into `limit` bytes, a letter together with its accents."""
    kept = encoded[:limit].decode(errors="ignore")
    following = encoded[len(kept.encode()) :].decode()[:1]
    if following and combining(following):
        while kept and combining(kept[-1]):
            kept = kept[:-1]
        kept = kept[:-1]
    return kept
