"""`runner cron` with a double in the place of `crontab`."""

from __future__ import annotations

import json
import os
import shlex
import sys
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.helpers import make_project, with_crontab

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project

SCHEDULE = """\
    schedule:
      - {cron: "30 3 * * *", timezone: Asia/Tokyo, agents: [double, jsonl], fallback: [jsonl]}
      - {cron: "@hourly", agents: double, jitter: 5m}
"""


@pytest.fixture
def table(project: Project) -> Path:
    return with_crontab(project)


def calls(table: Path) -> list[str]:
    return (table.parent / "calls").read_text().splitlines()


def printed(project: Project, *words: str, code: int = 0, env: dict[str, str] | None = None) -> str:
    done = project("cron", *words, env=env)
    assert (done.returncode, done.stderr) == (code, ""), done.stdout + done.stderr
    return done.stdout


def refused(project: Project, *words: str, env: dict[str, str] | None = None) -> str:
    done = project("cron", *words, env=env)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


def block(project: Project, path: str | None = None) -> str:
    path = path or "/usr/local/bin:/usr/bin:/bin"
    return (
        f"# >>> runner {project.root} >>>\n"
        "# `runner cron install` writes this block anew, and `runner cron remove` takes it out.\n"
        f"* * * * * /usr/bin/env PATH={path} {sys.executable} -P -m runner -C {project.root} heartbeat"
        " >/dev/null 2>&1\n"
        f"# <<< runner {project.root} <<<\n"
    )


@pytest.fixture
def plain(project: Project, table: Path) -> Project:
    """With no program but the system's on PATH."""
    project.env["PATH"] = f"{table.parent}:/usr/local/bin:/usr/bin:/bin"
    return project


def test_from_nothing_to_nothing(plain: Project, table: Path) -> None:
    assert printed(plain, "show") == (f"not installed; `runner cron install` would write:\n\n{block(plain)}")
    assert printed(plain, "install") == (
        f"installed:\n\n{block(plain)}"
        "next: no task has a `schedule` yet; until then the heartbeat closes lost runs and sends what waits\n"
    )
    assert table.read_text() == block(plain)
    assert printed(plain, "install").startswith("unchanged: it is installed as it should be\n")
    assert printed(plain, "show") == f"installed:\n\n{block(plain)}"
    assert calls(table).count("-") == 1, "what does not change is not written"
    assert printed(plain, "remove") == f"removed:\n\n{block(plain)}"
    assert not table.exists(), "there was no crontab, and there is none"
    assert printed(plain, "remove") == "nothing to remove\n"
    assert calls(table)[-1] == "-l"


@pytest.mark.parametrize("before", [b"0 3 * * * backup\n", b"# caf\xe9\r\n\n\n", b"\n", b"# \\r \r \b\n", b"# \\b\n"])
def test_every_other_line_stays(plain: Project, table: Path, before: bytes) -> None:
    table.write_bytes(before)
    printed(plain, "install")
    assert table.read_bytes() == before + block(plain).encode()
    printed(plain, "remove")
    assert table.read_bytes() == before


@pytest.mark.parametrize("lenient", ["", "1"])
def test_a_last_line_without_a_newline(plain: Project, table: Path, lenient: str) -> None:
    """Debian's `crontab` refuses such a table, so the newline stays; other programs take it as it was."""
    table.write_bytes(b"0 3 * * * backup")
    plain.env["CRONTAB_LENIENT"] = lenient
    printed(plain, "install")
    assert table.read_bytes().startswith(b"0 3 * * * backup\n# >>> runner ")
    assert printed(plain, "install").startswith("unchanged")
    assert printed(plain, "remove").startswith("removed:\n")
    assert table.read_bytes() == b"0 3 * * * backup" + (b"" if lenient else b"\n")


def test_a_moved_interpreter_is_named(plain: Project, table: Path) -> None:
    old = block(plain).replace(sys.executable, "/gone/python")
    table.write_text(f"# a\n{old}# b\n")
    lines = "".join(f"{mark} {text.splitlines()[2]}\n" for mark, text in (("-", old), ("+", block(plain))))
    assert printed(plain, "show") == f"installed, but `runner cron install` would change it:\n\n{lines}"
    assert printed(plain, "install").startswith(f"changed:\n\n{lines}")
    assert table.read_text() == f"# a\n{block(plain)}# b\n"


