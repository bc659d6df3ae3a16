r"""The gap between a policy's revenue and R* as the number of GPUs grows.

Per replication the gap is :math:`R^* + \sum_i \phi_i (\hat\lambda_i - \lambda_i) - R`, where
:math:`\hat\lambda_i` is the arrival rate that the replication happened to see and :math:`\phi_i`
the plan's shadow price of arrivals: a control variate with fixed coefficients and mean zero,
which leaves the expectation as it is and takes the luck of the arrivals out of the comparison.
Revenue R is what the plan's pricing pays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...fluid import Plan
from ...stochastic import EVENTS, Estimate, simulate
from ...theory import Policy
from ...theory.steady_state import prefill_balance
from ..statistics import GapCurve
from ..verdict import Report


@dataclass(frozen=True)
class Design:
    """Sizes of a study, replications at each, and the seconds simulated per replication.

    ``settled_from`` is the size from which sqrt(n) gap is taken to have settled, fixed in advance.
    """

    gpus: tuple[int, ...]
    replications: tuple[int, ...]
    warmup: float
    measured: float
    settled_from: int


@dataclass(frozen=True)
class GapStudy:
    """A policy's estimates at increasing sizes, and its gap to the value of ``plan``."""

    label: str
    plan: Plan
    curve: GapCurve
    estimates: tuple[Estimate, ...]
    settled_from: int

    @property
    def settled(self) -> GapCurve:
        """The part of the curve on which the asymptotics are tested."""
        return self.curve.starting_at(self.settled_from)


def gap_study(
    label: str, plan: Plan, policy: Policy, design: Design, seed: int, report: Report
) -> GapStudy:
    """Simulate ``policy`` at every size of ``design`` and compare with the value of ``plan``."""
    estimates, gaps, errors = [], [], []
    for gpus, replications in zip(design.gpus, design.replications, strict=True):
        report(f"{label}, {gpus:,} GPUs")
        estimate = simulate(
            plan.network,
            policy,
            gpus=gpus,
            horizon=design.warmup + design.measured,
            warmup=design.warmup,
            replications=replications,
            # Sizes must be independent: the same seed would use the same numbers at each.
            seed=seed * 10**9 + gpus,
        )
        samples = relative_gaps(plan, estimate)
        estimates.append(estimate)
        gaps.append(samples.mean())
        errors.append(samples.std(ddof=1) / np.sqrt(replications))
    curve = GapCurve(
        np.array(design.gpus), np.array(gaps), np.array(errors), np.array(design.replications)
    )
    return GapStudy(label, plan, curve, tuple(estimates), design.settled_from)


def relative_gaps(plan: Plan, estimate: Estimate) -> np.ndarray:
    """Gap of each replication relative to R*, with the control variate of the module docstring."""
    names = plan.network.class_names
    prices = np.array([float(plan.shadow_prices[prefill_balance(name)]) for name in names])
    expected = np.array(plan.network.per_class("arrival_rate"))
    luck = (estimate.replicated_event_rates[:, EVENTS.index("arrival")] - expected) @ prices
    value = float(plan.value)
    separate = plan.pricing == "separate"
    earned = estimate.replicated_separate_revenue if separate else estimate.replicated_revenue
    gaps: np.ndarray = (value + luck - earned) / value
    return gaps
