"""Characters that act, hide or reorder, in places that look harmless: nothing that the runner prints, sends or names
holds one."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import TYPE_CHECKING

import pytest

from runner.text import for_a_stream, json_text, one_line, printable
from tests.hostile.strike import Hostile, strike

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.helpers import Project

ACTING = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
# Letters and marks that show nothing: Unicode calls them ignorable by default.
FILLERS = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0" + "".join(
    map(chr, (*range(0xFE00, 0xFE0E), *range(0xE0100, 0xE01F0)))
)
EMOJI_FORMS = "\ufe0e\ufe0f"


def acts(character: str) -> bool:
    if character in "\t\n":
        return False
    return unicodedata.category(character) in ACTING or character in FILLERS


@pytest.mark.parametrize("clean", [printable, for_a_stream], ids=lambda function: function.__name__)
def test_every_character(clean: Callable[[str], str]) -> None:
    every = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) != "Cn"]
    wrong = [hex(ord(one)) for one in every if (clean(f"a{one}b") != f"a{one}b") != acts(one)]
    assert wrong == []


def test_json_says_the_same_without_them() -> None:
    text = "".join(chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)
    shown = json_text({"text": text}, 2)
    assert json.loads(shown) == {"text": text}
    assert [one for one in shown if acts(one)] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\r\x1b[Ka line\x1b[31mfail\x1b[0m", "\r\x1b[Ka line\x1b[31mfail\x1b[0m"),
        ("a\rb", "a\ufffdb"),
        ("\x1b[8mhidden\x1b[0m", "\ufffd[8mhidden\x1b[0m"),
        ("\r\x1b[K\x1b]0;title\x07", "\r\x1b[K\ufffd]0;title\ufffd"),
    ],
)
def test_the_streams_keep_the_runners_own_sequences_alone(text: str, expected: str) -> None:
    assert for_a_stream(text) == expected


def test_ascii_is_quick() -> None:
    import time

    text = "a line of a log, as they come\n" * 100_000
    began = time.process_time()
    assert one_line(text) and printable(text) == text
    assert time.process_time() - began < 0.5


HIDDEN = {
    "arabic_letter_mark": "\u061c",
    "soft_hyphen": "\xad",
    "mongolian_vowel_separator": "\u180e",
    "mongolian_selector": "\u180b",
    "hangul_filler": "\u115f",
    "hangul_letter_filler": "\u3164",
    "halfwidth_filler": "\uffa0",
    "khmer_vowel": "\u17b4",
    "grapheme_joiner": "\u034f",
    "tags": "".join(chr(0xE0000 + ord(letter)) for letter in "ignore all"),
    "selectors": "\U000e0100\ufe00",
    "override": "\u202egnp.exe\u202c",
    "isolates": "\u2066x\u2069",
    "zero_width": "\u200b\u200c\u200d\u2060\ufeff",
    "separators": "\u2028\u2029",
    "private": "\ue000\U000f0000\U0010fffd",
    "annotation": "\ufff9a\ufffab\ufffb",
    "egyptian_join": "\U00013430",
    "music": "\U0001d173",
    "shorthand": "\U0001bca0",
    "kaithi": "\U000110bd",
    "c1": "\x9b31m\x9d0;t\x9c",
    "escape": "\x1b]0;owned\x07\x1b[2J",
    "syriac": "\u070f\u0600\u06dd\u08e2",
}
AGENT = """\
  liar:
    binary: /bin/sh
    argv: [-c, 'cat "$HOME/said"; cp "$HOME/said" "$(cat "$HOME/name")"; git add -A; git commit -qF "$HOME/subject"']
    parser: lies
"""
PARSER = """\
  lies:
    format: jsonl
    success: {when: {type: result}}
    fields:
      text: {when: {type: result}, at: result, take: last}
      session_id: {at: session_id, take: first}
      model: {at: model, take: first}
"""


@pytest.mark.parametrize("name", HIDDEN)
def test_in_every_place_that_an_agent_writes(project: Project, name: str) -> None:
    hidden = HIDDEN[name]

    def arrange(project: Project) -> None:
        text = (project.root / "agents.yaml").read_text()
        project.write("agents.yaml", text.replace("parsers:\n", f"{AGENT}parsers:\n{PARSER}"))
        said = {"type": "result", "result": f"done {hidden}.", "session_id": f"s{hidden}1", "model": f"m{hidden}2"}
        (project.home / "said").write_text(json.dumps(said, ensure_ascii=False) + "\n")
        (project.home / "name").write_text(f"file{hidden}name".replace("/", "-"))
        (project.home / "subject").write_text(f"sub{hidden}ject\n")

    done = strike(project, Hostile(name, arrange, ("run", "liar", "must_commit")))
    printed = {"run": done.done.stdout + done.done.stderr, "message": json.dumps(done.messages, ensure_ascii=False)}
    run_id = project.folders()[-1].name
    for words in ("runs", "runs --json", "show last", "show last --json", "why last", "logs last", "stats --by model"):
        printed[words] = project(*words.split()).stdout
    printed["file names"] = "\n".join(map(str, (project.root / "logs").rglob("*")))
    assert done.record is not None
    assert len(done.record["commits"]) == 1
    assert run_id in printed["runs"]
    assert {place: found for place, text in printed.items() if (found := [one for one in text if acts(one)])} == {}
