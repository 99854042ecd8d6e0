"""Secrets kept out of files and messages: exact values of the environment, and tokens of well-known forms. Pure.

The former in a stream of bytes or a whole text, the latter in text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MASK = "***"
SHORTEST = 8  # bytes; anything shorter occurs in ordinary text
_NOT_NEWLINE = re.compile(rb"[^\n]")
_SEGMENTS = frozenset(("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIALS"))


def secrets_of(environ: Mapping[str, str]) -> list[bytes]:
    """Collect the values to mask, in every form in which an agent may print them, the longest first.

    A value of several lines counts as a whole and by its lines (white space around them aside): files are shown with
    line numbers, cut, or as a diff. What JSON writes is there once and twice encoded: a tool's result inside an event.
    """
    found: set[bytes] = set()
    for name, value in environ.items():
        if _SEGMENTS.isdisjoint(name.upper().split("_")):
            continue
        for part in {value, value.strip(), *(line.strip() for line in value.splitlines())}:
            if len(part.encode(errors="surrogateescape")) >= SHORTEST:
                found |= {form.encode(errors="surrogateescape") for form in _forms(part)}
    return sorted(found, key=lambda secret: (-len(secret), secret))


def _forms(value: str) -> set[str]:
    """Write it as JSON writers do: non-ASCII as it is or as \\uXXXX in either case, `/` or `<>&` escaped or not."""
    plain, ascii_only = _json(value), _json(value, ascii_only=True)
    upper = re.sub(r"\\u[0-9a-f]{4}", lambda found: "\\u" + found[0][2:].upper(), ascii_only)
    html = plain.translate({ord(character): f"\\u{ord(character):04x}" for character in "<>&"})
    twice = {_json(once, ascii_only=escaped) for once in (plain, ascii_only) for escaped in (False, True)}
    return {value, plain, ascii_only, upper, html, plain.replace("/", "\\/"), ascii_only.replace("/", "\\/"), *twice}


def _json(value: str, *, ascii_only: bool = False) -> str:
    return json.dumps(value, ensure_ascii=ascii_only)[1:-1]


class Masker:
    """Masks a stream that comes in any pieces.

    Every byte of any occurrence of a secret is removed; occurrences that overlap become one `***`, or with
    `keep_length` as many stars as they had bytes, newlines kept: then a byte's place in the masked stream is its place
    in the stream. Only what could be the beginning of a secret is held back until the next piece or `flush`.
    """

    def __init__(self, secrets: Iterable[bytes], *, keep_length: bool = False) -> None:
        self._keep_length = keep_length
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._held = b""
        self._covered = 0  # this many bytes at the beginning of what is held belong to a secret that was written

    @property
    def held(self) -> int:
        """Bytes that were fed and not yet returned."""
        return len(self._held)

    def feed(self, data: memoryview) -> memoryview:
        """Return what can be written now; `data` itself where there is nothing to mask."""
        if not self._secrets:
            return data
        buffer = b"".join((self._held, data))
        end = self._possible_beginning(buffer)
        spans = self._spans(buffer)
        if not spans and not self._held and end == len(buffer):
            return data
        return memoryview(self._emit(buffer, spans, end))

    def flush(self) -> memoryview:
        """Return the rest, at the end of the stream."""
        buffer = self._held
        return memoryview(self._emit(buffer, self._spans(buffer), len(buffer)))

    def _emit(self, buffer: bytes, spans: list[tuple[int, int]], end: int) -> bytes:
        """Mask `buffer` up to `end`; the rest is held, with how far a span reaches into it."""
        out: list[bytes] = []
        done = 0
        if self._covered:
            done = self._covered
            out.append(self._hidden(buffer[: min(done, end)]))
        for start, stop in spans:
            if start >= end:
                break
            if start >= done:
                out += (buffer[done:start], b"" if self._keep_length else MASK.encode())
            out.append(self._hidden(buffer[max(start, done) : min(stop, end)]))
            done = max(done, stop)
        out.append(buffer[done:end])
        self._held = buffer[end:]
        self._covered = max(0, done - end)
        return b"".join(out)

    def _hidden(self, secret: bytes) -> bytes:
        return _NOT_NEWLINE.sub(b"*", secret) if self._keep_length else b""

    def _spans(self, buffer: bytes) -> list[tuple[int, int]]:
        """Find every occurrence of every secret, overlapping ones included, in the order of their starts."""
        # One `find` a secret: at memory speed, where an alternation would try each byte of the stream.
        found: list[tuple[int, int]] = []
        for secret in self._secrets:
            start = buffer.find(secret)
            while start >= 0:
                found.append((start, start + len(secret)))
                start = buffer.find(secret, start + 1)
        return sorted(found)

    def _possible_beginning(self, buffer: bytes) -> int:
        """Find where the longest end of `buffer` starts that could begin a secret; its length when there is none."""
        earliest = len(buffer)
        for secret in self._secrets:
            start = buffer.find(secret[:1], max(0, len(buffer) - len(secret) + 1), earliest)
            while start >= 0:
                if secret.startswith(buffer[start:]):
                    earliest = start
                    break
                start = buffer.find(secret[:1], start + 1, earliest)
        return earliest


def mask_text(text: str, secrets: Sequence[bytes]) -> str:
    """Mask the secrets in a whole text."""
    if not secrets:
        return text
    data = text.encode(errors="surrogatepass")
    masker = Masker(secrets)
    masked = b"".join((masker.feed(memoryview(data)), masker.flush()))
    return text if masked == data else masked.decode(errors="replace")


def mask_tree(value: Any, mask: Callable[[str], str]) -> Any:
    """Mask every text in a JSON value, keys excepted."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: mask_tree(item, mask) for key, item in value.items()}
    if isinstance(value, list):
        return [mask_tree(item, mask) for item in value]
    return value


