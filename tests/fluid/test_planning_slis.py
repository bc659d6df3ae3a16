"""Plans under SLIs: what they meet, what they cost, what clashes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.fluid import plan
from kurtz.fluid.planning import planning_form, tie_breaks
from kurtz.fluid.simplex import is_feasible, lexicographic_maximum
from kurtz.theory import InfeasibleError, ServingNetwork, exact_rates, instance
from kurtz.theory.sli import (
    Abandonment,
    DecodeFairness,
    LinearSli,
    PrefillFairness,
    TimePerOutputToken,
    WaitingTime,
    average_time_per_output_token,
)
from strategies import networks

SLIS: tuple[LinearSli, ...] = (
    PrefillFairness(0.05),
    DecodeFairness(1.0),
    TimePerOutputToken(0.0225),
    WaitingTime(2.0),
    Abandonment(0.3),
)


@pytest.mark.parametrize("pricing", ["bundled", "separate"])
def test_a_plan_meets_its_slis(pricing: str) -> None:
    network = instance("two-class")
    rate = exact_rates(network)
    for sli in SLIS[:3]:
        solution = plan(network, pricing, [sli])
        assert solution.slis == (sli,)
        assert solution.decode_queue == (0, 0)
        assert solution.value <= plan(network, pricing).value
    fair, even, fast = (plan(network, pricing, [sli]) for sli in SLIS[:3])
    assert max(fair.prefill) - min(fair.prefill) <= Fraction(1, 20)
    assert max(even.solo_decode) - min(even.solo_decode) <= 1
    assert average_time_per_output_token(rate, fast.mixed_share) <= Fraction("0.0225")
    waiting = plan(network, pricing, [WaitingTime(0.6)])
    assert all(q <= Fraction("0.6") / 2 for q in waiting.prefill_queue)


@settings(max_examples=6, deadline=None)
@given(networks(zero_patience=True), st.sampled_from(SLIS), st.randoms(use_true_random=False))
def test_the_vertex_does_not_depend_on_the_column_order(
    network: ServingNetwork, sli: LinearSli, random: Random
) -> None:
    form = planning_form(network, "separate", [sli])
    if not is_feasible(form):
        return
    columns = list(range(len(form.variables) + form.equalities.count(False)))
    random.shuffle(columns)
    objectives = [form.objective, *tie_breaks(len(network.classes))]
    vertex = lexicographic_maximum(form, objectives, columns)
    assert vertex.primal == plan(network, "separate", [sli]).certificate.primal


def test_the_general_policy_may_keep_a_decode_queue_where_that_pays() -> None:
    # Equal solo decodes leave decode-heavy prompts without slots; prefilling them even so and
    # losing some earns more than 257.40.
    network, slis = instance("two-class"), [DecodeFairness(0)]
    strict = plan(network, slis=slis)
    general = plan(network, slis=slis, decode_queue_allowed=True)
    assert strict.decode_queue == (0, 0)
    assert sum(general.decode_queue) > 0
    assert general.value > strict.value


def test_a_tpot_faster_than_solo_decode_is_infeasible_by_itself() -> None:
    with pytest.raises(InfeasibleError) as caught:
        plan(instance("two-class"), slis=[TimePerOutputToken(0.0219)])
    assert caught.value.clashing == ("average TPOT",)


def test_a_tpot_of_solo_decode_leaves_no_prefills() -> None:
    network = instance("two-class")
    solo_time = 1 / Fraction(str(network.gpu.iteration_time.gamma))
    assert plan(network, slis=[TimePerOutputToken(solo_time)]).value == 0  # type: ignore[arg-type]


def test_patient_classes_clash_with_a_fast_tpot_target() -> None:
    # Who never abandons must be prefilled, and prefills slow the decodes down.
    two = instance("two-class")
    patient = replace(
        two,
        classes=tuple(replace(c, arrival_rate=0.1, patience_rate=0) for c in two.classes),
    )
    assert plan(patient).value == 61
    with pytest.raises(InfeasibleError) as caught:
        plan(patient, slis=[TimePerOutputToken(0.02201)])
    assert set(caught.value.clashing) == {
        "average TPOT",
        "prefill flow balance of prefill-heavy",
    }


def test_waiting_less_than_the_load_allows_clashes_with_capacity_and_the_empty_decode_queue() -> (
    None
):
    with pytest.raises(InfeasibleError) as caught:
        plan(instance("two-class"), slis=[WaitingTime(0.1)])
    clashing = set(caught.value.clashing)
    assert {"waiting time of decode-heavy", "no decode queue", "solo decode capacity"} <= clashing
    general = plan(instance("two-class"), slis=[WaitingTime(0.1)], decode_queue_allowed=True)
    assert sum(general.decode_queue) > 0


@settings(max_examples=8, deadline=None)
@given(networks(classes=(1, 3)))
def test_slis_that_cannot_bind_change_nothing(network: ServingNetwork) -> None:
    # Differences are at most 1 and B; with q_d = 0 imposed on both sides.
    loose = [PrefillFairness(1), DecodeFairness(network.gpu.batch)]
    base = planning_form(network, "bundled", [PrefillFairness(1)])
    value = plan(network, slis=loose).value
    vertex = lexicographic_maximum(base, [base.objective])
    assert value == sum(c * z for c, z in zip(base.objective, vertex.primal, strict=True))
