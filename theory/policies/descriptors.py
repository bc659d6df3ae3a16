"""What a policy consists of, in words that every simulator and the fluid model understand.

A policy is a gate, a routing and a layout. The descriptors below name the kinds that occur in
arXiv 2602.02987 v1 and in the practice it compares with; `Policy` is what all policies share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from ..errors import require_integer
from ..steady_state import OccupancyTargets


class Gate(StrEnum):
    """Which class an idle prefill slot admits."""

    OCCUPANCY = "occupancy"
    """The class that lags its target prefill occupancy most (Section 4.1)."""

    FIRST_COME = "first come"
    """The class of the request that has waited longest."""

    PRIORITY = "priority"
    """The first class, in a fixed order, of which a request waits (Section 4.2.1)."""


class Routing(StrEnum):
    """Where a prefilled request decodes, and what a freed decode slot serves."""

    SOLO_FIRST = "solo first"
    """A free solo slot, else a free mixed slot, else one buffer for all (Section 4.1)."""

    POOLS = "pools"
    """A solo or a mixed pool by lot, each with a buffer, first come first served (Section 5.1)."""

    WEIGHTED_POOLS = "weighted pools"
    """As `POOLS`; a freed slot draws the class it serves by weights (Section 13)."""

    IMMEDIATE = "immediate"
    """At once in the slot where the request was prefilled (Section 6.3, "immediate")."""

    PREFILL_FIRST = "prefill first"
    """One buffer for all; a freed slot prefers a new prefill to a waiting decode (Section 6.3)."""


class Layout(StrEnum):
    """What GPUs are for."""

    STATIC = "static"
    """M mixed GPUs with one prefill and B - 1 decode slots, n - M solo GPUs with B decode slots."""

    DISAGGREGATED = "disaggregated"
    """M GPUs that only prefill, one request at a time; n - M that only decode, B at a time."""

    SHARED = "shared"
    """Every GPU takes up to B requests, of which at most one is in prefill."""


@dataclass(frozen=True)
class Policy:
    """What all policies share: the plan that they track, and the descriptors.

    Attributes
    ----------
    name, gate, routing, layout
        What the policy is called and what it consists of.
    stalls_decodes
        Whether the decodes of a GPU stand still while it prefills, a whole prompt at a time.
    """

    plan: OccupancyTargets

    name: ClassVar[str]
    gate: ClassVar[Gate]
    routing: ClassVar[Routing] = Routing.SOLO_FIRST
    layout: ClassVar[Layout] = Layout.STATIC
    stalls_decodes: ClassVar[bool] = False

    @property
    def gated(self) -> bool:
        """Whether the gate goes by the numbers of requests alone, not by who came first."""
        return self.gate is not Gate.FIRST_COME

    def mixed_gpus(self, gpus: int) -> int:
        """M = ceil(n sum_i x_i*), exactly when the plan is in fractions, and at most n."""
        require_integer("gpus", gpus, "GPUs", at_least=1)
        mixed: int = math.ceil(gpus * sum(self.plan.prefill))
        return min(mixed, gpus)  # floats may add up to a little more than 1

    def admits(self, class_index: int) -> bool:
        """Whether the gate ever admits the class."""
        return True

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
            Arrival order of the longest-waiting request per class.
        gpus
            Number n of GPUs.
        """
        raise NotImplementedError

    def class_order(self) -> tuple[int, ...]:
        """Classes in the order of a `Gate.PRIORITY`, the first one first."""
        raise NotImplementedError

    def solo_probability(self, class_index: int) -> float:
        """Probability that a router with pools sends the class to the solo pool."""
        raise NotImplementedError

    def pool_weights(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Weights of the classes in the mixed and in the solo pool, for `WEIGHTED_POOLS`."""
        raise NotImplementedError

    def admission_limit(self, gpus: int) -> float:
        """Requests past the gate, in prefill, waiting for decode or decoding, that close it."""
        return math.inf

    def buffer_order(self) -> tuple[int, ...] | None:
        """Order in which classes leave the one decode buffer; None: first come, first served."""
        return None

    def _admissible(self, waiting: Sequence[int]) -> list[int]:
        """Classes that wait and that the gate admits."""
        return [i for i, count in enumerate(waiting) if count > 0 and self.admits(i)]


class OccupancyGate(Policy):
    """The gate of Section 4.1, mixed into policies.

    It admits, among the classes that wait, the one with the smallest relative occupancy
    deviation xi_i = (X_i - n x_i*) / x_i*; ties go to the largest queue deviation
    Q_{p,i} - n q*_{p,i}, remaining ties to the class listed first. Since xi_i = X_i / x_i* - n,
    classes are compared by X_i / x_i*, in which classes without prefills tie exactly, whatever n
    and the rounding of x*. A class with x_i* = 0 is never admitted: serving it would take decode
    work from classes the plan prefers.
    """

    gate: ClassVar[Gate] = Gate.OCCUPANCY

    def admits(self, class_index: int) -> bool:
        """Whether the plan has the class in prefill at all."""
        return bool(self.plan.prefill[class_index] > 0)

    def next_class(
        self,
        prefill: Sequence[int],
        waiting: Sequence[int],
        oldest: Sequence[float],
        gpus: int,
    ) -> int | None:
        """The waiting class with the least X_i / x_i*; parameters as for `Policy`."""

        def priority(i: int) -> tuple[float, float]:
            occupancy = prefill[i] / float(self.plan.prefill[i])
            return occupancy, -(waiting[i] - gpus * float(self.plan.prefill_queue[i]))

        return min(self._admissible(waiting), key=priority, default=None)


class FirstComeGate(Policy):
    """No gate, mixed into policies: the request that has waited longest, of any class."""

    gate: ClassVar[Gate] = Gate.FIRST_COME

    def next_class(
        self,
        prefill: Sequence[int],
        waiting: Sequence[int],
        oldest: Sequence[float],
        gpus: int,
    ) -> int | None:
        """The class of the longest-waiting request; parameters as for `Policy`."""
        return min(self._admissible(waiting), key=lambda i: oldest[i], default=None)
