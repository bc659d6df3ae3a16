"""List scheduling: the admission tests from their definition, every start as early as allowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurtz.proofs_checks.testing import backlogs
from kurtz.theory.backlog import (
    Backlog,
    Schedule,
    fits,
    list_schedule,
    peaks_fit,
    require_feasible,
    separate_schedule,
    sorted_f_batches,
    total_latency,
)
from kurtz.theory.backlog.listing import Admission
from kurtz.theory.errors import InvalidInput

Order = tuple[int, ...]
Running = list[tuple[int, int]]

admissions = pytest.mark.parametrize("admission", [fits, peaks_fit])


@st.composite
def ordered_backlogs(draw: st.DrawFn) -> tuple[Backlog, Order]:
    backlog = draw(backlogs(max_requests=7, max_memory=12))
    return backlog, tuple(draw(st.permutations(range(len(backlog)))))


@st.composite
def running_sets(draw: st.DrawFn) -> tuple[Backlog, Running, int, int]:
    """A backlog, requests that are running at some time, a candidate, and the time."""
    backlog = draw(backlogs(max_requests=5, max_memory=16))
    candidate, *others = draw(st.permutations(range(len(backlog))))
    time = draw(st.integers(0, 16))
    running = []
    for i in others:
        longest_ago = min(time, backlog.requests[i].output_tokens - 1)
        running.append((i, time - draw(st.integers(0, longest_ago))))
    return backlog, running, candidate, time


def running_at(backlog: Backlog, schedule: Schedule, among: Order, time: int) -> Running:
    return [
        (i, schedule.starts[i])
        for i in among
        if schedule.starts[i] <= time < schedule.starts[i] + backlog.requests[i].output_tokens
    ]


@given(running_sets())
def test_fits_looks_at_every_step_to_come(given_set: tuple[Backlog, Running, int, int]) -> None:
    backlog, running, candidate, time = given_set
    together = [*running, (candidate, time)]
    within = all(
        sum(
            backlog.requests[i].prompt_tokens + step - start
            for i, start in together
            if start < step <= start + backlog.requests[i].output_tokens
        )
        <= backlog.memory
        for step in range(time + 1, time + 17)
    )
    assert fits(backlog, running, candidate, time) == within


@given(running_sets())
def test_the_peaks_never_fit_where_the_memory_does_not(
    given_set: tuple[Backlog, Running, int, int],
) -> None:
    assert not peaks_fit(*given_set) or fits(*given_set)


@given(running_sets())
def test_peaks_fit_adds_up_all_peaks(given_set: tuple[Backlog, Running, int, int]) -> None:
    backlog, running, candidate, time = given_set
    peaks = [backlog.requests[i].peak for i, _ in running]
    together = sum(peaks) + backlog.requests[candidate].peak
    assert peaks_fit(backlog, running, candidate, time) == (together <= backlog.memory)


@admissions
@pytest.mark.parametrize("blocked", ["wait", "skip"])
@given(ordered=ordered_backlogs())
def test_every_list_schedule_is_feasible(ordered, admission: Admission, blocked) -> None:
    backlog, order = ordered
    require_feasible(backlog, list_schedule(backlog, order, admission, blocked))


@admissions
@given(ordered=ordered_backlogs())
def test_in_strict_order_each_start_is_the_first_admitted_after_its_predecessor(
    ordered: tuple[Backlog, Order], admission: Admission
) -> None:
    backlog, order = ordered
    schedule = list_schedule(backlog, order, admission)
    earliest = 0
    for place, candidate in enumerate(order):
        start = schedule.starts[candidate]
        assert start >= earliest
        admitted = [
            admission(backlog, running_at(backlog, schedule, order[:place], time), candidate, time)
            for time in range(earliest, start + 1)
        ]
        assert admitted == [False] * (start - earliest) + [True]
        earliest = start


@admissions
@given(ordered=ordered_backlogs())
def test_with_skipping_nobody_waits_beside_a_running_set_that_admits_him(
    ordered: tuple[Backlog, Order], admission: Admission
) -> None:
    backlog, order = ordered
    schedule = list_schedule(backlog, order, admission, blocked="skip")
    for place, candidate in enumerate(order):
        for time in range(schedule.starts[candidate]):
            # Who was scanned before: everybody started earlier, and predecessors started now.
            scanned = tuple(
                i
                for i in range(len(backlog))
                if schedule.starts[i] < time or (schedule.starts[i] == time and i in order[:place])
            )
            running = running_at(backlog, schedule, scanned, time)
            assert not admission(backlog, running, candidate, time)


@given(ordered_backlogs())
def test_the_worker_is_never_idle(ordered: tuple[Backlog, Order]) -> None:
    backlog, order = ordered
    schedule = list_schedule(backlog, order)
    assert 0 in schedule.starts
    for start in set(schedule.starts) - {0}:
        assert running_at(backlog, schedule, order, start - 1)


def test_a_blocked_head_makes_the_others_wait_or_is_skipped() -> None:
    # The second (7, 2) has to wait for the first; the single-token request fits beside either.
    backlog = Backlog.of([(7, 2), (7, 2), (0, 1)], memory=10)
    assert list_schedule(backlog, (0, 1, 2)).starts == (0, 2, 2)
    assert list_schedule(backlog, (0, 1, 2), blocked="skip").starts == (0, 2, 0)


def test_looking_forward_admits_what_the_peaks_refuse() -> None:
    # In step 1 both hold 1 token; in step 2 the first, alone, holds 2.
    backlog = Backlog.of([(0, 2), (0, 1)], memory=2)
    assert list_schedule(backlog, (0, 1), fits).starts == (0, 0)
    assert list_schedule(backlog, (0, 1), peaks_fit).starts == (0, 2)


def test_a_request_may_start_between_completions() -> None:
    # Side by side, steps 1 and 2 hold 3 + 1 and 4 + 2. Under 5 tokens the second request waits for
    # one step: step 2 then holds 4 + 1, and the first is done.
    requests = [(2, 2), (0, 3)]
    assert list_schedule(Backlog.of(requests, memory=6), (0, 1)).starts == (0, 0)
    assert list_schedule(Backlog.of(requests, memory=5), (0, 1)).starts == (0, 1)


@pytest.mark.parametrize("memory", [4, 9, 16, 36, 100])
def test_first_come_first_served_behind_full_requests(memory: int) -> None:
    # a of (M - 1, 1), one after the other; then b of (1, 1), all of which fit into step a + 1.
    full, short = int(memory**0.5), memory // 2
    backlog = Backlog.of([(memory - 1, 1)] * full + [(1, 1)] * short, memory)
    latency = total_latency(backlog, list_schedule(backlog, range(full + short)))
    assert latency == full * (full + 1) // 2 + short * (full + 1)


@pytest.mark.parametrize("order", [(0,), (0, 0), (1, 2), (0, 1, 2), ()])
def test_an_order_is_a_permutation(order: Order) -> None:
    with pytest.raises(ValueError, match=r"^order .* permutation of 0 \.\.\. 1$"):
        list_schedule(Backlog.of([(0, 1), (0, 1)], memory=2), order)


def test_blocked_requests_wait_or_are_skipped_and_nothing_else() -> None:
    with pytest.raises(InvalidInput, match=r"^blocked = 'stop' is .*: expected wait or skip$"):
        list_schedule(Backlog.of([(0, 1)], memory=2), (0,), blocked="stop")  # type: ignore[arg-type]


def test_separate_batches_start_together_when_the_one_before_is_done() -> None:
    backlog = Backlog.of([(0, 3), (1, 1), (0, 2), (2, 1)], memory=6)
    assert separate_schedule(backlog, ((1, 2), (0,), (3,))).starts == (2, 0, 0, 5)


@pytest.mark.parametrize("kind", ["peak-sum", "common-start"])
@given(backlog=backlogs(max_requests=6))
def test_separate_feasible_batches_are_a_feasible_schedule(backlog: Backlog, kind) -> None:
    require_feasible(backlog, separate_schedule(backlog, sorted_f_batches(backlog, kind)))
