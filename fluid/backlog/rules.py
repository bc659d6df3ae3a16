"""Every scheduling rule by its name.

A rule is any callable from a backlog to a schedule; `RULES` holds those that come with a name, in
the order in which tables list them. Ties in every order are broken by request number.

>>> schedule(Backlog.of([(0, 2), (1, 1)], memory=3), "shortest-output")
Schedule(starts=(0, 0))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ...theory.backlog import Backlog, Schedule
from ...theory.errors import InvalidInput
from .batch_selection import sorted_f_batches_fast
from .heuristics import (
    ascending,
    local_swap_batches,
    quantile_greedy_batches,
    receding_horizon_schedule,
    schedule_of_batches,
)
from .listing import fast_list_schedule, maximal_prefix_schedule

Rule = Callable[[Backlog], Schedule]


@dataclass(frozen=True)
class RuleEntry:
    """A rule with its name and a description in one line; calling it schedules a backlog."""

    name: str
    description: str
    schedule: Rule

    def __call__(self, backlog: Backlog) -> Schedule:
        """The rule's schedule of ``backlog``."""
        return self.schedule(backlog)


def schedule(backlog: Backlog, rule_name: str) -> Schedule:
    """The schedule of the rule called ``rule_name``.

    Raises
    ------
    InvalidInput
        No such rule; the message lists the names.
    """
    if rule_name not in RULES:
        raise InvalidInput("rule", rule_name, f"one of {', '.join(RULES)}")
    return RULES[rule_name](backlog)


def _first_come(backlog: Backlog) -> Schedule:
    return fast_list_schedule(backlog, range(len(backlog)))


def _first_come_skipping(backlog: Backlog) -> Schedule:
    return fast_list_schedule(backlog, range(len(backlog)), blocked="skip")


def _shortest_output(backlog: Backlog) -> Schedule:
    return fast_list_schedule(backlog, ascending(backlog.outputs))


def _shortest_total(backlog: Backlog) -> Schedule:
    return fast_list_schedule(backlog, ascending(backlog.peaks))


def _longest_output(backlog: Backlog) -> Schedule:
    return fast_list_schedule(backlog, ascending(-backlog.outputs))


def _maximal_prefixes_by_output(backlog: Backlog) -> Schedule:
    return maximal_prefix_schedule(backlog, ascending(backlog.outputs))


def _smallest_volume(backlog: Backlog) -> Schedule:
    return fast_list_schedule(backlog, ascending(backlog.volumes))


def _sorted_f(backlog: Backlog) -> Schedule:
    return schedule_of_batches(backlog, sorted_f_batches_fast(backlog, "peak-sum"))


def _sorted_f_common_start(backlog: Backlog) -> Schedule:
    return schedule_of_batches(backlog, sorted_f_batches_fast(backlog, "common-start"))


def _local_swap(backlog: Backlog) -> Schedule:
    return schedule_of_batches(backlog, local_swap_batches(backlog))


def _quantile_greedy(backlog: Backlog) -> Schedule:
    return schedule_of_batches(backlog, quantile_greedy_batches(backlog))


def _sorted_lp(backlog: Backlog) -> Schedule:
    from .linear_program import sorted_lp_order  # loads a solver

    return fast_list_schedule(backlog, sorted_lp_order(backlog))


def _lp_swap(backlog: Backlog) -> Schedule:
    from .linear_program import sorted_lp_order  # loads a solver

    batches = local_swap_batches(backlog, seed_orders=(sorted_lp_order(backlog),))
    return schedule_of_batches(backlog, batches)


def _optimal(backlog: Backlog) -> Schedule:
    from .optimum import optimum  # compiles its search

    return optimum(backlog).schedule


_ENTRIES = (
    RuleEntry("fcfs", "first come, first served; a blocked head makes all wait", _first_come),
    RuleEntry(
        "fcfs-skip", "first come, first served; blocked requests are skipped", _first_come_skipping
    ),
    RuleEntry("shortest-output", "shortest output first", _shortest_output),
    RuleEntry("shortest-total", "shortest prompt + output first", _shortest_total),
    RuleEntry("longest-output", "longest output first", _longest_output),
    RuleEntry(
        "mc-sf", "MC-SF: maximal prefix by output in every step", _maximal_prefixes_by_output
    ),
    RuleEntry("smallest-volume", "SVF: smallest volume (memory-time) first", _smallest_volume),
    RuleEntry("sorted-f", "Sorted-F, exact batches by the sum of the peaks", _sorted_f),
    RuleEntry(
        "sorted-f-common-start",
        "Sorted-F, exact batches that may start together",
        _sorted_f_common_start,
    ),
    RuleEntry("local-swap", "Sorted-F with batches by local swaps", _local_swap),
    RuleEntry("quantile-greedy", "Sorted-F with batches by quantile greedy", _quantile_greedy),
    RuleEntry(
        "receding-horizon",
        "batches by local swaps, chosen anew at every completion",
        receding_horizon_schedule,
    ),
    RuleEntry("sorted-lp", "by mean start in the linear program", _sorted_lp),
    RuleEntry("lp-swap", "batches by local swaps, seeded by the linear program", _lp_swap),
    RuleEntry("optimal", "exact optimum; small backlogs only", _optimal),
)

RULES: Mapping[str, RuleEntry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
"""The rules by name, in the order of tables."""