def test_each_project_has_a_block_of_its_own(plain: Project, table: Path, tmp_path: Path) -> None:
    other = make_project(tmp_path / "other project")
    other.env = plain.env
    printed(plain, "install")
    printed(other, "install")
    assert f"-C {shlex.quote(str(other.root))} heartbeat" in table.read_text()
    assert f"the crontab has a block of {other.root}, too\n" in printed(plain, "show")
    printed(plain, "remove")
    assert table.read_text().startswith(f"# >>> runner {other.root} >>>\n")
    other.root.rename(tmp_path / "moved")
    shown = printed(plain, "show")
    assert f"the crontab has a block of {other.root}, which is gone (`runner -C '{other.root}' cron remove`)" in shown
    assert plain("-C", str(other.root), "cron", "remove").stdout.startswith("removed:\n")
    assert not table.exists()


def test_remove_needs_no_sound_configuration(plain: Project, table: Path) -> None:
    printed(plain, "install")
    plain.write("agents.yaml", "agents: [\n")
    assert plain("cron", "install").returncode == 3
    assert printed(plain, "remove").startswith("removed:\n")


def test_a_damaged_marker(plain: Project, table: Path) -> None:
    damaged = f"0 3 * * * backup\n{block(plain)}".removesuffix(f"# <<< runner {plain.root} <<<\n").encode()
    table.write_bytes(damaged)
    for word in ("install", "remove", "show"):
        said = refused(plain, word)
        assert f"error: line 2 of the crontab begins the block of `{plain.root}`, which never ends\n" in said
        assert "hint: nothing was changed; fix it by `crontab -e`" in said
    assert table.read_bytes() == damaged


@pytest.mark.parametrize("word", ["install", "remove"])
def test_a_refused_change_leaves_the_old_table(plain: Project, table: Path, word: str) -> None:
    before = block(plain).replace("runner -C", "runner  -C").encode()
    table.write_bytes(before)
    said = refused(plain, word, env={"CRONTAB_REFUSES": '"-":3: bad minute'})
    assert said == 'error: `crontab` refused the change: "-":3: bad minute\nhint: the crontab is as it was\n'
    assert table.read_bytes() == before


def test_a_table_that_cannot_be_read_is_not_taken_for_an_empty_one(plain: Project, table: Path) -> None:
    (table.parent / "crontab").write_text("#!/bin/sh\necho 'You (x) are not allowed to use this program' >&2\nexit 1\n")
    said = refused(plain, "install")
    assert said == "error: `crontab -l` failed: You (x) are not allowed to use this program\n"


