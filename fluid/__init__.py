"""What is computed without randomness: steady-state programs and their exact certificates."""

from .certificate import Certificate
from .knapsack import KnapsackSolution, knapsack_solution, knapsack_values
from .planning import (
    Plan,
    bundled_value_with_solo_capacity,
    bundled_value_without_decode_queue,
    plan,
)

__all__ = [
    "Certificate",
    "KnapsackSolution",
    "Plan",
    "bundled_value_with_solo_capacity",
    "bundled_value_without_decode_queue",
    "knapsack_solution",
    "knapsack_values",
    "plan",
]
