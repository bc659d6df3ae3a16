"""Certificates of optimality: a primal and a dual solution, checked in exact arithmetic.

For max c.x subject to A x <= b (== in some rows), x >= 0, a pair (x, y) with

* x >= 0, A x <= b (== in the equality rows)          (primal feasible),
* A'y >= c, y >= 0 in the inequality rows              (dual feasible),
* c.x == b.y                                           (equal objectives)

proves that both are optimal (weak duality). The check trusts Python integers alone, whatever
solver proposed the pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from ..theory.errors import CertificateError
from ..theory.linear_program import StandardForm


@dataclass(frozen=True)
class Certificate:
    """An optimal pair of ``form``, in fractions; construction fails if it is not one.

    Raises
    ------
    CertificateError
        One of the three conditions of the module docstring is violated; the message names the
        first constraint or variable at fault.
    """

    form: StandardForm
    primal: tuple[Fraction, ...]
    dual: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        self._require_primal_feasible()
        self._require_dual_feasible()
        if self.primal_objective != self.dual_objective:
            raise CertificateError(
                f"{self.form.name}: primal objective {self.primal_objective} differs from "
                f"dual objective {self.dual_objective}"
            )

    @property
    def primal_objective(self) -> Fraction:
        """Objective c.x of the primal solution."""
        return _dot(self.form.objective, self.primal)

    @property
    def dual_objective(self) -> Fraction:
        """Objective b.y of the dual solution."""
        return _dot(self.form.bounds, self.dual)

    def _require_primal_feasible(self) -> None:
        form = self.form
        for name, value in zip(form.variables, self.primal, strict=True):
            if value < 0:
                raise CertificateError(f"{form.name}: {name} = {value} < 0")
        rows = zip(form.constraints, form.rows, form.bounds, form.equalities, strict=True)
        for name, row, bound, equality in rows:
            left = _dot(row, self.primal)
            if left > bound or (equality and left != bound):
                raise CertificateError(f"{form.name}: {name} is violated by {left - bound}")

    def _require_dual_feasible(self) -> None:
        form = self.form
        for name, price, equality in zip(form.constraints, self.dual, form.equalities, strict=True):
            if not equality and price < 0:
                raise CertificateError(f"{form.name}: the price of {name} is {price} < 0")
        for j, (name, profit) in enumerate(zip(form.variables, form.objective, strict=True)):
            cost = _dot((row[j] for row in form.rows), self.dual)
            if cost < profit:
                raise CertificateError(f"{form.name}: {name} would still gain {profit - cost}")


def _dot(left: object, right: object) -> Fraction:
    return sum((Fraction(a) * Fraction(b) for a, b in zip(left, right, strict=True)), Fraction(0))  # type: ignore[call-overload]
