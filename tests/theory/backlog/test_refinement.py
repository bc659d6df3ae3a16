from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.proofs_checks.testing import backlogs
from kurtz.theory import InvalidInput
from kurtz.theory.backlog import Backlog, InvalidSchedule, Schedule, list_schedule
from kurtz.theory.backlog.refinement import (
    AbandonedRun,
    Execution,
    execute_by_definition,
    refined,
)


def by_arrival(backlog: Backlog) -> list[int]:
    return list(range(len(backlog)))


def by_output(backlog: Backlog) -> list[int]:
    return sorted(range(len(backlog)), key=lambda i: backlog.requests[i].output_tokens)


@settings(deadline=None)
@given(backlogs(), st.booleans())
def test_exact_predictions_give_the_list_schedule(backlog: Backlog, refine: bool) -> None:
    exact = [request.output_tokens for request in backlog.requests]
    execution = execute_by_definition(backlog, exact, by_output, refine=refine)
    assert execution.schedule == list_schedule(backlog, by_output(backlog))
    assert execution.abandoned == ()


@settings(deadline=None)
@given(backlogs())
def test_nothing_is_abandoned_when_predictions_are_upper_bounds(backlog: Backlog) -> None:
    largest = [backlog.memory - request.prompt_tokens for request in backlog.requests]
    assert execute_by_definition(backlog, largest, by_output).lost_tokens == 0


def test_an_overflow_evicts_the_least_advanced() -> None:
    # Both are believed to end with their first token. In step 5 they would hold 5 + 5 of 9 tokens:
    # the second, of equals the one with the larger number, starts anew when the first is done.
    backlog = Backlog.of([(0, 6), (0, 6)], memory=9)
    execution = execute_by_definition(backlog, [1, 1], by_arrival)
    assert execution.abandoned == (AbandonedRun(1, 0, 4),)
    assert execution.lost_tokens == 4
    assert execution.schedule.starts[0] == 0


def test_what_was_learned_before_an_eviction_is_kept() -> None:
    backlog = Backlog.of([(0, 6), (0, 6)], memory=9)
    # Evicted at 4 it is believed to decode 8 tokens, the first to end at 8: together 2 x 8 > 9
    # tokens at time 8, so it waits for the completion at 6. Without refinement it starts at once.
    learned = execute_by_definition(backlog, [1, 1], by_arrival)
    forgetful = execute_by_definition(backlog, [1, 1], by_arrival, refine=False)
    assert learned.schedule.starts[1] > 4
    assert len(forgetful.abandoned) >= len(learned.abandoned)


@settings(deadline=None)
@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_refined_predictions_are_the_next_power_of_two(decoded: int, more: int) -> None:
    bucket = refined(decoded, largest=2**30)
    assert decoded < bucket <= 2 * decoded
    assert bucket & (bucket - 1) == 0
    assert refined(decoded, largest=decoded + more) == min(bucket, decoded + more)


def test_memory_counts_the_runs_that_were_lost() -> None:
    backlog = Backlog.of([(0, 2), (0, 2)], memory=3)
    with pytest.raises(InvalidSchedule, match="step 2"):
        Execution(backlog, Schedule((0, 2)), (AbandonedRun(1, 0, 2),))


@pytest.mark.parametrize("predictions", [[1], [0, 1], [1, 9]])
def test_impossible_predictions_are_refused(predictions: list[int]) -> None:
    with pytest.raises(InvalidInput, match="prediction"):
        execute_by_definition(Backlog.of([(1, 1), (1, 1)], memory=9), predictions, by_arrival)
