"""Every rule on the same random backlogs: short conversations mixed with long documents.

All rules schedule the same draws, so that they are compared draw by draw; a draw is one sample.
Latencies are in the model's steps and in seconds by the calibrated step time, each as mean, 95th
and 99th percentile over the requests of a backlog.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from ...fluid.backlog.linear_program import Effort, LowerBound, lower_bound
from ...fluid.backlog.listing import fast_list_schedule
from ...fluid.backlog.rules import schedule
from ...fluid.backlog.wall_clock import wall_clock_latencies
from ...stochastic.backlog_workload import Conversations, draw_backlog
from ...stochastic.chain import replication_generator
from ...stochastic.step_time import calibrated_step_time
from ...theory.backlog import Backlog, Schedule, completions
from ..statistics import Fitted
from ..verdict import Report

Floats = NDArray[np.float64]

SEED = 2508
SHUFFLED = "random order"
FIGURES = ("mean", "P95", "P99")
"""Of the latencies of one backlog: the last axis of the arrays of a study."""


@dataclass(frozen=True)
class Workload:
    """Where the conversations come from, and the share of long documents beside them."""

    conversations: Conversations
    long_share: float

    @property
    def label(self) -> str:
        """For tables: the conversations and the share of documents."""
        return f"{self.conversations} + {self.long_share:.0%} documents"


SHARES = (0.1, 0.3, 0.5)
WORKLOADS = tuple(
    Workload(conversations, share) for conversations in ("lmsys", "azure") for share in SHARES
)


@dataclass(frozen=True)
class WorkloadStudy:
    """What the rules did with the backlogs drawn from one workload.

    Attributes
    ----------
    workload, requests
        What was drawn: backlogs of that many requests.
    rules
        Names of the rules, the second axis of the arrays.
    steps, seconds
        Latencies, shape (draws, rules, 3): mean, P95 and P99.
    totals
        Total latency in steps by draw and by rule, exact.
    bounds
        The certified bound on the total latency of each backlog; empty if none was asked for.
    """

    workload: Workload
    requests: int
    rules: tuple[str, ...]
    steps: Floats
    seconds: Floats
    totals: tuple[tuple[int, ...], ...]
    bounds: tuple[LowerBound, ...]

    @property
    def label(self) -> str:
        """For tables: the workload and the number of requests."""
        return f"{self.workload.label}, n = {self.requests:,}"

    def gains(self, rule: str, over: str, clock: str = "steps") -> Floats:
        """By how much ``rule`` reduces the mean latency of ``over``, relative; per draw."""
        mean = getattr(self, clock)[:, :, 0]
        gains: Floats = 1 - mean[:, self.rules.index(rule)] / mean[:, self.rules.index(over)]
        return gains

    def ratios(self, rule: str) -> Floats:
        """Total latency of ``rule`` over the lower bound; per draw."""
        means = self.steps[:, self.rules.index(rule), 0]
        return means / self.mean_bounds

    @cached_property
    def mean_bounds(self) -> Floats:
        """Lower bounds on the mean latency, in steps; shape (draws,)."""
        return np.array([bound.value for bound in self.bounds]) / self.requests


def workload_study(
    workload: Workload,
    requests: int,
    draws: int,
    rules: Sequence[str],
    report: Report,
    effort: Effort | None = None,
) -> WorkloadStudy:
    """Schedule ``draws`` backlogs of ``workload`` by each of the ``rules``.

    Parameters
    ----------
    workload, requests, draws
        What to draw.
    rules
        Names of `kurtz.fluid.backlog.rules`, or ``"random order"``.
    report
        Told about every study that is not at hand from an earlier check.
    effort
        Effort for the lower bounds; without one there are none.
    """
    report(f"{workload.label}: {draws} backlogs of {requests:,} requests")
    return _study(workload, requests, draws, tuple(rules), effort)


def estimate(samples: Floats) -> Fitted:
    """Mean of independent samples with its standard error; exact t if they are normal."""
    error = float(samples.std(ddof=1) / np.sqrt(len(samples)))
    return Fitted(float(samples.mean()), error, len(samples) - 1)


# Checks share studies, which depend on nothing but their arguments.
@cache
def _study(
    workload: Workload, requests: int, draws: int, rules: tuple[str, ...], effort: Effort | None
) -> WorkloadStudy:
    law = calibrated_step_time().step_time
    steps, seconds, totals, bounds = [], [], [], []
    for draw in range(draws):
        backlog = draw_backlog(
            requests, workload.long_share, SEED, draw, conversations=workload.conversations
        )
        schedules = [_scheduler(rule, draw)(backlog) for rule in rules]
        latencies = [completions(backlog, each) for each in schedules]
        totals.append(tuple(sum(each) for each in latencies))
        steps.append([_figures(each) for each in latencies])
        seconds.append([_figures(wall_clock_latencies(backlog, each, law)) for each in schedules])
        if effort is not None:
            bounds.append(lower_bound(backlog, effort))
    return WorkloadStudy(
        workload,
        requests,
        rules,
        np.array(steps),
        np.array(seconds),
        tuple(totals),
        tuple(bounds),
    )


def _scheduler(rule: str, draw: int) -> Callable[[Backlog], Schedule]:
    if rule != SHUFFLED:
        return lambda backlog: schedule(backlog, rule)
    # Offset, so that the order is independent of what was drawn into the backlog.
    generator = replication_generator(SEED + 1, draw)
    return lambda backlog: fast_list_schedule(backlog, generator.permutation(len(backlog)))


def _figures(latencies: Sequence[int] | Floats) -> Floats:
    """Mean, P95 and P99."""
    values = np.asarray(latencies, dtype=float)
    return np.array([values.mean(), *np.percentile(values, (95, 99))])
