"""Why a rule gave nothing, in one sentence: the nearest miss. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from runner.errors import nearest
from runner.parsers.patterns import Pattern, problem_of
from runner.parsers.rules import FieldRule, Probe
from runner.parsers.scalars import collapsed, number
from runner.parsers.selectors import Condition
from runner.parsers.survey import Survey
from runner.parsers.tracks import Track, fits, fits_at_end
from runner.text import one_line

_NAMED = 5
_SHOWN = 60


def miss_of(track: Track, survey: Survey, wanted: Mapping[str, Any]) -> str:
    """`wanted` is the part of the rule's table that holds its `when` and `at`."""
    probe = track.rule.probe
    if track.passed_over:
        return f"fits {_count(track.passed_over, 'line')}, but a line with none of the `needles` is not read"
    if probe.file is not None and probe.file not in survey.lines:
        return f"the file `{probe.file}` is not there"
    if not track.tried:
        return _nothing_to_try(track, survey)
    if not track.fitted and probe.when.conditions and probe.where not in ("stdout", "stderr"):
        return _of_when(track)
    if track.fitted and not track.samples:
        return _of_paths(track, list(paths_of(wanted.get("at"))))
    return _of_pattern(track, survey)


def _of_prefix(track: Track, pattern: Pattern) -> str:
    said = f"no line of {_count(track.tried, 'line')} begins with it"
    inside = _how_many(pattern, [text for text, _ in track.samples])
    near = f"`{one_line(track.samples[0][0], _SHOWN)}`"
    return f"{said}; it stands further on in {_count(inside, 'line')}" if inside else f"{said}; the first is {near}"


def _nothing_to_try(track: Track, survey: Survey) -> str:
    probe = track.rule.probe
    source = "stdout" if probe.where == "event" else probe.where
    lines = survey.lines.get(probe.file or source)
    if lines is None or not lines.count - lines.blank:
        return f"{probe.file or source} is empty"
    if probe.where == "event":
        return f"there is no event: none of {_count(lines.count, 'line')} of stdout is a JSON object"
    text = "a pattern on stdout sees only lines that are not JSON, and there is none"
    hits = _how_many(probe.pattern, lines.samples)
    return f"{text}; it fits {_count(hits, 'line')} of JSON: look into them by `when` and `at`" if hits else text


def _of_when(track: Track) -> str:
    near, conditions = track.near, track.rule.probe.when.conditions
    condition = near.condition or conditions[0]
    others = [_shown(other) for other in conditions if other is not condition][: near.rank[0]]
    among = f"{_count(near.events, 'event')} with {', '.join(others)}" if others else _count(near.events, "event")
    path = condition.path.text
    if condition.exists is False or condition.negated:
        return f"{_shown(condition)}: all of {among} {_have(near.events)} it" + (
            f": {_some(near.values)}" if near.values else ""
        )
    if near.values:
        have = sum(near.values.values())
        whose = f" with {', '.join(others)}" if others else ""
        said = f"{_shown(condition)}: no such value; {_count(have, 'event')}{whose} {_have(have)} `{path}`"
        return f"{said}: {_some(near.values)}{_meant(condition, near.values)}"
    return f"{_shown(condition)}: none of {among} has `{path}`; {_nearest_path(path, near.paths)}"


def _meant(condition: Condition, values: Counter[str]) -> str:
    found = next((near for text in condition.texts if (near := nearest(text.lower(), values)) is not None), None)
    return f" (did you mean `{found}`?)" if found and len(values) > 1 else ""


def _of_paths(track: Track, paths: list[str]) -> str:
    path = paths[0] if paths else "at"
    whose = _count(track.fitted, "event")
    if len(paths) > 1 and track.paths:
        there = [one for one in paths if one in track.paths]
        missing = [one for one in paths if one not in track.paths]
        path = missing[0] if missing else path
        if there and not missing:
            return f"`{'`, `'.join(there)}` are there, but give no number"
    if path in track.paths:
        inner = [other for other in track.paths if other.startswith((f"{path}.", f"{path}["))]
        return f"`{path}` is a mapping or list, not a value; in it: {_listed(inner)}" if inner else f"`{path}` is empty"
    return f"fits {whose}, but none has `{path}`; {_nearest_path(path, track.paths)}"


def _nearest_path(path: str, paths: Counter[str]) -> str:
    """Say which path was meant: the same but for case, one that ends alike, a similar one; else what is there."""
    last = re.split(r"[.\]]", path.rstrip("]"))[-1]
    same = [other for other in paths if other.lower() == path.lower()]
    alike = sorted((other for other in paths if other.endswith((f".{path}", f".{last}")) or other == last), key=len)
    similar = nearest(path, paths)
    parents = [path[:at] for at in range(len(path) - 1, 0, -1) if path[at] in ".[" and path[:at] in paths]
    inside = [other for other in paths if parents and other.startswith((f"{parents[0]}.", f"{parents[0]}["))]
    meant = next(iter((*same, *alike)), None if parents else similar)
    if meant:
        return f"the nearest is `{meant}`"
    if parents:
        return (
            f"`{parents[0]}` is there, and has {_listed(inside)}" if inside else f"`{parents[0]}` is there, but empty"
        )
    top = [other for other in paths if "." not in other and "[" not in other]
    return f"they have {_listed(top)}" if top else "they are empty"


