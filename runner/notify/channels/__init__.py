"""The channels of messages: one module each, with the interface of `base.Channel`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from runner.model import JsonObject
from runner.notify.channels.base import Delivery, Failed, Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Imported when a message is sent that way: requests alone costs 120 ms, which a run without a channel saves.
CHANNELS = {
    "ntfy": "runner.notify.channels.ntfy",
    "webhook": "runner.notify.channels.webhook",
    "command": "runner.notify.channels.command",
    "apprise": "runner.notify.channels.apprise",
}
# These can also cancel a message, and read what was sent.
_WITH_HISTORY = ("ntfy",)


def send(kind: str, target: JsonObject, message: Message, environ: Mapping[str, str], timeout: float) -> Delivery:
    """Send by the channel of that kind within `timeout` seconds. Never raises."""
    if kind not in CHANNELS:
        return Failed(f"there is no channel `{kind}`, only {', '.join(CHANNELS)}", permanent=True)
    delivery: Delivery = _guarded(kind, "send", target, message, environ, timeout)
    return delivery


def cancel(kind: str, target: JsonObject, message_id: str, environ: Mapping[str, str], timeout: float) -> Delivery:
    """Cancel a message, such as one that waits for its delay. Never raises."""
    if kind not in _WITH_HISTORY:
        return Failed(f"a message by `{kind}` cannot be taken back", permanent=True)
    delivery: Delivery = _guarded(kind, "cancel", target, message_id, environ, timeout)
    return delivery


def poll(
    kind: str, target: JsonObject, since: str, environ: Mapping[str, str], timeout: float
) -> list[JsonObject] | Failed:
    """The messages that the server still holds, oldest first. Never raises."""
    if kind not in _WITH_HISTORY:
        return Failed(f"`{kind}` keeps no messages", permanent=True)
    found: list[JsonObject] | Failed = _guarded(kind, "poll", target, since, environ, timeout)
    return found


def _guarded(kind: str, verb: str, *arguments: object) -> Any:
    try:
        return getattr(import_module(CHANNELS[kind]), verb)(*arguments)
    except Exception as error:
        # Its class alone: the text could hold a token.
        return Failed(f"the channel `{kind}` broke: {type(error).__name__}", permanent=False)
