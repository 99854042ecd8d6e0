"""The text of a project's units, down to systemd's own check of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from runner.crontab.crontab import HeartbeatCommand
from runner.crontab.systemd import unit_name, units_folder, units_of
from runner.errors import RunnerError

if TYPE_CHECKING:
    from pathlib import Path

PATHS = {
    "/p": "/p",
    "/my project": '"/my project"',
    "/50%": "/50%%",
    "/$HOME": "/$$HOME",
    "/it's": '"/it\'s"',
    '/"q"': '"/\\"q\\""',
    "/back\\slash\\": '"/back\\\\slash\\\\"',
    "/tab\there": '"/tab\\x09here"',
    "/ä/日本": '"/ä/日本"',
    "/a;b": '"/a;b"',
    "/bell\x07\x9b": '"/bell\\x07\\xc2\\x9b"',
}


@pytest.mark.parametrize(("project", "word"), PATHS.items())
def test_a_path_in_a_unit(project: str, word: str) -> None:
    timer, service = units_of(HeartbeatCommand("/py", project, ("/bin",))).values()
    assert f"ExecStart=/usr/bin/env PATH=/bin /py -P -m runner -C {word} heartbeat\n" in service
    assert (timer.count("\n"), service.count("\n")) == (11, 12), "nothing broke a line"


@pytest.mark.parametrize(
    ("project", "message"), [("/a\nb", "holds a line break"), (os.fsdecode(b"/\xff"), "not valid UTF-8")]
)
def test_what_no_unit_can_hold(project: str, message: str) -> None:
    with pytest.raises(RunnerError, match=message):
        units_of(HeartbeatCommand("/py", project, ()))


@pytest.mark.parametrize(
    ("project", "readable"),
    [("/home/u/My Project", "my-project"), ("/", "project"), ("/日本", "project"), ("/" + "x" * 200, "x" * 40)],
)
def test_the_name_of_a_unit(project: str, readable: str) -> None:
    name = unit_name(project)
    assert name.rpartition("-")[0] == f"runner-{readable}"
    assert name != unit_name(project + "/more")
    assert name.isascii()


def test_without_a_home() -> None:
    with pytest.raises(RunnerError, match="no home for systemd's units"):
        units_folder({"HOME": "", "XDG_CONFIG_HOME": "relative"})


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("project", PATHS)
def test_systemd_finds_nothing_wrong(project: str, tmp_path: Path) -> None:
    units = units_of(HeartbeatCommand(sys.executable, project, ("/usr/bin", "/a b/50%")))
    for name, text in units.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in units)],
        env={"PATH": os.environ["PATH"], "SYSTEMD_LOG_LEVEL": "warning"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
