"""The compiled heuristics against naive versions of their listings."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings

from kurtz.fluid.backlog.heuristics import (
    QUANTILES,
    default_seed_orders,
    local_swap_batches,
    quantile_greedy_batches,
    receding_horizon_schedule,
    schedule_of_batches,
)
from kurtz.proofs_checks.testing import backlogs
from kurtz.theory.backlog import (
    Backlog,
    Schedule,
    f_metric,
    is_feasible_batch,
    memory_by_step,
    require_feasible,
)
from kurtz.theory.errors import InvalidInput

MANY = backlogs(max_requests=12, max_memory=30)
CHOICES = (local_swap_batches, quantile_greedy_batches)


def rank(backlog: Backlog, i: int) -> tuple[int, int]:
    return backlog.requests[i].output_tokens, i


def peak_sum(backlog: Backlog, batch: set[int]) -> int:
    return sum(backlog.requests[i].peak for i in batch)


def naive_local_swap(backlog: Backlog, waiting: set[int], budget: int) -> set[int]:
    """Steps 1 to 3 of local swap by their words."""
    prefixes = []
    for row, order in enumerate(default_seed_orders(backlog)):
        left = [i for i in order if i in waiting]
        for size in range(1, len(left) + 1):
            if peak_sum(backlog, left[:size]) > budget:
                break
            prefixes.append((f_metric(backlog, left[:size]), row, -size, set(left[:size])))
    if not prefixes:
        return set()
    batch = min(prefixes, key=lambda prefix: prefix[:3])[3]
    while True:
        outside = sorted(waiting - batch, key=lambda i: rank(backlog, i))
        moves = []
        swaps = []
        for i in sorted(batch, key=lambda i: rank(backlog, i)):
            fitting = [j for j in outside if peak_sum(backlog, batch - {i} | {j}) <= budget]
            swaps += [batch - {i} | {j} for j in fitting[:1]]
        moves += [min(swaps, key=lambda swap: f_metric(backlog, swap))] if swaps else []
        moves += [batch | {j} for j in outside if peak_sum(backlog, batch | {j}) <= budget][:1]
        moves += [batch - {max(batch, key=lambda i: rank(backlog, i))}] if len(batch) > 1 else []
        moves = [move for move in moves if f_metric(backlog, move) < f_metric(backlog, batch)]
        if not moves:
            return batch
        batch = min(moves, key=lambda move: f_metric(backlog, move))


def naive_quantile_greedy(backlog: Backlog, waiting: set[int]) -> set[int]:
    """Steps 1 to 4 of quantile greedy by their words."""

    def extend(batch: set[int], candidates: list[int], stop_if_full: bool) -> set[int]:
        for i in sorted(candidates, key=lambda i: rank(backlog, i)):
            grown = batch | {i}
            if peak_sum(backlog, grown) > backlog.memory:
                if stop_if_full:
                    break
                continue
            if batch and f_metric(backlog, grown) >= f_metric(backlog, batch):
                break
            batch = grown
        return batch

    results = []
    for part in range(1, QUANTILES + 1):
        number = math.ceil(Fraction(part, QUANTILES) * len(waiting))
        prompt = sorted(backlog.requests[i].prompt_tokens for i in waiting)[number - 1]
        output = sorted(backlog.requests[i].output_tokens for i in waiting)[number - 1]
        small = [
            i
            for i in waiting
            if backlog.requests[i].prompt_tokens <= prompt
            and backlog.requests[i].output_tokens <= output
        ]
        results.append(extend(set(), small, stop_if_full=True))
    batch = min((result for result in results if result), key=lambda x: f_metric(backlog, x))
    batch = extend(batch, list(waiting - batch), stop_if_full=False)
    while len(batch) > 1:
        rest = batch - {max(batch, key=lambda i: rank(backlog, i))}
        if f_metric(backlog, rest) >= f_metric(backlog, batch):
            break
        batch = rest
    return batch


def again_and_again(backlog: Backlog, choose) -> tuple[tuple[int, ...], ...]:
    waiting = set(range(len(backlog)))
    batches = []
    while waiting:
        batch = choose(waiting)
        batches.append(tuple(sorted(batch)))
        waiting -= batch
    return tuple(batches)


@settings(deadline=None)
@given(MANY)
def test_local_swap_equals_its_listing(backlog):
    expected = again_and_again(
        backlog, lambda waiting: naive_local_swap(backlog, waiting, backlog.memory)
    )
    assert local_swap_batches(backlog) == expected


@settings(deadline=None)
@given(MANY)
def test_quantile_greedy_equals_its_listing(backlog):
    expected = again_and_again(backlog, lambda waiting: naive_quantile_greedy(backlog, waiting))
    assert quantile_greedy_batches(backlog) == expected


@settings(deadline=None)
@given(MANY)
def test_receding_horizon_equals_its_listing(backlog):
    waiting = set(range(len(backlog)))
    starts: dict[int, int] = {}
    time = 0
    while waiting:
        while True:
            running = [i for i, p in starts.items() if p + backlog.requests[i].output_tokens > time]
            most = 0
            if running:
                part = Backlog(tuple(backlog.requests[i] for i in running), backlog.memory)
                held = memory_by_step(part, Schedule(tuple(starts[i] for i in running)))
                most = max(held[time:])
            batch = naive_local_swap(backlog, waiting, backlog.memory - most)
            if not batch:
                break
            starts |= dict.fromkeys(batch, time)
            waiting -= batch
        ends = [p + backlog.requests[i].output_tokens for i, p in starts.items()]
        time = min((end for end in ends if end > time), default=time)
    expected = Schedule(tuple(starts[i] for i in range(len(backlog))))
    assert receding_horizon_schedule(backlog) == expected


@pytest.mark.parametrize("choice", CHOICES)
@settings(deadline=None)
@given(backlog=MANY)
def test_batches_are_feasible_and_partition_the_backlog(choice, backlog):
    batches = choice(backlog)
    assert sorted(i for batch in batches for i in batch) == list(range(len(backlog)))
    assert all(is_feasible_batch(backlog, batch, "peak-sum") for batch in batches)


@pytest.mark.parametrize("choice", CHOICES)
@settings(deadline=None)
@given(backlog=MANY)
def test_dropping_the_longest_never_lowers_f(choice, backlog):
    for batch in choice(backlog):
        longest = max(batch, key=lambda i: rank(backlog, i))
        rest = [i for i in batch if i != longest]
        assert not rest or f_metric(backlog, rest) >= f_metric(backlog, batch)


@settings(deadline=None)
@given(MANY)
def test_phase_two_is_feasible(backlog):
    require_feasible(backlog, schedule_of_batches(backlog, local_swap_batches(backlog)))


def test_local_swap_follows_a_given_seed_order():
    backlog = Backlog.of([(2, 2), (0, 2), (0, 2)], memory=4)
    assert local_swap_batches(backlog, seed_orders=[(1, 2, 0)]) == ((1, 2), (0,))


def test_seed_orders_that_are_no_permutation_are_refused():
    with pytest.raises(InvalidInput, match="seed_orders"):
        local_swap_batches(Backlog.of([(1, 1), (1, 1)], memory=4), seed_orders=[(0, 0)])
