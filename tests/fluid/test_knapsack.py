"""The closed form by duality: floats, fractions and the exact simplex method agree."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kurtz.fluid import (
    bundled_value_without_decode_queue,
    knapsack_solution,
    knapsack_values,
    plan,
)
from kurtz.fluid.simplex import lexicographic_maximum
from kurtz.theory import InvalidInput, ServingNetwork, exact_rates, instance
from kurtz.theory.linear_program import StandardForm
from kurtz.theory.steady_state import Knapsack, knapsack
from strategies import networks


def by_simplex(form: Knapsack) -> Fraction:
    """The knapsack as a linear program, solved by the exact simplex method."""
    classes = range(len(form.profit))
    bounds = [[int(i == j) for j in classes] for i in classes]
    program = StandardForm(
        name="the knapsack",
        variables=tuple(f"x_{i}" for i in classes),
        constraints=("prefill", "decode", *(f"bound {i}" for i in classes)),
        equalities=(False, False, *form.forced),
        objective=form.profit,
        rows=((1,) * len(form.profit), form.decode_work, *map(tuple, bounds)),
        bounds=(1, form.decode_capacity, *form.upper),
    )
    best = lexicographic_maximum(program, [form.profit])
    return sum((p * x for p, x in zip(form.profit, best.primal, strict=True)), Fraction(0))


@st.composite
def knapsacks(draw: st.DrawFn) -> Knapsack:
    """A knapsack in small fractions, with ties and parallel lines."""
    count = draw(st.integers(1, 4))
    lists = st.lists(st.integers(1, 5), min_size=count, max_size=count)
    fractions = lists.map(lambda ks: tuple(Fraction(k, 4) for k in ks))
    forced = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    form = Knapsack(
        profit=draw(fractions),
        decode_work=draw(fractions),
        decode_capacity=Fraction(draw(st.integers(1, 8)), 4),
        upper=draw(fractions),
        forced=tuple(forced),
    )
    least = [u if f else Fraction(0) for u, f in zip(form.upper, forced, strict=True)]
    work = sum(a * x for a, x in zip(form.decode_work, least, strict=True))
    assume(sum(least) <= 1 and work <= form.decode_capacity)
    return form


@settings(max_examples=200)
@given(knapsacks())
def test_duality_gives_the_optimum_of_the_exact_simplex_method(form: Knapsack) -> None:
    solution = knapsack_solution([form])
    assert solution.value[0] == by_simplex(form)
    # The prices are dual feasible and pay the value.
    u, v = solution.prefill_price[0], solution.decode_price[0]
    rows = zip(form.profit, form.decode_work, form.upper, form.forced, strict=True)
    gains = [(p - u - a * v, upper, forced) for p, a, upper, forced in rows]
    rent = sum(upper * (gain if forced else max(gain, 0)) for gain, upper, forced in gains)
    assert u >= 0
    assert v >= 0
    assert u + form.decode_capacity * v + rent == solution.value[0]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda k: st.lists(networks(classes=(k, k), meets_condition=True), min_size=1, max_size=5)
    )
)
def test_vectorised_floats_are_the_rounded_fractions(sample: list[ServingNetwork]) -> None:
    # At the boundary kappa = (B-1)/B floats may round to the wrong side; stay clear of it.
    gpus = [exact_rates(n) for n in sample]
    assume(all(r.kappa * r.batch > r.batch - 1 for r in gpus))
    exactly = knapsack_values(sample, exact=True)
    assert all(isinstance(value, Fraction) for value in exactly)
    in_floats = knapsack_values(sample)
    assert in_floats.shape == (len(sample),)
    np.testing.assert_allclose(in_floats, exactly.astype(float), rtol=1e-9, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(networks(meets_condition=False))
def test_the_knapsack_is_the_program_without_decode_queues_even_below_the_condition(
    network: ServingNetwork,
) -> None:
    # Proposition 3.2 alone needs kappa >= (B-1)/B; the equivalence does not.
    value = by_simplex(knapsack(exact_rates(network)))
    assert value == bundled_value_without_decode_queue(network)


def test_one_batch_is_the_same_as_one_by_one() -> None:
    two = instance("two-class")
    batch = [replace(two, prices=replace(two.prices, decode=k / 10)) for k in range(1, 8)]
    assert knapsack_values(batch).tolist() == [knapsack_values([n])[0] for n in batch]


def test_negative_control_swapped_decode_work_gives_another_value() -> None:
    network = instance("two-class")
    form = knapsack(exact_rates(network))
    swapped = replace(form, decode_work=form.decode_work[::-1])
    assert knapsack_solution([form]).value[0] == plan(network).value
    assert knapsack_solution([swapped]).value[0] != plan(network).value


def test_a_class_by_hand() -> None:
    # max 3 x with x <= 1, 2 x <= 1, x <= 5: decode binds at x = 1/2; its price is 3/2.
    form = Knapsack((Fraction(3),), (Fraction(2),), Fraction(1), (Fraction(5),), (False,))
    solution = knapsack_solution([form])
    assert (solution.value[0], solution.prefill_price[0], solution.decode_price[0]) == (
        Fraction(3, 2),
        0,
        Fraction(3, 2),
    )


def test_parallel_lines_of_equal_classes() -> None:
    # Two equal classes are one class of twice the arrivals.
    one = Knapsack((Fraction(3),), (Fraction(2),), Fraction(1), (Fraction(1, 2),), (False,))
    half = (Fraction(1, 4),) * 2
    two = Knapsack((Fraction(3),) * 2, (Fraction(2),) * 2, Fraction(1), half, (False,) * 2)
    assert knapsack_solution([one]).value[0] == knapsack_solution([two]).value[0]
    # Also in floats, where 0 / 0 would warn.
    floats = replace(two, profit=(3.0, 3.0), decode_work=(2.0, 2.0), upper=(0.25, 0.25))
    assert knapsack_solution([replace(floats, decode_capacity=1.0)]).value[0] == 1.5


def test_networks_must_have_equally_many_classes() -> None:
    two, four = instance("two-class"), instance("azure-h100")
    with pytest.raises(InvalidInput, match="networks with equally many classes"):
        knapsack_values([two, four])
    with pytest.raises(InvalidInput, match="networks = 0 "):
        knapsack_values([])


@pytest.mark.parametrize("exactly", [False, True])
def test_below_the_condition_the_closed_form_is_refused(exactly: bool) -> None:
    two = instance("two-class")
    slow = replace(two.gpu, iteration_time=replace(two.gpu.iteration_time, gamma=3.0))
    with pytest.raises(InvalidInput, match=r"kappa = 0\.09\d+ .* at least \(B-1\)/B = 0\.9375"):
        knapsack_values([replace(two, gpu=slow)], exact=exactly)


@pytest.mark.parametrize("exactly", [False, True])
def test_patient_classes_that_overload_the_network_are_refused(exactly: bool) -> None:
    two = instance("two-class")
    classes = tuple(replace(c, arrival_rate=2.0, patience_rate=0) for c in two.classes)
    with pytest.raises(InvalidInput, match=r"patience_rate = 0 .* must fit into the capacity"):
        knapsack_values([replace(two, classes=classes)], exact=exactly)
