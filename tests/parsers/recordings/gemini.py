"""What gemini must come to. Its output_tokens are without reasoning; the total less the input has both. No cache writes."""

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
    TIMEOUT,
    TWO_PRODUCED,
    TWO_READ,
    TWO_SENT,
    TWO_THOUGHT,
    UNKNOWN,
    Row,
)

ONE = Usage(ONE_SENT, ONE_PRODUCED, ONE_READ, None, ONE_THOUGHT)
TWO = Usage(TWO_SENT, TWO_PRODUCED, TWO_READ, None, TWO_THOUGHT)
# `auto` asks a small model first which model to ask: 11 sent, 3 produced.
ONE_ROUTED = Usage(ONE_SENT + 11, ONE_PRODUCED + 3, ONE_READ, None, ONE_THOUGHT)
TWO_ROUTED = Usage(TWO_SENT + 11, TWO_PRODUCED + 3, TWO_READ, None, TWO_THOUGHT)
# The answer that breaks off is asked for four times, and counted four times.
FOUR_TIMES = Usage(4 * ONE_SENT, 4 * ONE_PRODUCED, 4 * ONE_READ, None, 4 * ONE_THOUGHT)

# fmt: off
ROWS = [
    Row("0.61.0", "auth", "failed auth", "", UNKNOWN, 0),
    Row("0.61.0", "big", "failed agent_error", "", UNKNOWN, 0),  # "Loop detected, stopping execution": no answer, and a result that says success
    Row("0.61.0", "commit", "success", DONE, TWO, 1),
    Row("0.61.0", "commit-auto", "success", DONE, TWO_ROUTED, 1),
    Row("0.61.0", "commit-globalgit", "success", DONE, TWO, 1),  # nothing was committed: the postcondition finds that
    Row("0.61.0", "commit-globalgit-gitenv", "success", DONE, TWO, 1),
    Row("0.61.0", "commit-notrustflag", "failed permission", "", UNKNOWN, None),
    Row("0.61.0", "commit-trustenv", "success", DONE, TWO, 1),
    Row("0.61.0", "commitlimit", "rate_limited rate_limit", "", UNKNOWN, None, 35.945),
    Row("0.61.0", "crash500", "failed server", "", UNKNOWN, None),
    Row("0.61.0", "crash500-long", "failed server", "", UNKNOWN, 0),
    Row("0.61.0", "edit", "success", DONE, TWO, 1),
    Row("0.61.0", "flaky", "success", HELLO, ONE, 0),
    Row("0.61.0", "garbage", "failed server", "", UNKNOWN, 0),
    Row("0.61.0", "hello", "success", HELLO, ONE, 0),
    Row("0.61.0", "hello-auto", "success", HELLO, ONE_ROUTED, 0),
    Row("0.61.0", "hello-json", "success", HELLO, ONE, 0),
    Row("0.61.0", "hello-text", "success", HELLO, UNKNOWN, None),
    Row("0.61.0", "mention", "success", MENTION, ONE, 0),
    Row("0.61.0", "modelnotfound", "failed model_not_found", "", UNKNOWN, 0),
    Row("0.61.0", "modelnotfound-json", "failed model_not_found", "", UNKNOWN, None),
    Row("0.61.0", "modelnotfound-text", "failed model_not_found", "", UNKNOWN, None),
    Row("0.61.0", "overloaded", "failed overloaded", "", UNKNOWN, None),
    Row("0.61.0", "planlimit", "rate_limited usage_limit", "", UNKNOWN, None, 3 * 3600),
    Row("0.61.0", "probe-argv-dash", ENDED, "", UNKNOWN, None),
    Row("0.61.0", "probe-argv-dashdash", ENDED, "", UNKNOWN, None),
    Row("0.61.0", "probe-argv-empty", "success", HELLO, ONE, 0),
    Row("0.61.0", "probe-argv-null", "success", HELLO, ONE, 0),
    Row("0.61.0", "probe-argv-open", "success", HELLO, ONE, 0),
    Row("0.61.0", "probe-argv-tty", "success", HELLO, ONE, 0),
    Row("0.61.0", "probe-gint-slow", ENDED, "", UNKNOWN, None),
    Row("0.61.0", "probe-gkill-sleep", ENDED, "", UNKNOWN, None),
    Row("0.61.0", "probe-gterm-sleep", ENDED, "", UNKNOWN, None),
    Row("0.61.0", "probe-gterm-slow", ENDED, "", UNKNOWN, None),
    Row("0.61.0", "probe-int-sleep", TIMEOUT, "", UNKNOWN, None),
    Row("0.61.0", "probe-int-slow", TIMEOUT, "", UNKNOWN, None),
    Row("0.61.0", "probe-kill-sleep", ENDED, "", UNKNOWN, None),
    Row("0.61.0", "probe-noprompt-empty", ENDED, "", UNKNOWN, None),
    Row("0.61.0", "probe-noprompt-null", ENDED, "", UNKNOWN, None),
    Row("0.61.0", "probe-offline", "failed network", "", UNKNOWN, None),
    Row("0.61.0", "probe-stdin-big", "success", HELLO, ONE, 0),
    Row("0.61.0", "probe-stdin-dash", "success", HELLO, ONE, 0),
    Row("0.61.0", "probe-term-sleep", TIMEOUT, "", UNKNOWN, None),
    Row("0.61.0", "probe-term-slow", TIMEOUT, "", UNKNOWN, None),
    Row("0.61.0", "quota", "rate_limited usage_limit", "", UNKNOWN, 0),
    Row("0.61.0", "quota-json", "rate_limited usage_limit", "", UNKNOWN, None),
    Row("0.61.0", "ratelimit", "rate_limited rate_limit", "", UNKNOWN, None, 31.72),
    Row("0.61.0", "ratelimit-long", "rate_limited rate_limit", "", UNKNOWN, 0, 2.5),
    Row("0.61.0", "reset", "failed network", "", UNKNOWN, None),
    Row("0.61.0", "slow", TIMEOUT, "", UNKNOWN, None),
    Row("0.61.0", "stall", TIMEOUT, "Hello from ", UNKNOWN, None),
    Row("0.61.0", "streamlimit", "failed server", 4 * "Hello from ", FOUR_TIMES, 0),
    Row("0.61.0", "toolfail", "success", DONE, TWO, 1),
]
# fmt: on
