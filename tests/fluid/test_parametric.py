"""Exact value functions and shadow prices of steady-state programs."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.fluid import plan
from kurtz.fluid.parametric import mixed_share_front, sli_front, value_function
from kurtz.theory import CertificateError, InfeasibleError, ServingNetwork, exact_rates, instance
from kurtz.theory.linear_program import StandardForm
from kurtz.theory.sli import (
    DecodeFairness,
    PrefillFairness,
    TimePerOutputToken,
    WaitingTime,
    mixed_share_at,
)
from strategies import networks

LIMITS = st.fractions(0, 1, max_denominator=500)
# max x + 2 y, x <= 3, y <= 2, x + y <= t: slope 2 up to t = 2, then 1 up to t = 5, then 0.
SMALL = StandardForm(
    name="a small program",
    variables=("x", "y"),
    constraints=("x", "y", "total"),
    equalities=(False, False, False),
    objective=(1, 2),
    rows=((1, 0), (0, 1), (1, 1)),
    bounds=(3, 2, 0),
)


def test_a_program_with_pieces_known_by_hand() -> None:
    found = value_function(SMALL, (0, 0, 1), Fraction(0), Fraction(9))
    found.verify()
    assert found.breakpoints == (0, 2, 5, 9)
    assert [piece.slope for piece in found.pieces] == [2, 1, 0]
    assert [piece.start_value for piece in found.pieces] == [0, 4, 7]


@settings(max_examples=8, deadline=None)
@given(networks(classes=(2, 3)), LIMITS)
def test_the_front_is_the_value_of_the_plan_under_the_sli(
    network: ServingNetwork, limit: Fraction
) -> None:
    front = sli_front(network, PrefillFairness, Fraction(0), Fraction(1))
    imposed = plan(network, slis=[PrefillFairness(limit)])  # type: ignore[arg-type]
    assert front.value(limit) == imposed.value
    front.verify()


@settings(max_examples=8, deadline=None)
@given(networks(classes=(2, 3)))
def test_fronts_are_concave_and_rise_with_the_limit(network: ServingNetwork) -> None:
    front = sli_front(network, DecodeFairness, Fraction(0), Fraction(network.gpu.batch))
    slopes = [piece.slope for piece in front.pieces]
    assert all(a > b for a, b in pairwise(slopes))
    assert min(slopes) >= 0


@settings(max_examples=8, deadline=None)
@given(networks(meets_condition=True, classes=(1, 3)), LIMITS)
def test_a_tpot_target_is_a_bound_on_the_mixed_share(
    network: ServingNetwork, part: Fraction
) -> None:
    rate = exact_rates(network)
    solo_time = rate.mixed_time / rate.kappa
    if rate.kappa <= 1 or rate.batch == 1:
        return
    target = solo_time + part * (rate.mixed_time - solo_time)
    share = mixed_share_at(rate, target)
    front = mixed_share_front(network, Fraction(0), Fraction(1))
    assert front.value(share) == plan(network, slis=[TimePerOutputToken(target)]).value


def test_the_price_of_the_papers_instance_at_its_ends() -> None:
    # Near X = 0 only the profit per prefill counts: w mu_p = 230 * 256 / (300 * 0.033272).
    front = mixed_share_front(instance("two-class"), Fraction(0), Fraction(1))
    assert front.pieces[0].slope == Fraction(230 * 256) / (300 * Fraction("0.033272"))
    assert front.pieces[-1].slope == 0
    assert front.pieces[-1].start == plan(instance("two-class")).mixed_share


def test_negative_control_a_shifted_breakpoint_is_not_certified() -> None:
    found = value_function(SMALL, (0, 0, 1), Fraction(0), Fraction(9))
    first, second, third = found.pieces
    shifted = (replace(first, end=Fraction(3)), replace(second, start=Fraction(3)), third)
    with pytest.raises(CertificateError):
        replace(found, pieces=shifted).verify()


def test_negative_control_a_wrong_slope_is_not_certified() -> None:
    found = value_function(SMALL, (0, 0, 1), Fraction(0), Fraction(9))
    first, *rest = found.pieces
    with pytest.raises(CertificateError):
        replace(found, pieces=(replace(first, slope=Fraction(1)), *rest)).verify()


def test_an_infeasible_end_names_what_clashes() -> None:
    with pytest.raises(InfeasibleError, match="waiting time of decode-heavy"):
        sli_front(instance("two-class"), WaitingTime, Fraction(0), Fraction(5))


def test_a_parameter_outside_the_range_is_refused() -> None:
    found = value_function(SMALL, (0, 0, 1), Fraction(0), Fraction(9))
    with pytest.raises(ValueError, match=r"parameter = 10 lies outside \[0, 9\]"):
        found.value(Fraction(10))


def test_the_tpot_is_not_a_right_hand_side() -> None:
    with pytest.raises(ValueError, match=r"tpot|right-hand side"):
        sli_front(instance("two-class"), TimePerOutputToken, Fraction(0), Fraction(1))
