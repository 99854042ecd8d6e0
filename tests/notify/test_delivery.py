"""Every run ends in a message, whatever the server does, and a message never changes how a run ends."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.doubles.ntfy import Ntfy
from tests.helpers import kill_both, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.helpers import Project

TOPIC = "runs"
BUDGET = 5.0
NOTIFY = """\
notify:
  ntfy: {url: "{{ env.RUNNER_NTFY_URL }}", topic: "{{ env.RUNNER_NTFY_TOPIC }}", token_env: RUNNER_NTFY_TOKEN}
"""


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Ntfy]:
    with Ntfy(token="tk_test", **getattr(request, "param", {})) as running:
        yield running


def with_topic(project: Project, server: Ntfy, **more: str) -> Project:
    """The project with a topic on the server."""
    project.write("tasks.yaml", (project.root / "tasks.yaml").read_text() + NOTIFY)
    project.env |= {"RUNNER_NTFY_URL": server.url, "RUNNER_NTFY_TOPIC": TOPIC, "RUNNER_NTFY_TOKEN": "tk_test", **more}
    return project


def outbox(project: Project) -> list[str]:
    return sorted(path.name for path in (project.root / "logs" / "outbox").glob("*.json"))


def dead(project: Project) -> list[str]:
    return sorted(path.name for path in (project.root / "logs" / "outbox" / "dead").glob("*.json"))


def delivered(server: Ntfy) -> dict[str, int]:
    """Sequence id → how many times it came."""
    return {name: len(revisions) for name, revisions in server.delivered(TOPIC).items()}


@pytest.mark.parametrize(
    ("mode", "code", "priority", "tag"),
    [("hello", 0, 2, "white_check_mark"), ("silent", 1, 4, "x"), ("commits", 0, 2, "white_check_mark")],
)
def test_a_run_ends_in_one_message(
    project: Project, server: Ntfy, mode: str, code: int, priority: int, tag: str
) -> None:
    done = with_topic(project, server)("run", "double", "free", "--var", f"mode={mode}")
    assert done.returncode == code, done.stderr
    record = project.record()
    assert delivered(server) == {record["run_id"]: 1}
    (message,) = server.delivered(TOPIC)[record["run_id"]]
    assert (message["priority"], message["tags"]) == (priority, [tag])
    assert message["title"].startswith("double free: ")
    assert record["run_id"] in message["message"]
    assert outbox(project) == []
    assert record["notification"]["state"] == "delivered"
    assert server.violations == []


TEMPORARY = [
    "refused",
    "deaf",
    "silent",
    "slow",
    "internal_error",
    "bad_gateway",
    "unavailable",
    "limited",
    "hangs_up",
    "closes_midway",
    "garbage",
]


@pytest.mark.parametrize("mode", TEMPORARY)
def test_a_server_that_is_not_well_changes_nothing_but_the_time_of_delivery(
    project: Project, server: Ntfy, mode: str
) -> None:
    with_topic(project, server)
    server.mode = mode
    began = time.monotonic()
    done = project("run", "double", "free")
    took = time.monotonic() - began
    record = project.record()
    assert (done.returncode, record["status"]) == (0, "success"), done.stderr
    # The start of the processes is on top of the budget; a slow machine does not break the promise.
    assert took < BUDGET + 5
    assert record["notification"]["state"] == "pending"
    assert outbox(project) == [f"{record['run_id']}.json"]
    assert "waits in the outbox" in done.stdout

    server.mode = "well"
    _forget_retry_after(project)
    flushed = project("notify", "flush")
    assert flushed.returncode == 0, flushed.stdout + flushed.stderr
    assert delivered(server) == {record["run_id"]: 1}
    assert outbox(project) == []
    assert project.record()["notification"]["state"] == "delivered"
    assert os.listdir(project.root / "logs" / "live") == []


def _forget_retry_after(project: Project) -> None:
    """As if the time that the server asked for had passed."""
    for path in (project.root / "logs" / "outbox").glob("*.json"):
        pending = json.loads(path.read_text())
        for target in pending["targets"]:
            target["not_before"] = 0
        path.write_text(json.dumps(pending))


def test_retry_after_is_honoured(project: Project, server: Ntfy) -> None:
    with_topic(project, server)
    server.mode = "limited"
    project("run", "double", "free")
    server.mode = "well"
    assert project("notify", "flush").returncode == 1
    assert delivered(server) == {}


@pytest.mark.parametrize("mode", ["unauthorized", "forbidden", "not_found", "too_large"])
def test_what_no_retry_will_deliver_is_kept_and_shown(project: Project, server: Ntfy, mode: str) -> None:
    with_topic(project, server)
    server.mode = mode
    done = project("run", "double", "free")
    record = project.record()
    assert done.returncode == 0
    assert record["notification"]["state"] == "dead"
    assert (outbox(project), dead(project)) == ([], [f"{record['run_id']}.json"])
    assert record["run_id"] in project("notify", "list").stdout
    asked = len(server.requests)
    assert project("notify", "flush").returncode == 0
    assert len(server.requests) == asked


def test_dns_that_is_dead_and_a_certificate_that_is_not_trusted(project: Project, server: Ntfy, tmp_path: Path) -> None:
    with_topic(project, server, RUNNER_NTFY_URL="http://no-such-host.invalid")
    assert project("run", "double", "free").returncode == 0
    (tmp_path / "tls").mkdir()
    with Ntfy(token="tk_test", tls=tmp_path / "tls") as secured:
        project.env["RUNNER_NTFY_URL"] = secured.url
        assert project("run", "double", "free").returncode == 0
    assert len(outbox(project)) == 2


def test_a_missing_token_keeps_the_message(project: Project, server: Ntfy) -> None:
    with_topic(project, server)
    del project.env["RUNNER_NTFY_TOKEN"]
    project("run", "double", "free")
    assert "RUNNER_NTFY_TOKEN" in project.record()["notification"]["last_error"]
    project.env["RUNNER_NTFY_TOKEN"] = "tk_test"
    assert project("notify", "flush").returncode == 0
    assert len(delivered(server)) == 1


@pytest.mark.parametrize("token", [None, "", "tk_test"])
def test_a_topic_is_enough_and_a_token_is_used(stock_project: Project, token: str | None) -> None:
    """With the stock configuration: no YAML at all."""
    with Ntfy(token=token or None) as server:
        stock_project.env |= {"RUNNER_NTFY_URL": server.url, "RUNNER_NTFY_TOPIC": TOPIC}
        stock_project.env |= {} if token is None else {"RUNNER_NTFY_TOKEN": token}
        stock_project("run", "demo", "debug_hello_simple")
        assert delivered(server) == {stock_project.record()["run_id"]: 1}


def test_no_topic_is_printed_once_and_fails_nothing(project: Project) -> None:
    done = project("run", "double", "free")
    assert done.returncode == 0
    assert done.stdout.count("no channel is configured") == 1
    assert project.record()["notification"]["state"] == "off"
    assert not (project.root / "logs" / "outbox").exists()


def test_a_killed_run_is_closed_and_reported_by_the_next_command(project: Project, server: Ntfy) -> None:
    with_topic(project, server)
    process = project.start("run", "double", "free", "--var", "mode=hang")
    _wait(lambda: any(path.stat().st_size for path in project.root.glob("logs/*/*/*/stdout.log")))
    kill_both(process)
    assert delivered(server) == {}

    assert project("heartbeat").returncode == 0
    record = project.record()
    assert (record["status"], record["reason"], record["exit_code"]) == ("lost", "lost", None)
    assert delivered(server) == {record["run_id"]: 1}
    assert server.delivered(TOPIC)[record["run_id"]][0]["priority"] == 5
    assert [line["status"] for line in project.feed()] == ["lost"]
    assert project.processes() == []
    assert os.listdir(project.root / "logs" / "live") == []

    assert project("heartbeat").returncode == 0
    assert delivered(server) == {record["run_id"]: 1}, "a closed run is never closed again"
    assert len((project.root / "logs" / "heartbeat" / "task.log").read_text().splitlines()) == 2


def _wait(condition: object, limit: float = 20) -> None:
    deadline = time.monotonic() + limit
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def test_fifty_runs_at_once_on_fifty_repositories(tmp_path: Path, server: Ntfy) -> None:
    """The server takes 60 requests and then one in five seconds."""
    projects = [with_topic(make_project(tmp_path / str(number)), server) for number in range(50)]
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda project: project("run", "double", "free").returncode, projects))
    assert codes == [0] * 50
    revisions = server.delivered(TOPIC)
    assert sum(len(found) for found in revisions.values()) == 50
    assert [outbox(project) for project in projects] == [[]] * 50


def test_several_flushes_send_each_message_once(project: Project, server: Ntfy) -> None:
    with_topic(project, server)
    server.mode = "refused"
    for _ in range(5):
        project("run", "double", "free")
    server.mode = "well"
    flushing = [project.start("notify", "flush") for _ in range(6)]
    for process in flushing:
        process.communicate(timeout=60)
    project("notify", "flush")
    assert sorted(delivered(server).values()) == [1] * 5


KILLS = int(os.environ.get("RUNNER_TEST_KILLS", "20"))


@pytest.mark.parametrize("server", [{"burst": 10 * KILLS}], indirect=True, ids=["a generous server"])
def test_kill_at_random_moments_of_the_sending(project: Project, server: Ntfy) -> None:
    """`kill -9` while a message is sent; .ci/run does it 200 times."""
    import random

    with_topic(project, server)
    chance = random.Random(20261122)
    for _ in range(KILLS):
        count = len(project.folders())
        process = project.start("run", "double", "free", "--wait", "30s")
        _wait(lambda count=count, process=process: len(project.folders()) > count or process.poll() is not None)
        try:
            process.wait(chance.uniform(0.0, 0.4))
        except Exception:
            process.kill()
        process.communicate()
    with (project.root / ".git" / "runner.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the last guardian has ended
    assert project("notify", "flush").returncode == 0
    runs = {json.loads((folder / "metadata.json").read_text())["run_id"] for folder in project.folders()}
    assert len(runs) == KILLS
    assert set(delivered(server)) == runs
    assert [line["run_id"] for line in project.feed()]
    assert {line["run_id"] for line in project.feed()} == runs
    assert project.processes() == []


@pytest.mark.parametrize("text", ["{{ '" + "\U0001f642" * 3000 + "' }}", "é" * 5000])
def test_long_and_non_ascii_replies_fit(project: Project, server: Ntfy, text: str) -> None:
    with_topic(project, server)
    project.write(
        "agents.yaml", "stock: false\nagents:\n  echo: {binary: cat, argv: [], stdin: '{{ prompt }}', parser: text}\n"
    )
    project.write("prompts/free.md", text)
    assert project("run", "echo", "free").returncode == 0
    assert server.violations == []
    (revisions,) = server.delivered(TOPIC).values()
    assert len(revisions[0]["message"].encode()) <= 4096


def test_equal_failures_are_folded_and_the_recovery_is_reported(project: Project, server: Ntfy) -> None:
    with_topic(project, server)
    project.write("tasks.yaml", (project.root / "tasks.yaml").read_text() + "  fold_after: 2\n")
    for mode in ["silent"] * 4 + ["hello"]:
        project("run", "double", "free", "--var", f"mode={mode}")
    texts = [revisions[-1]["message"] for revisions in server.delivered(TOPIC).values()]
    assert len(texts) == 3
    assert "the 2nd time in a row" in texts[1]
    assert "recovered after 4 failed runs (no_output)" in texts[2]
    assert outbox(project) == []


def test_a_second_channel_for_failures(project: Project, server: Ntfy) -> None:
    with_topic(project, server)
    command = "  failures:\n    command: {argv: [sh, -c, 'cat >> heard']}\n"
    project.write("tasks.yaml", (project.root / "tasks.yaml").read_text() + command)
    project("run", "double", "free")
    project("run", "double", "free", "--var", "mode=silent")
    assert len(delivered(server)) == 2
    assert (project.root / "heard").read_text().count("no_output") == 1


def test_a_skip_that_needs_a_person_is_reported_once_until_it_changes(project: Project, server: Ntfy) -> None:
    with_topic(project, server)
    agent = "stock: false\nagents:\n  keyed: {{binary: 'true', argv: [], parser: text, requires: {{env: [{name}]}}}}\n"
    for name in ("FIRST", "FIRST", "OTHER"):
        project.write("agents.yaml", agent.format(name=name))
        assert project("run", "keyed", "free").returncode == 12
    texts = [revisions[-1]["message"] for revisions in server.delivered(TOPIC).values()]
    assert len(texts) == 2
    assert "FIRST" in texts[0]
    assert "OTHER" in texts[1]


def test_the_dead_mans_message_waits_at_the_server_and_is_replaced(project: Project, server: Ntfy) -> None:
    with_topic(project, server)
    project.write("tasks.yaml", (project.root / "tasks.yaml").read_text() + "  dead_man: true\n")
    process = project.start("run", "double", "free", "--var", "mode=hang", "--timeout", "20s")
    server.wait_for(1)
    (waiting,) = server.messages
    assert waiting["time"] > time.time() + 20
    assert "did not end" in waiting["title"]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert [message["title"] for message in server.messages if "did not end" in message["title"]] == []
    (revisions,) = server.delivered(TOPIC).values()
    assert "interrupted" in revisions[-1]["title"]


def test_a_week_of_outage_becomes_one_digest(project: Project, server: Ntfy) -> None:
    with_topic(project, server)
    server.mode = "refused"
    project("run", "double", "free")
    (name,) = outbox(project)
    first = json.loads((project.root / "logs" / "outbox" / name).read_text())
    for number in range(300):
        copy = json.loads(json.dumps(first))
        run_id = f"20260101_{number:06}"
        copy["message"]["message_id"] = copy["message"]["record"]["run_id"] = run_id
        copy["run_dir"] = None
        (project.root / "logs" / "outbox" / f"{run_id}.json").write_text(json.dumps(copy))
    project("heartbeat")
    assert len(outbox(project)) == 101
    server.mode = "well"
    server.burst = 1000
    project("notify", "flush")
    folded = [revisions[-1] for name, revisions in server.delivered(TOPIC).items() if name.startswith("folded")]
    assert [message["title"].split(" ")[0] for message in folded] == ["201"]


def test_history_asks_the_server(project: Project, server: Ntfy) -> None:
    with_topic(project, server)
    project("run", "double", "free")
    done = project("notify", "history", "--since", "1h")
    assert (done.returncode, done.stdout.count("double free: success")) == (0, 1), done.stderr


def test_the_channels_can_be_tested(project: Project, server: Ntfy) -> None:
    with_topic(project, server)
    assert project("notify", "test").stdout == "ntfy runs: sent\n"
    server.mode = "forbidden"
    done = project("notify", "test")
    assert done.returncode == 1
    assert "403" in done.stdout


def test_a_damaged_record_is_left_as_it_is(project: Project, server: Ntfy) -> None:
    with_topic(project, server)
    process = project.start("run", "double", "free", "--var", "mode=hang")
    _wait(lambda: any(path.stat().st_size for path in project.root.glob("logs/*/*/*/stdout.log")))
    kill_both(process)
    (folder,) = project.folders()
    (folder / "metadata.json").write_text("{ not json")
    assert project("heartbeat").returncode == 0
    assert (folder / "transcript.log").read_text() == "hanging\n"
    assert len(delivered(server)) == 1
    for pid in project.processes():
        os.kill(pid, signal.SIGKILL)
