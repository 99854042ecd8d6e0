"""`ollama run MODEL`, as its documentation and source describe it; its binary comes in no package.

What happens follows from the model's name and from OLLAMA_HOST. Text goes to stdout and ends with two newlines;
progress, errors and the numbers of --verbose go to stderr; a number that is 0 has no line.
"""

import os
import sys
import time

FLAGS = {"--verbose", "--hidethinking", "--nowordwrap"}
THOUGHTS = "The user greets.\nI greet back, and eval count: 9999 token(s) means nothing here."
NO_SERVER = {
    "down": "could not connect to ollama server, run 'ollama serve' to start it",
    "down-older": "could not connect to ollama app, is it running?",
}
# Errors of the server, by the model that it is asked for.
REFUSED = {
    "gone": "model 'gone' not found",
    "crash": "500 Internal Server Error: llama runner process has terminated: signal: killed",
    "cloud": "401 Unauthorized",
    "cloud-hour": "429 Too Many Requests: you've reached your hourly usage limit, please wait or upgrade",
    "cloud-busy": "429 Too Many Requests",
}


def fail(text):
    sys.stderr.write(f"Error: {text}\n")
    sys.exit(1)


def spin(text):
    sys.stderr.write(f"\x1b[?2026h\x1b[?25l\x1b[1G{text} ⠋ \x1b[K\x1b[?25h\x1b[?2026l\n")


def pull(model):
    spin("pulling manifest")
    if model.startswith("unknown"):
        fail("pull model manifest: file does not exist")
    for share in ("  0%", " 57%", "100%"):
        sys.stderr.write(f"\x1b[1Gpulling 6a0746a1ec1a: {share} ▕██████████▏ 4.7 GB\x1b[K\n")
    spin("success")


def numbers(prompt, output):
    rows = [("total duration", "1.52s"), ("load duration", "21ms")]
    rows += [("prompt eval count", f"{prompt} token(s)"), ("prompt eval duration", "80ms")] if prompt else []
    rows += [("prompt eval rate", "312.50 tokens/s")] if prompt else []
    rows += [("eval count", f"{output} token(s)"), ("eval duration", "1.4s")] if output else []
    rows += [("eval rate", "23.51 tokens/s")] if output else []
    sys.stderr.write("".join(f"{name + ':':<22}{value}\n" for name, value in rows))


def prompt_of(words):
    """All of stdin whenever that is no terminal, before the words of the command line."""
    given = [] if sys.stdin.isatty() else [sys.stdin.read()]
    return " ".join([*given, *words]).strip()


def answer_of(model, prompt):
    if model == "counter":
        return f"{len(prompt)} characters, the last are {prompt[-9:]!r}"
    if model == "talker":
        return "Error: model 'x' not found\nprompt eval count: 7 token(s)\n429 Too Many Requests"
    return "" if model == "mute" else "Hello from a local model."


def run(model, flags, words):
    host = os.environ.get("OLLAMA_HOST", "")
    if host in NO_SERVER:
        fail(NO_SERVER[host])
    if model.startswith(("unknown", "fetched")):
        pull(model)
    if model in REFUSED:
        fail(REFUSED[model])
    prompt = prompt_of(words)
    if model == "stubborn" or (model == "thinker" and "--hidethinking" not in flags):
        sys.stdout.write(f"Thinking...\n{THOUGHTS}\n...done thinking.\n\n")
    sys.stdout.write(answer_of(model, prompt))
    sys.stdout.flush()
    if model == "slow":
        time.sleep(600)
    sys.stdout.write("\n\n")
    if "--verbose" in flags:
        numbers(0 if model == "cached" else 25, 0 if model == "mute" else 33)


def main():
    match sys.argv[1:]:
        case ["--version"]:
            print("ollama version is 0.12.3")
        case ["run", model, *rest]:
            flags = {word for word in rest if word.startswith("--")}
            if flags - FLAGS:
                fail(f"unknown flag: {min(flags - FLAGS)}")
            run(model, flags, [word for word in rest if word not in flags])
        case _:
            fail("requires at least 1 arg(s), only received 0")


if __name__ == "__main__":
    main()
