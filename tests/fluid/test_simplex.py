"""The exact simplex method against HiGHS, against examples from the literature, and by hand."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from kurtz.fluid import Certificate
from kurtz.fluid.simplex import (
    _Tableau,
    clashing_constraints,
    is_feasible,
    lexicographic_maximum,
)
from kurtz.theory import InfeasibleError
from kurtz.theory.linear_program import StandardForm

OPTIMAL, INFEASIBLE, UNBOUNDED = 0, 2, 3


def program(
    objective: list[Any], rows: list[list[Any]], bounds: list[Any], equalities: str = ""
) -> StandardForm:
    """Maximise objective . x; row k is an equation where ``equalities`` has "=" at place k."""
    marks = equalities or "<" * len(rows)
    return StandardForm(
        name="the test program",
        variables=tuple(f"x{j}" for j in range(len(objective))),
        constraints=tuple(f"row {k}" for k in range(len(rows))),
        equalities=tuple(mark == "=" for mark in marks),
        objective=tuple(objective),
        rows=tuple(map(tuple, rows)),
        bounds=tuple(bounds),
    )


@st.composite
def programs(draw: st.DrawFn, boxed: bool = False) -> StandardForm:
    """A small program with integer data, often infeasible, degenerate or unbounded."""
    width, height = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    small = st.integers(-3, 3)
    rows = [draw(st.lists(small, min_size=width, max_size=width)) for _ in range(height)]
    bounds = draw(st.lists(st.integers(-2, 4), min_size=height, max_size=height))
    marks = draw(st.lists(st.sampled_from("<="), min_size=height, max_size=height))
    if draw(st.booleans()):  # a redundant row, in a multiple
        rows.append([2 * a for a in rows[0]])
        bounds.append(2 * bounds[0])
        marks.append(marks[0])
    if boxed:
        rows.append([1] * width)
        bounds.append(5)
        marks.append("<")
    objective = draw(st.lists(small, min_size=width, max_size=width))
    return program(objective, rows, bounds, "".join(marks))


def highs(form: StandardForm) -> Any:
    rows, bounds = np.array(form.rows, float), np.array(form.bounds, float)
    equal = np.array(form.equalities)
    return linprog(
        -np.array(form.objective, float),
        A_ub=rows[~equal] if (~equal).any() else None,
        b_ub=bounds[~equal] if (~equal).any() else None,
        A_eq=rows[equal] if equal.any() else None,
        b_eq=bounds[equal] if equal.any() else None,
        method="highs-ds",
        options={"presolve": False},
    )


def column_orders(form: StandardForm) -> st.SearchStrategy[list[int]]:
    return st.permutations(range(len(form.variables) + form.equalities.count(False)))


@settings(max_examples=300)
@given(programs(), st.data())
def test_outcome_and_value_are_those_of_highs(form: StandardForm, data: st.DataObject) -> None:
    order = data.draw(st.none() | column_orders(form))
    reference = highs(form)
    assert is_feasible(form) == (reference.status != INFEASIBLE)
    if reference.status == INFEASIBLE:
        with pytest.raises(InfeasibleError, match="the test program is infeasible"):
            lexicographic_maximum(form, [form.objective], order)
    elif reference.status == UNBOUNDED:
        with pytest.raises(ArithmeticError, match="unbounded"):
            lexicographic_maximum(form, [form.objective], order)
    else:
        assert reference.status == OPTIMAL
        vertex = lexicographic_maximum(form, [form.objective], order)
        # The certificate proves optimality without trusting either solver.
        value = Certificate(form, vertex.primal, vertex.dual).primal_objective
        assert float(value) == pytest.approx(-reference.fun, abs=1e-9)


@settings(max_examples=200)
@given(programs(boxed=True), st.data())
def test_later_objectives_are_optimal_on_the_optimal_face_of_the_earlier(
    form: StandardForm, data: st.DataObject
) -> None:
    assume(is_feasible(form))
    coefficients = st.lists(
        st.integers(-2, 2), min_size=len(form.variables), max_size=len(form.variables)
    )
    objectives = [list(form.objective), data.draw(coefficients), data.draw(coefficients)]
    vertex = lexicographic_maximum(form, objectives, data.draw(st.none() | column_orders(form)))
    Certificate(form, vertex.primal, vertex.dual)
    face = form
    for k, objective in enumerate(objectives):
        best = lexicographic_maximum(face, [objective])
        value = sum(c * x for c, x in zip(objective, best.primal, strict=True))
        assert value == sum(c * x for c, x in zip(objective, vertex.primal, strict=True))
        face = face.with_constraint(f"face {k}", objective, value, equality=True)


@settings(max_examples=100)
@given(programs(boxed=True), st.data())
def test_a_complete_list_of_objectives_makes_the_vertex_independent_of_the_column_order(
    form: StandardForm, data: st.DataObject
) -> None:
    assume(is_feasible(form))
    width = len(form.variables)
    objectives = [form.objective, *np.eye(width, dtype=int).tolist()]
    vertices = {
        lexicographic_maximum(form, objectives, order).primal
        for order in (None, data.draw(column_orders(form)), data.draw(column_orders(form)))
    }
    assert len(vertices) == 1


def test_tie_breaks_choose_the_end_of_the_optimal_edge() -> None:
    edge = program([1, 1], [[1, 1]], [1])
    assert lexicographic_maximum(edge, [[1, 1], [1, 0]]).primal == (1, 0)
    assert lexicographic_maximum(edge, [[1, 1], [-1, 0]]).primal == (0, 1)


def test_the_dual_belongs_to_the_first_objective() -> None:
    edge = program([1, 1], [[1, 1]], [1])
    assert lexicographic_maximum(edge, [[1, 1], [100, 0]]).dual == (1,)


def test_redundant_equations_are_dropped_and_get_the_price_zero() -> None:
    form = program([1, 0], [[1, 1], [2, 2], [1, 0]], [1, 2, Fraction(1, 3)], "==<")
    vertex = lexicographic_maximum(form, [form.objective])
    assert vertex.primal == (Fraction(1, 3), Fraction(2, 3))
    assert Certificate(form, vertex.primal, vertex.dual).primal_objective == Fraction(1, 3)


# Beale (1955): from the slack basis the largest-coefficient rule returns after six pivots.
BEALE = program(
    [Fraction(3, 4), -20, Fraction(1, 2), -6],
    [[Fraction(1, 4), -8, -1, 9], [Fraction(1, 2), -12, Fraction(-1, 2), 3], [0, 0, 1, 0]],
    [0, 0, 1],
)


def test_blands_rule_does_not_cycle_on_beales_example() -> None:
    slacks_first = [4, 5, 6, 0, 1, 2, 3]
    vertex = lexicographic_maximum(BEALE, [BEALE.objective], slacks_first)
    assert vertex.primal == (1, 0, 1, 0)
    value = Certificate(BEALE, vertex.primal, vertex.dual).primal_objective
    assert value == Fraction(5, 4)


def test_negative_control_the_largest_coefficient_rule_cycles_on_beales_example() -> None:
    rows = [
        [*map(Fraction, row), *(Fraction(int(r == k)) for k in range(3)), Fraction(bound)]
        for r, (row, bound) in enumerate(zip(BEALE.rows, BEALE.bounds, strict=True))
    ]
    tableau = _Tableau(rows, [4, 5, 6])
    cost = [*map(Fraction, BEALE.objective), *[Fraction(0)] * 3]
    visited = [tuple(tableau.basis)]
    for _ in range(6):
        reduced = tableau._reduced(cost)
        entering = max(range(7), key=lambda j: reduced[j])
        ratios = {
            r: row[-1] / row[entering] for r, row in enumerate(tableau.rows) if row[entering] > 0
        }
        tableau.pivot(min(ratios, key=lambda r: (ratios[r], r)), entering)
        visited.append(tuple(tableau.basis))
    assert visited[6] == visited[0]
    assert all(before != after for before, after in pairwise(visited))


def test_klee_minty_cube_is_solved_exactly() -> None:
    # Maximise sum 2^(3-j) x_j; the optimum is the last vertex of the cube, (0, 0, 125).
    form = program([4, 2, 1], [[1, 0, 0], [4, 1, 0], [8, 4, 1]], [5, 25, 125])
    assert lexicographic_maximum(form, [form.objective]).primal == (0, 0, 125)


@settings(max_examples=150)
@given(programs())
def test_clashing_constraints_are_infeasible_and_irreducible(form: StandardForm) -> None:
    assume(not is_feasible(form))
    clashing = clashing_constraints(form)
    assert clashing
    assert not is_feasible(form.restricted_to(clashing))
    for name in clashing:
        rest = [other for other in clashing if other != name]
        assert not rest or is_feasible(form.restricted_to(rest))


def test_a_constraint_that_clashes_with_the_signs_alone_is_named() -> None:
    form = program([0], [[1], [1]], [5, -1], "<=")
    assert clashing_constraints(form) == ("row 1",)


def test_an_infeasible_program_names_what_clashes() -> None:
    form = program([1, 1], [[1, 1], [1, 0], [-1, 0], [0, 1]], [9, 1, -2, 3])
    with pytest.raises(InfeasibleError, match=r"constraints clash: row 1, row 2$") as caught:
        lexicographic_maximum(form, [form.objective])
    assert caught.value.clashing == ("row 1", "row 2")
