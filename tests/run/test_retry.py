"""Fallback and retry: which agent tries next and when, as tables; and the runs that follow, by the real command."""

from __future__ import annotations

import io
import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from runner.reasons import REASONS
from runner.run.progress import count_down
from runner.run.retry import NextAttempt, Retry, chain_of, next_attempt, read_retry
from runner.text import rfc3339
from tests.doubles.ntfy import Ntfy
from tests.helpers import answering, failing, notifying, script, starts, wait_until

if TYPE_CHECKING:
    from tests.helpers import Project

NOW = 1_800_000_000.0
HELPED = (
    "model_not_found auth billing launch_failed overloaded server network rate_limit usage_limit cooldown preflight "
    "missing_requirement budget_window"
).split()


def record(agent: str, reason: str | None, retry_in: float | None = None) -> dict[str, Any]:
    error = {"retry_at": None if retry_in is None else rfc3339(NOW + retry_in)} if reason else None
    return {"agent": agent, "reason": reason, "error": error, "run_id": "r"}


@pytest.mark.parametrize("reason", [None, *REASONS])
def test_the_next_agent_tries_where_the_table_says_so(reason: str | None) -> None:
    found = next_attempt(("a", "b"), Retry(), [record("a", reason)], NOW, 0.5)
    assert found == (NextAttempt("b") if reason in HELPED else None)


RETRY = Retry(count=2, wait=30.0)
LIMITED = Retry(count=1, classes=frozenset({"usage_limit"}), wait="reset", longest=3 * 3600.0)


@pytest.mark.parametrize(
    ("retry", "before", "expected"),
    [
        # The same agent first, as often as `count` says, then the next one.
        (RETRY, [("a", "network", None)], NextAttempt("a", 30.0, again=True)),
        (RETRY, [("a", "network", None)] * 2, NextAttempt("a", 30.0, again=True)),
        (RETRY, [("a", "network", None)] * 3, NextAttempt("b")),
        (RETRY, [*[("a", "network", None)] * 3, ("b", "server", None)], NextAttempt("b", 30.0, again=True)),
        (RETRY, [*[("a", "network", None)] * 3, *[("b", "server", None)] * 3], None),
        (RETRY, [("a", "network", None), ("a", None, None)], None),
        # Only the classes that were asked for; a failed task is never given to another agent.
        (RETRY, [("a", "usage_limit", None)], NextAttempt("b")),
        (RETRY, [("a", "no_commits", None)], None),
        (Retry(1, frozenset({"refusal"}), 5.0), [("a", "refusal", None)], NextAttempt("a", 5.0, again=True)),
        (Retry(1, frozenset({"refusal"}), 5.0), [("a", "refusal", None)] * 2, None),
        # No try before an announced reset, and none where that is too far.
        (LIMITED, [("a", "usage_limit", 7200.0)], NextAttempt("a", 7200.0, again=True)),
        (LIMITED, [("a", "usage_limit", 4 * 3600.0)], NextAttempt("b")),
        (RETRY, [("a", "rate_limit", 45.0)], NextAttempt("a", 45.0, again=True)),
        (RETRY, [("a", "rate_limit", 7200.0)], NextAttempt("b")),
        (RETRY, [("a", "rate_limit", -5.0)], NextAttempt("a", 30.0, again=True)),
        # Backoff doubles, spread by chance, and has an end; where a reset is asked for and unknown, too.
        (Retry(9), [("a", "server", None)], NextAttempt("a", 15.0, again=True)),
        (Retry(9), [("a", "server", None)] * 3, NextAttempt("a", 60.0, again=True)),
        (Retry(20), [("a", "server", None)] * 20, NextAttempt("a", 600.0, again=True)),
        (Retry(9, wait="reset"), [("a", "server", None)] * 2, NextAttempt("a", 30.0, again=True)),
        (Retry(0), [("a", "server", None)], NextAttempt("b")),
    ],
)
def test_what_follows(
    retry: Retry, before: list[tuple[str, str | None, float | None]], expected: NextAttempt | None
) -> None:
    assert next_attempt(("a", "b"), retry, [record(*one) for one in before], NOW, 0.5) == expected


