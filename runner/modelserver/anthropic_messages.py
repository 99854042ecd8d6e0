"""The dialect of the Anthropic Messages API: `POST /v1/messages`, whole or as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator

from runner.modelserver.dialect import Call, HttpAnswer, event, find_shell, halves, shell_use, words_in
from runner.modelserver.scenario import Answer, Refusal, Tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runner.model import JsonObject
    from runner.modelserver.scenario import RefusalKind

_ERRORS: dict[RefusalKind, tuple[int, str, str]] = {
    "rate_limit": (
        429,
        "rate_limit_error",
        "This request would exceed your organization's rate limit of 30,000 input tokens per minute.",
    ),
    "usage_limit": (429, "rate_limit_error", "This request would exceed your account's usage limit."),
    "billing": (
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
    ),
    "model_not_found": (404, "not_found_error", "model: {model}"),
    "auth": (401, "authentication_error", "invalid x-api-key"),
    "overloaded": (529, "overloaded_error", "Overloaded"),
    "server": (500, "api_error", "Internal server error"),
}


def read(path: str, body: JsonObject) -> Call | None:
    if path != "/v1/messages":
        return None
    texts: list[str] = []
    tool_results = 0
    for block in _user_blocks(body):
        if block.get("type") == "text":
            texts.append(str(block.get("text", "")))
        elif block.get("type") == "tool_result":
            tool_results += 1
    tools = ((str(tool.get("name")), tool.get("input_schema") or {}) for tool in body.get("tools") or ())
    return Call(str(body.get("model")), bool(body.get("stream")), tuple(texts), tool_results, find_shell(tools))


def _user_blocks(body: JsonObject) -> Iterator[JsonObject]:
    for message in body.get("messages") or ():
        if message.get("role") != "user":
            continue
        content = message.get("content")
        yield from [{"type": "text", "text": content}] if isinstance(content, str) else content or ()


def side_answer(path: str, body: JsonObject) -> JsonObject | None:
    if path != "/v1/messages/count_tokens":
        return None
    return {"input_tokens": words_in(str(block.get("text", "")) for block in _user_blocks(body))}


def answer(call: Call, answer: Answer, number: int) -> JsonObject:
    tokens = answer.tokens
    return {
        **_envelope(call, number, list(_blocks(call, answer, number))),
        "stop_reason": _stop_reason(call, answer),
        "usage": _usage(tokens, tokens.output_tokens),
    }


def stream(call: Call, answer: Answer, number: int) -> list[bytes]:
    # The count of the output is not known at the start; the service sends 1 there.
    opening = {**_envelope(call, number, []), "stop_reason": None, "usage": _usage(answer.tokens, 1)}
    events = [event("message_start", {"type": "message_start", "message": opening}), event("ping", {"type": "ping"})]
    for index, block in enumerate(_blocks(call, answer, number)):
        events += _block_events(index, block)
    ending = {
        "type": "message_delta",
        "delta": {"stop_reason": _stop_reason(call, answer), "stop_sequence": None},
        "usage": {"output_tokens": answer.tokens.output_tokens},
    }
    return [*events, event("message_delta", ending), event("message_stop", {"type": "message_stop"})]


def refuse(call: Call, refusal: Refusal, number: int, now: float) -> HttpAnswer:
    status = _ERRORS[refusal.kind][0]
    headers = {"request-id": f"req_scripted{number:06}"}
    if refusal.retry_after is not None:
        headers["retry-after"] = str(refusal.retry_after)
    if refusal.kind == "usage_limit":
        headers |= _plan_headers(int(now) + (refusal.retry_after or 0))
    return HttpAnswer(status, headers, _error(call, refusal))


def stream_error(call: Call, refusal: Refusal) -> bytes:
    return event("error", _error(call, refusal))


def _error(call: Call, refusal: Refusal) -> JsonObject:
    _, kind, message = _ERRORS[refusal.kind]
    return {"type": "error", "error": {"type": kind, "message": message.format(model=call.model)}}


def _plan_headers(resets_at: int) -> dict[str, str]:
    """The headers for a subscription whose window is used up, composed from what the CLIs read."""
    prefix = "anthropic-ratelimit-unified"
    return {
        f"{prefix}-status": "rejected",
        f"{prefix}-reset": str(resets_at),
        f"{prefix}-representative-claim": "five_hour",
        f"{prefix}-5h-status": "rejected",
        f"{prefix}-5h-reset": str(resets_at),
        f"{prefix}-overage-status": "rejected",
        f"{prefix}-overage-disabled-reason": "org_level_disabled",
    }


def _envelope(call: Call, number: int, content: list[JsonObject]) -> JsonObject:
    return {
        "id": f"msg_scripted{number:06}",
        "type": "message",
        "role": "assistant",
        "model": call.model,
        "content": content,
        "stop_sequence": None,
    }


def _usage(tokens: Tokens, output_tokens: int) -> JsonObject:
    return {
        "input_tokens": tokens.fresh,
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cache_read,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


def _stop_reason(call: Call, answer: Answer) -> str:
    return "tool_use" if shell_use(call, answer) else "end_turn"


def _blocks(call: Call, answer: Answer, number: int) -> Iterator[JsonObject]:
    if answer.thinking is not None:
        yield {"type": "thinking", "thinking": answer.thinking, "signature": "c2NyaXB0ZWQ="}
    yield {"type": "text", "text": answer.text}
    if use := shell_use(call, answer):
        yield {"type": "tool_use", "id": f"toolu_scripted{number:06}", "name": use.name, "input": use.arguments}


def _block_events(index: int, block: JsonObject) -> list[bytes]:
    """A block's start, its content as deltas, its stop."""
    empty: dict[str, Any]
    if block["type"] == "thinking":
        empty = {"thinking": "", "signature": ""}
        deltas = [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": block["signature"]},
        ]
    elif block["type"] == "text":
        empty = {"text": ""}
        deltas = [{"type": "text_delta", "text": part} for part in halves(block["text"])]
    else:
        empty = {"input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
    start = {"type": "content_block_start", "index": index, "content_block": {**block, **empty}}
    return [
        event("content_block_start", start),
        *(event("content_block_delta", {"type": "content_block_delta", "index": index, "delta": d}) for d in deltas),
        event("content_block_stop", {"type": "content_block_stop", "index": index}),
    ]
