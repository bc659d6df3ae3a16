"""The family on which Sorted-F loses a factor of 3.32: batches, closed forms, limit."""

from __future__ import annotations

import pytest
import sympy

from kurtz.fluid.backlog import schedule, sorted_f_batches_fast
from kurtz.theory import InvalidInput
from kurtz.theory.backlog import BATCH_KINDS, BatchKind, total_latency
from kurtz.theory.backlog.gated_family import GatedFamily
from kurtz.theory.backlog.half_family import (
    HalfFamily,
    limit_of_rational,
    limit_ratio,
    reference_latency_bound,
    sorted_f_latency,
)
from kurtz.theory.backlog.patient_family import PatientFamily

SIZES = [(7, 1, 4, 1), (7, 2, 3, 1), (9, 1, 5, 1)]
RULES: dict[BatchKind, str] = {"peak-sum": "sorted-f", "common-start": "sorted-f-common-start"}

members = pytest.mark.parametrize("sizes", SIZES, ids=str)


def member(size: int, rounds: int, patients: int, waves: int) -> HalfFamily:
    gated = GatedFamily(size, rounds, 8 * size**3 * rounds)
    return HalfFamily(PatientFamily(gated, patients), waves)


@members
@pytest.mark.parametrize("kind", BATCH_KINDS)
def test_phase_one_selects_the_stated_batches(
    sizes: tuple[int, int, int, int], kind: BatchKind
) -> None:
    family = member(*sizes)
    assert sorted_f_batches_fast(family.backlog, kind) == family.batches


@members
@pytest.mark.parametrize("kind", BATCH_KINDS)
def test_latency_of_sorted_f_is_its_closed_form(
    sizes: tuple[int, int, int, int], kind: BatchKind
) -> None:
    family = member(*sizes)
    latency = total_latency(family.backlog, schedule(family.backlog, RULES[kind]))
    assert latency == family.value(sorted_f_latency())


@members
def test_reference_is_feasible_and_within_its_closed_form(
    sizes: tuple[int, int, int, int],
) -> None:
    family = member(*sizes)
    latency = total_latency(family.backlog, family.reference)
    bound = family.value(reference_latency_bound())
    assert 0.9 * bound < latency <= bound


def test_ratio_tends_to_the_stated_function_of_the_shares() -> None:
    x, y = sympy.symbols("x y", positive=True)
    stated = ((1 + 2 * x + x**2 / 2) * y**2 + (2 + x) * y + 1) / (
        (sympy.Rational(1, 2) + x / 2 + 3 * x**2 / 8) * y**2 + 1
    )
    assert sympy.simplify(limit_ratio(x, y) - stated) == 0


def test_limit_is_beyond_that_of_the_patient_family() -> None:
    assert limit_ratio() == sympy.Rational(41084, 12363)
    assert limit_ratio(sympy.Integer(0), sympy.Integer(2)) == 3


def test_no_shares_reach_3_324() -> None:
    # 3.324 times the denominator minus the numerator is a positive quadratic in y for all x:
    # its discriminant in y is negative.
    x, y = sympy.symbols("x y", positive=True)
    above, below = sympy.fraction(sympy.together(limit_ratio(x, y)))
    excess = sympy.Poly(sympy.Rational(3324, 1000) * below - above, y)
    assert excess.LC().subs(x, 0) > 0
    assert sympy.Poly(sympy.discriminant(excess.as_expr(), y), x).count_roots(0, None) == 0
    assert sympy.discriminant(excess.as_expr(), y).subs(x, 1) < 0


def test_a_limit_that_is_infinite_is_refused() -> None:
    x = sympy.Symbol("x")
    assert limit_of_rational((3 * x + 1) / (2 * x), (x,)) == sympy.Rational(3, 2)
    with pytest.raises(ArithmeticError):
        limit_of_rational(x**2 / (x + 1), (x,))


@pytest.mark.parametrize("size", [6, 8])
def test_an_even_size_is_refused(size: int) -> None:
    with pytest.raises(InvalidInput, match="size"):
        member(size, 2, 4, 1)


@pytest.mark.parametrize("waves", [0, 3])
def test_waves_out_of_range_are_refused(waves: int) -> None:
    with pytest.raises(InvalidInput, match="waves"):
        member(7, 2, 4, waves)
