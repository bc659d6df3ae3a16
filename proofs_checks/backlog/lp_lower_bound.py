"""The time-indexed linear program is a lower bound, and rules stay near it.

Evidence: (a) on every backlog drawn the certified bound, exact in rationals, is at most the total
latency of every rule; (b) on every workload the mean ratio to the bound of the best of Sorted-F and
its variants is at most `NEAR`, by one-sided t tests over draws (an intersection-union test). The
optimum lies between, so (b) bounds what any other rule could still gain. Control: the same prices
without the capacity term, sum_i min_p f_i(p) in place of sum_i min_p f_i(p) - M sum_t pi_t.

The certified bound is the best of the closed forms and of the linear program's prices. On large
backlogs, where the program is replaced by a search, its prices may fall short of the closed forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial

from ...fluid.backlog.linear_program import LowerBound
from ...theory.claims import Grade
from ..statistics import FAMILY_LEVEL, Fitted
from ..verdict import Evidence, Findings, Level, Outcome, Report, outcome_of
from .workload_figures import latency_figure
from .workload_study import WORKLOADS, WorkloadStudy, estimate, workload_study

NEAR = 1.2
BASELINES = ("fcfs", "shortest-output", "shortest-total", "smallest-volume")
VARIANTS = ("sorted-f", "local-swap", "quantile-greedy", "receding-horizon")
GUIDED = {"quick": ("sorted-lp",), "full": ("sorted-lp", "lp-swap")}
SIZES = {"quick": ((100, 4),), "full": ((100, 10), (1_000, 6))}
"""Requests per backlog and draws."""

LARGE = {"quick": (), "full": ((10_000, 4),)}
"""With the variants that need neither exact batches nor a linear program."""

LARGE_VARIANTS = ("local-swap", "quantile-greedy", "receding-horizon")
WORKLOADS_STUDIED = {"quick": WORKLOADS[1::3], "full": WORKLOADS}


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    studies = [
        workload_study(workload, requests, draws, rules, report, "linear-program")
        for sizes, rules in (
            (SIZES[level], (*BASELINES, *VARIANTS, *GUIDED[level])),
            (LARGE[level], (*BASELINES, *LARGE_VARIANTS)),
        )
        for requests, draws in sizes
        for workload in WORKLOADS_STUDIED[level]
    ]
    bounds = [[Fraction(bound.value) for bound in study.bounds] for study in studies]
    faulty = [[without_capacity_term(bound) for bound in study.bounds] for study in studies]
    return Findings(
        evidence=(
            _below_every_rule("the certified bound", studies, bounds),
            _near(studies),
        ),
        controls={
            "the prices without the capacity term": (
                _below_every_rule("the sum of the cheapest starts", studies, faulty),
            )
        },
        figures={
            f"Latency and bound, {study.label}": partial(latency_figure, study)
            for study in studies[:2]
        },
        data={"studies": studies},
    )


def without_capacity_term(bound: LowerBound) -> Fraction:
    """The bound of the certificate's prices with M sum_t pi_t left out."""
    certificate = bound.certificate
    charge = sum(
        price * duration
        for price, duration in zip(certificate.prices, certificate.durations, strict=True)
    )
    return certificate.value + Fraction(certificate.backlog.memory * charge, certificate.scale)


def _below_every_rule(
    name: str, studies: Sequence[WorkloadStudy], bounds: Sequence[Sequence[Fraction]]
) -> Evidence:
    # Total latencies are integers: the means come from them and give them back.
    ratios = {
        (study.label, rule): Fraction(round(mean * study.requests)) / bound
        for study, of_study in zip(studies, bounds, strict=True)
        for means, bound in zip(study.steps[:, :, 0], of_study, strict=True)
        for rule, mean in zip(study.rules, means.tolist(), strict=True)
    }
    label, rule = min(ratios, key=lambda key: ratios[key])
    least = ratios[label, rule]
    schedules = sum(study.steps[:, :, 0].size for study in studies)
    return Evidence(
        name=f"{name} is at most the total latency of every rule",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(least >= 1),
        claimed=f"latency >= bound, {schedules:,} schedules",
        computed=f"least ratio {float(least):.4f} ({rule} on {label})",
        slack=float(least) - 1,
        detail="prices are the certificate: their bound is evaluated in integers, the schedules "
        "are validated step by step, and no solver is trusted; the linear program's prices change "
        f"the best closed form by {_gain_over_closed_forms(studies)}",
    )


def _gain_over_closed_forms(studies: Sequence[WorkloadStudy]) -> str:
    """Smallest and largest relative change of the bound by the linear program's prices."""
    gains = []
    for bound in (bound for study in studies for bound in study.bounds):
        closed = max(v for name, v in bound.by_method.items() if name != "linear program")
        gains.append(bound.by_method["linear program"] / closed - 1)
    return f"{min(gains):+.2%} to {max(gains):+.2%}"


def _near(studies: Sequence[WorkloadStudy]) -> Evidence:
    best: dict[str, tuple[str, Fitted]] = {}
    reaches: list[tuple[float, float]] = []
    detectable = []
    for study in studies:
        ratios = {
            rule: estimate(study.ratios(rule)) for rule in study.rules if rule not in BASELINES
        }
        rule = min(ratios, key=lambda rule: ratios[rule].value)
        best[study.label] = rule, ratios[rule]
        # Which variant is best is known only from the draws, so each is tested at its share.
        level = FAMILY_LEVEL / len(ratios)
        low = ratios[rule].interval(2 * level / len(studies))[0]
        reaches.append((low, ratios[rule].interval(2 * level)[1]))
        detectable.append(ratios[rule].detectable(level, sides=1))
    holds = all(high <= NEAR for _, high in reaches)
    refuted = any(low > NEAR for low, _ in reaches)
    worst = max(best, key=lambda label: best[label][1].value)
    rule, ratio = best[worst]
    others = {
        rule: [float(study.ratios(rule).mean()) for study in studies if rule in study.rules]
        for rule in dict.fromkeys(rule for study in studies for rule in study.rules)
    }
    return Evidence(
        name=f"the best variant of Sorted-F stays near the bound on {len(studies)} workloads",
        grade=Grade.ESTIMATED,
        outcome=Outcome.HOLDS if holds else Outcome.REFUTED if refuted else Outcome.INCONCLUSIVE,
        claimed=f"mean ratio <= {NEAR:g}",
        computed=f"at most {ratio.value:.3f} ± {ratio.standard_error:.3f} ({rule}, {worst})",
        slack=NEAR - ratio.value,
        detail=f"H0: larger on some workload; one-sided t tests over draws, level {FAMILY_LEVEL:g} "
        f"shared by the variants; power 0.9 at a ratio {max(detectable):.2g} below or less; mean "
        "ratios by rule: "
        + ", ".join(f"{rule} {min(v):.2f} to {max(v):.2f}" for rule, v in others.items()),
    )
