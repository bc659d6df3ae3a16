"""Smallest volume first: its order, and what is proved of it under both admission tests."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurtz.fluid.backlog.optimum import optimum_by_definition
from kurtz.proofs_checks.testing import backlogs
from kurtz.theory.backlog import (
    Backlog,
    Schedule,
    fits,
    list_schedule,
    peaks_fit,
    total_latency,
)
from kurtz.theory.backlog.listing import Admission
from kurtz.theory.backlog.smallest_volume_first import (
    composition_slack,
    sharper_slack,
    smallest_volume_first,
    volume_order,
    waiting_slack,
)

admissions = pytest.mark.parametrize("admission", [fits, peaks_fit])


@st.composite
def schedules(draw: st.DrawFn) -> tuple[Backlog, Schedule]:
    """Lists in any order, with and without skipping."""
    backlog = draw(backlogs(max_requests=10, max_memory=20))
    order = draw(st.permutations(range(len(backlog))))
    return backlog, list_schedule(backlog, order, blocked=draw(st.sampled_from(("wait", "skip"))))


def test_requests_go_by_volume_then_by_number() -> None:
    # Volumes 9 + 1, 1, 10, 3.
    backlog = Backlog.of([(9, 1), (0, 1), (0, 4), (0, 2)], memory=10)
    assert volume_order(backlog) == (1, 3, 0, 2)


@admissions
@given(backlog=backlogs(max_requests=10, max_memory=20))
def test_lemma_a_2_waiting_times(backlog: Backlog, admission: Admission) -> None:
    assert waiting_slack(backlog, smallest_volume_first(backlog, admission)) >= 0


@admissions
@given(scheduled=schedules())
def test_theorem_3_2_against_any_schedule(
    scheduled: tuple[Backlog, Schedule], admission: Admission
) -> None:
    backlog, other = scheduled
    latency = total_latency(backlog, smallest_volume_first(backlog, admission))
    assert composition_slack(backlog, latency, total_latency(backlog, other)) >= 0


@admissions
@given(backlog=backlogs(max_requests=3, max_memory=6))
def test_theorem_3_2_against_the_optimum(backlog: Backlog, admission: Admission) -> None:
    latency = total_latency(backlog, smallest_volume_first(backlog, admission))
    assert composition_slack(backlog, latency, optimum_by_definition(backlog)) >= 0


@admissions
@given(scheduled=schedules())
def test_sharper_bound_against_any_schedule(
    scheduled: tuple[Backlog, Schedule], admission: Admission
) -> None:
    backlog, other = scheduled
    latency = total_latency(backlog, smallest_volume_first(backlog, admission))
    assert sharper_slack(backlog, latency, total_latency(backlog, other)) >= 0


@admissions
@given(backlog=backlogs(max_requests=3, max_memory=6))
def test_sharper_bound_against_the_optimum(backlog: Backlog, admission: Admission) -> None:
    latency = total_latency(backlog, smallest_volume_first(backlog, admission))
    assert sharper_slack(backlog, latency, optimum_by_definition(backlog)) >= 0


def test_slacks_of_a_known_backlog() -> None:
    # M = 4, P = 2, spare 3. Volumes 2, 3, 3: (1, 1) and the first (0, 2) start at 0, in step 1
    # with 2 + 1 tokens, so that the second (0, 2) fits as well: 3 + 1 = 4; step 2 holds 2 + 2.
    backlog = Backlog.of([(0, 2), (1, 1), (0, 2)], memory=4)
    schedule = smallest_volume_first(backlog)
    assert schedule.starts == (0, 0, 0)
    # By the peaks only two fit: the third waits for (1, 1). The lemma allows
    # 3 W <= 2 * 1 + 2 * 2, slack 3; the first in the order has slack 0.
    by_peaks = smallest_volume_first(backlog, peaks_fit)
    assert by_peaks.starts == (0, 0, 1)
    assert waiting_slack(backlog, by_peaks) == 0
    # (3 * 4 - 2) * 5 - (4 - 2) * 6.
    assert composition_slack(backlog, latency=6, other=5) == 38
    # b = 8/3: 8/3 * 5 + (1 - 8/9) * 5 + 8/9 * 3 - 6.
    assert sharper_slack(backlog, latency=6, other=5) == Fraction(8 * 15 + 5 + 24 - 54, 9)


def test_sharper_bound_at_factors_beyond_three_adds_the_requests_only() -> None:
    # P = M = 4: b = 8, and 8 * 5 + 0 + 2 - 9.
    backlog = Backlog.of([(0, 4), (0, 1)], memory=4)
    assert sharper_slack(backlog, latency=9, other=5) == 33


def test_lemma_a_2_is_attained() -> None:
    # M = P = 1: each request waits for the ones before it, W_j = j - 1 = sum of 1 * 1.
    backlog = Backlog.of([(0, 1)] * 4, memory=1)
    schedule = smallest_volume_first(backlog)
    assert schedule.starts == (0, 1, 2, 3)
    assert waiting_slack(backlog, schedule) == 0


def test_negative_control_an_idle_worker_breaks_lemma_a_2() -> None:
    backlog = Backlog.of([(0, 1)] * 4, memory=1)
    assert waiting_slack(backlog, Schedule((0, 1, 2, 4))) == -1


def test_negative_control_longest_volume_first_breaks_lemma_a_2() -> None:
    # The short request waits for 5 steps; nobody precedes it by volume. 5 * (6 - 6 + 1) = 5.
    backlog = Backlog.of([(1, 5), (5, 1)], memory=6)
    assert volume_order(backlog) == (1, 0)
    assert waiting_slack(backlog, list_schedule(backlog, (0, 1))) == -5
