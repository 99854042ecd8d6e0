"""The proposal as YAML with comments, and agents.yaml with it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff

import yaml

from runner.errors import UsageError
from runner.learn.propose import Proposal
from runner.learn.record import Cli

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runner.model import JsonObject
    from runner.parsers.rules import Trail

_SECTIONS = ("agents", "parsers")
_STEP = "  "
_LIKE_A_NUMBER = re.compile(r"[-+]?\.?\d[\w.:+-]*")
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
    return [f"{_flow(name)}:", *(_STEP + line for line in _below(value, (), notes or {}))]


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
    class Dumper(yaml.SafeDumper):
        """Quotes what another reader of YAML takes for a number, and keeps line breaks on one line."""

    def text_of(dumper: yaml.SafeDumper, text: str) -> Any:
        style = '"' if "\n" in text else "'" if _LIKE_A_NUMBER.fullmatch(text) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)

    Dumper.add_representer(str, text_of)
    text = yaml.dump(value, Dumper=Dumper, default_flow_style=True, width=10**9, sort_keys=False, allow_unicode=True)
    return str(text).removesuffix("...\n").rstrip("\n")


def parser_lines(name: str, proposal: Proposal) -> list[str]:
    return as_lines(name, proposal.parser, proposal.notes)


def with_entry(text: str, name: str, agent: Sequence[str], parser: Sequence[str]) -> str:
    """The text of agents.yaml with one more agent and parser. Raises UsageError where there is no place for it."""
    found = _loaded(text)
    if not isinstance(found, dict):
        raise UsageError("agents.yaml is no mapping", hint="`runner validate`")
    after = text
    for section, lines in (("agents", agent), ("parsers", parser)):
        if name in map(str, _entries(found, section)):
            raise UsageError(f"agents.yaml has `{section}.{name}` already", hint="learn it under another name")
        after = _inserted(after, section, lines)
    if not _adds_only(found, after, name):
        hint = "write `agents` and `parsers` with an entry a line, and comments behind `#`"
        raise UsageError("agents.yaml has no place where an entry would leave the rest as it is", hint=hint)
    return after


def check_place(text: str, name: str) -> None:
    """Whether there is a place for the entry, before anything is run. Raises UsageError."""
    nothing = [f"{_flow(name)}: {{}}"]
    with_entry(text, name, nothing, nothing)


def _loaded(text: str) -> Any:
    try:
        return yaml.safe_load(text) or {}
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        said = next(iter(str(error).splitlines()), "too deep")
        raise UsageError(f"agents.yaml is not YAML: {said}", hint="`runner validate`") from None


def _adds_only(before: Mapping[Any, Any], after: str, name: str) -> bool:
    """Whether the text holds the new entries, and all else as it was."""
    try:
        found = _loaded(after)
    except UsageError:
        return False
    return (
        isinstance(found, dict)
        and all(name in _entries(found, section) for section in _SECTIONS)
        and (_rest(found, name) == _rest(before, name))
    )


def _rest(found: Mapping[Any, Any], name: str) -> dict[Any, Any]:
    others = {
        section: {key: value for key, value in _entries(found, section).items() if key != name} for section in _SECTIONS
    }
    return {**found, **others}


def _entries(found: Mapping[Any, Any], section: str) -> Mapping[Any, Any]:
    there = found.get(section)
    return there if isinstance(there, dict) else {}


def _inserted(text: str, section: str, lines: Sequence[str]) -> str:
    """With `lines` at the end of a section, in the section's own indentation and the file's line ends."""
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    there = text.split(end_of_line)
    start = next((at for at, line in enumerate(there) if re.match(rf"\ufeff?{section}\s*:", line)), None)
    if start is None:
        there = there if there[-1] else there[:-1]
        return end_of_line.join([*there, f"{section}:", *(_STEP + line for line in lines), ""])
    value = re.sub(r"\s*(#.*)?$", "", there[start].partition(":")[2]).strip()
    if value == "{}":
        there[start] = there[start].replace("{}", "", 1).rstrip()
    elif re.sub(r"[&!]\S*\s*", "", value):
        raise UsageError(f"agents.yaml: `{section}` is written on one line", hint="give each entry a line of its own")
    end = next((at for at in range(start + 1, len(there)) if re.match(r"[^\s#]", there[at])), len(there))
    while end > start + 1 and (not there[end - 1].strip() or there[end - 1].startswith("#")):
        end -= 1
    first = next((line for line in there[start + 1 : end] if line.strip() and not line.lstrip().startswith("#")), _STEP)
    indent = first[: len(first) - len(first.lstrip())] or _STEP
    rest = there[end:] or [""]
    return end_of_line.join([*there[:end], *(indent + line for line in lines), *rest])


def patch(path: str, before: str, after: str) -> str:
    """A unified diff that `patch` and `git apply` take."""
    name = os.path.basename(path)
    old = f"a/{name}" if before else "/dev/null"
    lines = unified_diff(_lines(before), _lines(after), old, f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)
