"""In the environment that cron gives (four variables, no locale, no terminal) everything works."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.doubles.ntfy import Ntfy
from tests.helpers import notifying, with_crontab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.helpers import Project

TEXT = "Grüße, 日本 – 🎉"
MEASURED = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}


@pytest.fixture
def ntfy() -> Iterator[Ntfy]:
    with Ntfy() as server:
        yield server


def cron_environment(project: Project, **more: str) -> dict[str, str]:
    """What Debian's cron was seen to give a job."""
    bare = {"HOME": str(project.home), "LOGNAME": "tester", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    return {**bare, **MEASURED, **more}


def start(project: Project, *words: str, env: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "runner", "-C", str(project.root), *words],
        cwd="/",
        env=cron_environment(project) if env is None else env,
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


def ended(process: subprocess.Popen[bytes]) -> tuple[int, bytes, bytes]:
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return process.returncode, out, err


def bare(project: Project, *words: str, code: int = 0, env: dict[str, str] | None = None) -> str:
    """What is printed, which is UTF-8 whatever the locale."""
    returned, out, err = ended(start(project, *words, env=env))
    assert returned == code, out + err
    return out.decode()


@pytest.fixture
def greeting(project: Project) -> Project:
    """An agent in no folder of the system's that says what it was asked; names and texts are not ASCII."""
    project.write("prompts/free.md", f"{TEXT}\n")
    entry = "  mine: {binary: mine, argv: [], stdin: '{{ prompt }}', parser: text, description: Grüßer}\n"
    project.write("agents.yaml", (project.root / "agents.yaml").read_text().replace("parsers:", f"{entry}parsers:", 1))
    return project


def install_agent(project: Project, folder: str, first: str = "#!/bin/sh") -> Path:
    path = project.home / folder / "mine"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{first}\ncat\n")
    path.chmod(0o755)
    return path.parent


def settings(project: Project, text: str) -> None:
    project.write("tasks.yaml", (project.root / "tasks.yaml").read_text() + f"settings: {text}\n")


FOLDERS = [".nvm/versions/node/v22.1.0/bin", ".npm-global/bin", ".local/bin", "bin with spaces"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_agents_below_the_home_are_found_by_settings_path(greeting: Project, folder: str) -> None:
    install_agent(greeting, folder)
    assert "launch_failed" in bare(greeting, "run", "mine", "free", code=1)
    settings(greeting, f'{{path: ["~/{folder}"]}}')
    assert TEXT in bare(greeting, "run", "mine", "free")
    assert greeting.record()["text"].strip() == TEXT


@pytest.mark.parametrize("folder", FOLDERS)
def test_agents_below_the_home_are_found_by_the_installed_line(greeting: Project, folder: str) -> None:
    """The very line of the crontab, but with `run` in the place of `heartbeat`, as cron's shell runs it."""
    table = with_crontab(greeting)
    node = install_agent(greeting, folder, "#!/usr/bin/env node-of-mine")
    interpreter = greeting.home / "elsewhere" / "node-of-mine"
    interpreter.parent.mkdir()
    interpreter.write_text('#!/bin/sh\nexec sh "$1"\n')
    interpreter.chmod(0o755)
    path = f"{greeting.env['PATH']}:{interpreter.parent}:{node}"
    assert greeting("cron", "install", env={"PATH": path}).returncode == 0
    line = table.read_text().splitlines()[2].removeprefix("* * * * * ").replace("\\%", "%")
    command = line.replace("heartbeat >/dev/null 2>&1", "run mine free")
    assert command != line
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=greeting.home, env=cron_environment(greeting), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert TEXT in done.stdout.decode()


@pytest.mark.parametrize(
    "locale",
    [{}, {"LC_ALL": "C"}, {"LANG": "POSIX"}, {"LC_ALL": "no_SUCH.locale"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}],
    ids=str,
)
def test_text_is_utf8_in_every_locale(greeting: Project, ntfy: Ntfy, locale: dict[str, str]) -> None:
    notifying(greeting, ntfy.url)
    install_agent(greeting, "bin")
    env = cron_environment(greeting, PATH=f"{greeting.home}/bin:/usr/bin:/bin", **locale)
    assert TEXT in bare(greeting, "run", "mine", "free", env=env)
    (folder,) = greeting.folders()
    for name in ("prompt.md", "stdout.log", "transcript.log", "summary.txt", "metadata.json"):
        assert TEXT in (folder / name).read_text(encoding="utf-8"), name
    assert TEXT in ntfy.messages[-1]["message"]
    assert bare(greeting, "show", "last", env=env).count(TEXT)
    assert TEXT in bare(greeting, "logs", "last", "--prompt", env=env)


@pytest.mark.parametrize(
    "words",
    [
        ["heartbeat"],
        ["triage"],
        ["runs"],
        ["stats"],
        ["ps"],
        ["agents"],
        ["tasks"],
        ["validate"],
        ["doctor"],
        ["notify", "list"],
        ["notify", "flush"],
        ["cron", "next"],
        ["prune", "--dry-run"],
        ["why", "last"],
        ["run", "double", "free", "--dry-run"],
    ],
    ids=" ".join,
)
def test_every_command_works(greeting: Project, words: list[str]) -> None:
    bare(greeting, "run", "double", "free")
    bare(greeting, *words)
    assert not (greeting.root / "logs" / "runner.log").exists()


def test_without_anything_in_the_environment(greeting: Project, tmp_path: Path) -> None:
    """The home is then that of the password database; the test keeps the runner's own state out of it."""
    settings(greeting, '{path: ["~/no-such-folder"]}')
    env = {"XDG_STATE_HOME": str(tmp_path), **MEASURED}
    bare(greeting, "run", "double", "free", "--var", "mode=environment", env=env)
    told, home = json.loads(greeting.record()["text"]), pwd.getpwuid(os.getuid()).pw_dir
    assert (told["HOME"], told["PATH"].split(":")[0]) == (home, f"{home}/no-such-folder")
    bare(greeting, "heartbeat", env=env)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (1, 2), (0, 1, 2)], ids=str)
