"""Rules of a parser that can never do what they say, though each of their keys is right. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from runner.config.config import Config
from runner.config.display import Path
from runner.errors import Problem, did_you_mean
from runner.model import JsonObject
from runner.parsers import compile_parser
from runner.parsers.folds import FIELDS
from runner.parsers.unfired import unfired

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Found: TypeAlias = Iterator[tuple[Path, str, str | None]]

_TEXTS = ("stdout", "stderr")
_FOLDS_THAT_BEGIN_AGAIN = ("join", "list")
_STEP = re.compile(r'\["([^"]+)"\]|(\[[^\]]*\])|([^.\[\]]+)')


def senseless_rules(config: Config) -> Iterator[Problem]:
    """Yield what cannot work (errors), and what works in another way than it once did or for nobody (notes, warnings).

    A rule that is inherited is told where it is written.
    """
    for name, parser in config.parsers.items():
        path: Path = ("parsers", name)
        checks = ((_impossible, "error"), (_unused_fields, "warning"), (_changed, "note"))
        for check, severity in checks:
            for where, message, hint in check(parser):
                here = (*path, *where)
                place = config.locate(*here)
                if parser["format"] == "text" and where[-1] in ("when", "at") and _is_shared(config, here):
                    continue
                yield Problem(*place, message, config.show(*here), hint, severity)


def unfired_rules(
    config: Config, name: str, outputs: Sequence[tuple[bytes, bytes]], *, whole: bool = True
) -> Iterator[Problem]:
    """Note each rule of a parser, stock rules aside, that fits in none of these outputs (stdout, stderr).

    `whole`: these are all that there are.
    """
    parser = compile_parser(config.parser(name))
    for trail in unfired(parser, outputs) if outputs else ():
        path: Path = ("parsers", name, *trail)
        if trail != ("format",) and os.path.dirname(config.written_in(path)[0]) == config.project.root:
            noun = "recording" if len(outputs) == 1 else "recordings"
            message = f"this rule fired in none of {len(outputs)} {noun}{'' if whole else ' that were looked at'}"
            yield Problem(*config.locate(*path), message, config.show(*path), None, "note")


def _is_shared(config: Config, path: Path) -> bool:
    """Whether a rule of a text parser is one of a parser with events, too: then it is for that."""
    written = config.written_in(path)
    others = [name for name, parser in config.parsers.items() if parser["format"] != "text"]
    heirs = [("parsers", name, *path[2:]) for name in others if _has(config.parsers[name], path[2:])]
    return any(config.written_in(heir) == written for heir in heirs)


def _has(parser: Any, path: Path) -> bool:
    for step in path:
        if isinstance(step, int):
            if not isinstance(parser, list) or len(parser) <= step:
                return False
        elif not isinstance(parser, dict) or step not in parser:
            return False
        parser = parser[step]
    return True


def rules_of(parser: JsonObject) -> Iterator[tuple[Path, JsonObject]]:
    """Yield every rule with its path in the parser."""
    fields = parser.get("fields") or {}
    keys = [((key,), parser.get(key)) for key in ("success", "failure", "errors", "watch")]
    for path, given in [*keys, *((("fields", name), rules) for name, rules in fields.items())]:
        for at, rule in enumerate(given) if isinstance(given, list) else [(None, given)]:
            if isinstance(rule, dict):
                yield (path if at is None else (*path, at)), rule


def _impossible(parser: JsonObject) -> Found:
    for path, rule in rules_of(parser):
        source = rule.get("in")
        inner = source if isinstance(source, dict) else rule
        inside: Path = (*path, "in") if isinstance(source, dict) and ("when" in source or "at" in source) else path
        on_events = "when" in inner or "at" in inner
        if parser["format"] == "text" and on_events and "file" not in inner:
            key = "when" if "when" in inner else "at"
            yield (*inside, key), f"a text parser has no events, so `{key}` never fits", "use `in` and `match`"
        yield from _takes(path, rule, on_events=on_events)
        yield from _never(inside, inner.get("when") or {}, inner.get("at"))


def _takes(path: Path, rule: JsonObject, *, on_events: bool) -> Found:
    take, reset = rule.get("take", "last"), rule.get("reset")
    if take == "keys" and ("match" in rule or not on_events):
        message = "`take: keys` wants a mapping, and what a pattern finds is a text"
        yield (*path, "take"), message, "take `match` out, or take `list` or `join`"
    if not isinstance(reset, dict):
        return
    if path[0] == "fields":
        if take not in _FOLDS_THAT_BEGIN_AGAIN:
            hint = "`take: join` or `list` begins again at an event"
            yield (*path, "reset"), f"`take: {take}` gathers nothing that could begin again", hint
        elif not on_events:
            yield (*path, "reset"), "a text is read as a whole, so no event begins it again", "take `reset` out"
    elif not on_events:
        hint = "name a group of `match`: `(?P<seconds>...)`, `epoch`, `ms` or `clock`"
        yield (*path, "reset"), "`reset` reads an event, and here is only text", hint


def _never(path: Path, when: JsonObject, at: Any) -> Found:
    """Find conditions that exclude each other, and paths that lead into what a condition says is a plain value."""
    scalars: dict[tuple[str, ...], str] = {}
    for text, wanted in when.items():
        steps = _steps(text)
        yield from _index_of_member((*path, "when", text), text)
        if steps and _is_plain(wanted):
            scalars[steps] = text
    absent = {
        steps: text
        for text, wanted in when.items()
        if isinstance(wanted, dict) and wanted.get("exists") is False and (steps := _steps(text))
    }
    for text, wanted in when.items():
        if isinstance(wanted, dict) and (wanted.get("exists") is False or "not" in wanted):
            continue
        yield from _inside((*path, "when", text), text, scalars, absent)
    for where, text in _paths_of(at, (*path, "at")):
        yield from _inside(where, text, scalars, absent)
        yield from _index_of_member(where, text)


def _inside(where: Path, text: str, scalars: dict[tuple[str, ...], str], absent: dict[tuple[str, ...], str]) -> Found:
    steps = _steps(text, beginning=True)
    for length in range(1, len(steps) + 1):
        if length < len(steps) and steps[:length] in scalars:
            other = scalars[steps[:length]]
            yield where, f"`{text}` can never be there: `when` says that `{other}` is a plain value", None
        elif steps[:length] in absent:
            yield where, f"`{text}` can never be there: `when` says that `{absent[steps[:length]]}` is missing", None


def _index_of_member(where: Path, text: str) -> Found:
    found = re.search(r"(\[\?[^\]]*\])(\[-?\d+\])", text)
    if found:
        message = f"`{text}` can never be there: `{found[1]}` gives each member itself, which has no `{found[2]}`"
        yield where, message, f"leave `{found[2]}` out, and let `take` choose"


def _steps(text: str, *, beginning: bool = False) -> tuple[str, ...]:
    """Return a path's keys; of one with other steps those at its beginning, or none."""
    keys: list[str] = []
    for quoted, bracket, key in _STEP.findall(text):
        if bracket or key == "*":
            return (*keys, "*") if beginning else ()
        keys.append(quoted or key)
    return tuple(keys)


