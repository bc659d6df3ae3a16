r"""The time-indexed linear program, the order of Sorted-LP, and the best lower bound at hand.

With :math:`x_{i,t}` the share of request i that starts at t, the program is

.. math::

   \min \sum_{i,t} (t + o_i)\, x_{i,t} \quad\text{s.t.}\quad \sum_t x_{i,t} = 1, \qquad
   U_t = \sum_i \sum_{k < t \le k + o_i} (s_i + t - k)\, x_{i,k} \le M, \qquad x \ge 0

(equations (1)-(4) of arXiv 2502.07115 without integrality). It is written with the memory
:math:`U_t` and the number :math:`C_t` of active requests as variables,

.. math::

   C_t = C_{t-1} + \sum_i (x_{i,t-1} - x_{i,t-1-o_i}), \qquad
   U_t = U_{t-1} + C_t + \sum_i (s_i x_{i,t-1} - (s_i + o_i)\, x_{i,t-1-o_i}),

so that a start has at most five coefficients however long it runs. Equal requests share variables.

*Horizon.* Only the rows of the steps 1, ..., T are kept, and starts 0, ..., T: a start at T is free
of memory. Dropped rows make a relaxation, so every T gives a lower bound, and one that does not
fall with T. By default T = ceil(V/M) + max o, with the sum V of the volumes: that many steps hold
everything if no memory is wasted, and the last completions run on. A longer one is the caller's
choice. The floating-point duals of :math:`U_t \le M` are only hints: `PricedBound` certifies them.

*Sorted-LP* starts the requests by their mean starts :math:`y_i = \sum_t t\, x_{i,t}`. Source: that
there is an LP-guided rule is in the abstracts of arXiv 2508.06133; this listing is derived.
Programs with more than ``MOST_COLUMNS`` columns are replaced by the search for prices
(`kurtz.fluid.backlog.price_search`), whose mean starts are resolved to its pieces only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import highspy
import numpy as np
from scipy import sparse

from ...theory.backlog import Backlog, mean_busy_time_bound, volume_bound
from ...theory.errors import InvalidInput, require_integer
from .fluid_prices import Floats, certify, default_horizon, fluid_bound
from .price_search import search_prices
from .priced_bound import Integers, PricedBound, RequestTypes

Effort = Literal["closed-form", "linear-program"]
EFFORTS: tuple[Effort, ...] = ("closed-form", "linear-program")

MOST_COLUMNS = 20_000
"""Types times starts up to which the program is solved as it stands."""

TIE_DECIMALS = 6
"""Mean starts are rounded to these decimals before they are compared."""


@dataclass(frozen=True)
class ProgramSolution:
    """What HiGHS found for the time-indexed program.

    Attributes
    ----------
    value
        Its optimal value in floating point, in steps: not a certified bound.
    bound
        The dual prices, with their exact bound.
    mean_starts
        :math:`y_i`, in steps, in the order of the requests.
    """

    value: float
    bound: PricedBound
    mean_starts: tuple[float, ...]


def solve_time_indexed_program(backlog: Backlog, horizon: int | None = None) -> ProgramSolution:
    """Solve the time-indexed program by HiGHS's simplex method.

    Parameters
    ----------
    backlog
        The requests and the budget.
    horizon
        T, the number of steps whose memory rows are kept; by default `default_horizon`.

    Raises
    ------
    InvalidInput
        A horizon that is no positive integer.
    """
    if horizon is None:
        horizon = default_horizon(backlog)
    require_integer("horizon", horizon, "steps", at_least=1)
    types = RequestTypes.of(backlog)
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("solver", "simplex")
    highs.passModel(_program(types, backlog.memory, horizon))
    highs.run()
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise ArithmeticError(f"HiGHS stopped with {highs.getModelStatus()} on a feasible program")
    solution = highs.getSolution()
    starts_count = len(types.counts) * (horizon + 1)
    shares = np.array(solution.col_value[:starts_count]).reshape(-1, horizon + 1)
    mean = shares @ np.arange(horizon + 1) / types.counts
    prices = -np.array(solution.col_dual[starts_count + horizon :])
    return ProgramSolution(
        value=float(highs.getInfo().objective_function_value),
        bound=certify(backlog, np.ones(horizon, dtype=np.int64), prices),
        mean_starts=tuple(mean[types.of_request].tolist()),
    )


def _program(types: RequestTypes, memory: int, horizon: int) -> highspy.HighsLp:
    """Columns: starts (type by type), C_1 ... C_T, U_1 ... U_T; rows: types, C, U."""
    type_count, starts_per_type = len(types.counts), horizon + 1
    starts_count = type_count * starts_per_type
    kind = np.repeat(np.arange(type_count), starts_per_type)
    start = np.tile(np.arange(starts_per_type), type_count)
    prompt, output = types.prompts[kind], types.outputs[kind]
    column = np.arange(starts_count)
    # Step t is row and column t - 1 of its block: a start at k acts in step k + 1, ...
    enters, leaves = start < horizon, start + output < horizon
    step = np.arange(horizon)
    active_row, memory_row = type_count, type_count + horizon
    active_column, memory_column = starts_count, starts_count + horizon
    entries: list[tuple[Integers, Integers, Integers | int]] = [
        (kind, column, 1),
        (active_row + start[enters], column[enters], -1),
        (active_row + (start + output)[leaves], column[leaves], 1),
        (memory_row + start[enters], column[enters], -prompt[enters]),
        (memory_row + (start + output)[leaves], column[leaves], (prompt + output)[leaves]),
        (active_row + step, active_column + step, 1),
        (active_row + step[1:], active_column + step[:-1], -1),
        (memory_row + step, memory_column + step, 1),
        (memory_row + step[1:], memory_column + step[:-1], -1),
        (memory_row + step, active_column + step, -1),
    ]
    rows = np.concatenate([row for row, _, _ in entries])
    columns = np.concatenate([col for _, col, _ in entries])
    values = np.concatenate([np.broadcast_to(value, row.shape) for row, _, value in entries])
    shape = (type_count + 2 * horizon, starts_count + 2 * horizon)
    matrix = sparse.csc_array((values.astype(np.float64), (rows, columns)), shape=shape)
    program = highspy.HighsLp()
    program.num_row_, program.num_col_ = shape
    program.col_cost_ = np.concatenate([start + output, np.zeros(2 * horizon)]).astype(np.float64)
    program.col_lower_ = np.zeros(shape[1])
    program.col_upper_ = np.concatenate(
        [np.full(starts_count + horizon, highspy.kHighsInf), np.full(horizon, float(memory))]
    )
    sides: Floats = np.concatenate([types.counts, np.zeros(2 * horizon)]).astype(np.float64)
    program.row_lower_ = program.row_upper_ = sides
    program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    program.a_matrix_.start_ = matrix.indptr.astype(np.int32)
    program.a_matrix_.index_ = matrix.indices.astype(np.int32)
    program.a_matrix_.value_ = matrix.data
    return program


def sorted_lp_order(backlog: Backlog) -> tuple[int, ...]:
    """Request numbers from 0 by ascending mean start in the linear program, then by number."""
    mean_starts = _solve(backlog)[1]
    return tuple(
        sorted(range(len(backlog)), key=lambda i: (round(mean_starts[i], TIE_DECIMALS), i))
    )


@dataclass(frozen=True)
class LowerBound:
    """A certified lower bound on the total latency of every schedule.

    Attributes
    ----------
    value
        The largest of the bounds, in steps.
    method
        Which of them it is.
    by_method
        All of them, each rounded up to an integer, which total latencies are.
    certificate
        The best prices found, with their bound.
    """

    value: int
    method: str
    by_method: dict[str, int]
    certificate: PricedBound


def lower_bound(backlog: Backlog, effort: Effort = "linear-program") -> LowerBound:
    """The best lower bound: closed forms, fluid prices and, with more effort, searched prices.

    Every bound is exact. ``"closed-form"`` compares the sum of the outputs, the volume bound, the
    mean busy time bound and the priced bound of the fluid prices; ``"linear-program"`` adds the
    prices of the linear program, or of the search for them if it is large.

    Raises
    ------
    InvalidInput
        An unknown effort.
    """
    if effort not in EFFORTS:
        raise InvalidInput("effort", effort, f"one of {', '.join(EFFORTS)}")
    certificate = fluid_bound(backlog)
    bounds = {
        "sum of outputs": int(backlog.outputs.sum()),
        "volume": math.ceil(volume_bound(backlog)),
        "mean busy time": math.ceil(mean_busy_time_bound(backlog)),
        "fluid prices": math.ceil(certificate.value),
    }
    if effort == "linear-program":
        solved = _solve(backlog)[0]
        bounds["linear program"] = math.ceil(solved.value)
        certificate = max(certificate, solved, key=lambda bound: bound.value)
    method = max(bounds, key=bounds.__getitem__)
    return LowerBound(bounds[method], method, bounds, certificate)


def _solve(backlog: Backlog) -> tuple[PricedBound, tuple[float, ...]]:
    """Certified prices and mean starts, from the program itself or from the search."""
    columns = len(RequestTypes.of(backlog).counts) * (default_horizon(backlog) + 1)
    if columns <= MOST_COLUMNS:
        solution = solve_time_indexed_program(backlog)
        return solution.bound, solution.mean_starts
    search = search_prices(backlog)
    return search.bound, search.mean_starts
