r"""The exact value of a linear program as a function of its right-hand side.

For max c.z subject to A z <= b + t d (== in some rows), z >= 0, the value V(t) is concave and
piecewise linear where the program is feasible. Every dual solution y that is optimal at some t
gives a line :math:`(b + t d) \cdot y` that is nowhere below V and touches it at t; the slope
:math:`d \cdot y` is the shadow price of the parameter. Steps (Eisner and Severance, J. ACM 23
(1976), 619-635):

1. solve at both ends of the range, with certificates; this gives two points and two lines;
2. if the line of one end passes through the point of the other, V is linear in between: done;
3. otherwise solve where the two lines cross. If V is on the lines there, that is the only
   breakpoint; otherwise go on with step 2 on either side.

Every piece comes with a dual solution that is optimal at both of its ends: weak duality then
bounds V from above by the line on the whole piece, and concavity bounds it from below by the chord,
which is the same line. `Piece.verify` repeats that in fractions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from ..theory.errors import CertificateError
from ..theory.linear_program import StandardForm
from ..theory.network import ServingNetwork
from ..theory.sli import LinearSli, without_decode_queue
from ..theory.steady_state import block
from .certificate import Certificate
from .planning import planning_form
from .simplex import lexicographic_maximum


@dataclass(frozen=True)
class Piece:
    """V on [start, end] is the line through ``start_value`` with ``slope``.

    Attributes
    ----------
    dual
        A dual solution that is optimal on the whole piece, one price per constraint.
    """

    start: Fraction
    end: Fraction
    start_value: Fraction
    slope: Fraction
    dual: tuple[Fraction, ...]

    @property
    def end_value(self) -> Fraction:
        """Value at ``end``."""
        return self.start_value + self.slope * (self.end - self.start)

    def value(self, parameter: Fraction) -> Fraction:
        """Value at a parameter inside the piece."""
        return self.start_value + self.slope * (parameter - self.start)


@dataclass(frozen=True)
class ValueFunction:
    """V on a range, as consecutive pieces of strictly decreasing slope."""

    form: StandardForm
    direction: tuple[Any, ...]
    pieces: tuple[Piece, ...]

    def piece(self, parameter: Fraction) -> Piece:
        """The piece that holds ``parameter``, the left one at a breakpoint."""
        for piece in self.pieces:
            if piece.start <= parameter <= piece.end:
                return piece
        low, high = self.pieces[0].start, self.pieces[-1].end
        raise ValueError(f"parameter = {parameter} lies outside [{low}, {high}]")

    def value(self, parameter: Fraction) -> Fraction:
        """V at ``parameter``."""
        return self.piece(parameter).value(parameter)

    @property
    def breakpoints(self) -> tuple[Fraction, ...]:
        """Ends of all pieces, in ascending order."""
        return (self.pieces[0].start, *(piece.end for piece in self.pieces))

    def verify(self) -> None:
        """Prove every piece again: primal optima at its ends, one dual for both.

        Raises
        ------
        CertificateError
            A piece is not what V is.
        """
        for piece in self.pieces:
            for parameter in (piece.start, piece.end):
                form = moved(self.form, self.direction, parameter)
                primal = lexicographic_maximum(form, [form.objective]).primal
                certificate = Certificate(form, primal, piece.dual)
                if certificate.primal_objective != piece.value(parameter):
                    raise CertificateError(
                        f"{form.name}: V({parameter}) is {certificate.primal_objective}, "
                        f"not {piece.value(parameter)}"
                    )
            slope = _slope(self.direction, piece.dual)
            if slope != piece.slope:
                raise CertificateError(f"{self.form.name}: the shadow price is {slope}")


def value_function(
    form: StandardForm, direction: Sequence[Any], start: Fraction, end: Fraction
) -> ValueFunction:
    """V on [start, end] when the bounds of ``form`` move by t times ``direction``.

    Raises
    ------
    InfeasibleError
        The program is infeasible at an end of the range.
    """
    direction = tuple(direction)

    def support(parameter: Fraction) -> Piece:
        """The line of a dual solution at ``parameter``, as a piece without length."""
        at = moved(form, direction, parameter)
        vertex = lexicographic_maximum(at, [at.objective])
        value = Certificate(at, vertex.primal, vertex.dual).primal_objective
        return Piece(parameter, parameter, value, _slope(direction, vertex.dual), vertex.dual)

    def pieces(left: Piece, right: Piece) -> list[Piece]:
        if left.value(right.start) == right.start_value:
            return [replace(left, end=right.start)]
        if right.value(left.start) == left.start_value:
            return [replace(right, start=left.start, start_value=left.start_value)]
        # Neither line is the chord: they cross strictly inside.
        crossing = left.start + (right.value(left.start) - left.start_value) / (
            left.slope - right.slope
        )
        middle = support(crossing)
        if middle.start_value == left.value(crossing):
            return [
                replace(left, end=crossing),
                replace(right, start=crossing, start_value=middle.start_value),
            ]
        return [*pieces(left, middle), *pieces(middle, right)]

    return ValueFunction(form, direction, _merged(pieces(support(start), support(end))))


def sli_front(
    network: ServingNetwork,
    sli: type[Any],
    start: Fraction,
    end: Fraction,
    pricing: str = "bundled",
) -> ValueFunction:
    """Revenue against the limit of an SLI whose limit is a right-hand side (all but the TPOT)."""
    at_zero: LinearSli = sli(0)
    form = planning_form(network, pricing, [at_zero])
    more = planning_form(network, pricing, [sli(1)])
    if form.rows != more.rows:
        raise ValueError(f"the limit of {at_zero.name} is not a right-hand side")
    direction = [b - a for a, b in zip(form.bounds, more.bounds, strict=True)]
    return value_function(form, direction, start, end)


def mixed_share_front(
    network: ServingNetwork, start: Fraction, end: Fraction, pricing: str = "bundled"
) -> ValueFunction:
    """Revenue against an upper bound on the share X of mixed GPUs, with q_d = 0.

    An SLI on the TPOT is such a bound (`kurtz.theory.sli.mixed_share_at`).
    """
    class_count = len(network.classes)
    form = without_decode_queue(planning_form(network, pricing), class_count)
    total = [0] * len(form.variables)
    total[block("prefill", class_count)] = [1] * class_count
    form = form.with_constraint("mixed share", total, 0)
    direction = [0] * len(form.bounds)
    direction[-1] = 1
    return value_function(form, direction, start, end)


def moved(form: StandardForm, direction: Sequence[Any], parameter: Fraction) -> StandardForm:
    """The program with bounds ``bounds + parameter * direction``."""
    bounds = (b + parameter * d for b, d in zip(form.bounds, direction, strict=True))
    return replace(form, bounds=tuple(bounds))


def _merged(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    merged: list[Piece] = []
    for piece in pieces:
        if merged and merged[-1].slope == piece.slope:
            merged[-1] = replace(merged[-1], end=piece.end)
        else:
            merged.append(piece)
    return tuple(merged)


def _slope(direction: Sequence[Any], dual: Sequence[Fraction]) -> Fraction:
    return sum((d * y for d, y in zip(direction, dual, strict=True)), Fraction(0))
