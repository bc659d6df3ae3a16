"""Simulation of a serving network as a Markov chain."""

from __future__ import annotations

import time

from numpy.typing import ArrayLike

from ..theory.network import ServingNetwork
from ..theory.policies import Policy
from .chain import Run, Runner, build_chain, replication_generator
from .kernel import run_kernel
from .replications import (
    Estimate,
    Progress,
    ReplicationDesign,
    estimate_of,
    in_parallel,
    validated_grid,
)


def simulate(
    network: ServingNetwork,
    policy: Policy,
    *,
    gpus: int,
    horizon: float,
    warmup: float,
    replications: int,
    seed: int,
    level: float = 0.95,
    grid: ArrayLike = (),
    workers: int | None = None,
    runner: Runner = run_kernel,
    progress: Progress | None = None,
) -> Estimate:
    """Simulate ``replications`` independent copies of the chain of ``gpus`` GPUs.

    Parameters
    ----------
    network, policy
        What is simulated; the policy carries its plan.
    gpus
        Number n of GPUs.
    horizon, warmup
        Seconds from the empty start to the end, and the initial part that is not measured.
    replications, seed
        Number of independent replications (at least 2), and the seed of all of them.
    level
        Confidence level of the intervals.
    grid
        Times at which to record trajectories, increasing, within [0, horizon].
    workers
        Replications at once; default: one per processor. Does not change any number.
    runner
        `run_kernel`, or `run_reference` to follow the readable implementation.
    progress
        Called after each replication.

    Raises
    ------
    InvalidInput
        An argument is outside its range.
    """
    design = ReplicationDesign(horizon, warmup, replications, seed, level, workers)
    times = validated_grid(grid, horizon)
    chain = build_chain(network, policy, gpus)
    started = time.perf_counter()

    def replicate(replication: int) -> Run:
        generator = replication_generator(seed, replication)
        return runner(chain, generator, warmup, horizon, times, 0)

    runs = in_parallel(replicate, replications, workers, progress)
    return estimate_of(
        runs,
        design,
        network=network,
        policy_name=policy.name,
        gpus=gpus,
        paying=chain,
        grid=times,
        seconds=time.perf_counter() - started,
    )
