"""The form of a recording: found, read, written."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from runner.errors import UsageError
from runner.recordings.recording import (
    Ended,
    Recording,
    RecordingError,
    find_recordings,
    recording_at,
    time_of_end,
    write_recording,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_written_is_found_and_read(tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "hello"
    ended = Ended(0, timed_out=False, seconds=1.2, at="2026-11-22T15:56:40Z")

    write_recording(str(folder), ended, b"out\n", b"err\n", {"reports/usage.json": b"{}"})

    (found,) = find_recordings(str(tmp_path))
    assert found == Recording(str(folder), "mine", None, "hello") == recording_at(str(folder), ["mine"])
    assert str(found) == "mine/hello"
    assert found.ended() == ended
    assert (folder / "stdout").read_bytes() == b"out\n"
    assert (folder / "stderr").read_bytes() == b"err\n"
    assert (folder / "files" / "reports" / "usage.json").read_bytes() == b"{}"
    assert json.loads((folder / "exit.json").read_text()) == {
        "code": 0,
        "timed_out": False,
        "seconds": 1.2,
        "at": "2026-11-22T15:56:40Z",
    }


def test_writing_again_leaves_what_is_expected(tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "hello"
    write_recording(str(folder), Ended(0), b"one, and longer")
    (folder / "expected.yaml").write_text("status: success\n")

    write_recording(str(folder), Ended(-9), b"two")

    assert (folder / "stdout").read_bytes() == b"two"
    assert find_recordings(str(tmp_path))[0].ended() == Ended(-9)
    assert (folder / "expected.yaml").read_text() == "status: success\n"


@pytest.mark.parametrize("path", ["../escape", "/tmp/escape", "a/../../escape"])
def test_no_file_leads_out_of_the_recording(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="leads out"):
        write_recording(str(tmp_path / "mine" / "hello"), Ended(0), b"", b"", {path: b""})


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("mine/hello", ("mine", None, "hello")),
        ("mine/1.2.3/hello", ("mine", "1.2.3", "hello")),
    ],
)
def test_the_folders_name_it(tmp_path: Path, place: str, names: tuple[str, str | None, str]) -> None:
    write_recording(str(tmp_path / place), Ended(0), b"")

    (found,) = find_recordings(str(tmp_path))
    assert (found.agent, found.version, found.name) == names
    assert recording_at(str(tmp_path / place), ["other", "mine"]) == found


def test_they_come_in_order_and_other_folders_do_not_count(tmp_path: Path) -> None:
    for place in ("b/two", "a/2/one", "a/10/one"):
        write_recording(str(tmp_path / place), Ended(0), b"", b"", {"stdout": b"no recording"})
    (tmp_path / "a" / "notes").mkdir()
    (tmp_path / ".git" / "x").mkdir(parents=True)
    (tmp_path / ".git" / "x" / "stdout").touch()

    assert [str(found) for found in find_recordings(str(tmp_path))] == ["a/10/one", "a/2/one", "b/two"]
    assert recording_at(str(tmp_path / "a" / "notes"), ["a"]) is None


@pytest.mark.parametrize("place", ["", "hello", "a/b/c/hello"])
def test_a_recording_at_another_depth_is_not_passed_over(tmp_path: Path, place: str) -> None:
    write_recording(str(tmp_path / place), Ended(0), b"")

    with pytest.raises(RecordingError, match="stands in `AGENT/NAME/`"):
        find_recordings(str(tmp_path))


def test_without_the_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        find_recordings(str(tmp_path / "recordings"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: no such file"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "expected a mapping"),
        ("{}", "`code` must be"),
        ('{"code": true}', "`code` must be"),
        ('{"code": 256}', "`code` must be"),
        ('{"code": null}', "`code` must be"),
        ('{"code": 0, "timed_out": 1}', "`timed_out` must be"),
        ('{"code": 0, "seconds": -1}', "`seconds` must be"),
        ('{"code": 0, "seconds": NaN}', "`seconds` must be"),
        ('{"code": 0, "at": 5}', "`at` must be"),
    ],
)
def test_a_damaged_exit_json_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    (tmp_path / "stdout").touch()
    if content is not None:
        (tmp_path / "exit.json").write_text(content)

    with pytest.raises(RecordingError, match=message) as caught:
        Recording(str(tmp_path), "mine", None, "hello").ended()

    assert caught.value.message.startswith(f"{tmp_path}/exit.json: ")


def test_a_run_that_was_stopped_needs_no_code(tmp_path: Path) -> None:
    write_recording(str(tmp_path / "a" / "b"), Ended(None, timed_out=True, seconds=75), b"")

    assert find_recordings(str(tmp_path))[0].ended() == Ended(None, timed_out=True, seconds=75)


def test_what_else_the_recorder_notes_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "exit.json").write_text('{"code": 0, "survivors": [], "commits": [{}]}')

    assert Recording(str(tmp_path), "mine", None, "hello").ended() == Ended(0)


def test_the_time_of_the_end_has_the_zone_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XXX-5:30")
    time.tzset()
    try:
        assert time_of_end(1_795_363_000.0) == "2026-11-22T21:26:40+05:30"
    finally:
        monkeypatch.undo()
        time.tzset()
