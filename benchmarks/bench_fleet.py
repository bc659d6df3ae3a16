"""The fleet's kernel on one core: events and iterations per second, by policy and granularity.

Iterations count as fast as they are leapt over; the readable reference runs a small fleet for
comparison. The best of several rounds counts, since neighbours on a machine only slow one down.
"""

from __future__ import annotations

import time

import numpy as np

from kurtz.fluid import plan
from kurtz.stochastic import replication_generator
from kurtz.stochastic.fleet import (
    Physics,
    build_fleet,
    poisson_requests,
    run_fleet,
    run_fleet_reference,
)
from kurtz.stochastic.fleet.simulation import FleetRunner
from kurtz.theory import instance, policy_named

ROUNDS = 3
NO_GRID = np.zeros(0)


def measure(
    name: str, physics: Physics, gpus: int, seconds: float, runner: FleetRunner = run_fleet
) -> tuple[float, float]:
    """Events and iterations per second of processor time, the best of the rounds."""
    network = instance("two-class")
    fleet = build_fleet(network, policy_named(name, plan(network)), gpus, physics)
    requests = poisson_requests(network, gpus, seconds, replication_generator(1, 0)).whole()
    best = (0.0, 0.0)
    for _ in range(ROUNDS):
        started = time.process_time()
        lots = replication_generator(1, 1)
        run = runner(fleet, requests, lots, 0.0, seconds, NO_GRID, 0)
        taken = time.process_time() - started
        best = max(best, (run.events / taken, run.iterations / taken))
    return best


def main() -> None:
    """Print a table."""
    print("policy            granularity      n   events/s  iterations/s")
    for name in ("gate-and-route", "gi-wsp", "prefill-first"):
        for physics in (Physics(), Physics("iterations")):
            for gpus in (20, 500):
                events, iterations = measure(name, physics, gpus, 100_000 / gpus)
                label = f"{name:17} {physics.granularity:11} {gpus:6}"
                print(f"{label} {events:10,.0f} {iterations:13,.0f}")
    events, _ = measure("gate-and-route", Physics(), 4, 60.0, run_fleet_reference)
    print(f"reference         continuous       4 {events:10,.0f}")


if __name__ == "__main__":
    main()
