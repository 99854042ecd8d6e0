"""What happens, in any dialect: the steps of a scripted model, and the table of scenarios."""

from __future__ import annotations

from runner.values import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    RefusalKind: TypeAlias = Literal[
        "rate_limit", "usage_limit", "billing", "model_not_found", "auth", "overloaded", "server"
    ]
    Step: TypeAlias = "Answer | Refusal | Silence | Reset | Interrupted"


@dataclass(frozen=True)
class Tokens:
    """What one answer costs, in parts that do not overlap."""

    fresh: int = 0
    cache_read: int = 0
    cache_write: int = 0
    visible: int = 0
    reasoning: int = 0

    @property
    def input_tokens(self) -> int:
        return self.fresh + self.cache_read + self.cache_write

    @property
    def output_tokens(self) -> int:
        return self.visible + self.reasoning

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.fresh + other.fresh,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.visible + other.visible,
            self.reasoning + other.reasoning,
        )


@dataclass(frozen=True)
class Answer:
    """`command` is for the shell tool; a call that offers no such tool gets the text alone."""

    text: str
    tokens: Tokens
    thinking: str | None = None
    command: str | None = None


@dataclass(frozen=True)
class Refusal:
    """An HTTP error. `retry_after` is the announced wait in seconds; for `usage_limit` it is when the window resets."""

    kind: RefusalKind
    retry_after: int | None = None


@dataclass(frozen=True)
class Silence:
    """The request is accepted and never answered."""


@dataclass(frozen=True)
class Reset:
    """The connection is dropped before any answer."""


@dataclass(frozen=True)
class Interrupted:
    """A stream that begins as `answer` and ends in silence, in a dropped connection, or in an error event.

    `share` of its events are sent before, at least one. A call that does not stream gets silence, the dropped
    connection, or (where the stream has the error) the whole answer.
    """

    answer: Answer
    by: Silence | Reset | Refusal
    share: float = 0.5


@dataclass(frozen=True)
class Scenario:
    """`first` answers the first calls, regardless of what they ask.

    After them, a conversation that holds n tool results gets `turns[n]`, or the last turn.
    """

    about: str
    turns: tuple[Step, ...]
    first: tuple[Step, ...] = ()

    def step(self, call_number: int, tool_results: int) -> Step:
        """Return the step for a call; calls count from 0."""
        if call_number < len(self.first):
            return self.first[call_number]
        return self.turns[min(tool_results, len(self.turns) - 1)]


_HOURS = 3600

_HELLO = Answer(
    "Hello from the scripted model.",
    Tokens(fresh=1201, cache_read=256, cache_write=64, visible=37, reasoning=12),
    thinking="A greeting is asked for.",
)
_MENTION = Answer(
    "All good. I documented the 429 path: 'Rate limit exceeded', 'usage limit reached', 'quota exceeded', "
    "'model not found', 'invalid api key', 'API Error: 500'. Nothing failed.",
    _HELLO.tokens,
)
_DONE = Answer("Done.", Tokens(fresh=1402, cache_read=512, cache_write=16, visible=23, reasoning=4))


def _shell(command: str) -> Answer:
    tokens = Tokens(fresh=1301, cache_read=128, cache_write=32, visible=41, reasoning=8)
    return Answer("I will run one command.", tokens, thinking="One command does it.", command=command)


_WRITE = "printf 'by the scripted model\\n' > scripted.txt"
_COMMIT = f"{_WRITE} && git add scripted.txt && git commit -q -m 'Add scripted.txt'"

SCENARIOS: dict[str, Scenario] = {
    "hello": Scenario("answers at once", (_HELLO,)),
    "mention": Scenario("answers with a text that talks about limits and errors", (_MENTION,)),
    "commit": Scenario("has a file written and committed by the shell tool", (_shell(_COMMIT), _DONE)),
    "edit": Scenario("has a file written and leaves it uncommitted", (_shell(_WRITE), _DONE)),
    "toolfail": Scenario("has a command run that fails, then answers", (_shell("echo failing >&2; exit 7"), _DONE)),
    "sleep": Scenario("has a command run that takes five minutes", (_shell("sleep 300"), _DONE)),
    "commitlimit": Scenario("has a commit made, then limits", (_shell(_COMMIT), Refusal("rate_limit", 2))),
    "ratelimit": Scenario("limits every call; try again in 2 s", (Refusal("rate_limit", 2),)),
    "ratelimit-bare": Scenario("limits every call and does not say for how long", (Refusal("rate_limit"),)),
    "ratelimit-long": Scenario("limits every call; try again in 3 h", (Refusal("rate_limit", 3 * _HOURS),)),
    "planlimit": Scenario("the plan's window is used up for 3 h", (Refusal("usage_limit", 3 * _HOURS),)),
    "quota": Scenario("there is no credit left", (Refusal("billing"),)),
    "modelnotfound": Scenario("does not know the model", (Refusal("model_not_found"),)),
    "auth": Scenario("does not accept the key", (Refusal("auth"),)),
    "overloaded": Scenario("is overloaded", (Refusal("overloaded"),)),
    "crash500": Scenario("fails on its side", (Refusal("server"),)),
    "flaky": Scenario(
        "limits twice for 2 s, then answers", (_HELLO,), first=(Refusal("rate_limit", 2), Refusal("rate_limit", 2))
    ),
    "hang": Scenario("takes the request and stays silent", (Silence(),)),
    "stall": Scenario("begins an answer and falls silent", (Interrupted(_HELLO, Silence()),)),
    "broken": Scenario("begins an answer and drops the connection", (Interrupted(_HELLO, Reset()),)),
    "streamlimit": Scenario("opens a stream, then limits", (Interrupted(_HELLO, Refusal("rate_limit"), share=0),)),
    "streamlimit-late": Scenario("limits in the middle of an answer", (Interrupted(_HELLO, Refusal("rate_limit")),)),
    "reset": Scenario("drops the connection", (Reset(),)),
}
