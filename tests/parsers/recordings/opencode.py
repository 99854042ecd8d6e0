"""What opencode must come to. It tells each step, in parts that do not overlap, and never the model."""

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
    Row("1.18.33", "auth", "failed auth", "", UNKNOWN, 0),
    Row("1.18.33", "big", "success", "", ONE, 0),  # the recorder cut the line of the text, not that of the end
    Row("1.18.33", "commit", "success", DONE, TWO, 1),
    Row("1.18.33", "commit-auto", "success", DONE, TWO, 1),
    Row("1.18.33", "commit-globalgit", "success", DONE, TWO, 1),
    Row("1.18.33", "commitlimit", "rate_limited rate_limit", STEP, FIRST, 1, 2.0),
    Row("1.18.33", "crash500", TIMEOUT, "", UNKNOWN, None),
    Row("1.18.33", "edit", "success", DONE, TWO, 1),
    Row("1.18.33", "flaky", "success", HELLO, ONE, 0),
    Row("1.18.33", "garbage", "failed server", "", UNKNOWN, 0),
    Row("1.18.33", "hello", "success", HELLO, ONE, 0),
    Row("1.18.33", "hello-nonpm", "success", HELLO, ONE, 0),
    Row("1.18.33", "hello-text", "success", HELLO, UNKNOWN, None),
    Row("1.18.33", "hello-unknownmodel", "failed agent_error", "", UNKNOWN, 0),
    Row("1.18.33", "hello-unknownmodel-printlogs", "failed model_not_found", "", UNKNOWN, 0),
    Row("1.18.33", "mention", "success", MENTION, ONE, 0),
    Row("1.18.33", "modelnotfound", "failed model_not_found", "", UNKNOWN, 0),
    Row("1.18.33", "modelnotfound-text", "failed model_not_found", "", UNKNOWN, None),
    Row("1.18.33", "overloaded", TIMEOUT, "", UNKNOWN, None),
    Row("1.18.33", "planlimit", TIMEOUT, "", UNKNOWN, None),  # without --print-logs it retries in silence
    Row("1.18.33", "probe-argv-dash", ENDED, "", UNKNOWN, None),
    Row("1.18.33", "probe-argv-dashdash", "success", HELLO, ONE, 0),
    Row("1.18.33", "probe-argv-empty", "success", HELLO, ONE, 0),
    Row("1.18.33", "probe-argv-null", "success", HELLO, ONE, 0),
    Row("1.18.33", "probe-argv-open", TIMEOUT, "", UNKNOWN, None),
    Row("1.18.33", "probe-argv-tty", "success", HELLO, ONE, 0),
    Row("1.18.33", "probe-gkill-sleep", ENDED, STEP, UNKNOWN, None),
    Row("1.18.33", "probe-gterm-sleep", ENDED, STEP, UNKNOWN, None),
    Row("1.18.33", "probe-gterm-slow", ENDED, "", UNKNOWN, None),
    Row("1.18.33", "probe-int-sleep", TIMEOUT, STEP, UNKNOWN, None),
    Row("1.18.33", "probe-int-slow", ENDED, "", UNKNOWN, None),
    Row("1.18.33", "probe-kill-sleep", ENDED, STEP, UNKNOWN, None),
    Row("1.18.33", "probe-noprompt-empty", ENDED, "", UNKNOWN, None),
    Row("1.18.33", "probe-noprompt-null", ENDED, "", UNKNOWN, None),
    Row("1.18.33", "probe-offline", TIMEOUT, "", UNKNOWN, None),
    Row("1.18.33", "probe-stdin-big", "success", HELLO, ONE, 0),
    Row("1.18.33", "probe-stdin-dash", "success", HELLO, ONE, 0),
    Row("1.18.33", "probe-term-sleep", ENDED, STEP, UNKNOWN, None),
    Row("1.18.33", "probe-term-slow", ENDED, "", UNKNOWN, None),
    Row("1.18.33", "quota", TIMEOUT, "", UNKNOWN, None),
    Row("1.18.33", "quota-long", "failed billing", "", UNKNOWN, 0),
    Row("1.18.33", "quota-printlogs", "failed billing", "", UNKNOWN, None),
    Row("1.18.33", "ratelimit", "rate_limited rate_limit", "", UNKNOWN, 0, 2.0),
    Row("1.18.33", "reset", TIMEOUT, "", UNKNOWN, None),
    Row("1.18.33", "slow", TIMEOUT, "", UNKNOWN, None),
    Row("1.18.33", "stall", TIMEOUT, "", UNKNOWN, None),
    Row("1.18.33", "streamlimit", TIMEOUT, "", UNKNOWN, None),
    Row("1.18.33", "toolfail", "success", DONE, TWO, 1),
]
# fmt: on