_START = r"(?<![A-Za-z0-9])"
_QUERY = r"(?i)((?:[?&#;]|u0026)"
_QUERY_NAMES = r"(?:(?:\w{1,20}_|auth)?token|client_secret|secret|password|sig|signature|otp|ticket"
_PRIVATE_KEY = (
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:\s|\\[nr])*"
    r"(?:[A-Za-z0-9+/=]{16,}(?:\s|\\[nr])*)+(?:[A-Za-z0-9+/=]+(?:\s|\\[nr])*)?(?:-----END[A-Z ]{0,40}-----)?"
)
# What must occur (in lower case) before the pattern is worth compiling, the pattern, and what remains of it.
_KNOWN_TOKENS = (
    ("private key-----", _PRIVATE_KEY, MASK),
    ("authorization", r"(?i)(authorization\W{1,6}(?:basic|bearer|token|digest)\s{1,4})[^\s\"',]{6,}", rf"\1{MASK}"),
    ("bearer", r"(?i)(\bbearer\s{1,4})(?=[^\s\d]{0,500}\d)[A-Za-z0-9._~+/-]{16,}={0,2}", rf"\1{MASK}"),
    ("://", r"(://)(?:[^/\s:@\"']{0,256}:[^/\s@\"']{1,512}|[^/\s:@\"']{16,512})@", rf"\1{MASK}@"),
    ("code=", _QUERY + r"(?:\w{1,20}_)?code=)(?=[^&\s]{0,200}\d)[^&#\s\"'<>\\]{4,}", rf"\1{MASK}"),
    ("=", _QUERY + _QUERY_NAMES + r")=)[^&#\s\"'<>\\]{6,}", rf"\1{MASK}"),
    ("key=", _QUERY + r"(?:\w{1,20}_?)?key=)[^&#\s\"'<>\\]{16,}", rf"\1{MASK}"),
    ("eyj", r"(?<![\w-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", MASK),
    (
        "sk-",
        _START + r"sk-(?:(?:ant|proj|svcacct|admin|or)-(?=[A-Za-z_-]{0,200}\d)[A-Za-z0-9_-]{16,}|[A-Za-z0-9]{20,})",
        MASK,
    ),
    ("k_", _START + r"(?:[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|tk_[a-z0-9]{29}(?![A-Za-z0-9]))", MASK),
    ("gh", _START + r"gh[opusr]_[A-Za-z0-9]{20,}", MASK),
    ("github_pat_", _START + r"github_pat_[A-Za-z0-9_]{20,}", MASK),
    ("glpat-", _START + r"glpat-[A-Za-z0-9_-]{20,}", MASK),
    ("xox", _START + r"xox[abeoprs]-[A-Za-z0-9-]{10,}", MASK),
    ("akia", _START + r"AKIA[0-9A-Z]{16}(?![A-Za-z0-9])", MASK),
    ("asia", _START + r"ASIA[0-9A-Z]{16}(?![A-Za-z0-9])", MASK),
    ("aiza", _START + r"AIza[0-9A-Za-z_-]{35,}", MASK),
    ("npm_", _START + r"npm_[A-Za-z0-9]{36}", MASK),
    ("hf_", _START + r"hf_[A-Za-z0-9]{30,}", MASK),
    ("sg", _START + r"sg(?:p|a[a-z]{2})_[A-Za-z0-9_]{24,}", MASK),
)


def mask_known_tokens(text: str) -> str:
    """Mask what looks like a well-known token, a login in a URL or a one-time code in one."""
    lower = text.lower()
    for hint, pattern, replacement in _KNOWN_TOKENS:
        if hint in lower:
            text = re.sub(pattern, replacement, text)
    return text
