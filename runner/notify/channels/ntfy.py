"""Messages by an ntfy server: publish as JSON, read cached messages, cancel.

target: url, topic, and token_env or user_env with password_env.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import urlencode

from runner.model import JsonObject
from runner.notify.channels.base import Delivery, Failed, Message, Sent, secret
from runner.notify.channels.http import Request, address_fault, exchange
from runner.notify.channels.settings import header_fault, named
from runner.notify.channels.truncate import truncate_line, truncate_text
from runner.values import replace

# The server's limits: a longer message would become an attachment, a longer request is refused.
MAX_MESSAGE = 4096
MAX_REQUEST = 2 * MAX_MESSAGE
MAX_TITLE = 250
MAX_ACTIONS = 3
MAX_HISTORY = 8 << 20
_MAX_TOPIC = 64


def fault(target: JsonObject, environ: Mapping[str, str]) -> Failed | None:
    """What is wrong with the settings."""
    topic = str(target.get("topic") or "")
    if not topic:
        return Failed("no topic is configured", permanent=True)
    odd = re.search(r"[^-_A-Za-z0-9]", topic)
    if odd or len(topic) > _MAX_TOPIC:
        holds = f", but holds {named(odd[0])}" if odd else ""
        return Failed(f"the topic is not 1 to {_MAX_TOPIC} letters, digits, `-` and `_`{holds}", permanent=True)
    login = _login(target, environ)
    return address_fault(target.get("url")) or (login if isinstance(login, Failed) else None)


def send(target: JsonObject, message: Message, environ: Mapping[str, str], timeout: float) -> Delivery:
    """Publish; `message_id` is the sequence id, by which a later message takes the place of this one.

    An answer of 200 without a message's id is not from ntfy but from a captive portal or a proxy. It counts as a
    temporary failure; if the server accepted the message, the next one replaces it under the same sequence id.
    """
    request = Request("POST", "", _payload(target, message), {"Content-Type": "application/json"})
    return _sent(_ask(request, target, environ, timeout))


def poll(target: JsonObject, since: str, environ: Mapping[str, str], timeout: float) -> list[JsonObject] | Failed:
    """The messages that the server still holds, oldest first; `since` is a duration, a time, an id or `all`.

    Anyone who knows the topic can have sent them.
    """
    query = urlencode({"poll": "1", "since": since})
    request = Request("GET", f"{target.get('topic')}/json?{query}", b"", {}, MAX_HISTORY)
    answer = _ask(request, target, environ, timeout)
    if isinstance(answer, Failed):
        return answer
    events = [_object(line) for line in answer.splitlines()]
    return [event for event in events if event is not None and event.get("event") == "message"]


def cancel(target: JsonObject, message_id: str, environ: Mapping[str, str], timeout: float) -> Delivery:
    """Cancel a message, and with it one that waits for its delay; later ones of the same id are cancelled as well."""
    request = Request("DELETE", f"{target.get('topic')}/{_sequence_id(message_id)}", b"", {})
    return _sent(_ask(request, target, environ, timeout))


def _sent(answer: bytes | Failed) -> Delivery:
    if isinstance(answer, Failed):
        return answer
    found = _object(answer)
    server_id = found.get("id") if found else None
    if not isinstance(server_id, str) or not server_id:
        return Failed("the answer is not one of an ntfy server (a captive portal?)", permanent=False)
    return Sent(server_id[:64])


def _ask(request: Request, target: JsonObject, environ: Mapping[str, str], timeout: float) -> bytes | Failed:
    """The answer to the request, whose url is relative to the target's."""
    login = _login(target, environ)
    if isinstance(login, Failed):
        return login
    url = f"{str(target.get('url') or '').rstrip('/')}/{request.url}"
    return exchange(replace(request, url=url, headers={**request.headers, **login}), environ, timeout)


def _login(target: JsonObject, environ: Mapping[str, str]) -> dict[str, str] | Failed:
    values = []
    names = [target["token_env"]] if target.get("token_env") else [target.get("user_env"), target.get("password_env")]
    for name in names:
        value = secret(name, environ) if name else ""
        if isinstance(value, Failed):
            return value
        values.append(value)
    if target.get("token_env"):
        odd = header_fault(f"the variable {names[0]}", values[0])
        return odd or {"Authorization": f"Bearer {values[0]}"}
    if not values[0]:
        return {}
    pair = f"{values[0]}:{values[1]}".encode(errors="surrogateescape")
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}


def _payload(target: JsonObject, message: Message) -> bytes:
    """The request: not a byte longer than the server takes, JSON's own escapes counted."""
    room = MAX_MESSAGE
    while True:
        body = truncate_text(message.body, room)
        found = json.dumps(_fields(target, message, body), ensure_ascii=False).encode(errors="replace")
        excess = len(found) - MAX_REQUEST
        if excess <= 0 or room == 0:
            return found
        room = max(0, min(room, len(body.encode())) - max(1, excess // 2))


def _fields(target: JsonObject, message: Message, body: str) -> JsonObject:
    fields: JsonObject = {
        "topic": target["topic"],
        "title": truncate_line(" ".join(message.title.split()), MAX_TITLE),
        "message": body,
        "tags": list(message.tags),
        "priority": min(max(message.priority, 1), 5),
        "sequence_id": _sequence_id(message.message_id),
        "click": message.click,
        "actions": list(message.actions[:MAX_ACTIONS]),
        "delay": message.delay,
    }
    return {name: value for name, value in fields.items() if value not in (None, [])}


def _sequence_id(message_id: str) -> str:
    return re.sub(r"[^-_A-Za-z0-9]", "-", message_id)[:64]


def _object(line: bytes) -> JsonObject | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
