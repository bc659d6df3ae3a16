r"""Theorem 4.2: prioritize-and-route's revenue under separate charging tends to the separate value.

Evidence: exact gaps of small systems, and the simulator against their exact means
(`separate_small_systems`); then, on the paper's instance and on one in which prefill capacity
binds, an equivalence test that the limit gap is within a margin of zero. On the paper's instance
the separate plan prefills all that arrives: any order of the classes does as well in the limit,
prefill is critically loaded, and the gap decays like n^(-1/2). Where prefill capacity binds, the
order decides; slots never idle there, and no gap is left to fit an exponent to.

Controls: the bundled value in place of the separate one, which exact revenues exceed; the kernel
with one rate off; the reversed order, on the instance where it matters; at the full level, whose
margin is less than the difference of the two values, gate-and-route with the bundled plan on the
paper's instance, which leaves R* where the separate value is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure

from ...fluid import Plan, plan
from ...theory import GateAndRoute, PrioritizeAndRoute, instance
from ..verdict import Evidence, Findings, Level, Report
from .figures import gap_comparison_figure, revenue_figure
from .gap_evidence import exponent_evidence, limit_evidence
from .gap_study import Design, GapStudy, gap_study
from .instrument import with_wrong_rate
from .separate_small_systems import (
    exact_gaps_evidence,
    exact_laws,
    separate_plans,
    simulated_means_evidence,
)

SEED, PILOT_SEED = 5, 78
TESTS = 3
"""The limit on each of two instances; at the full level, whose sizes and replications can tell
it from other exponents, the exponent on the first. The comparison with exact means has a level of
its own, `kurtz.proofs_checks.networks.instrument.INTERVAL_LEVEL`."""

MARGIN = {"quick": 0.005, "full": 0.001}
"""Largest limit gap, relative to the separate value, that still counts as none."""

DESIGNS: dict[str, dict[Level, Design]] = {
    "two-class": {
        "quick": Design(
            (100, 400, 1_600, 6_400, 12_800, 25_600), (8, 8, 8, 8, 6, 4), 150, 150, 6_400
        ),
        "full": Design(
            (100, 400, 1_600, 6_400, 25_600, 51_200), (32, 32, 32, 32, 12, 10), 150, 300, 6_400
        ),
    },
    "prefill-bound": {
        "quick": Design((100, 400, 1_600, 3_200), (8, 8, 8, 8), 60, 60, 400),
        "full": Design((100, 400, 1_600, 6_400), (16, 16, 16, 8), 60, 60, 400),
    },
}
"""Settled from: no smaller than in pilot runs of the quick designs with `PILOT_SEED`."""

CRITICAL = "two-class"
"""The instance whose prefill is critically loaded."""

CONTROLLED = "prefill-bound"
"""The instance on which the order of the classes matters in the limit."""


@dataclass(frozen=True)
class ReversedPriority(PrioritizeAndRoute):
    """The least decode work per prompt token first."""

    def class_order(self) -> tuple[int, ...]:
        """The order of the theorem, backwards."""
        return super().class_order()[::-1]


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    report("planning")
    plans = {name: plan(instance(name), "separate") for name in DESIGNS}
    small = separate_plans()
    report("exact stationary laws")
    laws = exact_laws(level, small)
    studies = {
        name: gap_study(name, p, PrioritizeAndRoute(p), DESIGNS[name][level], SEED, report)
        for name, p in plans.items()
    }
    target = plans[CONTROLLED]
    reversed_study = gap_study(
        f"{CONTROLLED}, reversed priority",
        target,
        ReversedPriority(target),
        DESIGNS[CONTROLLED]["quick"],
        SEED,
        report,
    )
    return Findings(
        evidence=(
            exact_gaps_evidence(laws, small, {name: p.value for name, p in small.items()}),
            simulated_means_evidence(laws, small),
            *([exponent_evidence(CRITICAL, studies[CRITICAL], TESTS)] if level == "full" else []),
            *(limit_evidence(study, MARGIN[level], TESTS) for study in studies.values()),
        ),
        controls={
            "the bundled value": (
                exact_gaps_evidence(
                    laws, small, {name: plan(p.network).value for name, p in small.items()}
                ),
            ),
            "a rate of the kernel a tenth too high": (
                simulated_means_evidence(laws, small, with_wrong_rate),
            ),
            "reversed priority": (limit_evidence(reversed_study, MARGIN[level], TESTS),),
            **(bundled_control(plans[CRITICAL], report) if level == "full" else {}),
        },
        figures=_figures(studies, reversed_study),
        data={"laws": laws, "studies": studies, "reversed priority": reversed_study},
    )


def bundled_control(target: Plan, report: Report) -> dict[str, tuple[Evidence, ...]]:
    """Gate-and-route with the bundled plan, judged by the separate value."""
    bundled = GateAndRoute(plan(target.network))
    design = DESIGNS[CRITICAL]["quick"]  # a third of a per cent is three times the margin
    study = gap_study("gate-and-route, bundled plan", target, bundled, design, SEED, report)
    return {"gate-and-route with the bundled plan": (limit_evidence(study, MARGIN["full"], TESTS),)}


def _figures(
    studies: dict[str, GapStudy], reversed_study: GapStudy
) -> dict[str, Callable[[], Figure]]:
    return {
        f"Gap to the separate value against the number of GPUs, {CRITICAL}": partial(
            gap_comparison_figure, {"prioritize-and-route": studies[CRITICAL]}
        ),
        f"Revenue against the number of GPUs, {CONTROLLED}": partial(
            revenue_figure,
            {"largest D/P first": studies[CONTROLLED], "smallest D/P first": reversed_study},
        ),
    }
