"""Backlogs under a KV budget: the model, its validator, scheduling rules and what is said of them."""

from .batches import (
    BATCH_KINDS,
    BatchKind,
    f_metric,
    best_batch,
    is_feasible_batch,
    batch_order,
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
    "f_metric",
    "best_batch",
    "completions",
    "fits",
    "is_feasible_batch",
    "list_schedule",
    "mean_busy_time_bound",
    "memory_by_step",
    "peaks_fit",
    "read_backlog",
    "require_feasible",
    "separate_schedule",
    "batch_order",
    "sorted_f_batches",
    "total_latency",
    "volume_bound",
]
