"""What a claim is made of: statement, relation, source, hypotheses, control."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Relation(StrEnum):
    """What is asserted between the computed and the claimed value."""

    EQUAL = "=="
    AT_MOST = "<="
    AT_LEAST = ">="
    TENDS_TO = "->"
    UNBOUNDED = "unbounded"
    INTERVAL = "interval"


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
