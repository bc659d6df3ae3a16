"""The lemmas of Sorted-F's constant: no slack is negative, and each lemma needs what it assumes."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kurtz.fluid.backlog.optimum import optimum_by_definition
from kurtz.proofs_checks.testing import backlogs
from kurtz.theory.backlog import (
    BATCH_KINDS,
    Backlog,
    BatchKind,
    InvalidSchedule,
    Schedule,
    best_batch,
    f_metric,
    is_feasible_batch,
    list_schedule,
    total_latency,
)
from kurtz.theory.backlog.sorted_f_chain import (
    DERIVED_CONSTANT,
    PUBLISHED_CONSTANT,
    SortedF,
    ascending_blocks_constant,
    ascending_metric_slack,
    blocks_slack,
    completion_constant,
    completions_slack,
    descending_blocks,
    longest_output_slack,
    phase_two_slack,
    price_slack,
    ratio_slack,
    separate_latency_slack,
)

kinds = pytest.mark.parametrize("kind", BATCH_KINDS)
constants = pytest.mark.parametrize("constant", [ascending_blocks_constant, completion_constant])

LEMMAS_OF_THE_RULE = {
    "L0": phase_two_slack,
    "L1": longest_output_slack,
    "L2": ascending_metric_slack,
    "L3": separate_latency_slack,
}


@st.composite
def approximate_runs(draw: st.DrawFn, max_requests: int = 6, max_memory: int = 12) -> SortedF:
    """Any feasible batches from which the longest request is dropped while that lowers F."""
    backlog = draw(backlogs(max_requests=max_requests, max_memory=max_memory))
    kind = draw(st.sampled_from(BATCH_KINDS))
    waiting = list(range(len(backlog)))
    batches = []
    excess = Fraction(1)
    while waiting:
        batch: list[int] = []
        for i in draw(st.permutations(waiting)):
            if is_feasible_batch(backlog, [*batch, i], kind):
                batch.append(i)
        batch.sort(key=lambda i: backlog.requests[i].output_tokens)
        while len(batch) > 1 and f_metric(backlog, batch[:-1]) < f_metric(backlog, batch):
            batch.pop()
        least = f_metric(backlog, best_batch(backlog, waiting, kind))
        excess = max(excess, f_metric(backlog, batch) / least)
        batches.append(tuple(sorted(batch)))
        waiting = [i for i in waiting if i not in batch]
    return SortedF(backlog, tuple(batches), excess)


def any_list(draw_from: st.DataObject, backlog: Backlog) -> Schedule:
    order = draw_from.draw(st.permutations(range(len(backlog))))
    blocked = draw_from.draw(st.sampled_from(("wait", "skip")))
    return list_schedule(backlog, order, blocked=blocked)


@pytest.mark.parametrize("lemma", LEMMAS_OF_THE_RULE)
@kinds
@given(backlog=backlogs(max_requests=7))
def test_no_lemma_on_the_rule_has_a_negative_slack(backlog, lemma: str, kind: BatchKind) -> None:
    assert LEMMAS_OF_THE_RULE[lemma](SortedF.of(backlog, kind)) >= 0


@constants
@kinds
@given(backlog=backlogs(max_requests=7), data=st.data())
def test_l4_in_any_schedule(backlog: Backlog, data: st.DataObject, constant, kind) -> None:
    run = SortedF.of(backlog, kind)
    assert completions_slack(run, any_list(data, backlog), constant(backlog)) >= 0


@kinds
@given(backlog=backlogs(max_requests=7, max_memory=16), data=st.data())
def test_l4_by_descending_blocks_in_any_schedule(backlog, data: st.DataObject, kind) -> None:
    assert blocks_slack(SortedF.of(backlog, kind), any_list(data, backlog)) >= 0


@constants
@kinds
@given(backlog=backlogs(max_requests=3, max_memory=7))
def test_l5_and_the_theorem_against_the_optimum(backlog: Backlog, constant, kind) -> None:
    run = SortedF.of(backlog, kind)
    optimum = optimum_by_definition(backlog)
    c = constant(backlog)
    assert price_slack(run, optimum, c) >= 0
    assert ratio_slack(run, optimum, 8 * c) >= 0
    assert 8 * c <= PUBLISHED_CONSTANT


@pytest.mark.parametrize("lemma", ["L0", "L1", "L3"])
@given(run=approximate_runs())
def test_approximate_batches_keep_the_lemmas_on_the_rule(run: SortedF, lemma: str) -> None:
    assert LEMMAS_OF_THE_RULE[lemma](run) >= 0


@given(approximate_runs(), st.data())
def test_approximate_batches_keep_l4_times_their_excess(run: SortedF, data) -> None:
    schedule = any_list(data, run.backlog)
    assert completions_slack(run, schedule, completion_constant(run.backlog)) >= 0
    assert blocks_slack(run, schedule) >= 0


@given(approximate_runs(max_requests=3, max_memory=7))
def test_approximate_batches_keep_l5_and_the_theorem_times_their_excess(run: SortedF) -> None:
    optimum = optimum_by_definition(run.backlog)
    c = completion_constant(run.backlog)
    assert price_slack(run, optimum, c) >= 0
    assert ratio_slack(run, optimum, 8 * c) >= 0


def test_quantities_of_a_known_run() -> None:
    # Under 6 tokens (4, 1) and (0, 1), with peaks 5 and 1, have F = 2/4; (0, 1) and (1, 2) have
    # 3/4. What is left, (1, 2) and (0, 4), has peaks 3 + 4, but starts together: step 2 holds 3 + 2
    # and step 4 holds 4. Their F is 6/4, that of (1, 2) alone is 2.
    backlog = Backlog.of([(0, 4), (4, 1), (0, 1), (1, 2)], memory=6)
    run = SortedF.of(backlog, "common-start")
    assert run.batches == ((1, 2), (0, 3))
    assert run.sizes == (2, 2)
    assert run.output_sums == (2, 6)
    assert run.longest == (1, 4)
    assert run.metrics == (Fraction(1, 2), Fraction(3, 2))
    assert run.remaining == (4, 2, 0)
    assert run.price == 4 * 1 + 2 * 3  # R_k times the mean output
    assert run.separate == Schedule((1, 0, 0, 1))
    assert run.schedule == run.separate
    assert run.latency == 5 + 1 + 1 + 3
    assert phase_two_slack(run) == 0
    assert longest_output_slack(run) == Fraction(1, 2)  # 3/2 * 1 - 1, and 3/2 * 3 - 4
    assert ascending_metric_slack(run) == 1
    assert separate_latency_slack(run) == 2 * 10 - 8 - 10
    # By peak sums (1, 2) and (0, 4) go one after the other.
    assert SortedF.of(backlog, "peak-sum").batches == ((1, 2), (3,), (0,))


def test_l4_counts_completions_at_the_same_time_together() -> None:
    # Four of (0, 1) complete at 1; F = 4/16, so that c tau / F = 4 c.
    backlog = Backlog.of([(0, 1)] * 4, memory=4)
    run = SortedF.of(backlog)
    assert completions_slack(run, run.schedule, 1) == 0
    assert completions_slack(run, run.schedule, Fraction(1, 2)) == -2


@given(backlogs(max_requests=5))
def test_l1_is_an_equality_for_single_requests(backlog: Backlog) -> None:
    run = SortedF(backlog, tuple((i,) for i in range(len(backlog))))
    assert longest_output_slack(run) == 0


def test_a_single_batch_has_no_step_of_f() -> None:
    assert ascending_metric_slack(SortedF.of(Backlog.of([(0, 3)], memory=3))) == 0


@pytest.mark.parametrize(
    ("memory", "peak", "ascending", "descending"),
    [
        # 2 M / (M - P + 1) at P = M is 2 M, at P = M/2 (even M) just below 4, at P = 1 it is 2.
        (100, 100, 6, 5),
        (100, 51, 6, 5),
        (100, 50, 2 + Fraction(200, 51), 1 + Fraction(200, 51)),
        (100, 1, 4, 3),
        (1, 1, 4, 3),
    ],
)
def test_constants_of_l4(memory: int, peak: int, ascending, descending) -> None:
    backlog = Backlog.of([(0, peak), (0, 1)], memory)
    assert ascending_blocks_constant(backlog) == ascending
    assert completion_constant(backlog) == descending


@given(backlogs())
def test_constants_of_the_theorem_lie_between_24_and_48(backlog: Backlog) -> None:
    descending, ascending = completion_constant(backlog), ascending_blocks_constant(backlog)
    assert 24 <= 8 * descending <= DERIVED_CONSTANT
    assert 8 * descending < 8 * ascending <= PUBLISHED_CONSTANT


@given(backlogs(max_requests=10, max_memory=20))
def test_descending_blocks_are_cut_as_the_proof_says(backlog: Backlog) -> None:
    blocks = descending_blocks(backlog, range(len(backlog)))
    small = [i for i in range(len(backlog)) if 2 * backlog.requests[i].peak <= backlog.memory]
    assert sorted(i for block in blocks for i in block) == small
    held = [sum(backlog.requests[i].peak for i in block) for block in blocks]
    assert all(peaks <= backlog.memory for peaks in held)
    for (before, after), peaks in zip(pairwise(blocks), held, strict=False):
        # Closed because the next request did not fit, by which it holds half the memory.
        assert peaks + backlog.requests[after[0]].peak > backlog.memory
        assert 2 * peaks >= backlog.memory
        outputs = [[backlog.requests[i].output_tokens for i in block] for block in (before, after)]
        assert min(outputs[0]) >= max(outputs[1])


def test_known_descending_blocks() -> None:
    # (6, 1) is large under 10 tokens; peaks 5, 5, 4, 3 in descending order of output.
    backlog = Backlog.of([(6, 1), (3, 1), (1, 4), (2, 3), (1, 2)], memory=10)
    assert descending_blocks(backlog, range(5)) == [[2, 3], [4, 1]]
    assert descending_blocks(backlog, [0]) == []


def test_the_closed_form_of_separate_is_compared_with_the_schedule() -> None:
    # A request in no batch starts at 0 in "separate", 4 steps; the closed form takes it for one
    # that waits for the batch.
    run = SortedF(Backlog.of([(0, 1), (0, 3)], memory=4), ((0,),))
    with pytest.raises(ArithmeticError, match="not its closed form 2"):
        separate_latency_slack(run)


@given(backlogs(max_requests=4), st.data())
def test_lemmas_on_schedules_refuse_infeasible_ones(backlog: Backlog, data) -> None:
    assume(int((backlog.prompts + 1).sum()) > backlog.memory)
    run, together = SortedF.of(backlog), Schedule((0,) * len(backlog))
    with pytest.raises(InvalidSchedule):
        completions_slack(run, together, 5)
    with pytest.raises(InvalidSchedule):
        blocks_slack(run, together)


def test_negative_control_a_batch_with_a_long_output_breaks_l1() -> None:
    # Mean 5, longest 9 > (2 - 1/2) 5: dropping it would lower F from 10/4 to 1.
    run = SortedF(Backlog.of([(0, 1), (0, 9)], memory=10), ((0, 1),))
    assert longest_output_slack(run) == Fraction(15, 2) - 9
    # The longest of 2 G - sum of outputs - TEL: nobody waits, so L3 holds all the same.
    assert separate_latency_slack(run) == 2 * 10 - 10 - 10


def test_negative_control_a_long_output_in_front_breaks_l3() -> None:
    # The first batch has mean 3 and longest output 9: each of the twelve behind it waits for 9 and
    # is charged 2 * 3. All other terms cancel.
    backlog = Backlog.of([(0, 1), (0, 1), (0, 1), (0, 9)] + [(0, 1)] * 12, memory=12)
    run = SortedF(backlog, (tuple(range(4)), tuple(range(4, 16))))
    assert separate_latency_slack(run) == 12 * (6 - 9)


def test_negative_control_batches_in_the_wrong_order_break_l2() -> None:
    run = SortedF(Backlog.of([(0, 1), (0, 4)], memory=4), ((1,), (0,)))
    assert ascending_metric_slack(run) == -3


def test_negative_control_an_infeasible_batch_breaks_l0() -> None:
    # "Separate" starts both at 0, where step 1 would hold 4 tokens.
    backlog = Backlog.of([(1, 1), (1, 1)], memory=3)
    assert phase_two_slack(SortedF(backlog, ((0, 1),))) == -1


def test_negative_control_large_batches_first_break_l4_without_their_excess() -> None:
    # The single (0, 9) taken first has F = 9; the nine (0, 1) that complete at 1 have F = 1/9.
    backlog = Backlog.of([(0, 9)] + [(0, 1)] * 9, memory=9)
    batches = ((0,), tuple(range(1, 10)))
    schedule = list_schedule(backlog, (*range(1, 10), 0))
    assert total_latency(backlog, schedule) == 9 + 10
    assert completions_slack(SortedF(backlog, batches), schedule, 5) < 0
    assert completions_slack(SortedF(backlog, batches, Fraction(81)), schedule, 5) >= 0


@kinds
def test_negative_control_a_ratio_below_one_is_refuted(kind: BatchKind) -> None:
    run = SortedF.of(Backlog.of([(0, 1)], memory=1), kind)
    assert ratio_slack(run, 1, Fraction(1, 2)) == Fraction(-1, 2)
    assert ratio_slack(run, 1, 1) == 0
