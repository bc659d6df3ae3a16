"""Derivations that a computer algebra system checks step by step.

A derivation assumes that certain expressions are nonnegative (its hypotheses) and consists of

* identities: two expressions equal for all parameter values, and
* inequalities: larger - smaller equals a sum of products, every factor of which is a hypothesis
  or a symbol declared nonnegative.

SymPy simplifies each step to 0 or the step fails; nothing else is trusted. Sums over an arbitrary
number of classes are formal (`ClassSum`): an expression in the symbols of one class turns into
a combination of symbols such as ``Σ[x]``, by linearity, which is all that is ever used of a sum.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sympy


@dataclass(frozen=True)
class Identity:
    """``left == right`` for all values of the symbols."""

    name: str
    left: sympy.Expr
    right: sympy.Expr

    def holds(self, hypotheses: Iterable[sympy.Expr]) -> bool:
        """Whether the difference simplifies to zero; hypotheses are not needed."""
        return bool(sympy.simplify(self.left - self.right) == 0)


@dataclass(frozen=True)
class Inequality:
    """``smaller <= larger`` because the difference is a sum of products of nonnegatives."""

    name: str
    smaller: sympy.Expr
    larger: sympy.Expr
    because: tuple[tuple[sympy.Expr, ...], ...]

    def holds(self, hypotheses: Iterable[sympy.Expr]) -> bool:
        """Whether the products add up to the difference and all factors are nonnegative."""
        assumed = {sympy.expand(h) for h in hypotheses}
        for product in self.because:
            for factor in product:
                if not factor.is_nonnegative and sympy.expand(factor) not in assumed:
                    return False
        total = sum((sympy.prod(product) for product in self.because), sympy.Integer(0))
        return bool(sympy.simplify(self.larger - self.smaller - total) == 0)


@dataclass(frozen=True)
class Derivation:
    """A theorem's algebra: hypotheses (each expression is >= 0), steps, and the conclusion."""

    title: str
    hypotheses: tuple[tuple[str, sympy.Expr], ...]
    steps: tuple[Identity | Inequality, ...]
    conclusion: str

    def failing_steps(self, without: str | None = None) -> tuple[str, ...]:
        """Names of the steps that do not hold, optionally with one hypothesis dropped."""
        if without is not None and without not in dict(self.hypotheses):
            raise ValueError(f"{self.title} has no hypothesis {without!r}")
        assumed = [expression for name, expression in self.hypotheses if name != without]
        return tuple(step.name for step in self.steps if not step.holds(assumed))


@dataclass(frozen=True)
class ClassSum:
    """Formal sum over classes of expressions in the ``indexed`` symbols of one class."""

    indexed: tuple[sympy.Symbol, ...]

    def __call__(self, expression: sympy.Expr) -> sympy.Expr:
        """Sum of ``expression`` over classes: class-independent factors move out of the sum."""
        total = sympy.Integer(0)
        for term in sympy.Add.make_args(sympy.expand(expression)):
            coefficient, summand = term.as_independent(*self.indexed, as_Add=False)
            if summand == 1:
                raise ValueError(f"{term} does not depend on the class: its sum has no symbol")
            name = f"Σ[{summand}]"
            total += coefficient * sympy.Symbol(name, nonnegative=summand.is_nonnegative)
        return total
