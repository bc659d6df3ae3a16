r"""Policies as values: which class the next free prefill slot serves, and how many GPUs mix.

Both policies below plan statically as in Section 4.1 of arXiv 2602.02987 v1: out of n GPUs,
M = ceil(n sum_i x_i*) are mixed (one slot reserved for prefill, B - 1 for decode), the others
run decodes only, B each. Both route decodes solo first: to a free solo slot, else to a free
mixed slot, else to one decode buffer, first come first served across classes. They differ in
the gate, which picks a class whenever a reserved prefill slot is idle.

Open choices of the paper, settled here: the queue target is n q*_{p,i}; a class with x_i* = 0 is
never admitted (serving it would take decode work from classes the plan prefers); remaining ties
go to the class listed first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from .errors import InvalidInput, require_integer
from .steady_state import OccupancyTargets


@dataclass(frozen=True)
class StaticallyPlanned:
    """What both policies share: the plan that they track and the mixed GPUs that it asks for."""

    plan: OccupancyTargets

    def mixed_gpus(self, gpus: int) -> int:
        """M = ceil(n sum_i x_i*), exactly when the plan is in fractions."""
        require_integer("gpus", gpus, "GPUs", at_least=1)
        mixed: int = math.ceil(gpus * sum(self.plan.prefill))
        return mixed


@dataclass(frozen=True)
class GateAndRoute(StaticallyPlanned):
    """Occupancy-based gate-and-route (Section 4.1).

    The gate admits, among the classes that wait, the one with the smallest relative occupancy
    deviation xi_i = (X_i - n x_i*) / x_i*; ties go to the largest queue deviation
    Q_{p,i} - n q*_{p,i}. Since xi_i = X_i / x_i* - n, classes are compared by X_i / x_i*, in
    which classes without prefills tie exactly, whatever n and the rounding of x*.
    """

    name: ClassVar[str] = "gate-and-route"
    gated: ClassVar[bool] = True

    def admits(self, class_index: int) -> bool:
        """Whether the gate ever admits the class."""
        return bool(self.plan.prefill[class_index] > 0)

    def next_class(
        self,
        prefill: Sequence[int],
        waiting: Sequence[int],
        oldest: Sequence[float],
        gpus: int,
    ) -> int | None:
        """The class that an idle prefill slot admits; None if it stays idle.

        Parameters
        ----------
        prefill
            Requests in prefill per class, X_i.
        waiting
            Requests waiting for prefill per class, Q_{p,i}.
        oldest
            Arrival order of the longest-waiting request per class; this gate ignores it.
        gpus
            Number n of GPUs.
        """

        def priority(i: int) -> tuple[float, float]:
            occupancy = prefill[i] / float(self.plan.prefill[i])
            return occupancy, -(waiting[i] - gpus * float(self.plan.prefill_queue[i]))

        candidates = [i for i, count in enumerate(waiting) if count > 0 and self.admits(i)]
        return min(candidates, key=priority, default=None)


@dataclass(frozen=True)
class FirstComeFirstServed(StaticallyPlanned):
    """No gate: an idle prefill slot admits the request that has waited longest, of any class.

    Planning and routing are those of gate-and-route ("FG-SP" in Section 6.3); it is the control
    that shows what the gate is for.
    """

    name: ClassVar[str] = "fcfs"
    gated: ClassVar[bool] = False

    def admits(self, class_index: int) -> bool:
        """Every class is admitted in its turn."""
        return True

    def next_class(
        self,
        prefill: Sequence[int],
        waiting: Sequence[int],
        oldest: Sequence[float],
        gpus: int,
    ) -> int | None:
        """The class of the longest-waiting request; parameters as for `GateAndRoute`."""
        candidates = [i for i, count in enumerate(waiting) if count > 0]
        return min(candidates, key=lambda i: oldest[i], default=None)


Policy = GateAndRoute | FirstComeFirstServed

_POLICIES: dict[str, type[GateAndRoute] | type[FirstComeFirstServed]] = {
    policy.name: policy for policy in (GateAndRoute, FirstComeFirstServed)
}


def policy_names() -> tuple[str, ...]:
    """Names that `policy_named` understands."""
    return tuple(_POLICIES)


def policy_named(name: str, plan: OccupancyTargets) -> Policy:
    """The policy called ``name``, tracking ``plan``."""
    if name not in _POLICIES:
        raise InvalidInput("policy", name, f"one of {', '.join(_POLICIES)}")
    return _POLICIES[name](plan)
