"""One due time of one schedule: its agents in turn, each by a `runner run` of its own."""

from __future__ import annotations

import os

from runner.errors import EXIT_CONFIG, EXIT_USAGE, UsageError
from runner.files import reason
from runner.process.detached import KEPT, start_detached
from runner.schedule import state
from runner.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runner.records.folder import Logs
    from runner.schedule.state import Occurrence

PATIENCE = "24h"  # for a checkout in use, where the schedule says `overlap: wait`
_TAIL = 2000  # bytes of stderr
_NEW = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


def carry_out(
    logs: Logs, name: str, runner: Sequence[str], environ: Mapping[str, str], clock: Callable[[], float]
) -> None:
    """The occurrence that the heartbeat has put into the ledger. `runner` are the words before `run`.

    Raises UsageError for whoever was not born with the schedule's lock.
    """
    _keep_lock(logs, name)
    occurrence = state.read(logs, name, clock()).occurrence
    if occurrence is None:
        return
    for turn, chain in enumerate(occurrence.chains):
        began = clock()
        state.add_note(KEPT, occurrence, turn=turn, at=began)
        code, said = _run([*runner, *words(occurrence, chain)], environ, logs, name)
        ran = code not in (None, EXIT_USAGE, EXIT_CONFIG) and state.left_a_trace(logs, occurrence.task, began)
        state.add_note(KEPT, occurrence, done=turn, code=code, refused=None if ran else said or f"exit code {code}")


def words(occurrence: Occurrence, chain: str) -> list[str]:
    """Of the command line of one turn."""
    patience = ["--wait", PATIENCE] if occurrence.patient else []
    return ["run", chain, occurrence.task, "--unattended", *patience]


def _keep_lock(logs: Logs, name: str) -> None:
    """The descriptor that we were given is the lock, and no child of ours gets it."""
    try:
        ours = os.path.samestat(os.fstat(KEPT), os.stat(state.path(logs, name, ".lock")))
    except OSError:
        ours = False
    if not ours:
        raise UsageError("`runner occurrence` is for the heartbeat", hint="`runner heartbeat` starts what is due")
    os.set_inheritable(KEPT, False)


def _run(argv: list[str], environ: Mapping[str, str], logs: Logs, name: str) -> tuple[int | None, str]:
    """The exit code, None when it could not be started, and the end of what it said."""
    try:
        output = os.open(state.path(logs, name, ".err"), _NEW, 0o600)
        try:
            _, status = os.waitpid(start_detached(argv, environ, output), 0)
            size = os.fstat(output).st_size
            said = os.pread(output, _TAIL, max(0, size - _TAIL))
        finally:
            os.close(output)
    except OSError as error:
        return None, f"cannot start `{argv[0]}`: {reason(error)}"
    return os.waitstatus_to_exitcode(status), one_line(said.decode(errors="replace"), _TAIL)
