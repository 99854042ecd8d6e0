"""The stand-in's contract: the stock debug prompts work with it, and whatever it cannot do it says."""

from __future__ import annotations

import http.server
import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from runner.template import render

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
COMMIT = "Create the file `a.txt` with the one line `one`.\nCommit it with the message `Add a.txt`.\n"
IDENTITY = {
    "GIT_AUTHOR_NAME": "T",
    "GIT_AUTHOR_EMAIL": "t@example.org",
    "GIT_COMMITTER_NAME": "T",
    "GIT_COMMITTER_EMAIL": "t@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CEILING_DIRECTORIES": "/",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repo"
    subprocess.run(["git", "init", "-q", folder], check=True)
    return folder


def run(folder: Path, prompt: str | bytes, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    data = prompt.encode() if isinstance(prompt, str) else prompt
    return subprocess.run(
        [sys.executable, "-m", "runner.demo_agent", *arguments],
        input=data,
        capture_output=True,
        cwd=folder,
        env={**os.environ, **IDENTITY, **environment},
        timeout=30,
        check=False,
    )


def events(done: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    assert (done.returncode, done.stderr) == (0, b"")
    return [json.loads(line) for line in done.stdout.splitlines()]


def answer(folder: Path, prompt: str | bytes) -> str:
    text = events(run(folder, prompt))[-1]["result"]
    assert isinstance(text, str)
    return text


def subjects(folder: Path) -> list[str]:
    log = subprocess.run(["git", "log", "--format=%s"], cwd=folder, capture_output=True, text=True, check=False)
    return log.stdout.splitlines()


def status(folder: Path) -> str:
    done = subprocess.run(["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_events_are_those_of_a_stream_json_cli(repository: Path) -> None:
    told = events(run(repository, COMMIT))
    kinds = [
        (event["type"], [block["type"] for block in event.get("message", {}).get("content", [])]) for event in told
    ]
    use = [("assistant", ["tool_use"]), ("user", ["tool_result"])]
    assert kinds == [("system", []), *use, *use, *use, *use, ("assistant", ["text"]), ("result", [])]
    assert told[0]["subtype"] == "init"
    assert len({event["session_id"] for event in told}) == 1
    assert len({event["uuid"] for event in told}) == len(told)
    uses = [event["message"]["content"][0] for event in told if event["type"] == "assistant"][:-1]
    results = [event["message"]["content"][0] for event in told if event["type"] == "user"]
    assert [use["id"] for use in uses] == [result["tool_use_id"] for result in results]
    assert not any(result["is_error"] for result in results)
    assert [use["name"] for use in uses] == ["Write", "Bash", "Bash", "Bash"]
    assert uses[-1]["input"]["command"] == "git commit --quiet -m 'Add a.txt' -- a.txt"
    final = told[-1]
    assert (final["subtype"], final["is_error"], final["num_turns"], final["total_cost_usd"]) == (
        "success",
        False,
        5,
        0,
    )
    assert told[-2]["message"]["content"][0]["text"] == final["result"]
    assert final["usage"]["input_tokens"] == 5 * len(COMMIT.split())


def test_tokens_are_words(repository: Path) -> None:
    told = events(run(repository, "Say hello in\n three words", "--model", "m-1"))
    final = told[-1]
    assert final["usage"] == {
        "input_tokens": 5,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": len(final["result"].split()),
    }
    assert list(final["modelUsage"]) == ["m-1"]
    assert final["modelUsage"]["m-1"]["inputTokens"] == 5
    assert (told[0]["model"], told[1]["message"]["model"]) == ("m-1", "m-1")


def test_a_commit_in_an_empty_repository(repository: Path) -> None:
    said = answer(repository, COMMIT)
    assert said == "a.txt holds the line.\nCommitted a.txt: Add a.txt"
    assert (subjects(repository), status(repository)) == (["Add a.txt"], "")
    assert (repository / "a.txt").read_text() == "one\n"


def test_others_changes_are_left_alone(repository: Path) -> None:
    answer(repository, COMMIT)
    (repository / "staged.txt").write_text("x\n")
    subprocess.run(["git", "add", "staged.txt"], cwd=repository, check=True)
    (repository / "other.txt").write_text("x\n")
    answer(repository, "- Append the line `two` to the file `a.txt`.\n- Commit that file with the message `Two`.\n")
    assert subjects(repository) == ["Two", "Add a.txt"]
    assert status(repository).splitlines() == ["A  staged.txt", "?? other.txt"]
    assert (repository / "a.txt").read_text() == "one\ntwo\n"


def test_nothing_to_do_when_it_is_committed_already(repository: Path) -> None:
    answer(repository, COMMIT)
    assert answer(repository, COMMIT).splitlines()[-1] == "NOTHING TO DO: a.txt is committed already as asked"
    assert subjects(repository) == ["Add a.txt"]


@pytest.mark.parametrize(
    "prompt", ["Improve the documentation.", "a `b` c", "\0", "\x1b[31m", "\ufeff", b"\xff\xfe\x80"]
)
def test_what_needs_a_model_changes_nothing(repository: Path, prompt: str | bytes) -> None:
    said = answer(repository, prompt)
    assert "no model" in said
    assert re.search(r"(?m)^NOTHING TO DO: \S", said)
    assert (subjects(repository), status(repository)) == ([], "")


def test_without_a_repository_it_says_so(tmp_path: Path) -> None:
    told = events(run(tmp_path, COMMIT))
    assert told[-1]["is_error"] is False
    assert "Stopped: fatal: not a git repository" in told[-1]["result"]
    assert "NOTHING TO DO" not in told[-1]["result"]
    results = [event["message"]["content"][0] for event in told if event["type"] == "user"]
    assert [result["is_error"] for result in results] == [False, True]


@pytest.mark.parametrize(
    ("prompt", "complaint"),
    [
        ("Commit it with the message `x`.", "no file was written before"),
        ("Create the file `../out.txt` with the one line `x`.", "not below the current folder"),
        ("Create the file `/tmp/out.txt` with the one line `x`.", "not below the current folder"),
        ("Create the file `.` with the one line `x`.", "Is a directory"),
        ("Append the line `x` to the file `no/such.txt`.", "No such file or directory"),
        ("Send one GET request to `file:///etc/passwd`.", "is not an http address"),
        ("Send one GET request to `http://127.0.0.1:0/`.", "did not answer"),
    ],
)
def test_a_step_that_fails_ends_the_work(repository: Path, prompt: str, complaint: str) -> None:
    said = answer(repository, f"{prompt}\n{COMMIT}")
    assert said.startswith("Stopped: ")
    assert complaint in said
    assert subjects(repository) == []


def test_a_link_does_not_lead_outside(repository: Path, tmp_path: Path) -> None:
    (repository / "link").symlink_to(tmp_path / "outside.txt")
    assert "not below the current folder" in answer(repository, "Create the file `link` with the one line `x`.")
    assert not (tmp_path / "outside.txt").exists()


def test_an_ignored_file_is_not_a_success(repository: Path) -> None:
    (repository / ".gitignore").write_text("a.txt\n")
    assert "Stopped: The following paths are ignored" in answer(repository, COMMIT)


def test_without_git_it_says_so(repository: Path) -> None:
    done = run(repository, COMMIT, PATH="/nonexistent")
    assert "Stopped: git: No such file or directory" in events(done)[-1]["result"]


@pytest.mark.parametrize("prompt", ["", " \n\t\n"])
def test_an_empty_prompt_is_an_error(repository: Path, prompt: str) -> None:
    done = run(repository, prompt)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"Error: no prompt on stdin\n")


@pytest.mark.parametrize("redirection", ["<&-", "</"])
def test_a_broken_stdin_is_an_error(repository: Path, redirection: str) -> None:
    line = f'exec "$0" -m runner.demo_agent {redirection}'
    done = subprocess.run(
        ["sh", "-c", line, sys.executable], cwd=repository, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("--model",), ("--nonsense",), ("--model", "a", "b")])
def test_a_wrong_command_line_is_an_error(repository: Path, arguments: tuple[str, ...]) -> None:
    done = run(repository, COMMIT, *arguments)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"Error: usage: ")


def test_every_unicode_plane_survives(repository: Path) -> None:
    text = "é 𝄞 𠀀 \U0003134a \U000e0041 \U0010fffd"
    said = answer(repository, f"Create the file `a.txt` with the one line `{text}`.\nCommit with the message `{text}`.")
    assert said.endswith(f"Committed a.txt: {text}")
    assert (repository / "a.txt").read_text("utf-8") == f"{text}\n"
    assert subjects(repository) == [text]


@pytest.fixture
def web() -> Iterator[tuple[str, list[str]]]:
    """A server that answers 200 to /, drops /drop, talks nonsense to /garbage, 503 to the rest; and the paths asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path == "/drop":
                self.connection.shutdown(socket.SHUT_RDWR)
            elif self.path == "/garbage":
                self.wfile.write(b"no HTTP at all\r\n\r\n")
            else:
                self.send_response(200 if self.path == "/" else 503)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "said"),
    [("/", "answered 200."), ("/busy", "answered 503."), ("/drop", "did not answer"), ("/garbage", "did not answer")],
)
def test_one_request(repository: Path, web: tuple[str, list[str]], path: str, said: str) -> None:
    address, asked = web
    assert said in answer(repository, f"1. Send one GET request to `{address}{path}` and look.")
    assert asked == [path]


def test_it_starts_without_heavy_imports() -> None:
    script = "import sys; import runner.demo_agent; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"typing", "dataclasses", "pathlib", "subprocess", "argparse", "urllib.request", "yaml", "click", "jinja2"}
    assert not heavy & set(done.stdout.split())


TASKS = yaml.safe_load((ROOT / "tasks.yaml").read_text())["tasks"]


def stock_prompt(task: str, **variables: str) -> str:
    given = {
        "agent": "a",
        "task": task,
        "run_id": "20260219_175043",
        "repo": "/r",
        "vars": {**TASKS[task].get("vars", {}), **variables},
    }
    return render((ROOT / TASKS[task]["prompt"]).read_text(), given)


@pytest.mark.parametrize(
    ("task", "commits"),
    [
        ("debug_hello_simple", []),
        ("debug_hello_world", ["Add hello_world.txt"]),
        ("debug_smoke_commit", ["Smoke test 20260219_175043"]),
    ],
)
def test_the_stock_debug_prompts_work(repository: Path, task: str, commits: list[str]) -> None:
    said = answer(repository, stock_prompt(task))
    assert "NOTHING TO DO" not in said
    assert "Stopped" not in said
    assert (subjects(repository), status(repository)) == (commits, "")


def test_the_smoke_test_checks_the_network_first(repository: Path, web: tuple[str, list[str]]) -> None:
    address, asked = web
    assert "Stopped" in answer(repository, stock_prompt("debug_smoke_commit", url=f"{address}/drop"))
    assert subjects(repository) == []
    assert "answered 200" in answer(repository, stock_prompt("debug_smoke_commit", url=f"{address}/"))
    assert asked == ["/drop", "/"]
    assert len(subjects(repository)) == 1


@pytest.mark.parametrize("task", sorted(set(TASKS) - {"debug_hello_simple"}))
def test_a_task_with_a_commit_says_how_to_end_without(repository: Path, task: str) -> None:
    assert TASKS[task]["requires_commit"] is True
    pattern = re.compile(TASKS[task]["nothing_to_do"])
    said = "I looked.\nNOTHING TO DO: all is well"
    assert pattern.search(said)
    assert not pattern.search("I was to write NOTHING TO DO: why")
    assert "\nNOTHING TO DO: " in stock_prompt(task)
    if not task.startswith("debug"):
        assert pattern.search(answer(repository, stock_prompt(task)))


def test_hello_asks_for_no_commit() -> None:
    assert not {"requires_commit", "nothing_to_do"} & set(TASKS["debug_hello_simple"])
