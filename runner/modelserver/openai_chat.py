"""The dialect of the OpenAI Chat Completions API: `POST /v1/chat/completions`, whole or as server-sent events.

Its errors are those of the other OpenAI API, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from runner.modelserver.dialect import CREATED, Call, HttpAnswer, data_event, find_shell, halves, shell_use
from runner.modelserver.scenario import Answer, Refusal, Tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject
    from runner.modelserver.scenario import RefusalKind

_END = b"data: [DONE]\n\n"
_LIMITS = "Visit https://platform.openai.com/account/rate-limits to learn more."
# kind: (HTTP status, type, code, message)
_ERRORS: dict[RefusalKind, tuple[int, str, str | None, str]] = {
    "rate_limit": (
        429,
        "tokens",
        "rate_limit_exceeded",
        "Rate limit reached for {model} in organization org-scripted on tokens per min (TPM): "
        "Limit 30000, Used 29500, Requested 12000. {wait}" + _LIMITS,
    ),
    "usage_limit": (
        429,
        "requests",
        "rate_limit_exceeded",
        "Rate limit reached for {model} in organization org-scripted on requests per day (RPD): "
        "Limit 200, Used 200, Requested 1. {wait}" + _LIMITS,
    ),
    "billing": (
        429,
        "insufficient_quota",
        "insufficient_quota",
        (
            "You exceeded your current quota, please check your plan and billing details. For more information on this "
            "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
        ),
    ),
    "model_not_found": (
        404,
        "invalid_request_error",
        "model_not_found",
        "The model `{model}` does not exist or you do not have access to it.",
    ),
    "auth": (
        401,
        "invalid_request_error",
        "invalid_api_key",
        (
            "Incorrect API key provided: scripted. You can find your API key at "
            "https://platform.openai.com/account/api-keys."
        ),
    ),
    "overloaded": (
        503,
        "server_error",
        "server_is_overloaded",
        "The server is currently overloaded with other requests. Sorry about that! Please retry your request.",
    ),
    "server": (500, "server_error", None, "The server had an error while processing your request. Sorry about that!"),
}


def read(path: str, body: JsonObject) -> Call | None:
    if path != "/v1/chat/completions":
        return None
    messages = body.get("messages") or ()
    tools = (tool.get("function") or {} for tool in body.get("tools") or ())
    return Call(
        str(body.get("model")),
        bool(body.get("stream")),
        tuple(text for message in messages if message.get("role") == "user" for text in _texts(message)),
        sum(message.get("role") == "tool" for message in messages),
        find_shell((str(tool.get("name")), tool.get("parameters") or {}) for tool in tools),
    )


def _texts(message: JsonObject) -> Iterator[str]:
    content = message.get("content")
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content or ():
        if part.get("type") == "text":
            yield str(part.get("text", ""))


def side_answer(path: str, body: JsonObject) -> JsonObject | None:  # noqa: ARG001  (this API has nothing but calls)
    return None


def answer(call: Call, answer: Answer, number: int) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": answer.text}
    if answer.thinking is not None:
        message["reasoning_content"] = answer.thinking
    if tool_calls := _tool_calls(call, answer, number):
        message["tool_calls"] = tool_calls
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(call, answer)}
    return {**_envelope(call, number, "chat.completion"), "choices": [choice], "usage": _usage(answer.tokens)}


def stream(call: Call, answer: Answer, number: int) -> list[bytes]:
    envelope = _envelope(call, number, "chat.completion.chunk")
    chunks = [
        {**envelope, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in _deltas(call, answer, number)
    ]
    ending = {"index": 0, "delta": {}, "finish_reason": _finish_reason(call, answer)}
    chunks += [{**envelope, "choices": [ending]}, {**envelope, "choices": [], "usage": _usage(answer.tokens)}]
    return [*map(data_event, chunks), _END]


def error(call: Call, refusal: Refusal) -> JsonObject:
    """The object below `error` in a body."""
    _, kind, code, message = _ERRORS[refusal.kind]
    text = message.format(model=call.model, wait=_wait(refusal.retry_after))
    param = "model" if refusal.kind == "model_not_found" else None
    return {"message": text, "type": kind, "param": param, "code": code}


def refuse(call: Call, refusal: Refusal, number: int, now: float) -> HttpAnswer:  # noqa: ARG001  (it sends waits, not times)
    headers = {"x-request-id": f"req_scripted{number:06}"}
    if refusal.retry_after is not None:
        headers |= {"retry-after": str(refusal.retry_after), "retry-after-ms": str(refusal.retry_after * 1000)}
    return HttpAnswer(_ERRORS[refusal.kind][0], headers, {"error": error(call, refusal)})


def _wait(seconds: int | None) -> str:
    if seconds is None:
        return ""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    return f"Please try again in {f'{hours}h{minutes}m' if hours else ''}{rest}s. "


def stream_error(call: Call, refusal: Refusal) -> bytes:
    # not documented for this API itself; the gateways that speak it give the HTTP status as the code
    return data_event({"error": {**error(call, refusal), "code": _ERRORS[refusal.kind][0]}})


def _deltas(call: Call, answer: Answer, number: int) -> Iterator[JsonObject]:
    yield {"role": "assistant", "content": ""}
    if answer.thinking is not None:
        yield {"reasoning_content": answer.thinking}
    for part in halves(answer.text):
        yield {"content": part}
    for index, tool_call in enumerate(_tool_calls(call, answer, number)):
        yield {"tool_calls": [{"index": index, **tool_call}]}


def _tool_calls(call: Call, answer: Answer, number: int) -> list[JsonObject]:
    use = shell_use(call, answer)
    if use is None:
        return []
    function = {"name": use.name, "arguments": json.dumps(use.arguments)}
    return [{"id": f"call_scripted{number:06}", "type": "function", "function": function}]


def _finish_reason(call: Call, answer: Answer) -> str:
    return "tool_calls" if shell_use(call, answer) else "stop"


def _envelope(call: Call, number: int, kind: str) -> JsonObject:
    return {"id": f"chatcmpl-scripted{number:06}", "object": kind, "created": CREATED, "model": call.model}


def _usage(tokens: Tokens) -> JsonObject:
    """This API does not report what was written to the cache: it is part of the prompt."""
    return {
        "prompt_tokens": tokens.input_tokens,
        "completion_tokens": tokens.output_tokens,
        "total_tokens": tokens.input_tokens + tokens.output_tokens,
        "prompt_tokens_details": {"cached_tokens": tokens.cache_read},
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }
