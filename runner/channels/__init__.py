"""The ways a message can go: one module each, with the interface of `base.Channel`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from runner.channels.base import Failed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.channels.base import Delivery, Message
    from runner.model import JsonObject

# By name, and imported when a message goes that way: requests alone costs 120 ms, which a run without a channel saves.
CHANNELS = {
    "ntfy": "runner.channels.ntfy",
    "webhook": "runner.channels.webhook",
    "command": "runner.channels.command",
    "apprise": "runner.channels.apprise",
}


def send(kind: str, target: JsonObject, message: Message, environ: Mapping[str, str], timeout: float) -> Delivery:
    """Send by the channel of that kind within `timeout` seconds. Never raises."""
    if kind not in CHANNELS:
        return Failed(f"there is no channel `{kind}`: {', '.join(CHANNELS)}", permanent=True)
    try:
        delivery: Delivery = import_module(CHANNELS[kind]).send(target, message, environ, timeout)
    except Exception as error:  # a message never changes how a run ends
        # Its class alone: the text could hold a token.
        return Failed(f"the channel `{kind}` broke: {type(error).__name__}", permanent=False)
    return delivery


def cancel(kind: str, target: JsonObject, message_id: str, environ: Mapping[str, str], timeout: float) -> None:
    """Take back a message that waits for its delay, where the channel knows how. Never raises."""
    try:
        import_module(CHANNELS[kind]).cancel(target, message_id, environ, timeout)
    except Exception:  # noqa: S110 - what cannot be taken back is one message too many, and not worth a failed run
        pass
