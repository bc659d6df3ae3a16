"""Symbols of the short proofs, and which of them a proof contains."""

from __future__ import annotations

import sympy

from ....theory.derivations import Derivation, Identity

TIME, HORIZON = sympy.symbols("t T", positive=True)


def nonnegative(names: str) -> tuple[sympy.Symbol, ...]:
    """Symbols of occupancies, flows and the like."""
    return tuple(sympy.symbols(names, nonnegative=True, seq=True))


def positive(names: str) -> tuple[sympy.Symbol, ...]:
    """Symbols of rates and prices."""
    return tuple(sympy.symbols(names, positive=True, seq=True))


def symbols_of(derivation: Derivation) -> frozenset[str]:
    """Names of all symbols in a derivation: what its conclusion can depend on."""
    expressions = [expression for _, expression in derivation.hypotheses]
    for step in derivation.steps:
        if isinstance(step, Identity):
            expressions += [step.left, step.right]
        else:
            expressions += [step.smaller, step.larger]
    return frozenset(symbol.name for e in expressions for symbol in e.free_symbols)
