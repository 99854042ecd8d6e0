"""Whether a task needs to be run: what changed since its last success, and what a command says.

The last success of a task is a file in logs/state/gates: when it was, and what its checkout was like at its end. That
is its commit, and of the paths that the task names those that were unlike the commit, with size and time.
"""

from __future__ import annotations

import os
import shlex
import time

from runner import files
from runner.git.edits import UnknownError, unlike
from runner.git.globs import matcher
from runner.git.snapshots import snapshot
from runner.mask import mask_text, secrets_of
from runner.model import JsonObject, Skipped
from runner.records.folder import candidate_ids
from runner.run.plan import plan
from runner.run.preflight import run_command, tail_of
from runner.text import one_line
from runner.units import parse_duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.git.snapshots import Snapshot
    from runner.model import Invocation, Request
    from runner.process.signals import Signals
    from runner.records.folder import Logs
    from runner.run.plan import RunConfig
    from runner.run.site import Machine, Site

_NOT_NEEDED = 1  # the exit code by which a command says no
_MAX_SIZE = 4 << 20
_COMMAND = 60


def check(site: Site, config: RunConfig, request: Request, signals: Signals) -> None:
    """Raise Skipped where nothing says that the task needs to be run."""
    # No run has this id: the processes of the command are found by it.
    planned = plan(config, request, site.machine, f"{next(candidate_ids(time.time()))}_gate{os.getpid()}")
    when = planned.when or {}
    last = _last(site.logs, request.task)
    longest = parse_duration(when["at_least_every"]) if "at_least_every" in when else None
    if longest is not None and not 0 <= time.time() - (last or {"at": -longest})["at"] < longest:
        return
    words, globs = when["run"], when.get("changed")
    if not (words or globs) or (globs and _has_changed(site.machine, globs, last)):
        return
    if words:
        _ask(planned, words, signals)
    else:
        since = f"since run {last['run_id']}" if last else ""
        raise Skipped("not_needed", f"nothing that `when.changed` names has changed {since}", for_all=True)


def _ask(planned: Invocation, words: list[str], signals: Signals) -> None:
    secrets = secrets_of(planned.env)
    shown = one_line(mask_text(shlex.join(words), secrets), _COMMAND)
    ended, said = run_command(words, planned, signals)
    if signals.first is not None:
        message = f"the runner received signal {signals.first} while `when.run` was asked"
        raise Skipped("interrupted", message, 128 + signals.first)
    if said is not None and said.code == _NOT_NEEDED:
        raise Skipped("not_needed", f"`when.run` says no (exit code 1): `{shown}`", for_all=True)
    if ended is not None:
        tail = tail_of(said, secrets) if said else []
        raise Skipped("preflight", "\n".join((f"`when.run` {ended}: `{shown}`", *tail)), for_all=True)


def _has_changed(machine: Machine, globs: list[str], last: JsonObject | None) -> bool:
    """Whether a path that the globs name is not as at the last success; where that is not known, it is."""
    if last is None or last["globs"] != globs or last["repo"] != os.path.realpath(machine.repo):
        return True
    return bool(_unlike(machine, str(last["commit"]), globs) != last["unlike"])


def _unlike(machine: Machine, commit: str, globs: list[str], settings: Sequence[str] = ()) -> list[list[object]] | None:
    fits = matcher(globs)
    try:
        found = unlike(machine.repo, commit, machine.environ, settings)
    except UnknownError:
        return None
    return sorted(list(entry) for entry in found if fits(entry[0]))


def remember(site: Site, invocation: Invocation, before: Snapshot) -> str | None:
    """Keep what the checkout is like at the end of a success; what went wrong, in words."""
    machine, globs = site.machine, (invocation.when or {}).get("changed") or []
    seen = snapshot(machine.repo, machine.environ, before)
    safe = seen.trust.without_programs if seen.trust != before.trust else ()
    kept: JsonObject = {"run_id": invocation.run_id, "at": time.time(), "repo": os.path.realpath(machine.repo)}
    kept |= {"commit": seen.head, "globs": globs}
    kept["unlike"] = _unlike(machine, seen.head, globs, safe) if seen.head and globs else None
    if kept["unlike"] is None:
        kept["globs"] = None  # fits none: the next run is needed
    try:
        site.logs.check_place("state", "gates")
        files.make_folders(site.logs.path("state", "gates"))
        files.write_json(_path(site.logs, invocation.task), kept)
    except OSError as error:
        return f"what `when` compares with cannot be kept: {files.reason(error)}"
    return None


def _last(logs: Logs, task: str) -> JsonObject | None:
    """The last success of a task, if it is known and whole."""
    try:
        found = files.read_json(_path(logs, task), _MAX_SIZE)
        whole = {"run_id", "at", "repo", "commit", "globs", "unlike"} <= found.keys()
        return found if whole and isinstance(found["at"], int | float) else None
    except (OSError, ValueError, AttributeError):
        return None


def _path(logs: Logs, task: str) -> str:
    return logs.path("state", "gates", f"{task}.json")
