r"""Where a policy's gap to R* comes from, estimated with little noise.

For the certified plan with rows :math:`A z \le b`, objective :math:`c` and prices :math:`y`, and
the mean occupancies :math:`z` of a stationary system,

.. math:: R^* - c \cdot z = y \cdot (b - A z) + (A' y - c) \cdot z,

where the flow balances among the rows hold on the average and drop out. What is left is a sum of
losses, each nonnegative if no GPU is dedicated: idle slots at their shadow prices, abandonments at
what the request was worth, classes outside the plan at their reduced costs. The sum estimates the
gap; unlike counted revenue it does not see the luck of arrivals and services, whose means are known
(the balances and the compensators of the counts are control variates with the exact prices as
coefficients). Policies are compared on the same requests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...fluid import Plan
from ...stochastic import COUNTS, EVENTS
from ...stochastic.fleet.fleet_kernel import run_fleet
from ...stochastic.fleet.model import build_fleet
from ...stochastic.fleet.requests import poisson_requests
from ...theory import rates
from ...theory.policies import Policy
from ...theory.steady_state import OCCUPANCIES, block, prefill_balance

LOSSES = (
    "idle prefill slots",
    "idle mixed decode slots",
    "idle solo decode slots",
    "given up before prefill",
    "given up before decode",
    "classes outside the plan",
)
"""Kinds of loss, in the order of `loss_shares`."""

Pair = tuple[Policy, Policy]
"""The policy that is to be improved on, and the one that should do so."""


@dataclass(frozen=True)
class Duration:
    """Replications, and their length in mean decode times of the slowest planned class.

    Attributes
    ----------
    replications
        Independent replications, at least 2.
    most_replications
        Where runs are short, as many as bring the requests of all replications to ``requests``,
        but no more than this.
    warmup, measured
        Length of the part that is not measured, from the empty start, and of that which is.
    """

    replications: int
    warmup: float
    measured: float
    most_replications: int = 0
    requests: float = 0.0

    def replications_of(self, plan: Plan, gpus: int) -> int:
        """Replications of one network, a matter of its size and not of what comes out."""
        seconds = (self.warmup + self.measured) * slowest_decode(plan)
        per_replication = gpus * float(sum(rates(plan.network).arrival)) * seconds
        wanted = math.ceil(self.requests / per_replication)
        return int(max(self.replications, min(self.most_replications, wanted)))


@dataclass(frozen=True)
class PairedLosses:
    """Two policies on the same requests.

    Attributes
    ----------
    losses
        Shape (replications, 2, kinds of loss): losses relative to R*.
    revenue
        Shape (replications, 2): counted revenue relative to R*, less what the plan's shadow prices
        say that the luck of arrivals was worth.
    prefill
        Shape (replications, 2, classes): requests in prefill per GPU.
    """

    plan: Plan
    gpus: int
    losses: NDArray[np.float64]
    revenue: NDArray[np.float64]
    prefill: NDArray[np.float64]

    @property
    def gaps(self) -> NDArray[np.float64]:
        """Gaps to R*, relative to R*, shape (replications, 2)."""
        return np.asarray(self.losses.sum(axis=2))

    def first_against_itself(self) -> PairedLosses:
        """The first policy in both places."""
        twice = [0, 0]
        return replace(
            self,
            losses=self.losses[:, twice],
            revenue=self.revenue[:, twice],
            prefill=self.prefill[:, twice],
        )

    @property
    def mean_gaps(self) -> NDArray[np.float64]:
        """Means over the replications, shape (2,)."""
        return np.asarray(self.gaps.mean(axis=0))


def loss_shares(plan: Plan, occupancies: Mapping[str, Sequence[float]]) -> NDArray[np.float64]:
    """The losses of the module docstring at mean occupancies per GPU, shape (6,), as in `LOSSES`.

    Parameters
    ----------
    occupancies
        For each name in `kurtz.stochastic.COUNTS`, requests per GPU and class.
    """
    form, dual = plan.certificate.form, np.array(plan.certificate.dual, dtype=float)
    rows, bounds = np.array(form.rows, dtype=float), np.array(form.bounds, dtype=float)
    z = np.concatenate([np.asarray(occupancies[name], dtype=float) for name in OCCUPANCIES])
    idle = (dual * (bounds - rows @ z))[~np.array(form.equalities)]
    costs = (rows.T @ dual - np.array(form.objective, dtype=float)) * z
    classes = len(plan.network.classes)
    before_prefill = costs[block("prefill_queue", classes)].sum()
    before_decode = costs[block("decode_queue", classes)].sum()
    others = costs.sum() - before_prefill - before_decode
    return np.array([*idle, before_prefill, before_decode, others]) / float(plan.value)


def paired_losses(
    plans: Sequence[Plan],
    pair: Callable[[Plan], Pair],
    gpus: int,
    duration: Duration,
    seed: int,
    progress: Callable[[], None] | None = None,
) -> list[PairedLosses]:
    """Simulate both policies on every plan's network, GPU by GPU, on the same requests."""

    def replicate(job: tuple[int, int]) -> list[tuple[NDArray[np.float64], ...]]:
        k, replication = job
        p = plans[k]
        second = slowest_decode(p)
        warmup = duration.warmup * second
        horizon = warmup + duration.measured * second
        requests_generator, *generators = (
            np.random.default_rng([seed, k, gpus, replication, part]) for part in range(3)
        )
        requests = poisson_requests(p.network, gpus, horizon, requests_generator)
        weights = np.array(rates(p.network).weight)
        worth = [float(p.shadow_prices[prefill_balance(name)]) for name in p.network.class_names]
        expected = np.array(rates(p.network).arrival)
        results: list[tuple[NDArray[np.float64], ...]] = []
        for policy, generator in zip(pair(p), generators, strict=True):
            fleet = build_fleet(p.network, policy, gpus)
            run = run_fleet(fleet, requests, generator, warmup, horizon, np.zeros(0), 0)
            scale = gpus * (horizon - warmup)
            means = dict(zip(COUNTS, run.areas / scale, strict=True))
            completed = sum(
                run.completed[EVENTS.index(kind)]
                for kind in ("solo_completion", "mixed_completion")
            )
            luck = (run.completed[EVENTS.index("arrival")] / scale - expected) @ worth
            revenue = np.array((completed @ weights / scale - luck) / float(p.value))
            results.append((loss_shares(p, means), revenue, np.array(means["prefill"])))
        if progress is not None:
            progress()
        return results

    numbers = [duration.replications_of(p, gpus) for p in plans]
    jobs = [(k, r) for k, number in enumerate(numbers) for r in range(number)]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(replicate, jobs))
    studies = []
    for k, p in enumerate(plans):
        own = [result for (of, _), result in zip(jobs, results, strict=True) if of == k]
        losses, revenue, prefill = (
            np.array([[side[part] for side in both] for both in own]) for part in range(3)
        )
        studies.append(PairedLosses(p, gpus, losses, revenue, prefill))
    return studies


def slowest_decode(plan: Plan) -> float:
    """Mean seconds that the slowest class of the plan decodes in a mixed slot."""
    decode = rates(plan.network).mixed_decode
    return float(max(1 / m for m, x in zip(decode, plan.prefill, strict=True) if x > 0))
