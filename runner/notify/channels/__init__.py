"""The channels of messages: one module each, with the interface of `base.Channel`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from runner.mask import mask_tree
from runner.model import JsonObject
from runner.notify.channels import settings
from runner.notify.channels.base import Delivery, Failed, Message, Sent
from runner.template import TemplateError
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CHANNELS = ("ntfy", "webhook", "command", "apprise")


def send(kind: str, target: JsonObject, message: Message, environ: Mapping[str, str], timeout: float) -> Delivery:
    """Send by the channel of that kind within `timeout` seconds. Never raises.

    `target` is as `settings.kept` made it, and so are the templates of the message's `click` and `actions`.
    """
    sent: Delivery = _call(kind, "send", target, environ, (message, timeout))
    return sent


def cancel(kind: str, target: JsonObject, message_id: str, environ: Mapping[str, str], timeout: float) -> Delivery:
    """Cancel a message, such as one that waits for its delay. Never raises."""
    found = _call(kind, "cancel", target, environ, (message_id, timeout))
    return Failed(f"a message by `{kind}` cannot be taken back", permanent=True) if found is None else found


def poll(
    kind: str, target: JsonObject, since: str, environ: Mapping[str, str], timeout: float
) -> list[JsonObject] | Failed:
    """The messages that the server still holds, oldest first. Never raises."""
    found = _call(kind, "poll", target, environ, (since, timeout))
    return Failed(f"`{kind}` keeps no messages", permanent=True) if found is None else found


def examine(kind: str, target: JsonObject, environ: Mapping[str, str]) -> Failed | None:
    """What is wrong with a target, without sending: what makes each message a dead letter, or keeps it waiting."""
    found: Failed | None = _call(kind, "fault", target, environ, ())
    return found


def ping(address: str, signal: str, text: str, environ: Mapping[str, str], timeout: float) -> str | None:
    """Report to a dead man's switch; return what went wrong. Never raises."""
    from runner.notify.channels.http import ping as report  # noqa: PLC0415 - requests, for those who use such a service

    error = report(address.strip(), signal, text, environ, timeout)
    return error and settings.hide(error, {}, {**environ, "ADDRESS_TOKEN": settings.path_of(address)})


def _call(kind: str, verb: str, target: JsonObject, environ: Mapping[str, str], arguments: tuple[Any, ...]) -> Any:
    """The one door to the channels: settings are rendered and checked, and words from outside lose what is secret.

    None where the channel has no such verb.
    """
    if kind not in CHANNELS:
        return Failed(f"there is no channel `{kind}`, only {', '.join(CHANNELS)}", permanent=True)
    section = {**target, "kind": kind}
    try:
        # Imported here: requests alone costs 120 ms, which a run without a channel saves.
        module = import_module(f"{__name__}.{kind}")
        if not hasattr(module, verb):
            return None
        now = settings.present(section, environ)
        found = module.fault(now, environ)
        if found is not None and found.permanent:
            found = settings.absence(section, environ) or found
        if found is None and verb != "fault":
            what, timeout = arguments
            found = getattr(module, verb)(now, _rendered(what, environ), environ, timeout)
    except TemplateError as error:
        found = Failed(f"its template: {error.message}", permanent=False)
    except Exception as error:
        # Its class alone: the text could hold a token.
        return Failed(f"the channel `{kind}` broke: {type(error).__name__}", permanent=False)
    return _masked(found, lambda text: settings.hide(text, section, environ))


def _rendered(argument: Any, environ: Mapping[str, str]) -> Any:
    """A message with the templates of its `click` and `actions` rendered."""
    if not isinstance(argument, Message):
        return argument
    found = settings.present({"click": argument.click, "actions": list(argument.actions)}, environ)
    return replace(argument, click=found["click"], actions=tuple(found["actions"]))


def _masked(found: Any, hide: Callable[[str], str]) -> Any:
    if isinstance(found, Failed):
        return replace(found, error=hide(found.error))
    if isinstance(found, Sent):
        return replace(found, server_id=hide(found.server_id) if found.server_id else None)
    return mask_tree(found, hide) if isinstance(found, list) else found