def test_without_crontab(project: Project, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to("/usr/bin/git")
    for word in ("show", "install", "remove"):
        said = refused(project, word, env={"PATH": str(tmp_path / "bin")})
        assert said.startswith("error: `crontab` was not found on PATH\nhint: install cron")


def test_the_header_of_debians_crontab_is_not_doubled(plain: Project, table: Path) -> None:
    """It shows the header where CRONTAB_NOHEADER says so, and then the header would come back as lines of the user's."""
    script = (table.parent / "crontab").read_text()
    header = 'test "$1" = -l && test "$CRONTAB_NOHEADER" = N && echo "# DO NOT EDIT THIS FILE"\n'
    (table.parent / "crontab").write_text(script.replace("\n", f"\n{header}", 1))
    table.write_text("# a\n")
    printed(plain, "install", env={"CRONTAB_NOHEADER": "N"})
    assert "DO NOT EDIT" not in table.read_text()


def test_two_projects_at_once(plain: Project, table: Path, tmp_path: Path) -> None:
    """Each reads and writes the whole table; neither loses the other's block."""
    others = [make_project(tmp_path / str(number)) for number in range(4)]
    for other in others:
        other.env, other.home = plain.env, plain.home
    started = [other.start("cron", "install") for other in others]
    assert [(process.communicate(timeout=60), process.returncode)[1] for process in started] == [0] * 4
    assert table.read_text().count(">>> runner") == 4


def test_a_carriage_return_that_cannot_be_read_is_not_lost(plain: Project, table: Path) -> None:
    script = (table.parent / "crontab").read_text()
    (table.parent / "crontab").write_text(script.replace("\n", '\ntest "$1" != -e || exit 1\n', 1))
    table.write_bytes(b"* * * * * true\r\n")
    assert "error: the crontab holds a carriage return or a backspace" in refused(plain, "install")
    assert table.read_bytes() == b"* * * * * true\r\n"


# what the heartbeat finds


def program(path: Path, first: str = "#!/bin/sh") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{first}\n")
    path.chmod(0o755)
    return path


def installed_path(project: Project, **env: str) -> str:
    return ":".join(json.loads(printed(project, "show", "--json", env=env))["path"])


@pytest.fixture
def homely(plain: Project) -> Project:
    """An agent `mine` whose binary is a name."""
    entry = "  mine: {binary: mine, argv: [], parser: text}\n"
    plain.write("agents.yaml", (plain.root / "agents.yaml").read_text().replace("parsers:", f"{entry}parsers:", 1))
    return plain


PLACES = [".nvm/versions/node/v22.1.0/bin", ".npm-global/bin", ".local/bin", "my tools/bin"]


@pytest.mark.parametrize("place", PLACES)
def test_the_folder_of_an_agent(homely: Project, place: str) -> None:
    folder = program(homely.home / place / "mine").parent
    path = f"{homely.home}/empty:{folder}:{homely.env['PATH']}:{homely.home}/more"
    assert installed_path(homely) == "/usr/local/bin:/usr/bin:/bin"
    assert installed_path(homely, PATH=path) == f"{folder}:/usr/local/bin:/usr/bin:/bin"
    done = homely("cron", "install", env={"PATH": path})
    assert ("names a version: install again when that is updated" in done.stdout) == place.startswith(".nvm")


@pytest.mark.parametrize(
    "first", ["#!/usr/bin/env node", "#!/usr/bin/env -S A=b node --harmony", "#! /usr/bin/env node"]
)
def test_the_folder_of_an_agents_interpreter(homely: Project, first: str) -> None:
    mine, node = program(homely.home / "npm/bin/mine", first).parent, program(homely.home / "n/bin/node").parent
    path = f"{node}:{homely.env['PATH']}:{mine}"
    assert installed_path(homely, PATH=path) == f"{node}:/usr/local/bin:/usr/bin:/bin:{mine}"


def test_the_first_of_two_stays_the_first(homely: Project) -> None:
    first, second = program(homely.home / "a/mine").parent, program(homely.home / "b/mine").parent
    program(homely.home / "b/pytest")
    path = f"{first}:{second}:{homely.env['PATH']}"
    assert installed_path(homely, PATH=path) == f"{first}:{second}:/usr/local/bin:/usr/bin:/bin"


def test_what_settings_path_finds_needs_no_folder_but_its_interpreters(homely: Project) -> None:
    tasks = (homely.root / "tasks.yaml").read_text()
    homely.write("tasks.yaml", tasks + "settings: {path: [~/.local/bin]}\n")
    folder = program(homely.home / ".local/bin/mine", "#!/usr/bin/env node").parent
    node = program(homely.home / "n/bin/node").parent
    path = f"{folder}:{node}:{homely.env['PATH']}"
    assert installed_path(homely, PATH=path) == f"{node}:/usr/local/bin:/usr/bin:/bin"


def test_the_folders_of_what_runs_before_an_agent(homely: Project) -> None:
    tasks = (homely.root / "tasks.yaml").read_text()
    homely.write("tasks.yaml", tasks.replace("{description: nothing", "{preflight: [check, -x], description: nothing"))
    agents = (homely.root / "agents.yaml").read_text()
    homely.write("agents.yaml", f"{agents}sandboxes: {{box: [jail, --quiet]}}\n")
    check, pytest_ = program(homely.home / "c/check").parent, program(homely.home / "t/pytest").parent
    jail = program(homely.home / "j/jail").parent
    path = f"{check}:{homely.env['PATH']}:{pytest_}:{jail}"
    assert installed_path(homely, PATH=path) == f"{check}:/usr/local/bin:/usr/bin:/bin:{pytest_}:{jail}"


def scheduled(project: Project) -> Project:
    tasks = (project.root / "tasks.yaml").read_text()
    project.write(
        "tasks.yaml",
        tasks + "  nightly:\n    prompt: prompts/free.md\n    vars: {mode: hello}\n" + SCHEDULE,
    )
    return project


def test_what_a_scheduled_run_would_lack(homely: Project, table: Path) -> None:
    scheduled(homely)
    tasks = (homely.root / "tasks.yaml").read_text().replace("agents: double,", "agents: [mine],")
    homely.write("tasks.yaml", tasks + "notify: {ntfy: {topic: '{{ env.MY_TOPIC }}', token_env: MY_TOKEN}}\n")
    env = {
        "MY_TOPIC": "t",
        "MY_TOKEN": "secret-value",
        "RUNNER_DOUBLE_BIN": "/x",
        "https_proxy": "http://p",
        "OTHER": "x",
    }
    table.write_text("MY_TOKEN=x\n")
    shown = printed(homely, "install", env=env)
    assert "note: scheduled, but not found on this PATH: `mine`\n" in shown
    assert (
        "note: set in this shell, but not where the heartbeat runs: `MY_TOPIC`, `RUNNER_DOUBLE_BIN`, `https_proxy`\n"
        "      put them into the crontab above the block, as NAME=value (`crontab -e`), or into tasks.yaml\n"
    ) in shown
    assert "secret-value" not in shown
    assert shown.endswith("next: `runner cron next` lists what will start\n")


# next


def starts(project: Project, *words: str, **env: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(printed(project, "next", "--json", *words, env=env))
    return found


def test_next_merges_all_schedules(plain: Project) -> None:
    scheduled(plain)
    found = starts(plain, "-n", "30")
    assert len(found) == 30
    times = [datetime.fromisoformat(str(start["at"])) for start in found]
    assert all(before <= after for before, after in pairwise(times))
    assert times[0] > datetime.now(UTC).replace(second=0, microsecond=0)
    daily = [start for start in found if start["schedule"] == "nightly"]
    assert {(start["task"], *start["agents"], start["timezone"]) for start in daily} == {  # type: ignore[misc]
        ("nightly", "double", "jsonl", "Asia/Tokyo")
    }
    assert {str(start["at"])[11:16] for start in daily} == {"18:30"}
    assert {start["jitter_seconds"] for start in found if start["schedule"] == "nightly#2"} == {300.0}


@pytest.mark.parametrize(
    ("zone", "clock", "name"), [("UTC", "18:30", "UTC"), ("Europe/Berlin", "", "CE"), ("Asia/Tokyo", "03:30", "JST")]
)
def test_next_is_in_local_time(plain: Project, zone: str, clock: str, name: str) -> None:
    scheduled(plain)
    shown = printed(plain, "next", "-n", "30", env={"TZ": zone}).splitlines()
    assert shown[0].split() == ["START", "IN", "TASK", "AGENTS"]
    (daily, *_) = [line for line in shown if " nightly " in line]
    assert f"{clock} {name}" in daily
    assert daily.endswith("double,jsonl jsonl")
    assert any(f"{name}" in line and "+5m00s" in line and line.endswith("nightly#2  double") for line in shown)


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("", "nothing will start: no task in tasks.yaml has a `schedule`\n"),
        ("    schedule: []\n", "nothing will start: no task in tasks.yaml has a `schedule`\n"),
    ],
)
def test_nothing_will_start(plain: Project, schedule: str, said: str) -> None:
    tasks = (plain.root / "tasks.yaml").read_text()
    plain.write("tasks.yaml", f"{tasks}  nightly:\n    prompt: prompts/free.md\n{schedule}")
    assert printed(plain, "next") == said
    assert starts(plain) == []


