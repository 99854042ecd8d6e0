"""Rules for a CLI that prints text: which part of it is the reply, and the lines that hold numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from runner.learn.faults import escaped
from runner.learn.fields import INPUT, OUTPUT, Found, place
from runner.learn.sample import Output, Truth
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
        before, after = _around(output)
        for line_number, line in (*before, *after):
            found.setdefault(_form(line), Found(f"(?m)^{_form(line)}$\\n?", place(output, line_number)))
    return tuple(found.values())


def _form(line: str) -> str:
    """A line as a pattern: its numbers may be others, and a rule of dashes may be longer."""
    if re.fullmatch(r"(\W)\1{3,}", line):
        return f"{escaped(line[0])}{{4,}}"
    return re.sub(r"\d(?:[\d.,]*\d)?[kKmM]?", r"[\\d.,]+[km]?", escaped(line))


def _around(output: Output) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """The lines before and after the reply; none where it is not there as a whole."""
    truth = output.sample.truth
    wanted = [line.strip() for line in truth.text.splitlines() if line.strip()] if truth else []
    lines = list(output.plain)
    for at in range(len(lines) - len(wanted), -1, -1):
        if wanted and [line for _, line in lines[at : at + len(wanted)]] == wanted:
            return lines[:at], lines[at + len(wanted) :]
    return [], []


def _anchor(good: Sequence[Output]) -> Found | None:
    """A heading right before the reply in all outputs, where thoughts or steps stand before it."""
    told = [output for output in good if output.sample.truth and output.sample.truth.text]
    around = [_around(output) for output in told]
    if not told or not all(before for before, _ in around):
        return None
    heading = next((line for _, line in reversed(around[0][0]) if re.search(r"\w", line)), None)
    if heading is None or not all(heading in [line for _, line in before[-3:]] for before, _ in around):
        return None
    ends = {_form(after[0][1]) for _, after in around if after}
    end = f"(?=\\s*^(?:{'|'.join(sorted(ends))})|\\s*\\Z)" if ends else "\\s*\\Z"
    pattern = f"(?s)^{escaped(heading)}\\s+(?P<value>.*?){end}"
    rule: list[Any] = [{"in": "stdout", "match": pattern}, {"in": "stdout"}]
    return Found(rule, place(told[0], around[0][0][-1][0]))


def _line_field(field: str, good: Sequence[Output]) -> Found | None:
    for source in ("stderr", "stdout"):
        for pattern in shapes().lines[field]:
            hits = [(output, hit) for output in good for hit in _hits(output, source, pattern)]
            if hits and len({output.name for output, _ in hits}) * 2 > len(good):
                output, (line, value) = hits[0]
                sure = _is_true(field, value, output.sample.truth)
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
