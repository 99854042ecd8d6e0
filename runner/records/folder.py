"""The log folder of a project: ids, locks, and the logs that other commands read."""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator, Mapping

from runner import files
from runner.errors import RunnerError
from runner.files import append, make_folders, reason, unlink, write_new
from runner.text import one_line, rfc3339
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_OWNER = re.compile(r"[a-z0-9][a-z0-9_-]*/[a-z0-9][a-z0-9_-]*")


_ENDS_BY = "ends_by "


class RecordError(RunnerError):
    """The log folder cannot be written."""


@dataclass(frozen=True)
class Claim:
    """An id that belongs to this process: its live file is locked for as long as `lock` is open."""

    run_id: str
    lock: int


@dataclass(frozen=True)
class Signature:
    """What a runner wrote into its live file: its pid, the boot of the machine, and the cgroup of the run's processes.

    `ends_by` is the time of the monotonic clock of that boot at which the run should be over; None: no limit.
    """

    pid: int | None = None
    boot: str | None = None
    cgroup: str | None = None
    ends_by: float | None = None


class Logs:
    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)

    def check_place(self, *parts: str) -> None:
        """Refuse a symbolic link on the path from the log folder to `parts`. Raises RecordError."""
        path = self.root
        for part in parts:
            path = os.path.join(path, part)
            if os.path.islink(path):
                raise RecordError(f"`{path}` is a symbolic link, and none is followed below the log folder")

    def prepare(self) -> None:
        """Make the folder, for its owner alone and ignored by git. Raises RecordError."""
        try:
            for folder in ("outbox", "state"):
                self.check_place(folder)
            for folder in ("ids", "live"):
                self.check_place(folder)
                make_folders(self.path(folder))
            ignore = self.path(".gitignore")
            if not os.path.lexists(ignore):
                write_new(ignore, b"# runs are this machine's own\n*\n")
        except OSError as error:
            raise RecordError(f"cannot write to the log folder `{self.root}`: {reason(error)}") from None

    def claim(self, run_id: str, task: str, agent: str) -> Claim | None:
        """Take an id and its run lock; None when the id is taken. Raises RecordError.

        The lock comes first, so that the next runner process finds the claim wherever this one is killed.
        """
        self.check_place("ids")
        self.check_place("live")
        path = self.path("ids", run_id)
        # An agent may have removed the id of a run that ended in this second; its folder tells.
        taken = self.is_taken(run_id) or os.path.lexists(self.path(task, agent, run_id))
        claim = None if taken else self.lock(run_id)
        if claim is None:
            return None
        try:
            write_new(path, f"{task}/{agent}\n".encode())
        except FileExistsError:
            os.close(claim.lock)  # taken and released at this moment; the file is not ours to unlink
            return None
        except OSError as error:
            self.release(claim, keep_id=False)
            raise RecordError(f"cannot write to the log folder `{self.root}`: {reason(error)}") from None
        self.sign(claim, f"{os.getpid()} {boot_id()}")
        return claim

    def is_taken(self, run_id: str) -> bool:
        return os.path.lexists(self.path("ids", run_id))

    def restore(self, claim: Claim, task: str, agent: str) -> None:
        """Restore what an agent deleted of the log folder, so that the run's id stays taken. Raises OSError."""
        if not self.is_taken(claim.run_id):
            self.prepare()
            write_new(self.path("ids", claim.run_id), f"{task}/{agent}\n".encode())

    def sign_end(self, claim: Claim, ends_by: float) -> None:
        """Add when the run should be over, by the monotonic clock; the last word counts."""
        self.sign(claim, f"{_ENDS_BY}{ends_by:.0f}")

    def sign(self, claim: Claim, line: str) -> None:
        """Add a line to the live file, for the process that finds it without its runner; errors are ignored."""
        try:
            os.write(claim.lock, f"{line}\n".encode(errors="surrogateescape"))
        except OSError:
            pass

    def lock(self, run_id: str, *, make: bool = True) -> Claim | None:
        """Take the run lock without waiting; None when another process holds it (the run is live), or it is gone."""
        try:
            lock = files.lock(self.path("live", run_id), make=make)
        except FileNotFoundError:
            if not make:
                return None
            raise RecordError(f"cannot lock the run `{run_id}`: the log folder is gone") from None
        except OSError as error:
            raise RecordError(f"cannot lock the run `{run_id}`: {reason(error)}") from None
        return None if lock is None else Claim(run_id, lock)

    def holds(self, claim: Claim) -> bool:
        """Whether the live file is still there: unlinking it is the last step of closing."""
        try:
            return os.path.samestat(os.stat(self.path("live", claim.run_id)), os.fstat(claim.lock))
        except FileNotFoundError:
            return False

    def live_ids(self) -> list[str]:
        """The ids of live runs, and of those whose runner was killed."""
        return sorted(name for name in _listed(self.path("live")) if _RUN_ID.fullmatch(name))

    def is_live(self, run_id: str) -> bool:
        """Whether a process holds the run's lock. To find out, a shared lock is taken for a moment."""
        try:
            fd = files.open_file(self.path("live", run_id))
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def has_lost(self) -> bool:
        """Whether there is a run whose runner is gone."""
        return any(not self.is_live(run_id) for run_id in self.live_ids())

    def place_of(self, run_id: str) -> str | None:
        """`task/agent/run_id` of a claimed id; when its file is damaged, by where its record is."""
        try:
            owner = files.read_bytes(self.path("ids", run_id), 300).decode(errors="replace").strip()
        except OSError:
            return None
        return os.path.join(owner, run_id) if _OWNER.fullmatch(owner) else self._search(run_id)

    def _search(self, run_id: str) -> str | None:
        for task in _listed(self.root):
            for agent in _listed(self.path(task)):
                if os.path.lexists(self.path(task, agent, run_id, "metadata.json")):
                    return os.path.join(task, agent, run_id)
        return None

    def signed(self, run_id: str) -> Signature:
        try:
            first, *others = os.fsdecode(files.read_bytes(self.path("live", run_id), 8192)).split("\n")
        except OSError:
            return Signature()
        pid, _, boot = first.partition(" ")
        ends_by = next((line.removeprefix(_ENDS_BY) for line in reversed(others) if line.startswith(_ENDS_BY)), "")
        cgroup = next((line for line in others if line.startswith("/")), None)
        return Signature(
            pid=int(pid) if pid.isdecimal() else None,
            boot=boot or None,
            cgroup=cgroup,
            ends_by=float(ends_by) if ends_by.isdecimal() else None,
        )

    def has_line(self, run_id: str) -> bool:
        try:
            with open(files.open_file(self.path("runs.jsonl")), "rb") as file:
                return any(f'"run_id": "{run_id}"'.encode() in line for line in file)
        except OSError:
            return False

    def release(self, claim: Claim, *, keep_id: bool) -> None:
        """Do the last step of closing; without `keep_id` the run never began, and its id is free again.

        What cannot be done now is repeated by the next runner process.
        """
        try:
            if not keep_id:
                unlink(self.path("ids", claim.run_id))
            unlink(self.path("live", claim.run_id))
        except OSError:
            pass
        os.close(claim.lock)

    def append_run(self, line: Mapping[str, Any]) -> bool:
        """Append a line to the journal runs.jsonl and to the task's log; False when the first could not be written."""
        recorded = False
        try:
            data = json.dumps(line, ensure_ascii=False).encode(errors="replace")
            append(self.path("runs.jsonl"), b"\n" + data + b"\n")
            recorded = True
            self.append_line((line["task"], "task.log"), _task_line(line))
        except (OSError, RecordError) as error:
            self.note(f"run {line['run_id']} is not recorded in every log: {error}", time.time())
        return recorded

    def append_line(self, place: tuple[str, ...], text: str) -> None:
        """Append a line to a log for people."""
        self.check_place(*place[:-1])
        path = self.path(*place)
        make_folders(os.path.dirname(path))
        append(path, (text + "\n").encode(errors="replace"), sync=False)

    def note(self, text: str, now: float) -> None:
        """Append `text`, one line or more, to the runner's own log; never raises."""
        try:
            make_folders(self.root)
            append(self.path("runner.log"), f"{rfc3339(now)} {text.rstrip()}\n".encode(errors="replace"), sync=False)
        except OSError:
            pass


def boot_id() -> str:
    """The kernel's id of this boot; empty where it has none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def candidate_ids(now: float) -> Iterator[str]:
    """`20260219_175043`, then `_02`, `_03` … of the same second."""
    stamp = time.strftime("%Y%m%d_%H%M%S", time.gmtime(now))
    yield stamp
    for number in range(2, 1000):
        yield f"{stamp}_{number:02}"
    raise RecordError(f"all run ids of {stamp} are taken")


def _task_line(line: Mapping[str, Any]) -> str:
    """`2026-02-19T17:50:55.000Z 20260219_175043 demo failed no_commits 12.3s 0 commits`."""
    error = line.get("error") or {}
    words = [line["ended_at"], line["run_id"], line["agent"], line["status"]]
    words += [line["reason"]] if line["reason"] else []
    if line.get("elapsed_seconds") is not None:
        words.append(f"{line['elapsed_seconds']:.1f}s")
    if line.get("commits") is not None:
        words.append(f"{line['commits']} commit{'' if line['commits'] == 1 else 's'}")
    if error.get("message"):
        words.append(f"({one_line(error['message'])})")
    return " ".join(words)