@pytest.mark.parametrize(("chance", "wait"), [(0.0, 12.0), (0.5, 15.0), (1.0, 18.0)])
def test_a_backoff_is_spread(chance: float, wait: float) -> None:
    found = next_attempt(("a",), Retry(1), [record("a", "server")], NOW, chance)
    assert found is not None
    assert found.wait == pytest.approx(wait)


@pytest.mark.parametrize(
    ("fallback", "expected"),
    [
        (None, ("a",)),
        (["b", "c"], ("a", "b", "c")),
        (["b", "a", "b"], ("a", "b")),
        ({"a": ["b"], "b": ["c"]}, ("a", "b")),
        ({"b": ["c"]}, ("a",)),
    ],
)
def test_who_tries(fallback: Any, expected: tuple[str, ...]) -> None:
    assert chain_of("a", fallback) == expected


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (None, Retry()),
        ({"count": 3}, Retry(3, wait="backoff", longest=600.0)),
        ({"classes": ["auth"]}, Retry(1, frozenset({"auth"}))),
        ({"count": 1, "wait": "reset"}, Retry(1, wait="reset", longest=6 * 3600.0)),
        ({"count": 1, "wait": "reset", "max_wait": "2h"}, Retry(1, wait="reset", longest=7200.0)),
        ({"count": 1, "wait": "30m"}, Retry(1, wait=1800.0, longest=1800.0)),
        ({"count": 1, "wait": 0}, Retry(1, wait=0.0)),
        ({"count": 1, "wait": "none", "max_wait": "none"}, Retry(1, wait=0.0, longest=6 * 3600.0)),
    ],
)
def test_retry_as_the_yaml_says_it(entry: Any, expected: Retry) -> None:
    assert read_retry(entry) == expected


def tasks(project: Project, more: str) -> Project:
    """The task `free` with more keys."""
    text = f"stock: false\ntasks:\n  free:\n    prompt: prompts/free.md\n{more}"
    project.write("tasks.yaml", text)
    return project


def lines(project: Project) -> list[tuple[str, str, str | None]]:
    return [(line["agent"], line["status"], line["reason"]) for line in project.feed()]


TWO_HOURS = str(int(time.time()) + 7200)


def test_a_list_tries_the_next_agent_and_links_the_runs(project: Project) -> None:
    script(project, one=failing("auth"), two=failing("server"), three=answering("done"))
    done = project("run", "one,two,three", "free")
    assert done.returncode == 0, done.stderr
    first, second, third = project.feed()
    assert lines(project) == [
        ("one", "failed", "auth"),
        ("two", "failed", "server"),
        ("three", "success", None),
    ]
    assert [line["attempt"] for line in project.feed()] == [1, 2, 3]
    assert [line["previous_run"] for line in project.feed()] == [None, first["run_id"], second["run_id"]]
    kept = project.record()
    assert (kept["attempt"], kept["previous_run"]) == (3, second["run_id"])
    assert f"attempt 3, after {second['run_id']} (server by two)" in kept["notes"]
    # Each try is shown, and what follows it.
    for headline in ("failed (auth): one free", "failed (server): two free", "success: three free"):
        assert headline in done.stdout
    assert "one free: auth; next: two" in done.stderr
    assert f"attempt 2 after {first['run_id']}" in project("why", second["run_id"]).stdout
    assert f"attempt 3, after {second['run_id']} (server by two)" in project("show", third["run_id"]).stdout


@pytest.mark.parametrize("script_of_one", [failing("refusal"), "exit 3", answering("done")])
def test_a_failed_task_is_given_to_nobody_else(project: Project, script_of_one: str) -> None:
    script(project, one=script_of_one, two=answering("done"))
    done = project("run", "one,two", "free")
    assert starts(project, "two") == 0
    assert len(project.feed()) == 1
    assert done.returncode == project.record()["exit_code"]


def test_the_exit_code_is_the_last_runs(project: Project) -> None:
    script(project, one=failing("auth"), two=failing(f"usage limit until {TWO_HOURS}"))
    assert project("run", "one,two", "free").returncode == 10
    assert project("run", "two,one", "free").returncode == 12, "both are in cooldown now"
    before, last = project.feed()[-2:]
    assert (last["reason"], last["attempt"], last["previous_run"]) == ("cooldown", 2, before["run_id"])


