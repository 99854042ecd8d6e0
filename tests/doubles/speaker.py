"""A CLI that asks a Messages server at SPEAKER_URL and prints the answer as stream-json events. The prompt comes on stdin."""

import json
import os
import sys
import urllib.request

SESSION = "5f0c1d9e-0000-4000-8000-000000000001"


def ask(prompt):
    body = {"model": "speaker-1", "max_tokens": 1000, "messages": [{"role": "user", "content": prompt}]}
    request = urllib.request.Request(
        os.environ["SPEAKER_URL"] + "/v1/messages", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as response:
        return json.load(response)


def say(**event):
    print(json.dumps({**event, "session_id": SESSION}), flush=True)


def main():
    if sys.argv[1:] == ["--version"]:
        print("1.0 (speaker)")
        return
    answer = ask(sys.stdin.read())
    (text,) = [block["text"] for block in answer["content"] if block["type"] == "text"]
    usage = answer["usage"]
    say(type="system", subtype="init", model=answer["model"])
    say(type="result", subtype="success", is_error=False, result=text, total_cost_usd=0.01, usage=usage)
    for name in os.environ.get("SPEAKER_TELLS", "").split():
        print(name, os.environ.get(name), file=sys.stderr)


if __name__ == "__main__":
    main()
