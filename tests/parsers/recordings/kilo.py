"""What kilo, a fork of opencode, must come to."""

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
    STEP_PRODUCED,
    STEP_READ,
    STEP_SENT,
    STEP_THOUGHT,
    TIMEOUT,
    TWO_PRODUCED,
    TWO_READ,
    TWO_SENT,
    TWO_THOUGHT,
    UNKNOWN,
    Row,
)

# The chat protocol behind these recordings reports no cache writes; the CLI fills in 0.
ONE = Usage(ONE_SENT, ONE_PRODUCED, ONE_READ, 0, ONE_THOUGHT)
TWO = Usage(TWO_SENT, TWO_PRODUCED, TWO_READ, 0, TWO_THOUGHT)
FIRST = Usage(STEP_SENT, STEP_PRODUCED, STEP_READ, 0, STEP_THOUGHT)  # of two calls, the second failed

# fmt: off
ROWS = [
    Row("7.7.7", "auth", "failed auth", "", UNKNOWN, 0),
    Row("7.7.7", "big", "success", "", ONE, 0),  # the recorder cut the line of the text, not that of the end
    Row("7.7.7", "commit", "success", DONE, TWO, 1),
    Row("7.7.7", "commit-globalgit", "success", DONE, TWO, 1),
    Row("7.7.7", "commit-noauto", "failed permission", STEP, FIRST, 1),
    Row("7.7.7", "commitlimit", "rate_limited rate_limit", STEP, FIRST, 1, 2.0),
    Row("7.7.7", "crash500", TIMEOUT, "", UNKNOWN, None),
    Row("7.7.7", "edit", "success", DONE, TWO, 1),
    Row("7.7.7", "flaky", "success", HELLO, ONE, 0),
    Row("7.7.7", "garbage", "failed server", "", UNKNOWN, 0),
    Row("7.7.7", "hello", "success", HELLO, ONE, 0),
    Row("7.7.7", "hello-nonpm", "success", HELLO, ONE, 0),
    Row("7.7.7", "hello-unknownmodel", "failed model_not_found", "", UNKNOWN, 0),
    Row("7.7.7", "mention", "success", MENTION, ONE, 0),
    Row("7.7.7", "modelnotfound", "failed model_not_found", "", UNKNOWN, 0),
    Row("7.7.7", "overloaded", TIMEOUT, "", UNKNOWN, None),
    Row("7.7.7", "planlimit", TIMEOUT, "", UNKNOWN, None),  # without --print-logs it retries in silence
    Row("7.7.7", "probe-argv-dash", ENDED, "", UNKNOWN, None),
    Row("7.7.7", "probe-argv-dashdash", "success", HELLO, ONE, 0),
    Row("7.7.7", "probe-argv-empty", "success", HELLO, ONE, 0),
    Row("7.7.7", "probe-argv-null", "success", HELLO, ONE, 0),
    Row("7.7.7", "probe-argv-open", "success", HELLO, ONE, 0),
    Row("7.7.7", "probe-argv-tty", "success", HELLO, ONE, 0),
    Row("7.7.7", "probe-gkill-sleep", ENDED, STEP, UNKNOWN, None),
    Row("7.7.7", "probe-gterm-sleep", ENDED, STEP, UNKNOWN, None),
    Row("7.7.7", "probe-int-sleep", ENDED, STEP, UNKNOWN, None),
    Row("7.7.7", "probe-int-slow", ENDED, "", UNKNOWN, None),
    Row("7.7.7", "probe-kill-sleep", ENDED, STEP, UNKNOWN, None),
    Row("7.7.7", "probe-noprompt-empty", ENDED, "", UNKNOWN, None),
    Row("7.7.7", "probe-offline", TIMEOUT, "", UNKNOWN, None),
    Row("7.7.7", "probe-stdin-big", "success", HELLO, ONE, 0),
    Row("7.7.7", "probe-stdin-dash", "success", HELLO, ONE, 0),
    Row("7.7.7", "probe-term-sleep", ENDED, STEP, UNKNOWN, None),
    Row("7.7.7", "probe-term-slow", ENDED, "", UNKNOWN, None),
    Row("7.7.7", "quota", TIMEOUT, "", UNKNOWN, None),
    Row("7.7.7", "quota-long", "failed billing", "", UNKNOWN, 0),
    Row("7.7.7", "ratelimit", "rate_limited rate_limit", "", UNKNOWN, 0, 2.0),
    Row("7.7.7", "reset", TIMEOUT, "", UNKNOWN, None),
    Row("7.7.7", "slow", TIMEOUT, "", UNKNOWN, None),
    Row("7.7.7", "stall", TIMEOUT, "", UNKNOWN, None),
    Row("7.7.7", "streamlimit", "rate_limited rate_limit", "", UNKNOWN, 0, 2.0),
    Row("7.7.7", "toolfail", "success", DONE, TWO, 1),
]
# fmt: on
