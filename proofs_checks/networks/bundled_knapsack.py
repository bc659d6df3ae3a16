"""The bundled program is a two-row knapsack with at most two classes off their bounds.

Evidence: the algebra of both directions; on random and named instances the certified optimum of
the program equals the closed form in fractions, and the plan's vertex has at most two classes
strictly between their bounds. Control: the decode work of two classes swapped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...fluid import Plan, knapsack_solution, plan
from ...theory import ServingNetwork, exact_rates, instance
from ...theory.claims import Grade
from ...theory.derivations import bundled_knapsack
from ...theory.steady_state import Knapsack, decode_buffer_condition, knapsack
from ..derived import derivation_evidence
from ..verdict import Evidence, Findings, Level, Report, outcome_of
from .decode_buffer_elimination import random_instances
from .instances import NAMED_INSTANCES

RANDOM_INSTANCES = {"quick": 80, "full": 900}


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    report("algebra of the equivalence")
    proved = derivation_evidence(bundled_knapsack.derivation())
    report("certified optima against the closed form")
    plans = [plan(n) for n in random_instances(RANDOM_INSTANCES[level], satisfying=True)]
    named = [plan(instance(name)) for name in NAMED_INSTANCES]
    label = f"{len(plans)} random instances"
    return Findings(
        evidence=(
            proved,
            _same_value(label, plans, knapsack_of),
            *(
                _same_value(n, [p], knapsack_of)
                for n, p in zip(NAMED_INSTANCES, named, strict=True)
            ),
            _few_fractional(label, [*plans, *named]),
        ),
        controls={
            "decode work of two classes swapped": (
                _same_value(f"{label}, swapped", plans, swapped_knapsack_of),
            )
        },
    )


def knapsack_of(network: ServingNetwork) -> Knapsack:
    """The knapsack of a network in fractions, its hypothesis checked."""
    rate = exact_rates(network)
    if not decode_buffer_condition(rate):
        raise ArithmeticError("kappa < (B-1)/B: the knapsack form does not apply")
    return knapsack(rate)


def swapped_knapsack_of(network: ServingNetwork) -> Knapsack:
    """The knapsack with the decode work of the first and the last class swapped: wrong."""
    right = knapsack_of(network)
    work = list(right.decode_work)
    work[0], work[-1] = work[-1], work[0]
    return replace(right, decode_work=tuple(work))


def fractional_classes(solution: Plan) -> int:
    """Number of classes strictly between their bounds in the plan."""
    upper = knapsack_of(solution.network).upper
    return sum(0 < x < bound for x, bound in zip(solution.prefill, upper, strict=True))


def _same_value(
    name: str, plans: list[Plan], form: Callable[[ServingNetwork], Knapsack]
) -> Evidence:
    closed = [knapsack_solution([form(p.network)]).value[0] for p in plans]
    differences = [abs(p.value - value) for p, value in zip(plans, closed, strict=True)]
    equal = sum(difference == 0 for difference in differences)
    single = len(plans) == 1
    return Evidence(
        name=f"closed form equals the certified optimum: {name}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(equal == len(plans)),
        claimed=f"{float(closed[0]):.6f}" if single else "equal fractions",
        computed=f"{float(plans[0].value):.6f}" if single else f"{equal} of {len(plans)} equal",
        slack=0.0 - float(max(differences)),
        detail="simplex vertex with certificate against minimum over explicit dual points, "
        "both in fractions",
    )


def _few_fractional(name: str, plans: list[Plan]) -> Evidence:
    most = max(fractional_classes(p) for p in plans)
    return Evidence(
        name=f"at most two classes off their bounds: {name} and the named ones",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(most <= 2),
        claimed="<= 2",
        computed=str(most),
        slack=float(2 - most),
        detail="exact vertices",
    )
