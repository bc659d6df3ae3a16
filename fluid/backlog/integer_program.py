r"""The optimum by an integer program through HiGHS: a second route, independent of the search.

With :math:`x_{i,p} = 1` if request i starts at time p (the program of arXiv 2502.07115, (1)-(4)):

.. math:: \min \sum_{i,p} (p + o_i)\, x_{i,p} \quad \text{such that} \quad
          \sum_p x_{i,p} = 1 \ \ \forall i, \qquad
          \sum_{i} \sum_{p = \max(0, t - o_i)}^{t - 1} (s_i + t - p)\, x_{i,p} \le M \ \ \forall t.

*Horizon.* Let some schedule have total latency U. In one that is no worse, request i completes by
:math:`U - \sum_{j \ne i} o_j`, for every other completion j is at least :math:`o_j`; and some
optimal schedule starts it by :math:`\sum_{j \ne i} o_j`, as no step before may be idle. The starts
up to the lesser of the two lose no optimal schedule.

The schedule is validated exactly; the bound is HiGHS' floating-point dual bound, rounded up after
10^-6 is taken off. It is a check on the search, not a proof.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from ...theory.backlog import Backlog, Schedule, list_schedule, total_latency
from ...theory.errors import require_number
from .optimum import Optimum, closed_form_bound

ROUNDING = 1e-6


def integer_program_optimum(backlog: Backlog, time_limit: float | None = None) -> Optimum:
    """The optimum, or the interval that HiGHS reached within ``time_limit`` seconds.

    ``nodes`` of the result are those of HiGHS' branch and bound.
    """
    if time_limit is not None:
        require_number("time_limit", time_limit, "seconds", above=0)
    schedule = list_schedule(backlog, np.argsort(backlog.volumes, kind="stable").tolist())
    latency = total_latency(backlog, schedule)
    all_outputs = int(backlog.outputs.sum())
    request_of, starts = [], []
    for i, request in enumerate(backlog.requests):
        others = all_outputs - request.output_tokens
        last = min(others, latency - others - request.output_tokens)
        request_of += [i] * (last + 1)
        starts += list(range(last + 1))
    columns = len(starts)
    options: dict[str, float] = {"mip_rel_gap": 0.0}
    if time_limit is not None:
        options["time_limit"] = time_limit
    found = milp(
        np.array(starts) + backlog.outputs[request_of],
        integrality=np.ones(columns),
        bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint(_each_starts_once(request_of), 1, 1),
            LinearConstraint(_memory_by_step(backlog, request_of, starts), -np.inf, backlog.memory),
        ],
        options=options,
    )
    if found.x is not None:
        chosen = np.flatnonzero(np.round(found.x))
        improved = Schedule(tuple(starts[column] for column in chosen))
        if total_latency(backlog, improved) < latency:
            schedule, latency = improved, total_latency(backlog, improved)
    bound = closed_form_bound(backlog)
    if found.mip_dual_bound is not None and math.isfinite(found.mip_dual_bound):
        bound = max(bound, math.ceil(found.mip_dual_bound - ROUNDING))
    return Optimum(backlog, schedule, latency, min(bound, latency), int(found.mip_node_count or 0))


def _each_starts_once(request_of: list[int]) -> coo_array:
    columns = np.arange(len(request_of))
    return coo_array((np.ones(len(columns)), (np.array(request_of), columns)))


def _memory_by_step(backlog: Backlog, request_of: list[int], starts: list[int]) -> coo_array:
    """Row t - 1, column of (i, p): what request i started at p holds in step t."""
    rows, columns, held = [], [], []
    for column, (i, start) in enumerate(zip(request_of, starts, strict=True)):
        request = backlog.requests[i]
        for age in range(1, request.output_tokens + 1):
            rows.append(start + age - 1)
            columns.append(column)
            held.append(request.prompt_tokens + age)
    return coo_array((np.array(held, dtype=np.float64), (np.array(rows), np.array(columns))))
