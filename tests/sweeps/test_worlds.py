"""Small, read-only and broken worlds: file systems, clocks, boots and networks as they are at the worst."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.doubles.ntfy import Ntfy
from tests.helpers import kill_both, notifying, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.helpers import Project
    from tests.sweeps.conftest import Figures

pytestmark = pytest.mark.sweep

DEBIAN = Path("/etc/debian_version").exists()
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
BUDGET = 5.0  # seconds for a run's message
SLACK = 10.0  # of a busy machine
RUN = ("run", "double", "free", "--var")


@pytest.fixture(autouse=True, scope="module")
def _able() -> None:
    """On Debian as root every world can be made: there nothing is skipped."""
    if os.getuid() != 0:
        pytest.skip("only root can mount, and make namespaces with a network")
    if FAKETIME is None and not DEBIAN:
        pytest.skip("there is no libfaketime here")
    assert FAKETIME is not None, "install Debian's libfaketime"


@pytest.fixture
def server() -> Iterator[Ntfy]:
    with Ntfy(burst=1000) as running:
        yield running


@pytest.fixture
def small(project: Project) -> Iterator[Callable[[str], Path]]:
    """Mounts a file system of its own as the log folder; a second time with other options."""
    logs = project.root / "logs"
    mounted = []

    def mount(options: str) -> Path:
        logs.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(logs)], check=True)
        mounted.append(options)
        return logs

    yield mount
    for _ in mounted:
        subprocess.run(["umount", "-l", str(logs)], check=True)


def sound(project: Project) -> list[dict[str, object]]:
    """The records, none of which is damaged or open."""
    found = [json.loads((folder / "metadata.json").read_text()) for folder in project.folders()]
    assert all(record["status"] != "running" for record in found)
    assert os.listdir(project.root / "logs" / "live") == []
    assert project.processes() == []
    return found


def test_a_log_folder_that_fills_up(
    project: Project, server: Ntfy, small: Callable[[str], Path], figures: Figures
) -> None:
    """256 KB take a few runs; then each is skipped, until there is room again."""
    logs = small("size=256k")
    notifying(project, server.url)
    codes = []
    for _ in range(12):
        done = project(*RUN, "mode=hello")
        assert "Traceback" not in done.stderr + done.stdout, done.stderr + done.stdout
        codes.append(done.returncode)
    figures.say(f"{codes.count(0)} runs in 256 KB of logs, then {codes.count(12)} skipped")
    began = codes.count(0)
    assert codes == [0] * began + [12] * (12 - began)
    assert 0 < began < 12
    records = sound(project)
    assert [record["status"] for record in records] == ["success"] * began
    told = [revisions[-1]["title"] for revisions in server.delivered("runs").values()]
    assert told.count("double free: success") == began
    assert set(told) == {"double free: success", "double free: skipped (disk_full)"}
    subprocess.run(["mount", "-o", "remount,size=2m", str(logs)], check=True)
    assert project("heartbeat").returncode == 0
    assert project(*RUN, "mode=hello").returncode == 0
    assert len(sound(project)) == began + 1


@pytest.mark.parametrize("size", range(120, 320, 12))
def test_output_that_does_not_fit(project: Project, server: Ntfy, small: Callable[[str], Path], size: int) -> None:
    """Wherever the room ends, the agent's fate is recorded and told."""
    small(f"size={size}k")
    done = notifying(project, server.url)(*RUN, "mode=long_line", "--set", "argument=1")
    assert done.returncode == (0 if size > 128 else 12), done.stdout + done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    (message,) = (revisions[-1] for revisions in server.delivered("runs").values())
    records = sound(project)
    if done.returncode == 0:
        (record,) = records
        assert (record["status"], record["agent_exit_code"]) == ("success", 0)
        assert message["title"] == "double free: success"
    else:
        assert records == []
        assert message["title"] == "double free: skipped (disk_full)"


def test_a_read_only_log_folder(project: Project, server: Ntfy, small: Callable[[str], Path]) -> None:
    logs = small("size=2m")
    notifying(project, server.url)
    assert project(*RUN, "mode=hello").returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(logs)], check=True)
    done = project(*RUN, "mode=touch_dirty", "--set", "argument=ran")
    assert (done.returncode, "disk_full" in done.stdout) == (12, True), done.stdout + done.stderr
    assert not (project.root / "ran").exists()
    titles = [revisions[-1]["title"] for revisions in server.delivered("runs").values()]
    assert titles == ["double free: success", "double free: skipped (disk_full)"]
    for words, code in [(("runs",), 0), (("show", "last"), 0), (("heartbeat",), 70), (("notify", "flush"), 0)]:
        said = project(*words)
        assert (said.returncode, "Traceback" in said.stderr) == (code, False), said.stdout + said.stderr
    assert len(sound(project)) == 1


