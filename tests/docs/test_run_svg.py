"""The picture of a run in README is what a run prints, and the script that draws it gives the same bytes each time."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from tests.docs.pages import PAGES, same
from tests.helpers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers import Project

PICTURE = ROOT / "docs" / "run.svg"


def lines(svg: str) -> list[str]:
    texts = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(text.itertext()) for text in texts]


def test_the_script_draws_the_picture_of_today(stock_project: Project, tmp_path: Path) -> None:
    drawn = tmp_path / "run.svg"
    subprocess.run(
        [sys.executable, ROOT / "docs" / "make_run_svg.py", drawn], env=stock_project.environment(), check=True
    )
    assert drawn.read_text() == PICTURE.read_text(), "uv run python docs/make_run_svg.py draws it again"


def test_it_holds_what_a_real_run_prints(stock_project: Project) -> None:
    shown = [same(line) for line in lines(PICTURE.read_text())]
    commands = [line.removeprefix("$ runner ") for line in lines(PICTURE.read_text()) if line.startswith("$ runner ")]
    assert commands[0].startswith("run demo ")
    for command in commands:
        printed = [same(line) for line in stock_project(*command.split()).stdout.splitlines()]
        at = shown.index(f"$ runner {command}") + 1
        assert shown[at : at + len(printed)] == printed


def test_readme_shows_it() -> None:
    assert re.search(r"^!\[[^\]]+\]\(docs/run\.svg\)$", PAGES["README.md"], re.MULTILINE)