def test_json_is_the_last_record(project: Project) -> None:
    script(project, one=failing("auth"), two=answering("done"))
    done = project("run", "one,two", "free", "--json")
    found = json.loads(done.stdout)
    assert (found["agent"], found["attempt"], found["previous_run"]) == ("two", 2, project.feed()[0]["run_id"])
    assert "failed (auth): one free" in done.stderr
    assert "success: two free" in done.stderr


@pytest.mark.parametrize(
    ("fallback", "agents", "tried"),
    [
        ("[two]", "one", ["one", "two"]),
        ("two", "one", ["one", "two"]),
        ("{one: two}", "one", ["one", "two"]),
        ("{two: [one]}", "one", ["one"]),
        ("[two]", "one,three", ["one", "three"]),  # a list on the command line stands in for the task's
    ],
)
def test_the_tasks_fallback(project: Project, fallback: str, agents: str, tried: list[str]) -> None:
    script(project, one=failing("network"), two=answering("done"), three=answering("done"))
    tasks(project, f"    fallback: {fallback}\n")
    project("run", agents, "free")
    assert [agent for agent, _, _ in lines(project)] == tried


BAD = [
    (["one,tow", "free"], "", 2, "unknown agent `tow`"),
    (["one,", "free"], "", 2, "a name is missing in `one,`"),
    (["one,one", "free"], "", 2, "named twice"),
    (["one", "free"], "    fallback: [tow]\n", 3, "tasks.yaml:5:16: tasks.free.fallback[0]: unknown agent `tow`"),
    (["one,two", "free", "--set", "colour=red"], "", 2, "none of the agents has an option `colour`"),
]


@pytest.mark.parametrize(("words", "more", "code", "said"), BAD)
def test_what_is_wrong_is_said_before_anything_runs(
    project: Project, words: list[str], more: str, code: int, said: str
) -> None:
    tasks(script(project, one=failing("auth"), two=answering("done")), more)
    done = project("run", *words)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    if "tow" in said:
        assert "did you mean 'two'?" in done.stderr
    assert starts(project, "one") == 0
    assert project.feed() == []


def test_a_template_of_the_second_agent_is_looked_at_before_the_first_runs(project: Project) -> None:
    script(project, one=failing("auth"), two=answering("done"))
    text = (project.root / "agents.yaml").read_text()
    project.write("agents.yaml", text + "    env: {set: {X: '{{ vars.missing }}'}}\n")
    done = project("run", "one,two", "free")
    assert (done.returncode, starts(project, "one")) == (3, 0), done.stdout


def test_a_model_is_the_first_agents_and_an_option_theirs_who_have_it(project: Project) -> None:
    script(project, one=failing("auth"), two='echo "$0 $1" >&2; ' + answering("done"))
    text = (project.root / "agents.yaml").read_text()
    more = "    options: {colour: {default: blue}}\n    model: {default: own}\n"
    text = text.replace("parser: scripted\n  two", f"parser: scripted\n{more}  two") + "    model: {default: own}\n"
    project.write("agents.yaml", text)
    done = project("run", "one,two", "free", "--model", "large", "--set", "colour=red", "--json")
    assert done.returncode == 0, done.stderr
    assert [line["model"] for line in project.feed()] == ["large", "own"]


def test_a_dry_run_shows_the_first(project: Project) -> None:
    script(project, one=failing("auth"), two=answering("done"))
    done = project("run", "one,two", "free", "--dry-run")
    assert done.returncode == 0
    assert "auth" in done.stdout
    assert starts(project, "one") == 0


def until(project: Project, start: int, bad: str) -> str:
    """The script of the agent `one` that fails before that start."""
    return f"test $(wc -l < {project.home}/one) -ge {start} && {{ {answering('done')}; exit; }}; {bad}"


