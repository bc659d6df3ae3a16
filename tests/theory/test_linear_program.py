"""A program written in symbols becomes coefficients in the arithmetic of its parameters."""

from __future__ import annotations

from fractions import Fraction

import pytest
import sympy

from kurtz.theory.linear_program import Constraint, LinearProgram

A, B = sympy.symbols("a b")
X, Y = sympy.symbols("x y", nonnegative=True)
PROGRAM = LinearProgram(
    name="a small program",
    parameters=(A, B),
    variables=(X, Y),
    objective=A * X + (X + Y) / B,
    constraints=(
        Constraint("both", X + B * Y, 1 + A),
        Constraint("moved", 2 * X + 3, A * Y + 5),
        Constraint("equal", X, Y, equality=True),
    ),
)


def test_terms_are_collected_on_their_sides() -> None:
    form = PROGRAM.standard_form((Fraction(1, 3), Fraction(2)))
    assert form.objective == (Fraction(5, 6), Fraction(1, 2))
    assert form.rows == ((1, 2), (2, Fraction(-1, 3)), (1, -1))
    assert form.bounds == (Fraction(4, 3), 2, 0)
    assert form.equalities == (False, False, True)
    assert (form.variables, form.constraints) == (("x", "y"), ("both", "moved", "equal"))


def test_floats_give_floats() -> None:
    form = PROGRAM.standard_form((0.25, 2.0))
    assert form.objective == (0.75, 0.5)


def test_a_restriction_keeps_the_named_constraints_in_their_order() -> None:
    form = PROGRAM.standard_form((1, 2)).restricted_to(["equal", "both"])
    assert form.constraints == ("both", "equal")
    assert form.rows == ((1, 2), (1, -1))
    assert form.bounds == (2, 0)
    assert form.equalities == (False, True)


def test_a_constraint_is_added_last() -> None:
    form = PROGRAM.standard_form((1, 2)).with_constraint("new", [7, 8], 9, equality=True)
    assert (form.constraints[-1], form.rows[-1], form.bounds[-1]) == ("new", (7, 8), 9)
    assert form.equalities == (False, False, True, True)


def test_a_product_of_variables_is_refused() -> None:
    program = LinearProgram("bad", (), (X, Y), X, (Constraint("product", X * Y, sympy.S.One),))
    with pytest.raises(ValueError, match="not affine"):
        program.standard_form(())


def test_a_constant_in_the_objective_is_refused() -> None:
    program = LinearProgram("bad", (A,), (X,), X + A, (Constraint("c", X, sympy.S.One),))
    with pytest.raises(ValueError, match="bad: the objective has the constant term a"):
        program.standard_form((1,))
