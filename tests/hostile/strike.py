"""One hostile input through the real command: its exit code, one message, no secret anywhere, nothing left running."""

from __future__ import annotations

import base64
import json
import shlex
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.doubles.ntfy import Ntfy
from tests.helpers import notifying

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from subprocess import CompletedProcess

    from tests.helpers import Project

SECRET = 'k3y-"p@ss/w:rd+12'
LIMIT = 60.0  # seconds for one command, on a machine that does other things too


@dataclass(frozen=True)
class Hostile:
    """`arrange` makes the input; `code` is the exit code of `words`, `reason` the record's, where there is a record.

    `messages` is how many runs have a message afterwards. `env` and `options` go to the command's process.
    """

    id: str
    arrange: Callable[[Project], object] = lambda _: None
    words: tuple[str, ...] = ("run", "double", "free")
    code: int = 0
    reason: str | None = None
    messages: int = 1
    env: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.id


@dataclass(frozen=True)
class Struck:
    """What came of it: the command, the newest record if any, and the last revision of each message."""

    done: CompletedProcess[str]
    record: dict[str, Any] | None
    messages: Mapping[str, dict[str, Any]]


def strike(project: Project, case: Hostile, *, secret: str = SECRET) -> Struck:
    """Run one case and check what holds for all of them; what is special to the case is for the caller to check."""
    with Ntfy() as server:
        notifying(project, server.url)
        case.arrange(project)
        env = {"DOUBLE_API_KEY": secret, **case.env}
        done = project(*case.words, timeout=LIMIT, env=env, **case.options)
        assert done.returncode == case.code, f"{done.stdout}\n{done.stderr}"
        assert "Traceback" not in (done.stderr or "")
        delivered = server.delivered("runs")
    assert len(delivered) == case.messages, sorted(delivered)
    assert all(len(revisions) == 1 for revisions in delivered.values()), "a message came twice"
    assert project.processes() == []
    record = project.record() if project.folders() else None
    if record is not None and case.words[0] == "run":
        assert record["reason"] == case.reason, record["error"]
    texts = {"stdout": done.stdout or "", "stderr": done.stderr or "", "messages": json.dumps(delivered)}
    found = leaks(project, secret, texts)
    assert found == [], found
    return Struck(done, record, {name: revisions[-1] for name, revisions in delivered.items()})


def forms(secret: str) -> dict[str, bytes]:
    """The secret as programs print it, each of which would give it away."""
    data = secret.encode()
    found = {
        "plain": data,
        "json": json.dumps(secret)[1:-1].encode(),
        "shell": shlex.quote(secret).encode(),
        "url": urllib.parse.quote(secret, safe="").encode(),
        "url +": urllib.parse.quote_plus(secret).encode(),
        "hex": data.hex().encode(),
        "HEX": data.hex().upper().encode(),
    }
    for name, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode)):
        for shift in range(3):
            # Without the characters that depend on what stands before and behind.
            whole = encode(b"\0" * shift + data).rstrip(b"=")
            found[f"{name} {shift}"] = whole[(shift * 8 + 5) // 6 : len(data) * 8 // 6]
    return {name: text for name, text in found.items() if text}


def leaks(project: Project, secret: str, texts: Mapping[str, str], *, logs: bool = True) -> list[str]:
    """Where one of the forms stands: in a file of logs/ or of the state, or in one of the texts.

    `logs` are the two files with what the agent printed.
    """
    places = {name: text.encode(errors="surrogateescape") for name, text in texts.items()}
    for folder in (project.root / "logs", project.home / ".local"):
        for path in folder.rglob("*"):
            printed = path.name in ("stdout.log", "transcript.log")
            if path.is_file() and not path.is_symlink() and (logs or not printed):
                places[str(path.relative_to(project.root.parent))] = path.read_bytes()
    wanted = forms(secret)
    return [f"{place}: {name}" for place, data in places.items() for name, text in wanted.items() if text in data]
