"""Replications: their design, their estimates, and how they share the processors.

Replications start from the empty system, run to the horizon and are measured after the warm-up;
they are independent and identically distributed, so the Student interval applies. They run on
threads (kernels release the interpreter lock); the numbers depend on seed and replication alone,
not on how many run at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ..theory.errors import InvalidInput, require_integer, require_number
from ..theory.network import ServingNetwork
from .chain import COUNTS, EVENTS, MIXED_COMPLETION, PREFILL_COMPLETION, SOLO_COMPLETION

R = TypeVar("R")
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
    replicated_occupancies
        Shape (replications, 5, classes): its occupancies, stages as in ``COUNTS``.
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
    replicated_occupancies: NDArray[np.float64]
    grid: NDArray[np.float64]
    trajectories: NDArray[np.float64]
    events: int
    seconds: float


class MeasuredRun(Protocol):
    """What a replication leaves behind; see `kurtz.stochastic.Run`."""

    @property
    def areas(self) -> NDArray[np.float64]:
        """Shape (5, classes)."""

    @property
    def completed(self) -> NDArray[np.int64]:
        """Shape (6, classes)."""

    @property
    def grid_counts(self) -> NDArray[np.int64]:
        """Shape (grid points, 5, classes)."""

    @property
    def events(self) -> int:
        """Number of events."""


class Paying(Protocol):
    """What a request pays, per class: a chain or a fleet."""

    @property
    def weights(self) -> NDArray[np.float64]:
        """Under bundled charging."""

    @property
    def prompt_revenue(self) -> NDArray[np.float64]:
        """Under separate charging, for the prompt."""

    @property
    def output_revenue(self) -> NDArray[np.float64]:
        """Under separate charging, for the output."""


@dataclass(frozen=True)
class ReplicationDesign:
    """How long, how often and with which seed; checks itself.

    Parameters
    ----------
    horizon, warmup
        Seconds from the empty start to the end, and the initial part that is not measured.
    replications, seed
        Number of independent replications (at least 2), and the seed of all of them.
    level
        Confidence level of the intervals.
    workers
        Replications at once; None: one per processor.
    """

    horizon: float
    warmup: float
    replications: int
    seed: int
    level: float
    workers: int | None

    def __post_init__(self) -> None:
        require_number("horizon", self.horizon, "seconds", above=0)
        require_number("warmup", self.warmup, "seconds", at_least=0)
        if self.warmup >= self.horizon:
            allowed = f"less than the horizon, {self.horizon} (seconds)"
            raise InvalidInput("warmup", self.warmup, allowed)
        require_integer("replications", self.replications, "a standard error needs two", at_least=2)
        require_integer("seed", self.seed, "seed", at_least=0)
        require_number("level", self.level, "a confidence level between 0 and 1", above=0)
        if self.level >= 1:
            raise InvalidInput("level", self.level, "a number between 0 and 1")
        if self.workers is not None:
            require_integer("workers", self.workers, "replications at once", at_least=1)


def estimate_of(
    runs: Sequence[MeasuredRun],
    design: ReplicationDesign,
    *,
    network: ServingNetwork,
    policy_name: str,
    gpus: int,
    paying: Paying,
    grid: NDArray[np.float64],
    seconds: float,
) -> Estimate:
    """Means and intervals over the ``runs`` of a design, per GPU."""
    measured = (design.horizon - design.warmup) * gpus
    areas = np.array([run.areas for run in runs]) / measured
    events = np.array([run.completed for run in runs]) / measured
    decoded = events[:, [SOLO_COMPLETION, MIXED_COMPLETION]].sum(axis=1)
    revenue = decoded @ paying.weights
    separate = events[:, PREFILL_COMPLETION] @ paying.prompt_revenue
    separate = separate + decoded @ paying.output_revenue

    def intervals(samples: NDArray[np.float64]) -> tuple[Interval, ...]:
        return tuple(interval(column, design.level) for column in samples.T)

    return Estimate(
        policy=policy_name,
        gpus=gpus,
        horizon=design.horizon,
        warmup=design.warmup,
        replications=design.replications,
        seed=design.seed,
        level=design.level,
        class_names=network.class_names,
        revenue_rate=interval(revenue, design.level),
        separate_revenue_rate=interval(separate, design.level),
        occupancies={name: intervals(areas[:, k]) for k, name in enumerate(COUNTS)},
        event_rates={name: intervals(events[:, k]) for k, name in enumerate(EVENTS)},
        replicated_revenue=revenue,
        replicated_separate_revenue=separate,
        replicated_event_rates=events,
        replicated_occupancies=areas,
        grid=grid,
        trajectories=np.array([run.grid_counts for run in runs]) / gpus,
        events=sum(run.events for run in runs),
        seconds=seconds,
    )


def interval(samples: NDArray[np.float64], level: float) -> Interval:
    """Mean, standard error and Student interval of independent samples (at least two)."""
    mean = float(np.mean(samples))
    error = float(np.std(samples, ddof=1) / np.sqrt(len(samples)))
    width = float(stats.t.ppf(0.5 + level / 2, len(samples) - 1)) * error
    return Interval(mean, error, (mean - width, mean + width))


def in_parallel(
    replicate: Callable[[int], R],
    replications: int,
    workers: int | None,
    progress: Progress | None,
) -> list[R]:
    """What every replication returns, in order, computed on ``workers`` threads."""
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


def validated_grid(grid: ArrayLike | Sequence[float], horizon: float) -> NDArray[np.float64]:
    """The grid as an array; raises `InvalidInput` unless it increases within [0, horizon]."""
    try:
        times = np.asarray(grid, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidInput("grid", grid, "an array of times (seconds)") from None
    inside = times.ndim == 1 and np.all((times >= 0) & (times <= horizon))
    if not inside or np.any(np.diff(times) <= 0):
        raise InvalidInput("grid", grid, f"increasing times within [0, {horizon}] (seconds)")
    return times
