"""Words that cannot start anything, from cron or wherever no terminal shows the error: one message for each, once."""

from __future__ import annotations

import os
import pty
from typing import TYPE_CHECKING

import pytest

from tests.doubles.ntfy import Ntfy
from tests.helpers import notifying
from tests.hostile.strike import Hostile, strike

if TYPE_CHECKING:
    from tests.helpers import Project

RUN = ("run", "double", "free")
WORDS = [
    ("run",),
    ("run", "double"),
    ("run", "double,,double", "free"),
    ("run", "double,", "free"),
    ("run", "double,double", "free"),
    ("run", "duoble", "free"),
    ("run", "double,nosuch", "free"),
    ("run", "double", "fere"),
    ("run", "double", "fr\u202eee\x1b[2J"),
    (*RUN, "extra"),
    (*RUN, "--agent", "double"),
    (*RUN, "--tmeout", "3"),
    (*RUN, "--timeout"),
    (*RUN, "--timeout", "soon"),
    (*RUN, "--timeout", "99999999h"),
    (*RUN, "--wait", "never"),
    (*RUN, "--wait", "9" * 400),
    (*RUN, "--json=yes"),
    (*RUN, "--var", "nox"),
    (*RUN, "--var", "=x"),
    (*RUN, "--var", "undeclared=1"),
    (*RUN, "--set", "nosuch=1"),
    (*RUN, "--set", "argument"),
    (*RUN, "--repo", "/nowhere/at/all"),
    ("run", "double", "--prompt", ""),
    ("run", "double", "--prompt", " \n\t"),
    ("--agent", "double", "--task", "nosuch"),
    ("--agent=nosuch", "--task=free"),
    ("-C", ".", "run", "double", "nosuch"),
    ("runn", "double", "free"),
    ("--nonsense", "run", "double", "free"),
    ("heartbeta",),
    ("heartbeat", "extra"),
    ("heartbeat", "--now"),
    ("occurrence", "nosuch"),
]


@pytest.mark.parametrize("words", WORDS, ids=lambda words: " ".join(words)[:60].encode("unicode_escape").decode())
def test_one_message_however_often_it_is_started(project: Project, words: tuple[str, ...]) -> None:
    def twice(project: Project) -> None:
        for _ in range(2):
            assert project(*words).returncode == 2

    struck = strike(project, Hostile("words", twice, words, code=2))
    (message,) = struck.messages.values()
    body = message["message"]
    assert "correct the command" in body
    said = struck.done.stderr.lower().partition("error: ")[2]
    assert said[:20] in body.lower()
    assert struck.record is None


def test_a_variable_of_the_environment(project: Project) -> None:
    env = {"AGENT_RUNNER_TIMEOUT_SECONDS": "soon"}
    strike(project, Hostile("environment", words=RUN, code=2, env=env))


SHOWN = [
    ("runs", "--nonsense"),
    ("show", "nosuch"),
    ("stats", "--by", "moon"),
    ("run", "double", "nosuch", "--dry-run"),
    ("run", "--help"),
]


@pytest.mark.parametrize("words", SHOWN, ids=" ".join)
def test_what_starts_nothing_sends_nothing(project: Project, words: tuple[str, ...]) -> None:
    strike(project, Hostile("shown", words=words, code=0 if "--help" in words else 2, messages=0))


@pytest.mark.parametrize("more", [(), ("--unattended",)], ids=str)
def test_a_person_at_a_terminal_sees_it(project: Project, more: tuple[str, ...]) -> None:
    """Unless the run is one that nobody watches."""
    master, slave = pty.openpty()
    words = ("run", "double", "free", "--tmeout", "3", *more)
    strike(project, Hostile("terminal", words=words, code=2, messages=len(more), options={"stderr": slave}))
    os.close(slave)
    assert b"No such option" in os.read(master, 4096)
    os.close(master)


def test_another_error_is_another_message(project: Project) -> None:
    with Ntfy() as server:
        notifying(project, server.url)
        for task in ("one", "two", "one", "free", "two"):
            project("run", "double", task)
        titles = [revisions[-1]["message"] for revisions in server.delivered("runs").values()]
    assert len(titles) == 3  # the two, and the run that went well


# A schedule that can never start, and where.
SCHEDULES = [
    ("@reboot", 1),
    ("@fortnightly", 1),
    ("60 * * * *", 1),
    ("* 24 * * *", 3),
    ("H 3 * * *", 1),
    ("CRON_TZ=UTC 0 3 * * *", 1),
    ("0 0 31 2 *", 1),
    ("0 0 30 2 *", 1),
    ("* * * *", 1),
    ("* * * * * * *", 1),
    ("", 1),
    ("*/0 * * * *", 1),
    ("5-1 * * * *", 1),
    ("0 0 * * MOON", 9),
]


@pytest.mark.parametrize("words", [("cron", "next"), ("cron", "next", "--json"), ("validate",)], ids=" ".join)
@pytest.mark.parametrize(("cron", "column"), SCHEDULES, ids=str)
def test_a_wrong_schedule_has_its_place(project: Project, words: tuple[str, ...], cron: str, column: int) -> None:
    schedule(project, f'cron: "{cron}"')
    done = project(*words)
    assert (done.returncode, done.stderr if words != ("validate",) else "") == (3, done.stderr)
    assert "tasks.yaml:" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("zone", ["Mars/Base", "../etc/passwd", "/etc/localtime", "", "UTC\\0"])
def test_a_wrong_zone_has_its_place(project: Project, zone: str) -> None:
    schedule(project, f'cron: "0 3 * * *", timezone: "{zone}"')
    done = project("cron", "next")
    assert (done.returncode, "tasks.yaml:" in done.stderr, "Traceback" in done.stderr) == (3, True, False)


def schedule(project: Project, text: str) -> None:
    tasks = (project.root / "tasks.yaml").read_text()
    project.write("tasks.yaml", f"{tasks}  nightly: {{extends: free, schedule: {{{text}, agents: [double]}}}}\n")
