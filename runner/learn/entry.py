"""The proposal as YAML with comments, and agents.yaml with it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence

from runner.errors import UsageError
from runner.learn.propose import Proposal
from runner.learn.record import Cli

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runner.model import JsonObject
    from runner.parsers.rules import Trail

_STEP = "  "
_MODEL = re.compile(r"\{\{-?\s*model\b")


def agent_entry(name: str, cli: Cli) -> JsonObject:
    """What the agent runs by, and how `runner doctor --deep` points it at the scripted server."""
    entry: dict[str, Any] = {"binary": cli.command[0], "argv": list(_argv(cli.command[1:]))}
    if not cli.has_prompt:
        entry["stdin"] = "{{ prompt }}"
    if cli.model is not None:
        entry["model"] = {"default": cli.model}
    if cli.env:
        entry["env"] = {"pass": sorted(cli.env)}
    entry["parser"] = name
    if cli.is_pointed:
        deep = {"model": cli.model, "env": dict(cli.env), "files": dict(cli.files)}
        entry["deep"] = {key: value for key, value in deep.items() if value}
    return entry


def _argv(words: Sequence[str]) -> Iterator[Any]:
    """A flag with the model behind it is given only when there is a model."""
    left = list(words)
    while left:
        word = left.pop(0)
        if word.startswith("-") and left and _MODEL.search(left[0]):
            yield {"when": "model", "args": [word, left.pop(0)]}
        elif _MODEL.search(word):
            yield {"when": "model", "args": [word]}
        else:
            yield word


def as_lines(name: str, value: Mapping[str, Any], notes: Mapping[Trail, str] | None = None) -> list[str]:
    """Lines of YAML for one entry: each key and each rule on one line, with where it was seen as a comment."""
    return [f"{name}:", *(_STEP + line for line in _below(value, (), notes or {}))]


def _below(value: Mapping[Any, Any], trail: Trail, notes: Mapping[Any, str]) -> Iterator[str]:
    for key, item in value.items():
        here = (*trail, key)
        is_rule = "when" in item or "at" in item or "in" in item if isinstance(item, dict) else False
        if isinstance(item, dict) and item and not is_rule and here not in notes:
            yield f"{_flow(key)}:"
            yield from (_STEP + line for line in _below(item, here, notes))
        elif isinstance(item, list) and any(isinstance(one, dict) for one in item) and here not in notes:
            yield f"{_flow(key)}:"
            for at, one in enumerate(item):
                yield f"{_STEP}- {_flow(one)}{_note(notes, (*here, at))}"
        elif isinstance(item, str) and "\n" in item:
            yield f"{_flow(key)}: |"
            yield from (_STEP + line for line in item.rstrip("\n").split("\n"))
        else:
            yield f"{_flow(key)}: {_flow(item)}{_note(notes, here)}"


def _note(notes: Mapping[Any, str], trail: Trail) -> str:
    return f" # {notes[trail]}" if trail in notes else ""


def _flow(value: Any) -> str:
    # Heavy, and no run needs it.
    import yaml  # noqa: PLC0415

    text: str = yaml.safe_dump(value, default_flow_style=True, width=10**9, sort_keys=False, allow_unicode=True)
    return text.removesuffix("...\n").rstrip("\n") if not text.endswith("\n...\n") else text[: -len("\n...\n")]


def parser_lines(name: str, proposal: Proposal) -> list[str]:
    return as_lines(name, proposal.parser, proposal.notes)


def with_entry(text: str, name: str, agent: Sequence[str], parser: Sequence[str]) -> str:
    """The text of agents.yaml with one more agent and parser. Raises UsageError where there is no place for it."""
    # Heavy, and no run needs it.
    import yaml  # noqa: PLC0415

    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise UsageError(f"agents.yaml is not YAML: {str(error).splitlines()[0]}", hint="`runner validate`") from None
    for section, lines in (("agents", agent), ("parsers", parser)):
        there = found.get(section) if isinstance(found, dict) else None
        if isinstance(there, dict) and name in there:
            raise UsageError(f"agents.yaml has `{section}.{name}` already", hint="learn it under another name")
        text = _inserted(text, section, lines)
    return text


def _inserted(text: str, section: str, lines: Sequence[str]) -> str:
    """With `lines` at the end of a section, in the section's own indentation."""
    there = text.split("\n")
    start = next((at for at, line in enumerate(there) if re.match(rf"{section}\s*:", line)), None)
    if start is None:
        gap = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{gap}{section}:\n" + "".join(f"{_STEP}{line}\n" for line in lines)
    if re.sub(r"\s*(#.*)?$", "", there[start].partition(":")[2]):
        raise UsageError(f"agents.yaml: `{section}` is written on one line", hint="give each entry a line of its own")
    end = next((at for at in range(start + 1, len(there)) if re.match(r"[^\s#]", there[at])), len(there))
    while end > start + 1 and (not there[end - 1].strip() or there[end - 1].startswith("#")):
        end -= 1
    first = next((line for line in there[start + 1 : end] if line.strip() and not line.lstrip().startswith("#")), _STEP)
    indent = first[: len(first) - len(first.lstrip())] or _STEP
    return "\n".join([*there[:end], *(indent + line for line in lines), *there[end:]])


def patch(path: str, before: str, after: str) -> str:
    """A unified diff that `patch` and `git apply` take."""
    # Only learn needs it.
    from difflib import unified_diff  # noqa: PLC0415

    name = os.path.basename(path)
    old = f"a/{name}" if before else "/dev/null"
    return "".join(unified_diff(before.splitlines(True), after.splitlines(True), old, f"b/{name}"))
