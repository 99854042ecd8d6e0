"""A configuration that is broken while nobody watches: one message for each content."""

from __future__ import annotations

import json
import os
import pty
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.doubles.ntfy import Ntfy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.helpers import Project

TOPIC = "night"
NOTIFY = """\
notify:
  ntfy: {url: "{{ env.RUNNER_NTFY_URL }}", topic: "{{ env.RUNNER_NTFY_TOPIC }}", token_env: RUNNER_NTFY_TOKEN}
"""
TOKEN = "tk_alarm_secret"


@pytest.fixture
def server() -> Iterator[Ntfy]:
    with Ntfy(token=TOKEN, burst=200) as running:
        yield running


@pytest.fixture
def night(project: Project, server: Ntfy) -> Project:
    """A project that ran well by day, with a topic and a log folder of its own."""
    settings = f"settings: {{logs: {project.home}/run logs}}\n"
    project.write("tasks.yaml", (project.root / "tasks.yaml").read_text() + NOTIFY + settings)
    project.env |= {"RUNNER_NTFY_URL": server.url, "RUNNER_NTFY_TOPIC": TOPIC, "RUNNER_NTFY_TOKEN": TOKEN}
    assert project("run", "double", "free").returncode == 0
    return project


def messages(server: Ntfy) -> list[dict[str, Any]]:
    """The messages about the configuration, each once."""
    found = [revisions[-1] for revisions in server.delivered(TOPIC).values()]
    return [message for message in found if not message["title"].startswith("double ")]


def last_good(project: Project) -> Path:
    (path,) = (project.home / ".local/state/runner/projects").glob("*.json")
    return path


def write(name: str, text: str) -> Callable[[Project], object]:
    return lambda project: project.write(name, text)


def append(name: str, text: str) -> Callable[[Project], object]:
    return lambda project: project.write(name, (project.root / name).read_text() + text)


def half_written(project: Project) -> object:
    """Half of the file, in the middle of a word."""
    text = (project.root / "tasks.yaml").read_text()
    return project.write("tasks.yaml", text[: text.index("requires_commit") + 5])


def folder(project: Project) -> None:
    (project.root / "agents.yaml").unlink()
    (project.root / "agents.yaml").mkdir()


def unreadable(project: Project) -> None:
    (project.root / "agents.yaml").unlink()
    (project.root / "agents.yaml").symlink_to("agents.yaml")


