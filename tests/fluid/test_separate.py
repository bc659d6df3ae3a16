"""The separate program (42) and its one-dimensional concave form."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings

from kurtz.fluid import plan
from kurtz.fluid.separate import concave_form, decode_work_order
from kurtz.theory import InvalidInput, RequestClass, ServingNetwork, instance
from strategies import networks


@settings(max_examples=20, deadline=None)
@given(networks())
def test_the_separate_program_is_concave_in_one_variable(network: ServingNetwork) -> None:
    form = concave_form(network)
    _, value = form.maximum()
    assert plan(network, "separate").value == value
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(form.work)]
    assert slopes == sorted(slopes, reverse=True)


@settings(max_examples=12, deadline=None)
@given(networks(classes=(2, 4)))
def test_no_other_order_of_the_classes_does_better(network: ServingNetwork) -> None:
    order = decode_work_order(network)
    best = concave_form(network).maximum()[1]
    assert concave_form(network, order[::-1]).maximum()[1] <= best
    assert concave_form(network, (*order[1:], order[0])).maximum()[1] <= best


@settings(max_examples=12, deadline=None)
@given(networks())
def test_separate_charging_earns_at_least_as_much(network: ServingNetwork) -> None:
    # The bundled optimum is feasible, and prefills that complete are paid even so.
    assert plan(network, "separate").value >= plan(network).value


def test_negative_control_greedy_by_prompts_misses_the_optimum() -> None:
    # Prefill slots are scarce and decode slots are not: 256 * 50 / 1000 = 12.8 of 15 at X = 1.
    classes = (RequestClass("more", 1000, 50, 40, 0.1), RequestClass("less", 1000, 5, 40, 0.1))
    crowded = replace(instance("two-class"), classes=classes)
    wrong = concave_form(crowded, decode_work_order(crowded)[::-1]).maximum()[1]
    assert wrong < plan(crowded, "separate").value == concave_form(crowded).maximum()[1]


def test_section_2_9_value_of_the_papers_instance_under_separate_charging() -> None:
    # Everybody is prefilled: 0.5 (30 + 300) for prompts, and decode slots are full.
    solution = plan(instance("two-class"), "separate")
    assert float(solution.value) == pytest.approx(298.587, abs=5e-4)
    assert solution.prefill_queue == (0, 0)
    assert sum(solution.decode_queue) > 0
    assert concave_form(instance("two-class")).maximum() == (
        solution.mixed_share,
        solution.value,
    )


@settings(max_examples=12, deadline=None)
@given(networks())
def test_the_maximum_is_at_a_candidate(network: ServingNetwork) -> None:
    form = concave_form(network)
    end = form.work[-1][0]
    assume(end > 0)
    best = form.maximum()[1]
    assert all(form.revenue(end * Fraction(j, 25)) <= best for j in range(26))


def test_classes_that_never_abandon_are_refused() -> None:
    two = instance("two-class")
    patient = replace(two, classes=tuple(replace(c, patience_rate=0) for c in two.classes))
    with pytest.raises(InvalidInput, match="patience_rate = 0"):
        concave_form(patient)
