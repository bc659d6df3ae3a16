"""Plans against the theorems of arXiv 2602.02987 v1: exact values, exact vertices."""

from __future__ import annotations

from dataclasses import fields, replace
from fractions import Fraction
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kurtz.fluid import Certificate, Plan, bundled_value_without_decode_queue, knapsack_values, plan
from kurtz.fluid.planning import tie_breaks
from kurtz.fluid.simplex import is_feasible, lexicographic_maximum
from kurtz.theory import (
    InfeasibleError,
    InvalidInput,
    Prices,
    RequestClass,
    ServingNetwork,
    exact,
    exact_rates,
    instance,
    instance_names,
)
from kurtz.theory.steady_state import (
    OCCUPANCIES,
    decode_buffer_condition,
    knapsack,
    steady_state_form,
)
from strategies import networks


def exact_knapsack_value(network: ServingNetwork) -> Fraction:
    value: Fraction = knapsack_values([network], exact=True)[0]
    return value


def feasible(network: ServingNetwork) -> bool:
    return is_feasible(steady_state_form(exact_rates(network)))


def overloaded(*patience_rates: float) -> ServingNetwork:
    """Classes of the two-class instance at four times their load."""
    two = instance("two-class")
    return replace(
        two,
        classes=tuple(
            replace(c, arrival_rate=2.0, patience_rate=rate)
            for c, rate in zip(two.classes, patience_rates, strict=True)
        ),
    )


def test_section_2_9_value_of_the_papers_instance_by_both_routes_exactly() -> None:
    solution = plan(instance("two-class"))
    assert solution.value == exact_knapsack_value(instance("two-class"))
    assert float(solution.value) == pytest.approx(297.703, abs=5e-4)


def test_section_2_9_plan_of_the_papers_instance() -> None:
    # Printed to six and to four digits; both decode rows are tight.
    solution = plan(instance("two-class"))
    assert [float(x) for x in solution.prefill] == pytest.approx([0.018258, 0.194953], abs=5e-7)
    assert float(solution.mixed_share) == pytest.approx(0.21321, abs=5e-6)
    assert float(sum(solution.mixed_decode)) == pytest.approx(3.198, abs=5e-4)
    assert float(sum(solution.solo_decode)) == pytest.approx(12.589, abs=5e-4)
    assert [float(q) for q in solution.prefill_queue] == pytest.approx([0.3173, 0], abs=5e-5)
    assert solution.decode_queue == (0, 0)
    assert sum(solution.mixed_decode) == 15 * solution.mixed_share
    assert sum(solution.solo_decode) == 16 * (1 - solution.mixed_share)


@settings(max_examples=60, deadline=None)
@given(networks(meets_condition=True))
def test_proposition_3_2_no_decode_queue_when_kappa_is_large_enough(
    network: ServingNetwork,
) -> None:
    solution = plan(network)
    assert set(solution.decode_queue) == {0}
    assert solution.value == bundled_value_without_decode_queue(network)


def test_negative_control_proposition_3_2_needs_its_condition() -> None:
    # Solo decode at a tenth of the speed of mixed decode: prefills that abandon afterwards keep
    # GPUs in the fast mode.
    two = instance("two-class")
    slow = replace(two.gpu, iteration_time=replace(two.gpu.iteration_time, gamma=3.0))
    network = replace(two, gpu=slow)
    assert not decode_buffer_condition(exact_rates(network))
    solution = plan(network)
    assert sum(solution.decode_queue) > 0
    assert solution.value > bundled_value_without_decode_queue(network)


@settings(max_examples=60, deadline=None)
@given(networks(meets_condition=True, zero_patience=True))
def test_the_bundled_program_is_a_two_row_knapsack(network: ServingNetwork) -> None:
    if not feasible(network):
        with pytest.raises(InvalidInput, match="never abandon must fit"):
            exact_knapsack_value(network)
        return
    solution = plan(network)
    assert solution.value == exact_knapsack_value(network)
    # At most two classes stand strictly between their bounds.
    upper = knapsack(exact_rates(network)).upper
    assert sum(0 < x < bound for x, bound in zip(solution.prefill, upper, strict=True)) <= 2


@settings(max_examples=40, deadline=None)
@given(networks(zero_patience=True), st.randoms(use_true_random=False))
def test_the_vertex_does_not_depend_on_the_column_order(
    network: ServingNetwork, random: Random
) -> None:
    assume(feasible(network))
    form = steady_state_form(exact_rates(network))
    objectives = [form.objective, *tie_breaks(len(network.classes))]
    columns = list(range(len(form.variables) + form.equalities.count(False)))
    random.shuffle(columns)
    assert (
        lexicographic_maximum(form, objectives, columns).primal == plan(network).certificate.primal
    )


