"""Backlogs under a KV budget: the model, its validator, rules, and what is said of them."""

from .batches import (
    BATCH_KINDS,
    BatchKind,
    batch_order,
    best_batch,
    f_metric,
    is_feasible_batch,
    sorted_f_batches,
)
from .bounds import mean_busy_time_bound, volume_bound
from .listing import fits, list_schedule, peaks_fit, separate_schedule
from .model import (
    Backlog,
    InvalidSchedule,
    Request,
    Schedule,
    completions,
    memory_by_step,
    require_feasible,
    total_latency,
)
from .requests_file import read_backlog

__all__ = [
    "BATCH_KINDS",
    "Backlog",
    "BatchKind",
    "InvalidSchedule",
    "Request",
    "Schedule",
    "batch_order",
    "best_batch",
    "completions",
    "f_metric",
    "fits",
    "is_feasible_batch",
    "list_schedule",
    "mean_busy_time_bound",
    "memory_by_step",
    "peaks_fit",
    "read_backlog",
    "require_feasible",
    "separate_schedule",
    "sorted_f_batches",
    "total_latency",
    "volume_bound",
]
