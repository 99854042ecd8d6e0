"""The dialect of Google's Generative Language API: `/v1beta/models/MODEL:generateContent`, or streaming."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.modelserver.dialect import Call, HttpAnswer, data_event, find_shell, halves, shell_use, words_in
from runner.modelserver.scenario import Answer, Refusal, Tokens

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject
    from runner.modelserver.scenario import RefusalKind

_PATH = re.compile(r"/v1(?:beta|alpha)?/models/(?P<model>[^/:]+):(?P<verb>\w+)")
_VERBS = ("generateContent", "streamGenerateContent")
_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. To monitor your current usage, "
    "head to: https://ai.dev/usage?tab=rate-limit. \n* Quota exceeded for metric: "
    "generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: {limit}, model: {model}"
)
# kind: (HTTP status, status in the body, message)
_ERRORS: dict[RefusalKind, tuple[int, str, str]] = {
    "rate_limit": (429, "RESOURCE_EXHAUSTED", _QUOTA.replace("{limit}", "5")),
    "usage_limit": (429, "RESOURCE_EXHAUSTED", "You have exhausted your capacity on this model."),
    "billing": (429, "RESOURCE_EXHAUSTED", _QUOTA.replace("{limit}", "250")),  # of the day: this API knows no credit
    "model_not_found": (
        404,
        "NOT_FOUND",
        (
            "models/{model} is not found for API version v1beta, or is not supported for generateContent. "
            "Call ListModels to see the list of available models and their supported methods."
        ),
    ),
    "auth": (400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
    "overloaded": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "server": (
        500,
        "INTERNAL",
        (
            "An internal error has occurred. Please retry or report in "
            "https://developers.generativeai.google/guide/troubleshooting"
        ),
    ),
}


def read(path: str, body: JsonObject) -> Call | None:
    match = _PATH.fullmatch(path)
    if match is None or match["verb"] not in _VERBS:
        return None
    parts = list(_parts(body))
    declared = (tool for group in body.get("tools") or () for tool in group.get("functionDeclarations") or ())
    tools = (
        (str(tool.get("name")), tool.get("parametersJsonSchema") or tool.get("parameters") or {}) for tool in declared
    )
    return Call(
        match["model"],
        match["verb"] == "streamGenerateContent",
        tuple(str(part["text"]) for part in parts if "text" in part),
        sum("functionResponse" in part for part in parts),
        find_shell(tools),
    )


def _parts(body: JsonObject) -> Iterator[JsonObject]:
    """Yield the parts of the user's turns; a turn without a role is the user's."""
    for content in body.get("contents") or ():
        if content.get("role", "user") != "model":
            yield from content.get("parts") or ()


def side_answer(path: str, body: JsonObject) -> JsonObject | None:
    match = _PATH.fullmatch(path)
    if match is None or match["verb"] != "countTokens":
        return None
    return {"totalTokens": words_in(str(part.get("text", "")) for part in _parts(body))}


def answer(call: Call, answer: Answer, number: int) -> JsonObject:
    return _chunk(call, number, list(_answer_parts(call, answer)), _ending(answer.tokens))


def stream(call: Call, answer: Answer, number: int) -> list[bytes]:
    *parts, last = _answer_parts(call, answer)
    chunks = [_chunk(call, number, [part]) for part in parts]
    return [*map(data_event, chunks), data_event(_chunk(call, number, [last], _ending(answer.tokens)))]


def refuse(call: Call, refusal: Refusal, number: int, now: float) -> HttpAnswer:  # noqa: ARG001  (it sends waits, not times)
    return HttpAnswer(_ERRORS[refusal.kind][0], {}, _error(call, refusal))


def stream_error(call: Call, refusal: Refusal) -> bytes:
    return data_event(_error(call, refusal))


def _answer_parts(call: Call, answer: Answer) -> Iterator[JsonObject]:
    if answer.thinking is not None:
        yield {"text": answer.thinking, "thought": True}
    for text in halves(answer.text):
        yield {"text": text}
    if use := shell_use(call, answer):
        yield {"functionCall": {"name": use.name, "args": use.arguments}}


def _chunk(call: Call, number: int, parts: list[JsonObject], ending: JsonObject | None = None) -> JsonObject:
    """Make a chunk; `ending` holds what only the last one has: the finish reason and the usage."""
    last = ending or {}
    candidate = {"index": 0, "content": {"role": "model", "parts": parts}, **last.get("candidate", {})}
    usage = {"usageMetadata": last["usage"]} if last else {}
    return {"candidates": [candidate], **usage, "modelVersion": call.model, "responseId": f"scripted{number:06}"}


def _ending(tokens: Tokens) -> JsonObject:
    """Thoughts are not in the candidates' count; what was written to the cache is part of the prompt."""
    usage = {
        "promptTokenCount": tokens.input_tokens,
        "cachedContentTokenCount": tokens.cache_read,
        "candidatesTokenCount": tokens.visible,
        "thoughtsTokenCount": tokens.reasoning,
        "totalTokenCount": tokens.input_tokens + tokens.output_tokens,
    }
    return {"candidate": {"finishReason": "STOP"}, "usage": usage}


def _error(call: Call, refusal: Refusal) -> JsonObject:
    code, status, message = _ERRORS[refusal.kind]
    text = message.format(model=call.model)
    wait = refusal.retry_after
    if refusal.kind == "usage_limit" and wait is not None:
        text += f" Your quota will reset after {wait // 3600}h{wait % 3600 // 60}m{wait % 60}s."
    elif refusal.kind in ("rate_limit", "billing") and wait is not None:
        text += f"\nPlease retry in {wait}s."
    error = {"code": code, "message": text, "status": status}
    details = _details(call, refusal)
    return {"error": {**error, "details": details} if details else error}


def _details(call: Call, refusal: Refusal) -> list[JsonObject]:
    details: list[JsonObject] = []
    match refusal.kind:
        case "auth":
            details = [_info("API_KEY_INVALID", "googleapis.com")]
        case "usage_limit":
            details = [_info("RATE_LIMIT_EXCEEDED", "cloudcode-pa.googleapis.com")]
        case "rate_limit":
            details = [_violated("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", call.model)]
        case "billing":
            details = [_violated("GenerateRequestsPerDayPerProjectPerModel-FreeTier", call.model)]
    if refusal.retry_after is not None:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{refusal.retry_after}s"})
    return details


def _info(reason: str, domain: str) -> JsonObject:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": domain}


def _violated(quota: str, model: str) -> JsonObject:
    violation = {
        "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
        "quotaId": quota,
        "quotaDimensions": {"location": "global", "model": model},
    }
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]}
