"""Optimality in five verbs, and a certificate that refuses every way of being wrong."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings

from kurtz.fluid import Certificate, plan
from kurtz.theory import CertificateError, ServingNetwork
from kurtz.theory.linear_program import StandardForm
from strategies import networks

# max 3 x + 2 y with x + y <= 4, x + 3 y <= 6, x - z == 1: x = 4, y = 0, z = 3, prices 3, 0, 0.
FORM = StandardForm(
    name="the example",
    variables=("x", "y", "z"),
    constraints=("sum", "slack", "balance"),
    equalities=(False, False, True),
    objective=(3, 2, 0),
    rows=((1, 1, 0), (1, 3, 0), (1, 0, -1)),
    bounds=(4, 6, 1),
)
PRIMAL = (Fraction(4), Fraction(0), Fraction(3))
DUAL = (Fraction(3), Fraction(0), Fraction(0))


def optimal(network: ServingNetwork) -> Certificate:
    return plan(network).certificate


def left_sides(certificate: Certificate) -> list[Fraction]:
    return [
        sum((a * x for a, x in zip(row, certificate.primal, strict=True)), Fraction(0))
        for row in certificate.form.rows
    ]


def reduced_costs(certificate: Certificate) -> list[Fraction]:
    """A'y - c, what a unit of each variable would lose."""
    form = certificate.form
    columns = zip(*form.rows, strict=True)
    return [
        sum((a * y for a, y in zip(column, certificate.dual, strict=True)), Fraction(0)) - c
        for column, c in zip(columns, form.objective, strict=True)
    ]


@settings(max_examples=25, deadline=None)
@given(networks(classes=(1, 3)))
def test_an_optimum_in_five_verbs(network: ServingNetwork) -> None:
    certificate = optimal(network)
    form, left, lost = certificate.form, left_sides(certificate), reduced_costs(certificate)
    rows = list(zip(left, form.bounds, form.equalities, certificate.dual, strict=True))
    # Primal feasibility.
    assert all(x >= 0 for x in certificate.primal)
    assert all(a == b if equality else a <= b for a, b, equality, _ in rows)
    # Dual feasibility.
    assert all(price >= 0 for _, _, equality, price in rows if not equality)
    # Stationarity: prices cover what every variable earns.
    assert all(loss >= 0 for loss in lost)
    # Complementarity.
    assert all(price * (b - a) == 0 for a, b, _, price in rows)
    assert all(x * loss == 0 for x, loss in zip(certificate.primal, lost, strict=True))
    # Objective.
    assert certificate.primal_objective == certificate.dual_objective


def test_the_example_is_optimal() -> None:
    assert Certificate(FORM, PRIMAL, DUAL).primal_objective == 12


@pytest.mark.parametrize(
    ("primal", "dual", "message"),
    [
        ((Fraction(-1), Fraction(5), Fraction(-2)), DUAL, "x = -1 < 0"),
        ((Fraction(5), Fraction(0), Fraction(4)), DUAL, "sum is violated by 1"),
        ((Fraction(1), Fraction(3), Fraction(0)), DUAL, "slack is violated by 4"),
        ((Fraction(4), Fraction(0), Fraction(2)), DUAL, "balance is violated by 1"),
        ((Fraction(4), Fraction(0), Fraction(4)), DUAL, "balance is violated by -1"),
        (PRIMAL, (Fraction(4), Fraction(-1), Fraction(0)), "the price of slack is -1 < 0"),
        (PRIMAL, (Fraction(2), Fraction(0), Fraction(0)), "x would still gain 1"),
        (PRIMAL, (Fraction(3), Fraction(0), Fraction(1)), "z would still gain 1"),
        (PRIMAL, (Fraction(4), Fraction(0), Fraction(0)), "12 differs from dual objective 16"),
        ((Fraction(1), Fraction(0), Fraction(0)), DUAL, "3 differs from dual objective 12"),
    ],
)
def test_every_corruption_is_refused(
    primal: tuple[Fraction, ...], dual: tuple[Fraction, ...], message: str
) -> None:
    with pytest.raises(CertificateError, match=f"^the example: .*{message}$"):
        Certificate(FORM, primal, dual)


def test_an_equation_may_have_a_negative_price() -> None:
    # max -z with z == x - 1, x <= 4: x = 1, z = 0; without the balance, x could fall to 0.
    form = replace(FORM, objective=(-1, 0, 0), constraints=("sum", "slack", "balance"))
    primal, dual = (Fraction(1), Fraction(0), Fraction(0)), (Fraction(0), Fraction(0), Fraction(-1))
    assert Certificate(form, primal, dual).primal_objective == -1


def test_a_rounded_solution_is_refused_however_close() -> None:
    form = StandardForm("a third", ("x",), ("row",), (True,), (1,), ((3,),), (1,))
    Certificate(form, (Fraction(1, 3),), (Fraction(1, 3),))
    with pytest.raises(CertificateError, match="row is violated"):
        Certificate(form, (1 / 3,), (Fraction(1, 3),))  # type: ignore[arg-type]
    with pytest.raises(CertificateError, match=r"gain|differs"):
        Certificate(form, (Fraction(1, 3),), (1 / 3,))  # type: ignore[arg-type]


@settings(max_examples=10, deadline=None)
@given(networks(classes=(1, 3)))
def test_every_single_change_of_a_plan_is_refused(network: ServingNetwork) -> None:
    certificate = optimal(network)
    for j, value in enumerate(certificate.primal):
        changed = list(certificate.primal)
        changed[j] = value + Fraction(1, 10**9)
        # Every variable stands in an equation.
        with pytest.raises(CertificateError, match="violated"):
            Certificate(certificate.form, tuple(changed), certificate.dual)
