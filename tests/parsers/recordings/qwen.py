"""What qwen must come to. It tells everything sent and everything produced; reasoning in its json format alone; no cache writes."""

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

ONE = Usage(ONE_SENT, ONE_PRODUCED, ONE_READ)
TWO = Usage(TWO_SENT, TWO_PRODUCED, TWO_READ)
TWO_AS_JSON = Usage(TWO_SENT, TWO_PRODUCED, TWO_READ, None, TWO_THOUGHT)
# After a short session a second, hidden agent makes a call of the same size (`--bare` has none). It was paid for.
TWICE = Usage(2 * ONE_SENT, 2 * ONE_PRODUCED, 2 * ONE_READ)
TWICE_AS_JSON = Usage(2 * ONE_SENT, 2 * ONE_PRODUCED, 2 * ONE_READ, None, 2 * ONE_THOUGHT)

# Up to 0.21 these stand in a result that says success, with exit code 0.
KEY = (
    "[API Error: 401 Incorrect API key provided: stub-key. You can find your API key at "
    "https://platform.openai.com/account/api-keys.]"
)
MODEL = "[API Error: 404 The model `qwen3-coder-plus` does not exist or you do not have access to it.]"
SERVER = "[API Error: 500 The server had an error while processing your request. Sorry about that!]"
GARBAGE = "[API Error: Unexpected token '<', \"<html>\0\ufffd n\"... is not valid JSON]"
LIMIT = (
    "[API Error: Rate limit reached for qwen3-coder-plus in organization org-stub on tokens per min (TPM): Limit 30000, "
    "Used 29500, Requested 12000. Please try again in 2s. Visit https://platform.openai.com/account/rate-limits to learn "
    "more.]"
)
NETWORK = "[API Error: Connection error. (cause: fetch failed)]"

# fmt: off
ROWS = [
    Row("0.15.10", "auth", "failed auth", KEY, UNKNOWN, 0),
    Row("0.15.10", "big", ENDED, "", UNKNOWN, None),  # cut by the recorder
    Row("0.15.10", "commit", "success", DONE, TWO, 1),
    Row("0.15.10", "commit-globalgit", "success", DONE, TWO, 1),
    Row("0.15.10", "commit-json", "success", DONE, TWO_AS_JSON, 1),
    Row("0.15.10", "commitlimit", TIMEOUT, "", UNKNOWN, None),
    Row("0.15.10", "crash500", TIMEOUT, "", UNKNOWN, None),
    Row("0.15.10", "crash500-long", "failed server", SERVER, UNKNOWN, 0),
    Row("0.15.10", "edit", "success", DONE, TWO, 1),
    Row("0.15.10", "flaky", "success", HELLO, TWICE, 0),
    Row("0.15.10", "garbage", "failed server", GARBAGE, UNKNOWN, 0),
    Row("0.15.10", "hello", "success", HELLO, TWICE, 0),
    Row("0.15.10", "hello-bare", "success", HELLO, ONE, 0),
    Row("0.15.10", "hello-json", "success", HELLO, TWICE_AS_JSON, 0),
    Row("0.15.10", "hello-text", "success", HELLO, UNKNOWN, None),
    Row("0.15.10", "mention", "success", MENTION, TWICE, 0),
    Row("0.15.10", "modelnotfound", "failed model_not_found", MODEL, UNKNOWN, 0),
    Row("0.15.10", "modelnotfound-json", "failed model_not_found", MODEL, UNKNOWN, 0),
    Row("0.15.10", "modelnotfound-text", "failed model_not_found", "", UNKNOWN, None),
    Row("0.15.10", "overloaded", TIMEOUT, "", UNKNOWN, None),
    Row("0.15.10", "planlimit", TIMEOUT, "", UNKNOWN, None),
    Row("0.15.10", "probe-argv-dash", ENDED, "", UNKNOWN, None),
    Row("0.15.10", "probe-argv-dashdash", ENDED, "", UNKNOWN, None),
    Row("0.15.10", "probe-argv-empty", "success", HELLO, TWICE, 0),
    Row("0.15.10", "probe-argv-null", "success", HELLO, TWICE, 0),
    Row("0.15.10", "probe-argv-open", "success", HELLO, TWICE, 0),
    Row("0.15.10", "probe-argv-tty", "success", HELLO, TWICE, 0),
    Row("0.15.10", "probe-gint-sleep", ENDED, "", UNKNOWN, None),
    Row("0.15.10", "probe-gint-slow", ENDED, "", UNKNOWN, None),
    Row("0.15.10", "probe-gkill-sleep", ENDED, "", UNKNOWN, None),
    Row("0.15.10", "probe-gterm-sleep", ENDED, "", UNKNOWN, None),
    Row("0.15.10", "probe-gterm-slow", ENDED, "", UNKNOWN, None),
    Row("0.15.10", "probe-int-sleep", ENDED, "", UNKNOWN, None),
    Row("0.15.10", "probe-int-slow", ENDED, "", UNKNOWN, None),
    Row("0.15.10", "probe-kill-sleep", "success", DONE, TWO, 1),  # its tool refuses to sleep, so it was over before the signal
    Row("0.15.10", "probe-noprompt-empty", ENDED, "", UNKNOWN, None),
    Row("0.15.10", "probe-noprompt-null", ENDED, "", UNKNOWN, None),
    Row("0.15.10", "probe-offline", "failed network", NETWORK, UNKNOWN, 0),
    Row("0.15.10", "probe-stdin-big", "success", HELLO, TWICE, 0),
    Row("0.15.10", "probe-stdin-dash", "success", HELLO, TWICE, 0),
    Row("0.15.10", "probe-term-sleep", ENDED, "", UNKNOWN, None),
    Row("0.15.10", "probe-term-slow", ENDED, "", UNKNOWN, None),
    Row("0.15.10", "quota", TIMEOUT, "", UNKNOWN, None),
    Row("0.15.10", "ratelimit", TIMEOUT, "", UNKNOWN, None),
    Row("0.15.10", "ratelimit-long", TIMEOUT, "", UNKNOWN, None),  # it retries in silence: nothing tells the limit
    Row("0.15.10", "reset", "failed network", NETWORK, UNKNOWN, 0),
    Row("0.15.10", "slow", TIMEOUT, "", UNKNOWN, None),
    Row("0.15.10", "stall", TIMEOUT, "", UNKNOWN, None),
    Row("0.15.10", "streamlimit", "rate_limited rate_limit", LIMIT, UNKNOWN, 0, 2.0),
    Row("0.15.10", "toolfail", "success", DONE, TWO, 1),
    Row("0.24.4", "auth", "failed auth", KEY, UNKNOWN, 0),
    Row("0.24.4", "commit", "success", DONE, TWO, 1),
    Row("0.24.4", "hello", "success", HELLO, TWICE, 0),
    Row("0.24.4", "modelnotfound", "failed model_not_found", MODEL, UNKNOWN, 0),
    Row("0.24.4", "quota", TIMEOUT, "", UNKNOWN, None),
    Row("0.24.4", "ratelimit", TIMEOUT, "", UNKNOWN, None),
    Row("0.24.4", "toolfail", "success", DONE, TWO, 1),
]
# fmt: on
