"""Whether a sandbox works on this machine: an empty program is started in it, in the project's checkout."""

from __future__ import annotations

import os
from collections.abc import Iterator

from runner.config import Config
from runner.doctor.check import Check
from runner.errors import RunnerError
from runner.model import Request
from runner.process import capture
from runner.process.spawn import LaunchError, find_binary
from runner.run.plan import PROMPT_TASK, RunConfig, TemplateFaultError, binary_variable, plan
from runner.run.site import Machine
from runner.text import one_line
from runner.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import JsonObject

_SECONDS = 10.0
_NO_AGENT = "doctor"
# Where a kernel forbids user namespaces, which a sandbox without root needs: the file, its value, and what to do.
_FORBIDDEN = (
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "an AppArmor profile for its program with `userns,`, or sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
)


def used_by(config: Config, name: str, machine: Machine) -> Iterator[Check]:
    agent = config.agents[name]
    if agent.get("sandbox"):
        yield _check(config, name, agent, machine)


def unused(config: Config, machine: Machine) -> Iterator[Check]:
    """Check the sandboxes that no agent uses; it is not a failure when these do not work."""
    used = {agent.get("sandbox") for agent in config.agents.values()}
    for name in config.sandboxes:
        if name not in used:
            found = _check(config, _NO_AGENT, {"sandbox": name}, machine)
            yield replace(found, level="ok", found=f"{found.found}; no agent uses it")


def _check(config: Config, name: str, agent: JsonObject, machine: Machine) -> Check:
    sandbox: str = agent["sandbox"]
    profile = config.sandboxes[sandbox]
    environ = {key: value for key, value in machine.environ.items() if key != binary_variable(name)}
    model = {**(agent.get("model") or {}), "required": False}
    empty = {**agent, "binary": "true", "argv": [], "files": {}, "stdin": None, "requires": {}, "model": model}
    run_config = RunConfig({"parser": "text", **empty}, {}, {}, config.settings, config.digest, "", profile)
    try:
        planned = plan(run_config, Request(name, PROMPT_TASK, prompt=""), replace(machine, environ=environ), _NO_AGENT)
        env = dict(planned.env)
        find_binary(planned.argv[0], env.get("PATH", os.defpath), machine.repo)
    except TemplateFaultError as fault:
        return Check("sandbox", "fail", f"{sandbox}: {fault.error.message}")
    except RunnerError as error:
        return Check("sandbox", "fail", f"{sandbox}: {error.message}")
    except LaunchError as error:
        install = profile.get("install")
        advice = f"to install it: {install}" if install else None
        return Check("sandbox", "fail", f"{sandbox}: {str(error).partition(' (')[0]}", advice)
    try:
        done = capture.finish(capture.start(planned.argv, env, machine.repo), _SECONDS)
    except LaunchError as error:
        return Check("sandbox", "fail", f"{sandbox}: {error}")
    if done.code == 0:
        return Check("sandbox", "ok", f"{sandbox} works here")
    words = one_line(done.err.decode(errors="replace"), 300) or f"exit code {done.code}"
    return Check("sandbox", "fail", f"{sandbox}: {words}", _permitted())


def _permitted() -> str | None:
    """What to do to permit user namespaces, where the kernel forbids them."""
    for path, value, advice in _FORBIDDEN:
        try:
            with open(path, encoding="ascii") as file:
                if file.read().strip() == value:
                    return advice
        except OSError:
            continue
    return None