@pytest.mark.parametrize("words", [["-n", "0"], ["-n", "x"]])
def test_a_wrong_count_is_wrong_usage(plain: Project, words: list[str]) -> None:
    assert plain("cron", "next", *words).returncode == 2


# systemd


def units(project: Project) -> dict[str, str]:
    folder = project.home / ".config/systemd/user"
    return {path.name: path.read_text() for path in sorted(folder.glob("*.*")) if path.is_file()}


def test_the_units(plain: Project, table: Path) -> None:
    shown = printed(plain, "show", "--systemd")
    assert shown.startswith("not installed; `runner cron install --systemd` would write:\n\n")
    assert units(plain) == {}
    shown = printed(plain, "install", "--systemd")
    service, timer = units(plain).items()
    name = timer[0].removesuffix(".timer")
    assert name.startswith("runner-project-")
    assert shown.startswith("installed:\n\n")
    assert f"next: systemctl --user daemon-reload && systemctl --user enable --now {name}.timer\n" in shown
    assert "loginctl enable-linger" in shown
    first = f"# `runner cron install --systemd` writes this file anew for {plain.root}\n"
    assert timer[1] == first + (
        "[Unit]\n"
        f"Description=each minute: runner heartbeat of {plain.root}\n\n"
        "[Timer]\nOnCalendar=minutely\nAccuracySec=1s\nPersistent=false\n\n"
        "[Install]\nWantedBy=timers.target\n"
    )
    assert service == (
        f"{name}.service",
        first + "[Unit]\n"
        f"Description=runner heartbeat of {plain.root}\n\n"
        "[Service]\nType=oneshot\nWorkingDirectory=/\n"
        f"ExecStart=/usr/bin/env PATH=/usr/local/bin:/usr/bin:/bin {sys.executable} -P -m runner -C {plain.root} heartbeat\n"
        "KillMode=process\nDelegate=yes\nStandardInput=null\nStandardOutput=null\n",
    )
    assert printed(plain, "install", "--systemd").startswith("unchanged: it is installed as it should be\n")
    assert printed(plain, "show", "--systemd").startswith("installed:\n\n")
    assert not table.exists()
    assert not (table.parent / "calls").exists()


