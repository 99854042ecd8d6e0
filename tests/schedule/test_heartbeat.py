"""`runner heartbeat` with real detached runs: what is due is started once, and what was not is reported once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner import files
from tests.doubles.ntfy import Ntfy
from tests.doubles.pings import BlackHole, Pings
from tests.helpers import kill_both, wait_until

if TYPE_CHECKING:
    from tests.helpers import Project

DAY = 86400.0


def cron(minutes_ago: float) -> str:
    """Each day at the minute that was then, UTC."""
    return time.strftime("%M %H * * *", time.gmtime(time.time() - minutes_ago * 60))


def schedule(project: Project, minutes_ago: float = 1, days: float = 0.5, **more: Any) -> None:
    """A task `nightly` that was due that many minutes ago, and last looked at so many days ago."""
    task = {"description": "d", "prompt": "prompts/free.md", "vars": {"mode": more.pop("mode", "hello")}}
    timeout = {"timeout": more.pop("timeout")} if "timeout" in more else {}
    wanted = {"cron": cron(minutes_ago), "timezone": "UTC", "agents": ["double"], **more}
    entry = {**task, **timeout, "schedule": wanted}
    project.write("tasks.yaml", json.dumps({"stock": False, "tasks": {"nightly": entry}}))
    assert project("heartbeat").returncode == 0
    last_seen(project, days)


def configure(project: Project, **sections: Any) -> None:
    """More of tasks.yaml."""
    tasks = json.loads((project.root / "tasks.yaml").read_text())
    project.write("tasks.yaml", json.dumps({**tasks, **sections}))


def last_seen(project: Project, days: float) -> None:
    """As if the schedule had been looked at for the last time so many days ago."""
    path = project.root / "logs" / "state" / "schedules" / "nightly.json"
    kept = json.loads(path.read_text())
    kept["state"] |= {"handled": time.time() - days * DAY, "next_due": 0, "next_start": 0, "gaps": []}
    path.write_text(json.dumps(kept))


def beat(project: Project, **options: Any) -> str:
    """One heartbeat; its line in the log."""
    done = project("heartbeat", **options)
    assert done.returncode == 0, done.stderr
    return lines(project)[-1]


def lines(project: Project) -> list[str]:
    return (project.root / "logs" / "heartbeat" / "task.log").read_text().splitlines()


def outcomes(project: Project) -> list[tuple[str, str, str | None]]:
    return [(line["agent"], line["status"], line["reason"]) for line in project.feed()]


def schedule_state(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.root / "logs/state/schedules/nightly.json").read_text())
    return found


def occurrence(project: Project) -> int | None:
    """The pid of the process that runs a due time."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"occurrence" in words and str(project.root).encode() in words:
            return int(path.parent.name)
    return None


def settled(project: Project) -> None:
    """Until the occurrence is over."""

    def free() -> bool:
        held = files.lock(str(project.root / "logs" / "state" / "schedules" / "nightly.lock"))
        if held is not None:
            os.close(held)
        return held is not None

    wait_until(free)


def test_each_agent_in_turn_by_a_run_of_its_own(project: Project) -> None:
    schedule(project, agents=["double", "jsonl", "double"])
    assert "started 1 busy 0 missed 0" in beat(project)
    settled(project)
    assert [agent for agent, _, _ in outcomes(project)] == ["double", "jsonl", "double"]
    assert project.record()["trigger"] == "schedule"
    assert "started 0 busy 0 missed 0" in beat(project)
    assert schedule_state(project)["occurrence"] is None
    assert len(project.feed()) == 3