@pytest.mark.parametrize("jump", ["+1d", "-1d"])
def test_a_clock_that_jumps_a_day(project: Project, server: Ntfy, jump: str) -> None:
    """Limits are of the monotonic clock; no duration is negative, and the message is sent at once."""
    clock = project.home / "clock"
    clock.write_text("+0")
    project.env |= {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    began = time.monotonic()
    process = notifying(project, server.url).start(*RUN, "mode=hang", "--timeout", "3s")
    wait_until(lambda: any(path.stat().st_size for path in project.root.glob("logs/*/*/*/stdout.log")))
    clock.write_text(jump)
    out, err = process.communicate(timeout=60)
    took = time.monotonic() - began
    record = project.record()
    assert (process.returncode, record["reason"]) == (11, "timeout"), out + err
    assert 3.0 <= record["elapsed_seconds"] < 3.0 + SLACK
    assert took < 3.0 + SLACK
    assert record["ended_at"] >= record["started_at"]
    assert record["notification"]["state"] == "delivered"
    assert list(server.delivered("runs")) == [record["run_id"]]
    # What runs next, in the time that now is, has an id of its own and its message, and so has what was lost before.
    process = project.start(*RUN, "mode=hang")
    wait_until(lambda: len(project.folders()) == 2 and (project.folders()[-1] / "stdout.log").exists())
    kill_both(process)
    clock.write_text("+0")
    assert project("heartbeat").returncode == 0
    found = sound(project)
    assert sorted(str(each["status"]) for each in found) == ["lost", "timed_out"]
    assert all(each["elapsed_seconds"] >= 0 for each in found)  # type: ignore[operator]
    assert len(server.delivered("runs")) == 2


def test_a_restart_of_the_machine(project: Project, server: Ntfy) -> None:
    """Another boot id, by a file bound over the kernel's in a mount namespace; nobody else sees it."""
    process = notifying(project, server.url).start(*RUN, "mode=hang")
    wait_until(lambda: any(path.stat().st_size for path in project.root.glob("logs/*/*/*/stdout.log")))
    kill_both(process)
    (project.home / "boot").write_text("00000000-0000-4000-8000-000000000000\n")
    bound = 'mount --bind "$HOME/boot" /proc/sys/kernel/random/boot_id'
    done = within(project, ["unshare", "--mount"], bound, "heartbeat")
    assert done.returncode == 0, done.stderr
    (record,) = sound(project)
    assert record["status"] == "lost"
    assert "(the machine was restarted)" in record["error"]["message"]  # type: ignore[index]
    assert list(server.delivered("runs")) == [record["run_id"]]


NO_ROUTE = "true"
# Loopback is down, and everything goes through a pair of interfaces that nobody listens behind.
BLACK_HOLE = """\
ip link add v0 type veth peer name v1 && ip addr add 10.0.0.1/24 dev v0 && ip link set v0 up && ip link set v1 up &&
ip neigh add 10.0.0.2 lladdr 02:00:00:00:00:01 dev v0 nud permanent && ip route add default via 10.0.0.2
"""


@pytest.mark.parametrize("network", [NO_ROUTE, BLACK_HOLE], ids=["no route", "a black hole"])
@pytest.mark.parametrize(("mode", "code"), [("hello", 0), ("silent", 1)])
def test_no_network(project: Project, server: Ntfy, figures: Figures, network: str, mode: str, code: int) -> None:
    """The run ends as it would, in time, and the message goes out when there is a way."""
    notifying(project, server.url)
    began = time.monotonic()
    done = within(project, ["unshare", "--net"], network, *RUN, f"mode={mode}")
    took = time.monotonic() - began
    assert done.returncode == code, done.stdout + done.stderr
    (record,) = sound(project)
    assert (record["exit_code"], record["notification"]["state"]) == (code, "pending")  # type: ignore[index]
    assert took < BUDGET + SLACK
    figures.took(f"a run without a network ({'no route' if network == NO_ROUTE else 'a black hole'})", took)
    assert server.delivered("runs") == {}
    assert project("notify", "flush").returncode == 0
    (record,) = sound(project)
    assert record["notification"]["state"] == "delivered"  # type: ignore[index]
    assert {name: len(found) for name, found in server.delivered("runs").items()} == {record["run_id"]: 1}


def within(project: Project, namespace: list[str], first: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The real command in a namespace in which `first` was done."""
    command = [sys.executable, "-m", "runner", *words]
    return subprocess.run(
        [*namespace, "sh", "-e", "-c", f'{first.strip()}\nexec "$@"', "sh", *command],
        cwd=project.root,
        env=project.environment(),
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
