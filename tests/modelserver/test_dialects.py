"""The other dialects of the scripted model server, each spoken to in plain HTTP as its clients do."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from runner.modelserver import SCENARIOS, ModelServer, Tokens
from runner.modelserver.scenario import Answer
from tests.modelserver.test_server import request

if TYPE_CHECKING:
    from collections.abc import Callable

HELLO = SCENARIOS["hello"].turns[0]
assert isinstance(HELLO, Answer)
SCHEMA = {"type": "object", "properties": {"cmd": {"type": "string"}}}
PROMPT = "plane 0 é, plane 1 𝄞, NUL \0, line\u2028break"
MODEL = "m-1"


@dataclass(frozen=True)
class Heard:
    """What a client understands of a whole answer."""

    text: str
    thinking: str
    command: str | None
    input_tokens: int
    cached: int
    output_tokens: int
    reasoning: int
    finish: str


@dataclass(frozen=True)
class Speaker:
    """A client of one dialect. `body` makes a conversation with n tool results, and the tools."""

    name: str
    path: Callable[[bool], str]
    body: Callable[[int], dict[str, Any]]
    whole: Callable[[dict[str, Any]], Heard]
    streamed: Callable[[bytes], Heard]

    def ask(self, server: ModelServer, *, stream: bool, results: int = 0) -> tuple[int, dict[str, str], bytes]:
        body = {"model": MODEL, "stream": stream, **self.body(results)}
        return request(server, "POST", self.path(stream), json.dumps(body).encode())

    def hear(self, stream: bool, body: bytes) -> Heard:
        return self.streamed(body) if stream else self.whole(json.loads(body))


def events(body: bytes) -> list[tuple[str | None, dict[str, Any]]]:
    """Server-sent events as (name, data); the closing [DONE] left out."""
    found = []
    for block in body.decode().strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        if lines["data"] != "[DONE]":
            found.append((lines.get("event"), json.loads(lines["data"])))
    return found


def chat_body(results: int) -> dict[str, Any]:
    parts = [{"type": "text", "text": PROMPT}, {"type": "image_url", "image_url": {"url": "x"}}]
    conversation = [{"role": "system", "content": "not the user's"}, {"role": "user", "content": parts}]
    conversation += [{"role": "tool", "tool_call_id": "x", "content": "done"}] * results
    tool = {"type": "function", "function": {"name": "run_shell_command", "parameters": SCHEMA}}
    return {"messages": [*conversation, {"role": "user", "content": "Go on."}], "tools": [tool]}


def chat_heard(message: dict[str, Any], finish: str, usage: dict[str, Any]) -> Heard:
    calls = message.get("tool_calls") or []
    assert all(call["type"] == "function" and call["function"]["name"] == "run_shell_command" for call in calls)
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    return Heard(
        message["content"],
        message.get("reasoning_content", ""),
        json.loads(calls[0]["function"]["arguments"])["cmd"] if calls else None,
        usage["prompt_tokens"],
        usage["prompt_tokens_details"]["cached_tokens"],
        usage["completion_tokens"],
        usage["completion_tokens_details"]["reasoning_tokens"],
        finish,
    )


def chat_whole(answer: dict[str, Any]) -> Heard:
    (choice,) = answer["choices"]
    return chat_heard(choice["message"], choice["finish_reason"], answer["usage"])


def chat_streamed(body: bytes) -> Heard:
    assert body.endswith(b"data: [DONE]\n\n")
    chunks = [data for _, data in events(body)]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    deltas = [choice["delta"] for choice in choices]
    message = {
        "content": "".join(delta.get("content", "") for delta in deltas),
        "reasoning_content": "".join(delta.get("reasoning_content", "") for delta in deltas),
        "tool_calls": [call for delta in deltas for call in delta.get("tool_calls", [])],
    }
    return chat_heard(message, choices[-1]["finish_reason"], chunks[-1]["usage"])


def responses_body(results: int) -> dict[str, Any]:
    user = [{"type": "input_text", "text": PROMPT}, {"type": "input_image", "image_url": "x"}]
    items: list[dict[str, Any]] = [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "not the user's"}]},
        {"type": "message", "role": "user", "content": user},
    ]
    items += [{"type": "function_call_output", "call_id": "x", "output": "done"}] * results
    items.append({"role": "user", "content": "Go on."})
    return {"input": items, "tools": [{"type": "function", "name": "exec_command", "parameters": SCHEMA}]}


def responses_whole(answer: dict[str, Any]) -> Heard:
    items = {item["type"]: item for item in answer["output"]}
    use = items.get("function_call")
    usage = answer["usage"]
    assert use is None or use["name"] == "exec_command"
    assert usage["input_tokens_details"]["cache_write_tokens"] % 16 == 0
    return Heard(
        items["message"]["content"][0]["text"],
        items["reasoning"]["summary"][0]["text"] if "reasoning" in items else "",
        json.loads(use["arguments"])["cmd"] if use else None,
        usage["input_tokens"],
        usage["input_tokens_details"]["cached_tokens"],
        usage["output_tokens"],
        usage["output_tokens_details"]["reasoning_tokens"],
        answer["status"],
    )


def responses_streamed(body: bytes) -> Heard:
    told = events(body)
    assert [name for name, _ in told] == [data["type"] for _, data in told]
    assert [data["sequence_number"] for _, data in told] == list(range(len(told)))
    finished = [data["item"] for name, data in told if name == "response.output_item.done"]
    heard = responses_whole(told[-1][1]["response"])
    assert told[-1][1]["response"]["output"] == finished
    assert (joined(told, "output_text"), joined(told, "reasoning_summary_text")) == (heard.text, heard.thinking)
    assert json.loads(joined(told, "function_call_arguments") or "{}").get("cmd") == heard.command
    return heard


def joined(told: list[tuple[str | None, dict[str, Any]]], kind: str) -> str:
    return "".join(data["delta"] for name, data in told if name == f"response.{kind}.delta")


def content_path(stream: bool) -> str:
    return f"/v1beta/models/{MODEL}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")


def content_body(results: int) -> dict[str, Any]:
    contents: list[dict[str, Any]] = [
        {"role": "model", "parts": [{"text": "not the user's"}]},
        {"role": "user", "parts": [{"text": PROMPT}, {"inlineData": {}}]},
    ]
    answered = {"functionResponse": {"name": "run_shell_command", "response": {"output": "done"}}}
    contents += [{"role": "user", "parts": [answered]}] * results
    contents.append({"parts": [{"text": "Go on."}]})
    declared = [
        {"name": "read_file"},
        {"name": "run_shell_command", "parametersJsonSchema": SCHEMA},
    ]
    return {"contents": contents, "tools": [{"googleSearch": {}}, {"functionDeclarations": declared}]}


def content_heard(chunks: list[dict[str, Any]]) -> Heard:
    parts = [part for chunk in chunks for part in chunk["candidates"][0]["content"]["parts"]]
    uses = [part["functionCall"] for part in parts if "functionCall" in part]
    assert [use["name"] for use in uses] in ([], ["run_shell_command"])
    assert all("usageMetadata" not in chunk for chunk in chunks[:-1])
    usage = chunks[-1]["usageMetadata"]
    counts = [usage[f"{name}TokenCount"] for name in ("prompt", "candidates", "thoughts")]
    assert usage["totalTokenCount"] == sum(counts)
    return Heard(
        "".join(part["text"] for part in parts if "text" in part and not part.get("thought")),
        "".join(part["text"] for part in parts if part.get("thought")),
        uses[0]["args"]["cmd"] if uses else None,
        counts[0],
        usage["cachedContentTokenCount"],
        counts[1] + counts[2],
        counts[2],
        chunks[-1]["candidates"][0]["finishReason"],
    )


CHAT = Speaker("chat", lambda _: "/v1/chat/completions", chat_body, chat_whole, chat_streamed)
RESPONSES = Speaker("responses", lambda _: "/v1/responses", responses_body, responses_whole, responses_streamed)
CONTENT = Speaker(
    "content",
    content_path,
    content_body,
    lambda answer: content_heard([answer]),
    lambda body: content_heard([data for _, data in events(body)]),
)
SPEAKERS = [CHAT, RESPONSES, CONTENT]
FINISH = {"chat": ("stop", "tool_calls"), "responses": ("completed",) * 2, "content": ("STOP",) * 2}

each_speaker = pytest.mark.parametrize("speaker", SPEAKERS, ids=lambda speaker: speaker.name)
whole_or_not = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def heard(answer: Answer, finish: str) -> Heard:
    tokens = answer.tokens
    return Heard(
        answer.text,
        answer.thinking or "",
        answer.command,
        tokens.input_tokens,
        tokens.cache_read,
        tokens.output_tokens,
        tokens.reasoning,
        finish,
    )


@each_speaker
@whole_or_not
@pytest.mark.parametrize("scenario", ["hello", "mention"])
def test_an_answer(speaker: Speaker, stream: bool, scenario: str) -> None:
    expected = SCENARIOS[scenario].turns[0]
    assert isinstance(expected, Answer)
    with ModelServer(scenario) as server:
        status, headers, body = speaker.ask(server, stream=stream)
    assert (status, headers["content-type"]) == (200, "text/event-stream" if stream else "application/json")
    assert speaker.hear(stream, body) == heard(expected, FINISH[speaker.name][0])
    assert server.usage == expected.tokens
    assert [(call.model, call.stream, tokens) for call, tokens in server.answered] == [(MODEL, stream, expected.tokens)]


@each_speaker
@whole_or_not
@pytest.mark.parametrize("scenario", ["commit", "edit", "toolfail"])
def test_the_shell_tool_is_called_once(speaker: Speaker, stream: bool, scenario: str) -> None:
    first, last = SCENARIOS[scenario].turns
    assert isinstance(first, Answer)
    assert isinstance(last, Answer)
    with ModelServer(scenario) as server:
        asked = [speaker.hear(stream, speaker.ask(server, stream=stream, results=n)[2]) for n in (0, 1)]
    finish = FINISH[speaker.name]
    assert asked == [heard(first, finish[1]), heard(last, finish[0])]
    assert server.usage == Tokens(2703, 640, 48, 64, 12)


@each_speaker
def test_prompts_arrive_unchanged(speaker: Speaker) -> None:
    with ModelServer("hello") as server:
        speaker.ask(server, stream=False, results=2)
    assert server.prompts == [f"{PROMPT}\nGo on."]
    assert [call.tool_results for call in server.calls] == [2]


REFUSALS = [
    # scenario, status, what the error says, its announced wait
    (CHAT, "ratelimit", 429, "rate_limit_exceeded", "Please try again in 2s."),
    (CHAT, "ratelimit-bare", 429, "rate_limit_exceeded", "Requested 12000. Visit"),
    (
        CHAT,
        "planlimit",
        429,
        "rate_limit_exceeded",
        "(RPD): Limit 200, Used 200, Requested 1. Please try again in 3h0m0s.",
    ),
    (CHAT, "quota", 429, "insufficient_quota", "check your plan and billing details"),
    (CHAT, "modelnotfound", 404, "model_not_found", "The model `m-1` does not exist"),
    (CHAT, "auth", 401, "invalid_api_key", "Incorrect API key provided"),
    (CHAT, "overloaded", 503, "server_is_overloaded", "currently overloaded"),
    (CHAT, "crash500", 500, None, "The server had an error"),
    (RESPONSES, "ratelimit", 429, "rate_limit_exceeded", "Please try again in 2s."),
    (RESPONSES, "quota", 429, "insufficient_quota", "check your plan and billing details"),
    (RESPONSES, "modelnotfound", 400, "model_not_found", "The requested model 'm-1' does not exist."),
    (RESPONSES, "auth", 401, "invalid_api_key", "Incorrect API key provided"),
    (RESPONSES, "overloaded", 503, "server_is_overloaded", "currently overloaded"),
    (RESPONSES, "crash500", 500, None, "The server had an error"),
    (CONTENT, "ratelimit", 429, "RESOURCE_EXHAUSTED", "Please retry in 2s."),
    (CONTENT, "ratelimit-bare", 429, "RESOURCE_EXHAUSTED", "limit: 5, model: m-1"),
    (CONTENT, "planlimit", 429, "RESOURCE_EXHAUSTED", "Your quota will reset after 3h0m0s."),
    (CONTENT, "quota", 429, "RESOURCE_EXHAUSTED", "limit: 250, model: m-1"),
    (CONTENT, "modelnotfound", 404, "NOT_FOUND", "models/m-1 is not found for API version v1beta"),
    (CONTENT, "auth", 400, "INVALID_ARGUMENT", "API key not valid."),
    (CONTENT, "overloaded", 503, "UNAVAILABLE", "The model is overloaded."),
    (CONTENT, "crash500", 500, "INTERNAL", "An internal error has occurred."),
]


@whole_or_not
@pytest.mark.parametrize(
    ("speaker", "scenario", "status", "code", "text"), REFUSALS, ids=[f"{row[0].name}-{row[1]}" for row in REFUSALS]
)
def test_refusals(speaker: Speaker, scenario: str, status: int, code: str | None, text: str, stream: bool) -> None:
    with ModelServer(scenario) as server:
        got, _, body = speaker.ask(server, stream=stream)
    error = json.loads(body)["error"]
    assert (got, error["status" if speaker is CONTENT else "code"]) == (status, code)
    assert text in error["message"]
    assert server.answered == []


@pytest.mark.parametrize("speaker", [CHAT, RESPONSES], ids=lambda speaker: speaker.name)
def test_a_wait_stands_in_the_headers(speaker: Speaker) -> None:
    with ModelServer("ratelimit") as server:
        _, headers, _ = speaker.ask(server, stream=True)
    assert (headers["retry-after"], headers["retry-after-ms"]) == ("2", "2000")
    with ModelServer("ratelimit-bare") as server:
        _, headers, _ = speaker.ask(server, stream=True)
    assert "retry-after" not in headers


@pytest.mark.parametrize(
    ("scenario", "reason", "wait"),
    [
        ("ratelimit", "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "2s"),
        ("ratelimit-bare", "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", None),
        ("quota", "GenerateRequestsPerDayPerProjectPerModel-FreeTier", None),
        ("planlimit", "RATE_LIMIT_EXCEEDED", "10800s"),
        ("auth", "API_KEY_INVALID", None),
    ],
)
def test_a_wait_stands_in_the_details(scenario: str, reason: str, wait: str | None) -> None:
    with ModelServer(scenario) as server:
        details = json.loads(CONTENT.ask(server, stream=True)[2])["error"]["details"]
    reasons = [detail.get("reason") or detail["violations"][0]["quotaId"] for detail in details[:1]]
    waits = [detail["retryDelay"] for detail in details if detail["@type"].endswith("RetryInfo")]
    assert (reasons, waits) == ([reason], [wait] if wait else [])


def test_the_plan_limit_says_when_the_window_resets() -> None:
    before = int(time.time())
    with ModelServer("planlimit") as server:
        status, headers, body = RESPONSES.ask(server, stream=True)
    error = json.loads(body)["error"]
    assert (status, error["type"], error["resets_in_seconds"]) == (429, "usage_limit_reached", 10800)
    assert before + 10800 <= error["resets_at"] <= time.time() + 10800
    assert "retry-after" not in headers


@each_speaker
def test_an_error_within_the_stream_and_the_whole_answer_without(speaker: Speaker) -> None:
    with ModelServer("streamlimit-late") as server:
        told = events(speaker.ask(server, stream=True)[2])
        assert server.usage == Tokens()
        assert speaker.ask(server, stream=False)[0] == 200
    last = told[-1][1]
    error = (last.get("response") or last)["error"]
    assert len(told) > 2
    assert error["code"] == ("rate_limit_exceeded" if speaker is RESPONSES else 429)
    assert last.get("type") == ("response.failed" if speaker is RESPONSES else None)
    assert server.usage == HELLO.tokens


@each_speaker
def test_a_stream_that_breaks_off(speaker: Speaker) -> None:
    with ModelServer("broken") as server, pytest.raises(http.client.IncompleteRead) as caught:
        speaker.ask(server, stream=True)
    assert events(caught.value.partial)
    assert server.answered == []


@each_speaker
@pytest.mark.parametrize(("scenario", "kind"), [("reset", ConnectionResetError), ("flaky", None)])
def test_a_dropped_connection_and_a_recovered_limit(
    speaker: Speaker, scenario: str, kind: type[OSError] | None
) -> None:
    with ModelServer(scenario) as server:
        if kind:
            with pytest.raises(kind):
                speaker.ask(server, stream=True)
        else:
            assert [speaker.ask(server, stream=True)[0] for _ in range(3)] == [429, 429, 200]


def test_a_text_alone_where_no_tool_is_offered() -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Do it."}]}
    with ModelServer("commit") as server:
        answer = json.loads(request(server, "POST", "/v1/chat/completions", json.dumps(body).encode())[2])
    assert chat_whole(answer).command is None
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert server.prompts == ["Do it."]


def test_a_prompt_as_one_string() -> None:
    body = json.dumps({"model": MODEL, "input": "Say hello."}).encode()
    with ModelServer("hello") as server:
        assert request(server, "POST", "/v1/responses", body)[0] == 200
    assert server.prompts == ["Say hello."]


def test_counting_tokens_is_not_a_call() -> None:
    body = json.dumps({"contents": [{"parts": [{"text": "one two three"}]}]}).encode()
    with ModelServer("hang") as server:
        answer = request(server, "POST", f"/v1beta/models/{MODEL}:countTokens", body)[2]
        assert request(server, "POST", f"/v1beta/models/{MODEL}:embedContent", body)[0] == 404
    assert json.loads(answer) == {"totalTokens": 3}
    assert server.calls == []