CONFLICT = "<<<<<<< HEAD\nstock: false\n=======\nstock: true\n>>>>>>> theirs\n"
BREAKS = {
    "an unknown key": (append("agents.yaml", "surprise: 1\n"), "agents.yaml:21:1: surprise: unknown key"),
    "a merge conflict": (write("tasks.yaml", CONFLICT), "tasks.yaml:1:"),
    "a half-written file": (half_written, "tasks.yaml:"),
    "a folder": (folder, "agents.yaml: is a folder, expected a file"),
    "a file that cannot be read": (unreadable, "agents.yaml: cannot be read: a loop of symbolic links"),
    "notify itself": (write("tasks.yaml", "notify: {nosuch: 1}\n"), "tasks.yaml:1:"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_one_message_for_each_content(night: Project, server: Ntfy, name: str) -> None:
    breaks, place = BREAKS[name]
    breaks(night)
    for _ in range(2):
        done = night("run", "double", "free")
        assert (done.returncode, night("heartbeat").returncode) == (3, 3)
    (message,) = messages(server)
    assert (message["title"], message["priority"], message["tags"]) == ("project: configuration broken", 4, ["x"])
    assert message["message"].startswith(place)
    assert "do: fix it and check with `runner validate`" in message["message"]
    assert f"project: {night.root}" in message["message"]
    assert server.violations == []
    log = (night.home / "run logs" / "runner.log").read_text()
    assert log.count("in the configuration") == 2, "each run that was refused is noted, the heartbeat's minutes are not"


def test_a_change_is_reported_and_so_is_what_broke_again(night: Project, server: Ntfy) -> None:
    good = (night.root / "agents.yaml").read_text()

    def meet(text: str) -> int:
        night.write("agents.yaml", text)
        night("heartbeat")
        return len(messages(server))

    assert [meet(good + "one: 1\n"), meet(good + "one: 1\n"), meet(good + "two: 2\n")] == [1, 1, 2]
    assert [meet(good), meet(good + "two: 2\n"), meet(good + "two: 2\n"), meet(good)] == [2, 3, 3, 3]
    assert json.loads(last_good(night).read_text())["memory"]["told"] == {}


def test_the_same_content_is_the_same_from_any_folder(night: Project, server: Ntfy) -> None:
    append("agents.yaml", "surprise: 1\n")(night)
    night("run", "double", "free")
    night("-C", str(night.root), "heartbeat", cwd=night.home)
    assert len(messages(server)) == 1


def test_one_pair_is_broken_and_the_rest_is_well(night: Project, server: Ntfy) -> None:
    """A heartbeat in between, which reads no prompt, does not make it news."""
    night.write("prompts/free.md", "{{ vars.nothing_of_that_name }}\n")
    for _ in range(2):
        assert night("run", "double", "free").returncode == 3
        assert night("heartbeat").returncode == 0
    (message,) = messages(server)
    assert message["message"].startswith("prompts/free.md:1:")
    night.write("prompts/free.md", "Do it.\n")
    assert night("run", "double", "free").returncode == 0
    night.write("prompts/free.md", "{{ vars.nothing_of_that_name }}\n")
    night("run", "double", "free")
    assert len(messages(server)) == 2


def test_a_run_with_a_wrong_name(night: Project, server: Ntfy) -> None:
    for _ in range(2):
        assert night("run", "dobule", "free").returncode == 2
    (message,) = messages(server)
    assert message["title"] == "project: a run cannot begin"
    assert message["message"].startswith("unknown agent `dobule`")


def test_agents_yaml_is_gone(night: Project, server: Ntfy) -> None:
    """The stock set takes its place, which may be on purpose: it is reported, and nothing is refused."""
    (night.root / "agents.yaml").rename(night.root / "kept")
    for _ in range(2):
        assert night("heartbeat").returncode == 0
    assert night("run", "double", "free").returncode == 2
    gone, asked = messages(server)
    assert gone["message"].startswith("agents.yaml: is gone")
    assert asked["message"].startswith("unknown agent `double`")
    done = night("triage")
    assert (done.returncode, done.stdout.startswith("configuration:\n ! ")) == (1, True)
    assert "agents.yaml: is gone" in done.stdout
    (night.root / "kept").rename(night.root / "agents.yaml")
    assert night("run", "double", "free").returncode == 0
    assert "is gone" not in night("triage").stdout
    (night.root / "agents.yaml").unlink()
    night("heartbeat")
    assert len(messages(server)) == 3


def test_both_files_are_gone(night: Project, server: Ntfy) -> None:
    """Also the one that said where messages go and where the logs are."""
    for name in ("agents.yaml", "tasks.yaml"):
        (night.root / name).unlink()
    for _ in range(2):
        night("heartbeat")
    (message,) = messages(server)
    assert message["message"].startswith("agents.yaml: is gone")
    assert "\ntasks.yaml: is gone" in message["message"]


def test_the_project_is_gone(night: Project, server: Ntfy) -> None:
    shutil.move(night.root, night.home / "elsewhere")
    for _ in range(2):
        assert night("-C", str(night.root), "run", "double", "free", cwd=night.home).returncode == 2
    (message,) = messages(server)
    assert "is not a folder" in message["message"]


def test_a_dead_server_only_delays_it(night: Project, server: Ntfy) -> None:
    append("agents.yaml", "surprise: 1\n")(night)
    server.mode = "internal_error"
    assert night("heartbeat").returncode == 3
    waiting = list((night.home / "run logs/outbox").glob("config_*.json"))
    assert (len(waiting), messages(server)) == (1, [])
    server.mode = "well"
    assert night("heartbeat").returncode == 3
    assert len(messages(server)) == 1
    assert list((night.home / "run logs/outbox").glob("*.json")) == []
    assert os.listdir(night.home / "run logs/live") == []


def test_without_a_log_folder_it_goes_straight(night: Project, server: Ntfy) -> None:
    """And is tried again until it is delivered."""
    append("agents.yaml", "surprise: 1\n")(night)
    shutil.rmtree(night.home / "run logs")
    server.mode = "internal_error"
    assert night("heartbeat").returncode == 3
    server.mode = "well"
    for _ in range(2):
        assert night("heartbeat").returncode == 3
    assert len(messages(server)) == 1
    assert not (night.home / "run logs").exists()


def test_other_messages_are_sent_as_well(night: Project, server: Ntfy) -> None:
    """Messages of runs, while the configuration is broken."""
    server.mode = "internal_error"
    night("run", "double", "free")
    append("agents.yaml", "surprise: 1\n")(night)
    night("heartbeat")
    server.mode = "well"
    night("heartbeat")
    assert list((night.home / "run logs/outbox").glob("*.json")) == []


def test_a_refused_run_sends_them_as_well(night: Project, server: Ntfy) -> None:
    """From the second time on: where cron starts runs and no heartbeat, nothing else would."""
    server.mode = "internal_error"
    night("run", "double", "free")
    append("agents.yaml", "surprise: 1\n")(night)
    night("run", "double", "free")
    server.mode = "well"
    night("run", "double", "free")
    assert list((night.home / "run logs/outbox").glob("*.json")) == []


def test_the_heartbeat_prints_it_once(night: Project) -> None:
    append("agents.yaml", "surprise: 1\n")(night)
    assert ["surprise" in night("heartbeat").stderr for _ in range(3)] == [True, False, False]


def test_a_person_at_a_terminal_sees_it(night: Project, server: Ntfy) -> None:
    append("agents.yaml", "surprise: 1\n")(night)
    seen, terminal = pty.openpty()
    assert night("run", "double", "free", stderr=terminal).returncode == 3
    assert b"surprise" in os.read(seen, 4096)
    os.close(seen)
    os.close(terminal)
    assert messages(server) == []


def test_a_person_at_a_terminal_accepts_what_is_gone(night: Project, server: Ntfy) -> None:
    (night.root / "agents.yaml").unlink()
    seen, terminal = pty.openpty()
    night("run", "double", "free", stderr=terminal)
    os.close(seen)
    os.close(terminal)
    night("heartbeat")
    assert messages(server) == []


def test_triage_shows_it_first_and_shows_the_rest(night: Project) -> None:
    """By the log folder that the settings named when they could be read."""
    night("run", "double", "must_commit")
    append("tasks.yaml", "surprise: 1\n")(night)
    night("run", "double", "free")
    done = night("triage")
    assert done.returncode == 1
    assert done.stdout.startswith("configuration:\n ! tasks.yaml:")
    assert "double: no_commits" in done.stdout
    assert "1 run of 1 agent went well" in done.stdout


def test_there_never_was_a_valid_configuration(project: Project, server: Ntfy) -> None:
    append("agents.yaml", "surprise: 1\n")(project)
    project.env |= {"RUNNER_NTFY_URL": server.url, "RUNNER_NTFY_TOPIC": TOPIC}
    (project.root / "logs").mkdir()
    assert project("run", "double", "free").returncode == 3
    assert "surprise" in (project.root / "logs/runner.log").read_text()
    assert server.requests == []


def foreign(path: Path) -> None:
    os.chown(path, 65534, 65534)


DAMAGED: dict[str, Callable[[Path], object]] = {
    "half": lambda path: path.write_text(path.read_text()[:100]),
    "empty": lambda path: path.write_text(""),
    "no mapping": lambda path: path.write_text("[1]"),
    "another version": lambda path: path.write_text(path.read_text().replace('"version": 1', '"version": 99')),
    "another shape": lambda path: path.write_text(path.read_text().replace('"files": [', '"files": [7, ')),
    "others may write it": lambda path: path.chmod(0o666),
    "another user's": foreign,
    "a link": lambda path: path.symlink_to(path.rename(path.with_name("elsewhere"))),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_ignored(night: Project, server: Ntfy, name: str) -> None:
    """It names programs and servers: what another user could have written is not used."""
    if name == "another user's" and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    DAMAGED[name](last_good(night))
    append("agents.yaml", "surprise: 1\n")(night)
    assert night("run", "double", "free").returncode == 3
    assert messages(server) == []


def test_it_is_renewed_by_a_valid_configuration(night: Project, server: Ntfy) -> None:
    last_good(night).write_text("{")
    night("heartbeat")
    append("agents.yaml", "surprise: 1\n")(night)
    night("heartbeat")
    assert len(messages(server)) == 1


def test_the_file_is_private_and_holds_no_secret(night: Project) -> None:
    path = last_good(night)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert "RUNNER_NTFY_TOKEN" in path.read_text()
    assert TOKEN not in path.read_text()


def test_a_warm_start_writes_nothing(night: Project) -> None:
    before = last_good(night).stat()
    night("run", "double", "free")
    after = last_good(night).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_many_at_once_report_it_once(night: Project, server: Ntfy) -> None:
    append("agents.yaml", "surprise: 1\n")(night)
    started = [night.start("run", "double", "free") for _ in range(8)]
    for process in started:
        process.communicate(timeout=60)
    assert [process.returncode for process in started] == [3] * 8
    assert len(messages(server)) == 1


def test_secrets_are_masked(night: Project, server: Ntfy) -> None:
    append("agents.yaml", f"{TOKEN}: 1\n")(night)
    night("run", "double", "free")
    (message,) = messages(server)
    assert TOKEN not in message["message"]
    assert "***" in message["message"]
    assert TOKEN not in (night.home / "run logs/runner.log").read_text()


def test_quiet_hours_hold(night: Project, server: Ntfy) -> None:
    quiet = '  quiet: {from: "00:00", to: "23:59"}\n'
    text = (night.root / "tasks.yaml").read_text()
    night.write("tasks.yaml", text.replace(NOTIFY, NOTIFY + quiet))
    night("heartbeat")
    append("agents.yaml", "surprise: 1\n")(night)
    if time.gmtime()[3:5] == (23, 59):
        pytest.skip("the one minute of the day that is not quiet")
    night("heartbeat")
    assert [message["priority"] for message in messages(server)] == [2]
