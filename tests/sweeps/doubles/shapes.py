"""An agent that grows a process tree of the shape that its first argument names, says `ready`, and ends when told to.

Every process of it holds the named pipe `pulse` in the current folder open, so that whoever reads that one sees its end
exactly when none of them lives: no look at /proc catches a process that hops. Whatever goes wrong, each ends by itself
after a minute, the storm when the file `calm` appears.
"""

import os
import signal
import sys
import time

_LIFE = 60.0
_DEPTH = 200
_HOP = 0.002
_HOPS = 20000


def rest():
    """What a process does that has nothing more to do."""
    time.sleep(_LIFE)
    os._exit(0)


def silence():
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)


def daemonise(then, *, keep=False):
    """Fork, a session of its own, fork again; the one in the middle ends."""
    middle = os.fork()
    if middle:
        os.waitpid(middle, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    if not keep:
        silence()
    then()


def plain():
    pass


def grandchild():
    if os.fork() == 0:
        if os.fork() == 0:
            rest()
        os.wait()
        rest()


def grandchild_setsid():
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            rest()
        os.wait()
        rest()


def daemon():
    daemonise(rest)


daemon_main_exited = daemon


def daemon_keeps_stdout_main_exited():
    daemonise(rest, keep=True)


def ignores_term():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        rest()


def chain():
    """Each is the child of the one before."""
    complete, last = os.pipe()
    for depth in range(_DEPTH):
        if os.fork():
            if depth == 0:
                os.close(last)
                os.read(complete, 1)
                return
            os.close(last)
            rest()
    os.write(last, b".")
    rest()


def storm(pause=_HOP):
    """One process that moves on to a child in a session of its own each two milliseconds."""

    def hop():
        until = time.monotonic() + 20.0
        for _ in range(_HOPS):
            time.sleep(pause)
            if os.path.exists("calm") or time.monotonic() > until:
                break
            if os.fork():
                os._exit(0)
            os.setsid()
        os._exit(0)

    daemonise(hop)


def gale():
    """Several, as fast as they can: no look at /proc sees them all."""
    for _ in range(4):
        storm(0.0)


def main():
    os.open("pulse", os.O_WRONLY)
    globals()[sys.argv[1]]()
    with open("leader", "w") as file:
        file.write(str(os.getpid()))
    os.write(1, b"ready\n")
    until = time.monotonic() + _LIFE
    while not os.path.exists("go") and time.monotonic() < until:
        time.sleep(0.005)
    os.write(1, b"done\n")


if __name__ == "__main__":
    main()
