"""A decided argument, and how its numbers are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ....theory.claims import Grade

LONG_DENOMINATOR = 10_000
"""Fractions with a denominator from here on are written as decimals."""


@dataclass(frozen=True)
class Decision:
    """One argument for an entry of the table: whether it holds, and by which numbers."""

    holds: bool
    grade: Grade
    claimed: str
    computed: str
    detail: str


def certified(holds: bool, claimed: str, computed: str, detail: str) -> Decision:
    """A decision in exact rational arithmetic."""
    return Decision(holds, Grade.CERTIFIED, claimed, computed, detail)


def listed(numbers: Sequence[Fraction]) -> str:
    """One number per class, in parentheses."""
    return f"({', '.join(map(short, numbers))})"


def short(number: Fraction) -> str:
    """The fraction, or its decimals where it is long."""
    return str(number) if number.denominator < LONG_DENOMINATOR else f"{float(number):.6g}"
