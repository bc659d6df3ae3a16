"""The table of theorems against hypotheses: its rows, its columns and its entries.

The statuses say what becomes of a conclusion once the hypothesis is dropped. An entry rests on one
or more decisions, each a minimal exact example (`failures`), an exact equality
(`survivals`) or a short proof (`proofs`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ....theory.claims import Grade
from ...verdict import Evidence, outcome_of
from .decision import Decision


class Status(StrEnum):
    """What becomes of a conclusion without a hypothesis."""

    SURVIVES = "survives"
    PARTLY = "survives in part"
    FAILS = "fails"
    NOT_NEEDED = "not needed"
    ARGUED = "not needed, argued in words"

    @property
    def decided(self) -> bool:
        """Whether the entry is evidence; argued ones only say what is known."""
        return self is not Status.ARGUED


PROPOSITION_3_2 = "Proposition 3.2"
THEOREM_3_1 = "Theorem 3.1"
LEMMA_10_1 = "Lemmas 10.1 and 10.3"
LEMMA_10_5_PREFILL = "Lemma 10.5, x"
LEMMA_10_5_QUEUE = "Lemma 10.5, q_p"
PROPOSITION_10_14 = "Proposition 10.14"
THEOREM_4_1 = "Theorem 4.1"
THEOREM_4_2 = "Theorem 4.2"
THEOREM_5_1 = "Theorem 5.1 and Proposition 12.1"
PROPOSITION_13_5 = "Proposition 13.5"
UPPER_BOUND = "R* as upper bound"

THEOREMS = {
    PROPOSITION_3_2: "some optimum has q_d* = 0",
    THEOREM_3_1: "the scaled chain is tight and its limits follow the fluid equations",
    LEMMA_10_1: "x <= x* and q_p > 0 from some time on",
    LEMMA_10_5_PREFILL: "x -> x*",
    LEMMA_10_5_QUEUE: "q_p -> q_p*",
    PROPOSITION_10_14: "q_d -> 0",
    THEOREM_4_1: "gate-and-route's revenue tends to R*",
    THEOREM_4_2: "prioritize-and-route's revenue tends to the value of (42)",
    THEOREM_5_1: "stationary occupancies tend to the plan class by class, q_d* = 0, and the "
    "penalised objective to its value",
    PROPOSITION_13_5: "occupancies and queues tend to a plan with q_d* > 0",
    UPPER_BOUND: "no policy earns more than R* (ours)",
}
"""Each theorem with its conclusion, the rows of the table."""

PATIENCE, ONE_PATIENT, LOAD = "theta > 0", "theta > 0 for all", "load met or abandoned"
CONDITION, WAITING, PLANNED = "kappa >= (B-1)/B", "q_p* > 0", "x* > 0"
UNIQUE, QUEUE, ROUNDING, INITIAL = (
    "unique optimum",
    "q_d* as stated",
    "M = n sum x*",
    "initial state",
)
TRACKED, SLATER, CONTINUOUS, FULL_POOLS = (
    "x -> x*",
    "Slater's condition",
    "continuous penalties",
    "both pools full",
)

HYPOTHESES = {
    PATIENCE: "dropped: nobody abandons, and the load can just be met",
    ONE_PATIENT: "dropped: one planned class abandons, another does not",
    LOAD: "dropped: nobody abandons, and the load exceeds the capacity",
    CONDITION: "dropped: kappa < (B-1)/B",
    WAITING: "dropped: some class is served in full, q_p,i* = 0",
    PLANNED: "dropped: some class is not served at all, x_i* = 0",
    UNIQUE: "dropped: several optima, one of which is tracked",
    QUEUE: "dropped: the tracked optimum has q_d,i* > 0, or for Proposition 13.5 some q_d,i* = 0",
    ROUNDING: "dropped: M is n sum x* rounded up, or down",
    INITIAL: "dropped: the initial states divided by n are unbounded",
}
"""Each hypothesis of many theorems and what takes its place, the columns of the table."""

OWN_HYPOTHESES = {
    TRACKED: "dropped: prefill is not driven to the plan",
    SLATER: "dropped: no point meets all inequalities strictly",
    CONTINUOUS: "dropped: a bounded penalty that jumps at the plan",
    FULL_POOLS: "dropped: the plan leaves slots of a pool free, with some q_d,i* > 0",
}
"""Each hypothesis of one theorem alone."""


@dataclass(frozen=True)
class Entry:
    """One cell of the table; it holds if all its decisions do."""

    theorem: str
    hypothesis: str
    status: Status
    reason: str
    decisions: tuple[Decision, ...]

    @property
    def evidence(self) -> Evidence:
        """The entry as a piece of evidence, of the weakest grade among its decisions."""
        grades = [decision.grade for decision in self.decisions]
        return Evidence(
            name=f"{self.theorem} without {self.hypothesis}: {self.status}",
            grade=Grade.CERTIFIED if Grade.CERTIFIED in grades else Grade.PROVED,
            outcome=outcome_of(all(decision.holds for decision in self.decisions)),
            claimed="; ".join(decision.claimed for decision in self.decisions),
            computed="; ".join(decision.computed for decision in self.decisions),
            detail="; ".join((self.reason, *(decision.detail for decision in self.decisions))),
        )


def entry(
    theorem: str, hypothesis: str, status: Status, reason: str, *decisions: Decision
) -> Entry:
    """An entry; every further argument is one of its decisions."""
    return Entry(theorem, hypothesis, status, reason, decisions)
