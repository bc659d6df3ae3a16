"""Evidence from derivations: the algebra of a theorem, checked step by step by SymPy."""

from __future__ import annotations

from ..theory.claims import Grade
from ..theory.derivations import Derivation
from .verdict import Evidence, outcome_of


def derivation_evidence(derivation: Derivation, without: str | None = None) -> Evidence:
    """Whether every step holds for all parameters, optionally with one hypothesis dropped."""
    failing = derivation.failing_steps(without)
    given = "; ".join(name for name, _ in derivation.hypotheses if name != without) or "nothing"
    dropped = f" without {without}" if without else ""
    done = len(derivation.steps) - len(failing)
    return Evidence(
        name=f"{derivation.title}{dropped}",
        grade=Grade.PROVED,
        outcome=outcome_of(not failing),
        claimed=f"{len(derivation.steps)} steps",
        computed=f"{done} steps hold" + (f"; not: {'; '.join(failing)}" if failing else ""),
        detail=f"algebra by SymPy for all parameters; given: {given}; then {derivation.conclusion}",
    )
