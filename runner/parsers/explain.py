"""What every rule of a parser did, in order of the table, and which of them decided. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.model import Evidence, Outcome, Reply, Verdict
from runner.parsers.folds import FIELDS, LIMITS
from runner.parsers.near_misses import miss_of, useless
from runner.parsers.patterns import Pattern
from runner.parsers.rules import FieldRule, Trail
from runner.parsers.survey import Survey
from runner.parsers.tracks import Place, Track, fits
from runner.text import one_line
from runner.values import dataclass

Origins = list[tuple[Trail, str, Evidence | None]]

_FEW = 3
_OF_LINES: dict[str | int, str] = {"quiet": "no progress", "prefix": "taken off"}


@dataclass(frozen=True)
class Told:
    """One rule. `state` is `gave` (then `value` says what), `fitted` (without a part in the reply) or `missed`.

    `place` is the line that shows it; `why` is for what is not `gave`; `decided`: the verdict follows from it.
    """

    trail: Trail
    state: str
    value: str | None = None
    place: Place | None = None
    times: int = 0
    why: str | None = None
    decided: bool = False


@dataclass(frozen=True)
class Judgement:
    """What is to be explained: the reply, the verdict on it, and what the reader says of where values came from."""

    reply: Reply
    verdict: Verdict
    outcome: Outcome
    origins: Origins


@dataclass(frozen=True)
class Explanation:
    """`lines` say how many lines there were, source by source; `decision` what decided."""

    rules: tuple[Told, ...]
    lines: tuple[str, ...]
    decision: str


def explain(table: Mapping[str, Any], survey: Survey, judgement: Judgement) -> Explanation:
    """`table` is the parser's; the survey has seen what the reader saw."""
    deciding, decision = _decision(survey, judgement)
    tracks = {track.rule.trail: track for track in survey.tracks}
    given = {trail: (value, evidence) for trail, value, evidence in judgement.origins}
    told = []
    for trail in trails_of(table, tracks):
        if trail in tracks:
            one = _of_rule(tracks[trail], survey, given, _part(table, trail))
        elif trail[0] == "exit":
            one = _of_exit(trail, judgement)
        else:
            one = _of_strip(trail, table, given)
        told.append(_marked(one) if trail in deciding else one)
    return Explanation(tuple(told), tuple(_lines(survey, table)), decision)


def _marked(told: Told) -> Told:
    return Told(**{**vars(told), "decided": True})


def trails_of(table: Mapping[str, Any], tracks: Mapping[Trail, Track]) -> Iterator[Trail]:
    """Yield the rules in order of the table."""
    for key in table:
        if key == "exit":
            yield from (("exit", str(code)) for code in table["exit"])
        elif key == "strip":
            yield from (("strip", at) for at in range(len(table["strip"])))
        else:
            yield from (trail for trail in tracks if trail[0] == key)


def _part(table: Mapping[str, Any], trail: Trail) -> Mapping[str, Any]:
    """Return the mapping of a rule that holds its `when` and `at`."""
    rule: Any = table
    for step in trail:
        rule = rule[step]
    if not isinstance(rule, dict):  # the whole output as the reply, by `format` alone
        return {}
    source = rule.get("in")
    return source if isinstance(source, dict) and ("when" in source or "at" in source) else rule


def _of_rule(track: Track, survey: Survey, given: Mapping[Trail, Any], part: Mapping[str, Any]) -> Told:
    trail = track.rule.trail
    if trail in given:
        value, evidence = given[trail]
        shadow = _shadow(trail, given)
        place = _place_of(track, evidence)
        if isinstance(track.rule, FieldRule) and track.rule.name in LIMITS and FIELDS[track.rule.name](value) is None:
            return Told(trail, "fitted", None, place, track.hits, f"found `{one_line(value, 60)}`, which is no number")
        if shadow is None:
            return Told(trail, "gave", value, place, track.hits)
        return Told(trail, "fitted", value, place, track.hits, f"not taken: `{_dotted(shadow)}` gave a value before")
    folded = getattr(track.rule, "folded", None)
    if folded:
        return Told(trail, "missed", why=_of_field(folded, given))
    if not track.hits:
        return Told(trail, "missed", why=miss_of(track, survey, part))
    use = _OF_LINES.get(trail[0])
    why = _times(track) if use else _why_without_part(track)
    return Told(trail, "gave" if use else "fitted", use, track.places[-1] if track.places else None, track.hits, why)


