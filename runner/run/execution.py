"""A run that has begun: from the record that says `running` to the closed one."""

from __future__ import annotations

import os
import time
from functools import partial

from runner import files, git
from runner.errors import DISK_ERRORS, EXIT_INTERNAL
from runner.mask import mask_text, mask_tree
from runner.model import Verdict
from runner.parsers import compile_parser
from runner.process.containment import CONTAINMENT_VARIABLE, Containment
from runner.process.guardian import Guardian
from runner.process.pump import Log, Streams
from runner.process.supervise import execute
from runner.records import metadata, store
from runner.records.evidence import line_number
from runner.records.folder import RecordError
from runner.records.summary import summary
from runner.run import cooldown, recovery
from runner.run.judge import judge
from runner.run.progress import Progress
from runner.template import render
from runner.values import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TextIO

    from runner.model import (
        Changes,
        Evidence,
        Invocation,
        Limits,
        Outcome,
        Reply,
    )
    from runner.notify.notifier import Post
    from runner.process.signals import Signals
    from runner.records.folder import Claim, Logs
    from runner.records.metadata import Record
    from runner.run.plan import World

_CLOSING = 30.0  # seconds for the commit check and the record
_DELETED = "the run's folder was deleted while the agent ran; it was written again, earlier runs' may be gone"
_MAX_REPORT = 16 << 20
_WRITTEN_BY_OTHERS = ("argv", "text", "notes", "error", "commits")
_LOG_OF = {"stdout": "stdout.log", "stderr": "transcript.log"}


@dataclass(frozen=True)
class Finished:
    """A run that is over: its record, the same as text, and the command's exit code.

    `for_all`: no other agent would have fared better.
    """

    record: Record
    summary: str
    exit_code: int
    for_all: bool = False


