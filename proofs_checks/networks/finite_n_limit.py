"""The limit of slot filling as the number of GPUs grows: tests on the named instances.

The gap is at least halved at every studied size and falls faster than n^(-1/2), what remains in
the limit is within a margin of zero, and prefill occupancies stand at the plan's. What the fluid
equations say about the limit is in `finite_n_fluid`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...theory import instance
from ...theory.claims import Grade
from ..statistics import FAMILY_LEVEL, POWER, Fitted
from ..verdict import Evidence, Outcome
from .finite_n_study import PairedLosses
from .instances import NAMED_INSTANCES

TESTS = 6
"""Halved gaps; revenue above R*; and of the limit: sizes, rates, limits and occupancies."""

FASTER_THAN = -0.5
"""Gate-and-route's exponent: slot filling's is to be less."""

OCCUPANCY_MARGIN = 0.01
"""Largest distance of prefill occupancies from the plan's, in requests per GPU."""


def sizes_evidence(studies: Sequence[PairedLosses]) -> Evidence:
    """Whether the gap is at least halved at every size."""
    level = FAMILY_LEVEL / TESTS / len(studies)
    spares = [fitted(spare(study)) for study in studies]
    lowest = [f.interval(2 * level)[0] for f in spares]
    highest = [f.interval(2 * level)[1] for f in spares]
    if min(lowest) > 0:
        outcome = Outcome.HOLDS
    else:
        outcome = Outcome.REFUTED if min(highest) < 0 else Outcome.INCONCLUSIVE
    last = studies[-1]
    return Evidence(
        name="the gap is at least halved at every size",
        grade=Grade.ESTIMATED,
        outcome=outcome,
        claimed=f"n = {', '.join(str(n) for n in sorted({s.gpus for s in studies}))} on "
        f"{' and '.join(NAMED_INSTANCES)}",
        computed=f"at n = {last.gpus:,}: "
        + "; ".join(
            f"{s.mean_gaps[0]:.3%} -> {s.mean_gaps[1]:.4%}" for s in studies if s.gpus == last.gpus
        ),
        slack=min(lowest),
        detail=f"H0: less than half is gone, paired one-sided t tests at level {level:.1g} each",
    )


def rates_evidence(studies: Sequence[PairedLosses]) -> Evidence:
    """Whether the gap falls faster than n^(-1/2): the slope of log gap on log n."""
    slopes = {}
    for name in NAMED_INSTANCES:
        own = [s for s in studies if s.plan.network == instance(name)]
        x = np.log([s.gpus for s in own])
        y = np.log([s.gaps[:, 1] for s in own])  # sizes are independent, and so are replications
        slopes[name] = fitted((x - x.mean()) @ y / ((x - x.mean()) ** 2).sum())
    level = FAMILY_LEVEL / TESTS / len(slopes)
    ends = [f.interval(2 * level) for f in slopes.values()]
    if all(high < FASTER_THAN for _, high in ends):
        outcome = Outcome.HOLDS
    else:
        far = any(low > FASTER_THAN for low, _ in ends)
        outcome = Outcome.REFUTED if far else Outcome.INCONCLUSIVE
    return Evidence(
        name="the gap falls faster than n^(-1/2)",
        grade=Grade.ESTIMATED,
        outcome=outcome,
        claimed=f"exponent < {FASTER_THAN:g}",
        computed="; ".join(
            f"{name} {f.value:.2f}, at most {high:.2f}"
            for (name, f), (_, high) in zip(slopes.items(), ends, strict=True)
        ),
        slack=FASTER_THAN - max(high for _, high in ends),
        detail=f"H0: exponent >= {FASTER_THAN:g}, one-sided t tests over replications at level "
        f"{level:.1g} each; slope of log gap on log n",
    )


