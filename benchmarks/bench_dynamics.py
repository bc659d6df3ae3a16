"""The compiled catching-up scheme against event-located integration, as a ratio in one run.

Both integrate the paper's two-class instance under gate-and-route from the empty state; the scheme
also does 1,000 trajectories to T = 200 s from random states, on one thread and on all. The best
of several rounds counts.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable

import numpy as np

from kurtz.fluid import plan
from kurtz.fluid.dynamics import (
    event_located_trajectory,
    fluid_model,
    trajectories,
    trajectory,
)
from kurtz.proofs_checks.networks.fluid_cases import random_state
from kurtz.theory import GateAndRoute, instance

ROUNDS = 3
HORIZON = 200.0
TRAJECTORIES = 1_000
COMPARED = 50.0


def fastest(run: Callable[[], object]) -> float:
    """Seconds of the fastest of several rounds, after one to warm up."""
    run()
    best = np.inf
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return float(best)


def main() -> None:
    """Print trajectories per second, and the ratio to event-located integration."""
    best = plan(instance("two-class"))
    policy = GateAndRoute(best)
    exact = event_located_trajectory(best.network, policy, horizon=COMPARED)
    located = fastest(
        lambda: event_located_trajectory(best.network, policy, horizon=COMPARED, points=1)
    )
    print(f"event-located, {COMPARED:g} s of the network: {located:.3f} s")
    print("    step [s]   error [requests/GPU]   seconds   ratio")
    for step in (0.02, 0.01, 0.002):
        path = trajectory(best.network, policy, horizon=COMPARED, step=step)
        seconds = fastest(lambda h=step: trajectory(best.network, policy, horizon=COMPARED, step=h))
        error = np.abs(path.states - exact.states).max()
        print(f"{step:12g} {error:22.2g} {seconds:9.4f} {located / seconds:7.0f}")
    model = fluid_model(best.network, policy)
    generator = random.Random(1)
    cases = [(model, random_state(generator, model)) for _ in range(TRAJECTORIES)]
    for workers in sorted({1, os.cpu_count() or 1}):
        seconds = fastest(
            lambda w=workers: trajectories(cases, horizon=HORIZON, points=100, workers=w)
        )
        print(
            f"{TRAJECTORIES:,} trajectories to T = {HORIZON:g} s, {workers} threads: "
            f"{seconds:.2f} s, {TRAJECTORIES / seconds:,.0f} per second"
        )


if __name__ == "__main__":
    main()
