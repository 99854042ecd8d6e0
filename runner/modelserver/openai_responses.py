"""The dialect of the OpenAI Responses API: `POST /v1/responses`, whole or as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator

from runner.modelserver import openai_chat
from runner.modelserver.dialect import CREATED, Call, HttpAnswer, event, find_shell, halves, shell_use
from runner.modelserver.scenario import Answer, Refusal, Tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject

_RESULTS = ("function_call_output", "custom_tool_call_output", "local_shell_call_output")


def read(path: str, body: JsonObject) -> Call | None:
    if path != "/v1/responses":
        return None
    items = _items(body)
    return Call(
        str(body.get("model")),
        bool(body.get("stream")),
        tuple(text for item in items if item.get("role") == "user" for text in _texts(item)),
        sum(item.get("type") in _RESULTS for item in items),
        find_shell((str(tool.get("name")), tool.get("parameters") or {}) for tool in body.get("tools") or ()),
    )


def _items(body: JsonObject) -> list[JsonObject]:
    given = body.get("input")
    return [{"role": "user", "content": given}] if isinstance(given, str) else list(given or ())


def _texts(item: JsonObject) -> Iterator[str]:
    content = item.get("content")
    for part in [{"type": "input_text", "text": content}] if isinstance(content, str) else content or ():
        if part.get("type") == "input_text":
            yield str(part.get("text", ""))


def side_answer(path: str, body: JsonObject) -> JsonObject | None:  # noqa: ARG001  (this API has nothing but calls)
    return None


def answer(call: Call, answer: Answer, number: int) -> JsonObject:
    return _completed(call, answer, number)


def stream(call: Call, answer: Answer, number: int) -> list[bytes]:
    opening = _response(call, number, "in_progress", [])
    events: list[JsonObject] = [
        {"type": "response.created", "response": opening},
        {"type": "response.in_progress", "response": opening},
    ]
    for index, item in enumerate(_output(call, answer, number)):
        events += _item_events(index, item)
    events.append({"type": "response.completed", "response": _completed(call, answer, number)})
    return [event(data["type"], {**data, "sequence_number": at}) for at, data in enumerate(events)]


def refuse(call: Call, refusal: Refusal, number: int, now: float) -> HttpAnswer:
    refused = openai_chat.refuse(call, refusal, number, now)
    if refusal.kind == "usage_limit":
        return HttpAnswer(refused.status, {"x-request-id": refused.headers["x-request-id"]}, _plan(refusal, now))
    if refusal.kind == "model_not_found":
        text = f"The requested model '{call.model}' does not exist."
        return HttpAnswer(400, refused.headers, {"error": {**openai_chat.error(call, refusal), "message": text}})
    return refused


def _plan(refusal: Refusal, now: float) -> JsonObject:
    """The error of a subscription whose window is used up, composed from what the CLIs read."""
    wait = refusal.retry_after or 0
    error = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "plan_type": "plus"}
    return {"error": {**error, "resets_at": int(now) + wait, "resets_in_seconds": wait}}


def stream_error(call: Call, refusal: Refusal) -> bytes:
    error = openai_chat.error(call, refusal)
    response = _response(call, 0, "failed", [])
    failed = {**response, "error": {"code": error["code"] or error["type"], "message": error["message"]}}
    return event("response.failed", {"type": "response.failed", "response": failed})


def _completed(call: Call, answer: Answer, number: int) -> JsonObject:
    return _response(call, number, "completed", list(_output(call, answer, number)), _usage(answer.tokens))


def _response(
    call: Call, number: int, status: str, output: list[JsonObject], usage: JsonObject | None = None
) -> JsonObject:
    return {
        "id": f"resp_scripted{number:06}",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "model": call.model,
        "output": output,
        "error": None,
        "usage": usage,
    }


def _usage(tokens: Tokens) -> JsonObject:
    return {
        "input_tokens": tokens.input_tokens,
        "input_tokens_details": {"cached_tokens": tokens.cache_read, "cache_write_tokens": tokens.cache_write},
        "output_tokens": tokens.output_tokens,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.input_tokens + tokens.output_tokens,
    }


def _output(call: Call, answer: Answer, number: int) -> Iterator[JsonObject]:
    if answer.thinking is not None:
        summary = [{"type": "summary_text", "text": answer.thinking}]
        yield {"id": f"rs_scripted{number:06}", "type": "reasoning", "summary": summary}
    content = [{"type": "output_text", "text": answer.text, "annotations": []}]
    yield {
        "id": f"msg_scripted{number:06}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }
    if use := shell_use(call, answer):
        yield {
            "id": f"fc_scripted{number:06}",
            "type": "function_call",
            "status": "completed",
            "call_id": f"call_scripted{number:06}",
            "name": use.name,
            "arguments": json.dumps(use.arguments),
        }


def _item_events(index: int, item: JsonObject) -> Iterator[JsonObject]:
    """An item's start, its content as deltas, its end."""
    emptied: dict[str, JsonObject] = {
        "reasoning": {"summary": []},
        "message": {"content": []},
        "function_call": {"arguments": ""},
    }
    place = {"output_index": index, "item_id": item["id"]}
    yield {
        "type": "response.output_item.added",
        "output_index": index,
        "item": {**item, **emptied[item["type"]], "status": "in_progress"},
    }
    if item["type"] == "reasoning":
        yield from _part_events("reasoning_summary", {**place, "summary_index": 0}, item["summary"][0])
    elif item["type"] == "message":
        yield from _part_events("output", {**place, "content_index": 0}, item["content"][0])
    else:
        kind = "response.function_call_arguments"
        yield {"type": f"{kind}.delta", **place, "delta": item["arguments"]}
        yield {"type": f"{kind}.done", **place, "arguments": item["arguments"]}
    yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _part_events(kind: str, place: JsonObject, part: JsonObject) -> Iterator[JsonObject]:
    part_kind = "content" if kind == "output" else kind
    yield {"type": f"response.{part_kind}_part.added", **place, "part": {**part, "text": ""}}
    for delta in halves(part["text"]):
        yield {"type": f"response.{kind}_text.delta", **place, "delta": delta}
    yield {"type": f"response.{kind}_text.done", **place, "text": part["text"]}
    yield {"type": f"response.{part_kind}_part.done", **place, "part": part}
