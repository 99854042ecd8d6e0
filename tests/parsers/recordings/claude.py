"""What claude must come to. Its input_tokens are the fresh ones alone; it tells cache reads and writes, but no reasoning."""

from __future__ import annotations

from runner.model import Usage
from tests.parsers.recordings.row import (
    BEGAN,
    DONE,
    ENDED,
    HELLO,
    MENTION,
    ONE_PRODUCED,
    ONE_READ,
    ONE_SENT,
    ONE_WRITTEN,
    STEP_PRODUCED,
    STEP_READ,
    STEP_SENT,
    STEP_WRITTEN,
    TIMEOUT,
    TWO_PRODUCED,
    TWO_READ,
    TWO_SENT,
    TWO_WRITTEN,
    UNKNOWN,
    Row,
)

ONE = Usage(ONE_SENT, ONE_PRODUCED, ONE_READ, ONE_WRITTEN)
TWO = Usage(TWO_SENT, TWO_PRODUCED, TWO_READ, TWO_WRITTEN)
FIRST = Usage(STEP_SENT, STEP_PRODUCED, STEP_READ, STEP_WRITTEN)  # of two calls, the second was broken off
NOTHING = Usage(0, 0, 0, 0)  # it says so: every request was refused

NO_MODEL = (
    "There's an issue with the selected model (claude-sonnet-5). It may not exist or you may not have access to it. "
    "Run --model to pick a different model."
)
LOGIN = "Not logged in · Please run /login"
SERVER = (
    "API Error: 500 Internal server error. This is a server-side issue, usually temporary — try again in a moment. "
    "If it persists, check your inference gateway (127.0.0.1:8080)."
)
CREDIT = "Credit balance is too low"
PLAN = "You've hit your session limit · resets 7:19pm (UTC)"
TOO_FAST = (
    "This request would exceed your organization's rate limit of 30,000 input tokens per minute (org: "
    "00000000-0000-0000-0000-000000000000, model: claude-sonnet-5). For details, refer to: "
    "https://docs.claude.com/en/api/rate-limits. You can see the response headers for current usage. Please reduce the "
    "prompt length or the maximum tokens requested, or try again later. You may also contact sales at "
    "https://claude.com/contact-sales to discuss your options for a rate limit increase."
)
REJECTED = f"API Error: Request rejected (429) · {TOO_FAST}"
REJECTED_PLAN = (
    "API Error: Request rejected (429) · This request would exceed your account's rate limit. Please try again later."
)
TEMPORARY = f"API Error: Server is temporarily limiting requests (not your usage limit) · {TOO_FAST}"

