"""Three families on which Sorted-F loses a factor: phase one, closed forms, and limits."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.fluid.backlog.listing import fast_list_schedule
from kurtz.theory.backlog import (
    BATCH_KINDS,
    BatchKind,
    Schedule,
    batch_order,
    is_feasible_batch,
    list_schedule,
    require_feasible,
    sorted_f_batches,
    total_latency,
)
from kurtz.theory.backlog import blocking_family as blocking
from kurtz.theory.backlog import gated_family as gated
from kurtz.theory.backlog import patient_family as patient
from kurtz.theory.backlog.blocking_family import BlockingFamily
from kurtz.theory.backlog.gated_family import GatedFamily
from kurtz.theory.backlog.patient_family import PatientFamily
from kurtz.theory.errors import InvalidInput

Batches = tuple[tuple[int, ...], ...]

kinds = pytest.mark.parametrize("kind", BATCH_KINDS)


def least_unit(size: int, rounds: int) -> int:
    return 8 * size**3 * rounds


def gated_family(size: int, rounds: int, more_units: int = 0) -> GatedFamily:
    return GatedFamily(size, rounds, least_unit(size, rounds) + 2 * more_units)


@cache
def closed(form: Callable[[], sympy.Expr]) -> sympy.Expr:
    """A closed form, summed up once."""
    return form()


def batches_of_pairs(family: BlockingFamily) -> Batches:
    """The pairs in turn, then the patients together."""
    first = 2 * family.pairs
    pairs = ((2 * j, 2 * j + 1) for j in range(family.pairs))
    return (*pairs, tuple(range(first, first + family.patients)))


@st.composite
def blocking_families(draw: st.DrawFn, most_thirds: int = 4) -> BlockingFamily:
    thirds = draw(st.integers(1, most_thirds))
    patients = draw(st.integers(1, 8))
    unit = draw(st.integers(2, 6))
    return BlockingFamily(thirds, patients, unit, draw(st.sampled_from(BATCH_KINDS)))


@st.composite
def gated_families(draw: st.DrawFn, most_size: int = 5, most_rounds: int = 3) -> GatedFamily:
    size, rounds = draw(st.integers(3, most_size)), draw(st.integers(1, most_rounds))
    return gated_family(size, rounds, draw(st.integers(0, 50)))


@st.composite
def patient_families(draw: st.DrawFn) -> PatientFamily:
    rounds = draw(gated_families(most_size=4, most_rounds=3))
    return PatientFamily(rounds, draw(st.integers(1, 8)))


# Phase one by definition, up to 16 requests.


@kinds
@pytest.mark.parametrize("unit", [2, 3, 10])
@pytest.mark.parametrize(("thirds", "patients"), [(1, 1), (1, 2), (1, 5), (2, 1), (2, 2)])
def test_blocking_family_phase_one_takes_the_pairs_in_turn(
    thirds: int, patients: int, unit: int, kind: BatchKind
) -> None:
    family = BlockingFamily(thirds, patients, unit, kind)
    assert sorted_f_batches(family.backlog, kind) == batches_of_pairs(family)


@kinds
def test_blocking_family_of_sixteen_requests(kind: BatchKind) -> None:
    family = BlockingFamily(1, 10, 2, kind)
    assert len(family.backlog) == 16
    assert sorted_f_batches(family.backlog, kind) == batches_of_pairs(family)


@pytest.mark.parametrize("more_units", [0, 7])
@pytest.mark.parametrize(
    ("size", "rounds"), [(3, 1), (3, 2), (3, 3), (3, 4), (4, 2), (5, 2), (7, 2), (13, 1)]
)
def test_gated_family_phase_one_takes_rounds_and_gates_in_turn(
    size: int, rounds: int, more_units: int
) -> None:
    family = gated_family(size, rounds, more_units)
    assert sorted_f_batches(family.backlog, "common-start") == family.batches


@kinds
@pytest.mark.parametrize(
    ("size", "rounds", "patients"), [(3, 1, 1), (3, 1, 8), (3, 2, 3), (3, 3, 2), (4, 2, 4)]
)
def test_patient_family_phase_one_takes_the_rounds_and_then_the_patients(
    size: int, rounds: int, patients: int, kind: BatchKind
) -> None:
    family = PatientFamily(gated_family(size, rounds), patients)
    assert sorted_f_batches(family.backlog, kind) == family.batches


def test_negative_control_peak_sum_batches_of_the_gated_family_are_others() -> None:
    family = gated_family(3, 2)
    assert not all(is_feasible_batch(family.backlog, b, "peak-sum") for b in family.batches)
    assert sorted_f_batches(family.backlog, "peak-sum") != family.batches


# Closed forms against schedules.


@settings(deadline=None, max_examples=40)
@given(blocking_families())
def test_blocking_family_closed_form_is_the_schedule_of_phase_two(family: BlockingFamily) -> None:
    backlog = family.backlog
    schedule = fast_list_schedule(backlog, batch_order(backlog, batches_of_pairs(family)))
    assert total_latency(backlog, schedule) == family.value(closed(blocking.sorted_f_latency))


@settings(deadline=None, max_examples=40)
@given(blocking_families())
def test_blocking_family_closed_form_is_the_reference_schedule(family: BlockingFamily) -> None:
    latency = total_latency(family.backlog, family.reference)
    assert latency == family.value(closed(blocking.reference_latency))


def test_blocking_family_reference_leaves_a_long_request_its_growth_beside_patients() -> None:
    # The last B completes in step 17, a step before the last A and the patients.
    family = BlockingFamily(thirds=2, patients=2, unit=3, kind="common-start")
    require_feasible(family.backlog, family.reference)


@kinds
def test_blocking_family_in_phase_two_by_definition(kind: BatchKind) -> None:
    # Pair j starts at (j - 1) (3 q - 1) = 5 (j - 1), the patients with the last pair.
    family = BlockingFamily(1, 2, 2, kind)
    schedule = list_schedule(family.backlog, batch_order(family.backlog, batches_of_pairs(family)))
    assert schedule == Schedule((0, 0, 5, 5, 10, 10, 10, 10))
    assert family.reference == Schedule((0, 6, 2, 6, 4, 0, 0, 0))


@settings(deadline=None, max_examples=25)
@given(gated_families())
def test_gated_family_closed_form_is_the_schedule_of_phase_two(family: GatedFamily) -> None:
    backlog = family.backlog
    schedule = fast_list_schedule(backlog, batch_order(backlog, family.batches))
    assert total_latency(backlog, schedule) == family.value(closed(gated.sorted_f_latency))


@settings(deadline=None, max_examples=25)
@given(gated_families())
def test_gated_family_reference_is_feasible_within_its_bound(family: GatedFamily) -> None:
    bound = closed(gated.reference_latency_bound).subs(
        {gated.SIZE: family.size, gated.ROUNDS: family.rounds, gated.UNIT: family.unit}
    )
    latency = total_latency(family.backlog, family.reference)
    # A start of a long request is rounded up by less than its place in the row.
    assert bound - family.rounds**2 <= latency <= bound


@settings(deadline=None, max_examples=25)
@given(patient_families())
def test_patient_family_closed_form_is_the_schedule_of_phase_two(family: PatientFamily) -> None:
    backlog = family.backlog
    schedule = fast_list_schedule(backlog, batch_order(backlog, family.batches))
    assert total_latency(backlog, schedule) == family.value(closed(patient.sorted_f_latency))


@settings(deadline=None, max_examples=25)
@given(patient_families())
def test_patient_family_reference_is_feasible_within_its_bound(family: PatientFamily) -> None:
    bound = closed(patient.reference_latency_bound).subs(
        {
            gated.SIZE: family.rounds.size,
            gated.ROUNDS: family.rounds.rounds,
            gated.UNIT: family.rounds.unit,
            patient.PATIENTS: family.patients,
        }
    )
    assert total_latency(family.backlog, family.reference) <= bound


# Limits.


def test_blocking_family_limit_is_the_quotient_of_the_docstring() -> None:
    r = sympy.Symbol("r", positive=True)
    quotient = (3 * r**2 + 3 * r + 1) / (5 * r**2 / 3 + 1)
    assert sympy.simplify(blocking.limit_ratio(r) - quotient) == 0
    # Stationary at the best share, and only there among positive ones; less at both ends.
    stationary = sympy.solve(sympy.numer(sympy.together(quotient.diff(r))), r)
    assert [sympy.simplify(root - blocking.BEST_SHARE) for root in stationary] == [0]
    assert quotient.subs(r, 0) == 1
    assert sympy.limit(quotient, r, sympy.oo) == sympy.Rational(9, 5)
    assert abs(blocking.limit_ratio() - 2.6288205727) < 1e-9


def test_gated_family_limit_is_four() -> None:
    limit = gated.limit_ratio()
    assert limit.free_symbols == {gated.SIZE}
    assert sympy.limit(limit, gated.SIZE, sympy.oo) == 4
    # From below: no member of the family certifies 4 itself.
    assert sympy.simplify(4 - limit).subs(gated.SIZE, gated.SIZE + 3).is_positive


def test_patient_family_limit_is_three() -> None:
    limit = patient.limit_ratio()
    assert limit.free_symbols == {gated.SIZE}
    assert sympy.limit(limit, gated.SIZE, sympy.oo) == 3


def test_patient_family_share_of_patients_is_the_best() -> None:
    y = sympy.Symbol("y", positive=True)
    quotient = (1 + y) ** 2 / (1 + y**2 / 2)
    assert sympy.solve(sympy.numer(sympy.together(quotient.diff(y))), y) == [2]
    assert quotient.subs(y, 2) == 3


def test_a_member_of_the_blocking_family_comes_close_to_the_limit() -> None:
    family = BlockingFamily(thirds=36, patients=99, unit=100)
    latencies = (blocking.sorted_f_latency, blocking.reference_latency)
    rule, reference = (family.value(closed(latency)) for latency in latencies)
    assert sympy.Rational(24, 10) < sympy.Rational(rule, reference) < blocking.limit_ratio()


# What is refused.


@pytest.mark.parametrize(
    ("thirds", "patients", "unit", "field"),
    [(0, 1, 2, "thirds"), (1, 0, 2, "patients"), (1, 1, 1, "unit")],
)
def test_blocking_family_refuses(thirds: int, patients: int, unit: int, field: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{field} = "):
        BlockingFamily(thirds, patients, unit)


def test_blocking_family_refuses_an_unknown_kind() -> None:
    with pytest.raises(InvalidInput, match=r"^kind = 'peaksum' is .*: expected one of peak-sum, c"):
        BlockingFamily(1, 1, 2, "peaksum")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "rounds", "unit", "field"),
    [(2, 1, 500, "size"), (3, 0, 500, "rounds"), (3, 1, 214, "unit"), (3, 1, 217, "unit")],
)
def test_gated_family_refuses(size: int, rounds: int, unit: int, field: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{field} = "):
        GatedFamily(size, rounds, unit)


@pytest.mark.parametrize("patients", [0, -1, 1.5])
def test_patient_family_refuses(patients) -> None:
    with pytest.raises(InvalidInput, match=r"^patients = "):
        PatientFamily(gated_family(3, 1), patients)
