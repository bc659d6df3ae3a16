"""The time-indexed program, the search for prices, and the lower bounds made of them."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.fluid.backlog.fluid_prices import PriceGrid, certify, default_horizon, fluid_bound
from kurtz.fluid.backlog.linear_program import (
    MOST_COLUMNS,
    lower_bound,
    solve_time_indexed_program,
    sorted_lp_order,
)
from kurtz.fluid.backlog.price_search import KNOTS, NEGLIGIBLE, search_prices
from kurtz.proofs_checks.testing import backlogs
from kurtz.theory.backlog import (
    Backlog,
    InvalidSchedule,
    Schedule,
    list_schedule,
    mean_busy_time_bound,
    total_latency,
    volume_bound,
)
from kurtz.theory.errors import InvalidInput

ROUNDING = 1e-6
"""Relative; HiGHS's tolerances are 1e-7."""

few = settings(max_examples=20, deadline=None)


@pytest.fixture(scope="module")
def large() -> Backlog:
    """More columns than the program is solved with as it stands."""
    generator = np.random.default_rng(5)
    prompts, outputs = generator.integers(0, 300, 400), generator.integers(1, 120, 400)
    return Backlog.of(zip(prompts.tolist(), outputs.tolist(), strict=True), memory=1000)


@few
@given(backlogs())
def test_duality_the_certified_bound_is_the_value(backlog):
    solution = solve_time_indexed_program(backlog)
    assert float(solution.bound.value) == pytest.approx(solution.value, rel=ROUNDING)


def least_latency(backlog: Backlog) -> int:
    """The optimum over all starts with which no more steps pass than there are output tokens."""
    horizon = int(backlog.outputs.sum())
    latencies = []
    for starts in product(*(range(horizon - int(output) + 1) for output in backlog.outputs)):
        try:
            latencies.append(total_latency(backlog, Schedule(starts)))
        except InvalidSchedule:
            continue
    return min(latencies)


@few
@given(backlogs(max_requests=3, max_memory=5))
def test_relaxation_the_value_is_at_most_the_optimum(backlog):
    optimum = least_latency(backlog)
    solution = solve_time_indexed_program(backlog)
    assert solution.bound.value <= optimum
    assert solution.value <= optimum * (1 + ROUNDING)


@few
@given(backlogs())
def test_a_longer_horizon_does_not_change_the_value(backlog):
    longer = solve_time_indexed_program(backlog, 2 * default_horizon(backlog))
    assert solve_time_indexed_program(backlog).value == pytest.approx(longer.value, rel=ROUNDING)


@few
@given(backlogs(), st.integers(1, 20))
def test_any_horizon_gives_a_relaxation(backlog, horizon):
    cut = solve_time_indexed_program(backlog, horizon)
    assert cut.value <= solve_time_indexed_program(backlog).value * (1 + ROUNDING)


@few
@given(backlogs())
def test_mean_starts_and_outputs_add_up_to_the_value(backlog):
    solution = solve_time_indexed_program(backlog)
    completions = np.array(solution.mean_starts) + backlog.outputs
    assert completions.sum() == pytest.approx(solution.value, rel=ROUNDING)


@few
@given(backlogs())
def test_fluid_prices_are_at_least_as_good_as_the_mean_busy_time_bound(backlog):
    # Prices are rounded; below one knot per step they would be interpolated as well.
    assert float(fluid_bound(backlog).value) >= float(mean_busy_time_bound(backlog)) - ROUNDING


@few
@given(backlogs())
def test_the_mean_busy_time_bound_is_at_most_the_value_of_the_program(backlog):
    value = solve_time_indexed_program(backlog).value
    assert float(mean_busy_time_bound(backlog)) <= value * (1 + ROUNDING)


@few
@given(backlogs(max_memory=8))
def test_the_search_finds_the_value_of_the_program(backlog):
    found = float(search_prices(backlog).bound.value)
    value = solve_time_indexed_program(backlog).value
    assert found <= value * (1 + ROUNDING)
    if default_horizon(backlog) <= KNOTS:
        assert found >= value * (1 - 10 * NEGLIGIBLE)


