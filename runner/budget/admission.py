"""Whether a run fits into what all runs of its windows may spend together; if so, its share is reserved."""

from __future__ import annotations

import time

from runner.budget.ledger import Book, BusyError, Entry, Ledger, is_live
from runner.budget.measure import is_refused, unknown_units, why
from runner.budget.terms import Amounts, Limit, Terms, shown
from runner.budget.windows import name_of, window_of
from runner.files import reason
from runner.model import Skipped
from runner.values import dataclass, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from runner.model import Invocation, JsonObject
    from runner.records.metadata import Record

_PATIENCE = 10.0  # seconds for what others do in milliseconds
_NEARLY = 1e-9  # sums of decimal fractions are not exact


@dataclass(frozen=True)
class State:
    """One limit in its window: what is used, what live runs hold, both by unit; `unknown` runs said nothing of it."""

    limit: Limit
    begins: float
    ends: float
    used: Mapping[str, float]
    reserved: Mapping[str, float]
    unknown: int
    holders: int

    def left(self, unit: str) -> float:
        return (self.limit.amounts.of(unit) or 0.0) - self.used[unit] - self.reserved[unit]


class Reservation:
    """A run's share of its windows, until what it has really spent takes its place."""

    def __init__(self, ledger: Ledger, entry: Entry) -> None:
        self._ledger = ledger
        self._entry = entry

    def cancel(self) -> None:
        """The run did not begin. Raises OSError."""
        self._ledger.add(replace(self._entry, kind="spent", at=time.time(), amounts=Amounts(0.0, 0.0, 0.0)))

    def settle(self, record: Record) -> None:
        """Note what a closed run has spent, before its live file goes. Raises OSError."""
        used: JsonObject = dict(record["budget"]["used"]) if record["budget"] else {}
        usage = record["usage"]
        told = [tokens for tokens in (usage["input_tokens"], usage["output_tokens"]) if tokens is not None]
        amounts = Amounts(
            cost=_most(record["cost_usd"], used.get("cost")),
            tokens=_most(sum(told) if told else None, used.get("tokens")),
            output_tokens=_most(usage["output_tokens"], used.get("output_tokens")),
        )
        self._ledger.add(replace(self._entry, kind="spent", at=time.time(), amounts=amounts))


def _most(*amounts: float | None) -> float | None:
    return max((amount for amount in amounts if amount is not None), default=None)


def check_known(terms: Terms, invocation: Invocation) -> None:
    """Refuse a run that nobody could measure, as `on_unknown` says. Raises Skipped."""
    now = time.time()
    for amounts, on_unknown in (
        (terms.own, terms.on_unknown),
        *((row.amounts, row.on_unknown) for row in terms.limits),
    ):
        unknown = unknown_units(amounts, invocation.parser, invocation.model, terms.prices, now)
        if is_refused(unknown, amounts, on_unknown):
            message = why(unknown, invocation.parser_name, invocation.model)
            raise Skipped("missing_requirement", f"{message} (`settings.prices`, `on_unknown`)")


def reserve(
    ledger: Ledger, terms: Terms, entry: Entry, pause: Callable[[float], object], *, tells: bool
) -> Reservation:
    """The share of a run: what its own budget says, else what is left of each limit. Raises Skipped.

    `tells`: a message can go out, so that the first run of a window that is turned away tells of it.
    """
    try:
        with ledger.locked(pause, _PATIENCE):
            book = ledger.read()
            dead = [found for live, found in book.open.items() if not is_live(live)]
            for found in dead:
                del book.open[found.live]
            added = [replace(found, kind="dropped", amounts=Amounts()) for found in dead]
            states = [state_of(limit, book, entry, entry.at) for limit in terms.limits]
            refused = next((state for state in states if not _fits(state, terms.own)), None)
            share = replace(entry, amounts=_share(states, terms.own))
            window = _name(refused, entry) if refused else ""
            is_new = tells and bool(refused) and window not in book.told
            added += [share] if refused is None else [Entry("told", entry.at, "", window=window)] if is_new else []
            if added:
                ledger.add(*added)
                ledger.compact(entry.at)
    except BusyError:
        raise Skipped("budget_window", f"another process holds `{ledger.path}.lock`", for_all=True) from None
    except OSError as error:
        raise Skipped("budget_window", f"cannot keep `{ledger.path}`: {reason(error)}", for_all=True) from None
    if refused is None:
        return Reservation(ledger, share)
    for_all, quiet = refused.limit.by != "agent", tells and not is_new
    raise Skipped("budget_window", _refusal(refused, terms.own), retry_at=refused.ends, for_all=for_all, quiet=quiet)


def state_of(limit: Limit, book: Book, who: Entry, now: float) -> State:
    """`who` says whose runs count where these are not all; reservations count whatever their time."""
    begins, ends = window_of(limit.per, now)
    spent = [entry for entry in book.spent if begins <= entry.at < ends and _counts(entry, limit, who)]
    held = [entry for entry in book.open.values() if _counts(entry, limit, who)]
    units = list(limit.amounts.known())
    return State(
        limit=limit,
        begins=begins,
        ends=ends,
        used={unit: sum(entry.amounts.of(unit) or 0.0 for entry in spent) for unit in units},
        reserved={unit: sum(entry.amounts.of(unit) or 0.0 for entry in held) for unit in units},
        unknown=sum(any(entry.amounts.of(unit) is None for unit in units) for entry in spent),
        holders=len(held),
    )


def _name(state: State, who: Entry) -> str:
    """Of which window it was told that it is used up."""
    whose = {"all": "", "agent": who.agent, "task": f"{who.project} {who.task}"}[state.limit.by]
    return f"{name_of(state.limit.per, who.at)} {state.limit.by} {whose}".rstrip()


def _counts(entry: Entry, limit: Limit, who: Entry) -> bool:
    if limit.by == "agent":
        return entry.agent == who.agent
    return limit.by == "all" or (entry.task, entry.project) == (who.task, who.project)


def _fits(state: State, own: Amounts) -> bool:
    return all(_fits_unit(state, own, unit) for unit in state.limit.amounts.known())


def _fits_unit(state: State, own: Amounts, unit: str) -> bool:
    left = state.left(unit)
    return left > _NEARLY and left >= (own.of(unit) or 0.0) - _NEARLY


def _share(states: list[State], own: Amounts) -> Amounts:
    """What the run may use of each unit: its own budget, else the least that is left of a limit."""
    found = own.known()
    for state in states:
        for unit in state.limit.amounts.known():
            if own.of(unit) is None:
                found[unit] = min(found.get(unit, state.left(unit)), state.left(unit))
    return Amounts(**found)


def _refusal(state: State, own: Amounts) -> str:
    """`the budget of the day, $2.10, is used up: $0.90 spent, $1.20 reserved by 4 runs; this run may use $0.30`."""
    unit = next(unit for unit in state.limit.amounts.known() if not _fits_unit(state, own, unit))
    limit, needs = state.limit.amounts.of(unit) or 0.0, own.of(unit)
    whose = "" if state.limit.by == "all" else f" of one {state.limit.by}"
    runs = f"{state.holders} run{'' if state.holders == 1 else 's'}"
    message = f"the budget of the {state.limit.per}{whose}, {shown(unit, limit)}, is used up"
    message += f": {shown(unit, state.used[unit])} spent, {shown(unit, state.reserved[unit])} reserved by {runs}"
    return message + (f"; this run may use {shown(unit, needs)}" if needs else "")
