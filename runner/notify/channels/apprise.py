"""Messages by a URL of the library apprise, which knows some hundred services: an optional extra.

target: url_env, the name of the variable with the URL, which holds the secrets of its service.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from runner.model import JsonObject
from runner.notify.channels.base import Delivery, Failed, Message, Sent, secret
from runner.notify.channels.http import OutOfTimeError, within
from runner.notify.channels.truncate import truncate_line, truncate_text

# Services differ in what they take; each of them shows this much.
_MAX_BODY, _MAX_TITLE = 2000, 250


def fault(target: JsonObject, environ: Mapping[str, str]) -> Failed | None:
    """What is wrong with the settings."""
    url = secret(str(target.get("url_env") or ""), environ)
    return url if isinstance(url, Failed) else None


def send(target: JsonObject, message: Message, environ: Mapping[str, str], timeout: float) -> Delivery:
    """Send by apprise, which only says whether it went."""
    url = secret(str(target.get("url_env") or ""), environ)
    if isinstance(url, Failed):
        return url
    try:
        # An optional extra, and seconds of import: here, when such a URL is configured.
        library = import_module("apprise")
    except ImportError:
        return Failed("apprise is not installed: `pip install 'runner-agents[notify]'`", permanent=True)
    services = library.Apprise()
    if not services.add(url):
        return Failed(f"the variable {target['url_env']} holds no URL that apprise knows", permanent=True)
    title, body = truncate_line(message.title, _MAX_TITLE), truncate_text(message.body, _MAX_BODY)
    try:
        sent = within(timeout, lambda _given_up: services.notify(title=title, body=body))
    except OutOfTimeError:
        return Failed(f"apprise gave no answer within {timeout:g} s", permanent=False)
    return Sent(None) if sent else Failed("apprise could not send it", permanent=False)
