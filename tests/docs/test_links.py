"""Links between the pages are relative and lead somewhere; every page is in the index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, code_spans, prose
from tests.helpers import ROOT

LINKS = [
    (page, target) for page, text in PAGES.items() for target in re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", prose(text))
]
LOCAL = [link for link in LINKS if not link[1].startswith("https://")]


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    return {anchor(heading) for heading in re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)}


@pytest.mark.parametrize(("page", "target"), LOCAL, ids=lambda value: value)
def test_link(page: str, target: str) -> None:
    path, _, part = target.partition("#")
    assert not path.startswith("/")
    there = (ROOT / page).parent / path if path else ROOT / page
    assert there.exists()
    if part:
        assert part in anchors(there.read_text())


def test_there_are_links_and_they_are_relative() -> None:
    assert len(LOCAL) > 30
    assert [link for link in LINKS if link not in LOCAL and "blob/" in link[1]] == []


def test_every_page_is_in_the_index_and_leads_back() -> None:
    pages = [Path(page).name for page in PAGES if page.startswith("docs/") and page != "docs/README.md"]
    index = PAGES["docs/README.md"]
    assert [page for page in pages if not re.search(rf"^- \[[^\]]+\]\({page}\): ", index, re.MULTILINE)] == []
    assert [page for page in pages if f"]({page})" not in index or "](README.md)" not in PAGES[f"docs/{page}"]] == []


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("Exit codes", "exit-codes"),
        ("`runner ps`, and `stop`", "runner-ps-and-stop"),
        ("How one is run", "how-one-is-run"),
    ],
)
def test_anchor(heading: str, name: str) -> None:
    assert anchor(heading) == name


@pytest.mark.parametrize("page", PAGES)
def test_every_path_of_this_repository_is_there(page: str) -> None:
    folders = "tests|runner|schema|docs|benchmarks|\\.ci"
    paths = [span for span in code_spans(PAGES[page]) if re.fullmatch(rf"({folders})/[a-z_./-]+", span)]
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_room_has_its_row() -> None:
    section = PAGES["docs/development.md"].partition("## The rooms")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)/` \|", section, re.MULTILINE)
    assert sorted(rows) == sorted(path.parent.name for path in (ROOT / "runner").glob("*/__init__.py"))


def test_readme_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 200
