"""Least slacks of several statements over many cases, and the evidence they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from ...theory.claims import Grade
from ..verdict import Evidence, outcome_of


@dataclass(frozen=True)
class LeastSlacks:
    """The least slack of each statement, and over how many cases."""

    cases: int
    slacks: Mapping[str, Fraction]


def least_slacks(cases: Iterable[Mapping[str, Fraction]]) -> LeastSlacks:
    """The least slack of each statement; every case names the same statements."""
    least: dict[str, Fraction] = {}
    count = 0
    for case in cases:
        count += 1
        for name, slack in case.items():
            least[name] = min(slack, least.get(name, slack))
    return LeastSlacks(count, least)


def slack_evidence(name: str, grade: Grade, found: LeastSlacks, detail: str) -> Evidence:
    """Whether no statement has a negative slack."""
    tightest = min(found.slacks, key=lambda statement: found.slacks[statement])
    return Evidence(
        name=name,
        grade=grade,
        outcome=outcome_of(all(slack >= 0 for slack in found.slacks.values())),
        claimed="no slack is negative",
        computed="; ".join(f"{name} {_short(slack)}" for name, slack in found.slacks.items()),
        slack=float(found.slacks[tightest]),
        detail=f"{found.cases:,} cases; least slack of each statement; {detail}",
    )


def _short(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else f"{float(value):.3g}"
