"""Sorted-F and its variants reduce the mean latency against FCFS and shortest-output first.

Evidence, for each variant and for both clocks (steps of the model, seconds by the calibrated
step time): on every workload the mean gain over the draws is positive, against both baselines, by
one-sided paired t tests; and the gain against FCFS reaches the abstract's "up to 30 %" somewhere.
The claim is of backlogs many times the memory. At 100 requests, where a backlog of conversations
all but fits at once, the gain against shortest-output first is small (1 to 15 %); the full level
reports that size without testing it. Also reported and not part of the claim: smallest volume first
does at least as well as Sorted-F, and FCFS loses much of its handicap once it skips blocked heads.
Control: the requests in random order.

To say "on every workload" each of them must reject "no gain" at the level of the statement (an
intersection-union test: no further division of the level); to refute it, one workload must reject
"a gain" at the level divided by the number of comparisons, workloads times baselines. The t tests
take the mean gains of independent backlogs as normal; with 4 draws (n = 10,000) they lean on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ...theory.claims import Grade
from ..statistics import FAMILY_LEVEL, Fitted
from ..verdict import Evidence, Findings, Level, Outcome, Report
from .workload_figures import gain_figure, latency_figure
from .workload_study import SHUFFLED, WORKLOADS, WorkloadStudy, estimate, workload_study

BASELINES = ("fcfs", "shortest-output")
VARIANTS = (
    "sorted-f",
    "sorted-f-common-start",
    "local-swap",
    "quantile-greedy",
    "receding-horizon",
)
OTHERS = ("fcfs-skip", "shortest-total", "smallest-volume")
"""Reported beside the claim, not part of it."""

CLOCKS = ("steps", "seconds")
PUBLISHED_GAIN = 0.30
FIGURE_SHARE = 0.3
"""Share of long documents whose latencies are drawn."""


@dataclass(frozen=True)
class Design:
    """Requests per backlog, backlogs drawn from each workload, and the variants that run."""

    requests: int
    draws: int
    variants: tuple[str, ...]


# Exact batches take too long on large backlogs, those with a common start on all but small ones.
_PEAK_SUM = tuple(rule for rule in VARIANTS if rule != "sorted-f-common-start")
_LARGE = tuple(rule for rule in _PEAK_SUM if rule != "sorted-f")
TESTED = {
    "quick": (Design(300, 8, _PEAK_SUM),),
    "full": (Design(300, 20, VARIANTS), Design(1_000, 10, _PEAK_SUM), Design(10_000, 4, _LARGE)),
}
REPORTED = {"quick": (), "full": (Design(100, 30, VARIANTS),)}


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    tested, reported = (
        tuple(
            workload_study(
                workload,
                design.requests,
                design.draws,
                (*BASELINES, *OTHERS, *design.variants, SHUFFLED),
                report,
            )
            for design in designs[level]
            for workload in WORKLOADS
        )
        for designs in (TESTED, REPORTED)
    )
    variants = [rule for rule in VARIANTS if any(rule in study.rules for study in tested)]
    statements = len(variants) * len(CLOCKS) + 1
    in_every_study = next(rule for rule in variants if all(rule in study.rules for study in tested))
    figures = {
        "Mean latency saved against the baselines": partial(
            gain_figure, tested, BASELINES, in_every_study
        )
    }
    for study in tested[: len(WORKLOADS)]:
        if study.workload.long_share == FIGURE_SHARE:
            figures[f"Latency by rule, {study.label}"] = partial(latency_figure, study)
    return Findings(
        evidence=(
            *(
                reduces_latency(rule, tested, clock, statements)
                for rule in variants
                for clock in CLOCKS
            ),
            _published_gain(tested, statements),
        ),
        controls={
            f"the requests in random order, {clock}": (
                reduces_latency(SHUFFLED, tested, clock, statements),
            )
            for clock in CLOCKS
        },
        figures=figures,
        data={"tested": tested, "reported": reported},
    )


def reduces_latency(
    rule: str, studies: Sequence[WorkloadStudy], clock: str, statements: int
) -> Evidence:
    """Whether ``rule`` has a smaller mean latency than both baselines in every study."""
    studies = [study for study in studies if rule in study.rules]
    level = FAMILY_LEVEL / statements
    gains, others = (
        {
            (study.label, over): estimate(study.gains(rule, over, clock))
            for study in studies
            for over in baselines
        }
        for baselines in (BASELINES, OTHERS)
    )
    # One-sided at `level` is one end of the two-sided interval at twice that.
    positive = all(gain.interval(2 * level)[0] > 0 for gain in gains.values())
    negative = any(gain.interval(2 * level / len(gains))[1] < 0 for gain in gains.values())
    worst = min(gains, key=lambda key: gains[key].value)
    detectable = max(gain.detectable(level, sides=1) for gain in gains.values())
    outcome = Outcome.HOLDS if positive else Outcome.REFUTED if negative else Outcome.INCONCLUSIVE
    return Evidence(
        name=f"{rule} reduces the mean latency in {clock}",
        grade=Grade.ESTIMATED,
        outcome=outcome,
        claimed=f"> 0 against {' and '.join(BASELINES)}, {len(studies)} workloads each",
        computed="; ".join(f"against {over}: {_range(gains, over)}" for over in BASELINES),
        slack=gains[worst].value,
        detail=f"H0: no gain on some workload; paired t tests over draws, one-sided, level "
        f"{level:.2g}; power 0.9 at a gain of {detectable:.1%} or less; least gain "
        f"{gains[worst].value:.1%} ± {gains[worst].standard_error:.1%} against {worst[1]} "
        f"({worst[0]}); beside the claim: "
        + "; ".join(f"against {over}: {_range(others, over)}" for over in OTHERS),
    )


def _range(gains: dict[tuple[str, str], Fitted], over: str) -> str:
    values = [gain.value for (_, baseline), gain in gains.items() if baseline == over]
    return f"{min(values):.1%} to {max(values):.1%}"


def _published_gain(studies: Sequence[WorkloadStudy], statements: int) -> Evidence:
    gains = {
        over: [
            estimate(study.gains("sorted-f", over))
            for study in studies
            if "sorted-f" in study.rules
        ]
        for over in BASELINES
    }
    largest = {over: max(each, key=lambda gain: gain.value) for over, each in gains.items()}
    level = FAMILY_LEVEL / statements / len(studies)
    intervals = [gain.interval(2 * level) for gain in gains["fcfs"]]
    outcome = (
        Outcome.HOLDS
        if any(low >= PUBLISHED_GAIN for low, _ in intervals)
        else Outcome.REFUTED
        if all(high < PUBLISHED_GAIN for _, high in intervals)
        else Outcome.INCONCLUSIVE
    )
    return Evidence(
        name="the largest gain reaches what is published",
        grade=Grade.ESTIMATED,
        outcome=outcome,
        claimed=f">= {PUBLISHED_GAIN:.0%} against fcfs on some workload",
        computed=f"{largest['fcfs'].value:.1%} against fcfs, "
        f"{largest['shortest-output'].value:.1%} against shortest-output",
        slack=largest["fcfs"].value - PUBLISHED_GAIN,
        detail=f"H0: less on every workload; t tests over draws, one-sided, level {level:.2g} "
        "each; the mixture, the draws and the baselines behind the published figure are unknown",
    )
