r"""Theorem 4.2: prioritize-and-route's revenue under separate charging tends to the separate value.

Evidence, on the paper's instance and on one in which prefill capacity binds: the exponent of the
gap where sqrt(n) gap has settled, and an equivalence test that the limit gap is within a margin
of zero. On the paper's instance the separate plan prefills all that arrives, so that any order of
the classes does as well in the limit; where prefill capacity binds, the order decides.

Control: the reversed order, on the instance where it matters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure

from ..fluid import plan
from ..theory import PrioritizeAndRoute, instance
from .figures import gap_comparison_figure
from .gap_evidence import exponent_evidence, limit_evidence
from .gap_study import Design, GapStudy, gap_study
from .verdict import Findings, Level, Report

SEED, PILOT_SEED = 2, 78
TESTS = 4
"""Exponent and limit on each of two instances."""

MARGIN = {"quick": 0.005, "full": 0.001}
"""Largest limit gap, relative to the separate value, that still counts as none."""

DESIGNS: dict[str, dict[Level, Design]] = {
    "two-class": {
        "quick": Design(
            (100, 400, 1_600, 6_400, 12_800, 25_600), (8, 8, 8, 8, 8, 6), 150, 250, 6_400
        ),
        "full": Design(
            (100, 400, 1_600, 6_400, 12_800, 25_600, 51_200),
            (32, 32, 32, 24, 24, 16, 12),
            150,
            400,
            6_400,
        ),
    },
    "prefill-bound": {
        "quick": Design((100, 400, 1_600, 3_200, 6_400), (8, 8, 8, 8, 6), 60, 60, 1_600),
        "full": Design(
            (100, 400, 1_600, 3_200, 6_400, 12_800), (32, 32, 32, 24, 16, 12), 60, 120, 1_600
        ),
    },
}
"""Settled from: fixed in advance, from pilot runs of the quick designs with `PILOT_SEED`."""

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
        evidence=tuple(
            piece
            for name, study in studies.items()
            for piece in (
                exponent_evidence(name, study, TESTS),
                limit_evidence(study, MARGIN[level], TESTS),
            )
        ),
        controls={
            "reversed priority": (limit_evidence(reversed_study, MARGIN[level], TESTS),),
        },
        figures=_figures(studies, reversed_study),
        data={"studies": studies, "reversed priority": reversed_study},
    )


def _figures(
    studies: dict[str, GapStudy], reversed_study: GapStudy
) -> dict[str, Callable[[], Figure]]:
    return {
        f"Gap to the separate value against the number of GPUs, {CONTROLLED}": partial(
            gap_comparison_figure,
            {"largest D/P first": studies[CONTROLLED], "smallest D/P first": reversed_study},
        )
    }
