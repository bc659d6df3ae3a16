"""Derivations that run again at every verification: see `kernel` for what a step may be."""

from . import (
    bundled_knapsack,
    decode_buffer_elimination,
    rate_conservation,
    smallest_volume_first,
    sorted_f_chain,
)
from .kernel import ClassSum, Derivation, Identity, Inequality

__all__ = [
    "ClassSum",
    "Derivation",
    "Identity",
    "Inequality",
    "bundled_knapsack",
    "decode_buffer_elimination",
    "rate_conservation",
    "smallest_volume_first",
    "sorted_f_chain",
]
