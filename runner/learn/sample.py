"""One output of the CLI: what was asked of it, what it printed, how it ended, and what is known to be true of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from runner.modelserver import SCENARIOS, Tokens
from runner.modelserver.scenario import Answer, Interrupted, Refusal, Reset, Silence
from runner.parsers.lines import events_in, events_on, looks_like_object
from runner.parsers.scalars import decoded, plain
from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    from runner.model import JsonObject
    from runner.modelserver.dialect import Call

    Form: TypeAlias = Literal["jsonl", "json", "text"]
else:
    Form = object


_ENDS = 256 << 10  # bytes of each end of an output that are looked at


@dataclass(frozen=True)
class Truth:
    """What the scripted server knows: how the run must be judged (`reason` None: a success), and what it sent.

    `thoughts` are the model's, which are no part of the reply.
    """

    reason: str | None
    text: str
    tokens: tuple[Tokens, ...]
    tool_calls: int
    model: str | None = None
    thoughts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Sample:
    """`code` is negative for a signal, and None when time was up; `truth` is None for an output from elsewhere."""

    name: str
    stdout: bytes
    stderr: bytes = b""
    code: int | None = 0
    truth: Truth | None = None
    seconds: float = 0.0
    written: Mapping[str, bytes] | None = None

    @property
    def is_good(self) -> bool:
        return self.code == 0 if self.truth is None else self.truth.reason is None


@dataclass(frozen=True)
class Event:
    """A JSON object and its line, from 1."""

    data: JsonObject
    line: int


@dataclass(frozen=True)
class Output:
    """A sample, decoded. `plain` are the lines of stdout that are no JSON, `errors` those of stderr, with numbers."""

    sample: Sample
    events: tuple[Event, ...]
    plain: tuple[tuple[int, str], ...]
    errors: tuple[tuple[int, str], ...]

    @property
    def name(self) -> str:
        return self.sample.name


def truth_of(scenario: str, answered: Sequence[tuple[Call, Tokens]], model: str | None) -> Truth:
    """What must be true of a run of this scenario, by what the server answered.

    Calls that offer no tool are side calls, such as one for a title, unless all of them are.
    """
    plan = SCENARIOS[scenario]
    given = [one for one in answered if one[0].shell] or list(answered)
    steps = [plan.step(len(plan.first), call.tool_results) for call, _ in given]
    text = next((step.text for step in reversed(steps) if isinstance(step, Answer)), "")
    used = sum(isinstance(step, Answer) and step.command is not None for step in steps)
    used = used if any(call.shell for call, _ in given) else 0
    thoughts = frozenset(step.thinking for step in steps if isinstance(step, Answer) and step.thinking)
    # A CLI that does not try again never gets as far as the turns.
    reason = _reason(plan.turns[-1] if answered or not plan.first else plan.first[0])
    return Truth(reason, text, tuple(tokens for _, tokens in given), used, model, thoughts)


def _reason(step: object) -> str | None:
    match step:
        case Refusal():
            return step.kind
        case Interrupted():
            return _reason(step.by)
        case Reset():
            return "network"
        case Silence():
            return "timeout"
    return None


def form_of(samples: Sequence[Sample]) -> Form:
    """JSON lines when most lines of stdout are objects; one document when each output holds a single one; else text."""
    objects = others = 0
    single = True
    for sample in samples:
        lines = [line for line in thinned(sample.stdout).split(b"\n") if line.strip()]
        found = sum(bool(events_on(line)) for line in lines)
        objects, others = objects + found, others + len(lines) - found
        if lines and found != 1:
            single = False
    if objects and objects >= others:
        return "json" if single else "jsonl"
    documents = [bool(_document(sample.stdout)) for sample in samples if sample.is_good and sample.stdout.strip()]
    return "json" if documents and all(documents) else "text"


def _document(stdout: bytes) -> list[tuple[JsonObject, int]]:
    return list(events_in(stdout))


def thinned(text: bytes) -> bytes:
    """The first and the last lines of a long output; those between are left blank, so that numbers of lines hold."""
    if len(text) <= 2 * _ENDS:
        return text
    start, stop = text.rfind(b"\n", 0, _ENDS) + 1, text.find(b"\n", len(text) - _ENDS)
    if not start or stop < 0:  # one line, such as a document
        return text
    return text[:start] + b"\n" * text.count(b"\n", start, stop) + text[stop:]


def decode(sample: Sample, form: Form) -> Output:
    out = thinned(sample.stdout)
    events = tuple(_events(out, form))
    taken = {event.line for event in events}
    stdout = () if form == "json" and events else _lines(out)
    rest = tuple((number, line) for number, line in stdout if number not in taken and not _is_json(line, form))
    return Output(sample, events, rest, tuple(_lines(thinned(sample.stderr))))


def _is_json(line: str, form: Form) -> bool:
    return form == "jsonl" and looks_like_object(line.encode())


def _events(stdout: bytes, form: Form) -> Iterator[Event]:
    if form == "json":
        for event, offset in events_in(stdout):
            yield Event(event, stdout[:offset].count(b"\n") + 1)
    elif form == "jsonl":
        for number, line in enumerate(stdout.split(b"\n"), 1):
            yield from (Event(event, number) for event in events_on(line))


def _lines(text: bytes) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(decoded(text).split("\n"), 1):
        if shown := plain(line).strip():
            yield number, shown


def around(output: Output) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
    """The lines before and after the reply; none where it is not there as a whole. It may be wrapped."""
    wanted = output.sample.truth.text.split() if output.sample.truth else []
    lines = list(output.plain)
    for start in range(len(lines)) if wanted else ():
        words: list[str] = []
        for end in range(start, len(lines)):
            words += lines[end][1].split()
            if words == wanted:
                return lines[:start], lines[end + 1 :]
            if len(words) >= len(wanted):
                break
    return [], []
