"""The time-indexed linear program is a lower bound, and rules stay near it.

Evidence: (a) on every backlog drawn the certified bound, exact in rationals, is at most the total
latency of every rule, and on small backlogs at most the exact optimum; (b) on every workload the
mean ratio to the bound of the best of Sorted-F and its variants is at most `NEAR`, by one-sided t
tests over draws (an intersection-union test). The optimum lies between, so (b) bounds what any
other rule could still gain. Control: the same prices without the capacity term, sum_i min_p f_i(p)
in place of sum_i min_p f_i(p) - M sum_t pi_t.

The certified bound is the best of the closed forms and of the linear program's prices. On large
backlogs, where the program is replaced by a search, its prices may fall short of the closed forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial

from ...fluid.backlog.linear_program import LowerBound, lower_bound
from ...theory.claims import Grade
from ..statistics import FAMILY_LEVEL, Fitted
from ..verdict import Evidence, Findings, Level, Outcome, Report, outcome_of
from .instances import random_solved
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

SMALL_BACKLOGS = {"quick": 60, "full": 1_000}
SEED_OF_SMALL_BACKLOGS = 20250815

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
            _below_the_optimum(level),
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
    ratios = {
        (study.label, rule): Fraction(total) / bound
        for study, of_study in zip(studies, bounds, strict=True)
        for totals, bound in zip(study.totals, of_study, strict=True)
        for rule, total in zip(study.rules, totals, strict=True)
    }
    label, rule = min(ratios, key=lambda key: ratios[key])
    least = ratios[label, rule]
    schedules = sum(len(totals) for study in studies for totals in study.totals)
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


def _below_the_optimum(level: Level) -> Evidence:
    """The bound against the exact optima of small random backlogs, which it may attain."""
    solved = random_solved(SMALL_BACKLOGS[level], SEED_OF_SMALL_BACKLOGS, most_requests=7)
    ratios = [Fraction(case.best.latency, lower_bound(case.backlog).value) for case in solved]
    attained = sum(ratio == 1 for ratio in ratios)
    return Evidence(
        name=f"the certified bound is at most the optimum of {len(ratios)} small backlogs",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(min(ratios) >= 1),
        claimed="optimum >= bound",
        computed=f"ratio {float(min(ratios)):.4f} to {float(max(ratios)):.4f}; attained by "
        f"{attained}",
        slack=float(min(ratios)) - 1,
        detail="random backlogs of 2 to 7 requests, M = 8 ... 30; exact optima by search",
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
    near, far = [], []
    detectable = []
    for study in studies:
        ratios = {
            rule: estimate(study.ratios(rule)) for rule in study.rules if rule not in BASELINES
        }
        rule = min(ratios, key=lambda rule: ratios[rule].value)
        best[study.label] = rule, ratios[rule]
        # Which variant is best is known only from the draws, so each is tested at its share.
        level = FAMILY_LEVEL / len(ratios)
        near.append(any(each.interval(2 * level)[1] <= NEAR for each in ratios.values()))
        far.append(
            all(each.interval(2 * level / len(studies))[0] > NEAR for each in ratios.values())
        )
        detectable.append(ratios[rule].detectable(level, sides=1))
    worst = max(best, key=lambda label: best[label][1].value)
    rule, ratio = best[worst]
    others = {
        rule: [float(study.ratios(rule).mean()) for study in studies if rule in study.rules]
        for rule in dict.fromkeys(rule for study in studies for rule in study.rules)
    }
    return Evidence(
        name=f"the best variant of Sorted-F stays near the bound on {len(studies)} workloads",
        grade=Grade.ESTIMATED,
        outcome=Outcome.HOLDS
        if all(near)
        else Outcome.REFUTED
        if any(far)
        else Outcome.INCONCLUSIVE,
        claimed=f"mean ratio <= {NEAR:g}",
        computed=f"at most {ratio.value:.3f} ± {ratio.standard_error:.3f} ({rule}, {worst})",
        slack=NEAR - ratio.value,
        detail=f"H0: larger on some workload; one-sided t tests over draws, level {FAMILY_LEVEL:g} "
        f"shared by the variants; power 0.9 at a ratio {max(detectable):.2g} below or less; mean "
        "ratios by rule: "
        + ", ".join(f"{rule} {min(v):.2f} to {max(v):.2f}" for rule, v in others.items()),
    )
