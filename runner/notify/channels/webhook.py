"""Messages as a JSON object by POST, signed.

target: url, or url_env where the URL itself is a secret; secret_env for the signature; headers, more of them.
Any 2xx answer means sent, as a webhook has no answer of its own; so a captive portal that answers 200 is believed.

The receiver checks `X-Runner-Signature: sha256=HEX`, the HMAC-SHA256 by the secret of `TIMESTAMP.BODY`, where TIMESTAMP
is the header X-Runner-Timestamp (seconds since the epoch), and refuses an old one: a recorded request is of no use.
"""

from __future__ import annotations

import hmac
import json
import time
from collections.abc import Mapping

from runner.model import JsonObject
from runner.notify.channels.base import Delivery, Failed, Message, Sent, secret
from runner.notify.channels.http import Request, exchange


def send(target: JsonObject, message: Message, environ: Mapping[str, str], timeout: float) -> Delivery:
    """POST the message with its record; `message_id` in it is the same when it is sent again."""
    url = secret(target["url_env"], environ) if target.get("url_env") else target.get("url")
    if isinstance(url, Failed):
        return url
    fields = {
        "message_id": message.message_id,
        "title": message.title,
        "body": message.body,
        "tags": list(message.tags),
        "priority": message.priority,
        "click": message.click,
        "record": message.record,
    }
    body = json.dumps(fields, ensure_ascii=False).encode(errors="replace")
    signature = _signature(target, body, environ)
    if isinstance(signature, Failed):
        return signature
    headers = {**(target.get("headers") or {}), "Content-Type": "application/json", **signature}
    answer = exchange(Request("POST", str(url or ""), body, headers), environ, timeout)
    return answer if isinstance(answer, Failed) else Sent(None)


def _signature(target: JsonObject, body: bytes, environ: Mapping[str, str]) -> dict[str, str] | Failed:
    if not target.get("secret_env"):
        return {}
    key = secret(target["secret_env"], environ)
    if isinstance(key, Failed):
        return key
    timestamp = str(int(time.time()))
    signed = hmac.new(key.encode(errors="surrogateescape"), f"{timestamp}.".encode() + body, "sha256")
    return {"X-Runner-Timestamp": timestamp, "X-Runner-Signature": f"sha256={signed.hexdigest()}"}
