"""A run's checks after its agent has ended: on its final commit, and what they make of the verdict."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from runner import git
from runner.files import read_bytes, unlink
from runner.mask import plain_forms, secrets_of
from runner.model import Changes, Evidence, Limits, Outcome, Result, Verdict
from runner.process.pump import Log, Streams
from runner.process.signals import Signals
from runner.reasons import reason_of
from runner.run.active import ActiveRun
from runner.run.checks import checks_of, failures_of, place_of, remove_report
from runner.run.execution import supervise_command
from runner.run.judge import tampered
from runner.run.progress import say
from runner.text import one_line
from runner.units import signal_name
from runner.values import replace
from runner.verify.checks import Check, Checked, Ran
from runner.verify.decide import decide, entry_of, is_red
from runner.verify.tree import TreeError

_MAX_LOG = 16 << 20


def verified(active: ActiveRun, result: Result, signals: Signals) -> Result:
    """Judge a good run by its checks, on its final commit."""
    checks, on_red_base = checks_of(active.invocation), (active.invocation.verify or {})["on_red_base"]
    none = tuple(entry_of(Checked(check, active.baseline.get(check.name))) for check in checks)
    if result.verdict.status != "success" or result.verdict.reason == "nothing_to_do" or not result.changes.commits:
        return replace(result, verify=none)
    if result.changes.tampered:
        named = ", ".join(result.changes.tampered[:3])
        verdict = tampered(f"nothing was verified: {named} was changed", result.changes)
        return replace(result, verdict=verdict, verify=none)
    fixes = [check for check in checks if check.kind == "fix"]
    result, done = _fixed(active, result, fixes, signals)
    try:
        checks = [check for check in checks if check.kind != "fix"]
        done += _against_base(active, result.changes, list(_checked(active, result.changes, checks, signals)), signals)
    except TreeError as error:
        verdict = _verdict("unverified", None, (*result.verdict.notes, f"nothing was verified: {error}"))
        return replace(result, verdict=verdict, verify=none)
    entries = tuple(entry_of(one, on_red_base) for one in done)
    if signals.first is not None:
        message = f"the runner received {signal_name(signals.first)} while it verified"
        verdict = Verdict("interrupted", "interrupted", 128 + signals.first, message)
        return replace(result, verdict=verdict, verify=entries)
    return replace(result, verdict=_decided(active, result.verdict, done), verify=entries)


def _decided(active: ActiveRun, verdict: Verdict, done: Sequence[Checked]) -> Verdict:
    decision = decide(done, (active.invocation.verify or {})["on_red_base"])
    notes = (*verdict.notes, *decision.notes)
    if decision.reason is None:
        return replace(verdict, notes=notes)
    if decision.reason == "unverified":
        return _verdict("unverified", None, notes)
    evidence = next((_evidence(active, one.log) for one in done if one.check.name == decision.check and one.log), None)
    return replace(_verdict(decision.reason, decision.message, notes), evidence=evidence)


def _evidence(active: ActiveRun, log: str) -> Evidence | None:
    """The last line that a check printed."""
    try:
        text = read_bytes(os.path.join(active.invocation.run_dir, log), _MAX_LOG).rstrip()
    except OSError:
        return None
    start = text.rfind(b"\n") + 1
    return Evidence(log, start, one_line(text[start:].decode(errors="replace"), 200)) if text else None


def _verdict(reason: str, message: str | None, notes: tuple[str, ...]) -> Verdict:
    row = reason_of(reason)
    return Verdict(row.status, reason, row.exit_code or 0, message, notes=notes)


def _fixed(active: ActiveRun, result: Result, fixes: Sequence[Check], signals: Signals) -> tuple[Result, list[Checked]]:
    """Run the commands that change files, and commit what they changed as the runner's own."""
    if not fixes:
        return result, []
    if _is_dirty(active, result.changes):
        note = "the fixes were not run: the checkout holds changes that are not committed"
        verdict = replace(result.verdict, notes=(*result.verdict.notes, note))
        return replace(result, verdict=verdict), [Checked(check) for check in fixes]
    invocation = active.invocation
    place = invocation.cwd, (invocation.verify or {})["prefix"]
    done = [Checked(check, None, _supervised(check, active, place, signals), None, _log_name(check)) for check in fixes]
    env = {**active.site.machine.environ, **active.before.identity}
    after = git.snapshot(invocation.cwd, env, active.before)
    if not git.changes(invocation.cwd, active.before, after, env).dirt:
        return result, done
    names = ", ".join(check.name for check in fixes)
    failure = git.commit_all(invocation.cwd, f"{names} for {invocation.task}\n\nRun {invocation.run_id}", env)
    after = git.snapshot(invocation.cwd, env, active.before)
    notes = [] if failure is None else [f"what the fixes changed was not committed: {failure}"]
    verdict = replace(result.verdict, notes=(*result.verdict.notes, *notes))
    changes = git.changes(invocation.cwd, active.before, after, env)
    return replace(result, changes=changes, verdict=verdict), done


