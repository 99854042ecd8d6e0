"""The interface of every channel."""

from __future__ import annotations

from collections.abc import Mapping

from runner.model import JsonObject
from runner.values import dataclass, field

MAX_RETRY_AFTER = 24 * 3600.0  # seconds for which a server is believed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Channel(Protocol):
        """A module of this folder.

        `target` is the channel's settings as an outbox file holds them, of secrets only the variable's name; `environ`
        is where those names are looked up. `timeout` is seconds for all of it. Never raises.
        """

        def send(
            self, target: JsonObject, message: Message, environ: Mapping[str, str], timeout: float
        ) -> Delivery: ...


@dataclass(frozen=True)
class Message:
    """A message, complete and JSON-able; each channel uses what it can show.

    `message_id` is the run id: the same message sent again replaces itself where the channel knows how. `priority` is 1
    (lowest) to 5. `delay` as ntfy writes it (`30m`) asks for a later delivery. `record` is for machines.
    """

    title: str
    body: str
    tags: tuple[str, ...]
    priority: int
    click: str | None
    actions: tuple[JsonObject, ...]
    message_id: str
    delay: str | None = None
    record: JsonObject = field(default_factory=dict)


@dataclass(frozen=True)
class Sent:
    """The server accepted it; `server_id` is its own name for the message."""

    server_id: str | None


@dataclass(frozen=True)
class Failed:
    """It was not accepted, as far as we know. `permanent`: a retry will fail as well. `retry_after` is in seconds."""

    error: str
    permanent: bool
    retry_after: float | None = None


Delivery = Sent | Failed


def secret(name: str, environ: Mapping[str, str]) -> str | Failed:
    """The value of a variable that the settings name; one that is missing now may be there for the next try."""
    value = environ.get(name, "").strip()
    return value or Failed(f"the variable {name} is not set", permanent=False)
