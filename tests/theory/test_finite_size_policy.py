"""Slot filling: who is admitted, when the gate closes, who leaves the decode buffer first."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.fluid import plan
from kurtz.theory import InvalidInput, ServingNetwork, exact_rates, instance
from kurtz.theory.policies import Gate, Layout, Routing
from kurtz.theory.policies.finite_size import SlotFilling
from kurtz.theory.steady_state import prefill_balance
from strategies import networks

overloaded_or_not = networks(classes=(1, 3), meets_condition=True)
waiting_counts = st.lists(st.integers(0, 3), min_size=3, max_size=3)


@settings(max_examples=20, deadline=None)
@given(overloaded_or_not, waiting_counts)
def test_slot_filling_prefers_classes_whose_arrivals_are_worth_more(
    network: ServingNetwork, counts: list[int]
) -> None:
    p = plan(network)
    policy, waiting = SlotFilling(p), counts[: len(network.classes)]
    chosen = policy.next_class([0] * len(waiting), waiting, [0.0] * len(waiting), 10)
    candidates = [i for i, count in enumerate(waiting) if count > 0 and p.prefill[i] > 0]
    if chosen is None:
        assert not candidates
    else:
        assert chosen in candidates
        if policy.gate is Gate.PRIORITY:
            worth = [p.shadow_prices[prefill_balance(name)] for name in network.class_names]
            assert worth[chosen] == max(worth[i] for i in candidates)


@settings(max_examples=20, deadline=None)
@given(overloaded_or_not)
def test_the_class_served_in_part_is_worth_nothing_more_and_comes_last(
    network: ServingNetwork,
) -> None:
    # Complementary slackness: theta_i q_{p,i} > 0 makes the price of arrivals 0.
    p = plan(network)
    order = SlotFilling(p).class_order()
    for i, name in enumerate(network.class_names):
        if p.prefill_queue[i] > 0:
            assert p.shadow_prices[prefill_balance(name)] == 0
            earlier = [j for j in order[: order.index(i)] if p.prefill_queue[j] == 0]
            later = [j for j in order[order.index(i) :] if p.prefill_queue[j] == 0]
            assert all(p.shadow_prices[prefill_balance(network.class_names[j])] == 0 for j in later)
            assert set(earlier).isdisjoint(later)


@settings(max_examples=20, deadline=None)
@given(overloaded_or_not)
def test_two_classes_are_served_in_part_only_if_prefill_capacity_binds(
    network: ServingNetwork,
) -> None:
    # A vertex of the knapsack has as many classes off their bounds as rows that bind.
    p = plan(network)
    if SlotFilling(p).gate is Gate.OCCUPANCY:
        assert p.mixed_share == 1


@settings(max_examples=20, deadline=None)
@given(overloaded_or_not, st.integers(1, 50))
def test_the_gate_closes_when_all_slots_are_spoken_for(network: ServingNetwork, gpus: int) -> None:
    p = plan(network)
    limit = SlotFilling(p).admission_limit(gpus)
    assert limit == (math.inf if p.mixed_share == 1 else gpus * network.gpu.batch)


@settings(max_examples=20, deadline=None)
@given(overloaded_or_not)
def test_the_decode_buffer_serves_the_most_revenue_per_second_first(
    network: ServingNetwork,
) -> None:
    rate = exact_rates(network)
    density = [
        rate.weight[i] * rate.mixed_decode[i] for i in SlotFilling(plan(network)).buffer_order()
    ]
    assert density == sorted(density, reverse=True)


def test_slot_filling_dedicates_no_gpu() -> None:
    policy = SlotFilling(plan(instance("two-class")))
    assert (policy.layout, policy.routing) == (Layout.SHARED, Routing.PREFILL_FIRST)
    assert policy.gated


def test_the_limit_asks_for_gpus() -> None:
    with pytest.raises(InvalidInput, match="gpus"):
        SlotFilling(plan(instance("two-class"))).admission_limit(0)
