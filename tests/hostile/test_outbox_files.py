"""What an agent can lay into the outbox and into the states of messages: the project goes on, and a message comes once."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.doubles.ntfy import Ntfy
from tests.helpers import notifying
from tests.hostile.strike import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.helpers import Project

ID = "20260101_000000"


def pending(**changes: Any) -> dict[str, Any]:
    """An outbox file as the runner writes it, to a server that nobody has."""
    message = {
        "title": "t",
        "body": "b",
        "tags": [],
        "priority": 3,
        "click": None,
        "actions": [],
        "message_id": ID,
        "delay": None,
        "record": {},
        **changes.pop("message", {}),
    }
    settings = {"kind": "ntfy", "url": "http://127.0.0.1:9", "topic": "t"}
    target = {
        "settings": settings,
        "state": "pending",
        "attempts": 1,
        "next_at": 0.0,
        "not_before": 0.0,
        "last_error": None,
        "delivered_at": None,
        "server_id": None,
        **changes.pop("target", {}),
    }
    return {
        "message": message,
        "created_at": 1767225600.0,
        "targets": [target],
        "final": True,
        "run_dir": None,
        **changes,
    }


def planted(text: str, name: str = f"{ID}.json") -> Callable[[Path], object]:
    return lambda logs: (logs / "outbox" / name).write_text(text, errors="surrogateescape")


def described(**changes: Any) -> Callable[[Path], object]:
    return planted(json.dumps(pending(**changes)))


def made(kind: str, *places: str) -> Callable[[Path], object]:
    """A FIFO, a folder, or a link to an endless or a missing thing in those places."""

    def make(logs: Path) -> None:
        for place in places:
            path = logs / place
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "fifo":
                os.mkfifo(path)
            elif kind == "folder":
                (path / "full").mkdir(parents=True)
            else:
                path.symlink_to(kind)

    return make


def replaced(place: str, kind: str) -> Callable[[Path], object]:
    def replace(logs: Path) -> None:
        path = logs / place
        if path.is_dir():
            for inner in path.iterdir():
                inner.unlink()
            path.rmdir()
        made(kind, place)(logs)

    return replace


LAID: dict[str, Callable[[Path], object]] = {
    "nothing in it": planted(""),
    "half of it": planted(json.dumps(pending())[:200]),
    "no UTF-8": planted("\udcff\udcfe{"),
    "a list": planted("[1, 2]"),
    "deep": planted("[" * 100_000),
    "NaN for a time": planted(json.dumps(pending(created_at=float("nan")))),
    "an endless time": planted(json.dumps(pending()).replace("1767225600.0", "1e999")),
    "a time of no calendar": described(created_at=1e300),
    "a time before all": described(created_at=-1e15),
    "tries of many digits": planted(json.dumps(pending()).replace('"attempts": 1', '"attempts": ' + "9" * 4000)),
    "a wait of no calendar": described(target={"next_at": 1e300, "not_before": 1e300}),
    "another's id": described(message={"message_id": "20260101_000001"}),
    "a path for an id": described(message={"message_id": "../../../escaped"}),
    "a run elsewhere": described(run_dir="/etc"),
    "a run above": described(run_dir=f"../../{ID}"),
    "a run of another": described(run_dir="free/double/20260101_000009"),
    "no such channel": described(target={"settings": {"kind": "pigeon"}}),
    "no channel": described(target={"settings": {}}),
    "settings of other types": described(target={"settings": {"kind": "ntfy", "url": 3, "topic": ["t"], "click": {}}}),
    "a template that is broken": described(target={"settings": {"kind": "ntfy", "topic": "{{ nonsense }}"}}),
    "a template that is large": described(target={"settings": {"kind": "ntfy", "topic": "{{ 'a' * 10**9 }}"}}),
    "no targets": described(targets=[]),
    "a state of another name": described(target={"state": "elsewhere"}),
    "hidden text": described(message={"title": "\u202e\x1b[2J\x07", "body": "\ud800"}),
    "a name that is none": planted("{}", "..json"),
    "a name with a line break": planted("{}", "a\nb.json"),
    "a name with escapes": planted("{}", "\x1b[2J.json"),
    "a long name": planted("{}", "a" * 240 + ".json"),
    "a hundred megabytes": lambda logs: os.truncate(os.open(logs / "outbox" / f"{ID}.json", 65, 0o600), 100 << 20),
    "a FIFO": made("fifo", f"outbox/{ID}.json", f"outbox/{ID}.json.new"),
    "a folder": made("folder", f"outbox/{ID}.json", f"outbox/{ID}.json.new"),
    "a link to zeros": made("/dev/zero", f"outbox/{ID}.json"),
    "a link to itself": made(f"{ID}.json", f"outbox/{ID}.json"),
    "a FIFO for the dead": made("fifo", "outbox/dead"),
    "a link for the dead": made("/dev/full", "outbox/dead"),
    "a damaged one that is there": lambda logs: [
        made("folder", f"outbox/dead/{ID}.json.damaged")(logs),
        planted("")(logs),
    ],
    "a FIFO for its lock": lambda logs: [made("fifo", f"live/{ID}")(logs), described()(logs)],
    "a folder for its lock": lambda logs: [made("folder", f"live/{ID}")(logs), described()(logs)],
    "a FIFO for its id": lambda logs: [made("fifo", f"ids/{ID}")(logs), described()(logs)],
    "streaks": made("fifo", "state/streaks/free.double.json.new", "state/skips/free.double.json"),
    "folders for streaks": made("folder", "state/streaks/free.double.json.damaged", "state/skips/free.double.json"),
    "a link for the skips": replaced("state/skips", "/dev/zero"),
    "a FIFO for the skips": replaced("state/skips", "fifo"),
}


@pytest.mark.parametrize("name", LAID)
def test_one_good_message_comes_once(project: Project, name: str) -> None:
    """A message waits as the server is down; whatever lies beside it, the next heartbeat sends it, and only that."""
    with Ntfy() as server:
        notifying(project, server.url)
        server.mode = "internal_error"
        assert project("run", "double", "free").returncode == 0
        run_id = project.record()["run_id"]
        LAID[name](project.root / "logs")
        server.mode = "well"
        for _ in range(2):
            began = time.monotonic()
            done = project("heartbeat", timeout=LIMIT)
            assert (done.returncode, done.stderr) == (0, "")
            assert time.monotonic() - began < 30
        assert list(server.delivered("runs")) == [run_id]
        assert len(server.delivered("runs")[run_id]) == 1
        assert project("run", "double", "free", timeout=LIMIT).returncode == 0
        assert len(server.delivered("runs")) == 2
    for words in (("notify", "list"), ("notify", "flush"), ("triage",)):
        done = project(*words, timeout=LIMIT)
        assert done.returncode in (0, 1), done.stderr
        assert "Traceback" not in done.stderr
        assert "\x1b" not in done.stdout
    assert not (project.root.parent / "escaped.json").exists()


CLOCK = time.time()
# Times in the outbox, and whether the heartbeat and a person's flush send the message now.
WAITS: dict[str, tuple[dict[str, Any], bool, bool]] = {
    "a server's wait of ten years": ({"not_before": CLOCK + 315360000}, True, True),
    "a wait of two days": ({"not_before": CLOCK + 2 * 86400}, True, True),
    "our own wait of ten years": ({"next_at": CLOCK + 315360000}, True, True),
    "both": ({"next_at": 4e9, "not_before": 4e9}, True, True),
    "a server's wait of an hour": ({"not_before": CLOCK + 3600}, False, False),
    "our own wait of half an hour": ({"next_at": CLOCK + 1800}, False, True),
    "no wait": ({}, True, True),
}


@pytest.mark.parametrize("by_hand", [False, True], ids=["heartbeat", "flush"])
@pytest.mark.parametrize("name", WAITS)
@pytest.mark.parametrize("created", [-86400, 315360000], ids=["yesterday", "2036"])
def test_waits_that_a_wrong_clock_set(project: Project, name: str, created: int, by_hand: bool) -> None:
    times, by_heartbeat, by_person = WAITS[name]
    with Ntfy() as server:
        settings = {"kind": "ntfy", "url": server.url, "topic": "runs"}
        assert project("heartbeat").returncode == 0
        (project.root / "logs" / "outbox").mkdir(exist_ok=True)
        described(created_at=CLOCK + created, target={"settings": settings, **times})(project.root / "logs")
        triage = project("triage")
        assert (triage.returncode, "in the outbox since" in triage.stdout) == (1, True)
        project(*(("notify", "flush") if by_hand else ("heartbeat",)))
        assert len(server.delivered("runs")) == (by_person if by_hand else by_heartbeat)


# What an agent does so that the record cannot say that its message is sent.
SPOILT = {
    "a folder where it is staged": 'mkdir -p "$RUNNER_RUN_DIR/metadata.json.new/x"',
    "a full device": 'rm "$RUNNER_RUN_DIR/metadata.json"; ln -s /dev/full "$RUNNER_RUN_DIR/metadata.json"',
    "a folder for the record": 'rm "$RUNNER_RUN_DIR/metadata.json"; mkdir -p "$RUNNER_RUN_DIR/metadata.json/x"',
    "a link for the folder": 'mv "$RUNNER_RUN_DIR" "$HOME/away"; ln -s "$HOME/away" "$RUNNER_RUN_DIR"',
    "a file for the folder": 'rm -r "$RUNNER_RUN_DIR"; echo x >"$RUNNER_RUN_DIR"',
    "folders for all": (
        'for i in "" 2 3 4 5 6 7 8 9; do mkdir -p "$RUNNER_RUN_DIR/metadata.json.new.damaged$i"; done; '
        'mkdir -p "$RUNNER_RUN_DIR/metadata.json.new/x"'
    ),
    "the ids gone": 'rm -r "$RUNNER_RUN_DIR/../../../ids"',
    "the live files gone": 'rm -r "$RUNNER_RUN_DIR/../../../live"',
    "the outbox gone": 'rm -r "$RUNNER_RUN_DIR/../../../outbox"',
    "the states gone": 'rm -r "$RUNNER_RUN_DIR/../../../state"',
}


@pytest.mark.parametrize("name", SPOILT)
def test_exactly_one_message_whatever_fails_after_it_was_sent(project: Project, name: str) -> None:
    agent = {"binary": "/bin/sh", "argv": ["-c", f"{SPOILT[name]}\necho done"], "parser": "text"}
    project.write("agents.yaml", json.dumps({"stock": False, "agents": {"evil": agent}}))
    with Ntfy() as server:
        notifying(project, server.url)
        assert project("run", "evil", "free", timeout=LIMIT).returncode == 0
        for _ in range(3):
            done = project("heartbeat", timeout=LIMIT)
            assert done.returncode == 0, done.stderr
        found = server.delivered("runs")
        assert [len(revisions) for revisions in found.values()] == [1]
    assert project.processes() == []
