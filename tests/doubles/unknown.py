"""A CLI that nobody has described: it asks a Messages server and prints in one of several forms.

UNKNOWN_URL is the server, UNKNOWN_FORM the form. The prompt comes on stdin, or as the last argument.
"""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

TOOL = {"name": "bash", "description": "a shell", "input_schema": {"type": "object", "properties": {"command": {}}}}
FORM = os.environ.get("UNKNOWN_FORM", "lines")


def ask(messages):
    body = {"model": "unknown-1", "max_tokens": 1000, "messages": messages, "tools": [TOOL]}
    request = urllib.request.Request(
        os.environ["UNKNOWN_URL"] + "/v1/messages", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as response:
        return json.load(response)


def say(**event):
    if FORM == "lines":
        print(json.dumps(event), flush=True)


def turns(prompt):
    """Yield each answer, with the commands that it asks for carried out."""
    messages = [{"role": "user", "content": prompt}]
    while True:
        answer = ask(messages)
        yield answer
        uses = [block for block in answer["content"] if block["type"] == "tool_use"]
        if not uses:
            return
        results = []
        for use in uses:
            say(kind="tool.begin", tool=use["name"])
            done = subprocess.run(["sh", "-c", use["input"]["command"]], check=False, capture_output=True, text=True)
            say(kind="tool.over", code=done.returncode)
            results.append({"type": "tool_result", "tool_use_id": use["id"], "content": done.stdout})
        messages += [{"role": "assistant", "content": answer["content"]}, {"role": "user", "content": results}]


def text_of(answer):
    return "".join(block["text"] for block in answer["content"] if block["type"] == "text")


def counted(answers):
    usage = [answer["usage"] for answer in answers]
    fresh = sum(one["input_tokens"] + one.get("cache_creation_input_tokens", 0) for one in usage)
    cached = sum(one.get("cache_read_input_tokens", 0) for one in usage)
    return {
        "promptTokens": fresh,
        "cachedTokens": cached,
        "completionTokens": sum(one["output_tokens"] for one in usage),
    }


def main():
    prompt = sys.argv[-1] if len(sys.argv) > 1 else sys.stdin.read()
    say(kind="hello", chat={"sessionId": f"chat-{os.urandom(6).hex()}"})
    answers = []
    try:
        for answer in turns(prompt):
            answers.append(answer)
            say(kind="say", text=text_of(answer), modelName=answer["model"])
    except urllib.error.HTTPError as error:
        told = json.loads(error.read())["error"]
        failed(f"{error.code} {told['type']}: {told['message']}")
    except OSError as error:
        failed(f"connection lost: {error}")
    except ValueError:
        failed("connection closed in the middle")
    finish(answers)


def failed(words):
    if FORM == "lines":
        say(kind="over", outcome={"status": "failed"}, error={"message": words})
        sys.exit(0)
    if FORM == "document":
        print(json.dumps({"status": "failed", "message": words}, indent=1))
        sys.exit(0)
    print(f"ProviderError: {words}")
    sys.exit(0 if FORM == "chatty" else 3)


def finish(answers):
    text, usage = text_of(answers[-1]), counted(answers)
    if FORM == "lines":
        say(kind="over", outcome={"status": "fine"}, usage=usage)
    elif FORM == "document":
        print(json.dumps({"status": "fine", "response": text, "stats": {"usage": usage}}, indent=1))
    elif FORM == "chatty":
        print(f"Unknown CLI v2.1\n{'-' * 30}\n\n== ANSWER ==\n\n{text}\n")
        print(f"{usage['promptTokens'] + usage['cachedTokens']:,} tokens sent, {usage['completionTokens']} received")
    else:
        print(text)


if __name__ == "__main__":
    main()
