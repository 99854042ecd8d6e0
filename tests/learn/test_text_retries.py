"""What is proposed for a CLI that prints text, retries for long, wraps its errors, and ends with 0 whatever happened."""

from __future__ import annotations

from typing import Any

from runner.learn.propose import Proposal, judged, propose
from runner.learn.sample import Sample, Truth, decode, form_of
from runner.parsers import compile_parser
from runner.values import replace
from tests.parsing import NOON

BANNER = "Wordy v1.2\nUsing 3 files\n\n"
HELLO, COUNT = "Hello there, stranger.", "\nTokens: 2.4k sent, 62 received.\n"
LIMITED = "lib.RateLimitError: the service said that for\nmodel m the limit is 30,000, used\n29,500 of it.\nRetrying in {} seconds...\n"
BUSY = "lib.UnavailableError: the service has too\nmuch to do, it is overloaded now.\nRetrying in {} seconds...\n"
DENIED = "lib.AuthenticationError: Incorrect API key\n"


def retries(error: str) -> str:
    return "".join(error.format(number) for number in (0.2, 0.5, 1, 2))


def sample(name: str, text: str, reason: str | None = None, code: int | None = 0) -> Sample:
    said = HELLO if reason is None else ""
    return Sample(name, text.encode(), b"", code, Truth(reason, said, (), 0), 1.0)


SAMPLES = [
    sample("hello", f"{BANNER}{HELLO}\n{COUNT}"),
    sample("again", f"{BANNER}{HELLO}\n{COUNT}"),
    sample("auth", f"{BANNER}{DENIED}", "auth"),
    sample("ratelimit", f"{BANNER}{retries(LIMITED)}", "rate_limit", None),
    sample(
        "overloaded", f"{BANNER}{retries(BUSY)}lib.UnavailableError: the service has too\nmuch to do.\n", "overloaded"
    ),
]


def of_samples(samples: list[Sample]) -> Proposal:
    form = form_of(samples)
    return propose([decode(one, form) for one in samples], form)


def proposed() -> dict[str, Any]:
    parser: dict[str, Any] = dict(of_samples(SAMPLES).parser)
    return parser


def test_all_are_judged_right() -> None:
    assert [(one.sample.name, one.is_right) for one in of_samples(SAMPLES).judged] == [
        (one.name, True) for one in SAMPLES
    ]


def test_an_error_that_was_overcome_does_not_count() -> None:
    parser = proposed()

    assert parser["success"]["match"].startswith("^Tokens:")
    found = judged(parser, Sample("overcome", f"{BANNER}{retries(BUSY)}{HELLO}\n{COUNT}".encode()))
    assert (found.verdict.status, found.verdict.reason) == ("success", None)
    assert judged(parser, Sample("lost", f"{BANNER}{retries(LIMITED)}".encode())).verdict.reason == "rate_limit"


def test_the_lines_of_an_error_are_no_progress() -> None:
    """So a run that only retries is ended, with the class of the error."""
    parser = proposed()
    reader = compile_parser(parser).reader(lambda: NOON)
    reader.feed("stdout", f"{BANNER}{retries(LIMITED)}".encode(), 0)

    assert "^model m the limit is [\\d.,]+[km]?, used$" in parser["quiet"]
    assert reader.live.retries == 4
    assert reader.live.watch is not None
    assert reader.live.watch.kind == "rate_limit"


def test_an_exit_code_that_tells_needs_no_pattern() -> None:
    coded = [replace(one, code=one.code if one.is_good or one.code is None else 4) for one in SAMPLES]

    parser = of_samples(coded).parser
    assert "failure" not in parser
    assert "success" not in parser


def test_a_count_of_its_own_is_not_proposed() -> None:
    """It says 2.4k, and the server counted none."""
    assert "usage.input_tokens" not in proposed().get("fields", {})
