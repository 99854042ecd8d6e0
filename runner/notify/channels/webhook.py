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
from runner.notify.channels.http import Request, address_fault, exchange
from runner.notify.channels.settings import headers_fault


def fault(target: JsonObject, environ: Mapping[str, str]) -> Failed | None:
    """What is wrong with the settings."""
    url = _url(target, environ)
    if isinstance(url, Failed):
        return url
    signature = _signature(target, b"", environ)
    odd = signature if isinstance(signature, Failed) else headers_fault(target.get("headers") or {})
    return address_fault(url) or odd


def _url(target: JsonObject, environ: Mapping[str, str]) -> str | Failed:
    return secret(target["url_env"], environ) if target.get("url_env") else str(target.get("url") or "")


def send(target: JsonObject, message: Message, environ: Mapping[str, str], timeout: float) -> Delivery:
    """POST the message with its record; `message_id` in it is the same when it is sent again."""
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
    url = _url(target, environ)
    answer = url if isinstance(url, Failed) else exchange(Request("POST", url, body, headers), environ, timeout)
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
