"""Tokens of well-known forms, in text. Pure."""

from __future__ import annotations

import re

from runner.mask.masker import MASK

_START = r"(?<![A-Za-z0-9])"
_QUERY = r"(?i)((?:[?&#;]|u0026)"
_QUERY_NAMES = r"(?:(?:\w{1,20}_|auth)?token|client_secret|secret|password|sig|signature|otp|ticket"
_QUERY_HINTS = "token=|secret=|password=|sig=|signature=|otp=|ticket="
_PRIVATE_KEY = (
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:\s|\\[nr])*"
    r"(?:[A-Za-z0-9+/=]{16,}(?:\s|\\[nr])*)+(?:[A-Za-z0-9+/=]+(?:\s|\\[nr])*)?(?:-----END[A-Z ]{0,40}-----)?"
)
# Of which one must occur (in lower case) before the pattern is worth trying, the pattern, and what remains of it.
_TABLE = (
    ("private key-----", _PRIVATE_KEY, MASK),
    (
        "authorization",
        r"(?i)(authorization[\\\"']{0,3}\s{0,3}[:=]\s{0,3}[\\\"']{0,3})(?=[^\s\"',\\]{0,200}\d)[^\s\"',\\]{8,}",
        rf"\1{MASK}",
    ),
    ("authorization", r"(?i)(authorization\W{1,6}(?:basic|bearer|token|digest)\s{1,4})[^\s\"',]{6,}", rf"\1{MASK}"),
    ("bearer", r"(?i)(\bbearer\s{1,4})(?=[^\s\d]{0,500}\d)[A-Za-z0-9._~+/-]{16,}={0,2}", rf"\1{MASK}"),
    ("://", r"(://)(?:[^/\s:@\"']{0,256}:[^/\s@\"']{1,512}|[^/\s:@\"']{16,512})@", rf"\1{MASK}@"),
    ("code=", _QUERY + r"(?:\w{1,20}_)?code=)(?=[^&\s]{0,200}\d)[^&#\s\"'<>\\]{4,}", rf"\1{MASK}"),
    (
        _QUERY_HINTS,
        _QUERY + _QUERY_NAMES + r")=)[^&#\s\"'<>\\]{6,}",
        rf"\1{MASK}",
    ),
    ("key=", _QUERY + r"(?:\w{1,20}_?)?key=)[^&#\s\"'<>\\]{16,}", rf"\1{MASK}"),
    ("eyj", r"(?<![\w-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", MASK),
    (
        "sk-",
        _START + r"sk-(?:(?:ant|proj|svcacct|admin|or)-(?=[A-Za-z_-]{0,200}\d)[A-Za-z0-9_-]{16,}|[A-Za-z0-9]{20,})",
        MASK,
    ),
    ("sk_live_|sk_test_|rk_live_|rk_test_", _START + r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}", MASK),
    ("tk_", _START + r"tk_[a-z0-9]{29}(?![A-Za-z0-9])", MASK),
    ("ghp_|gho_|ghu_|ghs_|ghr_", _START + r"gh[opusr]_[A-Za-z0-9]{20,}", MASK),
    ("github_pat_", _START + r"github_pat_[A-Za-z0-9_]{20,}", MASK),
    ("glpat-", _START + r"glpat-[A-Za-z0-9_-]{20,}", MASK),
    ("xox", _START + r"xox[abeoprs]-[A-Za-z0-9-]{10,}", MASK),
    ("akia", _START + r"AKIA[0-9A-Z]{16}(?![A-Za-z0-9])", MASK),
    ("asia", _START + r"ASIA[0-9A-Z]{16}(?![A-Za-z0-9])", MASK),
    ("aiza", _START + r"AIza[0-9A-Za-z_-]{35,}", MASK),
    ("npm_", _START + r"npm_[A-Za-z0-9]{36}", MASK),
    ("hf_", _START + r"hf_[A-Za-z0-9]{30,}", MASK),
    ("sgp_|sga", _START + r"sg(?:p|a[a-z]{2})_[A-Za-z0-9_]{24,}", MASK),
)
_KNOWN_TOKENS = [(hints.split("|"), pattern, replacement) for hints, pattern, replacement in _TABLE]


def mask_known_tokens(text: str) -> str:
    """Mask what looks like a well-known token, a login in a URL or a one-time code in one."""
    lower = text.lower()
    for hints, pattern, replacement in _KNOWN_TOKENS:
        if any(hint in lower for hint in hints):
            text = re.sub(pattern, replacement, text)
    return text
