"""The checks that simple rules lose without bound: they hold, and their controls are refuted."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from kurtz.fluid.backlog.rules import schedule
from kurtz.proofs_checks import Findings, Outcome
from kurtz.proofs_checks.backlog import smallest_losses, unbounded_ratio
from kurtz.proofs_checks.backlog.smallest_losses import (
    FACTORS,
    Range,
    backlogs_losing_more,
    fewest_requests,
    fewest_requests_derivation,
    loss,
    small_backlog,
)
from kurtz.proofs_checks.verdict import Level, Report
from kurtz.theory.backlog import Backlog, total_latency
from kurtz.theory.claims import Grade

CHECKS = (
    unbounded_ratio.check_first_come,
    unbounded_ratio.check_shortest_output,
    unbounded_ratio.check_shortest_total,
)
RULES = ("fcfs", "shortest-output", "shortest-total")


def silent(_: str) -> None:
    """Report nothing."""


@pytest.fixture(scope="module", params=CHECKS, ids=RULES)
def findings(request: pytest.FixtureRequest) -> Findings:
    check: Callable[[Level, Report], Findings] = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(unbounded_ratio.LARGEST_MEMORY, "quick", 90)
        patch.setitem(unbounded_ratio.MOST_REQUESTS_FOR_OPTIMA, "quick", 6)
        patch.setitem(smallest_losses.EXHAUSTED, "quick", {})
        return check("quick", silent)


def test_rule_loses_without_bound(findings: Findings) -> None:
    assert {each.outcome for each in findings.evidence} == {Outcome.HOLDS}
    grades = {each.grade for each in findings.evidence}
    assert grades == {Grade.PROVED, Grade.EXHAUSTED, Grade.CERTIFIED}


def test_every_control_is_refuted_piece_by_piece(findings: Findings) -> None:
    assert findings.controls
    for pieces in findings.controls.values():
        assert {piece.outcome for piece in pieces} == {Outcome.REFUTED}


def test_figures_show_closed_form_simulation_optima_bound_and_control(findings: Findings) -> None:
    assert findings.figures
    for draw in findings.figures.values():
        (axes,) = draw().axes
        assert len(axes.lines) == 5


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("factor", FACTORS)
def test_small_backlogs_lose_more_than_the_factor(rule: str, factor: int) -> None:
    backlog = small_backlog(rule, factor)
    assert loss(backlog, rule) > factor
    assert len(backlog) >= fewest_requests(rule, factor)


@pytest.mark.parametrize("factor", range(2, 12))
def test_the_small_backlog_of_fcfs_misses_the_factor_by_one_step_in_all(factor: int) -> None:
    backlog = small_backlog("fcfs", factor)
    started = schedule(backlog, "fcfs")
    other_way_round = factor**2 + factor + 2
    assert total_latency(backlog, started) == factor * other_way_round + 1


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("factor", FACTORS)
def test_fewer_requests_cannot_lose_so_much(rule: str, factor: int) -> None:
    assert fewest_requests_derivation(rule, factor).failing_steps() == ()


@pytest.mark.parametrize("rule", RULES)
def test_search_finds_the_small_backlog_at_its_own_memory(rule: str) -> None:
    backlog = small_backlog(rule, 2)
    within = Range(len(backlog), backlog.memory)
    assert any(found.memory == backlog.memory for found in backlogs_losing_more(rule, 2, within))


def test_search_passes_over_nothing() -> None:
    pairs = [(prompt, output) for output in range(1, 5) for prompt in range(5 - output)]
    every = {Backlog.of(triple, 4) for triple in product(pairs, repeat=3)}
    found = {b for b in backlogs_losing_more("fcfs", 1, Range(3, 4)) if b.memory == 4}
    assert found == {backlog for backlog in every if loss(backlog, "fcfs") > 1}


@pytest.mark.parametrize("rule", RULES)
def test_search_takes_requests_in_the_order_of_the_rule(rule: str) -> None:
    for backlog in backlogs_losing_more(rule, 1, Range(3, 3)):
        starts = schedule(backlog, rule).starts
        assert list(starts) == sorted(starts)
