r"""Lower bounds on the output of a batch of given size, by pricing its memory.

A batch X of k of the waiting requests is feasible if it meets memory rows

.. math:: \sum_{i \in X} a_{ri} \le M:

one row with the peaks for the peak sum; for the common start one row for every output u, with
:math:`a_{ui} = s_i + u` if :math:`o_i \ge u` and 0 otherwise. For any prices :math:`\pi_r \ge 0`,

.. math:: \sum_{i \in X} o_i \ge \min_{|Y| = k} \sum_{i \in Y} p_i - M \sum_r \pi_r,
          \qquad p_i = o_i + \sum_r \pi_r a_{ri},

and the minimum is the sum of the k least penalised outputs: one sort bounds every size at once.
Prices are integers in units of :math:`2^{-q}`, everything is scaled with :math:`2^q`, and the
bounds are exact in integers, whatever the prices. How good they are is another matter:
`raised_prices` climbs the concave bound of one size, row after row, along exact tangents, and
`optimal_prices` asks a solver where several rows must rise together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import linprog

from ...theory.backlog import Backlog, BatchKind
from ...theory.backlog.model import Integers

Members = npt.NDArray[np.bool_]
"""A set of candidates, as a mask."""

ROUNDS = 16
"""Rows that `Relaxation.raised_prices` looks at, at most."""

_LARGEST_SUM = 2**61
_MOST_FRACTION_BITS = 20
_PRICE_BITS = 12


@dataclass(frozen=True, eq=False)
class Candidates:
    """Waiting requests by descending output, then by number, with the rows of their memory."""

    backlog: Backlog
    numbers: Integers
    kind: BatchKind

    @classmethod
    def of(cls, backlog: Backlog, waiting: Sequence[int], kind: BatchKind) -> Candidates:
        """The requests with the numbers ``waiting``."""
        numbers = np.array(sorted(waiting), dtype=np.int64)
        return cls(backlog, numbers[np.argsort(-backlog.outputs[numbers], kind="stable")], kind)

    def __len__(self) -> int:
        return len(self.numbers)

    @cached_property
    def outputs(self) -> Integers:
        """Output tokens."""
        return self.backlog.outputs[self.numbers]

    @cached_property
    def prompts(self) -> Integers:
        """Prompt tokens."""
        return self.backlog.prompts[self.numbers]

    @cached_property
    def peaks(self) -> Integers:
        """Peaks."""
        return self.outputs + self.prompts

    @cached_property
    def lasts(self) -> Integers:
        """The last candidate of every distinct output: where the rows of the common start end."""
        return np.append(np.flatnonzero(np.diff(self.outputs)), len(self) - 1)

    @cached_property
    def row_of(self) -> Integers:
        """The row of every candidate's own output, for the common start."""
        return np.searchsorted(self.lasts, np.arange(len(self)))

    @property
    def rows(self) -> int:
        """How many memory rows there are."""
        return 1 if self.kind == "peak-sum" else len(self.lasts)

    def usage(self, members: Members) -> Integers:
        """What a batch uses of every row, in tokens."""
        if self.kind == "peak-sum":
            return np.array([self.peaks[members].sum()])
        held = np.cumsum(np.where(members, self.prompts, 0))[self.lasts]
        return held + np.cumsum(members)[self.lasts] * self.outputs[self.lasts]

    def priced_usage(self, prices: Integers) -> Integers:
        """Sum over the rows of price times the row's entry, for every candidate."""
        if self.kind == "peak-sum":
            return self.peaks * int(prices[0])
        # A candidate is in the rows of its own output and of all smaller ones, which come later.
        per_token = np.cumsum(prices[::-1])[::-1]
        fixed = np.cumsum((prices * self.outputs[self.lasts])[::-1])[::-1]
        return self.prompts * per_token[self.row_of] + fixed[self.row_of]

    def is_feasible(self, members: Members) -> bool:
        """Whether a batch meets every row."""
        return bool(self.usage(members).max() <= self.backlog.memory)


