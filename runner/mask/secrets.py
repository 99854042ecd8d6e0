"""Which variables hold secrets, and every form in which a program may print one. Pure."""

from __future__ import annotations

import json
import re
from binascii import b2a_base64
from collections.abc import Iterator, Mapping
from functools import lru_cache

SHORTEST = 8  # bytes; anything shorter occurs in ordinary text
_WORDS = frozenset(("KEY", "KEYS", "TOKEN", "TOKENS", "SECRET", "SECRETS", "PASSWORD", "PASSWORDS", "CREDENTIALS"))
_ENDINGS = ("APIKEY", "APIKEYS", "TOKEN", "TOKENS", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL")
_LAST_WORDS = frozenset(("PASS", "PWD", "PAT", "AUTH", "DSN"))
_WHOLE_ADDRESSES = "DATABASE_URL"
_FOLDERS = frozenset(("PWD", "OLDPWD"))
# The login in an address: up to the last `@` before a slash, and up to the very last, for what was not quoted.
_LOGINS = (re.compile(r"://([^\s/:@]*):([^\s/]+)@"), re.compile(r"://([^\s/:@]*):(\S+)@"))
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~")
_IN_QUOTES = re.compile(r'(["\\$`])')
_SHELL_SPECIAL = re.compile(r"([^\w@%+=:,./-])", re.ASCII)
_QUOTED_BYTE = re.compile(rb"%[0-9A-F]{2}")
_WRAPPED = 76  # characters in a line of base64(1)


def is_secret(name: str) -> bool:
    """Whether a variable of this name holds a secret."""
    words = name.upper().split("_")
    return (
        not _WORDS.isdisjoint(words)
        or any(word.endswith(_ENDINGS) for word in words)
        or (words[-1] in _LAST_WORDS and name.upper() not in _FOLDERS)
        or name.upper().endswith(_WHOLE_ADDRESSES)
    )


def short_secrets(environ: Mapping[str, str]) -> list[str]:
    """The variables whose value is a secret by its name and too short to be masked."""
    return sorted(name for name, value in environ.items() if is_secret(name) and 0 < len(_bytes(value)) < SHORTEST)


def secrets_of(environ: Mapping[str, str]) -> list[bytes]:
    """Collect the values to mask, in every form in which an agent may print them, the longest first.

    A value of several lines counts as a whole and by its lines (white space around them aside): files are shown with
    line numbers, cut, or as a diff. What JSON writes is there once and twice encoded: a tool's result inside an event.
    """
    found = set(plain_forms(environ))
    for value in _values(environ):
        found |= _encodings(value)
    return sorted(found, key=lambda secret: (-len(secret), secret))


def plain_forms(environ: Mapping[str, str]) -> list[bytes]:
    """The same without base64 and hex: what is cheap to look for in a long stream."""
    found: set[bytes] = set()
    for value in _values(environ):
        found |= _readable(value)
    return sorted(found, key=lambda secret: (-len(secret), secret))


def _values(environ: Mapping[str, str]) -> set[str]:
    """The values of secret variables, and the logins in any value that is an address."""
    found = {value for name, value in environ.items() if is_secret(name)}
    for value in environ.values():
        if "://" in value and "@" in value:
            for pattern in _LOGINS:
                for user, password in pattern.findall(value):
                    found |= {password, f"{user}:{password}", _unquoted(password), f"{user}:{_unquoted(password)}"}
    return {value for value in found if len(_bytes(value)) >= SHORTEST}


@lru_cache(maxsize=256)
def _readable(value: str) -> frozenset[bytes]:
    parts = {value, value.strip(), *(line.strip() for line in value.splitlines())}
    long = [part for part in parts if len(_bytes(part)) >= SHORTEST]
    return frozenset(_bytes(form) for part in long for form in _written(part))


@lru_cache(maxsize=256)
def _encodings(value: str) -> frozenset[bytes]:
    return frozenset(
        form for whole in {value, value.strip()} for form in _encoded(_bytes(whole)) if len(form) >= SHORTEST
    )


def _written(value: str) -> set[str]:
    """Write it as programs do: in JSON, addresses, shells, HTML."""
    if _bytes(value).isalnum():
        return {value}
    shell = {
        value.replace("'", "'\"'\"'"),
        value.replace("'", "'\\''"),
        value.replace("\\", "\\\\").replace("'", "\\'"),
        _IN_QUOTES.sub(r"\\\1", value),
        _SHELL_SPECIAL.sub(r"\\\1", value),
    }
    entities = _entities(value)
    texts = {value, *shell, *_percent(_bytes(value)), entities, entities.replace("&#x27;", "&#39;")}
    return {form for text in texts for form in _in_json(text)} | {
        form for once in _in_json(value) for form in (_json(once), _json(once, ascii_only=True))
    }


def _in_json(text: str) -> set[str]:
    """Non-ASCII as it is or as \\uXXXX in either case, `/` or `<>&` escaped or not."""
    plain, ascii_only = _json(text), _json(text, ascii_only=True)
    upper = re.sub(r"\\u[0-9a-f]{4}", lambda found: "\\u" + found[0][2:].upper(), ascii_only)
    html = plain.translate({ord(character): f"\\u{ord(character):04x}" for character in "<>&"})
    return {text, plain, ascii_only, upper, html, plain.replace("/", "\\/"), ascii_only.replace("/", "\\/")}


def _entities(value: str) -> str:
    if "&" in value or not {"<", ">", '"', "'"}.isdisjoint(value):
        from html import escape  # noqa: PLC0415 - 1 ms of import, for the few values that need it

        return escape(value)
    return value


def _json(value: str, *, ascii_only: bool = False) -> str:
    return json.dumps(value, ensure_ascii=ascii_only)[1:-1]


def _percent(data: bytes) -> Iterator[str]:
    """In an address: by Python, by browsers, in a form; digits in either case."""
    for kept in (b"", b"/", b"!'()*", b"!'()*;,/?:@&=+$#", b" "):
        safe = _UNRESERVED | set(kept)
        quoted = b"".join(bytes((byte,)) if byte in safe else b"%%%02X" % byte for byte in data)
        if kept == b" ":
            quoted = quoted.replace(b" ", b"+")
        yield quoted.decode()
        yield _QUOTED_BYTE.sub(lambda found: found[0].lower(), quoted).decode()


def _encoded(data: bytes) -> Iterator[bytes]:
    """In hex, UTF-16, and in base64 of both alphabets at any place of a longer text, also in an address or in JSON."""
    yield data.hex().encode()
    yield data.hex().upper().encode()
    yield from (data.decode(errors="replace").encode(kind) for kind in ("utf-16-le", "utf-16-be"))
    for shift in range(3):
        # Without the characters that depend on what stands before and behind.
        whole = b2a_base64(b"\0" * shift + data, newline=False)
        core = whole[(shift * 8 + 5) // 6 : (shift + len(data)) * 8 // 6]
        yield core
        yield core.replace(b"+", b"-").replace(b"/", b"_")
        yield core.replace(b"/", b"\\/")
        yield core.replace(b"+", b"%2B").replace(b"/", b"%2F")
        yield core.replace(b"+", b"%2b").replace(b"/", b"%2f")
        if shift == 0 and len(core) > _WRAPPED:
            yield from (core[at : at + _WRAPPED] for at in range(0, len(core), _WRAPPED))


def _unquoted(text: str) -> str:
    """What an address means by its percent signs."""
    found = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes((int(found[1], 16),)), _bytes(text))
    return found.decode(errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