def test_identical_classes_with_a_decode_queue_still_have_one_plan() -> None:
    # Without an order on mixed decode the 50 waiting requests could belong to either class.
    two = instance("two-class")
    gpu = replace(
        two.gpu,
        chunk=100,
        iteration_time=replace(two.gpu.iteration_time, alpha=0.01, beta=1e-5, gamma=10.0),
    )
    twins = tuple(RequestClass(name, 100, 100, 5, 0.1) for name in ("a", "b"))
    form = steady_state_form(exact_rates(ServingNetwork(gpu, Prices(1, 1), twins)))
    columns = list(range(len(form.variables) + 3))
    vertices = set()
    for seed in range(20):
        Random(seed).shuffle(columns)
        objectives = [form.objective, *tie_breaks(2)]
        vertices.add(lexicographic_maximum(form, objectives, columns).primal)
    assert len(vertices) == 1


@settings(max_examples=30, deadline=None)
@given(networks(), st.integers(2, 5))
def test_revenue_is_homogeneous_in_the_prices(network: ServingNetwork, factor: int) -> None:
    prices = network.prices
    scaled = Prices(*(float(factor * exact(price)) for price in (prices.prefill, prices.decode)))
    base, more = plan(network), plan(replace(network, prices=scaled))
    assert more.value == factor * base.value
    if base.value > 0:
        assert all(getattr(more, name) == getattr(base, name) for name in OCCUPANCIES)


@settings(max_examples=30, deadline=None)
@given(networks(classes=(2, 4)), st.randoms(use_true_random=False))
def test_revenue_does_not_depend_on_the_order_of_the_classes(
    network: ServingNetwork, random: Random
) -> None:
    classes = list(network.classes)
    random.shuffle(classes)
    assert plan(replace(network, classes=tuple(classes))).value == plan(network).value


@settings(max_examples=30, deadline=None)
@given(networks())
def test_shadow_prices_pay_exactly_the_revenue(network: ServingNetwork) -> None:
    solution = plan(network)
    form = solution.certificate.form
    bounds = dict(zip(form.constraints, form.bounds, strict=True))
    paid = sum(solution.shadow_prices[name] * bound for name, bound in bounds.items())
    assert paid == solution.value


def test_patience_zero_within_capacity_is_served_in_full() -> None:
    network = instance("two-class")
    patient = replace(
        network,
        classes=tuple(replace(c, arrival_rate=0.1, patience_rate=0) for c in network.classes),
    )
    solution = plan(patient)
    assert solution.prefill == knapsack(exact_rates(patient)).upper
    assert solution.prefill_queue == solution.decode_queue == (0, 0)
    # Every arrival pays: 0.1 * (230 + 380).
    assert solution.value == 61 == exact_knapsack_value(patient)


def test_patience_zero_beyond_capacity_names_the_constraints_that_clash() -> None:
    # Class 0 alone asks for 2 * 1000 tokens/s, against about 700 that 16 solo slots give.
    with pytest.raises(InfeasibleError) as caught:
        plan(overloaded(0, 0.1))
    assert set(caught.value.clashing) == {
        "mixed decode capacity",
        "solo decode capacity",
        "prefill flow balance of decode-heavy",
        "decode flow balance of decode-heavy",
    }
    assert "the bundled steady-state program is infeasible: these constraints clash" in str(
        caught.value
    )
    with pytest.raises(InvalidInput, match="never abandon must fit"):
        exact_knapsack_value(overloaded(0, 0.1))


def test_the_same_load_with_patience_is_feasible() -> None:
    assert plan(overloaded(0.1, 0.1)).value == exact_knapsack_value(overloaded(0.1, 0.1))


@pytest.mark.parametrize("name", instance_names())
def test_shipped_instances_meet_the_condition_and_both_routes_agree(name: str) -> None:
    network = instance(name)
    solution = plan(network)
    assert decode_buffer_condition(exact_rates(network))
    assert solution.value == exact_knapsack_value(network)
    assert solution.solver_value == pytest.approx(float(solution.value), rel=1e-7)


def test_a_plan_is_made_of_fractions_and_carries_its_certificate() -> None:
    solution = plan(instance("two-class"))
    assert {field.name for field in fields(Plan)} >= set(OCCUPANCIES)
    for name in OCCUPANCIES:
        assert all(isinstance(value, Fraction) for value in getattr(solution, name))
    certificate = solution.certificate
    assert Certificate(certificate.form, certificate.primal, certificate.dual) == certificate
    assert certificate.primal_objective == solution.value


def test_an_unknown_pricing_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"pricing = 'free' is not allowed"):
        plan(instance("two-class"), pricing="free")
