"""The reduction from 3-Partition: instances, both directions, and the counting."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.theory import InvalidInput
from kurtz.theory.backlog import InvalidSchedule, Schedule, total_latency
from kurtz.theory.backlog.three_partition import (
    ThreePartition,
    derivation,
    instances,
    partition_of,
    schedule_of,
    solve,
)

WITHOUT = ThreePartition((4, 4, 4, 4, 4, 6))  # 4 + 4 + 4 = 12 and 4 + 4 + 6 = 14, never 13


@st.composite
def solvable(draw: st.DrawFn) -> ThreePartition:
    """An instance made of triples, its numbers shuffled."""
    target = draw(st.integers(9, 60))
    allowed = range(target // 4 + 1, -(-target // 2))
    triples = [
        (a, b, target - a - b) for a in allowed for b in allowed if target - a - b in allowed
    ]
    chosen = draw(st.lists(st.sampled_from(triples), min_size=1, max_size=4))
    return ThreePartition(tuple(draw(st.permutations([n for triple in chosen for n in triple]))))


@settings(deadline=None)
@given(solvable())
def test_partition_becomes_a_schedule_at_the_threshold(instance: ThreePartition) -> None:
    partition = solve(instance)
    assert partition is not None
    latency = total_latency(instance.to_backlog(), schedule_of(instance, partition))
    assert latency == instance.latency_threshold


@settings(deadline=None)
@given(solvable())
def test_schedule_at_the_threshold_becomes_a_partition(instance: ThreePartition) -> None:
    partition = partition_of(instance, schedule_of(instance, solve(instance) or ()))
    assert sorted(place for triple in partition for place in triple) == list(
        range(len(instance.numbers))
    )
    assert {sum(instance.numbers[i] for i in triple) for triple in partition} == {instance.target}


def test_search_agrees_with_trying_every_order() -> None:
    for target in (13, 15, 17):
        for instance in instances(2, target):
            by_orders = any(sum(order[:3]) == target for order in permutations(instance.numbers))
            assert (solve(instance) is not None) == by_orders


def test_an_instance_without_a_partition_is_found_out() -> None:
    assert solve(WITHOUT) is None


def test_peaks_are_the_numbers_and_the_budget_is_the_target() -> None:
    backlog = WITHOUT.to_backlog()
    assert tuple(request.peak for request in backlog.requests) == WITHOUT.numbers
    assert backlog.memory == WITHOUT.target == 13
    assert set(backlog.outputs.tolist()) == {1}


@pytest.mark.parametrize("target", range(3, 16))
def test_enumeration_lists_every_multiset_once(target: int) -> None:
    listed = [instance.numbers for instance in instances(2, target)]
    by_definition = {
        tuple(sorted(numbers))
        for numbers in _sextuples(target)
        if all(target < 4 * number < 2 * target for number in numbers)
    }
    assert len(listed) == len(set(listed))
    assert set(listed) == by_definition


def test_schedule_over_the_threshold_gives_no_partition() -> None:
    one_by_one = Schedule(tuple(range(6)))
    with pytest.raises(InvalidInput, match="total latency = 21"):
        partition_of(WITHOUT, one_by_one)


def test_infeasible_schedule_gives_no_partition() -> None:
    with pytest.raises(InvalidSchedule):
        partition_of(WITHOUT, Schedule((0,) * 6))


def test_triples_that_do_not_add_up_give_no_schedule() -> None:
    with pytest.raises(InvalidSchedule):
        schedule_of(WITHOUT, ((0, 1, 2), (3, 4, 5)))


def test_triples_that_leave_a_number_out_give_no_schedule() -> None:
    with pytest.raises(InvalidInput, match="partition"):
        schedule_of(WITHOUT, ((0, 1, 2), (2, 3, 4)))


@pytest.mark.parametrize(
    ("numbers", "field"),
    [
        ((), "numbers"),
        ((4, 4), "numbers"),
        ((4, 4, 4, 4, 4, 5), "sum of the numbers"),
        ((8, 4, 4), "number 1"),
        ((1, 5, 5), "number 1"),
        ((1, 1, 0), "number 3"),
        ((1.0, 1, 1), "number 1"),
    ],
)
def test_what_is_no_instance_is_refused_by_name(numbers: tuple[int, ...], field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        ThreePartition(numbers)


def test_counting_holds_and_needs_every_hypothesis() -> None:
    counting = derivation()
    assert counting.failing_steps() == ()
    for name, _ in counting.hypotheses:
        assert counting.failing_steps(without=name)


def _sextuples(target: int) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = [()]
    for _ in range(6):
        found = [(*n, k) for n in found for k in range(n[-1] if n else 1, target)]
    return [numbers for numbers in found if sum(numbers) == 2 * target]
