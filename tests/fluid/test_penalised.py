"""Program (49): penalties by two routes, and Jain's index."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from kurtz.fluid import plan
from kurtz.fluid.penalised import penalised_plan
from kurtz.fluid.penalised_front import maximum_along_front
from kurtz.theory import InfeasibleError, InvalidInput, exact_rates, instance
from kurtz.theory.penalties import (
    DecodeFairnessPenalty,
    Penalty,
    PrefillFairnessPenalty,
    TimePerOutputTokenPenalty,
)
from kurtz.theory.sli import JainFairness, PrefillFairness, TimePerOutputToken, jain_index

NETWORKS = ("two-class", "azure-h100")


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    "penalty",
    [PrefillFairnessPenalty(700), DecodeFairnessPenalty(5), DecodeFairnessPenalty(50)],
    ids=str,
)
def test_linear_penalties_have_exact_optima_by_both_routes(name: str, penalty: Penalty) -> None:
    solution = penalised_plan(instance(name), penalties=[penalty])
    assert solution.gap == 0
    assert solution.value == maximum_along_front(instance(name), penalty)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("weight", [1_000, 30_000, 70_000])
def test_the_tpot_penalty_by_both_routes(name: str, weight: float) -> None:
    penalty = TimePerOutputTokenPenalty(weight)
    solution = penalised_plan(instance(name), penalties=[penalty])
    assert 0 <= solution.gap < 1e-8
    value = float(maximum_along_front(instance(name), penalty))
    assert float(solution.value) == pytest.approx(value, abs=1e-8)
    assert solution.solver_value == pytest.approx(value, rel=1e-5)


def test_an_optimum_inside_a_piece_of_the_front_is_found() -> None:
    # The slope 974.59... of the middle piece of the two-class front is met by the penalty's slope
    # eta K / (B - X)^2 at X = 0.1, for the weight eta below.
    network = instance("two-class")
    rate = exact_rates(network)
    slope = Fraction(380 * 256) / (3000 * rate.mixed_time)
    curvature = rate.batch * (rate.batch - 1) * (rate.mixed_time - rate.mixed_time / rate.kappa)
    weight = float(slope * (rate.batch - Fraction(1, 10)) ** 2 / curvature)
    solution = penalised_plan(network, penalties=[TimePerOutputTokenPenalty(weight)])
    assert float(solution.mixed_share) == pytest.approx(0.1, abs=1e-3)
    assert 0 <= solution.gap < 1e-6


def test_without_penalties_it_is_the_plan() -> None:
    network = instance("two-class")
    assert penalised_plan(network).value == plan(network).value
    slis = [PrefillFairness(0.05), TimePerOutputToken(0.0225)]
    assert penalised_plan(network, slis=slis).value == plan(network, slis=slis).value


@pytest.mark.parametrize("limit", [0.97, 1.0])
def test_jains_index_is_met_exactly_with_a_certified_gap(limit: float) -> None:
    network = instance("azure-h100")
    solution = penalised_plan(network, slis=[JainFairness(limit)])
    rate = exact_rates(network)
    shares = [
        m * x / a for m, x, a in zip(rate.prefill, solution.prefill, rate.arrival, strict=True)
    ]
    assert jain_index(shares) >= Fraction(str(limit))
    assert 0 <= solution.gap < 1e-4 * solution.value
    assert solution.value <= plan(network).value


def test_a_penalty_lowers_what_it_penalises() -> None:
    free, charged = (
        penalised_plan(instance("azure-h100"), penalties=[PrefillFairnessPenalty(weight)])
        for weight in (0, 1_000)
    )
    spread = [max(p.prefill) - min(p.prefill) for p in (free, charged)]
    assert spread[1] < spread[0]
    assert charged.revenue < free.revenue


def test_the_tpot_penalty_is_refused_where_it_is_not_convex() -> None:
    two = instance("two-class")
    slow = replace(two.gpu, iteration_time=replace(two.gpu.iteration_time, gamma=20.0))
    with pytest.raises(InvalidInput, match=r"kappa = 0\.66"):
        penalised_plan(replace(two, gpu=slow), penalties=[TimePerOutputTokenPenalty(1)])


def test_a_repeated_penalty_is_refused() -> None:
    with pytest.raises(InvalidInput, match="every penalty at most once"):
        penalised_plan(
            instance("two-class"), penalties=[PrefillFairnessPenalty(1), PrefillFairnessPenalty(2)]
        )


def test_clashing_constraints_are_named() -> None:
    with pytest.raises(InfeasibleError, match="clash: average TPOT"):
        penalised_plan(
            instance("two-class"),
            slis=[TimePerOutputToken(0.02)],
            penalties=[DecodeFairnessPenalty(1)],
        )
