"""The claim registry: what is asserted, where it comes from, and how it could be wrong.

A claim is data; `kurtz.proofs_checks` holds one check per claim and decides it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .errors import InvalidInput


class Relation(StrEnum):
    """What is asserted between the computed and the claimed value."""

    EQUAL = "=="
    AT_MOST = "<="
    TENDS_TO = "->"


class Grade(StrEnum):
    """Grade of evidence, by what has to be trusted."""

    PROVED = "proved"
    CERTIFIED = "certified"
    EXHAUSTED = "exhausted"
    ESTIMATED = "estimated"
    REFUTED = "refuted"


@dataclass(frozen=True)
class Claim:
    """A statement that a check decides.

    Attributes
    ----------
    claim_id
        What the user types.
    statement
        The assertion, in one sentence.
    source
        Paper and number, or "derived" for results of this package.
    hypotheses
        What has to hold of an instance; the check verifies it before the conclusion.
    control
        The deliberate fault under which the check must come out refuted.
    """

    claim_id: str
    statement: str
    source: str
    relation: Relation
    hypotheses: tuple[str, ...]
    control: str


_PAPER = "arXiv 2602.02987 v1"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        claim_id="iteration-time-law",
        statement="A mixed iteration takes a time affine in the prefill chunk, and a solo "
        "iteration a constant time up to a batch limit.",
        source=f"{_PAPER}, equations (1)-(3) and Section 6.1",
        relation=Relation.AT_MOST,
        hypotheses=("at least five measured points in the validity range",),
        control="a purely quadratic law through the same rule",
    ),
    Claim(
        claim_id="decode-buffer-elimination",
        statement="If kappa >= (B-1)/B, some optimum of the bundled program has empty decode "
        "queues.",
        source=f"{_PAPER}, Proposition 3.2",
        relation=Relation.EQUAL,
        hypotheses=("kappa >= (B-1)/B",),
        control="the condition dropped",
    ),
    Claim(
        claim_id="bundled-knapsack",
        statement="The bundled program equals a knapsack with two rows, with at most two classes "
        "off their bounds.",
        source="derived",
        relation=Relation.EQUAL,
        hypotheses=("kappa >= (B-1)/B",),
        control="decode work of two classes swapped",
    ),
    Claim(
        claim_id="revenue-upper-bound",
        statement="No admissible policy earns more than R* per GPU-second, at any number of GPUs.",
        source="derived",
        relation=Relation.AT_MOST,
        hypotheses=("kappa >= (B-1)/B for GPUs dedicated to mixing", "stationary regime"),
        control="R* with the solo decode capacity cut",
    ),
    Claim(
        claim_id="bundled-optimality",
        statement="Gate-and-route's revenue per GPU-second tends to R* as the number of GPUs "
        "grows.",
        source=f"{_PAPER}, Theorem 4.1",
        relation=Relation.TENDS_TO,
        hypotheses=("kappa >= (B-1)/B", "positive patience rates", "empty initial system"),
        control="no gate (first come, first served); a plan for the wrong prices; a wrong rate",
    ),
)


def claim(claim_id: str) -> Claim:
    """The claim called ``claim_id``; raises `InvalidInput` listing the known ones."""
    for candidate in CLAIMS:
        if candidate.claim_id == claim_id:
            return candidate
    known = ", ".join(c.claim_id for c in CLAIMS)
    raise InvalidInput("claim", claim_id, f"one of {known}")
