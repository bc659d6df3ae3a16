"""Priced bounds: valid for all prices, and evaluated as defined."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurtz.fluid.backlog.priced_bound import (
    PricedBound,
    RequestTypes,
    priced_bound,
    priced_bound_by_definition,
)
from kurtz.proofs_checks.testing import backlogs
from kurtz.theory.backlog import Backlog, list_schedule, memory_by_step, total_latency
from kurtz.theory.errors import InvalidInput

prices = st.lists(st.integers(0, 40), max_size=25)
scales = st.sampled_from((1, 3, 16, 2**40))
pieces = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=8)


@given(backlogs(), prices, scales)
def test_evaluation_equals_the_definition(backlog, prices, scale):
    assert priced_bound(backlog, prices, scale) == priced_bound_by_definition(
        backlog, prices, scale
    )


@given(backlogs(), pieces, st.integers(1, 64))
def test_pieces_are_repeated_prices(backlog, pieces, scale):
    bound = PricedBound(
        backlog, tuple(price for price, _ in pieces), tuple(length for _, length in pieces), scale
    )
    steps = [price for price, length in pieces for _ in range(length)]
    assert bound.value == priced_bound(backlog, steps, scale)


@given(backlogs(), prices)
def test_numbers_beyond_64_bits_are_evaluated_exactly(backlog, prices):
    factor = 10**19
    value = priced_bound(backlog, prices, 4)
    assert priced_bound(backlog, [factor * price for price in prices], 4 * factor) == value


@given(backlogs(), prices, st.integers(1, 64), st.randoms(use_true_random=False))
def test_weak_duality_no_prices_exceed_a_schedule(backlog, prices, scale, random):
    order = list(range(len(backlog)))
    random.shuffle(order)
    latency = total_latency(backlog, list_schedule(backlog, order))
    assert priced_bound(backlog, prices, scale) <= latency


@given(backlogs(), prices, st.integers(1, 64))
def test_without_the_charge_for_capacity_it_is_what_a_schedule_pays_at_least(
    backlog, prices, scale
):
    schedule = list_schedule(backlog, range(len(backlog)))
    memory = memory_by_step(backlog, schedule)
    paid = sum(
        Fraction(price * int(held), scale) for price, held in zip(prices, memory, strict=False)
    )
    charge = Fraction(backlog.memory * sum(prices), scale)
    assert priced_bound(backlog, prices, scale) + charge <= total_latency(backlog, schedule) + paid


@given(backlogs())
def test_prices_of_zero_give_the_sum_of_the_outputs(backlog):
    assert priced_bound(backlog, [], 1) == priced_bound(backlog, [0, 0], 8)
    assert priced_bound(backlog, [], 1) == backlog.outputs.sum()


def test_a_price_that_is_tight():
    # Two requests (0, 1) and one token of memory: one waits a step, 1 + 2 = 3. At price 1 in step
    # 1 either start costs 2, and the capacity earns 1.
    assert priced_bound(Backlog.of([(0, 1), (0, 1)], memory=1), [1], 1) == 3


def test_leaving_out_the_charge_for_capacity_is_no_bound():
    # The negative control: the same prices without - M sum pi claim 4 > 3.
    backlog = Backlog.of([(0, 1), (0, 1)], memory=1)
    assert priced_bound(backlog, [1], 1) + backlog.memory > total_latency(
        backlog, list_schedule(backlog, (0, 1))
    )


def test_the_first_cheapest_start_is_reported():
    bound = PricedBound(Backlog.of([(0, 2)], memory=2), (5, 1), (1, 3), 1)
    # f(0) = 2 + 5 + 2, f(1) = 3 + 1 + 2 = 6, f(2) = 4 + 1 + 2, f(3) = 5 + 1, f(4) = 6.
    assert (list(bound.cheapest[0]), list(bound.cheapest[1])) == ([6], [1])


@given(backlogs())
def test_types_group_equal_requests(backlog):
    types = RequestTypes.of(backlog)
    assert np.array_equal(types.prompts[types.of_request], backlog.prompts)
    assert np.array_equal(types.outputs[types.of_request], backlog.outputs)
    assert np.array_equal(types.volumes[types.of_request], backlog.volumes)
    assert types.counts.sum() == len(backlog)


@pytest.mark.parametrize(
    ("prices", "durations", "scale", "field"),
    [
        ((-1,), (1,), 1, "price 1"),
        ((1, 0.5), (1, 1), 1, "price 2"),
        ((1,), (0,), 1, "duration 1"),
        ((1,), (1, 1), 1, "durations"),
        ((1,), (1,), 0, "scale"),
    ],
)
def test_invalid_prices_are_refused_by_name(prices, durations, scale, field):
    with pytest.raises(InvalidInput) as refusal:
        PricedBound(Backlog.of([(0, 1)], memory=1), prices, durations, scale)
    assert refusal.value.field == field
