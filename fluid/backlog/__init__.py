"""What is computed about backlogs: fast rules, exact optima, certified lower bounds."""

from .batch_selection import select_batch, sorted_f_batches_fast
from .bounded_schedule import BoundedSchedule, schedule_with_bound
from .enumeration import SmallBacklogs
from .linear_program import LowerBound, lower_bound, solve_time_indexed_program, sorted_lp_order
from .listing import fast_list_schedule
from .optimum import Optimum, optimum
from .optimum_kernel import optimal_latencies
from .priced_bound import PricedBound, priced_bound
from .rules import RULES, Rule, RuleEntry, schedule

__all__ = [
    "RULES",
    "BoundedSchedule",
    "LowerBound",
    "Optimum",
    "PricedBound",
    "Rule",
    "RuleEntry",
    "SmallBacklogs",
    "fast_list_schedule",
    "lower_bound",
    "optimal_latencies",
    "optimum",
    "priced_bound",
    "schedule",
    "schedule_with_bound",
    "select_batch",
    "solve_time_indexed_program",
    "sorted_f_batches_fast",
    "sorted_lp_order",
]
