"""A coding agent that commits when told to, and then prints a recording: STDOUT STDERR EXIT_CODE [commit]. With the exit
code `hang` it never ends by itself."""

import shutil
import subprocess
import sys
import time


def main(stdout, stderr, exit_code, *words):
    sys.stdin.buffer.read()
    if "commit" in words:
        with open("stub-a.txt", "w") as file:
            file.write("by the double\n")
        subprocess.run(["git", "add", "stub-a.txt"], check=True)
        subprocess.run(["git", "commit", "-q", "-m", "stub: add stub-a.txt"], check=True)
    for path, stream in ((stdout, sys.stdout.buffer), (stderr, sys.stderr.buffer)):
        with open(path, "rb") as file:
            shutil.copyfileobj(file, stream)
        stream.flush()
    while exit_code == "hang":
        time.sleep(60)
    sys.exit(int(exit_code))


main(*sys.argv[1:])
