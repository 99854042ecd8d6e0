"""A run's folder as an output that can be judged again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

from runner.errors import RunnerError
from runner.model import Changes, Commit, Expectations, JsonObject, Outcome
from runner.recordings.judged import Output, Postcondition, Rules, Stream, files_of_rules, stream_of
from runner.records.metadata import Record
from runner.text import from_rfc3339

_TRANSCRIPT, _STDOUT = "transcript.log", "stdout.log"
_UNCOMMITTED = "not committed: "


def output_of_run(folder: str, record: Record, rules: Rules) -> Output:
    """Return what a closed run left; its files are looked for where it would have written them.

    Raises RunnerError for a run that is not over, or whose logs are not there.
    """
    transcript, stdout = (os.path.join(folder, name) for name in (_TRANSCRIPT, _STDOUT))
    for path in (transcript, stdout):
        if not os.path.isfile(path):
            raise RunnerError(f"run `{record['run_id']}` has no `{os.path.basename(path)}` to read", hint=f"`{folder}`")
    return Output(
        outcome=_outcome(record),
        stdout=stream_of(stdout),
        stderr=Stream(transcript, partial(stderr_in, transcript, stdout)),
        files=files_of_rules(rules, folder),
    )


def postcondition_of(record: Record, task: JsonObject | None) -> Postcondition:
    """Return what the task asks for by today's configuration, and what the record says that the run left."""
    commits = tuple(Commit(str(commit["sha"]), str(commit["subject"])) for commit in record.get("commits") or ())
    message = record["error"]["message"] if record["error"] and record["reason"] == "uncommitted_changes" else ""
    dirt = tuple(str(message).removeprefix(_UNCOMMITTED).split(", ")) if message else ()
    task = task or {}
    expectations = Expectations(
        requires_commit=bool(task.get("requires_commit", False)),
        nothing_to_do=task.get("nothing_to_do"),
        denied=task.get("denied", "note"),
    )
    return Postcondition(expectations, Changes(repository=True, commits=commits, dirt=dirt))


def _outcome(record: Record) -> Outcome:
    ended_by, ended_at = record.get("ended_by"), record["ended_at"]
    if ended_by is None or ended_at is None:
        raise RunnerError(
            f"run `{record['run_id']}` cannot be judged again: its agent has not ended", hint="`runner ps` lists runs"
        )
    when = from_rfc3339(ended_at)
    return Outcome(
        ended_by,  # type: ignore[arg-type]  # a word of the record
        when,
        when,
        record["elapsed_seconds"] or 0.0,
        exit_code=record.get("agent_exit_code"),
        signal=record.get("agent_signal"),
        runner_signal=(record["exit_code"] or 130) - 128 if ended_by == "signal" else None,
        launch_error=record["error"]["message"] if ended_by == "launch_failed" and record["error"] else None,
    )


def stderr_in(transcript: str, stdout: str) -> Iterator[tuple[bytes, int]]:
    """Yield what is in a transcript and not in stdout, each with its offset in the transcript.

    Both are told apart line by line, in order; where the two were mixed within a line, the line counts as stderr.
    """
    with open(transcript, "rb") as both, open(stdout, "rb") as own:
        expected, position = own.readline(), 0
        for line in both:
            if line == expected:
                expected = own.readline()
            elif expected.strip() and line.endswith(expected):
                yield line[: -len(expected)], position
                expected = own.readline()
            elif expected and not expected.endswith(b"\n") and line.startswith(expected):
                yield line[len(expected) :], position + len(expected)
                expected = own.readline()
            else:
                yield line, position
            position += len(line)
