"""The channels of messages: one module each, with the interface of `base.Channel`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from runner.model import JsonObject
from runner.notify.channels.base import Delivery, Failed, Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CHANNELS = ("ntfy", "webhook", "command", "apprise")


def send(kind: str, target: JsonObject, message: Message, environ: Mapping[str, str], timeout: float) -> Delivery:
    """Send by the channel of that kind within `timeout` seconds. Never raises."""
    return _call(kind, "send", target, message, environ, timeout)  # type: ignore[no-any-return]


def cancel(kind: str, target: JsonObject, message_id: str, environ: Mapping[str, str], timeout: float) -> Delivery:
    """Cancel a message, such as one that waits for its delay. Never raises."""
    found = _call(kind, "cancel", target, message_id, environ, timeout)
    return Failed(f"a message by `{kind}` cannot be taken back", permanent=True) if found is None else found


def poll(
    kind: str, target: JsonObject, since: str, environ: Mapping[str, str], timeout: float
) -> list[JsonObject] | Failed:
    """The messages that the server still holds, oldest first. Never raises."""
    found = _call(kind, "poll", target, since, environ, timeout)
    return Failed(f"`{kind}` keeps no messages", permanent=True) if found is None else found


def _call(kind: str, verb: str, *arguments: object) -> Any:
    """None where the channel has no such verb."""
    if kind not in CHANNELS:
        return Failed(f"there is no channel `{kind}`, only {', '.join(CHANNELS)}", permanent=True)
    try:
        # Imported here: requests alone costs 120 ms, which a run without a channel saves.
        act = getattr(import_module(f"{__name__}.{kind}"), verb, None)
        return act and act(*arguments)
    except Exception as error:
        # Its class alone: the text could hold a token.
        return Failed(f"the channel `{kind}` broke: {type(error).__name__}", permanent=False)