def test_closed_standard_streams(greeting: Project, closed: tuple[int, ...]) -> None:
    def close() -> None:
        for number in closed:
            os.close(number)

    install_agent(greeting, "bin")
    env = cron_environment(greeting, PATH=f"{greeting.home}/bin:/usr/bin:/bin")
    for words in (["run", "mine", "free"], ["heartbeat"], ["triage"]):
        # What only prints fails as `cat` does; a run's verdict does not depend on who listens.
        expected = 74 if words == ["triage"] and 1 in closed else 0
        assert ended(start(greeting, *words, env=env, preexec_fn=close))[0] == expected, words
    assert greeting.record()["status"] == "success"
    assert greeting.record()["text"].strip() == TEXT, "no file was written to as if it were the terminal"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: os.umask(0o077),
        lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
        lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN),
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGCHLD, signal.SIGINT]),
        lambda: os.chdir("/proc/self/fdinfo"),
    ],
    ids=["umask 077", "SIGCHLD ignored", "SIGPIPE ignored", "signals blocked", "folder"],
)
def test_what_a_starter_may_leave_behind(greeting: Project, spoil: Callable[[], object]) -> None:
    for words in (["run", "double", "free"], ["heartbeat"], ["triage"], ["runs"]):
        code, out, err = ended(start(greeting, *words, preexec_fn=spoil))
        assert code == 0, out + err
    assert greeting.record()["status"] == "success"


def test_umask_077_leaves_nothing_to_others(greeting: Project) -> None:
    assert ended(start(greeting, "run", "double", "free", preexec_fn=lambda: os.umask(0o077)))[0] == 0
    assert [path for path in (greeting.root / "logs").rglob("*") if path.stat().st_mode & 0o077] == []
