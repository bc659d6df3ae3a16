"""Members of the families that bound Sorted-F's ratio from below, in one form for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial

import sympy

from ...theory.backlog import (
    Backlog,
    BatchKind,
    Schedule,
    blocking_family,
    gated_family,
    half_family,
    patient_family,
)
from ...theory.backlog.batches import Batch
from ...theory.backlog.blocking_family import BlockingFamily
from ...theory.backlog.gated_family import GatedFamily
from ...theory.backlog.half_family import HalfFamily, limit_of_rational
from ...theory.backlog.patient_family import PatientFamily

KIND_OF_RULE: dict[str, BatchKind] = {
    "sorted-f": "peak-sum",
    "sorted-f-common-start": "common-start",
}
BOTH = tuple(KIND_OF_RULE)


@dataclass(frozen=True)
class Member:
    """One backlog of a family, and what the family says of it.

    Attributes
    ----------
    family, name
        The family's name, and the member's with its parameters.
    rules
        The variants of Sorted-F of which the family speaks.
    batches
        What phase one must select.
    latency
        TEL(Sorted-F) by the closed form.
    reference_bound
        Upper bound on TEL of the reference by the closed form.
    """

    family: str
    name: str
    rules: tuple[str, ...]
    backlog: Backlog
    batches: tuple[Batch, ...]
    reference: Schedule
    latency: int
    reference_bound: Fraction


@dataclass(frozen=True)
class RatioFamily:
    """A family with the limit of its ratio.

    Attributes
    ----------
    limit
        The limit by SymPy.
    claimed
        What it must be.
    sizes
        Requests and ratio by the closed forms for growing members, for figures.
    """

    name: str
    rules: tuple[str, ...]
    limit: Callable[[], sympy.Expr]
    claimed: sympy.Expr
    sizes: Callable[[], list[tuple[int, float]]]


def blocking(thirds: int, patients: int, unit: int, kind: BatchKind) -> Member:
    """A member of `kurtz.theory.backlog.blocking_family`."""
    family = BlockingFamily(thirds, patients, unit, kind)
    pairs = family.pairs
    return Member(
        "blocking",
        f"blocking({thirds}, {patients}, {unit}, {kind})",
        tuple(rule for rule, of_rule in KIND_OF_RULE.items() if of_rule == kind),
        family.backlog,
        (
            *((2 * place, 2 * place + 1) for place in range(pairs)),
            tuple(range(2 * pairs, 2 * pairs + patients)),
        ),
        family.reference,
        int(family.value(_closed_form(blocking_family.sorted_f_latency))),
        _fraction(family.value(_closed_form(blocking_family.reference_latency))),
    )


def gated(size: int, rounds: int) -> Member:
    """A member of `kurtz.theory.backlog.gated_family`, with its least unit."""
    family = _rounds(size, rounds)
    return Member(
        "gated",
        f"gated({size}, {rounds})",
        ("sorted-f-common-start",),
        family.backlog,
        family.batches,
        family.reference,
        family.value(_closed_form(gated_family.sorted_f_latency)),
        _fraction(_at(_closed_form(gated_family.reference_latency_bound), family)),
    )


def patient(size: int, rounds: int, patients: int) -> Member:
    """A member of `kurtz.theory.backlog.patient_family`, with its least unit."""
    family = PatientFamily(_rounds(size, rounds), patients)
    bound = _closed_form(patient_family.reference_latency_bound).subs(
        patient_family.PATIENTS, patients
    )
    return Member(
        "patient",
        f"patient({size}, {rounds}, {patients})",
        BOTH,
        family.backlog,
        family.batches,
        family.reference,
        family.value(_closed_form(patient_family.sorted_f_latency)),
        _fraction(_at(bound, family.rounds)),
    )


def half(size: int, rounds: int, patients: int, waves: int) -> Member:
    """A member of `kurtz.theory.backlog.half_family`, with its least unit."""
    family = HalfFamily(PatientFamily(_rounds(size, rounds), patients), waves)
    bound = _closed_form(half_family.reference_latency_bound).subs(
        {patient_family.PATIENTS: patients, half_family.WAVES: waves}
    )
    return Member(
        "half",
        f"half({size}, {rounds}, {patients}, {waves})",
        BOTH,
        family.backlog,
        family.batches,
        family.reference,
        family.value(_closed_form(half_family.sorted_f_latency)),
        _fraction(_at(bound, family.others.rounds)),
    )


def small_members(most_requests: int = 200) -> Iterator[Member]:
    """The members that are in the database, those with at most so many requests."""
    kinds: tuple[BatchKind, ...] = ("peak-sum", "common-start")
    listed: tuple[tuple[int, Callable[[], Member]], ...] = (
        *(
            (requests, partial(blocking, thirds, patients, unit, kind))
            for requests, thirds, patients, unit in (
                (8, 1, 2, 3),
                (16, 2, 4, 6),
                (35, 4, 11, 20),
                (105, 12, 33, 60),
            )
            for kind in kinds
        ),
        *((k * (n + 1), partial(gated, n, k)) for n, k in ((3, 2), (4, 3), (5, 4), (6, 5))),
        *(
            (k * (n + 1) + m, partial(patient, n, k, m))
            for n, k, m in ((3, 2, 4), (4, 3, 7), (5, 4, 11))
        ),
        *((k * 8 + m + 12, partial(half, 7, k, m, 1)) for k, m in ((1, 4), (2, 8), (3, 12))),
    )
    for requests, member in listed:
        if requests <= most_requests:
            yield member()


@cache
def _closed_form(latency: Callable[[], sympy.Expr]) -> sympy.Expr:
    """A closed form, which SymPy takes a while to sum up."""
    return latency()


@cache
def _sizes_of_blocking() -> list[tuple[int, float]]:
    ratio = _closed_form(blocking_family.sorted_f_latency) / _closed_form(
        blocking_family.reference_latency
    )
    found = []
    for thirds in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024):
        patients = max(1, round(3 * thirds / 1.0859))
        family = BlockingFamily(thirds, patients, 100 * patients)
        found.append((2 * family.pairs + patients, float(family.value(ratio))))
    return found


@cache
def _sizes_of_gated() -> list[tuple[int, float]]:
    ratio = _closed_form(gated_family.sorted_f_latency) / _closed_form(
        gated_family.reference_latency_bound
    )
    found = []
    for size in (4, 6, 8, 12, 16, 24, 32, 48, 64):
        family = _rounds(size, 3 * size, 100)
        found.append((3 * size * (size + 1), float(_at(ratio, family))))
    return found


@cache
def _sizes_of_patient() -> list[tuple[int, float]]:
    ratio = _closed_form(patient_family.sorted_f_latency) / _closed_form(
        patient_family.reference_latency_bound
    )
    found = []
    for size in (3, 5, 8, 12, 16, 24, 32, 48, 64):
        rounds, patients = size, size * size // 2
        at_patients = ratio.subs(patient_family.PATIENTS, patients)
        requests = rounds * (size + 1) + patients
        found.append((requests, float(_at(at_patients, _rounds(size, rounds, 100)))))
    return found


@cache
def _sizes_of_half() -> list[tuple[int, float]]:
    ratio = _closed_form(half_family.sorted_f_latency) / _closed_form(
        half_family.reference_latency_bound
    )
    found = []
    for size in (7, 9, 13, 17, 25, 33, 49, 65):
        rounds = size
        waves = max(1, round(rounds * 0.3))
        patients = size * rounds * 4 // 7
        parameters = {patient_family.PATIENTS: patients, half_family.WAVES: waves}
        requests = rounds * (size + 1) + 2 * (size - 1) * waves + patients
        value = _at(ratio.subs(parameters), _rounds(size, rounds, 100))
        found.append((requests, float(value)))
    return found


@cache
def _limit_of_patient() -> sympy.Expr:
    """For q, then k with m = n k / 2, then n to infinity."""
    ratio = _closed_form(patient_family.sorted_f_latency) / _closed_form(
        patient_family.reference_latency_bound
    )
    patients = gated_family.SIZE * gated_family.ROUNDS / 2
    return limit_of_rational(ratio.subs(patient_family.PATIENTS, patients), _TO_INFINITY)


@cache
def _limit_of_gated() -> sympy.Expr:
    """For q, then k, then n to infinity."""
    ratio = _closed_form(gated_family.sorted_f_latency) / _closed_form(
        gated_family.reference_latency_bound
    )
    return limit_of_rational(ratio, _TO_INFINITY)


_TO_INFINITY = (gated_family.UNIT, gated_family.ROUNDS, gated_family.SIZE)

FAMILIES = (
    RatioFamily(
        "blocking",
        BOTH,
        partial(_closed_form, blocking_family.limit_ratio),
        (9 + sympy.sqrt(151)) / 10 + sympy.Rational(1, 2),
        _sizes_of_blocking,
    ),
    RatioFamily(
        "patient",
        BOTH,
        _limit_of_patient,
        sympy.Integer(3),
        _sizes_of_patient,
    ),
    RatioFamily(
        "half",
        BOTH,
        partial(_closed_form, half_family.limit_ratio),
        sympy.Rational(41084, 12363),
        _sizes_of_half,
    ),
    RatioFamily(
        "gated",
        ("sorted-f-common-start",),
        _limit_of_gated,
        sympy.Integer(4),
        _sizes_of_gated,
    ),
)


def _rounds(size: int, rounds: int, times: int = 1) -> GatedFamily:
    return GatedFamily(size, rounds, 8 * size**3 * rounds * times)


def _at(expression: sympy.Expr, rounds: GatedFamily) -> sympy.Expr:
    return expression.subs(
        {
            gated_family.SIZE: rounds.size,
            gated_family.ROUNDS: rounds.rounds,
            gated_family.UNIT: rounds.unit,
        }
    )


def _fraction(value: sympy.Expr) -> Fraction:
    number = sympy.Rational(value)
    return Fraction(int(number.p), int(number.q))
