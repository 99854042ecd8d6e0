"""The types of what stands in a record; for the type checker alone."""

from __future__ import annotations

from typing import TypedDict


class _Tokens(TypedDict):
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None


class TokenUsage(_Tokens, total=False):
    approximate: bool


class Denials(TypedDict):
    count: int
    names: list[str]


class VerifyEntry(TypedDict):
    name: str
    kind: str
    baseline: str
    result: str
    exit_code: int | None
    seconds: float | None
    flaky: bool
    log: str | None


class CommitEntry(TypedDict):
    sha: str
    subject: str


# In this form because `class` is a keyword.
RunError = TypedDict("RunError", {"class": str | None, "message": str, "retry_at": str | None, "evidence": str | None})


class ProtectedEntry(TypedDict):
    path: str
    change: str


class _AnyLeft(TypedDict):
    kind: str
    name: str
    advice: str


class Left(_AnyLeft, total=False):
    inode: int
    mtime_ns: int


class AmountsEntry(TypedDict, total=False):
    cost: float
    tokens: float
    output_tokens: float
    tool_calls: float


class BudgetEntry(TypedDict):
    limit: AmountsEntry
    used: AmountsEntry
    overshoot: AmountsEntry
