"""Schedules that can never start, and what an agent can lay into their states: the good ones start, each fault is told."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.doubles.ntfy import Ntfy
from tests.helpers import wait_until
from tests.hostile.strike import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.helpers import Project

DAY = 86400.0
# A broken entry, and what is said of it.
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "at reboot": ({"cron": "@reboot"}, "unknown cron word `@reboot`"),
    "another word": ({"cron": "@every 5m"}, "unknown cron word `@every 5m`"),
    "minute sixty": ({"cron": "60 * * * *"}, "the minute of a cron expression cannot be `60`"),
    "a hash as others have it": ({"cron": "H 3 * * *"}, "the minute of a cron expression cannot be `H`"),
    "a zone in front": ({"cron": "CRON_TZ=UTC 0 3 * * *"}, "expected five fields, got 6"),
    "30 February": ({"cron": "0 0 30 2 *"}, "the day-of-month of a cron expression cannot be `30`"),
    "31 of short months": ({"cron": "0 0 31 4,6 *"}, "the day-of-month of a cron expression cannot be `31`"),
    "six fields": ({"cron": "0 0 3 * * *"}, "expected five fields, got 6"),
    "four fields": ({"cron": "0 3 * *"}, "expected five fields, got 4"),
    "a question mark": ({"cron": "0 3 ? * *"}, "the day-of-month of a cron expression cannot be `?`"),
    "a step of zero": ({"cron": "*/0 * * * *"}, "the minute of a cron expression cannot be `*/0`"),
    "other digits": ({"cron": "\u0663 3 * * *"}, "the minute of a cron expression cannot be"),
    "a zone that is none": ({"cron": "0 3 * * *", "timezone": "Mars/Base"}, "unknown time zone `Mars/Base`"),
    "a zone that is a folder": ({"cron": "0 3 * * *", "timezone": "Europe"}, "unknown time zone `Europe`"),
    "a zone that is a path": ({"cron": "0 3 * * *", "timezone": "../../etc/passwd"}, "unknown time zone"),
    "no agents": ({"cron": "0 3 * * *", "agents": None}, "a schedule without agents"),
}


def configure(project: Project, url: str, **broken: Any) -> None:
    """A task that was due a minute ago, a broken one beside it."""
    good = {"cron": time.strftime("%M %H * * *", time.gmtime(time.time() - 60)), "timezone": "UTC"}
    entry = {"description": "d", "prompt": "prompts/free.md", "vars": {"mode": "hello"}}
    tasks = {"nightly": {**entry, "schedule": {**good, "agents": ["double"]}}}
    if broken:
        wanted = {"agents": ["double"], **broken}
        tasks["broken"] = {**entry, "schedule": {key: value for key, value in wanted.items() if value is not None}}
    notify = {"ntfy": {"url": url, "topic": "runs"}}
    project.write("tasks.yaml", json.dumps({"stock": False, "notify": notify, "tasks": tasks}))


def last_seen(project: Project) -> None:
    """As if the good schedule had been looked at half a day ago."""
    path = project.root / "logs" / "state" / "schedules" / "nightly.json"
    kept = json.loads(path.read_text())
    kept["state"] |= {"handled": time.time() - DAY / 2, "next_due": 0, "next_start": 0, "gaps": []}
    path.write_text(json.dumps(kept))


def about_the_configuration(server: Ntfy) -> list[str]:
    found = [revisions[-1] for revisions in server.delivered("runs").values()]
    return [message["message"] for message in found if "configuration broken" in message["title"]]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_schedule_is_told_once_and_stops_no_other(project: Project, name: str) -> None:
    broken, said = BROKEN[name]
    with Ntfy() as server:
        configure(project, server.url, **broken)
        assert project("heartbeat", timeout=LIMIT).returncode == 3
        last_seen(project)
        for _ in range(2):
            done = project("heartbeat", timeout=LIMIT)
            assert (done.returncode, done.stderr) == (3, ""), "it was printed before: cron would mail it each minute"
        wait_until(lambda: [line["status"] for line in project.feed()] == ["success"])
        (message,) = about_the_configuration(server)
        assert said in message
        assert "tasks.yaml:1:" in message
        for words, code in ((("triage",), 1), (("validate",), 3), (("cron", "next"), 3), (("doctor",), 1)):
            done = project(*words, timeout=LIMIT)
            assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
            assert said in " ".join((done.stdout + done.stderr).split())
        configure(project, server.url)
        assert project("heartbeat").returncode == 0
        configure(project, server.url, **broken)
        assert project("heartbeat").returncode == 3
        assert len(about_the_configuration(server)) == 2, "what broke again is told again"


def state(**changes: Any) -> str:
    """A state as the heartbeat writes it."""
    progress = {"fingerprint": "0 3 * * * | UTC | 0", "handled": 1.7e9, "next_due": None, "next_start": None}
    whole = {"state": {**progress, "waiting": None, "gaps": [], "ahead": []}, "occurrence": None, "untold": []}
    return json.dumps({**whole, **changes})


def event(**changes: Any) -> dict[str, Any]:
    found = {"kind": "missed", "task": "nightly", "agents": ["double"], "message": "m", "first": 1.7e9, "last": 1.7e9}
    return {**found, "count": 1, "recorded": False, **changes}


def laid(text: str, name: str = "nightly.json") -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


def fifo(*names: str) -> Callable[[Path], object]:
    return lambda folder: [((folder / name).unlink(missing_ok=True), os.mkfifo(folder / name)) for name in names]


def link(target: str, *names: str) -> Callable[[Path], object]:
    return lambda folder: [((folder / one).unlink(missing_ok=True), (folder / one).symlink_to(target)) for one in names]


def folders(*names: str) -> Callable[[Path], object]:
    return lambda folder: [
        ((folder / name).unlink(missing_ok=True), (folder / name / "full").mkdir(parents=True)) for name in names
    ]


OCCURRENCE = {"due": 1.7e9, "task": "nightly", "chains": ["double"], "patient": False}
FILES = ("nightly.json", "nightly.json.new", "nightly.lock", "nightly.err")
LAID: dict[str, Callable[[Path], object]] = {
    "nothing in it": laid(""),
    "a list": laid("[]"),
    "deep": laid("[" * 100_000),
    "NaN": laid(state().replace("1700000000.0", "NaN")),
    "an endless time": laid(state().replace("1700000000.0", "1e999")),
    "a time of no calendar": laid(state().replace("1700000000.0", "1e300")),
    "a stretch of no calendar": laid(state(state={"fingerprint": "x", "handled": 1.0, "gaps": [[0, 1e300]]})),
    "an occurrence with options": laid(state(occurrence={**OCCURRENCE, "chains": ["--prompt=evil"]})),
    "an occurrence elsewhere": laid(state(occurrence={**OCCURRENCE, "task": "../../../escaped"})),
    "an event elsewhere": laid(state(untold=[event(task="../../../escaped")])),
    "an event of an odd agent": laid(state(untold=[event(agents=["../x"])])),
    "an event of many starts": laid(state(untold=[event()]).replace('"count": 1', '"count": 1' + "0" * 400)),
    "a state of a path": laid(state(untold=[event()]), "..json"),
    "a state with a line break": laid(state(untold=[event()]), "a\nb.json"),
    "a state with escapes": laid(state(untold=[event()]), "\x1b[2J.json"),
    "FIFOs": fifo(*FILES),
    "links to zeros": link("/dev/zero", *FILES),
    "links to themselves": link("nightly.json", "nightly.json"),
    "folders": folders(*FILES),
    "a FIFO for the outputs": lambda folder: [
        (folder.parent.parent / "heartbeat").mkdir(exist_ok=True),
        os.mkfifo(folder.parent.parent / "heartbeat" / "occurrences.log"),
    ],
    "a link for all": lambda folder: [folder.rename(folder.with_name("away")), folder.symlink_to("/dev/zero")],
}


@pytest.mark.parametrize("name", LAID)
def test_what_lies_in_a_state_stops_no_schedule(project: Project, name: str) -> None:
    """The state may start over; from the next heartbeats on, the schedule starts as ever, and nothing else does."""
    with Ntfy() as server:
        configure(project, server.url)
        assert project("heartbeat", timeout=LIMIT).returncode == 0
        LAID[name](project.root / "logs" / "state" / "schedules")
        for _ in range(2):
            done = project("heartbeat", timeout=LIMIT)
            assert (done.returncode, done.stderr) == (0, "")
        last_seen(project)
        before = len(project.feed())
        assert project("heartbeat", timeout=LIMIT).returncode == 0
        wait_until(lambda: [line["status"] for line in project.feed()[before:]] == ["success"])
    assert {line["task"] for line in project.feed()} == {"nightly"}
    assert not list(project.root.parent.rglob("escaped*"))
    assert project("cron", "next").returncode == 0
