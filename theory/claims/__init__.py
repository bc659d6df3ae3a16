"""The claim registry: what is asserted, where it comes from, and how it could be wrong.

A claim is data; `kurtz.proofs_checks` holds one check per claim and decides it.
"""

from __future__ import annotations

from ..errors import InvalidInput
from .backlogs import BACKLOGS
from .gate_and_route import GATE_AND_ROUTE
from .vocabulary import Claim, Grade, Relation

CLAIMS: tuple[Claim, ...] = (*GATE_AND_ROUTE, *BACKLOGS)
"""All claims, in the order in which they are verified."""


def claim(claim_id: str) -> Claim:
    """The claim called ``claim_id``; raises `InvalidInput` listing the known ones."""
    for candidate in CLAIMS:
        if candidate.claim_id == claim_id:
            return candidate
    known = ", ".join(c.claim_id for c in CLAIMS)
    raise InvalidInput("claim", claim_id, f"one of {known}")


__all__ = ["CLAIMS", "Claim", "Grade", "Relation", "claim"]