def test_a_run_outlives_the_heartbeat_and_holds_nothing_of_it(project: Project) -> None:
    """cron ends the group of its job, and waits for the end of its pipe."""
    schedule(project, mode="hang")
    reading, writing = os.pipe()
    heartbeat = project.start("heartbeat", start_new_session=True, pass_fds=[writing])
    os.close(writing)
    assert heartbeat.wait(timeout=60) == 0
    assert os.read(reading, 1) == b""
    os.close(reading)
    heartbeat.communicate()
    try:
        os.killpg(heartbeat.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # nothing of it is left
    wait_until(project.processes)
    (run_id,) = os.listdir(project.root / "logs" / "live")
    assert project("stop", run_id, "--now").returncode in (0, 143)
    settled(project)
    assert outcomes(project) == [("double", "interrupted", "interrupted")]


def test_the_agent_gets_no_descriptor_of_the_heartbeat(project: Project) -> None:
    schedule(project, mode="descriptors")
    beat(project)
    settled(project)
    assert project.record()["text"] == "0 1 2"


def test_overlap(project: Project) -> None:
    schedule(project, mode="hang", timeout="none")
    beat(project)
    wait_until(project.processes)
    last_seen(project, 0.5)
    assert "started 0 busy 1 missed 0" in beat(project)
    assert outcomes(project) == [("double", "skipped", "busy")]
    assert "still goes on" in project.feed()[0]["error"]["message"]
    (run_id,) = (folder.name for folder in project.folders())
    project("stop", run_id, "--now")
    settled(project)


def test_waiting_for_the_last_one(project: Project) -> None:
    schedule(project, mode="hang", timeout="none", overlap="wait")
    beat(project)
    wait_until(project.processes)
    last_seen(project, 0.5)
    assert "started 0 busy 0 missed 0" in beat(project)
    assert schedule_state(project)["state"]["waiting"] is not None
    project("stop", project.folders()[-1].name, "--now")
    settled(project)
    assert "started 1 busy 0 missed 0" in beat(project)
    wait_until(lambda: len(project.folders()) == 2)
    wait_until(project.processes)
    project("stop", project.folders()[-1].name, "--now")
    settled(project)


def test_a_waiting_schedule_waits_for_a_checkout_in_use(project: Project) -> None:
    schedule(project, mode="hello", overlap="wait")
    other = project.start("run", "double", "nightly", "--var", "mode=hang")
    wait_until(project.processes)
    beat(project)
    wait_until((project.root / "logs/state/schedules/nightly.err").exists)
    other.send_signal(signal.SIGTERM)
    other.communicate(timeout=30)
    settled(project)
    assert [status for _, status, _ in outcomes(project)] == ["interrupted", "success"]


def test_a_missed_start_is_reported_once(project: Project) -> None:
    with Ntfy() as server:
        schedule(project, minutes_ago=30, days=3.2, agents=["double", "jsonl"])
        configure(project, notify={"ntfy": {"url": server.url, "topic": "runs"}})
        assert "started 0 busy 0 missed 4" in beat(project)
        assert outcomes(project) == [("double", "missed", "missed"), ("jsonl", "missed", "missed")]
        assert "4 starts from 20" in project.feed()[0]["error"]["message"]
        ((name, (message,)),) = server.delivered("runs").items()
        assert name.startswith("missed_")
        assert (message["title"], message["priority"], message["tags"]) == ("nightly: missed", 4, ["x"])
        assert "no heartbeat came in time" in message["message"]
        assert "missed 0" in beat(project)
        assert len(server.delivered("runs")) == 1
    listed = project("runs", "--status", "missed", "--json").stdout.splitlines()
    assert [json.loads(line)["reason"] for line in listed] == ["missed", "missed"]
    assert " missed " in project("runs").stdout
    why = " ".join(project("why", json.loads(listed[0])["run_id"]).stdout.split())
    assert "was missed" in why and "no heartbeat came in time" in why
    first, second, *_ = json.loads(project("triage", "--json").stdout)["findings"]
    assert (first["section"], first["person"], second["section"]) == ("missed", True, "missed")
    assert "missed schedules:\n ! jsonl nightly: 4 starts from" in project("triage").stdout
    project("run", "double", "nightly")
    project("run", "jsonl", "nightly", "--var", "mode=result")
    assert project("triage").returncode == 0
    assert project("stats", "--json").returncode == 0
    assert project("runs", "--rebuild", "--status", "missed").stdout.count("missed") == 2


def test_catching_up_once(project: Project) -> None:
    schedule(project, minutes_ago=30, days=3.2, catch_up="once")
    assert "started 1 busy 0 missed 0" in beat(project)
    settled(project)
    assert [status for _, status, _ in outcomes(project)] == ["success"]
    assert "3 starts from" in (project.root / "logs" / "nightly" / "task.log").read_text().splitlines()[0]


def test_an_occurrence_that_is_killed(project: Project) -> None:
    """The run that it had started goes on by itself; the agent whose turn did not come is missed."""
    schedule(project, mode="hang", agents=["double", "jsonl"])
    beat(project)
    wait_until(project.processes)
    pid = occurrence(project)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    settled(project)
    assert "missed 1" in beat(project)
    assert outcomes(project) == [("jsonl", "missed", "missed")]
    assert "before this agent's turn" in project.feed()[0]["error"]["message"]
    project("stop", project.folders()[-1].name, "--now")
    assert "missed 0" in beat(project)


def test_an_agent_that_cannot_be_run_is_missed(project: Project) -> None:
    """What is wrong with one pair is seen when it is run: its turn leaves no record, and is reported all the same."""
    schedule(project, agents=["double", "jsonl"])
    text = (project.root / "agents.yaml").read_text()
    project.write(
        "agents.yaml", text.replace("    parser: result\n", "    parser: result\n    argv: ['{{ nonsense }}']\n")
    )
    beat(project)
    settled(project)
    assert "missed 1" in beat(project)
    assert outcomes(project) == [("double", "success", None), ("jsonl", "missed", "missed")]
    assert "nonsense" in project.feed()[-1]["error"]["message"]


def test_many_heartbeats_at_once_start_one_run(project: Project) -> None:
    schedule(project)
    beats = [project.start("heartbeat") for _ in range(8)]
    assert {process.wait(timeout=60) for process in beats} == {0}
    for process in beats:
        process.communicate()
    settled(project)
    assert len(project.feed()) == 1
    assert sum("started 1" in line for line in lines(project)) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_heartbeat_that_is_killed_starts_nothing_twice(project: Project, moment: str) -> None:
    """Between the state and the process, or just after: the due time is reported or run, and never both."""
    schedule(project)
    stop = "os.kill(os.getpid(), 9)"
    code = (
        "import os, sys; from runner.commands import heartbeat as command;"
        "real = command.start_detached;"
        f"command.start_detached = lambda *a, **k: ({'' if moment == 'before' else 'real(*a, **k),'} {stop});"
        "command.heartbeat(None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project.root, env=project.environment(), check=False, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    settled(project)
    beat(project)
    settled(project)
    assert [status for _, status, _ in outcomes(project)] == ["missed" if moment == "before" else "success"]


def test_a_schedule_that_is_gone_leaves_nothing(project: Project) -> None:
    schedule(project)
    beat(project)
    settled(project)
    project.write("tasks.yaml", "stock: false\ntasks: {}\n")
    beat(project)
    assert list((project.root / "logs" / "state" / "schedules").iterdir()) == []


BROKEN = "tasks: {nightly: {surprise: 1}}\n"


def test_broken_configuration(project: Project) -> None:
    """No schedule starts, but what needs no configuration is done; once it is fixed, schedules start again."""
    with Ntfy() as server:
        schedule(project)
        configure(project, notify={"ntfy": {"url": server.url, "topic": "runs"}})
        run = project.start("run", "double", "nightly", "--var", "mode=hang")
        wait_until(project.processes)
        kill_both(run)
        good = (project.root / "tasks.yaml").read_text()
        project.write("tasks.yaml", BROKEN)
        done = project("heartbeat")
        assert (done.returncode, "surprise" in done.stderr) == (3, True)
        assert "configuration broken lost 1 delivered 0 waiting 0 (tasks.yaml:1:" in lines(project)[-1]
        titles = {message["title"] for messages in server.delivered("runs").values() for message in messages}
        assert titles == {"double nightly: lost", "project: configuration broken"}
    project.write("tasks.yaml", good)
    assert "started 1" in beat(project)
    settled(project)


def test_broken_templates_stop_no_schedule(project: Project) -> None:
    """They are rendered when there is something to report."""
    schedule(project)
    configure(project, notify={"ntfy": {"url": "{{ nonsense }}", "topic": "runs"}})
    done = project("heartbeat")
    assert (done.returncode, "nonsense" in done.stderr) == (3, True)
    assert "started 1 " in lines(project)[-1]
    settled(project)


def test_a_heartbeat_of_a_project_without_logs_and_with_broken_configuration(project: Project) -> None:
    project.write("tasks.yaml", BROKEN)
    assert project("heartbeat").returncode == 3
    assert not (project.root / "logs").exists()


def test_a_part_that_fails_leaves_the_others_alone(project: Project) -> None:
    project("heartbeat")
    project("run", "double", "free")
    folder = project.root / "logs" / "state" / "schedules"
    schedule(project)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_text("no folder")
    with Pings() as server:
        configure(project, settings={"heartbeat_url": server.url})
        done = project("heartbeat")
        assert done.returncode == 70
        assert "the heartbeat is not complete: schedule nightly: " in done.stderr
        assert server.signals == ["/start", "/70"]
    assert " lost 0 delivered 0 waiting 0 pruned 0 failed (schedule nightly: " in lines(project)[-1]
    assert "heartbeat: schedule nightly" in (project.root / "logs" / "runner.log").read_text()


def test_an_error_of_our_own_is_70_with_its_traceback(project: Project) -> None:
    code = (
        "import sys; from runner import __main__; from runner.commands import heartbeat;"
        "heartbeat.flush = lambda *a, **k: 1 / 0;"
        "sys.argv = ['runner', 'heartbeat']; __main__.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project.root, env=project.environment(), check=False, capture_output=True
    )
    assert (done.returncode, b"messages: ZeroDivisionError" in done.stderr) == (70, True)
    assert "Traceback" in (project.root / "logs" / "runner.log").read_text()
    assert "pruned 0 failed (messages: " in lines(project)[-1]


def test_a_message_that_cannot_be_written_is_written_later(project: Project) -> None:
    """And runs.jsonl has its lines once."""
    with Ntfy() as server:
        schedule(project, minutes_ago=30)
        configure(project, notify={"ntfy": {"url": server.url, "topic": "runs"}})
        outbox = project.root / "logs" / "outbox"
        outbox.write_text("no folder")
        assert [project("heartbeat").returncode for _ in range(2)] == [70, 70]
        outbox.unlink()
        beat(project)
        assert len(server.delivered("runs")) == 1
    assert outcomes(project) == [("double", "missed", "missed")]


def test_a_log_folder_that_cannot_be_made(project: Project) -> None:
    with Pings() as server:
        project.write("logs", "no folder")
        project.write("tasks.yaml", json.dumps({"settings": {"heartbeat_url": server.url}}))
        done = project("heartbeat")
        assert (done.returncode, "the heartbeat is not complete" in done.stderr) == (70, True)
        assert server.signals == ["/70"]


def test_the_dead_mans_switch(project: Project) -> None:
    with Pings() as server:
        schedule(project, minutes_ago=30)
        configure(project, settings={"heartbeat_url": f"{server.url}?create=1"})
        beat(project)
        assert server.signals == ["/start?create=1", "/fail?create=1"]
        assert "missed 1" in server.received[-1][1]
        beat(project)
        assert server.signals[2:] == ["/start?create=1", "?create=1"]
        server.status = 500
        assert "ping: 500" in beat(project)
        assert len(server.received) == 5


def test_a_switch_that_does_not_answer_costs_one_try(project: Project) -> None:
    """And nothing that is due waits for it."""
    with BlackHole() as hole:
        schedule(project)
        configure(project, settings={"heartbeat_url": hole.url})
        line = beat(project)
        settled(project)
        # On a busy machine the two seconds may be over before the connection stands.
        assert "started 1 " in line and line.endswith(("gave no answer within 2 s", "timed out"))
        assert hole.connections <= 1
        assert outcomes(project) == [("double", "success", None)]


def test_a_clock_that_is_set_back_is_noted_once(project: Project) -> None:
    beat(project)
    later = time.time() + 7200
    os.utime(project.root / "logs" / "heartbeat" / "task.log", (later, later))
    beat(project)
    beat(project)
    assert (project.root / "logs" / "runner.log").read_text().count("the clock was set back by 7") == 1


def test_what_was_done_is_printed_to_a_terminal_alone(project: Project) -> None:
    assert project("heartbeat").stdout == ""
    reading, writing = os.openpty()
    assert project("heartbeat", stdout=writing).returncode == 0
    os.close(writing)
    assert os.read(reading, 1000).startswith(b"started 0 busy 0 missed 0 lost 0 ")
    os.close(reading)


def test_the_log_of_heartbeats_stays_short(project: Project) -> None:
    beat(project)
    log = project.root / "logs" / "heartbeat" / "task.log"
    log.write_text("x" * (1 << 20) + "\n")
    beat(project)
    beat(project)
    assert log.stat().st_size < 1000
    assert log.with_name("task.log.1").stat().st_size > 1 << 20


def test_no_heartbeat_starts_schedules(project: Project) -> None:
    """Triage and doctor say so; a project without schedules needs no heartbeat."""
    assert project("triage").returncode == 0
    schedule(project)
    assert project("triage").returncode == 0
    assert _heartbeat_check(project) == "ok"
    log = project.root / "logs" / "heartbeat" / "task.log"
    old = time.time() - 3 * 3600
    os.utime(log, (old, old))
    done = project("triage")
    assert done.returncode == 1
    assert " ! 1 schedule and no heartbeat for 3h00m: nothing is started\n     `runner cron install`" in done.stdout
    assert _heartbeat_check(project) == "warn"
    log.unlink()
    assert "1 schedule and no heartbeat yet: nothing is started" in project("triage").stdout


def _heartbeat_check(project: Project) -> str:
    machine = json.loads(project("doctor", "--json").stdout)["machine"]
    (level,) = [check["level"] for check in machine if check["name"] == "heartbeat"]
    return str(level)


def test_an_idle_heartbeat_imports_little(project: Project) -> None:
    schedule(project, minutes_ago=-600, days=0)
    beat(project)
    said = project(
        "heartbeat", env={"PYTHONPROFILEIMPORTTIME": "1", "COVERAGE_PROCESS_CONFIG": "", "COVERAGE_PROCESS_START": ""}
    ).stderr
    loaded = {line.rpartition("|")[2].strip() for line in said.splitlines() if line.startswith("import time:")}
    assert "runner.schedule.dispatch" in loaded
    heavy = {"cronsim", "zoneinfo", "yaml", "click", "requests", "sqlite3", "jinja2", "subprocess", "runner.run.run"}
    assert not heavy & loaded


def test_occurrence_is_for_the_heartbeat(project: Project) -> None:
    schedule(project)
    done = project("occurrence", "nightly")
    assert (done.returncode, "is for the heartbeat" in done.stderr) == (2, True)
    assert "occurrence" not in project("--help").stdout
