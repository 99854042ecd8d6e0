"""One due time of one schedule: its agents one after the other, each by a `runner run` of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from runner import files
from runner.errors import EXIT_CONFIG, EXIT_USAGE, UsageError
from runner.process.detached import KEPT, start_detached
from runner.records.folder import Logs
from runner.schedule import state
from runner.schedule.state import Occurrence
from runner.text import one_line

_WAIT = "24h"  # for a checkout in use, where the schedule says `overlap: wait`
_MAX_STDERR = 2000  # bytes


def run_occurrence(
    logs: Logs, name: str, runner_argv: Sequence[str], environ: Mapping[str, str], clock: Callable[[], float]
) -> None:
    """Run the occurrence that the heartbeat has put into the state; `runner_argv` comes before `run`.

    Raises UsageError for a process that did not inherit the schedule's lock.
    """
    _keep_lock(logs, name)
    occurrence = state.read(logs, name, clock()).occurrence
    if occurrence is None:
        return
    for turn, chain in enumerate(occurrence.chains):
        began = clock()
        state.add_note(KEPT, occurrence, turn=turn, at=began)
        code, text = _run([*runner_argv, *_arguments(occurrence, chain)], environ, logs, name)
        ran = code not in (None, EXIT_USAGE, EXIT_CONFIG) and state.claimed_since(logs, occurrence.task, began)
        state.add_note(KEPT, occurrence, done=turn, code=code, refused=None if ran else text or f"exit code {code}")


def _arguments(occurrence: Occurrence, chain: str) -> list[str]:
    wait = ["--wait", _WAIT] if occurrence.waits_for_checkout else []
    return ["run", chain, occurrence.task, "--unattended", *wait]


def _keep_lock(logs: Logs, name: str) -> None:
    """Check that the inherited descriptor is the lock, and keep it from child processes."""
    try:
        ours = os.path.samestat(os.fstat(KEPT), os.stat(state.path(logs, name, ".lock")))
    except OSError:
        ours = False
    if not ours:
        raise UsageError("`runner occurrence` is for the heartbeat", hint="`runner heartbeat` starts what is due")
    os.set_inheritable(KEPT, False)


def _run(argv: list[str], environ: Mapping[str, str], logs: Logs, name: str) -> tuple[int | None, str]:
    """The exit code, None when it could not be started, and the end of its stderr."""
    try:
        output = files.open_file(state.path(logs, name, ".err"), os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        try:
            _, status = os.waitpid(start_detached(argv, environ, output), 0)
            size = os.fstat(output).st_size
            tail = os.pread(output, _MAX_STDERR, max(0, size - _MAX_STDERR))
        finally:
            os.close(output)
    except OSError as error:
        return None, f"cannot start `{argv[0]}`: {files.reason(error)}"
    return os.waitstatus_to_exitcode(status), one_line(tail.decode(errors="replace"), _MAX_STDERR)
