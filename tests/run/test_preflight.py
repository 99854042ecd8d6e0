"""What must succeed before an unattended run: whose, in what surroundings, and what is said when it does not."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from runner.text import mask_volatile
from tests.doubles.ntfy import Ntfy
from tests.helpers import answering, kill_both, notifying, processes_with, script, starts, wait_until
from tests.run.test_retry import lines

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project

SCHEDULED = ("run", "one", "free", "--unattended")


def checked(project: Project, agent: str = "", task: str = "", settings: str = "") -> Project:
    """The agents `one`, with a preflight, and `two`, without; the task `free` with one of its own."""
    script(project, two=answering("done"), one=answering("done"))
    if agent:
        project.write("agents.yaml", (project.root / "agents.yaml").read_text() + f"    preflight: {agent}\n")
    more = f"    preflight: {task}\n" if task else ""
    after = f"settings: {{{settings}}}\n" if settings else ""
    project.write("tasks.yaml", f"stock: false\ntasks:\n  free:\n    prompt: prompts/free.md\n{more}{after}")
    return project


def sh(text: str) -> str:
    return json.dumps(["/bin/sh", "-c", text])


def test_only_unattended_runs_have_one(project: Project) -> None:
    checked(project, agent=sh("exit 1"), task=sh("exit 1"))
    assert project("run", "one", "free").returncode == 0
    done = project(*SCHEDULED)
    assert done.returncode == 12
    assert "skipped (preflight): one free" in done.stdout
    assert "the agent's preflight ended with exit code 1: `/bin/sh -c 'exit 1'`" in done.stdout
    assert starts(project, "one") == 1
    assert lines(project)[-1] == ("one", "skipped", "preflight")
    assert len(project.folders()) == 1, "a skipped run has no folder"


def test_the_agents_come_first_in_the_checkout_and_with_its_environment(project: Project) -> None:
    say = "echo {} $(pwd) $RUNNER_RUN_ID $NOT_FOR_AGENTS >> " + str(project.home / "said")
    checked(project, agent=f"[{sh(say.format('agent'))}, {sh(say.format('again'))}]", task=sh(say.format("task")))
    done = project(*SCHEDULED, env={"NOT_FOR_AGENTS": "x"})
    assert done.returncode == 0, done.stdout
    run_id = project.record()["run_id"]
    said = (project.home / "said").read_text().splitlines()
    assert said == [f"{who} {project.root} {run_id}" for who in ("agent", "again", "task")]
    assert "one free: preflight: /bin/sh -c" in done.stderr


def test_templates(project: Project) -> None:
    checked(
        project,
        agent='[test, "{{ agent }} {{ task }} {{ repo }}", "=", "one free ROOT"]'.replace("ROOT", str(project.root)),
    )
    assert project(*SCHEDULED).returncode == 0
    checked(project, agent='[test, "{{ agnt }}"]')
    wrong = project(*SCHEDULED)
    assert (wrong.returncode, "unknown variable `agnt`" in wrong.stderr) == (3, True)
    checked(project, agent='[run, "{{ settings.test_comand }}"]')
    wrong = project("validate")
    assert (wrong.returncode, "there is the word `{{ settings.test_command }}` alone" in wrong.stdout) == (3, True), (
        wrong.stdout
    )


FAKE = "#!/bin/sh\necho tests ran\necho >> {home}/tests\nexit {code}\n"


def fake(folder: Path, name: str, code: int, home: Path) -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(FAKE.format(home=home, code=code))
    (folder / name).chmod(0o755)
    return str(folder / name)


@pytest.mark.parametrize(
    ("code", "settings", "expected"),
    [
        (0, "", 0),
        (1, "", 12),
        (5, "", 0),  # no tests
        (None, "", 0),  # no pytest
        (5, "test_command: [mytests, -q]", 0),
        (1, "test_command: [mytests, -q]", 12),
        (None, "test_command: [mytests, -q]", 12),  # what somebody chose has to be there
    ],
)
def test_the_projects_test_command(
    project: Project, tmp_path: Path, code: int | None, settings: str, expected: int
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    if code is not None:
        fake(programs, "mytests" if settings else "pytest", code, project.home)
    for name in ("git", "sh"):
        os.symlink(f"/usr/bin/{name}", programs / name)
    checked(project, agent='["{{ settings.test_command }}"]', settings=settings)
    done = project(*SCHEDULED, env={"PATH": str(programs)})
    assert done.returncode == expected, done.stdout + done.stderr
    assert (project.home / "tests").exists() == (code is not None)
    if expected == 0:
        noted = [note for note in project.record()["notes"] if "preflight" in note]
        assert bool(noted) == (code is None)
    else:
        assert ("(`mytests` was not found on PATH)" if code is None else "tests ran") in done.stdout
        assert starts(project, "one") == 0


def test_exit_code_5_of_another_command_is_a_failure(project: Project) -> None:
    checked(project, agent=sh("exit 5"))
    assert project(*SCHEDULED).returncode == 12


def test_the_real_pytest(project: Project) -> None:
    """No tests, then one that fails, then one that passes."""
    checked(
        project, agent="['{{ settings.test_command }}']", settings=f'test_command: ["{sys.executable}", -m, pytest]'
    )
    assert project(*SCHEDULED, env={"PYTHONDONTWRITEBYTECODE": "1"}).returncode == 0
    test = project.write("test_it.py", "def test_it():\n    assert 1 + 1 == 3, 'sums are wrong'\n")
    done = project(*SCHEDULED)
    assert done.returncode == 12
    message = project.feed()[-1]["error"]["message"]
    assert "sums are wrong" in message
    assert "1 failed in" in message.splitlines()[-1]
    assert "1 failed in" in done.stdout
    assert any(line.startswith("            FAILED test_it.py::test_it") for line in done.stdout.splitlines())
    assert "1 failed in" in project("show", project.feed()[-1]["run_id"]).stdout
    test.write_text("def test_it():\n    assert 1 + 1 == 2, 'sums are right again'\n")
    assert project(*SCHEDULED).returncode == 0


@pytest.mark.parametrize("whose", ["agent", "task"])
def test_another_agent_helps_where_the_command_is_the_agents(project: Project, whose: str) -> None:
    checked(project, **{whose: sh("exit 1")})
    done = project("run", "one,two", "free", "--unattended")
    skipped = ("one", "skipped", "preflight")
    expected = [skipped, ("two", "success", None)] if whose == "agent" else [skipped]
    assert lines(project) == expected
    assert done.returncode == (0 if whose == "agent" else 12)


def test_one_message_until_it_changes(project: Project) -> None:
    text = "cat said.txt; echo took $(date +%s%N | cut -c8-15).$$ s; echo to $(mktemp -u); test ! -e said.txt"
    checked(project, agent=sh(text))
    said = project.write("said.txt", "FAILED test_a\n")

    def heard(server: Ntfy) -> int:
        assert project(*SCHEDULED).returncode in (0, 12)
        return len(server.delivered("runs"))

    with Ntfy() as server:
        notifying(project, server.url)
        assert heard(server) == 1
        (message,) = server.delivered("runs").popitem()[1]
        assert message["title"] == "one free: skipped (preflight)"
        assert "ended with exit code 1" in message["message"].splitlines()[0]
        assert "\nFAILED test_a\n" in message["message"]
        assert (message["tags"], message["priority"]) == (["x"], 3)
        assert heard(server) == 1, "the time that it took is no news"
        said.write_text("FAILED test_b\n")
        assert heard(server) == 2
        said.unlink()
        assert heard(server) == 3, "the run itself"
        said.write_text("FAILED test_b\n")
        assert heard(server) == 4, "it had been well meanwhile"
        assert server.violations == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1 failed in 0.12s", "1 failed in 11.40s", True),
        ("at 12:30:01, object 0x7f3a1c", "at 03:00:59, object 0x55ff", True),
        ("in /tmp/pytest-of-me/pytest-12/x", "in /tmp/pytest-of-me/pytest-13/x", True),
        ("in /var/tmp/tmpab12/x", "in /var/tmp/tmpzz/x", True),
        ("FAILED test_a", "FAILED test_b", False),
        ("FAILED test_1", "FAILED test_2", False),
        ("variable `KEY_1`", "variable `KEY_2`", False),
    ],
)
def test_what_is_no_change(one: str, other: str, same: bool) -> None:
    assert (mask_volatile(one) == mask_volatile(other)) == same


def test_a_secret_is_masked(project: Project) -> None:
    checked(project, agent=sh("echo my token is $SOME_TOKEN; exit 1"))
    text = (project.root / "agents.yaml").read_text()
    project.write("agents.yaml", text + "    env: {pass: [SOME_TOKEN]}\n")
    done = project(*SCHEDULED, env={"SOME_TOKEN": "hunter2hunter2"})
    assert done.returncode == 12
    assert "my token is" in project.feed()[-1]["error"]["message"]
    for place in (done.stdout, done.stderr, (project.root / "logs" / "runs.jsonl").read_text()):
        assert "hunter2" not in place


LEAVING = (
    "(setsid sh -c 'trap \"\" TERM; echo >> {home}/left; sleep 300' > /dev/null 2>&1 &); "
    "while [ ! -e {home}/left ]; do sleep 0.01; done; {end}"
)


def left(project: Project) -> list[int]:
    return processes_with(f"RUNNER_RUN_DIR={project.root}/logs")


@pytest.mark.parametrize(("end", "code"), [("exit 0", 0), ("exit 1", 12)])
def test_nothing_of_it_is_left(project: Project, end: str, code: int) -> None:
    checked(project, agent=sh(LEAVING.format(home=project.home, end=end)))
    assert project(*SCHEDULED).returncode == code
    assert (project.home / "left").exists()
    assert left(project) == []


def test_it_has_the_runs_timeout(project: Project) -> None:
    checked(project, agent=sh(LEAVING.format(home=project.home, end="echo stuck; sleep 300")))
    began = time.monotonic()
    done = project(*SCHEDULED, "--timeout", "1s")
    assert done.returncode == 12
    assert time.monotonic() - began < 30
    assert "did not end within 1.0s" in done.stdout
    assert "stuck" in done.stdout
    assert left(project) == []


def test_a_signal_ends_it(project: Project) -> None:
    checked(project, agent=sh(LEAVING.format(home=project.home, end="sleep 300")))
    process = project.start(*SCHEDULED)
    wait_until((project.home / "left").exists)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "received signal 15 during the preflight" in out
    assert lines(project) == [("one", "interrupted", "interrupted")]
    assert left(project) == []
    assert os.listdir(project.root / "logs" / "live") == []
    assert starts(project, "one") == 0


def test_the_checkout_is_taken_meanwhile(project: Project) -> None:
    checked(project, agent=sh(f"echo >> {project.home}/left; sleep 300"))
    process = project.start(*SCHEDULED)
    wait_until((project.home / "left").exists)
    assert "busy" in project("run", "two", "free").stdout
    process.terminate()
    process.communicate(timeout=30)


def test_whoever_comes_next_ends_that_of_a_killed_runner(project: Project) -> None:
    checked(project, agent=sh(f"echo >> {project.home}/left; sleep 300"))
    process = project.start(*SCHEDULED)
    wait_until((project.home / "left").exists)
    kill_both(process)
    project("heartbeat")
    assert left(project) == []
    assert project.feed() == []
    assert os.listdir(project.root / "logs" / "live") == []


def test_what_it_leaves_in_the_checkout_is_none_of_the_agents(project: Project) -> None:
    checked(project, agent=sh("echo x > by-preflight"))
    text = (project.root / "tasks.yaml").read_text()
    project.write("tasks.yaml", text + "    requires_commit: true\n    nothing_to_do: done\n")
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "configuration")
    done = project(*SCHEDULED)
    assert (done.returncode, project.record()["reason"]) == (0, "nothing_to_do"), done.stdout


def test_a_dirty_checkout_of_its_making_is_found(project: Project) -> None:
    checked(project, agent=sh("echo x > by-preflight"))
    text = (project.root / "tasks.yaml").read_text()
    project.write("tasks.yaml", text + "    auto_commit: true\n")
    project.git("add", "-A")
    project.git("commit", "-q", "-m", "configuration")
    assert project(*SCHEDULED).returncode == 12
    assert lines(project) == [("one", "skipped", "dirty_workspace")]


def test_one_command_of_both_runs_once(project: Project) -> None:
    text = sh(f"echo >> {project.home}/often")
    checked(project, agent=text, task=text)
    assert project(*SCHEDULED).returncode == 0
    assert (project.home / "often").read_text() == "\n"


def test_the_stock_agent_that_hangs_has_one(stock_project: Project, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    fake(programs, "pytest", 1, stock_project.home)
    words = ("run", "gemini", "debug_hello_simple", "--unattended")
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    done = stock_project(*words, env={"PATH": path, "RUNNER_GEMINI_BIN": "/bin/true"})
    assert (done.returncode, lines(stock_project)) == (12, [("gemini", "skipped", "preflight")]), done.stdout
    fake(programs, "pytest", 5, stock_project.home)
    stock_project(*words, env={"PATH": path, "RUNNER_GEMINI_BIN": "/bin/true"})
    assert stock_project.record()["agent"] == "gemini", "no tests: it ran"

    shown = json.loads(stock_project("agents", "show", "gemini", "--json").stdout)
    assert shown["entry"]["preflight"] == [["{{ settings.test_command }}"]]
    others = [
        name for name in ("claude", "codex", "demo") if "preflight" in stock_project("agents", "show", name).stdout
    ]
    assert others == []