@dataclass(frozen=True)
class Begun:
    """A run whose record is open. `remarks` are notes for the closed one, `after` adds those that depend on it."""

    invocation: Invocation
    opened: Record
    began: float
    before: git.Snapshot
    world: World
    logs: Logs
    claim: Claim
    post: Post
    secrets: tuple[bytes, ...]
    remarks: tuple[str, ...]
    after: Callable[[Record], list[str]]

    def finish(self, signals: Signals, stderr: TextIO | None) -> Finished:
        """From the record that says `running` to the closed one, whatever happens between."""
        guardian = None
        closed = False
        try:
            try:
                streams = self._streams()
                forced = self.world.environ.get(CONTAINMENT_VARIABLE)
                box = Containment(self.invocation.run_id, forced, partial(self.logs.sign, self.claim))
                guardian = Guardian(self.invocation, streams, box, self._orphaned)
                self.post.announce(self.opened, self._shown, _longest(self.invocation.limits))
                outcome, reply = self._execute(guardian, streams, signals, stderr)
                changes, verdict = self._conclude(outcome, reply)
                evidence = self._show(verdict.evidence) if verdict.evidence else None
                result = metadata.Result(outcome, reply, changes, verdict, evidence)
                final = self._noted(metadata.closed(self.opened, result))
            except OSError as error:
                verdict, final = self._full(error) if error.errno in DISK_ERRORS else self._broken(error)
            except Exception as error:
                verdict, final = self._broken(error)
            line = mask_text(verdict.evidence.text, self.secrets) if verdict.evidence else None
            final, closed = self._close(masked(final, self.secrets), line)
            return Finished(final, summary(final, self._shown, line), verdict.exit_code)
        finally:
            if guardian is not None:
                guardian.box.close()
            if closed:
                self.logs.release(self.claim, keep_id=True)
            else:
                os.close(self.claim.lock)  # whoever comes next, and finds room, closes it
            if guardian is not None:
                guardian.dismiss()

    def _noted(self, final: Record) -> Record:
        """With what follows from the run: for its agent, and for the next try."""
        cooling = cooldown.settle(self.logs, final, time.time())
        return {**final, "notes": [*self.remarks, *final["notes"], *cooling, *self.after(final)]}

    def _broken(self, error: Exception) -> tuple[Verdict, Record]:
        """The runner's own failure, with its traceback in the runner's log."""
        # Heavy, and of no use to a run that goes well.
        import traceback  # noqa: PLC0415

        now = time.time()
        trace = mask_text("".join(traceback.format_exception(error)), self.secrets)
        self.logs.note(f"internal error in run {self.invocation.run_id}\n{trace}", now)
        verdict = Verdict("failed", "internal", EXIT_INTERNAL, message=f"internal error: {error!r}")
        return verdict, metadata.broken(self.opened, verdict, self.began, now)

    def _full(self, error: OSError) -> tuple[Verdict, Record]:
        """No room for what has to be there before the agent starts."""
        verdict = Verdict("skipped", "disk_full", 12, message=f"cannot begin: {files.reason(error)}")
        return verdict, metadata.broken(self.opened, verdict, self.began, time.time())

    def _orphaned(self, survivors: int, containment: str) -> None:
        """In the guardian, when this process is gone: what the next command would do, at once."""
        try:
            recovery.close_orphan(self.logs, self.claim, self.post, survivors, containment)
        except Exception as error:
            self._broken(error)

    def _streams(self) -> Streams:
        folder = self.invocation.run_dir
        files.try_folders(self.invocation.folders)
        for path, content in self.invocation.files.items():
            files.make_folders(os.path.dirname(path))
            files.write_text(path, content)
        return Streams(
            stdin=store.open_input(folder, self.invocation.stdin),
            transcript=Log(os.path.join(folder, "transcript.log"), self.invocation.limits.max_output),
            stdout=Log(os.path.join(folder, "stdout.log"), self.invocation.limits.max_output),
            secrets=self.secrets,
        )

    def _execute(
        self, guardian: Guardian, streams: Streams, signals: Signals, stderr: TextIO | None
    ) -> tuple[Outcome, Reply]:
        invocation = self.invocation
        parser = compile_parser(invocation.parser)
        reader = parser.reader(time.time)
        progress = Progress(reader, f"{invocation.agent} {invocation.task}", invocation.limits, stderr)
        try:
            outcome = execute(guardian, invocation, streams, reader, progress, signals)
        finally:
            progress.close()
            streams.close()
        return outcome, reader.finish({path: text for path in parser.sources if (text := self._read(path)) is not None})

    def _read(self, path: str) -> bytes | None:
        """A file that the parser asks for and the agent was told to write, if it did."""
        where = os.path.join(self.invocation.run_dir, render(path, {"run_dir": self.invocation.run_dir}))
        try:
            with open(os.open(where, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
                return file.read(_MAX_REPORT)
        except OSError:
            return None

    def _conclude(self, outcome: Outcome, reply: Reply) -> tuple[Changes, Verdict]:
        """The commit check and the verdict; with auto_commit, what a good run left is committed first."""
        invocation = self.invocation
        expected = invocation.expectations
        changes = self._changes()
        verdict = judge(expected, outcome, reply, changes)
        if expected.auto_commit and changes.dirt and verdict.reason in (None, "nothing_to_do", "uncommitted_changes"):
            message = f"{invocation.task} by {invocation.agent}\n\nRun {invocation.run_id}"
            failure = git.commit_all(self.world.repo, message, self._git_env)
            changes = self._changes()
            verdict = judge(expected, outcome, reply, changes)
            if failure is not None:
                verdict = replace(verdict, notes=(*verdict.notes, f"auto_commit failed: {failure}"))
        return changes, verdict

    @property
    def _git_env(self) -> dict[str, str]:
        return {**self.world.environ, **self.before.identity}

    def _changes(self) -> Changes:
        after = git.snapshot(self.world.repo, self._git_env)
        return git.changes(self.world.repo, self.before, after, self._git_env)

    def _show(self, evidence: Evidence) -> str:
        """`stdout.log:57`."""
        name = _LOG_OF.get(evidence.source, os.path.basename(evidence.source))
        return f"{name}:{line_number(os.path.join(self.invocation.run_dir, name), evidence.offset)}"

    def _close(self, final: Record, evidence_text: str | None) -> tuple[Record, bool]:
        """Repeatable steps in the order that a later command can replay; the live file goes last, in `finish`."""
        folder = self.invocation.run_dir
        texts = {"summary.txt": summary(final, self._shown, evidence_text)}
        if not os.path.lexists(os.path.join(folder, "metadata.json")):
            final = {**final, "notes": [*final["notes"], _DELETED]}
            texts = {"summary.txt": summary(final, self._shown, evidence_text), "prompt.md": self._prompt}
        try:
            self.logs.check_place(self.invocation.task, self.invocation.agent, self.invocation.run_id)
            self.logs.restore(self.claim, self.invocation.task, self.invocation.agent)
            final = store.close_run(folder, final, texts)
            closed = True
        except (OSError, RecordError) as error:
            closed = False
            why = files.reason(error) if isinstance(error, OSError) else error.message
            final = {**final, "notes": [*final["notes"], f"the record could not be written: {why}"]}
        closed = self.logs.append_run(metadata.line_of(final)) and closed
        return {**final, "notification": self.post.conclude(final, self._shown)}, closed

    @property
    def _prompt(self) -> str:
        return mask_text(self.invocation.prompt, self.secrets)

    @property
    def _shown(self) -> str:
        """The run's folder, relative to the current one where it lies below it."""
        return self.invocation.run_dir.removeprefix(os.getcwd() + os.sep)


def masked(found: Record, secrets: tuple[bytes, ...]) -> Record:
    """A record without secrets in what the agent, a template or git wrote; names and numbers are ours."""
    fields: dict[str, Any] = dict(found)
    theirs = {key: fields[key] for key in _WRITTEN_BY_OTHERS}
    whole: Any = {**fields, **mask_tree(theirs, lambda text: mask_text(text, secrets))}
    record: Record = whole
    return record


def _longest(limits: Limits) -> float | None:
    """Seconds after which a run that keeps to its limits is over."""
    return None if limits.timeout is None else limits.timeout + limits.grace + _CLOSING
