"""What holds a run's processes together: the best rung of a ladder that this machine offers.

`cgroup` is a control group of the run's own; `subreaper` finds what descends from the agent, and the marker in its
environment; `group` is the agent's process group and the marker alone.
"""

from __future__ import annotations

from runner.errors import UsageError
from runner.process import cgroup
from runner.process.tree import Tree, become_subreaper, kill_marked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.model import Invocation
    from runner.process.cgroup import Cgroup
    from runner.process.tree import Parent

CONTAINMENT_VARIABLE = "RUNNER_CONTAINMENT"
RUNGS = ("cgroup", "subreaper", "group")


def check_rung(name: str | None) -> None:
    """Raises UsageError for a rung that there is not."""
    if name and name not in RUNGS:
        known = ", ".join(f"`{rung}`" for rung in RUNGS)
        raise UsageError(f"{CONTAINMENT_VARIABLE} is `{name}`", hint=f"expected one of {known}")


class Containment:
    """Probed by making it; the runner and the guardian each hold it."""

    def __init__(self, run_id: str, forced: str | None, announce: Callable[[str], None]) -> None:
        """`forced` is the rung to begin at; a machine that lacks it gets the next one, as the record says.

        `announce` hears of the cgroup's folder before it is made.
        """
        self.subreaper = forced != "group" and become_subreaper()
        self.cgroup: Cgroup | None = cgroup.make(run_id, announce) if forced in (None, "", "cgroup") else None

    @property
    def rung(self) -> str:
        if self.cgroup is not None:
            return "cgroup"
        return "subreaper" if self.subreaper else "group"

    def tree(self, parent: Parent, invocation: Invocation) -> Tree:
        wrapper = invocation.argv[0] if invocation.wrapped else None
        return Tree(parent, invocation.run_dir, subreaper=self.subreaper, cgroup=self.cgroup, wrapper=wrapper)

    def give_up_cgroup(self) -> None:
        """The agent could not be put into it."""
        self.close()
        self.cgroup = None

    def close(self) -> None:
        if self.cgroup is not None:
            self.cgroup.remove()


def end_leftovers(run_dir: str, group: str | None) -> int:
    """End what a run left whose two processes are gone; returns how many could not be ended."""
    found = cgroup.left_behind(group) if group is not None else None
    if found is not None:
        found.kill()
        found.remove()
    return kill_marked(run_dir)
