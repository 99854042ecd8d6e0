"""`runner doctor --deep` on the pinned CLIs: as they are, and behind a wrapper script that alters what they print."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.helpers import ROOT
from tests.real.clis import CLIS, MODULES
from tests.real.rig import home_untouched, living_of

if TYPE_CHECKING:
    from tests.helpers import Project

pytestmark = pytest.mark.real

STOCK = yaml.safe_load((ROOT / "agents.yaml").read_text())["agents"]
POINTED = [name for name, cli in CLIS.items() if "deep" in STOCK[cli.agent]]


def deep(project: Project, cli: str, alter: str | None = None) -> tuple[int, list[dict[str, Any]]]:
    """The exit code, and the checks of the trial."""
    agent, binary = CLIS[cli].agent, CLIS[cli].path
    if alter is not None:
        wrapper = project.home / "wrapper"
        wrapper.write_text(f'#!/bin/sh\n"{binary}" "$@" | {alter}\n')
        wrapper.chmod(0o755)
        binary = str(wrapper)
    env = {f"RUNNER_{agent.upper()}_BIN": binary, "PATH": f"{MODULES}/.bin{os.pathsep}{os.environ['PATH']}"}
    with home_untouched():
        done = project("doctor", agent, "--deep", "--json", env=env, timeout=240)
    (patient,) = json.loads(done.stdout)["agents"]
    assert patient["version"]
    assert living_of(project) == []
    return done.returncode, [check for check in patient["checks"] if check["name"] == "deep"]


@pytest.mark.parametrize("cli", POINTED)
def test_a_pinned_version_fits_its_parser(stock_project: Project, cli: str) -> None:
    code, (check,) = deep(stock_project, cli)
    assert (code, check["level"]) == (0, "ok"), check
    assert check["found"] == "its output fits the parser: 1,521 in (256 cached), 49 out"


@pytest.mark.parametrize(
    ("alter", "field"),
    [
        ("""sed 's/"result":"/"answer":"/'""", "text"),
        ("""sed 's/"session_id":/"session":/g'""", "session_id"),
        ("""sed 's/"inputTokens":/"tokensIn":/; s/"input_tokens":/"tokens_in":/g'""", "usage.input_tokens"),
        ("""sed 's/"type":"result"/"type":"final"/'""", "terminal event"),
    ],
)
def test_an_altered_output_names_the_field(stock_project: Project, alter: str, field: str) -> None:
    code, (head, *told) = deep(stock_project, "claude", alter)
    assert (code, head["found"]) == (1, "this version changed its contract")
    assert field in [check["field"] for check in told]
