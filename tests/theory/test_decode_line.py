"""The proof that the decode buffer drains, and the modes of full slots that it speaks of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from kurtz.fluid import plan
from kurtz.theory import instance
from kurtz.theory.decode_modes import DecodeModes, decode_modes, modes_of_mixture
from kurtz.theory.derivations import decode_line

WAITS = np.geomspace(0.01, 100, 9)


def mixture(
    flows: list[float], decode_rates: list[float], patience_rates: list[float]
) -> DecodeModes:
    columns = (np.array(column, dtype=float) for column in (flows, decode_rates, patience_rates))
    return modes_of_mixture(tuple(range(len(flows))), *columns)


@st.composite
def mixtures(
    draw: st.DrawFn, patience: str = "any", most: int = 5
) -> tuple[DecodeModes, NDArray[np.float64]]:
    count = draw(st.integers(2, most))
    positive = st.integers(1, 40)
    flows = draw(st.lists(positive, min_size=count, max_size=count))
    steps = draw(st.lists(positive, min_size=count, max_size=count))
    rates = draw(st.lists(st.integers(0, 30), min_size=count, max_size=count))
    if max(rates) == 0:
        rates[0] = 1
    if patience != "any":
        rates.sort(reverse=patience == "falling")
    decode = np.cumsum(steps)
    return mixture(flows, decode.tolist(), rates), decode


def test_every_step_of_the_proofs_holds() -> None:
    assert decode_line.one_speed().failing_steps() == ()
    assert decode_line.two_speeds().failing_steps() == ()


@pytest.mark.parametrize(
    "hypothesis", [decode_line.FITS, decode_line.SLOW_LOSE_MORE, decode_line.FAST_LOSE_LESS]
)
def test_two_speeds_need_every_hypothesis(hypothesis: str) -> None:
    assert decode_line.two_speeds().failing_steps(without=hypothesis)


def test_one_speed_needs_slots_for_what_is_planned() -> None:
    assert decode_line.one_speed().failing_steps(without=decode_line.FITS)


def test_two_classes_have_the_mode_of_the_exchanged_mean() -> None:
    # p/(b - m) + (1-p)/(b - n) = 0 at b = (1-p) m + p n; strength (b - m)(n - b).
    modes = mixture([3, 1], [2, 10], [1, 1])
    assert modes.modes == pytest.approx([0.25 * 2 + 0.75 * 10])
    assert modes.strengths == pytest.approx([(8 - 2) * (10 - 8)])


@given(mixtures())
def test_modes_are_roots_between_neighbouring_rates(case: tuple[DecodeModes, np.ndarray]) -> None:
    modes, decode = case
    assert np.all((decode[:-1] < modes.modes) & (modes.modes < decode[1:]))
    # The numerator of the sum of shares / (b - rates), by its coefficients.
    polynomial = sum(share * np.poly(np.delete(decode, i)) for i, share in enumerate(modes.shares))
    assert np.sort(np.roots(polynomial).real) == pytest.approx(modes.modes, rel=1e-6)


def test_classes_of_equal_rate_count_as_one() -> None:
    merged = mixture([1, 2, 3], [5, 5, 9], [1, 0, 1])
    assert merged.modes == pytest.approx(mixture([3, 3], [5, 9], [0, 0]).modes)


@given(mixtures(patience="falling"))
def test_where_longer_outputs_are_no_more_patient_losses_push_the_line_down(
    case: tuple[DecodeModes, np.ndarray],
) -> None:
    modes, _ = case
    assert np.all(modes.forcing(WAITS) >= -1e-12)
    assert modes.bracket(WAITS) == pytest.approx(modes.losses(WAITS) @ modes.shares, rel=1e-6)


@given(mixtures(patience="rising"))
def test_where_they_are_no_less_the_bracket_weighs_by_decode_work(
    case: tuple[DecodeModes, np.ndarray],
) -> None:
    modes, decode = case
    work = modes.shares / decode
    assert modes.bracket(WAITS) == pytest.approx(
        modes.losses(WAITS) @ (work / work.sum()), rel=1e-6
    )


@given(mixtures(most=2))
def test_with_two_classes_the_bracket_is_positive(case: tuple[DecodeModes, np.ndarray]) -> None:
    assert np.all(case[0].bracket(WAITS) > 0)


def test_with_three_the_bracket_can_fail() -> None:
    # Of lengths 1000, 100 and 10 the middle one alone gives up, and the short ones abound.
    modes = mixture([1, 1, 100], [1e-3, 1e-2, 1e-1], [0, 1, 0])
    assert np.all(modes.bracket(WAITS) < 0)


def test_with_equal_patience_memory_is_not_forced() -> None:
    best = plan(instance("azure-h100"))
    assert np.abs(decode_modes(best).forcing(WAITS)).max() < 1e-9
