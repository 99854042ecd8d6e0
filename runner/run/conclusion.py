"""What a run left in its checkout, and the verdict on it."""

from __future__ import annotations

from runner import git
from runner.model import Changes, Outcome, Reply, Result, Verdict
from runner.process.signals import Signals
from runner.run.active import ActiveRun
from runner.run.judge import SLOW_PATTERN, judge, place_slow_rules, tampered
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.run.plan import Locate

_COMMITTED = (None, "nothing_to_do", "uncommitted_changes")


def conclude(active: ActiveRun, outcome: Outcome, reply: Reply, locate: Locate, signals: Signals) -> Result:
    """Judge the run, then the answer that its task asks for, then its checks."""
    result = _judged(active, outcome, reply, locate)
    if active.invocation.expectations.output is not None:
        from runner.run.answer import with_answer  # noqa: PLC0415 - brings jsonschema, for such tasks alone

        result = with_answer(active, result)
    if active.invocation.verify is not None:
        from runner.run.verification import verified  # noqa: PLC0415 - only where a task has checks

        result = verified(active, result, signals)
    return result


def _judged(active: ActiveRun, outcome: Outcome, reply: Reply, locate: Locate) -> Result:
    """Judge the run by what came into the checkout; with auto_commit, what a good run left is committed first."""
    expected, invocation = active.invocation.expectations, active.invocation
    env = {**active.site.machine.environ, **active.before.identity}
    changes = _changes(active, env)
    reply = place_slow_rules(reply, invocation.parser_name, locate)
    verdict = _placed(judge(expected, outcome, reply, changes), invocation.task, locate)
    result = Result(outcome, reply, changes, verdict)
    if expected.protect:
        from runner.run.protection import protected  # noqa: PLC0415 - few tasks protect anything

        result = protected(active, result, env)
    if not (expected.auto_commit and changes.dirt and result.verdict.reason in _COMMITTED):
        return result
    if changes.tampered:
        # `git add` and `git commit` run the filters and hooks that the repository names.
        named = ", ".join(changes.tampered[:3])
        return replace(result, verdict=tampered(f"nothing was committed: {named} was changed", changes))
    message = f"{invocation.task} by {invocation.agent}\n\nRun {invocation.run_id}"
    failure = git.commit_all(active.site.machine.repo, message, env)
    changes = _changes(active, env)
    verdict = _placed(judge(expected, outcome, reply, changes), invocation.task, locate)
    if failure is not None:
        verdict = replace(verdict, notes=(*verdict.notes, f"auto_commit failed: {failure}"))
    return replace(result, changes=changes, verdict=verdict)


def _placed(verdict: Verdict, task: str, locate: Locate) -> Verdict:
    """Say where the task's pattern stands, if it took too long."""
    if SLOW_PATTERN not in verdict.notes:
        return verdict
    file, line, _ = locate("tasks", task, "nothing_to_do")
    named = (f"{note} ({file}:{line})" if note == SLOW_PATTERN else note for note in verdict.notes)
    return replace(verdict, notes=tuple(named))


def _changes(active: ActiveRun, env: dict[str, str]) -> Changes:
    repo = active.site.machine.repo
    return git.changes(repo, active.before, git.snapshot(repo, env, active.before), env)
