r"""Prices in closed form: those of the mean busy time relaxation, on a grid of knots.

*Fluid prices.* The mean busy time relaxation (`kurtz.theory.backlog.bounds`) pours the volumes into
the steps in ascending order, M per step: request j over the steps from that of :math:`V_{j-1}` to
:math:`e_j = \lceil V_j / M \rceil`. Its dual prices are 0 from step :math:`e_n` on and grow
backwards by :math:`1/\mathrm{vol}_j` per step from :math:`e_j` to :math:`e_{j-1}`, by about 1/M
per request: the price of a step is about the number of requests that still have to be poured,
over M. Then :math:`t/\mathrm{vol}_i + \pi_t` is least, :math:`\lambda_i`, wherever request i is
poured, and with its lag :math:`d_i`

.. math::

   f_i(p) = d_i + \sum_{u=1}^{o_i} (s_i + u) \Big[\frac{p + u}{\mathrm{vol}_i} + \pi_{p+u}\Big]
          \ge d_i + \mathrm{vol}_i \lambda_i.

The right-hand sides less :math:`M \sum_t \pi_t` add up to the mean busy time bound, by duality.
So the priced bound of these prices is at least as large, and the value of the time-indexed
program too.

*Fewer prices.* Prices are interpolated linearly between the knots
:math:`0 = k_0 < k_1 < \dots < k_K`, :math:`\pi = A y` with :math:`y \ge 0` and
:math:`\pi_{k_K + 1} = 0`, and averaged over pieces that subdivide the intervals. That is the linear
program with the rows of its steps added up with the weights of A. Knots are spaced so that the
square root of the rate at which requests are poured has the same integral between any two. If
the horizon is at most K there is a knot at each step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from ...theory.backlog import Backlog
from .priced_bound import MOST_BITS, Integers, PricedBound

Floats = npt.NDArray[np.float64]

PIECES = 4096
"""Of the fluid prices: knots, and pieces of constant price."""

FINEST_SCALE = 2**40


@dataclass(frozen=True)
class PriceGrid:
    """Knots, and the pieces that subdivide the intervals between them.

    Attributes
    ----------
    knots
        Ascending, 0 first; the price at knot k is that of step k + 1, and 0 at the last knot.
    ends
        Last step of each piece.
    """

    knots: Integers
    ends: Integers

    @classmethod
    def of(cls, backlog: Backlog, knots: int, pieces: int) -> PriceGrid:
        """About ``knots`` knots and at most about ``pieces`` pieces for ``backlog``."""
        longest = int(backlog.outputs.max())
        horizon = default_horizon(backlog)
        if horizon <= knots:
            places = np.arange(horizon + 1)
        else:
            times = np.cumsum(np.sort(backlog.volumes), dtype=np.float64) / backlog.memory
            weights = np.cumsum(np.sqrt(np.diff(times, prepend=0.0)))
            shares = np.linspace(0.0, weights[-1], knots + 1)
            pouring = np.interp(shares, weights, times).astype(np.int64)
            after = horizon - longest + np.geomspace(1, longest, knots // 8).astype(np.int64)
            places = np.unique(np.concatenate([[0], pouring, after, [horizon]]))
        per_interval = max(1, pieces // (len(places) - 1))
        ends = [
            left + np.arange(1, parts + 1) * (right - left) // parts
            for left, right in pairwise(places.tolist())
            for parts in [min(per_interval, right - left)]
        ]
        return cls(places.astype(np.int64), np.concatenate(ends).astype(np.int64))

    @property
    def durations(self) -> Integers:
        """Steps in each piece."""
        durations: Integers = np.diff(self.ends, prepend=0)
        return durations

    @cached_property
    def interpolation(self) -> Any:
        """The matrix A, of shape (pieces, knots without the last)."""
        middles = self.ends - (self.durations - 1) / 2
        steps = self.knots + 1
        left = np.searchsorted(self.knots, self.ends) - 1
        share = (middles - steps[left]) / np.diff(steps)[left]
        rows = np.tile(np.arange(len(self.ends)), 2)
        weights = np.concatenate([1 - share, share])
        shape = (len(self.ends), len(self.knots))
        matrix = sparse.csr_array((weights, (rows, np.concatenate([left, left + 1]))), shape=shape)
        return matrix[:, :-1]


def default_horizon(backlog: Backlog) -> int:
    """Steps to pour all volumes, ceil(V / M), plus the longest output."""
    return int(pouring_ends(backlog)[-1]) + int(backlog.outputs.max())


def pouring_ends(backlog: Backlog) -> Floats:
    """0 and e_1, ..., e_n, the steps by whose end the ascending volumes are poured."""
    # Floating point: a sum of volumes may exceed 64 bits.
    poured = np.cumsum(np.sort(backlog.volumes), dtype=np.float64)
    return np.concatenate([[0.0], np.ceil(poured / backlog.memory)])


def fluid_prices(backlog: Backlog, grid: PriceGrid) -> Floats:
    """The mean busy time relaxation's prices at all knots but the last."""
    ends = pouring_ends(backlog)
    drops = np.diff(ends) / np.sort(backlog.volumes)
    at_ends = np.concatenate([np.cumsum(drops[::-1])[::-1], [0.0]])
    prices: Floats = np.interp(grid.knots[:-1] + 1, ends, at_ends)
    return prices


def certify(backlog: Backlog, durations: Integers, prices: Floats) -> PricedBound:
    """The priced bound of floating-point prices, rounded over a power of two that fits 64 bits."""
    volume, output = int(backlog.volumes.max()), int(backlog.outputs.max())
    prices = np.maximum(prices, 0.0)
    largest_cost = int(durations.sum()) + output + volume * (float(prices.max()) + 1e-9)
    # One bit is kept for the rounding.
    scale = 2 ** max(0, MOST_BITS - 1 - math.ceil(math.log2(largest_cost)))
    scale = min(scale, FINEST_SCALE)
    rounded = tuple(round(price * scale) for price in prices.tolist())
    return PricedBound(backlog, rounded, tuple(durations.tolist()), scale)


def fluid_bound(backlog: Backlog) -> PricedBound:
    """The bound of the fluid prices, without a search."""
    grid = PriceGrid.of(backlog, PIECES, PIECES)
    return certify(backlog, grid.durations, grid.interpolation @ fluid_prices(backlog, grid))
