"""How the CLI tells what went wrong (in events, on stderr, in text, by its exit code), and that it tries again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from runner.learn.fields import Found, place
from runner.learn.paths import Selector, kind_of, kind_path, selectors
from runner.learn.sample import Output, around
from runner.learn.shapes import last_key, shapes
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ONE_LINE = 400
_BEGINNING = 10  # characters that are no chance


@dataclass(frozen=True)
class Faults:
    errors: tuple[Found, ...]
    watch: tuple[Found, ...]
    exit: Mapping[int, Found]


@dataclass(frozen=True)
class _Source:
    """Where an error text stands: `in` of a rule, and the texts of one output with their places."""

    given: Any
    texts: Mapping[str, tuple[str, str]]  # output → text, place


def faults_of(outputs: Sequence[Output]) -> Faults:
    bad = [output for output in outputs if _reason(output)]
    calm = [output for output in outputs if output.sample.is_good]
    return Faults((*_named(bad, calm), *_errors(bad, calm)), tuple(_watch(outputs)), _exits(outputs))


def _reason(output: Output) -> str | None:
    return output.sample.truth.reason if output.sample.truth else None


def _named(bad: Sequence[Output], calm: Sequence[Output]) -> Iterator[Found]:
    """Lines that begin with the name of an error, which stands for one class: no wording says it as well."""
    classes: dict[tuple[str, str], set[str | None]] = {}
    seen: dict[tuple[str, str], str] = {}
    for output in bad:
        for source, lines in _lines_of(output):
            for number, line in lines:
                if pattern := _beginning(line):
                    classes.setdefault((source, pattern), set()).add(_reason(output))
                    seen.setdefault((source, pattern), place(output, number, source))
    for (source, pattern), found in classes.items():
        if len(found) == 1 and not _matches(calm, source, pattern):
            yield Found({"in": source, "match": pattern, "class": next(iter(found))}, seen[source, pattern])


def _lines_of(output: Output) -> tuple[tuple[str, Sequence[tuple[int, str]]], ...]:
    return ("stderr", output.errors), ("stdout", output.plain)


def _matches(outputs: Sequence[Output], source: object, pattern: str) -> bool:
    """Whether a pattern fits a line of a text source that is not the reply: a reply may talk about errors."""
    found = (lines for output in outputs for name, lines in _lines_beside(output) if name == source)
    return any(re.search(pattern, line) for lines in found for _, line in lines)


def _lines_beside(output: Output) -> tuple[tuple[str, Sequence[tuple[int, str]]], ...]:
    before, after = around(output)
    return ("stderr", output.errors), ("stdout", [*before, *after])


def _errors(bad: Sequence[Output], calm: Sequence[Output]) -> Iterator[Found]:
    """For each source that is needed to explain all bad outputs, a rule for each class."""
    left = [output for output in bad if _reason(output) in shapes().classes]
    for source in sorted(_sources(left), key=lambda source: -len(source.texts)):
        covered = [output for output in left if output.name in source.texts]
        if not covered:
            continue
        left = [output for output in left if output not in covered]
        for name, shape in shapes().classes.items():
            if _matches(calm, source.given, shape.match):
                continue  # a banner or the reply has such words, too
            seen = next((source.texts[output.name][1] for output in covered if _reason(output) == name), None)
            given = {"in": source.given, "match": shape.pattern, "class": name}
            yield Found(given, seen or "", sure=seen is not None)
        if not left:
            return


def _sources(bad: Sequence[Output]) -> Iterator[_Source]:
    """Every place where the text of an error stands that names its class."""
    by_event: dict[Selector, dict[str, tuple[str, str]]] = {}
    for selector in selectors(bad, _is_error_text):
        for output in bad:
            for value, event in selector.values(output):
                if _tells(output, str(value)):
                    by_event.setdefault(selector, {})[output.name] = str(value), place(output, event.line)
    last = {one: max(event.line for output in bad for _, event in one.values(output)) for one in by_event}
    ranked = sorted(
        by_event, key=lambda one: (-len(by_event[one]), "[*]" in (one.at or ""), _rank(one), -last[one], one.weight)
    )
    for selector in ranked:
        yield _Source(_narrow(selector), by_event[selector])
    for name in ("stderr", "stdout"):
        texts = {
            output.name: (line, place(output, number, name))
            for output in bad
            for number, line in dict(_lines_of(output))[name]
            if _tells(output, line)
        }
        if texts:
            yield _Source(name, texts)


def _narrow(selector: Selector) -> Any:
    rule = selector.rule()
    return rule if "when" in rule else {"when": {rule["at"]: {"exists": True}}, **rule}


def _rank(selector: Selector) -> int:
    return shapes().errors.index(last_key(selector.at or ""))


def _is_error_text(path: str, value: object) -> bool:
    return isinstance(value, str) and len(value) > 2 and last_key(path) in shapes().errors


def _tells(output: Output, text: str) -> bool:
    """Whether a text names this output's class, and no other one before it."""
    for name, shape in shapes().classes.items():
        if shape.fits(text[:_ONE_LINE]):
            return name == _reason(output)
    return False


