"""Rules for a CLI that prints text: which part of it is the reply, and the lines that hold numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from runner.learn.faults import Faults, escaped
from runner.learn.fields import INPUT, OUTPUT, Found, place
from runner.learn.sample import Output, Truth, around
from runner.learn.shapes import shapes
from runner.parsers.scalars import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PARTS = {
    "usage.input_tokens": INPUT,
    "usage.output_tokens": OUTPUT,
    "usage.cache_read_tokens": ("cache_read",),
    "usage.reasoning_tokens": ("reasoning",),
}
_MAX_QUIET = 20
_ROUNDED = 0.06  # how far `1.5k` may be from what it stands for


def text_fields(outputs: Sequence[Output]) -> dict[str, Found]:
    good = [output for output in outputs if output.sample.is_good]
    found = {name: rule for name in shapes().lines if (rule := _line_field(name, good))}
    anchor = _anchor(good)
    return {**({"text": anchor} if anchor else {}), **found}


def strips(outputs: Sequence[Output]) -> tuple[Found, ...]:
    """Patterns for the lines around the reply: a banner, a count. One line of each form."""
    good = [output for output in outputs if output.sample.is_good and output.sample.truth]
    found: dict[str, Found] = {}
    for output in good:
        before, after = around(output)
        thoughts = output.sample.truth.thoughts if output.sample.truth else ()
        for line_number, line in (*before, *after):
            if line in thoughts:
                continue  # no two runs have the same
            found.setdefault(_form(line), Found(f"(?m)^{_form(line)}$\\n?", place(output, line_number)))
    return tuple(found.values())


def endings_in_text(outputs: Sequence[Output]) -> tuple[Found, ...]:
    """A line behind the reply that all good outputs have and no bad one: errors before it were overcome."""
    good = [output for output in outputs if output.sample.is_good and output.sample.truth]
    bad = [line for output in outputs if not output.sample.is_good for _, line in output.plain]
    after = [{_form(line): at for at, line in around(output)[1] if re.search(r"\w", line)} for output in good]
    for form, at in after[0].items() if len(good) > 1 else ():
        common = all(form in forms for forms in after)
        if common and not any(re.search(f"^{form}$", line) for line in bad):
            return (Found({"in": "stdout", "match": f"^{form}$"}, place(good[0], at)),)
    return ()


def quiet_lines(outputs: Sequence[Output], faults: Faults) -> tuple[Found, ...]:
    """What stands again and again between announced retries, and in no good output: the rest of the error."""
    waits, errors = (
        [found.rule["match"] for found in rules if found.rule["in"] == "stdout"]
        for rules in (faults.watch, faults.errors)
    )
    calm = [line for output in outputs if output.sample.is_good for _, line in output.plain]
    found: dict[str, Found] = {}
    for output in outputs:
        told = [at for at, (_, line) in enumerate(output.plain) if any(re.search(wait, line) for wait in waits)]
        between = output.plain[told[0] : told[-1]] if told and not output.sample.is_good else ()
        known = (*waits, *errors)
        forms = [(_form(line), at) for at, line in between if not any(re.search(rule, line) for rule in known)]
        often = Counter(form for form, _ in forms)
        for form, at in forms:
            if often[form] > 1 and not any(re.search(f"^{form}$", line) for line in calm):
                found.setdefault(form, Found(f"^{form}$", place(output, at)))
    return tuple(found.values())[:_MAX_QUIET]


def _form(line: str) -> str:
    """A line as a pattern: its numbers may be others, and a rule of dashes may be longer."""
    if re.fullmatch(r"(\W)\1{3,}", line):
        return f"{escaped(line[0])}{{4,}}"
    return r"[\d.,]+[km]?".join(map(escaped, re.split(r"\d(?:[\d.,]*\d)?[kKmM]?", line)))


def _anchor(good: Sequence[Output]) -> Found | None:
    """The heading of the reply, where thoughts stand before it, and the whole where there is none."""
    for output in good:
        before, after = around(output)
        thoughts = output.sample.truth.thoughts if output.sample.truth else ()
        at = next((at for at, (_, line) in enumerate(before) if line in thoughts), None)
        if at is None:
            continue
        heading = next(((number, line) for number, line in reversed(before[at + 1 :]) if re.search(r"\w", line)), None)
        if heading is None:
            continue
        end = f"(?=\\s*^{_form(after[0][1])}|\\s*\\Z)" if after else "\\s*\\Z"
        pattern = f"(?s)^{escaped(heading[1])}\\s+(?P<value>.*?){end}"
        rule: list[Any] = [{"in": "stdout", "match": pattern}, {"in": "stdout"}]
        return Found(rule, place(output, heading[0]))
    return None


def _line_field(field: str, good: Sequence[Output]) -> Found | None:
    for source in ("stderr", "stdout"):
        for pattern in shapes().lines[field]:
            hits = [(output, hit) for output in good for hit in _hits(output, source, pattern)]
            if hits and len({output.name for output, _ in hits}) * 2 > len(good):
                output, (line, value) = hits[0]
                sure = _is_true(field, value, output.sample.truth)
                if not sure and output.sample.truth:
                    continue  # a count of its own that is another than the service's
                return Found({"in": source, "match": pattern}, place(output, line, source), sure)
    return None


def _hits(output: Output, source: str, pattern: str) -> Iterator[tuple[int, str]]:
    for line_number, line in output.errors if source == "stderr" else output.plain:
        if found := re.search(pattern, line):
            yield line_number, found["value"]


def _is_true(field: str, value: str, truth: Truth | None) -> bool:
    """Whether a number is what the scripted server counted, as far as a rounded one can be."""
    if truth is None or field not in _PARTS:
        return field not in _PARTS
    wanted = sum(getattr(tokens, part) for tokens in truth.tokens for part in _PARTS[field])
    return bool(abs((number(value) or 0) - wanted) <= _ROUNDED * wanted)
