"""Derivations that run again at every verification: see `kernel` for what a step may be."""

from . import (
    bundled_knapsack,
    decode_buffer_elimination,
    decode_drift,
    decode_line,
    pool_mixing,
    price_ratio,
    rate_conservation,
    separate_concave,
    slot_filling,
    smallest_volume_first,
    sorted_f_chain,
    time_per_output_token,
)
from .kernel import ClassSum, Derivation, Identity, Inequality

__all__ = [
    "ClassSum",
    "Derivation",
    "Identity",
    "Inequality",
    "bundled_knapsack",
    "decode_buffer_elimination",
    "decode_drift",
    "decode_line",
    "pool_mixing",
    "price_ratio",
    "rate_conservation",
    "separate_concave",
    "slot_filling",
    "smallest_volume_first",
    "sorted_f_chain",
    "time_per_output_token",
]
