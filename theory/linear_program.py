"""Linear programs in symbols, and their coefficients in any kind of number.

A program is written once, as SymPy expressions in named variables and parameters. Floating-point
solvers and exact ones read the same `StandardForm`, filled with floats or with fractions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy


@dataclass(frozen=True)
class Constraint:
    """``left <= right`` or, with ``equality``, ``left == right``; both sides affine."""

    name: str
    left: sympy.Expr
    right: sympy.Expr
    equality: bool = False


@dataclass(frozen=True)
class LinearProgram:
    """Maximise ``objective`` over nonnegative ``variables`` subject to ``constraints``.

    ``parameters`` are the free symbols that `standard_form` replaces by numbers, in order.
    """

    name: str
    parameters: tuple[sympy.Symbol, ...]
    variables: tuple[sympy.Symbol, ...]
    objective: sympy.Expr
    constraints: tuple[Constraint, ...]

    def standard_form(self, values: Sequence[Any]) -> StandardForm:
        """The coefficients at the parameter ``values``, in the arithmetic of those values."""
        objective, rows, bounds = _coefficient_function(self)(*values)
        return StandardForm(
            name=self.name,
            variables=tuple(v.name for v in self.variables),
            constraints=tuple(c.name for c in self.constraints),
            equalities=tuple(c.equality for c in self.constraints),
            objective=tuple(objective),
            rows=tuple(tuple(row) for row in rows),
            bounds=tuple(bounds),
        )


@dataclass(frozen=True)
class StandardForm:
    """Maximise objective . x over x >= 0 with rows . x <= bounds (== where ``equalities``)."""

    name: str
    variables: tuple[str, ...]
    constraints: tuple[str, ...]
    equalities: tuple[bool, ...]
    objective: tuple[Any, ...]
    rows: tuple[tuple[Any, ...], ...]
    bounds: tuple[Any, ...]

    def restricted_to(self, names: Sequence[str]) -> StandardForm:
        """The same program with only the constraints called ``names``."""
        keep = [k for k, name in enumerate(self.constraints) if name in names]
        return StandardForm(
            name=self.name,
            variables=self.variables,
            constraints=tuple(self.constraints[k] for k in keep),
            equalities=tuple(self.equalities[k] for k in keep),
            objective=self.objective,
            rows=tuple(self.rows[k] for k in keep),
            bounds=tuple(self.bounds[k] for k in keep),
        )

    def with_constraint(
        self, name: str, row: Sequence[Any], bound: Any, *, equality: bool = False
    ) -> StandardForm:
        """The same program with one more constraint."""
        return StandardForm(
            name=self.name,
            variables=self.variables,
            constraints=(*self.constraints, name),
            equalities=(*self.equalities, equality),
            objective=self.objective,
            rows=(*self.rows, tuple(row)),
            bounds=(*self.bounds, bound),
        )


@lru_cache(maxsize=64)
def _coefficient_function(program: LinearProgram) -> Any:
    """Compile objective, rows and bounds to a function of the parameters.

    Only + - * / occur, so that the compiled function works on floats and on fractions alike.
    """
    variables = program.variables
    rows, bounds = [], []
    for constraint in program.constraints:
        row, constant = _affine(constraint.left - constraint.right, variables)
        rows.append(row)
        bounds.append(-constant)
    objective, constant = _affine(program.objective, variables)
    for entry in (entry for row in [objective, bounds, *rows] for entry in row):
        if any(not number.is_Integer for number in sympy.sympify(entry).atoms(sympy.Number)):
            raise ValueError(f"{program.name}: {entry} would be rounded; use integers in it")
    if constant != 0:
        raise ValueError(f"{program.name}: the objective has the constant term {constant}")
    return sympy.lambdify(program.parameters, [objective, rows, bounds], modules="math")


def _affine(
    expression: sympy.Expr, variables: tuple[sympy.Symbol, ...]
) -> tuple[list[sympy.Expr], sympy.Expr]:
    polynomial = sympy.Poly(expression, *variables)
    if polynomial.total_degree() > 1:
        raise ValueError(f"{expression} is not affine in {variables}")
    constant = polynomial.coeff_monomial(1)
    return [polynomial.coeff_monomial(v) for v in variables], constant
