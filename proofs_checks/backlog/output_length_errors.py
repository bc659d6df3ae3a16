r"""Sorted-F keeps most of its gain when output lengths are only predicted, up to an error.

Predictions are :math:`o_i e^{\sigma Z_i}` with independent normal Z_i. Of the gain the share


.. math:: k(\sigma) = \frac{\mathrm{TEL}_{FCFS} - \mathrm{TEL}_F(\sigma)}
                          {\mathrm{TEL}_{FCFS} - \mathrm{TEL}_F(0)}

is kept by Sorted-F (batches by local swaps), executed with refinement, eviction and restart as in
`kurtz.theory.backlog.refinement`. The baseline is FCFS at its best, with exact lengths, at every
sigma: FCFS too must predict to admit, and errors large enough to make it wait for nothing would
flatter whatever is compared with it.

Evidence: k(sigma) > 1/2 on every workload for the studied sigma <= 1 (an intersection-union test of
one-sided t tests over draws). Larger errors are reported in the figure: there the gain is lost.

Control, no eviction: whoever cannot evict must reserve memory for the longest output there may
be. The same order from the same predictions, each request admitted with the longest output of the
backlog, the least bound that is safe for all. Reported beside it: evictions and restarts without
refinement of what is believed, which keeps about as much as with it, so that what saves the gain
on these workloads is eviction, not refinement; it saves evictions, not latency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...fluid.backlog.heuristics import local_swap_batches
from ...fluid.backlog.refinement import execute
from ...stochastic.backlog_workload import draw_backlog, predicted_outputs
from ...theory.backlog import Backlog, batch_order
from ...theory.backlog.refinement import Order, expected_requests
from ...theory.claims import Grade
from ..statistics import FAMILY_LEVEL, Fitted
from ..verdict import Evidence, Findings, Level, Outcome, Report
from .workload_figures import kept_gain_figure
from .workload_study import SEED, WORKLOADS, Workload, estimate

MOST = 0.5
TESTED_SIGMAS = (0.25, 0.5, 1.0)
SIGMAS = {"quick": TESTED_SIGMAS, "full": (*TESTED_SIGMAS, 1.5, 2.0)}
SIZES = {"quick": ((200, 10),), "full": ((300, 20), (1_000, 6))}
"""Requests per backlog and draws."""

WORKLOADS_STUDIED = {"quick": WORKLOADS[1::3], "full": WORKLOADS}


@dataclass(frozen=True)
class KeptGain:
    """Shares of the gain kept on the draws of a workload: arrays of shape (sigmas, draws).

    Attributes
    ----------
    refined, unrefined, reserved
        With refinement; evictions without it; no evictions, the longest output reserved.
    refined_evictions, unrefined_evictions
        Evictions per request.
    """

    workload: Workload
    requests: int
    sigmas: tuple[float, ...]
    refined: NDArray[np.float64]
    unrefined: NDArray[np.float64]
    reserved: NDArray[np.float64]
    refined_evictions: NDArray[np.float64]
    unrefined_evictions: NDArray[np.float64]

    @property
    def label(self) -> str:
        """For tables: the workload and the number of requests."""
        return f"{self.workload.label}, n = {self.requests:,}"

    def by_sigma(self, which: str) -> Mapping[float, Fitted]:
        """Estimates of ``which`` array by sigma."""
        rows = getattr(self, which)
        return {sigma: estimate(row) for sigma, row in zip(self.sigmas, rows, strict=True)}


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    studies = []
    for requests, draws in SIZES[level]:
        for workload in WORKLOADS_STUDIED[level]:
            report(f"{workload.label}: predictions for {requests:,} requests")
            studies.append(kept_gain(workload, requests, SIGMAS[level], draws))
    return Findings(
        evidence=tuple(_keeps_most(studies, "refined", sigma) for sigma in TESTED_SIGMAS),
        controls={
            f"no eviction, the longest output reserved, sigma = {sigma:g}": (
                _keeps_most(studies, "reserved", sigma),
            )
            for sigma in TESTED_SIGMAS
        },
        figures={"Share of the gain kept under prediction errors": partial(_figure, studies)},
        data={"studies": studies},
    )


def kept_gain(workload: Workload, requests: int, sigmas: Sequence[float], draws: int) -> KeptGain:
    """Execute ``draws`` backlogs of ``workload`` with every error of ``sigmas``."""
    shares = np.empty((5, len(sigmas), draws))
    for draw in range(draws):
        backlog = draw_backlog(
            requests, workload.long_share, SEED, draw, conversations=workload.conversations
        )
        exact = backlog.outputs.tolist()
        first_come = sum(execute(backlog, exact, _by_arrival).completions)
        gain = first_come - sum(execute(backlog, exact, by_local_swap).completions)
        longest = np.minimum(backlog.outputs.max(), backlog.memory - backlog.prompts).tolist()
        for row, sigma in enumerate(sigmas):
            predictions = predicted_outputs(backlog, sigma, SEED, draw).tolist()
            order = by_local_swap(
                Backlog(tuple(expected_requests(backlog, predictions)), backlog.memory)
            )
            runs = (
                execute(backlog, predictions, by_local_swap),
                execute(backlog, predictions, by_local_swap, refine=False),
                execute(backlog, longest, _always(order)),
            )
            shares[:3, row, draw] = [(first_come - sum(run.completions)) / gain for run in runs]
            shares[3:, row, draw] = [len(run.abandoned) / requests for run in runs[:2]]
    return KeptGain(workload, requests, tuple(sigmas), *shares)


def by_local_swap(backlog: Backlog) -> tuple[int, ...]:
    """Sorted-F's order with batches by local swaps."""
    return batch_order(backlog, local_swap_batches(backlog))


