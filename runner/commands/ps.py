"""`runner ps` and `runner stop`: live runs."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Sequence

from runner.commands._project import open_project
from runner.commands._table import table
from runner.errors import RunnerError
from runner.files import open_file
from runner.history.queries import find_living
from runner.model import JsonObject
from runner.process import procfs
from runner.records import store
from runner.records.folder import Logs
from runner.records.summary import facts
from runner.text import from_rfc3339, json_text, one_line
from runner.units import format_duration

_TAIL = 4096  # bytes at the end of a transcript in which the last line is searched
_POLL_SECONDS = 0.05


def ps(project: str | None, names: Sequence[str], *, as_json: bool) -> int:
    """Print those of `names`, by default all. Raises UsageError for what names no run that lives."""
    logs = open_project(project).logs
    wanted = [find_living(logs, name).run_id for name in names] or logs.live_ids()
    runs = [run for run_id in dict.fromkeys(wanted) if (run := _described(logs, run_id, time.time())) is not None]
    if as_json:
        print(json_text(runs, 2))
    elif runs:
        head = ("RUN", "AGENT", "TASK", "ELAPSED", "PROCESSES", "QUIET", "LAST OUTPUT")
        print(table(head, [_row(run) for run in runs]), end="")
    else:
        print("no run lives")
    return 0


def _described(logs: Logs, run_id: str, now: float) -> JsonObject | None:
    """Describe a live run; None for a claim of a message, or of a run that has not begun."""
    place = logs.place_of(run_id)
    found = store.read_metadata(logs.path(place)) if place else None
    if place is None or found is None:
        return None
    folder = logs.path(place)
    written_at, line = _last_output(os.path.join(folder, "transcript.log"))
    processes = procfs.names(folder)
    return {
        "run_id": run_id,
        "agent": found["agent"],
        "task": found["task"],
        "pid": logs.signed(run_id).pid,
        "elapsed_seconds": round(max(0.0, now - from_rfc3339(found["started_at"])), 3),
        "processes": [{"pid": pid, "name": name} for pid, name in processes.items()],
        "quiet_seconds": None if written_at is None else round(max(0.0, now - written_at), 3),
        "last_output": line,
        "run_dir": folder,
    }


def _last_output(path: str) -> tuple[float | None, str | None]:
    """When the agent last printed something, and its last line, fit for a terminal."""
    try:
        with open(open_file(path), "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            lines = file.read().decode(errors="replace").split("\n")
            written = os.fstat(file.fileno()).st_mtime
    except OSError:
        return None, None
    line = next((line for line in reversed(lines) if line.strip()), None)
    return (written, one_line(line)) if line is not None else (None, None)


def _row(run: JsonObject) -> tuple[str, ...]:
    names = sorted({one_line(process["name"], 20) for process in run["processes"]})
    quiet = run["quiet_seconds"]
    return (
        run["run_id"],
        run["agent"],
        run["task"],
        format_duration(run["elapsed_seconds"]),
        f"{len(run['processes'])} ({', '.join(names)})" if names else "0",
        "" if quiet is None else format_duration(quiet),
        run["last_output"] or "",
    )


def stop(project: str | None, name: str, *, now: bool) -> int:
    """End a run as by SIGTERM, and wait for it; `now` leaves the agent no grace time. Raises UsageError."""
    logs = open_project(project).logs
    run = find_living(logs, name)
    run_id = run.run_id
    pid = logs.signed(run_id).pid
    # When the runner is gone, the guardian is closing the run already.
    if pid is not None and procfs.has_open(pid, logs.path("live", run_id)):
        # Two different signals, because two of the same may arrive as one.
        for number in (signal.SIGTERM, signal.SIGINT) if now else (signal.SIGTERM,):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                break
            except PermissionError:
                raise RunnerError(f"run `{run_id}` belongs to another user (pid {pid})") from None
    while (claim := logs.lock(run_id, make=False)) is None and os.path.lexists(logs.path("live", run_id)):
        select.select([], [], [], _POLL_SECONDS)
    if claim is not None:
        os.close(claim.lock)
    found = store.read_metadata(run.folder) if run.folder else None
    print(facts(found).headline if found else f"run {run_id} is over")
    return 0
