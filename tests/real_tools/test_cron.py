"""Debian's real cron, with the crontab of a user made for the test and removed at its end."""

from __future__ import annotations

import json
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.doubles.ntfy import Ntfy
from tests.helpers import ROOT, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes a user, so it must be root"),
    pytest.mark.skipif(shutil.which("cron") is None, reason="needs Debian's cron"),
]
NAME = f"runner-test-{os.getpid()}"
ENVIRONMENT = dict(os.environ)  # as it was before a test took the home away: where uv keeps its packages
FULL_MINUTES = 150  # seconds: the next minute and the one after, and time for the runs
TEXT = "Grüße, 日本"
BEFORE = b'MAILTO=""\n# caf\xe9\r\n\n  \t# spaces\n'
# Prints its environment; a name that only the user's own PATH finds.
WITNESS = f"""\
#!/usr/bin/env interpreter-of-witness
import json, os, sys
print(json.dumps({{**os.environ, "cwd": os.getcwd(), "stdin": sys.stdin.read(), "tty": os.isatty(1)}}))
print("{TEXT}")
"""
AGENTS = """\
agents:
  witness: {binary: witness, argv: [], stdin: "{{ prompt }}", parser: text}
"""
TASKS = """\
notify: {ntfy: {url: "URL", topic: TOPIC}}
settings: {path: ["~/.npm-global/bin"]}
tasks:
  hello: {prompt: prompts/hello.md, SCHEDULE}
"""


