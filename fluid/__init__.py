"""What is computed without randomness: steady-state programs and their exact certificates."""

from .certificate import Certificate
from .disaggregation import disaggregated_plan
from .knapsack import KnapsackSolution, knapsack_solution, knapsack_values
from .planning import (
    Plan,
    bundled_value_with_solo_capacity,
    bundled_value_without_decode_queue,
    plan,
)
from .policy_plans import plan_for_policy

__all__ = [
    "Certificate",
    "KnapsackSolution",
    "Plan",
    "bundled_value_with_solo_capacity",
    "bundled_value_without_decode_queue",
    "disaggregated_plan",
    "knapsack_solution",
    "knapsack_values",
    "plan",
    "plan_for_policy",
]