def _checked(active: ActiveRun, changes: Changes, checks: Sequence[Check], signals: Signals) -> Iterator[Checked]:
    """Run each check on the final commit; one that fails and did not before is run once more."""
    verify, invocation = active.invocation.verify or {}, active.invocation
    environ = active.site.machine.environ
    paths = _changed_paths(active, environ)
    with place_of(invocation, "HEAD", _is_dirty(active, changes), environ) as place:
        for check in checks:
            before = active.baseline.get(check.name)
            if not check.concerns(paths) or signals.received:
                yield Checked(check, before)
                continue
            after = _supervised(check, active, place, signals)
            again = None
            if (
                not after.is_good(check)
                and not is_red(check, before)
                and verify["retry_flaky"]
                and not signals.received
            ):
                again = _supervised(check, active, place, signals)
            yield Checked(check, before, after, again, _log_name(check))


def _is_dirty(active: ActiveRun, changes: Changes) -> bool:
    """Whether the checkout holds anything that is not committed: the agent's, or what was there before it."""
    return bool(changes.dirt) or active.before.dirt != frozenset()


def _against_base(active: ActiveRun, changes: Changes, done: list[Checked], signals: Signals) -> list[Checked]:
    """A check that failed on a copy of the commit, and passed in the checkout before: is it that the copy lacks things?

    Then it fails on a copy of the base, too, and was as good as red before.
    """
    head, was_clean = active.before.head, active.before.dirt == frozenset()
    failed = [one for one in done if one.after and not (one.again or one.after).is_good(one.check)]
    if head is None or not failed or not was_clean or not changes.dirt or signals.received:
        return done
    red: dict[str, Ran] = {}
    with place_of(active.invocation, head, True, active.site.machine.environ) as place:
        for one in failed:
            if one.before is not None and one.before.is_good(one.check):
                ran = _supervised(one.check, active, place, signals, "base")
                red |= {} if ran.is_good(one.check) else {one.check.name: ran}
    return [replace(one, before=red.get(one.check.name, one.before)) for one in done]


def _changed_paths(active: ActiveRun, environ: Mapping[str, str]) -> list[str]:
    base = active.before.head
    if base is None:
        return []
    (done,) = git.run_all(
        [["diff", "--name-only", "-z", "--no-ext-diff", base, "HEAD"]], active.invocation.cwd, environ
    )
    return [path for path in os.fsdecode(done.out).split("\0") if path]


def _supervised(
    check: Check, active: ActiveRun, place: tuple[str, Sequence[str]], signals: Signals, on: str = ""
) -> Ran:
    """Run a check as the agent was run: in its limits, with its whole tree ended, its output masked in a log."""
    folder, prefix = place
    remove_report(check, folder)
    verify, invocation = active.invocation.verify or {}, active.invocation
    log = os.path.join(invocation.run_dir, _log_name(check, on))
    command = replace(
        invocation,
        argv=(*prefix, *check.argv),
        env=verify["env"],
        cwd=folder,
        wrapped=len(prefix),
        limits=Limits(timeout=check.timeout, stall=None, max_output=invocation.limits.max_output),
    )
    beside = os.path.join(invocation.run_dir, ".verify-stdout")
    streams = Streams(
        stdin=os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC),
        transcript=Log(log, invocation.limits.max_output),
        stdout=Log(beside, 0),
        secrets=tuple(secrets_of(active.environ)),
        plain=plain_forms(active.environ),
    )
    say(active.site.stderr, f"{invocation.agent} {invocation.task}: {check.name}")
    outcome = supervise_command(active, command, streams, signals)
    unlink(beside)
    return _ran(check, outcome, folder)


def _ran(check: Check, outcome: Outcome, folder: str) -> Ran:
    if outcome.ended_by == "launch_failed":
        return Ran(None, outcome.elapsed, (outcome.launch_error or "").partition(" (")[0])
    code = -outcome.signal if outcome.signal is not None else outcome.exit_code
    ended = code if outcome.ended_by in ("exit", "linger") else None
    return Ran(ended, outcome.elapsed, None, failures_of(check, folder))


def _log_name(check: Check, on: str = "") -> str:
    """`verify-tests.log`; the schema keeps other characters out of names."""
    return f"verify-{check.name.replace(' ', '_')}{on and f'-{on}'}.log"
