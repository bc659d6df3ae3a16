r"""Hypotheses of Theorem 5.1, in exact arithmetic: Slater's condition, q_d* = 0, tame penalties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import combinations

from ...fluid import Plan, plan
from ...fluid.penalised import PenalisedPlan, penalised_plan
from ...fluid.planning import planning_form
from ...fluid.simplex import lexicographic_maximum
from ...theory import exact, exact_rates
from ...theory.claims import Grade
from ...theory.linear_program import StandardForm
from ...theory.penalties import Penalty
from ...theory.rates import Rates
from ...theory.sli import linear_slis
from ...theory.steady_state import OCCUPANCIES, block
from ..verdict import Evidence, outcome_of

NEGLIGIBLE = Fraction(1, 10**9)
"""Of the revenue: what a plan may be short of its program's optimum, by its certificate.

With constraints and linear penalties it is 0; a penalty on the TPOT is not linear, and its plan is
as near the optimum as a solver in floating point came.
"""


def hypotheses_evidence(plans: Mapping[str, Plan | PenalisedPlan]) -> Evidence:
    """Slater's condition, and that q_d* = 0 costs nothing, for every specification, exactly."""
    slack = {name: slater_slack(_form(p)) for name, p in plans.items()}
    loss = {name: (_bound_with_queues(p) - p.value) / _revenue(p) for name, p in plans.items()}
    queues = {name: sum(p.decode_queue, Fraction(0)) for name, p in plans.items()}
    worst = max(loss, key=lambda name: loss[name])
    holds = min(slack.values()) > 0 and max(queues.values()) == 0 and loss[worst] <= NEGLIGIBLE
    return Evidence(
        name="hypotheses: a strictly feasible point, and an optimum without decode queues",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(holds),
        claimed="slack > 0, sum of q_d* = 0, and no better optimum with decode queues",
        computed=f"least slack {float(min(slack.values())):.4f}, largest q_d* "
        f"{float(max(queues.values())):g}, with decode queues at most "
        f"{float(loss[worst]):.2g} of the revenue more ({worst})",
        slack=float(min(slack.values()) if loss[worst] <= NEGLIGIBLE else -loss[worst]),
        detail=f"exact simplex method, {len(plans)} specifications, each with q_d free; with a "
        f"penalty on the TPOT by a certified bound, up to {float(NEGLIGIBLE):g} of the revenue",
    )


def slater_slack(form: StandardForm) -> Fraction:
    """Largest s <= 1 such that inequalities hold with room s and all but q_d are at least s."""
    positive = block("decode_queue", len(form.variables) // len(OCCUPANCIES)).start
    rows = [(*row, int(not equal)) for row, equal in zip(form.rows, form.equalities, strict=True)]
    extended = StandardForm(
        name=form.name,
        variables=(*form.variables, "s"),
        constraints=form.constraints,
        equalities=form.equalities,
        objective=(*(0 for _ in form.variables), 1),
        rows=tuple(rows),
        bounds=form.bounds,
    )
    for j in range(positive):
        below = [0] * len(form.variables) + [1]
        below[j] = -1
        extended = extended.with_constraint(f"{form.variables[j]} >= s", below, 0)
    top = [0] * len(form.variables) + [1]
    extended = extended.with_constraint("s <= 1", top, 1)
    return lexicographic_maximum(extended, [extended.objective]).primal[-1]


def penalties_evidence(plans: Mapping[str, PenalisedPlan]) -> Evidence:
    """Bounds and Lipschitz constants of all penalties on the states that slots allow, exactly.

    A convex penalty is largest at a vertex of these states, of two classes or more; whether the
    constant holds is tried between all pairs of vertices and plans, and argued in
    `kurtz.theory.penalties`.
    """
    outcomes, texts = [], []
    for p in plans.values():
        rate = exact_rates(p.network)
        states = [*_vertices(rate), {stage: getattr(p, stage) for stage in OCCUPANCIES}]
        for penalty in p.penalties:
            measures = [penalty.measure(rate, state) for state in states]
            steepest = max(
                abs(measures[i] - measures[j]) / _distance(states[i], states[j])
                for i, j in combinations(range(len(states)), 2)
            )
            bounded = max(measures) == penalty.largest(rate)
            outcomes.append(bounded and min(measures) >= 0)
            outcomes.append(steepest <= penalty.steepness(rate))
            texts.append(_constants(penalty, rate))
    return Evidence(
        name="hypotheses: bounded and Lipschitz penalties",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(bool(outcomes) and all(outcomes)),
        claimed="between 0 and the bound at every vertex of the states, no pair steeper than the "
        "constant",
        computed="; ".join(texts),
        detail="fractions; distances are sums of absolute differences of x and y_s",
    )


def _constants(penalty: Penalty, rate: Rates) -> str:
    weight = exact(penalty.weight)
    bound, constant = weight * penalty.largest(rate), weight * penalty.steepness(rate)
    return f"{penalty.name} at most {float(bound):.6g}, constant {float(constant):.6g}"


def _vertices(rate: Rates) -> list[dict[str, list[Fraction]]]:
    """Vertices of x, y_s >= 0 with X <= 1 and sum of y_s <= B (1 - X)."""
    classes = len(rate.arrival)
    idle = [Fraction(0)] * classes
    states = [{"prefill": idle, "solo_decode": idle}]
    for stage, slots in (("prefill", Fraction(1)), ("solo_decode", Fraction(rate.batch))):
        for i in range(classes):
            full = [slots if i == j else Fraction(0) for j in range(classes)]
            states.append({"prefill": idle, "solo_decode": idle, stage: full})
    return states


def _distance(
    first: Mapping[str, Sequence[Fraction]], second: Mapping[str, Sequence[Fraction]]
) -> Fraction:
    return sum(
        (
            abs(a - b)
            for stage in ("prefill", "solo_decode")
            for a, b in zip(first[stage], second[stage], strict=True)
        ),
        Fraction(0),
    )


def _bound_with_queues(p: Plan | PenalisedPlan) -> Fraction:
    """An upper bound on the value with q_d free: of linear programs the value itself."""
    if isinstance(p, PenalisedPlan):
        free = penalised_plan(p.network, p.pricing, p.slis, p.penalties, decode_queue_allowed=True)
        return free.upper_bound
    return plan(p.network, p.pricing, p.slis, decode_queue_allowed=True).value


def _revenue(p: Plan | PenalisedPlan) -> Fraction:
    return p.revenue if isinstance(p, PenalisedPlan) else p.value


def _form(p: Plan | PenalisedPlan) -> StandardForm:
    """The constraints of the plan without q_d = 0, which leaves no room by design."""
    return planning_form(p.network, p.pricing, linear_slis(p.slis), decode_queue_allowed=True)
