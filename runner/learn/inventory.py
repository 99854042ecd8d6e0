"""What there is in the samples, for a person who reads: kinds of events, and values that look like fields."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from runner.learn.fields import place
from runner.learn.paths import kind_of, kind_path, leaves
from runner.learn.sample import Form, Output
from runner.learn.shapes import last_key, shapes
from runner.text import one_line

_VALUE = 60  # characters shown
_PATHS = 6  # of one field


def inventory(outputs: Sequence[Output], form: Form) -> Iterator[str]:
    """Yield lines of text."""
    yield f"output: {form}"
    for output in outputs:
        yield from _of_output(output)
    if form != "text":
        yield from _kinds(outputs)
    yield from _values(outputs)


def _of_output(output: Output) -> Iterator[str]:
    sample = output.sample
    ended = "time was up" if sample.code is None else f"exit code {sample.code}"
    counts = f"{len(output.events)} events, {len(output.plain)} other lines, {len(output.errors)} lines on stderr"
    yield f"{sample.name}: {ended}, {sample.seconds:.1f} s, {counts}"
    for path in sorted(sample.written or ()):
        yield f"  wrote {one_line(path, _VALUE)}"


def _kinds(outputs: Sequence[Output]) -> Iterator[str]:
    main = kind_path(outputs)
    if main is None:
        yield "events: no key tells their kinds apart"
        return
    counts = Counter(kind_of(event.data, main) or "(none)" for output in outputs for event in output.events)
    first = Counter(kind_of(output.events[0].data, main) for output in outputs if output.events)
    last = Counter(kind_of(output.events[-1].data, main) for output in outputs if output.events)
    yield f"events by `{main}`:"
    for kind, count in counts.most_common():
        places = [f"{word} in {found[kind]}" for word, found in (("first", first), ("last", last)) if found[kind]]
        yield f"  {one_line(kind, _VALUE)}: {count}{''.join(f', {one}' for one in places)}"


def _values(outputs: Sequence[Output]) -> Iterator[str]:
    """Paths that look like a field, the likeliest first, each with a value and where it stands."""
    for field in (*shapes().fields, "error"):
        found: dict[str, tuple[str, str]] = {}
        for output in outputs:
            for event in output.events:
                for path, value in leaves(event.data):
                    if _looks_like(field, path, value) and path not in found:
                        found[path] = one_line(str(value), _VALUE), place(output, event.line)
        ranked = sorted(found, key=lambda path: (_rank(field, path), len(path)))
        if ranked:
            yield f"looks like {field}:"
            yield from (f"  {path}: {found[path][0]}  ({found[path][1]})" for path in ranked[:_PATHS])


def _looks_like(field: str, path: str, value: object) -> bool:
    if field == "error":
        return last_key(path) in shapes().errors and shapes().has_word("fails", path) and value != ""
    wants_text = field in ("text", "session_id", "model")
    return shapes().rank(field, path) is not None and isinstance(value, str) == wants_text and value not in ("", 0)


def _rank(field: str, path: str) -> int:
    return shapes().errors.index(last_key(path)) if field == "error" else shapes().rank(field, path) or 0
