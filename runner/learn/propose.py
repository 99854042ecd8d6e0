"""Samples → an entry for agents.yaml, a parser with it, and what a run with each sample would have been."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runner.learn.endings import endings_of
from runner.learn.faults import alarms_in_events, alarms_in_text, faults_of
from runner.learn.fields import Found, fields_of
from runner.learn.sample import Form, Output, Sample
from runner.learn.texts import endings_in_text, quiet_lines, strips, text_fields
from runner.model import Changes, Expectations, Outcome, Reply, Verdict
from runner.parsers import compile_parser
from runner.run.judge import judge
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from runner.model import JsonObject
    from runner.parsers.rules import Trail

    Table: TypeAlias = dict[Trail, Found]


@dataclass(frozen=True)
class Judged:
    """What a run with a sample's output would have been."""

    sample: Sample
    reply: Reply
    verdict: Verdict

    @property
    def is_right(self) -> bool | None:
        truth, sample = self.sample.truth, self.sample
        if truth is None or (sample.code is None and not (sample.stdout + sample.stderr).strip()):
            return None  # of one that says nothing until its time is up nothing can be told
        right = self.verdict.reason == truth.reason
        return right and (truth.reason is not None or self.reply.text.split() == truth.text.split())


@dataclass(frozen=True)
class Proposal:
    """`notes`: place in the parser → where its value was seen."""

    parser: JsonObject
    notes: Mapping[Trail, str]
    judged: tuple[Judged, ...]


def propose(outputs: Sequence[Output], form: Form) -> Proposal:
    best = Proposal({"format": form}, {}, ())
    for table in _tables(form, outputs):
        proposal = _with_verdicts(form, table, outputs)
        if _score(proposal) > _score(best) or not best.judged:
            best = proposal
    return best


def _score(proposal: Proposal) -> int:
    return sum(judged.is_right is not False for judged in proposal.judged)


def _tables(form: str, outputs: Sequence[Output]) -> Iterable[Table]:
    """Alternatives of which the first that judges most samples right is proposed."""
    faults = faults_of(outputs)
    shared: Table = {
        **_listed("errors", faults.errors),
        **_listed("watch", faults.watch),
        **{("exit", code): found for code, found in faults.exit.items()},
    }
    if form == "text":
        fields = _fields(text_fields(outputs))
        plain = {trail: found for trail, found in fields.items() if trail != ("fields", "text")}
        lines = _listed("strip", strips(outputs))
        shared |= _listed("quiet", quiet_lines(outputs, faults))
        failure = _listed("failure", alarms_in_text(outputs))
        if failure:  # that an error was overcome is told by what comes later
            failure |= _listed("success", endings_in_text(outputs))
        yield {**failure, **plain, **shared}
        yield {**failure, **plain, **shared, **lines}
        yield {**failure, **fields, **shared, **lines}
        return
    endings = endings_of(outputs)
    fields = _fields(fields_of(outputs))
    alarms = (*alarms_in_events(outputs), *alarms_in_text(outputs))
    yield {**_listed("success", endings.success), **_listed("failure", endings.failure), **fields, **shared}
    yield {**_listed("success", endings.success), **_listed("failure", (*endings.failure, *alarms)), **fields, **shared}
    yield {**_listed("failure", alarms), **fields, **shared}
    yield {**fields, **shared}


def _listed(key: str, found: Iterable[Found]) -> Table:
    return {(key, at): one for at, one in enumerate(found)}


def _fields(found: Mapping[str, Found]) -> Table:
    return {("fields", name): one for name, one in found.items()}


def _with_verdicts(form: Form, table: Table, outputs: Sequence[Output]) -> Proposal:
    parser: dict[str, Any] = {"format": form}
    notes: dict[Trail, str] = {}
    for trail, found in table.items():
        key, name = str(trail[0]), trail[1]
        if key in ("fields", "exit"):
            parser.setdefault(key, {})[name] = found.rule
        else:
            parser.setdefault(key, []).append(found.rule)
        notes[trail] = found.seen if found.sure else f"not sure: {found.seen}" if found.seen else "not seen"
    for key in ("success", "failure"):
        if len(parser.get(key, ())) == 1:
            (parser[key],) = parser[key]
            notes[(key,)] = notes.pop((key, 0))
    return Proposal(parser, notes, tuple(judged(parser, output.sample) for output in outputs))


def judged(parser: JsonObject, sample: Sample) -> Judged:
    """Judge a sample as a run would be judged, without a postcondition."""
    reader = compile_parser(parser).reader(lambda: 0.0)
    reader.feed("stdout", sample.stdout, 0)
    reader.feed("stderr", sample.stderr, 0)
    if sample.code is None:
        outcome = Outcome("timeout", 0.0, sample.seconds, sample.seconds)
    elif sample.code < 0:
        outcome = Outcome("exit", 0.0, sample.seconds, sample.seconds, signal=-sample.code)
    else:
        outcome = Outcome("exit", 0.0, sample.seconds, sample.seconds, exit_code=sample.code)
    reply = reader.finish(sample.written)
    return Judged(sample, reply, judge(Expectations(), outcome, reply, Changes(repository=False)))