def test_the_units_go_with_the_link_that_enables_them(plain: Project) -> None:
    printed(plain, "install", "--systemd")
    folder = plain.home / ".config/systemd/user"
    (timer,) = folder.glob("*.timer")
    (folder / "timers.target.wants").mkdir()
    (folder / "timers.target.wants" / timer.name).symlink_to(timer)
    (folder / "other.service").write_text("[Service]\n")
    shown = printed(plain, "remove", "--systemd")
    assert shown.count("removed ") == 3
    assert f"next: systemctl --user stop {timer.name}; systemctl --user daemon-reload\n" in shown
    assert list(units(plain)) == ["other.service"]
    assert os.listdir(folder / "timers.target.wants") == []
    assert printed(plain, "remove", "--systemd") == "nothing to remove\n"


def test_a_moved_interpreter_in_a_unit_is_named(plain: Project) -> None:
    printed(plain, "install", "--systemd")
    (service,) = (plain.home / ".config/systemd/user").glob("*.service")
    text = service.read_text()
    service.write_text(text.replace(sys.executable, "/gone/python"))
    shown = printed(plain, "install", "--systemd")
    assert shown.startswith(f"changed:\n\n{service}\n- ExecStart=/usr/bin/env ")
    assert service.read_text() == text


@pytest.mark.parametrize("word", ["install", "show", "remove"])
def test_a_unit_that_somebody_else_wrote_stays(plain: Project, word: str) -> None:
    printed(plain, "install", "--systemd")
    (service,) = (plain.home / ".config/systemd/user").glob("*.service")
    service.write_text("[Service]\nExecStart=/mine\n")
    assert f"error: `{service}` is not the runner's own\n" in refused(plain, word, "--systemd")
    assert service.read_text() == "[Service]\nExecStart=/mine\n"


def test_units_follow_the_configuration_home(plain: Project, tmp_path: Path) -> None:
    printed(plain, "install", "--systemd", env={"XDG_CONFIG_HOME": str(tmp_path / "conf")})
    assert len(list((tmp_path / "conf/systemd/user").glob("runner-*"))) == 2
    assert units(plain) == {}


def test_units_cannot_be_written(plain: Project) -> None:
    (plain.home / ".config").write_text("a file")
    said = refused(plain, "install", "--systemd")
    assert said.startswith("error: cannot ")
    assert said.endswith(": not a directory\n")


# help


EXAMPLES = [
    "runner cron show",
    "runner cron show --systemd --json",
    "runner cron install",
    "runner cron install --systemd",
    "runner cron next",
    "runner cron next -n 3 --json",
    "runner cron remove",
    "runner cron remove --systemd",
]


def test_the_examples_are_those_of_the_help(plain: Project) -> None:
    shown = "".join(plain("cron", *word, "--help").stdout for word in ([], ["show"], ["install"], ["remove"], ["next"]))
    found = {line.strip() for line in shown.splitlines() if line.strip().startswith("runner ")}
    assert found == set(EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_run(plain: Project, example: str) -> None:
    assert printed(plain, *shlex.split(example)[2:])
