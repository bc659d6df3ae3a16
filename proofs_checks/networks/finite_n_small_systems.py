"""Slot filling on small systems, judged by the exact optimum over all admissible policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...fluid import Plan, plan
from ...stochastic import stationary_law
from ...stochastic.exact_shared_chain import SharedLaw, shared_stationary_law
from ...stochastic.optimal_control.control import optimal_control
from ...theory import instance
from ...theory.claims import Grade
from ...theory.policies import GateAndRoute
from ...theory.policies.finite_size import SlotFilling
from ..verdict import Evidence, Level, outcome_of
from .finite_n_study import loss_shares

SYSTEMS: Mapping[Level, tuple[tuple[str, int], ...]] = {
    "quick": (
        ("small-one-class", 1),
        ("small-one-class", 2),
        ("small-one-class", 3),
        ("small-underloaded", 1),
        ("small-underloaded", 2),
        ("small-underloaded", 3),
        ("small-two-class", 1),
    ),
    "full": (
        ("small-one-class", 1),
        ("small-one-class", 2),
        ("small-one-class", 3),
        ("small-underloaded", 1),
        ("small-underloaded", 2),
        ("small-underloaded", 3),
        ("small-two-class", 1),
        ("small-two-class", 2),
    ),
}
"""Instances and numbers of GPUs."""

BRACKET = 2e-3
"""Largest relative distance of the exact bounds of an optimum."""

LOSSES_TOLERANCE = 1e-6
"""Largest accepted difference between the gap and the sum of its losses; requests that are lost
for want of room in the truncated chain make up at most that share."""


@dataclass(frozen=True)
class SmallSystem:
    """Revenue per GPU-second of one small system, exact up to the stated brackets.

    Attributes
    ----------
    gate_and_route, slot_filling
        Stationary revenue of the two policies.
    static_optimum
        Upper bound of the best revenue with a static layout, over all numbers of mixed GPUs.
    optimum
        Upper bound of the best revenue of any admissible policy.
    """

    name: str
    gpus: int
    plan: Plan
    law: SharedLaw
    gate_and_route: float
    static_optimum: float
    optimum: float

    @property
    def slot_filling(self) -> float:
        """Revenue of slot filling."""
        return self.law.revenue_rate

    def revenue(self, policy: str) -> float:
        """Revenue of the policy of that name."""
        return self.slot_filling if policy == SlotFilling.name else self.gate_and_route


def small_systems(level: Level) -> list[SmallSystem]:
    """Solve every system of `SYSTEMS`."""
    return [_solved(name, gpus) for name, gpus in SYSTEMS[level]]


def exact_laws_evidence(systems: Sequence[SmallSystem]) -> Evidence:
    """Whether the losses, none negative, add up to the gap of slot filling."""
    errors, least = [], []
    for system in systems:
        losses = loss_shares(system.plan, system.law.occupancies)
        gap = 1 - system.slot_filling / float(system.plan.value)
        errors.append(abs(losses.sum() - gap))
        least.append(losses.min())
    return Evidence(
        name=f"the losses add up to R* - R: exact laws of {len(systems)} small systems",
        grade=Grade.EXHAUSTED,
        outcome=outcome_of(max(errors) <= LOSSES_TOLERANCE and min(least) >= -1e-12),
        claimed="equal, and no loss is negative, so that R <= R*",
        computed=f"largest difference {max(errors):.1e} of R*, least loss {min(least):.1e}",
        slack=LOSSES_TOLERANCE - max(errors),
        detail=f"{sum(s.law.states for s in systems):,} states in all, at most "
        f"{max(s.law.truncation_loss for s in systems):.1e} of the requests lost to truncation",
    )


def small_systems_evidence(systems: Sequence[SmallSystem], policy: str) -> Evidence:
    """Whether the policy beats every static layout and closes half of what can be closed."""
    closed = {
        (s.name, s.gpus): (s.revenue(policy) - s.gate_and_route) / (s.optimum - s.gate_and_route)
        for s in systems
    }
    ahead = min(s.revenue(policy) / s.static_optimum - 1 for s in systems)
    name, gpus = min(closed, key=lambda key: closed[key])
    return Evidence(
        name=f"{policy} beats every static layout and closes half of what can be closed",
        grade=Grade.EXHAUSTED,
        outcome=outcome_of(min(closed.values()) >= 0.5 and ahead > 0),
        claimed=f"at n = 1 ... {max(s.gpus for s in systems)}, {len(systems)} small systems",
        computed=f"closes at least {closed[name, gpus]:.0%} ({name}, n = {gpus}); "
        f"{ahead:+.2%} on the best static layout at least",
        slack=closed[name, gpus] - 0.5,
        detail="share of the way from gate-and-route to the optimum over all admissible policies; "
        "static layouts with every number of mixed GPUs, each under its optimal control; "
        f"optima as upper bounds, bracketed within {BRACKET:g}",
    )


def _solved(name: str, gpus: int) -> SmallSystem:
    p = plan(instance(name))
    layouts = [
        optimal_control(p.network, gpus, mixed, tolerance=BRACKET) for mixed in range(1, gpus + 1)
    ]
    return SmallSystem(
        name=name,
        gpus=gpus,
        plan=p,
        law=shared_stationary_law(p.network, SlotFilling(p), gpus, tolerance=LOSSES_TOLERANCE / 10),
        gate_and_route=stationary_law(p.network, GateAndRoute(p), gpus).revenue_rate,
        static_optimum=max(float(layout.upper) for layout in layouts),
        optimum=float(optimal_control(p.network, gpus, tolerance=BRACKET).upper),
    )
