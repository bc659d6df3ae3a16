"""Simulation of a fleet: replications, means, confidence intervals.

As `kurtz.stochastic.simulate`, and with the same results, but every request in its slot of a GPU.
Each replication draws its requests from a stream of its own that no policy touches, so that the
same seed puts the same requests before every policy.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...theory.errors import InvalidInput
from ...theory.network import ServingNetwork
from ...theory.policies import Layout, Policy
from ..chain import replication_generator
from ..replications import (
    Estimate,
    Progress,
    ReplicationDesign,
    estimate_of,
    in_parallel,
    validated_grid,
)
from ..simulation import simulate
from .fleet_kernel import run_fleet
from .model import Fleet, FleetRun, Physics, build_fleet
from .requests import Requests, poisson_requests

Workload = Callable[[ServingNetwork, int, float, np.random.Generator], Requests]
"""(network, GPUs, horizon, generator) -> the requests of a replication."""

FleetRunner = Callable[
    [Fleet, Requests, np.random.Generator, float, float, NDArray[np.float64], int], FleetRun
]
"""(fleet, requests, generator, warmup, horizon, grid, logged events) -> run."""


def simulate_fleet(
    network: ServingNetwork,
    policy: Policy,
    *,
    gpus: int,
    horizon: float,
    warmup: float,
    replications: int,
    seed: int,
    physics: Physics | None = None,
    workload: Workload = poisson_requests,
    level: float = 0.95,
    grid: ArrayLike = (),
    workers: int | None = None,
    runner: FleetRunner = run_fleet,
    progress: Progress | None = None,
) -> Estimate:
    """Simulate ``replications`` independent copies of a fleet of ``gpus`` GPUs.

    Parameters
    ----------
    physics
        How GPUs work; default: continuously, at the speed of the present batch.
    workload
        Where requests come from; default: Poisson arrivals and exponential lengths.
    network, policy, gpus, horizon, warmup, replications, seed, level, grid, workers, progress
        As for `kurtz.stochastic.simulate`.
    runner
        `run_fleet`, or `run_fleet_reference` to follow the readable implementation.

    Returns
    -------
    Estimate
        Decodes count as mixed while their GPU runs at the mixed speed.

    Raises
    ------
    InvalidInput
        An argument is outside its range.
    """
    design = ReplicationDesign(horizon, warmup, replications, seed, level, workers)
    times = validated_grid(grid, horizon)
    fleet = build_fleet(network, policy, gpus, physics)
    started = time.perf_counter()

    def replicate(replication: int) -> FleetRun:
        requests = replicated_requests(fleet, horizon, seed, replication, workload)
        generator = replication_generator(seed, 2 * replication + 1)
        return runner(fleet, requests, generator, warmup, horizon, times, 0)

    runs = in_parallel(replicate, replications, workers, progress)
    return estimate_of(
        runs,
        design,
        network=network,
        policy_name=policy.name,
        gpus=gpus,
        paying=fleet,
        grid=times,
        seconds=time.perf_counter() - started,
    )


def simulator_for(policy: Policy, name: str | None = None) -> Callable[..., Estimate]:
    """`simulate` or `simulate_fleet`: the one called ``name``, chain or fleet.

    Without a name the chain, or the fleet for a policy that shares GPUs, which the chain lacks.
    """
    simulators: dict[str, Callable[..., Estimate]] = {"chain": simulate, "fleet": simulate_fleet}
    if name is None:
        name = "fleet" if policy.layout is Layout.SHARED else "chain"
    if name not in simulators:
        raise InvalidInput("simulator", name, f"one of {', '.join(simulators)}")
    return simulators[name]


def replicated_requests(
    fleet: Fleet, horizon: float, seed: int, replication: int, workload: Workload
) -> Requests:
    """The requests of one replication, in whole tokens where work comes in iterations."""
    generator = replication_generator(seed, 2 * replication)
    requests = workload(fleet.network, fleet.gpus, horizon, generator)
    return requests.whole() if fleet.physics.granularity == "iterations" else requests