def _why_without_part(track: Track) -> str | None:
    times = f"fitted {_times(track)}"
    if track.rule.trail[0] == "errors":
        return f"{times}, and a success came after: forgiven"
    if track.rule.trail[0] in ("success", "failure"):
        return f"{times}, and another rule decided"
    return times if track.rule.trail[0] == "watch" else useless(track)


def _times(track: Track) -> str:
    return f"{track.hits:,} time{'' if track.hits == 1 else 's'}"


def _shadow(trail: Trail, given: Mapping[Trail, Any]) -> Trail | None:
    """Return the rule before it of the same field that gave a value."""
    if trail[0] != "fields" or len(trail) != _FEW:
        return None
    before = ((*trail[:2], number) for number in range(int(trail[2])))
    return next((other for other in before if other in given), None)


def _place_of(track: Track, evidence: Evidence | None) -> Place | None:
    """Return the line that shows a value; a field that takes a text as a whole does not know it itself."""
    rule = track.rule
    if isinstance(rule, FieldRule) and rule.probe.pattern is not None and track.places and not track.fitted:
        return track.places[0 if rule.take == "first" else -1]
    return None if evidence is None else (evidence.source, evidence.offset)


def _of_field(folded: tuple[str, Any], given: Mapping[Trail, Any]) -> str:
    name, condition = folded
    found = next((value for trail, (value, _) in given.items() if trail[:2] == ("fields", name)), None)
    wanted = ", ".join(sorted(condition.texts)) or "a value"
    if found is None:
        return f"the field `{name}` has no value"
    return f"the field `{name}` is `{one_line(found, 60)}`, expected {'not ' if condition.negated else ''}{wanted}"


def _of_exit(trail: Trail, judgement: Judgement) -> Told:
    code, wanted = judgement.outcome.exit_code, int(trail[1])
    if code == wanted:
        return Told(trail, "gave", judgement.reply.exit_classes.get(wanted), times=1)
    how = "there was no exit code" if code is None else f"the exit code was {code}"
    return Told(trail, "missed", why=how)


def _of_strip(trail: Trail, table: Mapping[str, Any], given: Mapping[Trail, Any]) -> Told:
    text = next((value for other, (value, _) in given.items() if other[:2] in (("fields", "text"), ("format",))), "")
    if fits(Pattern(table["strip"][trail[1]]), text):
        return Told(trail, "gave", "taken out of the text", times=1)
    return Told(trail, "missed", why="fits nothing in the text")


def _decision(survey: Survey, judgement: Judgement) -> tuple[set[Trail], str]:
    """Return the rules that decided, and a sentence."""
    trails = _deciding(survey, judgement)
    verdict = judgement.verdict
    said = " ".join(filter(None, (verdict.status, verdict.reason)))
    if trails:
        return set(trails), f"{said}: by {' and '.join(f'`{_dotted(trail)}`' for trail in trails)}"
    return set(), f"{said}: {_without_rule(judgement)}"


