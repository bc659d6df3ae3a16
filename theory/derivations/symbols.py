"""Symbols of one generic class and of the GPU, with the rates of equation (4) expressed in them."""

from __future__ import annotations

import sympy

from ..rates import (
    bundled_weight,
    mixed_decode_rate,
    prefill_rate,
    solo_decode_rate,
    speed_ratio,
)
from .kernel import ClassSum

# The GPU, the prices.
BATCH = sympy.Symbol("B", positive=True)
CHUNK = sympy.Symbol("C", positive=True)
MIXED_TIME = sympy.Symbol("tau", positive=True)
GAMMA = sympy.Symbol("gamma", positive=True)
PREFILL_PRICE, DECODE_PRICE = sympy.symbols("c_p c_d", nonnegative=True)
KAPPA = sympy.Symbol("kappa", positive=True)

# One class: lengths, arrivals, patience, and an arbitrary point of the program.
PROMPT, OUTPUT, ARRIVAL, PATIENCE = sympy.symbols("P D lambda theta", positive=True)
PREFILL, MIXED, SOLO, PREFILL_QUEUE, DECODE_QUEUE = sympy.symbols(
    "x y_m y_s q_p q_d", nonnegative=True
)

# Rates in short symbols, for steps that need no more of them than mu_s = kappa mu_m.
PREFILL_RATE, MIXED_RATE = sympy.symbols("mu_p mu_m", positive=True)
SOLO_RATE = KAPPA * MIXED_RATE

CONDITION = KAPPA * BATCH - (BATCH - 1)
"""Nonnegative exactly when kappa >= (B-1)/B, the hypothesis of Proposition 3.2."""

CLASS_SYMBOLS = (
    PROMPT,
    OUTPUT,
    ARRIVAL,
    PATIENCE,
    PREFILL,
    MIXED,
    SOLO,
    PREFILL_QUEUE,
    DECODE_QUEUE,
    PREFILL_RATE,
    MIXED_RATE,
)
total = ClassSum(CLASS_SYMBOLS)
"""Formal sum over classes."""


def physical(expression: sympy.Expr) -> sympy.Expr:
    """Replace the short rate symbols by the formulas of equation (4)."""
    rates = {
        PREFILL_RATE: prefill_rate(CHUNK, PROMPT, MIXED_TIME),
        MIXED_RATE: mixed_decode_rate(OUTPUT, MIXED_TIME),
        KAPPA: speed_ratio(GAMMA, MIXED_TIME),
    }
    return expression.subs(rates)


def physical_solo_rate() -> sympy.Expr:
    """mu_s from equation (4), to be compared with kappa mu_m."""
    return solo_decode_rate(OUTPUT, GAMMA)


def physical_weight() -> sympy.Expr:
    """W from equation (21)."""
    return bundled_weight(PREFILL_PRICE, PROMPT, DECODE_PRICE, OUTPUT)
