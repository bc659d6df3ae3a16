r"""The gap between a policy's revenue and R* as the number of GPUs grows.

Per replication the gap is :math:`R^* + \sum_i \phi_i (\hat\lambda_i - \lambda_i) - R`, where
:math:`\hat\lambda_i` is the arrival rate that the replication happened to see, :math:`\phi_i` the
plan's shadow price of arrivals, and R what the plan's pricing pays for the mean occupancies of
the replication at the service rates (`expected_revenue`). Both corrections are control variates
with fixed coefficients: arrivals less their rate, and completions less the integral of theirs,
are martingales. So the expectation is that of counted revenue, over any stretch of time, and the
luck of arrivals and services is out of the comparison. The second one holds for exponential
service times only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...fluid import Plan
from ...fluid.penalised import PenalisedPlan
from ...stochastic import COUNTS, EVENTS, Estimate, simulate
from ...theory import Policy, ServingNetwork, rates
from ...theory.steady_state import prefill_balance
from ..statistics import GapCurve
from ..verdict import Report

SAMPLES_EVERY = 2.0
"""Seconds between two samples of the state: few beside those that a decode takes."""


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

    @property
    def sampling_times(self) -> NDArray[np.float64]:
        """Times after the warm-up at which the state is recorded, `SAMPLES_EVERY` seconds apart."""
        return np.arange(self.warmup, self.warmup + self.measured, SAMPLES_EVERY)


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
    estimates = simulated_sizes(label, plan.network, policy, design, seed, report)
    curve = gap_curve([relative_gaps(plan, estimate) for estimate in estimates], design.gpus)
    return GapStudy(label, plan, curve, estimates, design.settled_from)


def simulated_sizes(
    label: str,
    network: ServingNetwork,
    policy: Policy,
    design: Design,
    seed: int,
    report: Report,
) -> tuple[Estimate, ...]:
    """Estimates of ``policy`` at every size, with the state sampled after the warm-up."""
    estimates = []
    for gpus, replications in zip(design.gpus, design.replications, strict=True):
        report(f"{label}, {gpus:,} GPUs")
        estimate = simulate(
            network,
            policy,
            gpus=gpus,
            horizon=design.warmup + design.measured,
            warmup=design.warmup,
            replications=replications,
            # Sizes must be independent: the same seed would use the same numbers at each.
            seed=seed * 10**9 + gpus,
            grid=design.sampling_times,
        )
        estimates.append(estimate)
    return tuple(estimates)


def gap_curve(samples: Sequence[NDArray[np.float64]], gpus: Sequence[int]) -> GapCurve:
    """Means and standard errors of the gaps of all replications, one array per size."""
    return GapCurve(
        np.array(gpus),
        np.array([each.mean() for each in samples]),
        np.array([each.std(ddof=1) / np.sqrt(len(each)) for each in samples]),
        np.array([len(each) for each in samples]),
    )


def relative_gaps(plan: Plan, estimate: Estimate) -> NDArray[np.float64]:
    """Gap of each replication relative to R*, with the control variates of the module docstring."""
    return revenue_gaps(plan, estimate) / float(plan.value)


def counted_gaps(plan: Plan, estimate: Estimate) -> NDArray[np.float64]:
    """Relative gaps by counted revenue, corrected for arrivals alone: for any distribution."""
    separate = plan.pricing == "separate"
    earned = estimate.replicated_separate_revenue if separate else estimate.replicated_revenue
    return (float(plan.value) + _luck(plan, estimate) - earned) / float(plan.value)


def revenue_gaps(plan: Plan | PenalisedPlan, estimate: Estimate) -> NDArray[np.float64]:
    """Value of the plan less the revenue of each replication, with both control variates.

    The prices of a penalised plan are those of the linear program that touches program (49) at
    the optimum, where both have the same derivatives by the envelope theorem. That they fit makes
    for a small variance; the mean of the control variate is zero whatever its coefficients.
    """
    return float(plan.value) + _luck(plan, estimate) - expected_revenue(plan, estimate)


def expected_revenue(plan: Plan | PenalisedPlan, estimate: Estimate) -> NDArray[np.float64]:
    """What the occupancies of each replication earn per GPU-second at the service rates."""
    rate = rates(plan.network)
    served = dict(zip(COUNTS, np.moveaxis(estimate.replicated_occupancies, 1, 0), strict=True))
    decoded = served["mixed_decode"] * rate.mixed_decode + served["solo_decode"] * rate.solo_decode
    if plan.pricing == "separate":
        earned = served["prefill"] * rate.prefill @ rate.prompt_revenue
        return np.asarray(earned + decoded @ rate.output_revenue)
    return np.asarray(decoded @ rate.weight)


def _luck(plan: Plan | PenalisedPlan, estimate: Estimate) -> NDArray[np.float64]:
    """What the arrivals that came beyond the expected ones are worth, per GPU-second."""
    names = plan.network.class_names
    prices = np.array([float(plan.shadow_prices[prefill_balance(name)]) for name in names])
    expected = np.array(plan.network.per_class("arrival_rate"))
    came = estimate.replicated_event_rates[:, EVENTS.index("arrival")]
    return np.asarray((came - expected) @ prices)