def _watch(outputs: Sequence[Output]) -> Iterator[Found]:
    """Events and lines that say that it will try again."""
    words = shapes()
    main = kind_path(outputs)
    seen: set[str] = set()
    for output in outputs:
        for event in output.events:
            kind = kind_of(event.data, main)
            if (
                main
                and kind
                and kind not in seen
                and words.has_word("retries", kind)
                and not words.has_word("ends", kind)
            ):
                seen.add(kind)
                yield from _retries(main, kind, outputs, place(output, event.line))
        for source, lines in _lines_of(output):
            told = [number for number, line in lines if words.has_word("retries_line", line)]
            # One line may be advice: `please retry later`.
            if len(told) > 1 and source not in seen and not output.sample.is_good:
                seen.add(source)
                retries = words.words["retries_line"].removeprefix("(?i)")
                given = {"in": source, "match": f"(?i){words.wait}|{retries}", "class": "retry"}
                yield Found(given, place(output, told[0], source))


def _retries(main: str, kind: str, outputs: Sequence[Output], seen: str) -> Iterator[Found]:
    """A rule for each class whose text the event holds, then one for all others."""
    when = ((main, kind),)
    texts = [one for one in selectors(outputs, _is_error_text) if one.when == when]
    if texts:
        best = min(texts, key=lambda one: (_rank(one), one.weight))
        for name in ("rate_limit", "overloaded"):
            given = {"when": {main: kind}, "at": best.at}
            yield Found({"in": given, "match": shapes().classes[name].pattern, "class": name}, seen)
    yield Found({"in": {"when": {main: kind}}, "class": "retry"}, seen)


def _exits(outputs: Sequence[Output]) -> dict[int, Found]:
    """Exit codes that stand for one class alone."""
    classes: dict[int, set[str | None]] = {}
    for output in outputs:
        code = output.sample.code
        if code is not None and 1 < code < 126:
            classes.setdefault(code, set()).add(_reason(output))
    return {
        code: Found(next(iter(found)), "the exit code")
        for code, found in classes.items()
        if len(found) == 1 and None not in found
    }


def alarms_in_text(outputs: Sequence[Output]) -> tuple[Found, ...]:
    """Beginnings of lines that only bad outputs have, for a CLI that ends with 0 all the same."""
    bad = [output for output in outputs if not output.sample.is_good]
    if all(output.sample.code for output in bad if output.sample.code is not None):
        return ()  # its exit code tells
    calm = [line for output in outputs if output.sample.is_good for _, line in (*output.plain, *output.errors)]
    named = {(found.rule["in"], found.rule["match"]) for found in _named(bad, [])}
    found: dict[str, Found] = {}
    for output in bad:
        for source, lines in _lines_of(output) if not output.sample.code else ():
            for number, line in lines:
                pattern = _beginning(line)
                if not pattern or any(re.match(pattern, other) for other in calm):
                    continue
                if _tells(output, line) or (source, pattern) in named:
                    found.setdefault(pattern, Found({"in": source, "match": pattern}, place(output, number, source)))
    return tuple(found.values())


def alarms_in_events(outputs: Sequence[Output]) -> tuple[Found, ...]:
    """A text with which all bad outputs begin and no good one, for a CLI that hands an error over as its reply."""
    bad = [output for output in outputs if _reason(output)]
    for selector in sorted(selectors(bad, _is_error_text), key=lambda one: (_rank(one), one.weight)):
        texts = [[str(value) for value, _ in selector.values(output)] for output in outputs]
        wrong = [found[-1] for output, found in zip(outputs, texts, strict=True) if output in bad and found]
        calm = [text for output, found in zip(outputs, texts, strict=True) if output.sample.is_good for text in found]
        beginning = _common_beginning(wrong) if len(wrong) == len(bad) > 1 else ""
        if len(beginning) >= _BEGINNING and calm and not any(text.startswith(beginning) for text in calm):
            rule = {"in": _narrow(selector), "match": f"^{escaped(beginning.rstrip())}"}
            event = selector.values(bad[0])[-1][1]
            return (Found(rule, place(bad[0], event.line)),)
    return ()


def _common_beginning(texts: Sequence[str]) -> str:
    least, most = min(texts), max(texts)
    same = next((at for at, pair in enumerate(zip(least, most, strict=False)) if pair[0] != pair[1]), len(least))
    return least[:same]


def escaped(text: str) -> str:
    """A pattern for just this text, as a person would write it."""
    return re.sub(r"([\\.^$*+?{}\[\]|()])", r"\\\1", text)


def _beginning(line: str) -> str | None:
    """A pattern for lines that begin with the same name of an error."""
    found = re.match(r"[\w.]*[A-Z]\w*(?:Error|Exception)\b:?", line)
    return f"^{escaped(found[0])}" if found else None
