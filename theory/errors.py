"""One vocabulary of errors: a line that names the field, its value and what is allowed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

LARGEST = sys.float_info.max
"""Numbers beyond it, infinity and NaN have no floating-point value to compute with."""


class InvalidInput(ValueError):
    """A value outside its domain.

    The message is one line: the field, the value found, and what is allowed.
    """

    def __init__(self, field: str, value: Any, allowed: str) -> None:
        self.field = field
        self.value = value
        self.allowed = allowed
        super().__init__(f"{field} = {value!r} is not allowed: expected {allowed}")


class InfeasibleError(ValueError):
    """A program without a feasible point.

    Attributes
    ----------
    clashing
        Names of an irreducible set of constraints: together they clash, and without any one
        of them the rest can be met.
    """

    def __init__(self, program: str, clashing: Sequence[str]) -> None:
        self.clashing = tuple(clashing)
        super().__init__(
            f"{program} is infeasible: these constraints clash: {', '.join(self.clashing)}"
        )


class CertificateError(ArithmeticError):
    """A computed optimum that exact arithmetic does not confirm."""


class RangeWarning(UserWarning):
    """A fitted law is used outside the range of the measurements behind it."""


def require_number(
    field: str,
    value: Any,
    unit: str,
    *,
    above: float | None = None,
    at_least: float | None = None,
) -> None:
    """Raise `InvalidInput` unless ``value`` is a finite real number in the stated range."""
    bound = ""
    if above is not None:
        bound = f" > {above:g}"
    elif at_least is not None:
        bound = f" >= {at_least:g}"
    number: Any = value  # typing knows no order of `Real`
    if (
        isinstance(value, bool)
        or not isinstance(value, Real)
        or not abs(number) <= LARGEST
        or (above is not None and not number > above)
        or (at_least is not None and not number >= at_least)
    ):
        raise InvalidInput(field, value, f"a finite number{bound} ({unit})")


def require_integer(field: str, value: Any, unit: str, *, at_least: int) -> None:
    """Raise `InvalidInput` unless ``value`` is an integer of at least ``at_least``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < at_least:
        raise InvalidInput(field, value, f"an integer >= {at_least} ({unit})")


def require_text(field: str, value: Any) -> None:
    """Raise `InvalidInput` unless ``value`` is a non-empty string on one line."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise InvalidInput(field, value, "a non-empty text on one line")
