"""An agent at its limit is left alone until the reset, then tried by one run; people see it and can end it."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from runner.model import Skipped
from runner.reasons import REASONS
from runner.records.folder import Logs
from runner.run import cooldown
from runner.run.cooldown import Cooldown
from runner.text import from_rfc3339, rfc3339
from tests.doubles.ntfy import Ntfy
from tests.helpers import answering, failing, kill_both, notifying, script, starts, wait_until
from tests.history.test_history import check
from tests.run.test_retry import lines, tasks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project

NOW = 1_800_000_000.0
HOUR = 3600.0


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    (tmp_path / "logs").mkdir()
    return Logs(str(tmp_path / "logs"))


def closed(reason: str | None, retry_in: float | None = None) -> dict[str, Any]:
    status = REASONS[reason].status if reason else "success"
    error = {"retry_at": None if retry_in is None else rfc3339(NOW + retry_in)} if reason else None
    return {"agent": "a", "status": status, "reason": reason, "error": error, "run_id": "20270115_080000"}


@pytest.mark.parametrize(
    ("reason", "retry_in", "seconds"),
    [
        ("auth", None, HOUR),
        ("billing", None, HOUR),
        ("billing", 5 * HOUR, HOUR),
        ("rate_limit", None, HOUR / 4),
        ("rate_limit", 90.0, 90.0),
        ("rate_limit", -1.0, None),
        ("usage_limit", None, HOUR),
        ("usage_limit", 2 * HOUR, 2 * HOUR),
        ("usage_limit", 100 * HOUR, 6 * HOUR),
        *((name, None, None) for name in REASONS if name not in ("auth", "billing", "rate_limit", "usage_limit")),
    ],
)
def test_how_long(logs: Logs, reason: str, retry_in: float | None, seconds: float | None) -> None:
    notes = cooldown.settle(logs, closed(reason, retry_in), NOW)
    found = cooldown.read(logs, "a")
    if seconds is None:
        assert (found, notes) == (None, [])
    else:
        assert found == Cooldown("a", reason, NOW, NOW + seconds, "20270115_080000")
        assert notes == [f"in cooldown until {rfc3339(NOW + seconds)[:16]}Z: unattended runs leave `a` alone"]
        assert cooldown.all_of(logs) == [found]


@pytest.mark.parametrize(
    ("reason", "stays"),
    [
        (None, False),
        ("nothing_to_do", False),
        ("no_commits", False),
        ("uncommitted_changes", False),
        ("timeout", True),
        ("network", True),
        ("agent_error", True),
        ("interrupted", True),
    ],
)
def test_who_ends_it(logs: Logs, reason: str | None, stays: bool) -> None:
    """What says that the service answered; anything else leaves the question open."""
    cooldown.settle(logs, closed("usage_limit"), NOW)
    assert cooldown.settle(logs, closed(reason), NOW + 1) == []
    assert (cooldown.read(logs, "a") is not None) == stays


@pytest.mark.parametrize(
    ("since_now", "blocks"),
    [(0.0, True), (2 * HOUR - 1, True), (2 * HOUR, False), (50 * HOUR, False), (-HOUR, True), (-5 * HOUR, False)],
)
def test_how_long_it_blocks(since_now: float, blocks: bool) -> None:
    """A clock that was set back makes no cooldown longer than any can be."""
    assert Cooldown("a", "auth", NOW, NOW + 2 * HOUR, "r").blocks(NOW + since_now) == blocks


SOUND = {"agent": "a", "reason": "auth", "since": rfc3339(NOW), "until": rfc3339(NOW + HOUR), "run_id": "r"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"x"',
        "{}",
        "[" * 3000,
        "\udcff",
        json.dumps({**SOUND, "agent": "b"}),
        json.dumps({**SOUND, "reason": "boredom"}),
        json.dumps({**SOUND, "reason": ["auth"]}),
        json.dumps({**SOUND, "until": "soon"}),
        json.dumps({**SOUND, "until": 12}),
        json.dumps({**SOUND, "since": "0001-01-01T00:00:00"}),
        json.dumps({**SOUND, "run_id": None}),
        json.dumps({**SOUND, "note": "x" * 9000}),
    ],
)
def test_a_damaged_file_is_no_cooldown(logs: Logs, text: str) -> None:
    cooldown.settle(logs, closed("auth"), NOW)
    path = logs.path("state", "cooldowns", "a.json")
    with open(path, "w", errors="surrogateescape") as file:
        file.write(text)
    assert cooldown.read(logs, "a") is None
    assert cooldown.probe(logs, "a", NOW) is None
    cooldown.settle(logs, closed("auth"), NOW)
    assert cooldown.read(logs, "a") is not None


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_is_no_file_is_no_cooldown(logs: Logs, tmp_path: Path, kind: str) -> None:
    os.makedirs(logs.path("state", "cooldowns"))
    path = logs.path("state", "cooldowns", "a.json")
    if kind == "link":
        (tmp_path / "sound").write_text(json.dumps(SOUND))
        os.symlink(tmp_path / "sound", path)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        os.mkdir(path)
    assert cooldown.read(logs, "a") is None


def test_a_folder_that_is_a_link_is_not_written(logs: Logs, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    os.mkdir(logs.path("state"))
    os.symlink(tmp_path / "elsewhere", logs.path("state", "cooldowns"))
    (note,) = cooldown.settle(logs, closed("auth"), NOW)
    assert "cannot be kept" in note
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_one_probe_at_a_time(logs: Logs) -> None:
    cooldown.settle(logs, closed("auth"), NOW)
    later = NOW + HOUR
    with pytest.raises(Skipped) as left_alone:
        cooldown.probe(logs, "a", later - 1)
    assert left_alone.value.skip.reason == "cooldown"
    probe = cooldown.probe(logs, "a", later)
    assert isinstance(probe, cooldown.Probe)
    with pytest.raises(Skipped, match="a run that tries it goes on"):
        cooldown.probe(logs, "a", later)
    probe.close()
    again = cooldown.probe(logs, "a", later)
    assert isinstance(again, cooldown.Probe), "one that said nothing leaves the question to the next"
    again.close()
    cooldown.settle(logs, closed(None), later)
    assert cooldown.probe(logs, "a", later) is None
    assert os.listdir(logs.path("state", "cooldowns")) == []


def resets_in(project: Project, agent: str, seconds: float) -> None:
    """Let time pass: the cooldown ends in so many seconds."""
    path = project.root / "logs" / "state" / "cooldowns" / f"{agent}.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, "until": rfc3339(time.time() + seconds)}))


def cooling(project: Project) -> list[str]:
    return sorted(path.name for path in (project.root / "logs" / "state" / "cooldowns").glob("*"))


def test_a_limit_with_its_reset_in_two_hours(project: Project) -> None:
    """The whole night: fallback, one message a run, the first agent left alone, then one probe."""
    reset = int(time.time()) + 7200
    script(project, one=failing(f"usage limit until {reset}"), two=answering("done"))
    tasks(project, "    fallback: [two]\n")
    scheduled = ("run", "one", "free", "--unattended")
    with Ntfy() as server:
        notifying(project, server.url)
        assert project(*scheduled).returncode == 0
        assert lines(project) == [("one", "rate_limited", "usage_limit"), ("two", "success", None)]
        first, second = (revisions[-1] for revisions in server.delivered("runs").values())
        assert "note: in cooldown until" in first["message"]
        assert "next: two" in first["message"]
        assert second["title"] == "two free: success"
        assert {line["trigger"] for line in project.feed()} == {"schedule"}
        path = project.root / "logs" / "state" / "cooldowns" / "one.json"
        assert from_rfc3339(json.loads(path.read_text())["until"]) == reset

        # The next firing: no process of the first agent, no message of it; the second one's own is all.
        assert project(*scheduled).returncode == 0
        assert lines(project)[2:] == [("one", "skipped", "cooldown"), ("two", "success", None)]
        assert (starts(project, "one"), starts(project, "two")) == (1, 2)
        assert len(server.delivered("runs")) == 3
        assert project.feed()[3]["previous_run"] == project.feed()[2]["run_id"]

        # Without the second agent nobody hears anything.
        tasks(project, "")
        notifying(project, server.url)
        assert project(*scheduled).returncode == 12
        assert len(server.delivered("runs")) == 3

        # After the reset: one probe, which meets the limit again, and the agent is left alone anew.
        resets_in(project, "one", -1)
        assert project(*scheduled).returncode == 10
        assert project(*scheduled).returncode == 12
        assert starts(project, "one") == 2
        assert len(server.delivered("runs")) == 4

        # Then one that goes well: the cooldown is over.
        script(project, one=answering("done"), two=answering("done"))
        resets_in(project, "one", -1)
        assert project(*scheduled).returncode == 0
        assert cooling(project) == []
        assert project(*scheduled).returncode == 0
    assert starts(project, "one") == 4


def test_a_run_by_hand_is_tried_all_the_same(project: Project) -> None:
    script(project, one=failing("auth"))
    assert project("run", "one", "free").returncode == 1
    again = project("run", "one", "free")
    assert again.returncode == 1
    assert "note: agent `one` is in cooldown until" in again.stderr
    assert "a run by hand is tried all the same" in again.stderr
    script(project, one=answering("done"))
    assert project("run", "one", "free").returncode == 0
    assert cooling(project) == []
    assert "note: agent" not in project("run", "one", "free").stderr


def test_a_list_by_hand_goes_to_the_next(project: Project) -> None:
    script(project, one=failing("billing"), two=answering("done"))
    assert project("run", "one", "free").returncode == 1
    done = project("run", "one,two", "free")
    assert done.returncode == 0
    assert "skipped (cooldown): one free" in done.stdout
    assert lines(project)[1:] == [("one", "skipped", "cooldown"), ("two", "success", None)]
    assert starts(project, "one") == 1


def test_of_two_schedules_one_probes(project: Project) -> None:
    """In two checkouts, for in one the second would be busy; and a killed probe keeps nobody away."""
    project.git("worktree", "add", "-q", "../beside")
    script(project, one=failing("auth"))
    project("run", "one", "free", "--unattended")
    script(project, one="sleep 60")
    resets_in(project, "one", -1)
    probe = project.start("run", "one", "free", "--unattended")
    wait_until(lambda: starts(project, "one") == 2)
    beside = project("run", "one", "free", "--unattended", "--repo", "../beside")
    assert beside.returncode == 12
    assert "a run that tries it goes on" in beside.stdout
    kill_both(probe)
    script(project, one=answering("done"))
    assert project("run", "one", "free", "--unattended", "--repo", "../beside").returncode == 0
    assert cooling(project) == []


def test_where_it_is_shown(project: Project) -> None:
    script(project, one=failing("auth"), two=answering("done"))
    assert "cooldown" not in project("agents").stdout
    project("run", "one", "free")
    run_id = project.feed()[0]["run_id"]
    said = f"(auth in run {run_id})"

    listed = project("agents").stdout
    assert "one: in cooldown until " in listed
    assert said in listed
    first, second = json.loads(project("agents", "--json").stdout)
    assert (first["cooldown"]["reason"], first["cooldown"]["run_id"]) == ("auth", run_id)
    assert set(first["cooldown"]) == {"reason", "since", "until", "run_id"}
    assert second["cooldown"] is None

    assert project("agents", "show", "one").stdout.startswith("# in cooldown until ")
    assert json.loads(project("agents", "show", "one", "--json").stdout)["cooldown"]["reason"] == "auth"
    assert json.loads(project("agents", "show", "two", "--json").stdout)["cooldown"] is None

    doctor = json.loads(project("doctor", "one", "--json").stdout)
    check("doctor", doctor)
    (found,) = [one for one in doctor["agents"][0]["checks"] if one["name"] == "cooldown"]
    assert (found["level"], said in found["found"]) == ("warn", True)
    assert "`runner agents clear one` ends it" in found["advice"]

    triage = json.loads(project("triage", "--json").stdout)
    check("triage", triage)
    (limit,) = [finding for finding in triage["findings"] if finding["section"] == "limits"]
    assert (limit["agent"], limit["reason"], limit["run_id"], limit["person"]) == ("one", "auth", run_id, False)
    assert limit["text"].startswith("one: in cooldown until ")


def test_an_agent_in_cooldown_is_one_finding(project: Project) -> None:
    script(project, one=failing(f"usage limit until {int(time.time()) + 7200}"))
    project("run", "one", "free")
    triage = json.loads(project("triage", "--json").stdout)
    assert [finding["section"] for finding in triage["findings"]].count("limits") == 1
    project("agents", "clear", "one")
    triage = json.loads(project("triage", "--json").stdout)
    (limit,) = [finding for finding in triage["findings"] if finding["section"] == "limits"]
    assert "usage_limit until" in limit["text"], "the limit itself still holds"


def test_clear(project: Project) -> None:
    script(project, one=failing("auth"), two=answering("done"))
    nothing = project("agents", "clear", "one")
    assert (nothing.returncode, nothing.stdout) == (0, "nothing to clear: one is not in cooldown\n")
    project("run", "one", "free")
    assert project("run", "one", "free", "--unattended").returncode == 12
    done = project("agents", "clear", "one")
    assert done.returncode == 0
    assert done.stdout.startswith("cleared: one was in cooldown until ")
    assert project("run", "one", "free", "--unattended").returncode == 1

    unknown = project("agents", "clear", "onne")
    assert (unknown.returncode, "did you mean 'one'?" in unknown.stderr) == (2, True)
    assert project("agents", "clear", "../one").returncode == 2

    # A cooldown of an agent that is gone from the YAML can be ended, too; and a file that says nothing.
    script(project, two=answering("done"))
    assert project("agents", "clear", "one").stdout.startswith("cleared: one was")
    (project.root / "logs" / "state" / "cooldowns" / "two.json").write_text("{")
    assert project("agents", "clear", "two").stdout == "cleared: a damaged cooldown of two\n"


def test_a_cooldown_that_cannot_be_kept_is_noted(project: Project) -> None:
    script(project, one=failing("auth"))
    (project.root / "logs" / "state").mkdir(parents=True)
    (project.root / "logs" / "state" / "cooldowns").write_text("in the way")
    assert project("run", "one", "free").returncode == 1
    assert any("cooldown of `one` cannot be kept" in note for note in project.record()["notes"])
