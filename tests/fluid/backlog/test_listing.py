"""The compiled list schedulers against their readable twin."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.fluid.backlog.listing import fast_list_schedule, maximal_prefix_schedule
from kurtz.proofs_checks.testing import backlogs
from kurtz.theory.backlog import Backlog, Schedule, fits, list_schedule, peaks_fit
from kurtz.theory.errors import InvalidInput

ADMISSIONS = {"forward": fits, "peaks": peaks_fit}


@st.composite
def listings(draw: st.DrawFn) -> tuple[Backlog, tuple[int, ...]]:
    backlog = draw(backlogs(max_requests=12, max_memory=30))
    return backlog, tuple(draw(st.permutations(range(len(backlog)))))


@pytest.mark.parametrize("admission", ["forward", "peaks"])
@pytest.mark.parametrize("blocked", ["wait", "skip"])
@settings(deadline=None)
@given(listing=listings())
def test_compiled_schedule_equals_its_readable_twin(listing, admission, blocked):
    backlog, order = listing
    fast = fast_list_schedule(backlog, order, admission, blocked)
    assert fast == list_schedule(backlog, order, ADMISSIONS[admission], blocked)


@settings(deadline=None)
@given(listings())
def test_rounds_of_maximal_prefixes_are_list_scheduling_in_strict_order(listing):
    backlog, order = listing
    assert maximal_prefix_schedule(backlog, order) == list_schedule(backlog, order)


def test_a_blocked_head_starts_between_completions_when_growth_demands_it():
    # The first holds t in step t <= 6. In step 6 both hold 6 + (1 + 6 - p) <= 9 only if p >= 4.
    backlog = Backlog.of([(0, 6), (1, 5)], memory=9)
    assert fast_list_schedule(backlog, (0, 1)) == Schedule((0, 4))


def test_skipping_starts_requests_behind_a_blocked_one():
    backlog = Backlog.of([(4, 4), (4, 4), (0, 1)], memory=9)
    assert fast_list_schedule(backlog, (0, 1, 2), blocked="wait") == Schedule((0, 4, 4))
    assert fast_list_schedule(backlog, (0, 1, 2), blocked="skip") == Schedule((0, 4, 0))


@pytest.mark.parametrize("order", [(0,), (0, 0), (0, 2), (0, 1, 2)])
def test_orders_that_are_no_permutation_are_refused(order):
    with pytest.raises(InvalidInput, match="permutation"):
        fast_list_schedule(Backlog.of([(1, 1), (1, 1)], memory=4), order)


@pytest.mark.parametrize(("name", "value"), [("admission", "hope"), ("blocked", "push")])
def test_unknown_choices_are_refused_by_name(name, value):
    with pytest.raises(InvalidInput, match=name):
        fast_list_schedule(Backlog.of([(1, 1)], memory=4), (0,), **{name: value})
