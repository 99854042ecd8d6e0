"""A coding agent that behaves as its first argument says, mostly badly. The prompt comes on stdin."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def git(*words):
    subprocess.run(["git", *words], check=True, stdout=subprocess.DEVNULL)


def write(name, text="by the double\n"):
    with open(name, "w") as file:
        file.write(text)


def commit(name="double.txt", subject="double: add a file"):
    write(name)
    git("add", name)
    git("commit", "-q", "-m", subject)


def background(code):
    """A child in a session of its own that keeps our stdout and stderr."""
    return subprocess.Popen([sys.executable, "-c", code], start_new_session=True)


def hello(*_):
    say("hello")


def exit_with(code):
    say("leaving")
    sys.exit(int(code))


def silent(*_):
    pass


def stdin_digest(*_):
    data = sys.stdin.buffer.read()
    say(f"{len(data)} {hashlib.sha256(data).hexdigest()}")


def argv_digest(*words):
    data = words[-1].encode(errors="surrogateescape")
    say(f"{len(data)} {hashlib.sha256(data).hexdigest()}")


def environment(*_):
    say(json.dumps(dict(os.environ)))


def hang(*_):
    say("hanging")
    while True:
        time.sleep(60)


def nap(*_):
    say("napping")
    time.sleep(0.2)


def ignore_term(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang()


def hang_silently(*_):
    while True:
        time.sleep(60)


def hang_with_daemon(*_):
    background("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)")
    hang()


def chatty(*_):
    say("hello")
    while not os.path.exists("said"):
        time.sleep(0.2)
        say("more")
        say("the last word")
        write("said")
    time.sleep(600)


def descriptors(*_):
    found = [fd for fd in range(256) if os.path.exists(f"/proc/self/fd/{fd}")]
    say(" ".join(map(str, found)))


def fill(path):
    try:
        with open(path, "wb", buffering=0) as file:
            while True:
                file.write(b"z" * 512)
    except OSError:
        say("full")
    sys.exit(7)


def clean(*_):
    say("before")
    git("clean", "-fdxq")
    say("after")


def numbers(*_):
    for number in range(100_000):
        sys.stdout.write(f"line {number}\n")


def hang_colourfully(*_):
    say("\x1b[31mred\x1b[0m")
    time.sleep(600)


def replace_logs(elsewhere):
    os.rename("logs/free", "was-free")
    os.symlink(elsewhere, "logs/free")
    say("replaced")


def kill_myself(*_):
    say("dying")
    os.kill(os.getpid(), signal.SIGKILL)


def daemon_keeps_stdout(*_):
    background("import time; time.sleep(600)")
    say("done")


def stubborn_daemon(*_):
    child = background(
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    say(f"daemon {child.pid}")
    time.sleep(0.3)


def double_fork(*_):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(600)
        os._exit(0)
    os.wait()
    say("daemonised")


def long_line(megabytes):
    sys.stdout.write("x" * (int(megabytes) << 20) + "\n")


def bytes_of_every_kind(*_):
    sys.stdout.buffer.write(b'\x00\x00 NUL \xff\xfe\xf0\x28 \x1b[31mred\x1b[0m\r\n{"type": "result", "is_err')
    sys.stdout.buffer.flush()


def result(*words):
    """A good result event, as the stream-json dialect has it."""
    say(json.dumps({"type": "system", "subtype": "init", "session_id": "s-1", "model": "double"}))
    say(
        json.dumps(
            {
                "type": "result",
                "subtype": "success",
                "is_error": False,
                "result": " ".join(words) or "fine",
                "session_id": "s-1",
            }
        )
    )


def result_then_hang(*_):
    result()
    hang()


def flood(*_):
    """Output without end, until somebody stops it."""
    line = b"y" * 1023 + b"\n"
    while True:
        sys.stdout.buffer.write(line)


def commits(number="1"):
    for index in range(int(number)):
        commit(f"double-{index}.txt", f"double: add file {index}")
    say("committed")


def dirty(*_):
    write("left.txt")
    say("edited")


def commit_and_dirty(*_):
    commit()
    dirty()


def touch_dirty(name):
    write(name, "changed again\n")
    say("edited")


def amend(*_):
    git("commit", "-q", "--amend", "-m", "rewritten")
    say("amended")


def reset(*_):
    git("reset", "-q", "--hard", "HEAD~1")
    say("reset")


def other_branch(*_):
    branch = subprocess.check_output(["git", "branch", "--show-current"], text=True).strip()
    git("switch", "-q", "-c", "elsewhere")
    commit()
    git("switch", "-q", branch)
    say("committed elsewhere")


def remove_repository(*_):
    subprocess.run(["rm", "-rf", ".git"], check=True)
    say("removed")


def nothing(*_):
    say("I looked.\nNOTHING TO DO: all is documented")


def write_settings(path):
    with open(path) as file:
        say(file.read())


def main():
    name, *rest = sys.argv[1:]
    globals()[name.replace("-", "_")](*rest)


if __name__ == "__main__":
    main()
