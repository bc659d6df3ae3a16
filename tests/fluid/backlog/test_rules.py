"""The rules by their names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from kurtz.fluid.backlog.rules import RULES, schedule
from kurtz.proofs_checks.testing import backlogs
from kurtz.theory.backlog import (
    Backlog,
    Schedule,
    batch_order,
    list_schedule,
    require_feasible,
    sorted_f_batches,
)
from kurtz.theory.errors import InvalidInput

SMALL = backlogs(max_requests=6, max_memory=12)
ORDERS = {
    "fcfs": lambda request: 0,
    "shortest-output": lambda request: request.output_tokens,
    "shortest-total": lambda request: request.peak,
    "longest-output": lambda request: -request.output_tokens,
    "mc-sf": lambda request: request.output_tokens,
    "smallest-volume": lambda request: request.volume,
}


@pytest.mark.parametrize("name", ORDERS)
@settings(deadline=None, max_examples=30)
@given(backlog=SMALL)
def test_orders_are_list_scheduled(name, backlog):
    key = ORDERS[name]
    order = sorted(range(len(backlog)), key=lambda i: (key(backlog.requests[i]), i))
    assert schedule(backlog, name) == list_schedule(backlog, order)


@settings(deadline=None)
@given(SMALL)
def test_first_come_with_skipping(backlog):
    expected = list_schedule(backlog, range(len(backlog)), blocked="skip")
    assert schedule(backlog, "fcfs-skip") == expected


@pytest.mark.parametrize(
    ("name", "kind"), [("sorted-f", "peak-sum"), ("sorted-f-common-start", "common-start")]
)
@settings(deadline=None, max_examples=30)
@given(backlog=SMALL)
def test_sorted_f_is_its_definition(name, kind, backlog):
    order = batch_order(backlog, sorted_f_batches(backlog, kind))
    assert schedule(backlog, name) == list_schedule(backlog, order)


@pytest.mark.parametrize("name", RULES)
@settings(deadline=None, max_examples=20)
@given(backlog=backlogs(max_requests=4, max_memory=8))
def test_every_rule_returns_a_feasible_schedule(name, backlog):
    require_feasible(backlog, schedule(backlog, name))


@pytest.mark.parametrize("name", RULES)
def test_every_rule_starts_a_request_alone_at_once(name):
    assert schedule(Backlog.of([(2, 3)], memory=5), name) == Schedule((0,))


def test_entries_know_their_names_and_describe_themselves_in_a_line():
    assert all(RULES[name].name == name for name in RULES)
    assert all(entry.description.strip().isprintable() for entry in RULES.values())


def test_an_unknown_rule_is_refused_with_the_names_of_the_known():
    with pytest.raises(InvalidInput, match=r"fcfs.*sorted-f.*optimal"):
        schedule(Backlog.of([(1, 1)], memory=4), "fastest")
