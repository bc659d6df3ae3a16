"""An exact simplex method over the rationals, for the small programs of this package.

Steps (Bland, Math. Oper. Res. 2 (1977), 103-107, for the pivot rule):

1. write every constraint as an equation with a nonnegative slack where it was an inequality;
2. take as basis the first independent columns in a given order, the order in which a
   floating-point solver found the variables large; if its vertex is infeasible, or no order is
   given, find a feasible basis with artificial variables (phase one);
3. pivot by Bland's rule, which never cycles, until no reduced cost is positive;
4. for every further objective, pivot on the optimal face of the previous ones: only columns
   whose reduced cost is zero for all of them may enter. The result is a lexicographic optimum.

All numbers are rationals of SymPy's ``QQ``; nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from sympy import QQ
from sympy.polys.matrices import DomainMatrix

from ..theory.errors import InfeasibleError
from ..theory.linear_program import StandardForm


@dataclass(frozen=True)
class ExactVertex:
    """A lexicographically optimal vertex and a dual solution of the first objective."""

    primal: tuple[Fraction, ...]
    dual: tuple[Fraction, ...]


def lexicographic_maximum(
    form: StandardForm,
    objectives: Sequence[Sequence[Any]],
    order: Sequence[int] | None = None,
) -> ExactVertex:
    """Maximise ``objectives`` one after the other over the feasible set of ``form``.

    Parameters
    ----------
    form
        The program, in fractions; its own objective is not used.
    objectives
        Coefficient vectors over the variables, the most important first.
    order
        Columns (variables, then slacks of the inequalities in row order), the most likely
        basic ones first.

    Raises
    ------
    InfeasibleError
        No point meets all constraints; the message names an irreducible clashing set.
    ArithmeticError
        The first objective is unbounded.
    """
    columns, bounds = _equations(form)
    tableau = _crash(columns, bounds, order) if order is not None else None
    tableau = tableau or _phase_one(columns, bounds)
    if tableau is None:
        raise InfeasibleError(form.name, clashing_constraints(form))
    width = len(columns[0])
    allowed = set(range(width))
    for objective in objectives:
        cost = [_rational(c) for c in objective] + [QQ(0)] * (width - len(objective))
        reduced = tableau.optimise(cost, allowed)
        allowed = {j for j in allowed if reduced[j] == 0}
    values = tableau.values(width)
    first = [_rational(c) for c in objectives[0]] + [QQ(0)] * (width - len(objectives[0]))
    dual = _dual(columns, tableau.basis, first)
    return ExactVertex(
        primal=tuple(_fraction(v) for v in values[: len(form.variables)]),
        dual=tuple(_fraction(v) for v in dual),
    )


def is_feasible(form: StandardForm) -> bool:
    """Whether some nonnegative point meets all constraints, decided exactly."""
    columns, bounds = _equations(form)
    return _phase_one(columns, bounds) is not None


def clashing_constraints(form: StandardForm) -> tuple[str, ...]:
    """An irreducible infeasible set of constraints, by the deletion filter.

    Source: Chinneck and Dravnieks, ORSA J. Computing 3 (1991), 157-168.
    """
    needed = list(form.constraints)
    for name in form.constraints:
        fewer = [other for other in needed if other != name]
        if fewer and not is_feasible(form.restricted_to(fewer)):
            needed = fewer
    return tuple(needed)


class _Tableau:
    """Rows of B^-1 [A | b] for a primal feasible basis B."""

    def __init__(self, rows: list[list[Any]], basis: list[int]) -> None:
        self.rows = rows
        self.basis = basis

    def optimise(self, cost: list[Any], allowed: set[int]) -> list[Any]:
        """Pivot among ``allowed`` columns to the maximum of ``cost``; return reduced costs."""
        while True:
            reduced = self._reduced(cost)
            entering = min((j for j in allowed if reduced[j] > 0), default=None)
            if entering is None:
                return reduced
            ratios = [
                (row[-1] / row[entering], self.basis[r], r)
                for r, row in enumerate(self.rows)
                if row[entering] > 0
            ]
            if not ratios:
                raise ArithmeticError("the objective is unbounded")
            self.pivot(min(ratios)[2], entering)

    def pivot(self, leaving_row: int, entering: int) -> None:
        pivot_row = self.rows[leaving_row]
        scale = pivot_row[entering]
        pivot_row = [value / scale for value in pivot_row]
        self.rows[leaving_row] = pivot_row
        for r, row in enumerate(self.rows):
            factor = row[entering]
            if r != leaving_row and factor != 0:
                self.rows[r] = [a - factor * p for a, p in zip(row, pivot_row, strict=True)]
        self.basis[leaving_row] = entering

    def values(self, width: int) -> list[Any]:
        values = [QQ(0)] * width
        for row, column in zip(self.rows, self.basis, strict=True):
            values[column] = row[-1]
        return values

    def _reduced(self, cost: list[Any]) -> list[Any]:
        reduced = list(cost)
        for row, column in zip(self.rows, self.basis, strict=True):
            price = cost[column]
            if price != 0:
                reduced = [c - price * a for c, a in zip(reduced, row, strict=False)]
        return reduced


def _equations(form: StandardForm) -> tuple[list[list[Any]], list[Any]]:
    slack_count = form.equalities.count(False)
    rows, slack = [], 0
    for row, equality in zip(form.rows, form.equalities, strict=True):
        slacks = [QQ(0)] * slack_count
        if not equality:
            slacks[slack] = QQ(1)
            slack += 1
        rows.append([_rational(a) for a in row] + slacks)
    return rows, [_rational(b) for b in form.bounds]


def _crash(rows: list[list[Any]], bounds: list[Any], order: Sequence[int]) -> _Tableau | None:
    """The tableau of the first independent columns in ``order``; None if it is infeasible."""
    width = len(rows[0])
    shuffled = [[row[j] for j in order] + [b] for row, b in zip(rows, bounds, strict=True)]
    reduced, pivots = DomainMatrix(shuffled, (len(rows), width + 1), QQ).rref()
    if len(pivots) < len(rows) or width in pivots:
        return None
    position = {column: k for k, column in enumerate(order)}
    entries = reduced.to_list()
    tableau = [[row[position[j]] for j in range(width)] + [row[-1]] for row in entries]
    if any(row[-1] < 0 for row in tableau):
        return None
    return _Tableau(tableau, [order[p] for p in pivots])


def _phase_one(rows: list[list[Any]], bounds: list[Any]) -> _Tableau | None:
    """A feasible tableau by minimising the sum of artificial variables; None if impossible."""
    height, width = len(rows), len(rows[0])
    tableau_rows = []
    for r, (row, bound) in enumerate(zip(rows, bounds, strict=True)):
        sign = QQ(-1) if bound < 0 else QQ(1)
        artificial = [QQ(int(r == k)) for k in range(height)]
        tableau_rows.append([sign * a for a in row] + artificial + [sign * bound])
    tableau = _Tableau(tableau_rows, list(range(width, width + height)))
    cost = [QQ(0)] * width + [QQ(-1)] * height
    tableau.optimise(cost, set(range(width + height)))
    if any(row[-1] != 0 for row, j in zip(tableau.rows, tableau.basis, strict=True) if j >= width):
        return None
    # An artificial variable left in the basis at zero leaves it on any column of its row; a row
    # without one is a redundant equation.
    for r in reversed(range(height)):
        if tableau.basis[r] >= width:
            entering = next((j for j in range(width) if tableau.rows[r][j] != 0), None)
            if entering is None:
                del tableau.rows[r], tableau.basis[r]
            else:
                tableau.pivot(r, entering)
    return _Tableau([[*row[:width], row[-1]] for row in tableau.rows], tableau.basis)


def _dual(rows: list[list[Any]], basis: list[int], cost: list[Any]) -> list[Any]:
    """Solve y B = c_B; free components (redundant rows) are set to zero."""
    system = [[row[j] for row in rows] + [cost[j]] for j in basis]
    reduced, pivots = DomainMatrix(system, (len(basis), len(rows) + 1), QQ).rref()
    dual = [QQ(0)] * len(rows)
    for row, pivot in zip(reduced.to_list(), pivots, strict=False):
        dual[pivot] = row[-1]
    return dual


def _rational(value: Any) -> Any:
    fraction = Fraction(value)
    return QQ(fraction.numerator, fraction.denominator)


def _fraction(value: Any) -> Fraction:
    return Fraction(int(value.numerator), int(value.denominator))
