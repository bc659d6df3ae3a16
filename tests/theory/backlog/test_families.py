"""Counterexamples: schedules as stated, closed forms, bounds for every M, and what they need."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.theory import InvalidInput
from kurtz.theory.backlog import InvalidSchedule, total_latency
from kurtz.theory.backlog.counterexamples import (
    BLOCKING_HEAD,
    COUNTEREXAMPLES,
    FIRST_COME,
    SHORTEST_OUTPUT,
    SHORTEST_TOTAL,
    Counterexample,
)
from kurtz.theory.backlog.families import MEMORY, Family

CONTROLS = [control for each in COUNTEREXAMPLES for control in each.controls]
FAMILIES = [each.family for each in COUNTEREXAMPLES] + CONTROLS

counterexamples = pytest.mark.parametrize(
    "counterexample", COUNTEREXAMPLES, ids=lambda each: each.family.name
)
families = pytest.mark.parametrize("family", FAMILIES, ids=lambda each: each.name)
memories = st.integers(36, 100)


@families
def test_rule_starts_every_request_as_stated_from_the_least_memory_on(family: Family) -> None:
    for memory in range(family.least_memory, family.least_memory + 25):
        assert family.simulated_schedule(memory) == family.rule_schedule(memory)


@families
@settings(deadline=None, max_examples=12)
@given(memory=memories)
def test_rule_starts_every_request_as_stated(family: Family, memory: int) -> None:
    assert family.simulated_schedule(memory) == family.rule_schedule(memory)


@families
@settings(deadline=None, max_examples=12)
@given(memory=memories)
def test_closed_forms_are_the_latencies_of_the_schedules(family: Family, memory: int) -> None:
    backlog = family.backlog(memory)
    for expression, schedule in (
        (family.rule_latency, family.rule_schedule(memory)),
        (family.reference_latency, family.reference_schedule(memory)),
    ):
        assert family.value(expression, memory) == total_latency(backlog, schedule)
    assert family.value(family.outputs, memory) == backlog.outputs.sum()


@counterexamples
@settings(deadline=None, max_examples=12)
@given(memory=memories)
def test_ratio_keeps_to_its_bound(counterexample: Counterexample, memory: int) -> None:
    bound = counterexample.family.value(counterexample.bound, memory)
    assert counterexample.ratio_at(memory) >= Fraction(int(bound.p), int(bound.q))


@counterexamples
def test_ratio_grows_without_bound_and_no_faster_than_stated(
    counterexample: Counterexample,
) -> None:
    family = counterexample.family
    assert family.limit(counterexample.ratio) == sympy.oo
    assert family.limit(counterexample.ratio / counterexample.growth) == 1
    assert family.limit(counterexample.bound / counterexample.growth) == 1


@pytest.mark.parametrize("control", CONTROLS, ids=lambda each: each.name)
def test_without_what_it_takes_the_rule_loses_at_most_a_constant(control: Family) -> None:
    assert control.limit(control.rule_latency / control.outputs) <= sympy.Rational(5, 3)


@counterexamples
@settings(deadline=None, max_examples=12)
@given(memory=memories)
def test_equal_prompts_are_the_only_change_in_the_first_control(
    counterexample: Counterexample, memory: int
) -> None:
    requests = counterexample.family.backlog(memory).requests
    changed = [replace(request, prompt_tokens=1) for request in requests]
    control = counterexample.controls[0].backlog(memory).requests
    assert [r.output_tokens for r in changed] == [r.output_tokens for r in control]
    assert {r.prompt_tokens for r in control} == {1}


@counterexamples
def test_derivation_holds(counterexample: Counterexample) -> None:
    assert counterexample.derivation().failing_steps() == ()


@counterexamples
def test_every_hypothesis_of_the_derivation_is_needed(counterexample: Counterexample) -> None:
    derivation = counterexample.derivation()
    for name, _ in derivation.hypotheses:
        assert derivation.failing_steps(without=name)


@counterexamples
def test_a_bound_that_is_one_percent_larger_is_not_derived(
    counterexample: Counterexample,
) -> None:
    bound = counterexample.bound * sympy.Rational(101, 100)
    assert replace(counterexample, bound=bound).derivation().failing_steps()


def test_known_latencies_at_memories_100_and_900() -> None:
    # By hand: a = 10, b = 50 gives 55 + 550 and 50 + 10 + 55; and so on.
    known = {
        100: {FIRST_COME: (605, 115), SHORTEST_OUTPUT: (451, 141), SHORTEST_TOTAL: (1575, 217)},
        900: {
            FIRST_COME: (14415, 945),
            SHORTEST_OUTPUT: (10065, 1125),
            SHORTEST_TOTAL: (39517, 1843),
            BLOCKING_HEAD: (406797, 1352),
        },
    }
    for memory, latencies in known.items():
        for each, (rule, reference) in latencies.items():
            assert each.family.value(each.rule_latency, memory) == rule
            assert each.family.value(each.reference_latency, memory) == reference


def test_closed_form_in_memory_alone_has_the_floors() -> None:
    expected = sympy.floor(sympy.sqrt(MEMORY)) / 2
    assert FIRST_COME.family.in_memory(FIRST_COME.bound) == expected


@families
def test_memory_below_the_least_is_refused(family: Family) -> None:
    with pytest.raises(InvalidInput, match="memory"):
        family.backlog(family.least_memory - 1)


def test_a_stated_schedule_that_breaks_the_budget_is_refused() -> None:
    family = FIRST_COME.family
    large, small = family.groups
    wrong = replace(family, groups=(replace(large, start=sympy.Integer(0)), small))
    with pytest.raises(InvalidSchedule):
        wrong.rule_schedule(36)