def test_retry_tries_the_same_agent_again(project: Project) -> None:
    tasks(script(project, one=until(project, 3, failing("server"))), "    retry: {count: 5, wait: 10ms}\n")
    done = project("run", "one", "free")
    assert done.returncode == 0, done.stderr
    assert lines(project) == [("one", "failed", "server")] * 2 + [("one", "success", None)]
    assert "next: one again: in 10ms" in done.stderr
    assert "next: one again in 10ms" in json.loads((project.folders()[0] / "metadata.json").read_text())["notes"]


def test_retry_then_fallback(project: Project) -> None:
    script(project, one=failing("server"), two=answering("done"))
    tasks(project, "    retry: {count: 1, wait: 0}\n    fallback: [two]\n")
    assert project("run", "one", "free").returncode == 0
    assert [agent for agent, _, _ in lines(project)] == ["one", "one", "two"]


def test_retry_waits_for_the_reset(project: Project) -> None:
    script(project, one=until(project, 2, failing("slow down for 1500 ms")))
    tasks(project, "    retry: {count: 1, wait: reset}\n")
    done = project("run", "one", "free", "--unattended")
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = project.feed()
    assert first["error"]["retry_at"] <= second["started_at"]


def test_a_retry_is_not_turned_away_by_the_cooldown_of_its_own_agent(project: Project) -> None:
    script(project, one=until(project, 2, failing("rate_limit")))
    tasks(project, "    retry: {count: 1, wait: 10ms}\n")
    assert project("run", "one", "free", "--unattended").returncode == 0
    assert lines(project) == [("one", "rate_limited", "rate_limit"), ("one", "success", None)]


def test_a_signal_ends_the_wait_and_starts_nothing(project: Project) -> None:
    with Ntfy() as server:
        script(project, one=failing("server"), two=answering("done"))
        notifying(tasks(project, "    retry: {count: 3, wait: 5m}\n"), server.url)
        process = project.start("run", "one", "free")
        wait_until(lambda: len(project.feed()) == 1)
        assert process.stderr is not None
        while "next: one again" not in process.stderr.readline():
            pass
        # The checkout is free while nothing runs in it.
        assert project("run", "two", "free").returncode == 0
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 143
        assert "no further try: the runner received signal 15" in err
        assert len(server.delivered("runs")) == 2
    assert lines(project) == [("one", "failed", "server"), ("two", "success", None)]


def test_each_try_ends_in_a_message_that_says_what_follows(project: Project) -> None:
    script(project, one=failing(f"usage limit until {TWO_HOURS}"), two=answering("done"))
    with Ntfy() as server:
        notifying(project, server.url)
        assert project("run", "one,two", "free").returncode == 0
        first, second = (revisions[-1] for revisions in server.delivered("runs").values())
    assert first["title"] == "one free: rate_limited (usage_limit)"
    assert "note: next: two" in first["message"]
    assert "note: in cooldown until" in first["message"]
    assert second["title"] == "two free: success"
    assert f"after {project.feed()[0]['run_id']} (usage_limit by one)" in second["message"]


def test_a_busy_checkout_is_busy_for_every_agent(project: Project) -> None:
    script(project, one="sleep 60", two=answering("done"))
    holder = project.start("run", "one", "free")
    wait_until(lambda: starts(project, "one"))
    assert project("run", "two,one", "free").returncode == 12
    holder.terminate()
    holder.communicate(timeout=30)
    assert sorted(lines(project)) == [("one", "interrupted", "interrupted"), ("two", "skipped", "busy")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "shown"), [(Terminal(), "\r\x1b[Kwaiting: in "), (io.StringIO(), "waiting: in 1m30s\n")]
)
def test_a_wait_is_counted_down(stream: io.StringIO, shown: str) -> None:
    waits: list[float] = []

    def pause(seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) == 3

    assert count_down("waiting", 90.0, pause, stream)
    assert stream.getvalue().startswith(shown)
    if stream.isatty():
        assert stream.getvalue().count("waiting: in ") == 3
        assert stream.getvalue().endswith("\r\x1b[K")
        assert max(waits) <= 0.5
    else:
        assert stream.getvalue().count("\n") == 1


def test_a_wait_has_an_end() -> None:
    assert not count_down("waiting", 0.01, lambda seconds: bool(time.sleep(seconds)), None)
