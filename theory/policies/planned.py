r"""The policies of arXiv 2602.02987 v1: planned statically, decodes routed to solo GPUs first.

Out of n GPUs, M = ceil(n sum_i x_i*) are mixed (one slot reserved for prefill, B - 1 for decode),
the others run decodes only, B each. Open choices of the paper, settled here: the queue target is
n q*_{p,i}; a class with x_i* = 0 is never admitted by the occupancy gate; remaining ties go to
the class listed first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from ..network import exact
from ..rates import exact_rates
from .descriptors import FirstComeGate, Gate, OccupancyGate, Policy, Routing


@dataclass(frozen=True)
class GateAndRoute(OccupancyGate):
    """Occupancy-based gate-and-route (Section 4.1), "GG-SP" in Section 6.3."""

    name: ClassVar[str] = "gate-and-route"


@dataclass(frozen=True)
class FirstComeFirstServed(FirstComeGate):
    """No gate: an idle prefill slot admits the request that has waited longest, of any class.

    Planning and routing are those of gate-and-route ("FG-SP" in Section 6.3); it is the control
    that shows what the gate is for.
    """

    name: ClassVar[str] = "fcfs"


@dataclass(frozen=True)
class PrioritizeAndRoute(Policy):
    """Prioritize-and-route (Section 4.2.1): the waiting class with the largest D_i / P_i.

    Meant for a plan with separate pricing. Ties go to the class listed first.
    """

    name: ClassVar[str] = "prioritize-and-route"
    gate: ClassVar[Gate] = Gate.PRIORITY

    def class_order(self) -> tuple[int, ...]:
        """Classes in order of priority, the most decode work per prompt token first."""
        outputs = self.plan.network.per_class("output_tokens", exact)
        prompts = self.plan.network.per_class("prompt_tokens", exact)
        return tuple(sorted(range(len(prompts)), key=lambda i: (-outputs[i] / prompts[i], i)))

    def next_class(
        self,
        prefill: Sequence[int],
        waiting: Sequence[int],
        oldest: Sequence[float],
        gpus: int,
    ) -> int | None:
        """The first waiting class in `class_order`; parameters as for `Policy`."""
        return next((i for i in self.class_order() if waiting[i] > 0), None)


@dataclass(frozen=True)
class SliAware(OccupancyGate):
    r"""SLI-aware gate-and-route (Section 5.1): decodes go to a pool by lot.

    A prefilled request of class i joins the solo pool with probability

    .. math:: p_{s,i} = \frac{\mu_{s,i} y^*_{s,i}}{\mu_{m,i} y^*_{m,i} + \mu_{s,i} y^*_{s,i}}

    (1 if the plan has no decodes of the class), else the mixed pool; each pool serves its own
    buffer, first come, first served. The lot is drawn when the prefill completes; a decode that
    completes frees its slot for the buffer of its own pool.
    """

    name: ClassVar[str] = "sli-aware"
    routing: ClassVar[Routing] = Routing.POOLS

    def solo_probability(self, class_index: int) -> float:
        """p_{s,i}: probability that a prefilled request of the class decodes in the solo pool."""
        mixed, solo = self._completions
        total = mixed[class_index] + solo[class_index]
        return 1.0 if total == 0 else float(solo[class_index] / total)

    def pool_weights(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Shares of the classes in the planned completions of the mixed and of the solo pool."""
        mixed, solo = self._completions
        return _shares(mixed), _shares(solo)

    @cached_property
    def _completions(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Planned completions per second and GPU of each class, in mixed and in solo slots."""
        rate, plan = exact_rates(self.plan.network), self.plan
        mixed = tuple(m * y for m, y in zip(rate.mixed_decode, plan.mixed_decode, strict=True))
        solo = tuple(s * y for s, y in zip(rate.solo_decode, plan.solo_decode, strict=True))
        return mixed, solo


@dataclass(frozen=True)
class GeneralSliAware(SliAware):
    """The general SLI-aware policy (Section 13), for plans with q_d* > 0.

    As `SliAware`, but a slot that frees in a pool serves class i with probability proportional
    to its share of the pool's planned completions, among the classes that wait there.
    """

    name: ClassVar[str] = "sli-general"
    routing: ClassVar[Routing] = Routing.WEIGHTED_POOLS


def _shares(completions: tuple[Any, ...]) -> tuple[float, ...]:
    total = sum(completions)
    return tuple(float(c / total) if total else 0.0 for c in completions)