def _of_pattern(track: Track, survey: Survey) -> str:
    probe, pattern = track.rule.probe, track.rule.probe.pattern
    if pattern is None:
        return "found nothing"
    if track.rule.trail == ("prefix",):
        return _of_prefix(track, pattern)
    texts = [text for text, _ in track.samples]
    noun = "value" if track.fitted else "line"
    said = f"the pattern was tried on {_tried_on(track, noun)}"
    if track.rule.trail[0] not in ("fields", "watch") and pattern.spans and not track.fitted:
        return f"{said}; it speaks of line breaks, but sees one line at a time"
    advice = _advice(track, pattern, texts, noun)
    if advice:
        return f"{said}; {advice}"
    near = _elsewhere(pattern, probe, survey) or _nearest_text(pattern.source, track)
    return f"{said}; {near}" if near else said


def _elsewhere(pattern: Pattern, probe: Probe, survey: Survey) -> str | None:
    """Say where else it fits."""
    stdout = survey.lines["stdout"]
    if probe.where == "stdout" and stdout.events and (hits := _how_many(pattern, stdout.samples)):
        return f"it fits {_count(hits, 'line')} of JSON: look into them by `when` and `at`"
    for source, lines in survey.lines.items():
        if source not in (probe.where, probe.file) and (hits := _how_many(pattern, lines.samples)):
            return f"it fits {_count(hits, 'line')} of {source}"
    return None


def _tried_on(track: Track, noun: str) -> str:
    if track.fitted:
        return f"{_count(len(track.samples), noun)} and fits none"
    if track.spans:
        return f"{_count(track.tried, noun)}, each with those before it, and fits none"
    pattern = track.rule.probe.pattern
    if track.wholes and pattern is not None and pattern.spans:
        return f"the whole text, {_count(track.tried, noun)}, and fits nothing"
    return f"{_count(track.tried, noun)} and fits none"


def _advice(track: Track, pattern: Pattern, texts: list[str], noun: str) -> str | None:
    """Say how the pattern, or another that may have been meant, would fit."""
    for variant, advice in _variants(pattern.source):
        hits = sum(fits_at_end(variant, text) for text in texts) if track.spans else _how_many(variant, texts)
        if hits:
            return f"{_count(hits, noun)} would fit {advice}"
        if _how_many(variant, track.wholes):
            return f"the text would fit {advice}"
    if _how_many(pattern, track.formed):
        return "it would fit with `collapse: false`"
    return "it would fit with `collapse: true`" if _how_many(pattern, list(map(collapsed, track.formed))) else None


def _variants(source: str) -> Iterator[tuple[Pattern, str]]:
    """Yield what may have been meant."""
    candidates = (
        (f"(?i){source}", "if case did not count: begin it with `(?i)`"),
        (re.sub(r"^(\(\?[a-z]+\))?(?:\^|\\A)", lambda found: found[1] or "", source), "without `^` at its beginning"),
        (re.sub(r"(?:(?<!\\)\$|\\Z)$", "", source), "without `$` at its end"),
        (re.sub(r"^(\^|\\A)|(?<!\\)\$$", "", source), "without `^` and `$`"),
        (re.sub(r"( |\\t|\\n){2,}|\\t", " ", source), "with one blank: white space is collapsed before"),
        (re.escape(source), "as plain text: put `\\` before signs such as `( ) [ ] . * + ? |`"),
        (source.replace("\\\\", "\\"), "with single backslashes: without double quotes YAML needs no second one"),
    )
    for text, advice in candidates:
        variant = Pattern(text)
        if text != source and problem_of(variant) is None:
            yield variant, advice


def _how_many(pattern: Pattern | None, texts: list[str]) -> int:
    return sum(fits(pattern, text) for text in texts) if pattern else 0


def _nearest_text(source: str, track: Track) -> str | None:
    """Return the text that has most words of the pattern."""
    words = set(re.findall(r"[a-z]{3,}", source.lower()))
    best = max(
        track.samples, key=lambda sample: len(words & set(re.findall(r"[a-z]{3,}", sample[0].lower()))), default=None
    )
    if best is None or not words & set(re.findall(r"[a-z]{3,}", best[0].lower())):
        return None
    return f"the nearest, `{one_line(best[0], _SHOWN)}`"


def useless(track: Track) -> str:
    """Say why a rule that fitted gave no value."""
    if isinstance(track.rule, FieldRule):
        last = one_line(str(track.last), _SHOWN)
        if isinstance(track.last, dict | list) or number(track.last) is not None:
            return f"found {_count(track.hits, 'value')}, the last one `{last}`, and none counts"
        if track.rule.reset is not None:
            return f"found {_count(track.hits, 'value')}, and then `reset` came"
        return f"found `{last}`, which is no number"
    return f"fitted {_count(track.hits, 'time')}"


def paths_of(at: Any) -> Iterator[str]:
    if isinstance(at, str):
        yield at
    elif isinstance(at, list):
        for part in at:
            yield from paths_of(part)
    elif isinstance(at, dict):
        for part in at.values():
            yield from paths_of(part)


def _shown(condition: Condition) -> str:
    texts = sorted(condition.texts)
    if condition.exists is not None:
        value = f"{{exists: {'true' if condition.exists else 'false'}}}"
    else:
        value = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        value = f"{{not: {value}}}" if condition.negated else value
    return f"`{condition.path.text}: {value}`"


def _some(values: Counter[str]) -> str:
    return _listed([value for value, _ in values.most_common()], quote="")


def _listed(names: list[str], quote: str = "`") -> str:
    shown = ", ".join(f"{quote}{name}{quote}" for name in names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