@dataclass(frozen=True)
class User:
    """With a home, and the runner installed in it from a wheel."""

    uid: int
    gid: int
    home: Path

    def __call__(self, *words: str, path: str = "/usr/bin:/bin", data: bytes | None = None) -> bytes:
        """What a command of this user prints."""
        done = subprocess.run(
            words,
            user=self.uid,
            group=self.gid,
            extra_groups=(),
            cwd=self.home,
            env={"HOME": str(self.home), "LOGNAME": NAME, "SHELL": "/bin/sh", "PATH": path},
            input=data,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    @property
    def runner(self) -> str:
        return str(self.home / "venv" / "bin" / "runner")

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        subprocess.run(
            ["chown", "-R", f"{self.uid}:{self.gid}", str(self.home / path.relative_to(self.home).parts[0])], check=True
        )
        return path

    def project(self, folder: str, ntfy: Ntfy, topic: str, schedule: str) -> Path:
        self.write(f"{folder}/agents.yaml", AGENTS)
        tasks = TASKS.replace("URL", ntfy.url).replace("TOPIC", topic).replace("SCHEDULE", schedule)
        self.write(f"{folder}/tasks.yaml", tasks)
        self.write(f"{folder}/prompts/hello.md", f"{TEXT}\n")
        self("git", "init", "-q", str(self.home / folder))
        return self.home / folder


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", NAME], check=True)
    entry = pwd.getpwnam(NAME)
    found = User(entry.pw_uid, entry.pw_gid, Path(entry.pw_dir))
    try:
        _install(found)
        yield found
    finally:
        subprocess.run(["crontab", "-u", NAME, "-r"], capture_output=True, check=False)
        wait_until(lambda: not _end_processes(found.uid))
        subprocess.run(["userdel", "--remove", NAME], capture_output=True, check=False)


def _install(user: User) -> None:
    """From a wheel, with an interpreter that the user may run: this test's own is perhaps root's."""
    wheels = user.home / "wheels"
    subprocess.run(
        ["uv", "build", "--quiet", "--wheel", "--out-dir", str(wheels)], cwd=ROOT, env=ENVIRONMENT, check=True
    )
    (wheel,) = wheels.glob("*.whl")
    venv = user.home / "venv"
    for words in (
        ["venv", "--quiet", "--python", "/usr/bin/python3", str(venv)],
        ["pip", "install", "--quiet", "--python", str(venv / "bin" / "python"), str(wheel)],
    ):
        subprocess.run(["uv", *words], env=ENVIRONMENT, check=True)
    subprocess.run(["chown", "-R", f"{user.uid}:{user.gid}", str(user.home)], check=True)


def _end_processes(uid: int) -> list[int]:
    """Of a user that is the test's own; returns those that were still there."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if path.stat().st_uid == uid:
                found.append(int(path.name))
                os.kill(found[-1], signal.SIGKILL)
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def cron() -> Iterator[None]:
    """The one that runs on this machine, else one of the test's own."""
    if _is_running("cron"):
        yield
        return
    process = subprocess.Popen(
        ["cron", "-f"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def _is_running(name: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text() == f"{name}\n":
                return True
        except OSError:
            continue
    return False


@pytest.fixture
def ntfy() -> Iterator[Ntfy]:
    with Ntfy() as server:
        yield server


def spooled() -> bytes:
    """The table as cron reads it, without the three lines that `crontab` puts before it; `crontab -l` shows no `\\r`."""
    return Path("/var/spool/cron/crontabs", NAME).read_bytes().split(b"\n", 3)[3]


def records(project: Path) -> dict[str, dict[str, Any]]:
    """The newest finished record of each agent."""
    found = [json.loads(path.read_text()) for path in sorted(project.glob("logs/*/*/*/metadata.json"))]
    return {record["agent"]: record for record in found if record["status"] != "running"}


def delivered(ntfy: Ntfy, topic: str) -> list[str]:
    return [revisions[-1]["title"] for revisions in ntfy.delivered(topic).values()]


def test_an_installed_schedule_and_a_plain_line(user: User, cron: None, ntfy: Ntfy) -> None:
    """Both start at the next minute, in cron's own environment; once removed, the crontab is what it was."""
    user.write(".local/bin/witness", WITNESS, 0o755)
    user.write("interpreters/interpreter-of-witness", '#!/bin/sh\nexec /usr/bin/python3 "$@"\n', 0o755)
    schedule = 'schedule: {cron: "* * * * *", agents: [demo, witness]}'
    ours = user.project("it's 50% done", ntfy, "scheduled", schedule)
    plain = user.project("plain", ntfy, "plain", "timeout: 1m")
    line = f"* * * * * cd {plain} && {shlex.quote(user.runner)} run demo debug_hello_simple >/dev/null 2>&1\n"
    before = BEFORE + line.encode()
    user("crontab", "-", data=before)
    assert spooled() == before
    path = f"{user.home}/.local/bin:{user.home}/interpreters:/usr/bin:/bin"

    installed = user(user.runner, "-C", str(ours), "cron", "install", path=path)
    assert installed.startswith(b"installed:\n")
    assert b" demo " in user(user.runner, "-C", str(ours), "cron", "next", path=path)
    assert user(user.runner, "-C", str(ours), "cron", "install", path=path).startswith(b"unchanged")
    began = time.time()
    limit = began + FULL_MINUTES
    wait_until(lambda: {"demo", "witness"} <= set(records(ours)) and records(plain), limit=FULL_MINUTES)
    wait_until(lambda: len(delivered(ntfy, "scheduled")) >= 2 and delivered(ntfy, "plain"), limit=limit - time.time())
    removed = user(user.runner, "-C", str(ours), "cron", "remove")
    assert removed.startswith(b"removed:\n")
    assert spooled() == before

    assert {record["status"] for record in (*records(ours).values(), *records(plain).values())} == {"success"}
    assert {record["trigger"] for record in records(ours).values()} == {"schedule"}
    witnessed = records(ours)["witness"]["text"]
    assert witnessed.endswith(TEXT), "no locale, and still UTF-8"
    seen = json.loads(witnessed.splitlines()[0])
    assert (seen["HOME"], seen["LOGNAME"], seen["SHELL"]) == (str(user.home), NAME, "/bin/sh")
    assert seen["PATH"].split(":") == [
        f"{user.home}/.npm-global/bin",
        *(f"{user.home}/{folder}" for folder in (".local/bin", "interpreters")),
        *("/usr/bin", "/bin", "/usr/local/bin"),
    ]
    assert not {"LANG", "LC_ALL", "TERM", "DISPLAY"} & set(seen)
    assert (seen["stdin"].strip(), seen["tty"]) == (TEXT, False)
    assert all("success" in title for title in (*delivered(ntfy, "scheduled"), *delivered(ntfy, "plain")))
    assert ntfy.violations == []


def test_from_no_crontab_to_no_crontab(user: User) -> None:
    subprocess.run(["crontab", "-u", NAME, "-r"], capture_output=True, check=False)
    project = user.home / "fresh"
    user.write("fresh/agents.yaml", AGENTS)
    user(user.runner, "-C", str(project), "cron", "install")
    assert user("crontab", "-l").startswith(b"# >>> runner ")
    user(user.runner, "-C", str(project), "cron", "remove")
    done = subprocess.run(["crontab", "-u", NAME, "-l"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"no crontab for {NAME}\n")


def test_the_real_crontab_refuses_what_the_double_refuses(user: User) -> None:
    """So that the tests with the double show what users meet."""
    for table in (b"* * * * * true", b"* * * * * " + b"x" * 999 + b"\n", b"61 * * * * true\n"):
        with pytest.raises(AssertionError):
            user("crontab", "-", data=table)
    user("crontab", "-", data=b"* * * * * " + b"x" * 998 + b"\n")
    user("crontab", "-r")