# fmt: off
ROWS = [
    Row("2.1.197", "auth", "failed auth", "", UNKNOWN, None),
    Row("2.1.197", "auth-oauth", "failed auth", LOGIN, NOTHING, 0),
    Row("2.1.197", "big", ENDED, "", UNKNOWN, None),  # cut by the recorder
    Row("2.1.197", "commit", "success", DONE, TWO, 1),
    Row("2.1.197", "commit-globalgit", "success", DONE, TWO, 1),
    Row("2.1.197", "commit-noperm", "success", DONE, TWO, 1),
    Row("2.1.197", "commitlimit", "rate_limited rate_limit", "", UNKNOWN, None, 39.73636518630187),
    Row("2.1.197", "crash500", "failed server", "", UNKNOWN, None),
    Row("2.1.197", "crash500-long", "failed server", SERVER, NOTHING, 0),
    Row("2.1.197", "edit", "success", DONE, TWO, 1),
    Row("2.1.197", "flaky", "success", HELLO, ONE, 0),
    Row("2.1.197", "garbage", "failed server", "API Error: Failed to parse JSON", NOTHING, 0),
    Row("2.1.197", "hello", "success", HELLO, ONE, 0),
    Row("2.1.197", "hello-json", "success", HELLO, ONE, None),
    Row("2.1.197", "hello-nokey", "failed auth", LOGIN, NOTHING, 0),
    Row("2.1.197", "hello-noverbose", ENDED, "", UNKNOWN, None),
    Row("2.1.197", "hello-text", "success", HELLO, UNKNOWN, None),
    Row("2.1.197", "mention", "success", MENTION, ONE, 0),
    Row("2.1.197", "modelnotfound", "failed model_not_found", NO_MODEL, NOTHING, 0),
    Row("2.1.197", "modelnotfound-json", "failed model_not_found", NO_MODEL, NOTHING, None),
    Row("2.1.197", "modelnotfound-text", "failed model_not_found", NO_MODEL, UNKNOWN, None),
    Row("2.1.197", "overloaded", "failed overloaded", "", UNKNOWN, None),
    Row("2.1.197", "planlimit", "rate_limited rate_limit", REJECTED_PLAN, NOTHING, 0),
    Row("2.1.197", "planlimit-oauth", "rate_limited usage_limit", PLAN, NOTHING, 0, 1_795_375_176 - BEGAN),
    Row("2.1.197", "planwarn-oauth", "success", HELLO, ONE, 0),
    Row("2.1.197", "probe-argv-dash", "failed agent_error", "", NOTHING, 0),
    Row("2.1.197", "probe-argv-dashdash", "success", HELLO, ONE, 0),
    Row("2.1.197", "probe-argv-empty", "success", HELLO, ONE, 0),
    Row("2.1.197", "probe-argv-null", "success", HELLO, ONE, 0),
    Row("2.1.197", "probe-argv-open", "success", HELLO, ONE, 0),
    Row("2.1.197", "probe-argv-tty", "success", HELLO, ONE, 0),
    Row("2.1.197", "probe-gint-sleep", "failed agent_error", "", FIRST, 1),
    Row("2.1.197", "probe-gkill-sleep", ENDED, "", UNKNOWN, None),
    Row("2.1.197", "probe-gterm-sleep", "success", DONE, TWO, 1),  # as an exit with 0: nobody ended it by a limit
    Row("2.1.197", "probe-gterm-slow", ENDED, "", UNKNOWN, None),
    Row("2.1.197", "probe-int-sleep", "failed agent_error", "", FIRST, 1),
    Row("2.1.197", "probe-int-slow", ENDED, "", UNKNOWN, None),  # exit code 0
    Row("2.1.197", "probe-kill-sleep", ENDED, "", UNKNOWN, None),
    Row("2.1.197", "probe-noprompt-empty", ENDED, "", UNKNOWN, None),
    Row("2.1.197", "probe-noprompt-null", ENDED, "", UNKNOWN, None),
    Row("2.1.197", "probe-offline", "failed network", "", UNKNOWN, None),
    Row("2.1.197", "probe-stdin-big", "success", HELLO, ONE, 0),
    Row("2.1.197", "probe-stdin-dash", "success", HELLO, ONE, 0),
    Row("2.1.197", "probe-term-sleep", "failed agent_error", DONE, TWO, 1),  # a good result, then exit code 143
    Row("2.1.197", "probe-term-slow", ENDED, "", UNKNOWN, None),
    Row("2.1.197", "quota", "failed billing", CREDIT, NOTHING, 0),
    Row("2.1.197", "quota-json", "failed billing", CREDIT, NOTHING, None),
    Row("2.1.197", "quota-text", "failed billing", CREDIT, UNKNOWN, None),
    Row("2.1.197", "ratelimit", "rate_limited rate_limit", "", UNKNOWN, None, 38.23973509733699),
    Row("2.1.197", "ratelimit-maxretries1", "rate_limited rate_limit", REJECTED, NOTHING, 0),
    Row("2.1.197", "ratelimit-oauth", "rate_limited rate_limit", TEMPORARY, NOTHING, 0),
    Row("2.1.197", "reset", "failed network", "", UNKNOWN, None),
    Row("2.1.197", "slow", TIMEOUT, "", UNKNOWN, None),
    Row("2.1.197", "slow-long", "failed network", "", UNKNOWN, None),  # one retry after five minutes, then silence
    Row("2.1.197", "stall", TIMEOUT, "", UNKNOWN, None),
    Row("2.1.197", "streamlimit", "success", HELLO, ONE, 0),
    Row("2.1.197", "toolfail", "success", DONE, TWO, 1),
]
# fmt: on
