"""Evidence that the simulator simulates the chain it should: checked before it is believed.

Event for event against the readable reference, from the same random numbers; and mean for mean
against the exact stationary law of small networks, which shares no code with either.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ...fluid import Plan, plan
from ...stochastic import (
    Chain,
    Interval,
    Run,
    StationaryLaw,
    build_chain,
    replication_generator,
    run_kernel,
    run_reference,
    simulate,
    stationary_law,
)
from ...stochastic.chain import SOLO_COMPLETION, Runner
from ...theory import FirstComeFirstServed, GateAndRoute, Policy, ServingNetwork, instance
from ...theory.claims import Grade
from ..statistics import Fitted
from ..verdict import Evidence, outcome_of

SMALL_INSTANCES = ("small-one-class", "small-two-class")
INTERVAL_LEVEL = 0.001
COMPARED_GPUS, COMPARED_SECONDS = 9, 120.0
SEED = 7


def same_events(plans: dict[str, Plan], kernel: Runner | None = None) -> Evidence:
    """Whether kernel and reference take the same events at the same times, on every plan."""
    compared, differing = 0, []
    for name, p in plans.items():
        for policy in (GateAndRoute(p), FirstComeFirstServed(p)):
            events, same = _compare(p, policy, kernel or run_kernel)
            compared += events
            if not same:
                differing.append(f"{policy.name} on {name}")
    return Evidence(
        name="the kernel follows the readable reference event for event",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(not differing),
        claimed="identical events and times",
        computed=f"{compared:,} events identical" if not differing else "; ".join(differing),
        detail=f"one path of {COMPARED_GPUS} GPUs and {COMPARED_SECONDS:g} s per policy and "
        "instance, same random numbers; exact comparison of every event, time and count",
    )


def exact_means() -> Evidence:
    """`means_evidence` for the policies of the bundled claims, on `SMALL_INSTANCES`."""
    systems = []
    for name in SMALL_INSTANCES:
        p = plan(instance(name))
        for gpus, policy in (
            (1, GateAndRoute(p)),
            (2, GateAndRoute(p)),
            (1, FirstComeFirstServed(p)),
        ):
            systems.append((p.network, policy, stationary_law(p.network, policy, gpus)))
    return means_evidence(
        systems, "small-one-class and small-two-class, gate-and-route and, at n = 1, no gate"
    )


def means_evidence(
    systems: Sequence[tuple[ServingNetwork, Policy, StationaryLaw]],
    what: str,
    kernel: Runner | None = None,
) -> Evidence:
    """Whether simulated means of small networks lie in intervals around those of their laws.

    Family-wise: each two-sided interval has error probability `INTERVAL_LEVEL` divided by the
    number of means compared.
    """
    deviations, degrees = [], 0
    for network, policy, law in systems:
        estimate = simulate(
            network,
            policy,
            gpus=law.gpus,
            horizon=30_000,
            warmup=200,
            replications=32,
            seed=SEED,
            runner=kernel or run_kernel,
        )
        degrees = estimate.replications - 1
        pairs = [
            (estimate.revenue_rate, law.revenue_rate),
            (estimate.separate_revenue_rate, law.separate_revenue_rate),
        ]
        for exact, measured in (
            (law.occupancies, estimate.occupancies),
            (law.event_rates, estimate.event_rates),
        ):
            for key, intervals in measured.items():
                pairs += list(zip(intervals, exact[key], strict=True))
        deviations += [_deviation(interval, value) for interval, value in pairs]
    critical = float(stats.t.ppf(1 - INTERVAL_LEVEL / (2 * len(deviations)), degrees))
    worst = max(deviations)
    detectable = Fitted(0.0, 1.0, degrees).detectable(INTERVAL_LEVEL / len(deviations))
    sizes = ", ".join(str(n) for n in sorted({law.gpus for _, _, law in systems}))
    return Evidence(
        name=f"simulated means agree with the exact stationary law, n = {sizes}",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(worst <= critical),
        claimed=f"every deviation below {critical:.2f} standard errors",
        computed=f"largest of {len(deviations)}: {worst:.2f}",
        slack=critical - worst,
        detail=f"family-wise level {INTERVAL_LEVEL:g}; power 0.9 at {detectable:.1f} standard "
        f"errors; {what}",
    )


def _deviation(measured: Interval, exact: float) -> float:
    """Distance in standard errors; what never varied must be exactly right."""
    if measured.standard_error == 0:
        return 0.0 if abs(measured.mean - exact) <= 1e-9 else np.inf
    return abs(measured.mean - exact) / measured.standard_error


def with_wrong_rate(
    chain: Chain,
    generator: np.random.Generator,
    warmup: float,
    horizon: float,
    grid: NDArray[np.float64],
    logged: int,
) -> Run:
    """The kernel with solo decode of the first class a tenth too fast: a control."""
    unit_rates = chain.unit_rates.copy()
    unit_rates[SOLO_COMPLETION, 0] *= 1.1
    wrong = dataclasses.replace(chain, unit_rates=unit_rates)
    return run_kernel(wrong, generator, warmup, horizon, grid, logged)


def _compare(p: Plan, policy: Policy, kernel: Runner) -> tuple[int, bool]:
    chain = build_chain(p.network, policy, COMPARED_GPUS)
    grid, logged = np.linspace(0.0, COMPARED_SECONDS, 7), 1_000_000
    warmup = COMPARED_SECONDS / 4
    runs = [
        runner(chain, replication_generator(SEED, 0), warmup, COMPARED_SECONDS, grid, logged)
        for runner in (kernel, run_reference)
    ]
    same = all(
        np.array_equal(getattr(runs[0], name), getattr(runs[1], name))
        for name in ("log", "completed", "grid_counts")
    )
    close = np.allclose(runs[0].areas, runs[1].areas, rtol=1e-9, atol=1e-9)
    return runs[0].events, bool(same and close)
