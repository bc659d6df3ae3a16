r"""Theorem 5.1 and Proposition 12.1: under SLI-aware gate-and-route, occupancies tend to the plan.

Specifications: none, prefill fairness, decode fairness, and the average time per output token, all
on the paper's instance, as constraints; as penalties they are in `sli_penalties`. For each, the
hypotheses first (a Slater point and an optimum without decode queues, both exact), then by
equivalence tests in the limit of many GPUs: every class's occupancy of prefill, of decode and of
the decode buffers is the plan's; the constraint holds; the revenue is the plan's value.

Control: the solo-first router of gate-and-route on the same plan. It does not look at classes, and
their decode occupancies settle elsewhere (the paper's Fig. 5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from matplotlib.figure import Figure

from ...fluid import plan
from ...theory import GateAndRoute, SliAware, exact_rates, instance
from ...theory.sli import DecodeFairness, LinearSli, PrefillFairness, TimePerOutputToken
from ...theory.steady_state import OCCUPANCIES, block
from ..statistics import fitted_limit
from ..verdict import Evidence, Findings, Level, Report
from . import sli_penalties
from .figures import class_occupancies_figure
from .gap_study import Design, GapStudy, gap_study
from .occupancy_evidence import (
    deviation_curve,
    limit_of,
    limits_evidence,
    occupancies_evidence,
    stage_slots,
)
from .sli_hypotheses import hypotheses_evidence
from .sli_penalties import penalised_findings, penalised_plans

INSTANCE = "two-class"
SEED = 3

SPECIFICATIONS: dict[str, tuple[LinearSli, ...]] = {
    "no SLI": (),
    "prefill fairness": (PrefillFairness(0.15),),
    "decode fairness": (DecodeFairness(6.0),),
    "TPOT": (TimePerOutputToken(0.0242),),
}
"""With limits at which both pools are in use: else every lot sends a class to the same pool."""

CONTROLLED = ("no SLI", "decode fairness")

DESIGNS: dict[Level, Design] = {
    "quick": Design((100, 800, 3_200, 9_600), (8, 8, 8, 10), 150, 200, settled_from=800),
    "full": Design(
        (100, 800, 3_200, 12_800, 25_600), (16, 16, 24, 24, 20), 150, 300, settled_from=3_200
    ),
}
"""Settled from: fixed in advance; the margins are wide beside what curvature does from there on."""

MARGIN = {"quick": 0.02, "full": 0.006}
"""Largest deviation in the limit, per slot of the stage or relative to the value, that is none."""

PREFILL_STAGES = ("prefill",)
DECODE_STAGES = ("mixed_decode", "solo_decode", "decode_queue")
TESTS = (
    len(SPECIFICATIONS) * (2 * (len(PREFILL_STAGES) + len(DECODE_STAGES)) + 1)
    + 7
    + sli_penalties.TESTS
)
"""Occupancies of two classes and a revenue per specification, at most seven rows of constraints,
and the tests of the penalties."""


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    report("planning")
    network = instance(INSTANCE)
    plans = {name: plan(network, slis=slis) for name, slis in SPECIFICATIONS.items()}
    penalised = penalised_plans(plans)
    evidence = [hypotheses_evidence({**plans, **penalised})]
    studies = {}
    for name, p in plans.items():
        studies[name] = gap_study(name, p, SliAware(p), DESIGNS[level], SEED, report)
        evidence += specification_evidence(name, studies[name], level)
    blind = {
        name: gap_study(
            f"{name}, solo-first router",
            plans[name],
            GateAndRoute(plans[name]),
            DESIGNS["quick"],
            SEED,
            report,
        )
        for name in CONTROLLED
    }
    charged = penalised_findings(penalised, studies, level, SEED, TESTS, report)
    return Findings(
        evidence=(*evidence, *charged.evidence),
        controls={
            **{
                f"solo-first router, {name}": (
                    _occupancies("decode occupancies", study, DECODE_STAGES, level, "quick"),
                )
                for name, study in blind.items()
            },
            **charged.controls,
        },
        figures={**_figures(studies["no SLI"], blind["no SLI"]), **charged.figures},
        data={"studies": studies, "solo-first router": blind, **charged.data},
    )


def specification_evidence(name: str, study: GapStudy, level: Level) -> list[Evidence]:
    """Occupancies, constraints and revenue of one specification in the limit."""
    evidence = [
        _occupancies(f"{name}: prefill occupancies", study, PREFILL_STAGES, level, level),
        _occupancies(f"{name}: decode occupancies", study, DECODE_STAGES, level, level),
        revenue_evidence(name, study, level),
    ]
    if study.plan.slis:
        evidence.append(constraint_evidence(name, study, level))
    return evidence


def revenue_evidence(name: str, study: GapStudy, level: Level) -> Evidence:
    """Whether the revenue tends to the value of the plan."""
    return limits_evidence(
        f"{name}: revenue",
        {"revenue": fitted_limit(study.settled)},
        margin=MARGIN[level],
        tests=TESTS,
        scale=f"the value {float(study.plan.value):.3f}",
    )


def constraint_evidence(name: str, study: GapStudy, level: Level) -> Evidence:
    """Whether the rows of the SLIs that bind in the plan are met in the limit, up to the margin."""
    p = study.plan
    rates, names = exact_rates(p.network), p.network.class_names
    point = [value for stage in OCCUPANCIES for value in getattr(p, stage)]
    limits = {}
    for row in (row for sli in p.slis for row in sli.rows(rates, names)):
        planned = sum(a * x for a, x in zip(row.coefficients, point, strict=True))
        if planned != row.bound:
            continue  # slack in the plan, and met by every point near it
        stages = {
            stage: row.coefficients[block(stage, len(names))]
            for stage in OCCUPANCIES
            if any(row.coefficients[block(stage, len(names))])
        }
        scale = max(
            abs(float(a)) * stage_slots(p.network, p, stage)
            for stage, coefficients in stages.items()
            for a in coefficients
        )
        per_slot = {
            stage: [float(a) * stage_slots(p.network, p, stage) / scale for a in coefficients]
            for stage, coefficients in stages.items()
        }
        curve = deviation_curve(p.network, p, DESIGNS[level], study.estimates, per_slot)
        limits[row.name] = limit_of(curve)
    return limits_evidence(
        f"{name}: the binding constraint is met with equality in the limit",
        limits,
        margin=MARGIN[level],
        tests=TESTS,
    )


def _occupancies(
    name: str, study: GapStudy, stages: Sequence[str], level: Level, design: Level
) -> Evidence:
    return occupancies_evidence(
        name,
        study.plan.network,
        study.plan,
        DESIGNS[design],
        study.estimates,
        stages,
        margin=MARGIN[level],
        tests=TESTS,
    )


def _figures(study: GapStudy, blind: GapStudy) -> dict[str, Callable[[], Figure]]:
    return {
        "Decode occupancies per class against the number of GPUs": partial(
            class_occupancies_figure,
            study.plan,
            {"pools by lot (SLI-aware)": study.estimates, "solo first": blind.estimates},
        )
    }
