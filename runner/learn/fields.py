"""Where the fields of a reply stand in events: what fits the truth of all samples, else what has a fitting name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations

from runner.learn.paths import Selector, kind_of, kind_path, selectors
from runner.learn.sample import Output, Truth
from runner.learn.shapes import shapes
from runner.parsers.scalars import number
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    Rule: TypeAlias = dict[str, Any]
    Part: TypeAlias = frozenset[str]

INPUT = ("fresh", "cache_read", "cache_write")
OUTPUT = ("visible", "reasoning")
_MAX_SELECTORS = 3000
_FOLDS: dict[str, Callable[[list[float]], float]] = {"last": lambda values: values[-1], "sum": sum, "max": max}


@dataclass(frozen=True)
class Found:
    """A rule, and where its value was seen; `sure` when the scripted server said the same."""

    rule: Any
    seen: str
    sure: bool = True


def place(output: Output, line: int, source: str = "stdout") -> str:
    return f"{output.name}/{source}:{line}"


def fields_of(outputs: Sequence[Output]) -> dict[str, Found]:
    """Field → rule, for those that were found."""
    good = [output for output in outputs if output.sample.is_good and output.events]
    found = {
        "session_id": _session(outputs),
        "model": _model(good),
        "text": _text(good),
        "tool_calls": _tool_calls(good),
        **_usage(good),
    }
    found["cost_usd"] = _cost(good, found.get("usage.output_tokens"))
    return {name: rule for name, rule in found.items() if rule is not None}


def _truths(outputs: Iterable[Output]) -> list[Truth]:
    return [output.sample.truth for output in outputs if output.sample.truth is not None]


def _text(good: Sequence[Output]) -> Found | None:
    """By what the model said: the last text that is it, or all pieces of it from where they began."""
    told = [output for output in good if output.sample.truth is not None]
    if not told:
        return _by_name("text", good, lambda value: isinstance(value, str) and len(value) > 1)
    texts = [output.sample.truth.text for output in told if output.sample.truth]
    candidates = selectors(
        told, lambda _, value: isinstance(value, str) and value.strip() and any(value in text for text in texts)
    )
    best: tuple[tuple[int, int, int], Rule, Selector] | None = None
    for selector in candidates[:_MAX_SELECTORS]:
        values = [[str(value) for value, _ in selector.values(output)] for output in told]
        whole = sum(bool(found) and found[-1].strip() == text for found, text in zip(values, texts, strict=True))
        joined = sum("".join(found).strip() == text for found, text in zip(values, texts, strict=True))
        rank = shapes().rank("text", selector.at or "")
        # Of several that tell the same, the one that tells it once: the others are on the way there.
        merit = -(99 if rank is None else rank), -sum(map(len, values))
        for score, take in ((whole, "last"), (joined, "join")):
            if best is None or (score, *merit) > best[0]:
                best = (score, *merit), {**selector.rule(), "take": take}, selector
    if best is None or best[0][0] == 0:
        return _text_in_pieces(told, candidates)
    found = _seen(best[2], told, best[1])
    if best[0][0] < len(told) and (pieces := _text_in_pieces(told, candidates)):
        return pieces
    return found


def _text_in_pieces(told: Sequence[Output], candidates: Sequence[Selector]) -> Found | None:
    """`take: join` that begins again at some event, where that gives the text of every sample."""
    main = kind_path(told)
    kinds = {kind for output in told for event in output.events if (kind := kind_of(event.data, main))}
    for selector in candidates[:200]:
        for kind in sorted(kinds):
            if all(
                _joined(output, selector, main, kind) == (output.sample.truth.text if output.sample.truth else None)
                for output in told
            ):
                rule = {**selector.rule(), "take": "join", "reset": {"when": {main: kind}}}
                return _seen(selector, told, rule)
    return None


def _joined(output: Output, selector: Selector, main: str | None, reset: str) -> str:
    at_line = {id(event): str(value) for value, event in selector.values(output)}
    text = ""
    for event in output.events:
        if kind_of(event.data, main) == reset:
            text = ""
        text += at_line.get(id(event), "")
    return text.strip()


def _seen(selector: Selector, outputs: Sequence[Output], rule: Rule, *, sure: bool = True) -> Found:
    if rule.get("take") == "last":
        rule = {key: value for key, value in rule.items() if key != "take"}
    for output in outputs:
        values = selector.values(output)
        if values:
            return Found(rule, place(output, values[-1][1].line), sure)
    return Found(rule, "nowhere", sure=False)


def _by_name(field: str, outputs: Sequence[Output], fits: Callable[[Any], bool]) -> Found | None:
    """The best-named leaf: in the fewest conditions that give a value for each output."""
    candidates = selectors(outputs, lambda path, value: fits(value) and shapes().rank(field, path) is not None)
    ranked = sorted(candidates, key=lambda one: (_missing(one, outputs), shapes().rank(field, one.at or "")))
    return _seen(ranked[0], outputs, {**ranked[0].rule(), "take": "last"}, sure=False) if ranked else None


def _missing(selector: Selector, outputs: Sequence[Output]) -> int:
    return sum(not selector.values(output) for output in outputs)


def _session(outputs: Sequence[Output]) -> Found | None:
    """A name that one output keeps and no two share."""
    outputs = [output for output in outputs if output.events]
    candidates = selectors(
        outputs,
        lambda path, value: (
            isinstance(value, str) and len(value) >= 6 and shapes().rank("session_id", path) is not None
        ),
    )
    for selector in sorted(candidates, key=lambda one: (shapes().rank("session_id", one.at or ""), one.weight)):
        values = [{value for value, _ in selector.values(output)} for output in outputs]
        single = all(len(found) <= 1 for found in values) and any(values)
        known = [next(iter(found)) for found in values if found]
        if single and len(set(known)) == len(known) and len(known) >= (len(outputs) + 1) // 2:
            return _seen(selector, outputs, {**selector.rule(), "take": "first"})
    return None


def _model(good: Sequence[Output]) -> Found | None:
    asked = {truth.model for truth in _truths(good) if truth.model}
    wanted = {name for model in asked for name in (model, model.rpartition("/")[2])}
    candidates = selectors(
        good,
        lambda path, value: (
            isinstance(value, str)
            and value != ""
            and shapes().rank("model", path) is not None
            and (not wanted or value in wanted)
        ),
    )
    ranked = sorted(candidates, key=lambda one: (_missing(one, good), one.weight))
    return _seen(ranked[0], good, {**ranked[0].rule(), "take": "last"}, sure=bool(wanted)) if ranked else None


def _tool_calls(good: Sequence[Output]) -> Found | None:
    """An event, or a block in one, that comes as often as the model asked for a tool."""
    told = [output for output in good if output.sample.truth is not None]
    counts = [output.sample.truth.tool_calls for output in told if output.sample.truth]
    if not any(counts):
        return None
    words = shapes()
    main = kind_path(told)
    blocks = selectors(told, lambda path, value: words.has_word("tool", f"{path} {value}"))
    found: dict[Selector, None] = {}
    for selector in blocks:
        if any(words.has_word("tool", value) for _, value in selector.when):
            found[Selector(selector.when, None)] = None
        if "[?type=" in (selector.at or "") and words.has_word("tool", selector.at or "") and main:
            found[selector] = None
    fitting = [one for one in found if [len(one.values(output)) for output in told] == counts]
    fitting.sort(key=lambda one: (not words.has_word("tool_begins", f"{one.when} {one.at}"), one.weight))
    return _seen(fitting[0], told, {**fitting[0].rule(), "take": "count"}) if fitting else None


def _usage(good: Sequence[Output]) -> dict[str, Found | None]:
    told = [output for output in good if output.sample.truth is not None and output.sample.truth.tokens]
    if not told:
        names = [name for name in shapes().fields if name.startswith("usage.")]
        return {name: _by_name(name, good, lambda value: (number(value) or 0) > 0) for name in names}
    parts = _parts(told)
    return {
        "usage.input_tokens": _made_of(frozenset(INPUT), parts, told),
        "usage.output_tokens": _made_of(frozenset(OUTPUT), parts, told),
        "usage.cache_read_tokens": _made_of(frozenset(("cache_read",)), parts, told),
        "usage.cache_write_tokens": _made_of(frozenset(("cache_write",)), parts, told),
        "usage.reasoning_tokens": _made_of(frozenset(("reasoning",)), parts, told),
    }


def _parts(told: Sequence[Output]) -> dict[tuple[Part, str], list[Selector]]:
    """Which selectors give which part of the tokens, by part and fold, the best first."""
    amounts = {
        part: [sum(_amount(tokens, part) for tokens in truth.tokens) for truth in _truths(told)]
        for names in (INPUT, OUTPUT)
        for size in range(1, len(names) + 1)
        for part in map(frozenset, combinations(names, size))
    }
    singles = {amount for part in amounts for truth in _truths(told) for amount in _of_calls(truth, part)}
    totals = {amount for wanted in amounts.values() for amount in wanted} | singles
    found: dict[tuple[Part, str], list[Selector]] = {}
    for selector in selectors(told, lambda _, value: number(value) in totals)[:_MAX_SELECTORS]:
        values = [[number(value) or 0 for value, _ in selector.values(output)] for output in told]
        if not all(values):
            continue
        for take, fold in _FOLDS.items():
            folded = [fold(given) for given in values]
            for part, wanted in amounts.items():
                if folded == wanted:
                    found.setdefault((part, take), []).append(selector)
    return found


def _of_calls(truth: Truth, part: Part) -> list[int]:
    return [_amount(tokens, part) for tokens in truth.tokens]


def _amount(tokens: Any, part: Part) -> int:
    return sum(getattr(tokens, name) for name in part)


def _made_of(whole: Part, parts: Mapping[tuple[Part, str], Sequence[Selector]], told: Sequence[Output]) -> Found | None:
    """A field as one number, else as the sum of numbers that stand in the same event."""
    for take in _FOLDS:
        if direct := parts.get((whole, take)):
            return _seen(direct[0], told, {**direct[0].rule(), "take": take})
    pieces = [part for part, _ in parts if part < whole]
    for take in _FOLDS:
        for size in range(2, len(whole) + 1):
            for split in combinations(dict.fromkeys(pieces), size):
                if frozenset().union(*split) == whole and sum(map(len, split)) == len(whole):
                    rule = _sum_of([parts.get((part, take), ()) for part in split])
                    if rule is not None:
                        selector, paths = rule
                        given = {**selector.rule(), "at": {"sum": paths}, "take": take}
                        return _seen(selector, told, given)
    return None


def _sum_of(choices: Sequence[Sequence[Selector]]) -> tuple[Selector, list[str]] | None:
    """One selector of each choice, all on the same events."""
    for first in choices[0] if all(choices) else ():
        others = [next((one for one in choice if one.when == first.when), None) for choice in choices[1:]]
        if all(others):
            return first, [first.at or "", *(one.at or "" for one in others if one)]
    return None


def _cost(good: Sequence[Output], beside: Found | None) -> Found | None:
    """A cost that stands where the tokens stand, and folds as they do."""
    found = _by_name("cost_usd", good, lambda value: 0 < (number(value) or 0) < 1000)
    if found is None or beside is None:
        return found
    when, take = beside.rule.get("when"), beside.rule.get("take")
    candidates = selectors(
        good, lambda path, value: 0 < (number(value) or 0) < 1000 and shapes().rank("cost_usd", path) is not None
    )
    same = [one for one in candidates if one.rule().get("when") == when]
    same.sort(key=lambda one: (shapes().rank("cost_usd", one.at or ""), one.weight))
    return _seen(same[0], good, {**same[0].rule(), "take": take or "last"}, sure=False) if same else found
