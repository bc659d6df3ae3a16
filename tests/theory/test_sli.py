"""SLIs as rows: equations (43), (45), (47) of arXiv 2602.02987 v1, and ours."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.theory import InvalidInput, ServingNetwork, exact_rates, instance
from kurtz.theory.penalties import (
    DecodeFairnessPenalty,
    Penalty,
    PrefillFairnessPenalty,
    TimePerOutputTokenPenalty,
    penalty_named,
    penalty_names,
    time_per_output_token_terms,
)
from kurtz.theory.sli import (
    Abandonment,
    DecodeFairness,
    JainFairness,
    PrefillFairness,
    TimePerOutputToken,
    WaitingTime,
    average_time_per_output_token,
    jain_index,
    mixed_share_at,
    sli_named,
    sli_names,
    with_slis,
)
from kurtz.theory.steady_state import steady_state_form
from strategies import networks

RATES = exact_rates(instance("two-class"))
NAMES = ("a", "b")
SHARES = st.fractions(0, Fraction(9, 10), max_denominator=1000)


def test_equation_43_has_a_row_for_every_ordered_pair() -> None:
    rows = PrefillFairness(0.05).rows(RATES, NAMES)
    assert [(row.name, row.coefficients[:4], row.bound) for row in rows] == [
        ("prefill fairness, a over b", (1, -1, 0, 0), Fraction(1, 20)),
        ("prefill fairness, b over a", (-1, 1, 0, 0), Fraction(1, 20)),
    ]
    assert len(PrefillFairness(0.05).rows(RATES, ("a", "b", "c"))) == 6
    assert PrefillFairness(0.05).rows(RATES, ("a",)) == ()


def test_equation_45_is_about_solo_decodes_alone() -> None:
    # Columns x, y_m, y_s, q_p, q_d, two each.
    (row, _) = DecodeFairness(1).rows(RATES, NAMES)
    assert row.coefficients == (0, 0, 0, 0, 1, -1, 0, 0, 0, 0)


@settings(max_examples=30, deadline=None)
@given(networks(), SHARES, st.fractions(Fraction(1, 1000), 1, max_denominator=10_000))
def test_equation_47_is_its_linear_row(
    network: ServingNetwork, share: Fraction, limit: Fraction
) -> None:
    rate = exact_rates(network)
    (row,) = TimePerOutputToken(limit).rows(rate, network.class_names)  # type: ignore[arg-type]
    meets_row = row.coefficients[0] * share <= row.bound
    assert meets_row == (average_time_per_output_token(rate, share) <= limit)


@given(networks(meets_condition=True), SHARES)
def test_equation_47_solved_for_the_mixed_share(network: ServingNetwork, share: Fraction) -> None:
    rate = exact_rates(network)
    if rate.kappa > 1 and rate.batch > 1:
        assert mixed_share_at(rate, average_time_per_output_token(rate, share)) == share


@settings(max_examples=30, deadline=None)
@given(networks(), SHARES)
def test_equation_48_is_a_constant_plus_a_hyperbola(
    network: ServingNetwork, share: Fraction
) -> None:
    rate = exact_rates(network)
    constant, curvature = time_per_output_token_terms(rate)
    expected = average_time_per_output_token(rate, share)
    assert constant + curvature / (rate.batch - share) == expected
    assert (curvature >= 0) == (rate.kappa >= 1 or rate.batch == 1)


@st.composite
def slot_states(draw: st.DrawFn, batch: int, classes: int) -> dict[str, list[Fraction]]:
    """Occupancies per GPU with X <= 1 and at most B (1 - X) solo decodes."""
    parts = st.lists(st.integers(0, 20), min_size=classes + 1, max_size=classes + 1)
    prefill, solo = draw(parts), draw(parts)
    share = [Fraction(k, max(1, sum(prefill))) for k in prefill[:-1]]
    room = batch * (1 - sum(share))
    return {
        "prefill": share,
        "solo_decode": [room * Fraction(k, max(1, sum(solo))) for k in solo[:-1]],
    }


PENALTIES = (PrefillFairnessPenalty(1), DecodeFairnessPenalty(1), TimePerOutputTokenPenalty(1))


@settings(max_examples=60, deadline=None)
@given(networks(), st.sampled_from(PENALTIES), st.data())
def test_theorem_5_1_measures_are_bounded_and_lipschitz(
    network: ServingNetwork, penalty: Penalty, data: st.DataObject
) -> None:
    rate, classes = exact_rates(network), len(network.classes)
    states = [data.draw(slot_states(int(rate.batch), classes)) for _ in range(2)]
    first, second = (penalty.measure(rate, state) for state in states)
    distance = sum(
        abs(a - b)
        for stage in ("prefill", "solo_decode")
        for a, b in zip(states[0][stage], states[1][stage], strict=True)
    )
    assert 0 <= first <= penalty.largest(rate)
    assert abs(first - second) <= penalty.steepness(rate) * distance


@settings(max_examples=20, deadline=None)
@given(networks(meets_condition=True))
def test_equation_48_is_steepest_where_every_gpu_is_mixed(network: ServingNetwork) -> None:
    rate = exact_rates(network)
    penalty, step = TimePerOutputTokenPenalty(1), Fraction(1, 10**9)
    chord = (penalty.at_share(rate, 1) - penalty.at_share(rate, 1 - step)) / step
    assert float(abs(chord)) == pytest.approx(float(penalty.steepness(rate)), rel=1e-6)


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda penalty: penalty.name)
def test_measures_of_arrays_are_those_of_each_state(penalty: Penalty) -> None:
    generator = np.random.default_rng(1)
    prefill, solo = generator.random((2, 3, 4)) / 2, 8 * generator.random((2, 3, 4))
    together = penalty.measure(RATES, {"prefill": prefill, "solo_decode": solo})
    for index in np.ndindex(3, 4):
        state = {"prefill": prefill[:, *index].tolist(), "solo_decode": solo[:, *index].tolist()}
        assert float(together[index]) == pytest.approx(float(penalty.measure(RATES, state)))


def test_waiting_time_by_littles_law_and_abandonment_agree_for_equal_patience() -> None:
    # theta = 0.1 for both classes: a mean wait of 2 s is a share of 0.2 that gives up.
    waiting = WaitingTime(2).rows(RATES, NAMES)
    leaving = Abandonment(0.2).rows(RATES, NAMES)
    for wait, leave in zip(waiting, leaving, strict=True):
        theta = Fraction(1, 10)
        assert tuple(theta * a for a in wait.coefficients) == leave.coefficients
        assert theta * wait.bound == leave.bound == Fraction(1, 10)


def test_jains_index_of_known_shares() -> None:
    assert jain_index([Fraction(1), Fraction(1)]) == 1
    assert jain_index([Fraction(1), Fraction(0), Fraction(0)]) == Fraction(1, 3)


def test_slis_impose_an_empty_decode_queue_unless_told_otherwise() -> None:
    form = steady_state_form(RATES, "bundled", NAMES)
    slis = [PrefillFairness(0.1)]
    assert with_slis(form, RATES, [], NAMES) is form
    assert with_slis(form, RATES, slis, NAMES).constraints[-1] == "no decode queue"
    allowed = with_slis(form, RATES, slis, NAMES, decode_queue_allowed=True)
    assert "no decode queue" not in allowed.constraints


@pytest.mark.parametrize("name", sli_names())
def test_every_sli_is_read_by_its_name(name: str) -> None:
    sli = sli_named(f"{name}=0.5")
    assert (sli.name, sli.limit) == (name, 0.5)


@pytest.mark.parametrize("name", penalty_names())
def test_every_penalty_is_read_by_its_name(name: str) -> None:
    penalty = penalty_named(f"{name}=100")
    assert (penalty.name, penalty.weight) == (name, 100)


@pytest.mark.parametrize("text", ["", "tpot", "tpot=", "tpot=fast", "ttft=1", "=1"])
def test_what_is_no_name_and_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="expected NAME=NUMBER with a name out of prefill-fair"):
        sli_named(text)


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (PrefillFairness, -0.1),
        (DecodeFairness, float("nan")),
        (TimePerOutputToken, 0),
        (WaitingTime, -1),
        (Abandonment, 1.1),
        (JainFairness, 0),
        (JainFairness, 1.5),
        (PrefillFairnessPenalty, -1),
        (DecodeFairnessPenalty, float("inf")),
        (TimePerOutputTokenPenalty, -1),
    ],
)
def test_a_limit_or_weight_out_of_range_is_refused(kind: type, number: float) -> None:
    with pytest.raises(InvalidInput, match=kind.name):  # type: ignore[attr-defined]
        kind(number)


@pytest.mark.parametrize(
    ("slis", "reason"),
    [
        ([PrefillFairness(0.1), PrefillFairness(0.2)], "every SLI at most once"),
        ([JainFairness(0.9)], "linear SLIs"),
    ],
)
def test_what_an_exact_program_cannot_take_is_refused(slis: list[object], reason: str) -> None:
    form = steady_state_form(RATES, "bundled", NAMES)
    with pytest.raises(InvalidInput, match=reason):
        with_slis(form, RATES, slis, NAMES)  # type: ignore[arg-type]
