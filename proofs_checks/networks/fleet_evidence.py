"""Evidence that the fleet's simulator simulates what it should: checked before it is believed.

Event for event against the readable twin, for every policy in both granularities; and, with
exponential lengths and dedicated speeds, mean for mean against the exact law of the chain, whose
program shares no code with either.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from ...fluid import plan
from ...stochastic import COUNTS, replication_generator, stationary_law
from ...stochastic.fleet import (
    Physics,
    build_fleet,
    poisson_requests,
    run_fleet,
    run_fleet_reference,
    simulate_fleet,
)
from ...stochastic.fleet.simulation import FleetRunner
from ...theory import instance, policy_named
from ...theory.claims import Grade
from ..statistics import FAMILY_LEVEL
from ..verdict import Evidence, outcome_of

SEED = 11
COMPARED = (
    "gate-and-route",
    "fcfs",
    "prioritize-and-route",
    "sli-aware",
    "sli-general",
    "fi-wsp",
    "gi-wsp",
    "gf-wsp",
    "prefill-first",
    "disaggregated",
)
GPUS, SECONDS = 3, 40.0


def same_fleet_events(kernel: FleetRunner = run_fleet) -> Evidence:
    """Whether kernel and reference take the same events at the same times."""
    network = instance("two-class")
    target = plan(network)
    drawn = poisson_requests(network, GPUS, SECONDS, replication_generator(SEED, 0))
    events, differing = 0, []
    for physics in (Physics(), Physics("iterations")):
        requests = drawn if physics.granularity == "continuous" else drawn.whole()
        for name in COMPARED:
            fleet = build_fleet(network, policy_named(name, target), GPUS, physics)
            runs = [
                runner(
                    fleet,
                    requests,
                    replication_generator(SEED, 1),
                    SECONDS / 4,
                    SECONDS,
                    np.linspace(0.0, SECONDS, 5),
                    100_000,
                )
                for runner in (kernel, run_fleet_reference)
            ]
            events += runs[0].events
            same = all(
                np.array_equal(getattr(runs[0], field), getattr(runs[1], field))
                for field in ("log", "completed", "grid_counts", "iterations")
            )
            if not (same and np.allclose(runs[0].areas, runs[1].areas, rtol=1e-9, atol=1e-9)):
                differing.append(f"{name}, {physics.granularity}")
    return Evidence(
        name="the fleet's kernel follows its readable reference event for event",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(not differing),
        claimed="identical events and times",
        computed=f"{events:,} events identical" if not differing else "; ".join(differing),
        detail=f"{len(COMPARED)} policies in both granularities on {GPUS} GPUs of two-class for "
        f"{SECONDS:g} s; exact comparison of events, times, counts and iterations",
    )


def fleet_agrees_with_chain(tests: int, horizon: float) -> Evidence:
    """Whether, where the chain's assumptions hold, the fleet has the chain's exact means."""
    network = instance("small-two-class")
    target = plan(network)
    deviations = []
    for name, gpus in (("gate-and-route", 2), ("fcfs", 1)):
        policy = policy_named(name, target)
        law = stationary_law(network, policy, gpus)
        estimate = simulate_fleet(
            network,
            policy,
            gpus=gpus,
            horizon=horizon,
            warmup=100,
            replications=16,
            seed=SEED,
            physics=Physics(dedicated_speed=True),
        )
        pairs = [(estimate.revenue_rate, law.revenue_rate)]
        for stage in COUNTS:
            pairs += zip(estimate.occupancies[stage], law.occupancies[stage], strict=True)
        # Without solo GPUs nobody decodes there: what never varies is no estimate.
        deviations += [
            abs(i.mean - exact) / i.standard_error for i, exact in pairs if i.mean or exact
        ]
    level = FAMILY_LEVEL / tests
    critical = float(stats.t.ppf(1 - level / (2 * len(deviations)), 15))
    worst = max(deviations)
    return Evidence(
        name="with exponential lengths and dedicated speeds the fleet is the chain",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(worst <= critical),
        claimed=f"every deviation from the exact law below {critical:.2f} standard errors",
        computed=f"largest of {len(deviations)}: {worst:.2f}",
        slack=critical - worst,
        detail=f"level {level:.2g} divided among the means; gate-and-route on two GPUs and no gate "
        f"on one, small-two-class, 16 replications of {horizon:,.0f} s",
    )
