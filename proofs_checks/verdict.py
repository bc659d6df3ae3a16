"""Evidence, findings and verdicts: what a check returns.

A check gathers pieces of evidence, each decided on its own, for the claim and, with a deliberate
fault built in, for its negative control. The claim holds when all its evidence holds and every
control is refuted: a check that the fault does not trip would be worthless.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from matplotlib.figure import Figure

from ..theory.claims import Claim, Grade

Level = Literal["quick", "full"]
LEVELS: tuple[Level, ...] = ("quick", "full")

Report = Callable[[str], None]
"""Called by a check with what it is doing, for a progress display."""


class Outcome(StrEnum):
    """What a piece of evidence says of its statement."""

    HOLDS = "holds"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Evidence:
    """One decided comparison.

    Attributes
    ----------
    name
        What was compared, on which instance.
    grade
        How strong the method is if it confirms; a refutation speaks for itself.
    claimed, computed
        The two sides, as text with units.
    slack
        How far from the edge, in the unit of the comparison; None where there is no scale.
    detail
        Trusted base, range, or for statistics: hypothesis, level and power.
    """

    name: str
    grade: Grade
    outcome: Outcome
    claimed: str
    computed: str
    slack: float | None = None
    detail: str = ""


def outcome_of(holds: bool) -> Outcome:
    """`Outcome.HOLDS` or `Outcome.REFUTED`, for comparisons that always decide."""
    return Outcome.HOLDS if holds else Outcome.REFUTED


@dataclass(frozen=True)
class Findings:
    """What a check hands back: evidence for the claim and for its control, and figures.

    ``controls`` maps the name of each control to its evidence; a control is refuted when all of
    its pieces are. ``data`` holds what the evidence was computed from, for readers and figures.
    """

    evidence: tuple[Evidence, ...]
    controls: Mapping[str, tuple[Evidence, ...]]
    figures: Mapping[str, Callable[[], Figure]] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """A decided claim."""

    claim: Claim
    level: Level
    findings: Findings
    seconds: float

    @property
    def outcome(self) -> Outcome:
        """Refuted if any piece of evidence is, else inconclusive if any is, else holds."""
        outcomes = {evidence.outcome for evidence in self.findings.evidence}
        for candidate in (Outcome.REFUTED, Outcome.INCONCLUSIVE):
            if candidate in outcomes:
                return candidate
        return Outcome.HOLDS

    @property
    def grades(self) -> tuple[Grade, ...]:
        """The grades that carry the verdict: refuted alone, or all that confirm."""
        if self.outcome is Outcome.REFUTED:
            return (Grade.REFUTED,)
        found = {e.grade for e in self.findings.evidence if e.outcome is Outcome.HOLDS}
        return tuple(grade for grade in Grade if grade in found)

    @property
    def unrefuted_controls(self) -> tuple[str, ...]:
        """Names of the controls that the check failed to refute."""
        return tuple(
            name
            for name, evidence in self.findings.controls.items()
            if not evidence or any(piece.outcome is not Outcome.REFUTED for piece in evidence)
        )

    @property
    def passed(self) -> bool:
        """Whether the claim holds and every control was refuted (there must be one)."""
        controlled = bool(self.findings.controls) and not self.unrefuted_controls
        return self.outcome is Outcome.HOLDS and controlled

    def assert_passed(self) -> None:
        """Raise AssertionError naming every piece of evidence or control at fault."""
        faults = [
            f"{e.name}: {e.outcome} (claimed {e.claimed}, computed {e.computed})"
            for e in self.findings.evidence
            if e.outcome is not Outcome.HOLDS
        ]
        faults += [f"control not refuted: {name}" for name in self.unrefuted_controls]
        if faults or not self.passed:
            raise AssertionError(f"{self.claim.claim_id}: " + "; ".join(faults or ["no control"]))
