"""How each check of a run goes before its agent works: known already, or run once."""

from __future__ import annotations

import time
from collections.abc import Sequence

from runner import git
from runner.model import Invocation, JsonObject, Skipped
from runner.process import capture
from runner.process.signals import Signals
from runner.process.spawn import LaunchError, find_binary
from runner.process.tree import kill_marked
from runner.run.checks import checks_of, failures_of, place_of, remove_report
from runner.run.progress import say
from runner.run.site import Site
from runner.units import signal_name
from runner.verify.baseline import key_of, remember, remembered
from runner.verify.checks import Check, Ran
from runner.verify.decide import is_red
from runner.verify.tree import TreeError

_GRACE = 5.0


def baseline(invocation: Invocation, before: git.Snapshot, site: Site, signals: Signals) -> dict[str, Ran]:
    """How each check goes before the agent works; nothing is run that is known. Raises Skipped."""
    verify = invocation.verify or {}
    checks = [check for check in checks_of(invocation) if check.kind == "check"]
    for check in checks:
        _require(check, verify, invocation)
    if not verify["baseline"] or before.head is None:
        return {}
    try:
        return _on_base(checks, invocation, before, site, signals)
    except TreeError as error:
        message = f"the checks cannot be run on a copy of the commit: {error}"
        raise Skipped("missing_requirement", message, for_all=True) from None


def _on_base(
    checks: Sequence[Check], invocation: Invocation, before: git.Snapshot, site: Site, signals: Signals
) -> dict[str, Ran]:
    found: dict[str, Ran] = {}
    verify, head = invocation.verify or {}, before.head or ""
    with place_of(invocation, head, bool(before.dirt) or before.dirt is None, site.machine.environ) as place:
        for check in checks:
            found[check.name] = ran = _remembered(check, invocation, head, place, (site, signals))
            if is_red(check, ran) and verify["on_red_base"] == "skip":
                raise Skipped("preflight", f"the check `{check.name}` fails before the agent has begun", for_all=True)
    return found


def _require(check: Check, verify: JsonObject, invocation: Invocation) -> None:
    """Whether the command of a check is there. Raises Skipped."""
    try:
        find_binary(check.argv[0], verify["env"]["PATH"], invocation.cwd)
    except LaunchError as error:
        message = f"the check `{check.name}` cannot be started: {str(error).partition(' (')[0]}"
        raise Skipped("missing_requirement", message, for_all=True) from None


def _remembered(
    check: Check, invocation: Invocation, head: str, place: tuple[str, Sequence[str]], at: tuple[Site, Signals]
) -> Ran:
    site, signals = at
    (tree,) = git.run_all([["rev-parse", f"{head}^{{tree}}"]], invocation.cwd, site.machine.environ)
    kind = "checkout" if place[0] == invocation.cwd else "clone"
    key = key_of(tree.out.decode(errors="replace").strip(), check, kind)
    known = remembered(site.machine.state, key)
    if known is None:
        say(site.stderr, f"{invocation.agent} {invocation.task}: {check.name}, before the agent")
        known = _captured(check, invocation, place, signals)
        remember(site.machine.state, key, known)
    return known


def _captured(check: Check, invocation: Invocation, place: tuple[str, Sequence[str]], signals: Signals) -> Ran:
    """Run a check while there is no run yet. Raises Skipped when the runner is told to stop."""
    folder, prefix = place
    remove_report(check, folder)
    began = time.monotonic()
    try:
        child = capture.start([*prefix, *check.argv], (invocation.verify or {})["env"], folder)
    except LaunchError as error:
        return Ran(None, error=str(error).partition(" (")[0])
    try:
        said = capture.finish(child, check.timeout, _GRACE, lambda: bool(signals.received))
    finally:
        kill_marked(invocation.run_dir)
    if signals.first is not None:
        message = f"the runner received {signal_name(signals.first)} during the check `{check.name}`"
        raise Skipped("interrupted", message, 128 + signals.first)
    return Ran(said.code, time.monotonic() - began, None, failures_of(check, folder))
