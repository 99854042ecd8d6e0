"""Verify, baseline, flaky and report: what each combination says of the work. Pure."""

from __future__ import annotations

import pytest

from runner.verify.checks import Check, Checked, Ran
from runner.verify.decide import decide, entry_of
from runner.verify.junit import failures_in

GOOD, BAD, SLOW, KILLED = Ran(0), Ran(1), Ran(None, 600.0), Ran(-9)
GONE = Ran(None, error="`pytest` was not found on PATH")


def failed(*names: str, code: int = 1) -> Ran:
    return Ran(code, failures=frozenset(names))


# before, after, once more, what a red base means, the result, the reason
TABLE: list[tuple[Ran | None, Ran | None, Ran | None, str, str, str | None]] = [
    (GOOD, GOOD, None, "report", "passed", None),
    (GOOD, BAD, None, "report", "failed", "verify_failed"),
    (GOOD, BAD, BAD, "report", "failed", "verify_failed"),
    (GOOD, BAD, GOOD, "report", "passed", None),  # flaky
    (GOOD, SLOW, SLOW, "report", "failed", "verify_failed"),
    (GOOD, SLOW, GOOD, "report", "passed", None),
    (GOOD, KILLED, KILLED, "report", "failed", "verify_failed"),
    (GOOD, GONE, GONE, "report", "failed", "verify_failed"),  # it could be started before: the agent removed it
    (GOOD, None, None, "report", "not_run", None),  # nothing that it is for was changed
    (None, GOOD, None, "report", "passed", None),
    (None, BAD, BAD, "report", "failed", "verify_failed"),
    (None, BAD, GOOD, "report", "passed", None),
    (None, None, None, "report", "not_run", None),
    (None, GONE, GONE, "report", "failed", "verify_failed"),
    (BAD, GOOD, None, "report", "passed", None),
    (BAD, BAD, None, "report", "failed", "unverified"),
    (BAD, SLOW, None, "report", "failed", "unverified"),
    (BAD, KILLED, None, "report", "failed", "unverified"),
    (SLOW, BAD, None, "report", "failed", "unverified"),
    (KILLED, BAD, None, "report", "failed", "unverified"),
    (GONE, BAD, None, "report", "failed", "unverified"),
    (BAD, GOOD, None, "fix", "passed", None),
    (BAD, BAD, None, "fix", "failed", "verify_failed"),
    (SLOW, SLOW, None, "fix", "failed", "verify_failed"),
    (failed("a"), failed("a"), None, "report", "passed", None),
    (failed("a", "b"), failed("a"), None, "report", "passed", None),
    (failed("a"), failed("a", "b"), None, "report", "failed", "verify_failed"),
    (failed("a"), failed("b"), None, "report", "failed", "verify_failed"),
    (failed("a"), failed(), None, "report", "passed", None),  # a bad exit code, and no test that failed
    (failed("a"), failed("a"), None, "fix", "failed", "verify_failed"),
    (failed("a"), failed(code=0), None, "fix", "passed", None),
    (failed("a"), BAD, None, "report", "failed", "unverified"),  # the report is gone
    (BAD, failed("a"), None, "report", "failed", "unverified"),
    (failed(code=0), failed("a"), failed("a"), "report", "failed", "verify_failed"),
    (failed(code=0), failed("a"), failed(code=0), "report", "passed", None),
    (GOOD, failed("a"), None, "report", "failed", "verify_failed"),
]


@pytest.mark.parametrize(("before", "after", "again", "on_red_base", "result", "reason"), TABLE)
def test_a_required_check(
    before: Ran | None, after: Ran | None, again: Ran | None, on_red_base: str, result: str, reason: str | None
) -> None:
    checked = Checked(Check("tests", ("pytest",), 600.0), before, after, again)

    assert entry_of(checked, on_red_base)["result"] == result
    decision = decide([checked], on_red_base)
    assert decision.reason == reason
    assert (decision.message is None) == (reason is None)


@pytest.mark.parametrize(("before", "after", "again", "on_red_base", "result", "reason"), TABLE)
def test_a_check_that_only_warns_decides_nothing(
    before: Ran | None, after: Ran | None, again: Ran | None, on_red_base: str, result: str, reason: str | None
) -> None:
    checked = Checked(Check("tests", ("pytest",), 600.0, require=False), before, after, again)

    decision = decide([checked], on_red_base)
    assert decision.reason is None
    assert result != "failed" or any("`tests`" in note for note in decision.notes)


SAID = [
    (BAD, "the check `tests` ended with exit code 1"),
    (SLOW, "the check `tests` did not end within 10m00s"),
    (KILLED, "the check `tests` was ended by SIGKILL"),
    (GONE, "the check `tests` could not be started (`pytest` was not found on PATH)"),
]


@pytest.mark.parametrize(("ran", "said"), SAID, ids=[said for _, said in SAID])
def test_the_message_says_how_it_ended(ran: Ran, said: str) -> None:
    assert decide([Checked(Check("tests", ("pytest",), 600.0), GOOD, ran, ran)]).message == said


def test_new_failures_are_named() -> None:
    checked = Checked(Check("tests", ("pytest",), 600.0), failed("a"), failed("a", *(f"new{at}" for at in range(5))))
    assert decide([checked]).message == "the check `tests` ended with exit code 1: new0, new1, new2 and 2 more"


def test_the_first_required_failure_decides_before_what_is_not_sure() -> None:
    def check(name: str, **more: bool) -> Check:
        return Check(name, (name,), 600.0, **more)

    unsure = Checked(check("old"), BAD, BAD)
    failed = Checked(check("new"), GOOD, BAD, BAD)
    warned = Checked(check("style", require=False), GOOD, BAD, BAD)
    decision = decide([unsure, warned, failed])
    assert (decision.reason, decision.check) == ("verify_failed", "new")
    assert any("`style`" in note for note in decision.notes)


PASSES = Check("x", ("x",), 1.0, ok_exit=(0, 5))


def test_other_exit_codes_may_be_good() -> None:
    assert decide([Checked(PASSES, GOOD, Ran(5))]).reason is None
    assert decide([Checked(PASSES, GOOD, Ran(6), Ran(6))]).reason == "verify_failed"


REPORTS: list[tuple[bytes, set[str] | None]] = [
    (b'<testsuite><testcase classname="a" name="b"/></testsuite>', set()),
    (b'<testsuite><testcase classname="a" name="b"><failure/></testcase></testsuite>', {"a.b"}),
    (b'<testsuites><testsuite><testcase name="b"><error>x</error></testcase></testsuite></testsuites>', {"b"}),
    (b'<testsuite><testcase name="b"><skipped/></testcase></testsuite>', set()),
    (b"", None),
    (b"no xml", None),
    (b"<testsuite>", None),
    (b"<html/>", None),
    (b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><testsuite>&b;</testsuite>', None),
    (b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuite>&a;</testsuite>', None),
    (b"<testsuite>" + b"<a>" * 100_000, None),
]


@pytest.mark.parametrize(("report", "failures"), REPORTS, ids=[str(report[:50]) for report, _ in REPORTS])
def test_a_report(report: bytes, failures: set[str] | None) -> None:
    assert failures_in(report) == failures
