"""Which rules of a parser fitted nothing in many outputs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runner.model import JsonObject
from runner.parsers.lines import events_in, events_on
from runner.parsers.reader import Parser
from runner.parsers.rules import FaultRule, FieldRule, Probe, TerminalRule, Trail
from runner.parsers.scalars import PATTERN_REACH, collapsed, decoded, formed, one_line
from runner.parsers.timed import Timed
from runner.parsers.window import Window

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Output: TypeAlias = tuple[bytes, bytes]
    Rule: TypeAlias = TerminalRule | FaultRule | FieldRule


def unfired(parser: Parser, outputs: Sequence[Output]) -> list[Trail]:
    """Return the rules that no output (stdout, stderr) made fit; not those that look at fields or at files.

    A pattern that took too long on an output may have fitted it: its rule is not told.
    """
    rules = parser.rules
    looked_at: list[Rule] = [rule for rule in rules.terminals if rule.folded is None]
    looked_at += [*rules.fields, *rules.errors, *rules.watches]
    open_rules = [rule for rule in looked_at if rule.probe.file is None]
    for stdout, stderr in outputs:
        events = list(_events(parser, stdout))
        texts = {"stdout": stdout, "stderr": stderr}
        timed = Timed()
        open_rules = [
            rule for rule in open_rules if not _fits(rule, events, texts, timed) and rule.trail not in timed.slow
        ]
    return [rule.trail for rule in open_rules]


def _events(parser: Parser, stdout: bytes) -> Iterator[JsonObject]:
    if parser.rules.format == "json":
        yield from (event for event, _ in events_in(stdout))
    elif parser.rules.format == "jsonl":
        prefix, timed = parser.rules.prefix, Timed()
        for raw in stdout.split(b"\n"):
            yield from events_on(timed.without_prefix(prefix, raw) if prefix else raw)


def _fits(rule: Rule, events: list[JsonObject], texts: dict[str, bytes], timed: Timed) -> bool:
    probe = rule.probe
    if probe.where == "event":
        return any(_fits_event(rule, probe, event, timed) for event in events)
    content = texts[probe.where]
    if isinstance(rule, FieldRule):
        text = decoded(content)
        whole = collapsed(text) if rule.sees_collapsed else formed(text)
        return bool(timed.matched(rule, [whole])) if probe.pattern else bool(whole)
    window = Window()
    for raw in content.split(b"\n"):
        if raw.strip():
            text = one_line(decoded(raw[: 2 * PATTERN_REACH]))
            window.add(text, None)
            if isinstance(rule, FaultRule) and rule.trail[0] == "watch" and rule.spans:
                hit, _ = timed.in_window(rule, window)
            else:
                hit = timed.in_text(rule, text)
            if hit:
                return True
            if rule.trail in timed.slow:
                break
    return False


def _fits_event(rule: Rule, probe: Probe, event: JsonObject, timed: Timed) -> bool:
    if not isinstance(rule, FieldRule):
        return timed.in_event(rule, event) is not None
    if not probe.when.fits(event):
        return False
    found = [True] if probe.at is None else probe.at(event)
    return bool(found if probe.pattern is None else timed.matched(rule, found))
