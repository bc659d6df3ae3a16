"""The symbolic program (40) has the coefficients that one writes down by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given

from kurtz.theory import Rates, ServingNetwork, exact, exact_rates, rates
from kurtz.theory.steady_state import (
    OCCUPANCIES,
    block,
    bundled_program,
    decode_buffer_condition,
    knapsack,
    separate_program,
    steady_state_form,
)
from strategies import networks

# A prime for every parameter, so that no two coefficients are equal by chance.
TWO_CLASSES = Rates(
    arrival=(2, 3),
    patience=(5, 7),
    prefill=(11, 13),
    mixed_decode=(17, 19),
    solo_decode=(23, 29),
    weight=(31, 37),
    prompt_revenue=(47, 53),
    output_revenue=(59, 61),
    mixed_time=None,
    kappa=Fraction(43),
    batch=41,
)
# Columns x, y_m, y_s, q_p, q_d, two each; then the relation and the right-hand side.
BY_HAND = {
    "prefill capacity": ([1, 1, 0, 0, 0, 0, 0, 0, 0, 0], "<=", 1),
    "mixed decode capacity": ([-40, -40, 1, 1, 0, 0, 0, 0, 0, 0], "<=", 0),
    "solo decode capacity": ([41, 41, 0, 0, 1, 1, 0, 0, 0, 0], "<=", 41),
    "prefill flow balance of class 0": ([11, 0, 0, 0, 0, 0, 5, 0, 0, 0], "==", 2),
    "prefill flow balance of class 1": ([0, 13, 0, 0, 0, 0, 0, 7, 0, 0], "==", 3),
    "decode flow balance of class 0": ([-11, 0, 17, 0, 23, 0, 0, 0, 5, 0], "==", 0),
    "decode flow balance of class 1": ([0, -13, 0, 19, 0, 29, 0, 0, 0, 7], "==", 0),
}


def test_equation_40_for_two_classes_is_the_matrix_written_by_hand() -> None:
    form = steady_state_form(TWO_CLASSES)
    assert form.constraints == tuple(BY_HAND)
    for name, row, equality, bound in zip(
        form.constraints, form.rows, form.equalities, form.bounds, strict=True
    ):
        assert (list(row), "==" if equality else "<=", bound) == BY_HAND[name]
    revenue = [0, 0, 31 * 17, 37 * 19, 31 * 23, 37 * 29, 0, 0, 0, 0]
    assert list(form.objective) == revenue


def test_equation_42_has_the_same_constraints_and_pays_for_prefills_too() -> None:
    form = steady_state_form(TWO_CLASSES, "separate")
    assert form.constraints == tuple(BY_HAND)
    assert form.rows == steady_state_form(TWO_CLASSES).rows
    assert form.bounds == steady_state_form(TWO_CLASSES).bounds
    revenue = [47 * 11, 53 * 13, 59 * 17, 61 * 19, 59 * 23, 61 * 29, 0, 0, 0, 0]
    assert list(form.objective) == revenue


@given(networks())
def test_equation_42_has_class_independent_coefficients(network: ServingNetwork) -> None:
    # c_p C / tau per prefill, c_d / tau per mixed and c_d gamma per solo decode.
    rate, gpu, prices = exact_rates(network), network.gpu, network.prices
    form = steady_state_form(rate, "separate")
    per_slot = {
        "prefill": exact(prices.prefill) * gpu.chunk / rate.mixed_time,
        "mixed_decode": exact(prices.decode) / rate.mixed_time,
        "solo_decode": exact(prices.decode) * exact(gpu.iteration_time.gamma),
    }
    for name, coefficient in per_slot.items():
        assert set(form.objective[block(name, len(network.classes))]) == {coefficient}


def test_variables_stand_in_blocks() -> None:
    names = steady_state_form(TWO_CLASSES).variables
    blocks = {name: names[block(name, 2)] for name in OCCUPANCIES}
    assert blocks == {
        "prefill": ("x_0", "x_1"),
        "mixed_decode": ("y_m_0", "y_m_1"),
        "solo_decode": ("y_s_0", "y_s_1"),
        "prefill_queue": ("q_p_0", "q_p_1"),
        "decode_queue": ("q_d_0", "q_d_1"),
    }


@pytest.mark.parametrize("class_count", [1, 2, 3, 5])
def test_three_capacities_and_two_balances_per_class(class_count: int) -> None:
    for program in (bundled_program(class_count), separate_program(class_count)):
        assert len(program.variables) == 5 * class_count
        assert sum(constraint.equality for constraint in program.constraints) == 2 * class_count
        assert len(program.constraints) == 3 + 2 * class_count


@given(networks(zero_patience=True))
def test_fractions_stay_fractions_and_floats_agree_with_them(network: ServingNetwork) -> None:
    exactly, in_floats = steady_state_form(exact_rates(network)), steady_state_form(rates(network))
    entries = [*exactly.objective, *exactly.bounds, *(a for row in exactly.rows for a in row)]
    assert all(isinstance(a, int | Fraction) for a in entries)
    np.testing.assert_allclose(
        np.array(in_floats.rows, float), np.array(exactly.rows, float), rtol=1e-13
    )
    np.testing.assert_allclose(
        np.array(in_floats.objective, float), np.array(exactly.objective, float), rtol=1e-13
    )


def test_knapsack_coefficients_by_hand() -> None:
    # profit w mu_p, work mu_p / mu_m + kappa B - B + 1 with kappa B = 43 * 41, bound lambda / mu_p.
    form = knapsack(TWO_CLASSES)
    assert form.profit == (31 * 11, 37 * 13)
    spare = 43 * 41 - 40
    assert np.array(form.decode_work, float) == pytest.approx((11 / 17 + spare, 13 / 19 + spare))
    assert form.decode_capacity == 43 * 41
    assert np.array(form.upper, float) == pytest.approx((2 / 11, 3 / 13))
    assert form.forced == (False, False)


@given(networks(meets_condition=True))
def test_the_condition_is_drawn_above(network: ServingNetwork) -> None:
    assert decode_buffer_condition(exact_rates(network))


@given(networks(meets_condition=False))
def test_the_condition_is_drawn_below(network: ServingNetwork) -> None:
    assert not decode_buffer_condition(exact_rates(network))
