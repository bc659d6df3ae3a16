"""Evidence that the simulator simulates the chain it should: checked before it is believed.

Event for event against the readable reference, from the same random numbers; and mean for mean
against the exact stationary law of small networks, which shares no code with either.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from ..fluid import Plan, plan
from ..stochastic import (
    build_chain,
    replication_generator,
    run_kernel,
    run_reference,
    simulate,
    stationary_law,
)
from ..theory import FirstComeFirstServed, GateAndRoute, Policy, instance
from ..theory.claims import Grade
from .verdict import Evidence, outcome_of

SMALL_INSTANCES = ("small-one-class", "small-two-class")
INTERVAL_LEVEL = 0.001
COMPARED_GPUS, COMPARED_SECONDS = 9, 60.0
SEED = 7


def same_events(plans: dict[str, Plan]) -> Evidence:
    """Whether kernel and reference take the same events at the same times, on every plan."""
    compared, differing = 0, []
    for name, p in plans.items():
        for policy in (GateAndRoute(p), FirstComeFirstServed(p)):
            events, same = _compare(p, policy)
            compared += events
            if not same:
                differing.append(f"{policy.name} on {name}")
    return Evidence(
        name="the kernel follows the readable reference event for event",
        grade=Grade.EXHAUSTED,
        outcome=outcome_of(not differing),
        claimed="identical events and times",
        computed=f"{compared:,} events identical" if not differing else "; ".join(differing),
        detail=f"{COMPARED_GPUS} GPUs, {COMPARED_SECONDS:g} s, both policies, same random numbers",
    )


def exact_means() -> Evidence:
    """Whether simulated means of small networks lie in intervals around the exact ones.

    Family-wise: each two-sided interval has error probability `INTERVAL_LEVEL` divided by the
    number of means compared.
    """
    deviations, degrees = [], 0
    for name in SMALL_INSTANCES:
        p = plan(instance(name))
        for gpus in (1, 2):
            policy = GateAndRoute(p)
            law = stationary_law(p.network, policy, gpus)
            estimate = simulate(
                p.network,
                policy,
                gpus=gpus,
                horizon=30_000,
                warmup=200,
                replications=32,
                seed=SEED,
            )
            degrees = estimate.replications - 1
            pairs = [(estimate.revenue_rate, law.revenue_rate)]
            for stage, intervals in estimate.occupancies.items():
                pairs += list(zip(intervals, law.occupancies[stage], strict=True))
            deviations += [
                abs(measured.mean - exact) / measured.standard_error
                for measured, exact in pairs
                if measured.standard_error > 0
            ]
    critical = float(stats.t.ppf(1 - INTERVAL_LEVEL / (2 * len(deviations)), degrees))
    worst = max(deviations)
    detectable = float(critical + stats.t.ppf(0.9, degrees))
    return Evidence(
        name="simulated means agree with the exact stationary law, n = 1, 2",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(worst <= critical),
        claimed=f"every deviation below {critical:.2f} standard errors",
        computed=f"largest of {len(deviations)}: {worst:.2f}",
        slack=critical - worst,
        detail=f"family-wise level {INTERVAL_LEVEL:g}; power 0.9 at {detectable:.1f} standard "
        "errors; small-one-class and small-two-class",
    )


def _compare(p: Plan, policy: Policy) -> tuple[int, bool]:
    chain = build_chain(p.network, policy, COMPARED_GPUS)
    grid, logged = np.zeros(0), 1_000_000
    runs = [
        runner(chain, replication_generator(SEED, 0), 0.0, COMPARED_SECONDS, grid, logged)
        for runner in (run_kernel, run_reference)
    ]
    same = np.array_equal(runs[0].log, runs[1].log) and np.array_equal(
        runs[0].completed, runs[1].completed
    )
    close = np.allclose(runs[0].areas, runs[1].areas, rtol=1e-9, atol=1e-9)
    return runs[0].events, bool(same and close)