def test_the_search_improves_on_the_closed_forms_and_stays_below_a_schedule(large):
    bounds = lower_bound(large).by_method
    order = sorted(range(len(large)), key=lambda i: (large.volumes[i], i))
    assert bounds["linear program"] > max(bounds["volume"], bounds["mean busy time"])
    assert bounds["linear program"] <= total_latency(large, list_schedule(large, order))


def test_the_search_reports_rounds_of_growing_bounds(large):
    rounds: list[tuple[int, float]] = []
    search = search_prices(large, lambda number, bound: rounds.append((number, bound)))
    numbers, bounds = zip(*rounds, strict=True)
    assert list(numbers) == sorted(set(numbers))
    assert numbers[-1] <= search.rounds
    assert list(bounds) == sorted(bounds)
    assert bounds[-1] == float(search.bound.value)


def test_the_search_is_deterministic(large):
    assert search_prices(large) == search_prices(large)


@few
@given(backlogs(), st.integers(2, 12), st.integers(2, 30))
def test_interpolation_weights_add_up_to_one_before_the_last_knot(backlog, knots, pieces):
    grid = PriceGrid.of(backlog, max(8, knots), pieces)
    weights = grid.interpolation.toarray()
    before = grid.ends <= grid.knots[-2]
    assert (weights >= -1e-12).all()
    assert np.allclose(weights[before].sum(axis=1), 1)
    assert grid.durations.sum() == grid.knots[-1] == default_horizon(backlog)


@few
@given(backlogs(), st.lists(st.floats(-1, 1e6), min_size=1, max_size=10))
def test_any_floating_point_prices_are_certified(backlog, prices):
    bound = certify(backlog, np.ones(len(prices), dtype=np.int64), np.array(prices))
    assert bound.value <= total_latency(backlog, list_schedule(backlog, range(len(backlog))))


@few
@given(backlogs())
def test_lower_bound_is_the_largest_of_all_and_below_a_schedule(backlog):
    bound = lower_bound(backlog)
    assert bound.value == max(bound.by_method.values()) == bound.by_method[bound.method]
    assert bound.value >= max(volume_bound(backlog), mean_busy_time_bound(backlog))
    assert bound.value >= math.ceil(bound.certificate.value)
    assert bound.value <= total_latency(backlog, list_schedule(backlog, range(len(backlog))))


@few
@given(backlogs())
def test_closed_forms_do_without_the_program(backlog):
    bound = lower_bound(backlog, "closed-form")
    assert "linear program" not in bound.by_method
    assert bound.certificate == fluid_bound(backlog)


def test_sorted_lp_order_on_a_known_backlog():
    # One token of memory: the program is the assignment of unit jobs; the order is by number.
    assert sorted_lp_order(Backlog.of([(2, 1), (0, 1), (0, 1), (2, 1)], memory=3)) == (1, 2, 0, 3)


@few
@given(backlogs())
def test_sorted_lp_order_is_a_permutation(backlog):
    assert sorted(sorted_lp_order(backlog)) == list(range(len(backlog)))


def test_sorted_lp_order_at_scale_beats_the_order_of_arrival(large):
    columns = len(large) * default_horizon(large)
    assert columns > MOST_COLUMNS
    arrival = total_latency(large, list_schedule(large, range(len(large))))
    assert total_latency(large, list_schedule(large, sorted_lp_order(large))) < arrival


def test_an_unknown_effort_is_refused():
    with pytest.raises(InvalidInput, match="closed-form, linear-program"):
        lower_bound(Backlog.of([(0, 1)], memory=1), "heroic")  # type: ignore[arg-type]


def test_a_horizon_below_one_is_refused():
    with pytest.raises(InvalidInput, match="horizon"):
        solve_time_indexed_program(Backlog.of([(0, 1)], memory=1), 0)
