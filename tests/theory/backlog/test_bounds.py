"""Lower bounds: their sums by definition, below every schedule, equal where they are tight."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurtz.fluid.backlog.optimum import optimum_by_definition
from kurtz.proofs_checks.testing import backlogs, requests
from kurtz.theory.backlog import (
    Backlog,
    Request,
    Schedule,
    completions,
    list_schedule,
    mean_busy_time_bound,
    total_latency,
    volume_bound,
)
from kurtz.theory.backlog.bounds import lag

bounds = pytest.mark.parametrize("bound", [volume_bound, mean_busy_time_bound])


@st.composite
def schedules(draw: st.DrawFn) -> tuple[Backlog, Schedule]:
    """Lists in any order, with and without skipping."""
    backlog = draw(backlogs(max_requests=8, max_memory=16))
    order = draw(st.permutations(range(len(backlog))))
    return backlog, list_schedule(backlog, order, blocked=draw(st.sampled_from(("wait", "skip"))))


def mean_busy_time(request: Request, start: int) -> Fraction:
    held = {start + u: request.prompt_tokens + u for u in range(1, request.output_tokens + 1)}
    return Fraction(sum(step * tokens for step, tokens in held.items()), request.volume)


@given(requests(memory=30), st.integers(0, 50))
def test_completion_is_mean_busy_time_plus_lag(request: Request, start: int) -> None:
    completion = start + request.output_tokens
    assert completion == mean_busy_time(request, start) + lag(request)


@given(requests(memory=200))
def test_the_lag_is_at_least_a_third_of_the_output_less_one(request: Request) -> None:
    assert lag(request) >= Fraction(request.output_tokens - 1, 3)


@pytest.mark.parametrize(
    ("prompt", "output", "expected"),
    [
        (7, 1, 0),  # a single step
        (0, 2, Fraction(1, 3)),  # 2 - (1 * 1 + 2 * 2) / 3
        (2, 3, Fraction(5, 6)),  # 3 - (1 * 3 + 2 * 4 + 3 * 5) / 12
    ],
)
def test_known_lags(prompt: int, output: int, expected: Fraction) -> None:
    assert lag(Request(prompt, output)) == expected


@bounds
@given(scheduled=schedules())
def test_no_schedule_is_below_a_bound(scheduled: tuple[Backlog, Schedule], bound) -> None:
    assert bound(scheduled[0]) <= total_latency(*scheduled)


@bounds
@given(backlog=backlogs(max_requests=3, max_memory=6))
def test_no_optimum_is_below_a_bound(backlog: Backlog, bound) -> None:
    assert bound(backlog) <= optimum_by_definition(backlog)


@given(schedules())
def test_proposition_3_1_volumes_of_the_first_completions_fit_before_the_last_of_them(
    scheduled: tuple[Backlog, Schedule],
) -> None:
    backlog, schedule = scheduled
    volumes = sorted(backlog.volumes.tolist())
    for k, end in enumerate(sorted(completions(backlog, schedule)), 1):
        assert sum(volumes[:k]) <= backlog.memory * end


@given(backlogs(max_requests=8, max_memory=16))
def test_volume_bound_is_the_sum_of_the_prefix_sums(backlog: Backlog) -> None:
    volumes = sorted(backlog.volumes.tolist())
    total = sum(sum(volumes[:k]) for k in range(1, len(volumes) + 1))
    assert volume_bound(backlog) == Fraction(total, backlog.memory)


@given(backlogs(max_requests=8, max_memory=16))
def test_mean_busy_time_bound_pours_the_volumes_unit_by_unit(backlog: Backlog) -> None:
    exact = Fraction(0)
    poured = 0
    for request in sorted(backlog.requests, key=lambda request: request.volume):
        units = range(poured, poured + request.volume)
        steps = sum(unit // backlog.memory + 1 for unit in units)
        exact += Fraction(steps, request.volume) + lag(request)
        poured += request.volume
    rounded = mean_busy_time_bound(backlog)
    assert 0 <= exact - rounded <= Fraction(len(backlog), 2**32)


@bounds
@pytest.mark.parametrize("count", [1, 2, 7])
def test_bounds_are_tight_where_every_request_fills_a_step(bound, count: int) -> None:
    # Each (M - 1, 1) has volume M: one per step.
    assert bound(Backlog.of([(9, 1)] * count, memory=10)) == count * (count + 1) // 2


def test_known_bounds() -> None:
    # Volumes 1 and 3 under 3 tokens: (1 + 4)/3. Poured: unit 1 in step 1; units 2, 3 in step 1
    # and 4 in step 2, mean 4/3; the lag of (0, 2) is 1/3. So 1 + 4/3 + 1/3 = 8/3, the optimum is 3.
    backlog = Backlog.of([(0, 2), (0, 1)], memory=3)
    assert volume_bound(backlog) == Fraction(5, 3)
    assert Fraction(8, 3) - mean_busy_time_bound(backlog) < Fraction(1, 2**31)
    assert optimum_by_definition(backlog) == 3


@bounds
@given(backlog=backlogs(), data=st.data())
def test_bounds_do_not_depend_on_the_numbering_but_for_rounding(
    backlog: Backlog, data: st.DataObject, bound
) -> None:
    renumbered = Backlog(tuple(data.draw(st.permutations(backlog.requests))), backlog.memory)
    assert abs(bound(renumbered) - bound(backlog)) <= Fraction(len(backlog), 2**32)


@bounds
@given(backlog=backlogs())
def test_more_memory_never_raises_a_bound(backlog: Backlog, bound) -> None:
    assert bound(Backlog(backlog.requests, backlog.memory + 1)) <= bound(backlog)


def test_negative_control_the_bound_of_less_memory_fails() -> None:
    # Ten requests start together under 50 tokens: TEL 50. Under 10 tokens their volumes of 15 take
    # 1.5 steps each: the mean busy times add up to about 75.
    backlog = Backlog.of([(0, 5)] * 10, memory=50)
    less = Backlog(backlog.requests, memory=10)
    latency = total_latency(backlog, Schedule((0,) * 10))
    assert mean_busy_time_bound(backlog) <= latency < mean_busy_time_bound(less)
