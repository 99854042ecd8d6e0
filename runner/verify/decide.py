"""What checks say of a run: each one's result, and the verdict on all of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from runner.units import format_duration, signal_name
from runner.values import dataclass, replace
from runner.verify.checks import Check, Checked, Ran

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject

PASSED, FAILED, NOT_RUN = "passed", "failed", "not_run"


@dataclass(frozen=True)
class Decision:
    """`reason` is `verify_failed`, `unverified` or None when all that is required passed; `check` failed first."""

    reason: str | None = None
    message: str | None = None
    notes: tuple[str, ...] = ()
    check: str | None = None


def result_of(checked: Checked, on_red_base: str = "report") -> str:
    """`passed`, `failed` or `not_run`; where the base was red and a report tells the tests, only new failures count."""
    check, after = checked.check, checked.after
    if after is None:
        return NOT_RUN
    if after.is_good(check) or _is_flaky(checked):
        return PASSED
    if _is_red(checked) and on_red_base != "fix" and new_failures(checked) == frozenset():
        return PASSED
    return FAILED


def new_failures(checked: Checked) -> frozenset[str] | None:
    """The failed tests that did not fail before; None where no report tells, before or after."""
    before, after = checked.before, checked.after
    if before is None or after is None or before.failures is None or after.failures is None:
        return None
    return after.failures - before.failures


def decide(all_checked: Sequence[Checked], on_red_base: str = "report") -> Decision:
    """The first required check that failed decides; one that failed before, too, and tells no tests, says nothing."""
    notes: list[str] = []
    failed: Decision | None = None
    unsure: str | None = None
    for checked in all_checked:
        check = checked.check
        if _is_flaky(checked):
            notes.append(f"the check `{check.name}` failed once and passed when it was run again")
        result = result_of(checked, on_red_base)
        if result == PASSED and _is_red(checked) and checked.after and not checked.after.is_good(check):
            notes.append(f"the check `{check.name}` was red before, and has no new failures")
        if result != FAILED:
            continue
        said = f"the check `{check.name}` {_ending(check, checked.after)}"
        if not check.require or check.kind == "fix":
            notes.append(said)
        elif _is_red(checked) and on_red_base == "report" and new_failures(checked) is None:
            unsure = unsure or f"{said}, as it did before the agent, so it says nothing about this work"
        else:
            failed = failed or Decision("verify_failed", said + _named(new_failures(checked)), check=check.name)
    if failed:
        return replace(failed, notes=tuple(notes))
    if unsure:
        return Decision("unverified", unsure, (*notes, unsure))
    return Decision(notes=tuple(notes))


def is_red(check: Check, before: Ran | None) -> bool:
    return before is not None and not before.is_good(check)


def entry_of(checked: Checked, on_red_base: str = "report") -> JsonObject:
    """The check in the record."""
    check, last = checked.check, checked.again or checked.after
    return {
        "name": check.name,
        "kind": check.kind,
        "baseline": _word(check, checked.before),
        "result": result_of(checked, on_red_base),
        "exit_code": last.code if last else None,
        "seconds": round(last.seconds, 3) if last else None,
        "flaky": _is_flaky(checked),
        "log": checked.log,
    }


def _word(check: Check, ran: Ran | None) -> str:
    return NOT_RUN if ran is None else PASSED if ran.is_good(check) else FAILED


def _is_red(checked: Checked) -> bool:
    return is_red(checked.check, checked.before)


def _is_flaky(checked: Checked) -> bool:
    failed = checked.after is not None and not checked.after.is_good(checked.check)
    return failed and checked.again is not None and checked.again.is_good(checked.check)


def _ending(check: Check, ran: Ran | None) -> str:
    if ran is None or ran.error is not None:
        return f"could not be started ({ran.error})" if ran else "was not run"
    if ran.code is None:
        return f"did not end within {format_duration(check.timeout)}"
    return f"was ended by {signal_name(-ran.code)}" if ran.code < 0 else f"ended with exit code {ran.code}"


def _named(failures: frozenset[str] | None) -> str:
    if not failures:
        return ""
    names = sorted(failures)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f": {', '.join(names[:3])}{more}"
