r"""Search for step prices with a large priced bound, at any size of the backlog.

The priced bound (equation (1) of `kurtz.fluid.backlog.priced_bound`) is a concave piecewise linear
function :math:`g(\pi)` of the prices. Whatever prices the search ends with, their bound is valid;
the search only decides how strong it is, so it may use floating point.

Prices are interpolated between the knots of a `kurtz.fluid.backlog.fluid_prices.PriceGrid`, few of
them, and start at the fluid prices.

*Steps* (Kelley's cutting planes, J. SIAM 8 (1960), 703-712, inside a box: Marsten, Hogan and
Blankenship, Operations Research 23 (1975), 389-405):

1. start at the fluid prices; group the requests by volume into at most ``GROUPS`` groups;
2. let every request take its cheapest start; the starts of a group say by how much its least cost
   changes with the prices: a cut, that is a column of the primal program;
3. maximise the sum of the groups' lowest cuts less the charge for capacity over a box around the
   best prices: a linear program in the prices at the knots and one least cost per group, solved by
   HiGHS's simplex method;
4. move there if the bound gains a tenth of what was predicted; widen the box when the prediction
   was good, halve it when the bound gained less;
5. repeat from 2 until the predicted gain is negligible without the box in the way, or
   ``MOST_ROUNDS`` are over.

The multipliers of the cuts mix the starts that were taken into a solution of the primal program;
they give every request its mean start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import highspy
import numpy as np
from scipy import sparse

from ...theory.backlog import Backlog
from .fluid_prices import Floats, PriceGrid, certify, fluid_prices
from .priced_bound import Integers, PricedBound, RequestTypes
from .priced_bound_kernel import memory_by_piece

KNOTS = 64
PIECES = 1024
GROUPS = 100
MOST_ROUNDS = 60
NEGLIGIBLE = 1e-4
"""Predicted gain, relative to the bound, at which the search ends."""


@dataclass(frozen=True)
class Search:
    r"""The prices found and the primal solution that belongs to them.

    Attributes
    ----------
    bound
        The certificate.
    mean_starts
        :math:`\sum_t t\, x_{i,t}` of each request, in steps; a hint for orders, not certified.
    rounds
        Linear programs solved.
    """

    bound: PricedBound
    mean_starts: tuple[float, ...]
    rounds: int


def search_prices(backlog: Backlog, progress: Callable[[int, float], None] | None = None) -> Search:
    """Maximise the priced bound by the steps of the module docstring.

    Parameters
    ----------
    backlog
        The requests and the budget.
    progress
        Called after every round with its number and the best bound so far.
    """
    grid = PriceGrid.of(backlog, KNOTS, PIECES)
    groups = _groups(RequestTypes.of(backlog))
    center = fluid_prices(backlog, grid)
    unit = len(backlog) / backlog.memory
    radius = np.maximum(0.3 * center, 0.02 * unit)
    best = certify(backlog, grid.durations, grid.interpolation @ center)
    master = _Master(backlog, grid, unit=unit, groups=groups)
    master.add_cuts(best)
    rounds = 0
    while rounds < MOST_ROUNDS:
        rounds += 1
        prices, predicted, inside = master.maximise(center, radius)
        gain = predicted - float(best.value)
        if gain <= NEGLIGIBLE * predicted:
            if inside:
                break
            radius = 4 * radius
            continue
        found = certify(backlog, grid.durations, grid.interpolation @ prices)
        share = float(found.value - best.value) / gain
        if share > 0.5:
            radius = 1.5 * radius
        elif share <= 0.1:
            radius = radius / 2
        if share > 0.1:
            center = prices
        if found.value > best.value:
            best = found
        master.add_cuts(found)
        if progress is not None:
            progress(rounds, float(best.value))
    return Search(best, master.mean_starts(), rounds)


def _groups(types: RequestTypes) -> Integers:
    """Group number of each type: equally many types per group, by ascending volume."""
    count = len(types.counts)
    groups = np.empty(count, dtype=np.int64)
    groups[np.argsort(types.volumes, kind="stable")] = (
        np.arange(count) * min(GROUPS, count) // count
    )
    return groups


class _Master:
    """The linear program of step 3: prices at the knots, in multiples of ``unit``, then costs."""

    def __init__(self, backlog: Backlog, grid: PriceGrid, unit: float, groups: Integers) -> None:
        self.grid = grid
        self.unit = unit
        self.types = RequestTypes.of(backlog)
        self.groups = groups
        self.group_count = int(groups.max()) + 1
        self.starts: list[Integers] = []
        self.highs = highspy.Highs()
        self.highs.setOptionValue("output_flag", False)
        self.highs.setOptionValue("solver", "simplex")
        self.knots = len(grid.knots) - 1
        columns = self.knots + self.group_count
        capacity = backlog.memory * (grid.interpolation.T @ grid.durations.astype(float))
        lower = np.full(columns, -highspy.kHighsInf)
        lower[: self.knots] = 0.0
        self.highs.addVars(columns, lower, np.full(columns, highspy.kHighsInf))
        objective = np.concatenate([-capacity * unit, np.ones(self.group_count)])
        self.highs.changeColsCost(columns, np.arange(columns, dtype=np.int32), objective)
        self.highs.changeObjectiveSense(highspy.ObjSense.kMaximize)

    def add_cuts(self, bound: PricedBound) -> None:
        """One cut per group from the cheapest starts at the prices of ``bound``."""
        starts = np.array(bound.cheapest[1], dtype=np.int64)
        self.starts.append(starts)
        held = np.zeros((self.group_count, len(self.grid.ends)))
        memory_by_piece(
            self.types.prompts,
            self.types.outputs,
            starts,
            self.types.counts,
            self.groups,
            self.grid.ends,
            held,
        )
        completions = self.types.counts * (starts + self.types.outputs)
        costs = np.bincount(self.groups, completions, self.group_count).astype(np.float64)
        slopes = sparse.csr_array(-self.unit * (held @ self.grid.interpolation))
        rows = sparse.hstack([slopes, sparse.eye_array(self.group_count)], format="csr")
        self.highs.addRows(
            self.group_count,
            np.full(self.group_count, -highspy.kHighsInf),
            costs,
            rows.nnz,
            rows.indptr[:-1].astype(np.int32),
            rows.indices.astype(np.int32),
            rows.data,
        )

    def maximise(self, center: Floats, radius: Floats) -> tuple[Floats, float, bool]:
        """Best prices in the box, the bound predicted there, and whether the box is slack."""
        lower = np.maximum(0.0, center - radius) / self.unit
        upper = (center + radius) / self.unit
        columns = np.arange(self.knots, dtype=np.int32)
        self.highs.changeColsBounds(self.knots, columns, lower, upper)
        self.highs.run()
        found = np.array(self.highs.getSolution().col_value[: self.knots])
        close = 1e-6 * (upper - lower)
        inside = bool(
            np.all((found <= close) | ((found > lower + close) & (found < upper - close)))
        )
        predicted = float(self.highs.getInfo().objective_function_value)
        return np.maximum(found, 0.0) * self.unit, predicted, inside

    def mean_starts(self) -> tuple[float, ...]:
        """Starts mixed with the multipliers of the last program's cuts, per request."""
        multipliers = np.abs(np.array(self.highs.getSolution().row_dual))
        solved = len(multipliers) // self.group_count
        weights = multipliers.reshape(solved, self.group_count)
        weights = weights / weights.sum(axis=0)
        starts = np.array(self.starts[:solved])
        mean = (weights[:, self.groups] * starts).sum(axis=0)
        return tuple(mean[self.types.of_request].tolist())
