"""The scripted model server, spoken to in plain HTTP."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from runner.modelserver import SCENARIOS, ModelServer, Tokens
from runner.modelserver.scenario import Answer, Interrupted, Refusal

BASH = {"name": "Bash", "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}}}
HELLO = Tokens(1201, 256, 64, 37, 12)


def request(
    server: ModelServer, method: str, path: str, body: bytes | None = None, timeout: float = 5
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=timeout)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, response.read()
    finally:
        connection.close()


def call_body(*, stream: bool = False, messages: list[Any] | None = None, tools: list[Any] | None = None) -> bytes:
    conversation = messages or [{"role": "user", "content": "Say hello."}]
    return json.dumps({"model": "m-1", "stream": stream, "messages": conversation, "tools": tools or []}).encode()


def ask(server: ModelServer, **call: Any) -> tuple[int, dict[str, str], bytes]:
    return request(server, "POST", "/v1/messages?beta=true", call_body(**call))


def events(body: bytes) -> list[dict[str, Any]]:
    """The data of server-sent events, each checked to name its own type."""
    found = []
    for block in body.decode().strip().split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    return found


def test_hello_whole() -> None:
    with ModelServer("hello") as server:
        status, headers, body = ask(server)
    answer = json.loads(body)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert [block["type"] for block in answer["content"]] == ["thinking", "text"]
    assert (answer["model"], answer["stop_reason"]) == ("m-1", "end_turn")
    assert answer["usage"]["input_tokens"] == 1201
    assert answer["usage"]["cache_read_input_tokens"] == 256
    assert answer["usage"]["cache_creation_input_tokens"] == 64
    assert answer["usage"]["output_tokens"] == 49
    assert server.usage == HELLO
    assert (server.usage.input_tokens, server.usage.output_tokens) == (1521, 49)


def test_hello_streamed_says_the_same() -> None:
    with ModelServer("hello") as server:
        whole = json.loads(ask(server)[2])
        status, headers, body = ask(server, stream=True)
    told = events(body)
    deltas = [event["delta"] for event in told if event["type"] == "content_block_delta"]
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    assert "".join(delta.get("text", "") for delta in deltas) == whole["content"][1]["text"]
    assert "".join(delta.get("thinking", "") for delta in deltas) == whole["content"][0]["thinking"]
    assert told[0]["message"]["usage"]["input_tokens"] == 1201
    assert told[-2]["usage"]["output_tokens"] == 49
    assert told[-2]["delta"]["stop_reason"] == "end_turn"
    assert told[-1] == {"type": "message_stop"}
    assert server.usage == HELLO + HELLO


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("scenario", ["commit", "edit", "toolfail", "sleep"])
def test_the_shell_tool_is_called_once(scenario: str, stream: bool) -> None:
    with ModelServer(scenario) as server:
        first = ask(server, stream=stream, tools=[{"name": "Read", "input_schema": {}}, BASH])[2]
        result = {"type": "tool_result", "tool_use_id": "x", "content": "done"}
        conversation = [{"role": "user", "content": "Do it."}, {"role": "user", "content": [result]}]
        second = ask(server, messages=conversation, tools=[BASH])[2]
    step = SCENARIOS[scenario].turns[0]
    assert isinstance(step, Answer)
    if stream:
        told = events(first)
        use = next(e["content_block"] for e in told if e.get("content_block", {}).get("type") == "tool_use")
        given = json.loads(
            "".join(e["delta"].get("partial_json", "") for e in told if "partial_json" in e.get("delta", {}))
        )
        assert told[-2]["delta"]["stop_reason"] == "tool_use"
    else:
        use = json.loads(first)["content"][-1]
        given = use["input"]
        assert json.loads(first)["stop_reason"] == "tool_use"
    assert (use["name"], given) == ("Bash", {"command": step.command})
    assert json.loads(second)["stop_reason"] == "end_turn"
    assert [call.tool_results for call in server.calls] == [0, 1]
    assert server.usage == Tokens(2703, 640, 48, 64, 12)


def test_a_call_without_a_shell_tool_gets_the_text_alone() -> None:
    with ModelServer("commit") as server:
        answer = json.loads(ask(server, tools=[{"name": "Read", "input_schema": {"properties": {"command": {}}}}])[2])
    assert [block["type"] for block in answer["content"]] == ["thinking", "text"]
    assert answer["stop_reason"] == "end_turn"


@pytest.mark.parametrize(
    ("scenario", "status", "kind", "retry_after"),
    [
        ("ratelimit", 429, "rate_limit_error", "2"),
        ("ratelimit-bare", 429, "rate_limit_error", None),
        ("ratelimit-long", 429, "rate_limit_error", "10800"),
        ("planlimit", 429, "rate_limit_error", "10800"),
        ("quota", 400, "invalid_request_error", None),
        ("modelnotfound", 404, "not_found_error", None),
        ("auth", 401, "authentication_error", None),
        ("overloaded", 529, "overloaded_error", None),
        ("crash500", 500, "api_error", None),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_refusals(scenario: str, status: int, kind: str, retry_after: str | None, stream: bool) -> None:
    with ModelServer(scenario) as server:
        got, headers, body = ask(server, stream=stream)
    assert (got, headers.get("retry-after")) == (status, retry_after)
    assert json.loads(body)["error"]["type"] == kind
    assert server.usage == Tokens()


def test_the_plan_limit_says_when_the_window_resets() -> None:
    before = int(time.time())
    with ModelServer("planlimit") as server:
        _, headers, _ = ask(server)
    assert headers["anthropic-ratelimit-unified-status"] == "rejected"
    assert before + 10800 <= int(headers["anthropic-ratelimit-unified-reset"]) <= time.time() + 10800


def test_an_unknown_model_is_named() -> None:
    with ModelServer("modelnotfound") as server:
        assert json.loads(ask(server)[2])["error"]["message"] == "model: m-1"


def test_flaky_recovers_at_the_third_call() -> None:
    with ModelServer("flaky") as server:
        assert [ask(server)[0] for _ in range(4)] == [429, 429, 200, 200]
    assert server.usage == HELLO + HELLO


def test_a_commit_can_be_followed_by_a_limit() -> None:
    result = [{"role": "user", "content": [{"type": "tool_result", "content": "done"}]}]
    with ModelServer("commitlimit") as server:
        assert [ask(server, tools=[BASH])[0], ask(server, messages=result)[0]] == [200, 429]


def test_an_error_within_the_stream_and_the_whole_answer_without() -> None:
    with ModelServer("streamlimit") as server:
        told = events(ask(server, stream=True)[2])
        assert server.usage == Tokens()
        assert ask(server)[0] == 200
    assert [event["type"] for event in told] == ["message_start", "error"]
    assert told[-1]["error"]["type"] == "rate_limit_error"
    assert server.usage == HELLO


def test_an_error_in_the_middle_of_the_text() -> None:
    with ModelServer("streamlimit-late") as server:
        told = events(ask(server, stream=True)[2])
    assert told[-1]["type"] == "error"
    assert "content_block_delta" in {event["type"] for event in told}


@pytest.mark.parametrize(("scenario", "stream"), [("reset", False), ("reset", True), ("broken", False)])
def test_a_dropped_connection(scenario: str, stream: bool) -> None:
    with ModelServer(scenario) as server, pytest.raises(ConnectionResetError) as caught:
        ask(server, stream=stream)
    assert caught.type is ConnectionResetError  # a reset, not the silent end that http.client calls RemoteDisconnected
    assert len(server.calls) == 1


def test_a_stream_that_breaks_off() -> None:
    with ModelServer("broken") as server, pytest.raises(http.client.IncompleteRead) as caught:
        ask(server, stream=True)
    assert {"message_start", "content_block_delta"} <= {event["type"] for event in events(caught.value.partial)}
    assert server.usage == Tokens()


@pytest.mark.parametrize(("scenario", "stream"), [("hang", True), ("hang", False), ("stall", False)])
def test_silence_before_the_answer(scenario: str, stream: bool) -> None:
    with ModelServer(scenario) as server, pytest.raises(TimeoutError):
        request(server, "POST", "/v1/messages", call_body(stream=stream), timeout=0.2)
    assert len(server.calls) == 1


def test_silence_within_the_stream() -> None:
    with ModelServer("stall") as server:
        connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=0.2)
        connection.request("POST", "/v1/messages", call_body(stream=True))
        response = connection.getresponse()
        assert response.readline() == b"event: message_start\n"
        with pytest.raises(TimeoutError):
            response.read()
        connection.close()


def test_closing_ends_a_silent_call_at_once() -> None:
    outcome: list[BaseException] = []

    def wait(server: ModelServer) -> None:
        try:
            request(server, "POST", "/v1/messages", call_body(), timeout=30)
        except (OSError, http.client.HTTPException) as error:
            outcome.append(error)

    with ModelServer("hang") as server:
        client = threading.Thread(target=wait, args=(server,))
        client.start()
        while not server.calls:
            time.sleep(0.005)
        closing = time.monotonic()
    client.join()
    assert time.monotonic() - closing < 2
    assert outcome


def test_other_requests_are_answered_and_not_counted_as_calls() -> None:
    count = json.dumps(
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "one two three"}]}]}
    ).encode()
    with ModelServer("hang") as server:
        assert request(server, "HEAD", "/")[0] == 200
        assert json.loads(request(server, "POST", "/v1/messages/count_tokens", count)[2]) == {"input_tokens": 3}
        assert request(server, "GET", "/v1/models")[0] == 404
        assert request(server, "POST", "/elsewhere", b"{}")[0] == 404
    assert [(exchange.method, exchange.path) for exchange in server.requests] == [
        ("HEAD", "/"),
        ("POST", "/v1/messages/count_tokens"),
        ("GET", "/v1/models"),
        ("POST", "/elsewhere"),
    ]
    assert server.calls == []


@pytest.mark.parametrize("body", [b"no json", b"[]", b"\xff"])
def test_a_body_that_is_not_a_json_object_is_refused(body: bytes) -> None:
    with ModelServer("hello") as server:
        assert request(server, "POST", "/v1/messages", body)[0] == 400
    assert server.calls == []


@pytest.mark.parametrize("length", ["-1", "many", str(2**40), None])
def test_a_body_of_no_good_length_is_refused(length: str | None) -> None:
    with ModelServer("hello") as server:
        connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rpartition(":")[2]), timeout=5)
        connection.putrequest("POST", "/v1/messages")
        if length is not None:
            connection.putheader("Content-Length", length)
        connection.endheaders()
        assert connection.getresponse().status == 400
        connection.close()


def test_prompts_arrive_unchanged() -> None:
    text = "plane 0 é, plane 1 𝄞, plane 2 𠀀, plane 16 \U0010fffd, NUL \0, line\u2028break"
    blocks = [{"type": "text", "text": "a reminder"}, {"type": "text", "text": text}]
    conversation = [{"role": "user", "content": blocks}, {"role": "assistant", "content": "not the user's"}]
    with ModelServer("hello") as server:
        ask(server, messages=conversation)
        ask(server)
    assert server.prompts == [f"a reminder\n{text}", "Say hello."]


def test_calls_at_the_same_time_are_all_counted() -> None:
    with ModelServer("hello") as server:
        clients = [threading.Thread(target=ask, args=(server,), kwargs={"stream": n % 2 == 0}) for n in range(20)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    assert len(server.calls) == 20
    assert server.usage == sum([HELLO] * 20, Tokens())


def test_it_listens_on_loopback_only() -> None:
    with ModelServer("hello") as server:
        assert server.url.startswith("http://127.0.0.1:")


def test_every_scenario_ends_in_something_playable() -> None:
    for scenario in SCENARIOS.values():
        assert scenario.about
        assert scenario.step(10, 99) is scenario.turns[-1]
        for step in (*scenario.first, *scenario.turns):
            assert not isinstance(step, Interrupted) or not isinstance(step.by, Refusal) or step.by.retry_after is None


def test_by_hand() -> None:
    command = [sys.executable, "-m", "runner.modelserver", "--scenario", "hello", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
        connection.request("POST", "/v1/messages", call_body())
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        counted = json.loads(process.stdout.read())
        assert process.wait(5) == 0
    assert (counted["requests"], counted["calls"], counted["tokens"]["fresh"]) == (1, 1, 1201)
