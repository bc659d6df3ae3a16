"""What other test suites use: strategies, and rules held against exact optima."""

from __future__ import annotations

import re
from ast import literal_eval
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, find, given, settings

from kurtz.fluid.backlog.optimum import optimum, optimum_by_definition
from kurtz.proofs_checks.testing import assert_ratio, backlogs, requests
from kurtz.theory.backlog import (
    Backlog,
    InvalidSchedule,
    Request,
    Schedule,
    list_schedule,
    total_latency,
    volume_bound,
)
from kurtz.theory.backlog.smallest_volume_first import smallest_volume_first
from kurtz.theory.errors import InvalidInput


def first_come(backlog: Backlog) -> Schedule:
    return list_schedule(backlog, range(len(backlog)))


def optimal(backlog: Backlog) -> Schedule:
    return optimum(backlog).schedule


def idle_first(backlog: Backlog) -> Schedule:
    return Schedule(tuple(start + 1 for start in optimal(backlog).starts))


def all_at_once(backlog: Backlog) -> Schedule:
    return Schedule((0,) * len(backlog))


@given(backlogs(max_requests=4, max_memory=7, min_requests=2))
def test_backlogs_keep_to_their_sizes(backlog: Backlog) -> None:
    assert 2 <= len(backlog) <= 4
    assert 1 <= backlog.memory <= 7


@given(requests(memory=5))
def test_requests_fit_the_memory(request: Request) -> None:
    assert request.peak <= 5


@pytest.mark.parametrize(
    "wanted",
    [
        [(4, 1), (0, 5)],  # both corners of the triangle of prompts and outputs
        [(2, 2), (2, 2)],  # repetitions
    ],
)
def test_every_backlog_of_a_size_can_be_drawn(wanted: list[tuple[int, int]]) -> None:
    backlog = Backlog.of(wanted, memory=5)
    drawn = backlogs(min_requests=2, max_requests=2, max_memory=5)
    everything = settings(max_examples=20_000, database=None, suppress_health_check=HealthCheck)
    assert find(drawn, lambda found: found == backlog, settings=everything) == backlog


def test_a_true_bound_passes() -> None:
    assert_ratio(optimal, 1, examples=30, max_requests=4)


def test_a_bound_may_be_a_fraction_or_a_decimal() -> None:
    for bound in (Fraction(2), 2.0):
        assert_ratio(idle_first, bound, examples=30, max_requests=4)


def test_a_bound_may_be_a_function_of_the_backlog() -> None:
    def theorem_3_2(backlog: Backlog) -> Fraction:
        memory, peak = backlog.memory, backlog.largest_peak
        return Fraction(3 * memory - peak, max(memory - peak, 1))

    assert_ratio(smallest_volume_first, theorem_3_2, examples=30)


def test_a_false_bound_fails_with_the_smallest_counterexample() -> None:
    # Every request starts a step late: the least latency is 1, of a request (0, 1) under 1 token.
    with pytest.raises(AssertionError) as failed:
        assert_ratio(idle_first, Fraction(3, 2))
    assert str(failed.value) == ("latency 2 > 3/2 * optimum 1 on Backlog.of([(0, 1)], memory=1)")


def test_a_shrunk_counterexample_is_small() -> None:
    # In the order of arrival a full request comes first: no single request loses anything.
    with pytest.raises(AssertionError) as failed:
        assert_ratio(first_come, Fraction(6, 5))
    found = re.fullmatch(r".* on Backlog\.of\((.*), memory=(\d+)\)", str(failed.value))
    assert found
    backlog = Backlog.of(literal_eval(found[1]), int(found[2]))
    assert len(backlog) == 2
    latency = total_latency(backlog, first_come(backlog))
    assert 5 * latency > 6 * optimum_by_definition(backlog)


def test_a_false_bound_by_a_function_fails() -> None:
    with pytest.raises(AssertionError, match=r"^latency .* > .* \* optimum"):
        assert_ratio(first_come, lambda backlog: Fraction(9, 8) + 0 * volume_bound(backlog))


def test_the_same_backlogs_are_tried_every_time() -> None:
    def tried() -> list[Backlog]:
        seen: list[Backlog] = []

        def rule(backlog: Backlog) -> Schedule:
            seen.append(backlog)
            return optimal(backlog)

        assert_ratio(rule, 1, examples=20)
        return seen

    assert tried() == tried()


def test_an_infeasible_schedule_is_an_error_whatever_the_bound() -> None:
    with pytest.raises(InvalidSchedule, match="more than the memory"):
        assert_ratio(all_at_once, 10**6)


def test_a_rule_that_is_wrong_in_two_ways_raises_one_error() -> None:
    def rule(backlog: Backlog) -> Schedule:
        return all_at_once(backlog) if len(backlog) > 1 else idle_first(backlog)

    with pytest.raises((AssertionError, InvalidSchedule)):
        assert_ratio(rule, Fraction(9, 8))


@pytest.mark.parametrize("bound", [float("nan"), "2", None])
def test_a_bound_is_a_number(bound) -> None:
    with pytest.raises(InvalidInput, match=r"^bound = .*: expected a number"):
        assert_ratio(optimal, bound, examples=1)


def test_a_function_for_a_bound_returns_a_number() -> None:
    with pytest.raises(InvalidInput, match=r"^bound = nan is .*: expected a number"):
        assert_ratio(optimal, lambda _: float("nan"), examples=1)


@pytest.mark.parametrize("argument", ["examples", "max_requests", "max_memory"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_sizes_are_positive_integers(argument: str, value) -> None:
    with pytest.raises(InvalidInput, match=f"^{argument} = .*: expected an integer >= 1"):
        assert_ratio(optimal, 1, **{argument: value})
