"""What codex must come to. It tells everything sent and everything produced, and which part of them was cached or thought."""

from __future__ import annotations

from runner.model import Usage
from tests.parsers.recordings.row import (
    DONE,
    ENDED,
    HELLO,
    MENTION,
    ONE_PRODUCED,
    ONE_READ,
    ONE_SENT,
    ONE_THOUGHT,
    STEP,
    TIMEOUT,
    TWO_PRODUCED,
    TWO_READ,
    TWO_SENT,
    TWO_THOUGHT,
    UNKNOWN,
    Row,
)

# 0.169 has a count of cache writes, but the server behind these recordings reports none to it: 0.
ONE = Usage(ONE_SENT, ONE_PRODUCED, ONE_READ, 0, ONE_THOUGHT)
TWO = Usage(TWO_SENT, TWO_PRODUCED, TWO_READ, 0, TWO_THOUGHT)
# 0.123 knows neither cache writes nor reasoning.
ONE_OLD = Usage(ONE_SENT, ONE_PRODUCED, ONE_READ)
TWO_OLD = Usage(TWO_SENT, TWO_PRODUCED, TWO_READ)
AT_19_10 = 3 * 3600 + 13 * 60 + 20  # from BEGAN, 15:56:40

# fmt: off
ROWS = [
    Row("0.123.0", "auth", "failed auth", "", UNKNOWN, 0),
    Row("0.123.0", "commit", "success", DONE, TWO_OLD, 1),
    Row("0.123.0", "hello", "success", HELLO, ONE_OLD, 0),
    Row("0.123.0", "modelnotfound", "failed model_not_found", "", UNKNOWN, 0),
    Row("0.123.0", "overloaded", "failed overloaded", "", UNKNOWN, 0),
    Row("0.123.0", "planlimit", "rate_limited usage_limit", "", UNKNOWN, 0, AT_19_10 + 12 * 60),
    Row("0.123.0", "quota", "rate_limited rate_limit", "", UNKNOWN, 0),  # it says the same as for a rate limit
    Row("0.123.0", "ratelimit", "rate_limited rate_limit", "", UNKNOWN, 0),
    Row("0.123.0", "toolfail", "success", DONE, TWO_OLD, 1),
    Row("0.169.0", "auth", "failed auth", "", UNKNOWN, 0),
    Row("0.169.0", "big", "success", "", ONE, 0),  # the recorder cut the line of the text, not that of the end
    Row("0.169.0", "commit", "success", DONE, TWO, 1),
    Row("0.169.0", "commit-globalgit", "success", DONE, TWO, 1),
    Row("0.169.0", "commit-text", "success", DONE, UNKNOWN, None),
    Row("0.169.0", "commitlimit", "rate_limited rate_limit", STEP, UNKNOWN, 1),
    Row("0.169.0", "crash500", "failed server", "", UNKNOWN, 0),
    Row("0.169.0", "edit", "success", DONE, TWO, 1),
    Row("0.169.0", "flaky", "success", HELLO, ONE, 0),
    Row("0.169.0", "garbage", "failed network", "", UNKNOWN, 0),  # "stream disconnected", as for a broken connection
    Row("0.169.0", "hello", "success", HELLO, ONE, 0),
    Row("0.169.0", "hello-text", "success", HELLO, UNKNOWN, None),
    Row("0.169.0", "mention", "success", MENTION, ONE, 0),
    Row("0.169.0", "modelnotfound", "failed model_not_found", "", UNKNOWN, 0),
    Row("0.169.0", "modelnotfound-text", "failed model_not_found", "", UNKNOWN, None),
    Row("0.169.0", "overloaded", "failed overloaded", "", UNKNOWN, 0),
    Row("0.169.0", "planlimit", "rate_limited usage_limit", "", UNKNOWN, 0, AT_19_10),
    Row("0.169.0", "planwarn", "success", HELLO, ONE, 0),
    Row("0.169.0", "probe-argv-dash", ENDED, "", UNKNOWN, None),
    Row("0.169.0", "probe-argv-dashdash", "success", HELLO, ONE, 0),
    Row("0.169.0", "probe-argv-empty", "success", HELLO, ONE, 0),
    Row("0.169.0", "probe-argv-null", "success", HELLO, ONE, 0),
    Row("0.169.0", "probe-argv-open", TIMEOUT, "", UNKNOWN, None),
    Row("0.169.0", "probe-argv-tty", "success", HELLO, ONE, 0),
    Row("0.169.0", "probe-gint-sleep", ENDED, STEP, UNKNOWN, None),
    Row("0.169.0", "probe-gint-slow", ENDED, "", UNKNOWN, None),
    Row("0.169.0", "probe-gkill-sleep", ENDED, STEP, UNKNOWN, None),
    Row("0.169.0", "probe-gterm-sleep", ENDED, STEP, UNKNOWN, None),
    Row("0.169.0", "probe-gterm-slow", ENDED, "", UNKNOWN, None),
    Row("0.169.0", "probe-int-sleep", ENDED, STEP, UNKNOWN, None),
    Row("0.169.0", "probe-int-slow", ENDED, "", UNKNOWN, None),
    Row("0.169.0", "probe-kill-sleep", ENDED, STEP, UNKNOWN, None),
    Row("0.169.0", "probe-noprompt-empty", ENDED, "", UNKNOWN, None),
    Row("0.169.0", "probe-noprompt-null", ENDED, "", UNKNOWN, None),
    Row("0.169.0", "probe-offline", "failed network", "", UNKNOWN, None),
    Row("0.169.0", "probe-stdin-big", "success", HELLO, ONE, 0),
    Row("0.169.0", "probe-stdin-dash", "success", HELLO, ONE, 0),
    Row("0.169.0", "probe-term-sleep", ENDED, STEP, UNKNOWN, None),
    Row("0.169.0", "probe-term-slow", ENDED, "", UNKNOWN, None),
    Row("0.169.0", "quota", "failed billing", "", UNKNOWN, 0),
    Row("0.169.0", "ratelimit", "rate_limited rate_limit", "", UNKNOWN, 0),
    Row("0.169.0", "reset", "failed network", "", UNKNOWN, 0),
    Row("0.169.0", "slow", TIMEOUT, "", UNKNOWN, None),
    Row("0.169.0", "slow-long", TIMEOUT, "", UNKNOWN, None),
    Row("0.169.0", "stall", TIMEOUT, "", UNKNOWN, None),
    Row("0.169.0", "streamlimit", "rate_limited rate_limit", "", UNKNOWN, 0, 2.0),
    Row("0.169.0", "toolfail", "success", DONE, TWO, 1),
]
# fmt: on
