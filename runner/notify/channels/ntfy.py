"""Messages by an ntfy server: JSON publish, cached messages, cancelling.

target: url, topic, and token_env or user_env with password_env.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from urllib.parse import urlencode

from runner.notify.channels.base import Failed, Sent
from runner.notify.channels.cut import cut_line, cut_text
from runner.notify.channels.http import Request, exchange
from runner.notify.channels.secret import secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.model import JsonObject
    from runner.notify.channels.base import Delivery, Message

# The server's limits: a longer message would become an attachment, a longer request is refused.
MESSAGE_LIMIT = 4096
REQUEST_LIMIT = 2 * MESSAGE_LIMIT
TITLE_LIMIT = 250
ACTIONS_LIMIT = 3
HISTORY_LIMIT = 8 << 20
_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")


def send(target: JsonObject, message: Message, environ: Mapping[str, str], timeout: float) -> Delivery:
    """Publish; `message_id` is the sequence id, by which a later message takes the place of this one.

    An answer of 200 that does not hold a message's id is not ntfy's: a captive portal answers so, or a proxy's error
    page. It counts as not delivered and not permanent; if the server had the message all the same, the next one takes
    its place under the same sequence id.
    """
    answer = _ask(target, environ, timeout, "POST", "", _payload(target, message))
    if isinstance(answer, Failed):
        return answer
    return _sent(answer)


def poll(target: JsonObject, since: str, environ: Mapping[str, str], timeout: float) -> list[JsonObject] | Failed:
    """The messages that the server still holds, oldest first; `since` is a duration, a time, an id or `all`.

    What they hold is whatever anyone who knows the topic has sent.
    """
    query = urlencode({"poll": "1", "since": since})
    answer = _ask(target, environ, timeout, "GET", f"{target.get('topic')}/json?{query}")
    if isinstance(answer, Failed):
        return answer
    events = [_object(line) for line in answer.splitlines()]
    return [event for event in events if event is not None and event.get("event") == "message"]


def cancel(target: JsonObject, message_id: str, environ: Mapping[str, str], timeout: float) -> Delivery:
    """Take back a message, and with it one that waits for its delay. All under that id go: a later one, too."""
    answer = _ask(target, environ, timeout, "DELETE", f"{target.get('topic')}/{_sequence_id(message_id)}")
    if isinstance(answer, Failed):
        return answer
    return _sent(answer)


def _sent(answer: bytes) -> Delivery:
    found = _object(answer)
    server_id = found.get("id") if found else None
    if not isinstance(server_id, str) or not server_id:
        return Failed("the answer is not one of an ntfy server (a captive portal?)", permanent=False)
    return Sent(server_id[:64])


def _ask(
    target: JsonObject, environ: Mapping[str, str], timeout: float, method: str, path: str, body: bytes = b""
) -> bytes | Failed:
    topic = target.get("topic")
    if not topic:
        return Failed("no topic is configured", permanent=True)
    if not _TOPIC.fullmatch(str(topic)):
        return Failed("the topic is not 1 to 64 letters, digits, `-` and `_`", permanent=True)
    login = _login(target, environ)
    if isinstance(login, Failed):
        return login
    headers = {"Content-Type": "application/json", **login} if body else login
    url = f"{str(target.get('url') or '').rstrip('/')}/{path}"
    limit = HISTORY_LIMIT if method == "GET" else 64 * 1024
    return exchange(Request(method, url, body, headers, limit), environ, timeout)


def _login(target: JsonObject, environ: Mapping[str, str]) -> dict[str, str] | Failed:
    values = []
    names = [target["token_env"]] if target.get("token_env") else [target.get("user_env"), target.get("password_env")]
    for name in names:
        value = secret(name, environ) if name else None
        if isinstance(value, Failed):
            return value
        values.append(value)
    if target.get("token_env"):
        return {"Authorization": f"Bearer {values[0]}"}
    if values[0] is None:
        return {}
    pair = f"{values[0]}:{values[1] or ''}".encode(errors="surrogateescape")
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}


def _payload(target: JsonObject, message: Message) -> bytes:
    """The request: not a byte longer than the server takes, JSON's own escapes counted."""
    room = MESSAGE_LIMIT
    while True:
        body = cut_text(message.body, room)
        found = json.dumps(_fields(target, message, body), ensure_ascii=False).encode(errors="replace")
        excess = len(found) - REQUEST_LIMIT
        if excess <= 0 or room == 0:
            return found
        room = max(0, min(room, len(body.encode())) - max(1, excess // 2))


def _fields(target: JsonObject, message: Message, body: str) -> JsonObject:
    fields: JsonObject = {
        "topic": target["topic"],
        "title": cut_line(" ".join(message.title.split()), TITLE_LIMIT),
        "message": body,
        "tags": list(message.tags),
        "priority": min(max(message.priority, 1), 5),
        "sequence_id": _sequence_id(message.message_id),
        "click": message.click,
        "actions": list(message.actions[:ACTIONS_LIMIT]),
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
