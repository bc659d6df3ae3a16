"""A rule's schedule of a backlog, and how far it can be from the best.

The total latency of the schedule over a lower bound on that of every schedule is its *ratio*: the
latency is at most so many times the optimum. Both numbers are exact integers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from ...theory.backlog import Backlog, Schedule, completions
from ...theory.errors import InvalidInput
from .rules import RULES, schedule

EXACT_RULE = "optimal"
"""The rule that searches, and so has nodes and a lower bound of its own."""

SEARCH_METHOD = "search"

MOST_REQUESTS_FOR_LINEAR_PROGRAM = 10_000
"""Beyond it the prices of the lower bound are not searched: that would take most of the time."""


@dataclass(frozen=True)
class BoundedSchedule:
    """A schedule of a backlog with a certified lower bound on the total latency of every schedule.

    Attributes
    ----------
    backlog, rule_name, schedule
        What was scheduled, by which rule, and the result.
    lower_bound
        In steps.
    method
        Where the lower bound comes from.
    nodes
        Nodes of the search for the optimum; None if there was none.
    completions
        In steps, in the order of the requests; of a schedule that was validated.
    """

    backlog: Backlog
    rule_name: str
    schedule: Schedule
    lower_bound: int
    method: str
    nodes: int | None
    completions: tuple[int, ...]

    @property
    def total_latency(self) -> int:
        """Sum of the completions, in steps."""
        return sum(self.completions)

    @property
    def ratio(self) -> Fraction:
        """Total latency over lower bound: the former is at most so many times the optimum."""
        return Fraction(self.total_latency, self.lower_bound)

    @property
    def is_optimal(self) -> bool:
        """Whether the schedule is proved to be optimal."""
        return self.lower_bound == self.total_latency


def schedule_with_bound(
    backlog: Backlog,
    rule_name: str,
    *,
    node_limit: int | None = None,
    doing: Callable[[str], None] | None = None,
    searched: Callable[[int, int, int], None] | None = None,
) -> BoundedSchedule:
    """Schedule ``backlog`` by a rule and bound the total latency of every schedule from below.

    Parameters
    ----------
    backlog, rule_name
        What to schedule, and how; one of `RULES`.
    node_limit
        Where the search for the optimum stops; for the rule "optimal" only.
    doing
        Told in words what is being done.
    searched
        Told the nodes, the lower bound and the best latency so far of the search for the optimum.
        If it raises `KeyboardInterrupt`, the search stops with what it has.

    Raises
    ------
    InvalidInput
        No such rule, or a node limit for a rule that does not search.

    Examples
    --------
    >>> found = schedule_with_bound(Backlog.of([(3, 2), (0, 4), (1, 1)], 6), "sorted-f")
    >>> found.total_latency, found.lower_bound
    (8, 8)
    """
    require_rule(rule_name, node_limit)
    say = doing or (lambda _: None)
    if rule_name == EXACT_RULE:
        say("preparing the search for the optimum")
        from .optimum import optimum  # compiles its search

        found = optimum(backlog, node_limit=node_limit, progress=searched)
        return BoundedSchedule(
            backlog,
            rule_name,
            found.schedule,
            found.lower_bound,
            SEARCH_METHOD,
            found.nodes,
            completions(backlog, found.schedule),
        )
    say(f"scheduling by {rule_name}")
    chosen = schedule(backlog, rule_name)
    say("bounding every schedule from below")
    from .linear_program import lower_bound  # loads a solver

    is_small = len(backlog) <= MOST_REQUESTS_FOR_LINEAR_PROGRAM
    best = lower_bound(backlog, "linear-program" if is_small else "closed-form")
    return BoundedSchedule(
        backlog, rule_name, chosen, best.value, best.method, None, completions(backlog, chosen)
    )


def require_rule(rule_name: str, node_limit: int | None = None) -> None:
    """Raise `InvalidInput` unless the rule exists and takes the node limit, if there is one."""
    if rule_name not in RULES:
        raise InvalidInput("rule", rule_name, f"one of {', '.join(RULES)}")
    if node_limit is not None and rule_name != EXACT_RULE:
        allowed = f"no node limit with a rule that does not search (only {EXACT_RULE} does)"
        raise InvalidInput("node_limit", node_limit, allowed)
