"""What works, but not for long or not for everybody."""

from __future__ import annotations

import re
from typing import Any

from runner.errors import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.paths import Path
    from runner.config.value import Config
    from runner.model import JsonObject

_PROMPT = re.compile(r"\{\{-?\s*prompt\b(?!_)")
_PROMPT_OR_FILE = re.compile(r"\{[{%][^{}]*\bprompt(_file)?\b")


def agent_warnings(config: Config, name: str) -> Iterator[Problem]:
    agent, path = config.agents[name], ("agents", name)
    for at, item in enumerate(agent["argv"]):
        words = [((*path, "argv", at), item)] if isinstance(item, str) else _args(item, (*path, "argv", at, "args"))
        for where, word in words:
            if _PROMPT.search(word):
                hint = 'give it as `stdin: "{{ prompt }}"`, or name `{{ prompt_file }}`'
                message = "a prompt in argv is seen by every user of the machine, and fails above 128 KiB"
                yield _warning(config, where, message, hint)
    if not _hands_over(agent):
        hint = 'add `stdin: "{{ prompt }}"`'
        yield _warning(config, path, "nothing hands the prompt to this agent", hint, at_key=True)
    form = config.parser(agent["parser"])["format"]
    if agent.get("first_output") not in (None, "none") and form != "jsonl":
        where = (*path, "first_output")
        yield _warning(config, where, f"makes sense for jsonl parsers only, this one is `{form}`", None, at_key=True)


def _args(item: JsonObject, path: Path) -> list[tuple[Path, str]]:
    return [((*path, at), word) for at, word in enumerate(item["args"])]


def _hands_over(agent: JsonObject) -> bool:
    places = (agent["argv"], agent.get("stdin"), agent.get("files"), (agent.get("env") or {}).get("set"))
    return any(_PROMPT_OR_FILE.search(text) for text in _texts(list(places)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _warning(config: Config, path: Path, message: str, hint: str | None, *, at_key: bool = False) -> Problem:
    place = config.origin(*path) if at_key else config.locate(*path)
    return Problem(*place, message, config.show(*path), hint, "warning")