def _deciding(survey: Survey, judgement: Judgement) -> list[Trail]:
    """As the judge does: what ended it, what fails by itself, the terminal event and the class, the exit code."""
    reply, verdict, code = judgement.reply, judgement.verdict, judgement.outcome.exit_code
    if judgement.outcome.ended_by not in ("exit", "linger"):
        stalled = reply.stalled or reply.fault
        by_rule = stalled is not None and verdict.evidence is not None and verdict.evidence == stalled.evidence
        return _watched(survey, verdict) or _faulted(judgement, verdict) if by_rule else []
    if reply.failure is not None and verdict.evidence == reply.failure.evidence:
        return _faulted(judgement, verdict) or [trail for trail, can_fail in reply.slow_rules if can_fail][:1]
    good = verdict.status == "success"
    signal = [
        trail
        for trail, value, evidence in judgement.origins
        if trail[0] in ("success", "failure")
        and value == ("good" if good else "bad")
        and evidence == reply.terminal_evidence
    ][:1]
    if good:
        return signal
    signal = signal if reply.terminal == "bad" else []
    if reply.fault is not None:
        return [*signal, *_faulted(judgement, verdict)] if verdict.evidence == reply.fault.evidence else []
    return [*signal, *([("exit", str(code))] if code and reply.exit_classes.get(code) == verdict.reason else [])]


def _watched(survey: Survey, verdict: Verdict) -> list[Trail]:
    """Return the rule of the wait, and the one that named its class where it does not itself."""
    place = (verdict.evidence.source, verdict.evidence.offset) if verdict.evidence else ("", 0)
    watches = [track for track in survey.tracks if track.rule.trail[0] == "watch"]
    rule = next((track.rule for track in watches if place in track.places), None)
    if rule is None or getattr(rule, "kind", None) != "retry":
        return [rule.trail] if rule else []
    naming = [track for track in survey.tracks if track.rule.trail[0] == "errors"] if survey.is_text else []
    before = [
        (offset, track.rule.trail)
        for track in (*watches, *naming)
        if getattr(track.rule, "kind", None) == verdict.reason
        for source, offset in track.places
        if source == place[0] and offset <= place[1]
    ]
    latest = max((offset for offset, _ in before), default=None)
    return [rule.trail, *(trail for offset, trail in before if offset == latest)][:2]


def _faulted(judgement: Judgement, verdict: Verdict) -> list[Trail]:
    return [
        trail
        for trail, value, evidence in judgement.origins
        if trail[0] == "errors" and evidence == verdict.evidence and value.startswith(f"{verdict.reason}:")
    ][:1]


def _without_rule(judgement: Judgement) -> str:
    outcome, reply, reason = judgement.outcome, judgement.reply, judgement.verdict.reason
    if outcome.ended_by not in ("exit", "linger"):
        return f"by no rule, the run was ended by {outcome.ended_by}"
    if reply.terminal == "absent":
        return "no rule of `success` or `failure` fitted"
    if reason in ("no_commits", "uncommitted_changes", "nothing_to_do", "permission"):
        return "by the task's postcondition"
    if reason == "no_output":
        return "by no rule, the reply is empty"
    if judgement.verdict.status == "success":
        return "the parser has no rule of `success`; a good exit code and a reply will do"
    return "by no rule, by how the agent ended" if outcome.exit_code or outcome.signal else "by no rule"


def _lines(survey: Survey, table: Mapping[str, Any]) -> Iterator[str]:
    for source, lines in survey.lines.items():
        if not lines.count:
            continue
        parts = [f"{lines.blank:,} blank"] if lines.blank else []
        if source == "stdout" and table["format"] == "jsonl":
            parts.insert(0, f"{lines.events:,} JSON")
        elif source == "stdout" and table["format"] == "json":
            parts.insert(0, f"{lines.events:,} object{'' if lines.events == 1 else 's'} in it")
        skipped = [
            f"{count:,} skipped: {why} (first {source}:{first})" for why, (count, first) in lines.skipped.items()
        ]
        noun = "line" if lines.count == 1 else "lines"
        yield f"{source}: {lines.count:,} {noun}" + "".join(f", {part}" for part in (*parts, *skipped))


def _dotted(trail: Trail) -> str:
    return ".".join(map(str, trail))