def _by_arrival(backlog: Backlog) -> range:
    return range(len(backlog))


def _always(order: Sequence[int]) -> Order:
    """An order that does not look at what is believed."""
    return lambda _: order


def _keeps_most(studies: Sequence[KeptGain], which: str, sigma: float) -> Evidence:
    level = FAMILY_LEVEL / len(TESTED_SIGMAS)
    kept = {study.label: study.by_sigma(which)[sigma] for study in studies}
    above = all(each.interval(2 * level)[0] > MOST for each in kept.values())
    below = any(each.interval(2 * level / len(kept))[1] < MOST for each in kept.values())
    worst = min(kept, key=lambda label: kept[label].value)
    values = [each.value for each in kept.values()]
    detectable = max(each.detectable(level, sides=1) for each in kept.values())
    least = kept[worst]
    detail = (
        f"H0: at most {MOST:.0%} on some workload; one-sided t tests over draws, level "
        f"{level:.2g}; power 0.9 at a share of {MOST + detectable:.0%} or less; "
        f"least {least.value:.1%} ± {least.standard_error:.1%} ({worst})"
    )
    return Evidence(
        name=f"share of the gain over fcfs kept, {which}, sigma = {sigma:g}",
        grade=Grade.ESTIMATED,
        outcome=Outcome.HOLDS if above else Outcome.REFUTED if below else Outcome.INCONCLUSIVE,
        claimed=f"> {MOST:.0%} on each of {len(kept)} workloads",
        computed=f"{min(values):.1%} to {max(values):.1%}",
        slack=least.value - MOST,
        detail=f"{detail}; {_what_refinement_adds(studies, sigma)}"
        if which == "refined"
        else detail,
    )


def _what_refinement_adds(studies: Sequence[KeptGain], sigma: float) -> str:
    """The paired difference to evictions alone."""
    added, evictions = [], []
    for study in studies:
        row = study.sigmas.index(sigma)
        added.append(float((study.refined - study.unrefined)[row].mean()))
        evictions.append(
            float(study.unrefined_evictions[row].sum() / study.refined_evictions[row].sum())
        )
    return (
        f"refining adds {min(added):+.1%} to {max(added):+.1%} to evictions alone, which evict "
        f"{min(evictions):.1f} to {max(evictions):.1f} times as often"
    )


def _figure(studies: Sequence[KeptGain]) -> Figure:
    smallest = [study for study in studies if study.requests == studies[0].requests]
    return kept_gain_figure(
        {study.label: study.by_sigma("refined") for study in smallest},
        {study.label: study.by_sigma("unrefined") for study in smallest},
    )