def limits_evidence(studies: Sequence[PairedLosses], who: str, margin: float) -> Evidence:
    """Whether the gap that remains as n grows is within the margin of zero: equivalence tests.

    From the two largest sizes m < n: the limit a of a gap a + b/n, (n gap_n - m gap_m) / (n - m).
    Were the gap a + b n^(-1/2), the same number would be b / (m^(1/2) + n^(1/2)) above a.
    """
    largest = sorted({study.gpus for study in studies})[-2:]
    limits, last = {}, {}
    for name in NAMED_INSTANCES:
        own = {s.gpus: s.gaps[:, 1] for s in studies if s.plan.network == instance(name)}
        if own:
            fewer, more = largest
            limits[name] = fitted((more * own[more] - fewer * own[fewer]) / (more - fewer))
            last[name] = own[more].mean()
    level = FAMILY_LEVEL / TESTS / len(limits)
    ends = [f.interval(2 * level) for f in limits.values()]
    if all(-margin < low and high < margin for low, high in ends):
        outcome = Outcome.HOLDS
    else:
        far = any(low > margin or high < -margin for low, high in ends)
        outcome = Outcome.REFUTED if far else Outcome.INCONCLUSIVE
    return Evidence(
        name=f"limit gap of {who}",
        grade=Grade.ESTIMATED,
        outcome=outcome,
        claimed=f"within {margin:.1%} of R*",
        computed="; ".join(
            f"{name} {f.value:+.4%} in [{low:+.4%}, {high:+.4%}], {last[name]:.4%} at "
            f"n = {largest[-1]:,}"
            for (name, f), (low, high) in zip(limits.items(), ends, strict=True)
        ),
        slack=margin - max(abs(end) for both in ends for end in both),
        detail="H0: limit gap at least the margin, two one-sided t tests over replications at "
        f"level {level:.1g} each, power {POWER:g} at a deviation of "
        f"{max(f.detectable(level, sides=1) for f in limits.values()):.2g}; from "
        f"n = {largest[0]:,} and {largest[1]:,}, the rest falling like 1/n",
    )


def occupancy_evidence(studies: Sequence[PairedLosses]) -> Evidence:
    """Whether prefill occupancies stand at the plan's at the largest size: equivalence tests."""
    largest = max(study.gpus for study in studies)
    chosen = [study for study in studies if study.gpus == largest]
    differences = [
        fitted(study.prefill[:, 1, i] - float(x))
        for study in chosen
        for i, x in enumerate(study.plan.prefill)
    ]
    level = FAMILY_LEVEL / TESTS / len(differences)
    ends = [max(abs(end) for end in f.interval(2 * level)) for f in differences]
    nearest = [
        0.0 if low <= 0 <= high else min(abs(low), abs(high))
        for low, high in (f.interval(2 * level) for f in differences)
    ]
    if max(ends) < OCCUPANCY_MARGIN:
        outcome = Outcome.HOLDS
    else:
        far = max(nearest) > OCCUPANCY_MARGIN
        outcome = Outcome.REFUTED if far else Outcome.INCONCLUSIVE
    return Evidence(
        name=f"prefill occupancies are the plan's at n = {largest:,}",
        grade=Grade.ESTIMATED,
        outcome=outcome,
        claimed=f"within {OCCUPANCY_MARGIN:g} requests per GPU of x*",
        computed=f"largest distance {max(abs(f.value) for f in differences):.4f}",
        slack=OCCUPANCY_MARGIN - max(ends),
        detail=f"H0: at least the margin away, two one-sided t tests at level {level:.1g} each",
    )


def spare(study: PairedLosses) -> np.ndarray:
    """Half of the first gap less the second, per replication: positive if half of it is gone."""
    return np.asarray(study.gaps[:, 0] / 2 - study.gaps[:, 1])


def fitted(samples: np.ndarray) -> Fitted:
    """Mean of independent samples, with its standard error."""
    error = float(samples.std(ddof=1) / np.sqrt(len(samples)))
    return Fitted(float(samples.mean()), error, len(samples) - 1)