def _is_plain(wanted: Any) -> bool:
    values = wanted if isinstance(wanted, list) else [wanted]
    return bool(values) and all(isinstance(value, str | int | float) for value in values)


def _paths_of(at: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the paths of an expression; of alternatives, one that leads nowhere does no harm."""
    if isinstance(at, str):
        yield path, at
    elif isinstance(at, list) and len(at) == 1:
        yield from _paths_of(at[0], (*path, 0))


def _unused_fields(parser: JsonObject) -> Found:
    looked_at = {rule["field"] for _, rule in rules_of(parser) if "field" in rule}
    for name in parser.get("fields") or {}:
        if name not in (*FIELDS, *looked_at) and not did_you_mean(name, FIELDS):  # else it is a typing mistake
            message = f"nobody uses `{name}`: no `success` or `failure` looks at it, and it is no field of the reply"
            yield ("fields", name), message, f"add `{{field: {name}, is: ...}}` to one of them, or take it out"


def _changed(parser: JsonObject) -> Found:
    """Note the two defaults that are not what they were."""
    for path, rule in rules_of(parser):
        if path[:2] == ("fields", "text") and "match" in rule and "collapse" not in rule and _text_of(rule):
            yield path, "keeps blank lines and indentation, which once were collapsed", "`collapse: true` or `false`"
    signals = [(path, rule) for path, rule in rules_of(parser) if path[0] in ("success", "failure") and _text_of(rule)]
    good = {_text_of(rule) for path, rule in signals if path[0] == "success"}
    for path, rule in signals:
        if path[0] == "failure" and _text_of(rule) in good:
            message = (
                f"of success and failure patterns in {_text_of(rule)} the last decides; once a failing one always won"
            )
            yield path, message, "an `errors` rule with `fails: true` always does"


def _text_of(rule: JsonObject) -> str | None:
    """Return the text source that a rule reads."""
    source = rule.get("in")
    if isinstance(source, dict) and "file" in source and not {"when", "at"} & {*source, *rule}:
        return f"`{source['file']}`"
    return f"`{source}`" if source in _TEXTS else None