class Relaxation:
    """Bounds on the output of the batches of every size, at the best prices met so far.

    Attributes
    ----------
    bounds
        For every size 0 ... n, scaled with 2^bits: no batch of this size has less output.
    """

    def __init__(self, candidates: Candidates) -> None:
        self.candidates = candidates
        widest = max(len(candidates) * int(candidates.peaks.max()), candidates.backlog.memory)
        self._most_price = _LARGEST_SUM // widest
        self.bits = max(0, min(_MOST_FRACTION_BITS, self._most_price.bit_length() - _PRICE_BITS))
        self.bounds = np.zeros(len(candidates) + 1, dtype=np.int64)
        self.no_prices = np.zeros(candidates.rows, dtype=np.int64)

    def output_bounds(self) -> Integers:
        """The bounds in tokens, rounded up."""
        return -(-self.bounds >> self.bits)

    def penalties(self, prices: Integers) -> Integers:
        """Penalised outputs, scaled."""
        return (self.candidates.outputs << self.bits) + self.candidates.priced_usage(prices)

    def bound_all(self, prices: Integers) -> tuple[Integers, Integers]:
        """Renew the bounds of all sizes; the candidates by penalised output, and the new bounds."""
        penalties = self.penalties(prices)
        order = np.argsort(penalties)
        bounds = np.zeros_like(self.bounds)
        np.cumsum(penalties[order], out=bounds[1:])
        bounds -= self.candidates.backlog.memory * int(prices.sum())
        np.maximum(self.bounds, bounds, out=self.bounds)
        return order, bounds

    def raised_prices(self, size: int, prices: Integers, enough: int) -> Integers:
        """Prices with a high bound for ``size``, from ``prices`` on.

        Stops early once the bound exceeds ``enough`` tokens.
        """
        order, bounds = self.bound_all(prices)
        best = int(bounds[size])
        excess = self._excess(order, size)
        for _ in range(ROUNDS):
            if best > enough << self.bits:
                break
            row = int(np.argmax(excess))
            if excess[row] <= 0:
                row = int(np.argmin(excess * prices))
                if excess[row] * prices[row] == 0:
                    break
            raised, value, order = self._climb(size, prices, row, enough)
            if value <= best:
                break
            prices, best = raised, value
            excess = self._excess(order, size)
        return prices

    def optimal_prices(self, size: int) -> Integers:
        """Prices of nearly the best bound for ``size``: the duals of its linear program, rounded.

        The program has sums of prompts and counts down to every row as variables, so that it is
        sparse. Its solution is only a hint: bounds at its prices are computed afresh.
        """
        candidates = self.candidates
        requests, rows = len(candidates), candidates.rows
        if candidates.kind == "peak-sum":
            cumulated = sparse.csr_array((0, requests))
            rows_of = sparse.csr_array(candidates.peaks[None, :])
        else:
            members = sparse.coo_array(
                (np.ones(requests), (candidates.row_of, np.arange(requests)))
            ).tocsr()
            step = sparse.diags_array([np.ones(rows), -np.ones(rows - 1)], offsets=[0, -1])
            no_step = sparse.csr_array((rows, rows))
            cumulated = sparse.block_array(
                [
                    [-members * candidates.prompts[None, :], step, no_step],
                    [-members, no_step, step],
                ]
            )
            held = sparse.eye_array(rows)
            grown = sparse.diags_array(candidates.outputs[candidates.lasts].astype(float))
            rows_of = sparse.hstack([sparse.csr_array((rows, requests)), held, grown])
        variables = rows_of.shape[1]
        counting = np.zeros((1, variables))
        counting[0, :requests] = 1
        solution = linprog(
            np.concatenate([candidates.outputs, np.zeros(variables - requests)]),
            A_ub=rows_of,
            b_ub=np.full(rows, candidates.backlog.memory),
            A_eq=sparse.vstack([cumulated, sparse.csr_array(counting)]),
            b_eq=np.concatenate([np.zeros(cumulated.shape[0]), [size]]),
            bounds=[(0, 1)] * requests + [(0, None)] * (variables - requests),
            method="highs",
        )
        if solution.status != 0:
            return self.no_prices
        duals = np.array(solution.ineqlin.marginals, dtype=np.float64)
        prices = np.maximum(0, np.rint(-duals * 2.0**self.bits))
        # A size that no batch has may have any duals.
        if not prices.sum() <= self._most_price:
            return self.no_prices
        return prices.astype(np.int64)

    def _climb(
        self, size: int, prices: Integers, row: int, enough: int
    ) -> tuple[Integers, int, Integers]:
        """Maximise the bound of ``size`` over the price of one row: prices, bound, order there."""
        most = self._most_price - int(prices.sum()) + int(prices[row])

        def look(price: int) -> tuple[int, int, int, Integers, Integers]:
            changed = prices.copy()
            changed[row] = price
            order, bounds = self.bound_all(changed)
            return price, int(bounds[size]), int(self._excess(order, size)[row]), changed, order

        here = look(int(prices[row]))
        best = here
        low = high = None
        if here[2] > 0:
            low = here
            while high is None and low[0] < most:
                there = look(min(most, max(2 * low[0], 1 << max(0, self.bits - 10))))
                best = max(best, there, key=lambda point: point[1])
                if best[1] > enough << self.bits:
                    return best[3], best[1], best[4]
                if there[2] > 0:
                    low = there
                else:
                    high = there
        else:
            high = here
            low = look(0) if here[0] > 0 else None
            if low is not None:
                best = max(best, low, key=lambda point: point[1])
        while low is not None and high is not None and low[2] > 0 > high[2]:
            # The tangents at both ends meet where the bound would be best if nothing lay between.
            meet = (high[1] - low[1] + low[2] * low[0] - high[2] * high[0]) // (low[2] - high[2])
            if not low[0] < meet < high[0]:
                break
            promised = low[1] + low[2] * (meet - low[0])
            if promised - best[1] <= 1 << self.bits >> 8:
                break
            there = look(meet)
            best = max(best, there, key=lambda point: point[1])
            if there[2] > 0:
                low = there
            else:
                high = there
        return best[3], best[1], best[4]

    def _excess(self, order: Integers, size: int) -> Integers:
        """By how much the ``size`` first of ``order`` exceed every row, in tokens."""
        members = np.zeros(len(self.candidates), dtype=np.bool_)
        members[order[:size]] = True
        return self.candidates.usage(members) - self.candidates.backlog.memory
