"""Simulation of a serving network: replications, means, confidence intervals.

Each replication starts from the empty system, runs to the horizon and is measured after the
warm-up; replications are independent and identically distributed, so the Student interval applies.
They run on threads (the kernel releases the interpreter lock); the numbers depend on seed and
replication alone, not on how many run at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ..theory.errors import InvalidInput, require_integer, require_number
from ..theory.network import ServingNetwork
from ..theory.policies import Policy
from .chain import (
    COUNTS,
    EVENTS,
    MIXED_COMPLETION,
    PREFILL_COMPLETION,
    SOLO_COMPLETION,
    Run,
    Runner,
    build_chain,
    replication_generator,
)
from .kernel import run_kernel

Progress = Callable[[], None]


@dataclass(frozen=True)
class Interval:
    """Mean over replications with standard error and two-sided Student confidence interval."""

    mean: float
    standard_error: float
    ci: tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """What a simulation measured; per class in order, per GPU.

    Attributes
    ----------
    revenue_rate, separate_revenue_rate
        Revenue per GPU-second under bundled charging, equation (22), and separate, (23).
    occupancies
        For each stage in `kurtz.stochastic.COUNTS`: requests per GPU, time average.
    event_rates
        For each kind of event in `kurtz.stochastic.EVENTS` (completions and abandonments):
        events per second and GPU.
    replicated_revenue, replicated_separate_revenue
        Shape (replications,): the revenue rates of each replication.
    replicated_event_rates
        Shape (replications, 6, classes): its event rates.
    grid, trajectories
        Times (seconds) and, shape (replications, grid points, 5, classes), requests per GPU at
        those times, stages as in ``COUNTS``.
    events, seconds
        Events simulated, and the wall-clock time they took.
    """

    policy: str
    gpus: int
    horizon: float
    warmup: float
    replications: int
    seed: int
    level: float
    class_names: tuple[str, ...]
    revenue_rate: Interval
    separate_revenue_rate: Interval
    occupancies: Mapping[str, tuple[Interval, ...]]
    event_rates: Mapping[str, tuple[Interval, ...]]
    replicated_revenue: NDArray[np.float64]
    replicated_separate_revenue: NDArray[np.float64]
    replicated_event_rates: NDArray[np.float64]
    grid: NDArray[np.float64]
    trajectories: NDArray[np.float64]
    events: int
    seconds: float


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
    _validate(horizon, warmup, replications, seed, level, workers)
    times = _validated_grid(grid, horizon)
    chain = build_chain(network, policy, gpus)
    started = time.perf_counter()

    def replicate(replication: int) -> Run:
        generator = replication_generator(seed, replication)
        return runner(chain, generator, warmup, horizon, times, 0)

    runs = _in_parallel(replicate, replications, workers, progress)
    measured = (horizon - warmup) * gpus
    areas = np.array([run.areas for run in runs]) / measured
    events = np.array([run.completed for run in runs]) / measured
    decoded = events[:, [SOLO_COMPLETION, MIXED_COMPLETION]].sum(axis=1)
    revenue = (decoded * chain.weights).sum(1)
    separate = events[:, PREFILL_COMPLETION] @ chain.prompt_revenue + decoded @ chain.output_revenue

    def intervals(samples: NDArray[np.float64]) -> tuple[Interval, ...]:
        return tuple(interval(samples[:, i], level) for i in range(chain.classes))

    return Estimate(
        policy=policy.name,
        gpus=gpus,
        horizon=horizon,
        warmup=warmup,
        replications=replications,
        seed=seed,
        level=level,
        class_names=network.class_names,
        revenue_rate=interval(revenue, level),
        separate_revenue_rate=interval(separate, level),
        occupancies={name: intervals(areas[:, k]) for k, name in enumerate(COUNTS)},
        event_rates={name: intervals(events[:, k]) for k, name in enumerate(EVENTS)},
        replicated_revenue=revenue,
        replicated_separate_revenue=separate,
        replicated_event_rates=events,
        grid=times,
        trajectories=np.array([run.grid_counts for run in runs]) / gpus,
        events=sum(run.events for run in runs),
        seconds=time.perf_counter() - started,
    )


def interval(samples: NDArray[np.float64], level: float) -> Interval:
    """Mean, standard error and Student interval of independent samples (at least two)."""
    mean = float(np.mean(samples))
    error = float(np.std(samples, ddof=1) / np.sqrt(len(samples)))
    width = float(stats.t.ppf(0.5 + level / 2, len(samples) - 1)) * error
    return Interval(mean, error, (mean - width, mean + width))


def _in_parallel(
    replicate: Callable[[int], Run],
    replications: int,
    workers: int | None,
    progress: Progress | None,
) -> list[Run]:
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        futures = [pool.submit(replicate, r) for r in range(replications)]
        try:
            for future in as_completed(futures):
                future.result()
                if progress is not None:
                    progress()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]


def _validate(
    horizon: float,
    warmup: float,
    replications: int,
    seed: int,
    level: float,
    workers: int | None,
) -> None:
    require_number("horizon", horizon, "seconds", above=0)
    require_number("warmup", warmup, "seconds", at_least=0)
    if warmup >= horizon:
        raise InvalidInput("warmup", warmup, f"less than the horizon, {horizon} (seconds)")
    require_integer("replications", replications, "a standard error needs two", at_least=2)
    require_integer("seed", seed, "seed", at_least=0)
    require_number("level", level, "a confidence level between 0 and 1", above=0)
    if level >= 1:
        raise InvalidInput("level", level, "a number between 0 and 1")
    if workers is not None:
        require_integer("workers", workers, "replications at once", at_least=1)


def _validated_grid(grid: ArrayLike | Sequence[float], horizon: float) -> NDArray[np.float64]:
    try:
        times = np.asarray(grid, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidInput("grid", grid, "an array of times (seconds)") from None
    inside = times.ndim == 1 and np.all((times >= 0) & (times <= horizon))
    if not inside or np.any(np.diff(times) <= 0):
        raise InvalidInput("grid", grid, f"increasing times within [0, {horizon}] (seconds)")
    return times
