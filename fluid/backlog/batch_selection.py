r"""Phase one of Sorted-F at scale: the exact best batch, for both definitions of a feasible batch.

The twin of `kurtz.theory.backlog.best_batch`, tie-break included: least :math:`S / k^2` with S the
output and k the size of the batch, then larger k, then the smallest request numbers. For every
size k let :math:`S_k` be the least output of a feasible batch of k requests.

1. *Bounds.* Priced memory rows (`batch_relaxation`) give :math:`S_k \ge b_k` for all k, exactly.
2. *Sizes.* With an incumbent at hand only those k can win whose :math:`b_k` is at most the cutoff
   :math:`U_k`, the largest output with which k would beat the incumbent, or tie with it at a
   larger size. Take the size of least :math:`b_k / k^2`, raise its prices, and if it still can
   win, find :math:`S_k`; repeat until no size can win.
3. *Core.* Let :math:`p_{(1)} \le p_{(2)} \le \dots` be the penalised outputs at the prices for k,
   the *base* the k least, and :math:`\lambda` half way between :math:`p_{(k)}` and
   :math:`p_{(k+1)}`. A batch of k requests with output at most U has

   .. math:: \sum_{\text{left out of the base}} (\lambda - p_i)
             + \sum_{\text{taken from outside}} (p_i - \lambda) \le U - b_k ,

   all terms nonnegative. So most requests are in every such batch or in none; the others are the
   core. U starts at :math:`b_k` and doubles its distance until a batch is found or
   :math:`U_k` is reached.
4. *Dynamic program.* Take base and core by descending output. For the peak sum a request adds its
   peak to the load; for the common start it may join c requests with prompts that add up to m iff
   :math:`m + s + (c + 1) o \le M`, which are all rows at once. States are dominated by size, load
   and output, and dropped once step 3's sum exceeds :math:`U - b_k`.
5. *Ties.* For the best k and :math:`S_k`, go through the core by request number and keep every
   request that some best batch with all earlier decisions contains: it is in the batch at hand, or
   may take the place of a later member of equal output and no smaller prompt, or the dynamic
   program with the decisions as requirements finds a batch. If it is refused, so are later ones of
   equal output and no smaller prompt.

Step 4 also charges what is left unused of the priced rows that a request closes: with it the sum of
step 3 is exact in the end, and at most :math:`U - b_k` if and only if the output is at most U.

All in integers and never stopped early. States may number as many as sizes times loads, as in the
plain dynamic program of time :math:`O(n^2 M)`; on workloads they are few, for the core is small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...theory.backlog import BATCH_KINDS, Backlog, BatchKind
from ...theory.backlog.batches import Batch
from ...theory.backlog.model import Integers
from ...theory.errors import InvalidInput
from .batch_relaxation import Candidates, Members, Relaxation
from .batch_selection_kernel import cheapest_batch

MOST_REQUESTS = 2**19
"""Beyond it comparisons of F-metrics could leave 64 bits."""


LARGEST_CORE = 4096
"""Size times open requests beyond which the prices of the linear program are worth their time."""


def select_batch(backlog: Backlog, waiting: Sequence[int], kind: BatchKind = "peak-sum") -> Batch:
    """The feasible subset of ``waiting`` of least F: `kurtz.theory.backlog.best_batch`, faster.

    Raises
    ------
    InvalidInput
        No such kind, nothing to select from, or more than 2^19 requests.

    >>> select_batch(Backlog.of([(9, 1), (1, 2), (1, 2)], memory=10), (0, 1, 2))
    (1, 2)
    """
    if kind not in BATCH_KINDS:
        raise InvalidInput("kind", kind, f"one of {', '.join(BATCH_KINDS)}")
    if not 1 <= len(waiting) <= MOST_REQUESTS:
        raise InvalidInput("waiting", len(waiting), f"1 to {MOST_REQUESTS} requests to select from")
    return _Selection(Candidates.of(backlog, waiting, kind)).batch()


def sorted_f_batches_fast(backlog: Backlog, kind: BatchKind = "peak-sum") -> tuple[Batch, ...]:
    """Phase one: the best batch of what is left, again and again, in the order of selection."""
    waiting = list(range(len(backlog)))
    batches: list[Batch] = []
    while waiting:
        batch = select_batch(backlog, waiting, kind)
        batches.append(batch)
        taken = set(batch)
        waiting = [i for i in waiting if i not in taken]
    return tuple(batches)


@dataclass(frozen=True, eq=False)
class _Core:
    """Step 3: what is open at given prices, a size and a largest output; masks over candidates."""

    base: Members
    relevant: Members
    open: Members
    deviations: Integers
    prices: Integers
    gap: int
    output: int


class _Selection:
    """One search for the best batch among candidates."""

    def __init__(self, candidates: Candidates) -> None:
        self.candidates = candidates
        self.relaxation = Relaxation(candidates)
        self.sizes = np.arange(len(candidates) + 1)
        self.size = 0
        self.output = 0
        self.members: Members = np.zeros(len(candidates), dtype=np.bool_)

    def batch(self) -> Batch:
        """Steps 1, 2 and 5."""
        self._seed()
        solved = np.zeros(len(self.sizes), dtype=np.bool_)
        solved[0] = True
        prices = self.relaxation.no_prices
        prices_of_best = prices
        while True:
            bounds = self.relaxation.output_bounds()
            can_win = ~solved & (bounds <= self._cutoffs())
            if not can_win.any():
                break
            size = int(self.sizes[can_win][np.argmin((bounds / self._squares())[can_win])])
            cutoff = int(self._cutoffs()[size])
            prices = self.relaxation.raised_prices(size, prices, cutoff)
            if size * int(self._core(size, prices, cutoff).open.sum()) > LARGEST_CORE:
                prices = self.relaxation.raised_prices(
                    size, self.relaxation.optimal_prices(size), cutoff
                )
            solved[size] = True
            if self._solve(size, prices):
                prices_of_best = prices
        if prices_of_best is self.relaxation.no_prices:
            prices_of_best = self.relaxation.raised_prices(self.size, prices, self.output)
        self._settle_ties(prices_of_best)
        return tuple(sorted(self.candidates.numbers[self.members].tolist()))

    def _squares(self) -> Integers:
        squares: Integers = np.maximum(self.sizes, 1) ** 2
        return squares

    def _seed(self) -> None:
        """The best prefix that fits of the orders by output, by peak and by volume."""
        outputs, prompts = self.candidates.outputs, self.candidates.prompts
        for values in (outputs, self.candidates.peaks, outputs * (2 * prompts + outputs)):
            order = np.argsort(values, kind="stable")
            fits, too_many = 1, len(order) + 1
            while too_many - fits > 1:
                middle = (fits + too_many) // 2
                if self.candidates.is_feasible(self._first(order, middle)):
                    fits = middle
                else:
                    too_many = middle
            totals = np.cumsum(outputs[order])
            size = 1 + int(np.argmin(totals[:fits] / self._squares()[1 : fits + 1]))
            if self.size == 0 or totals[size - 1] <= self._cutoffs()[size]:
                self.size, self.output = size, int(totals[size - 1])
                self.members = self._first(order, size)

    def _first(self, order: Integers, size: int) -> Members:
        members = np.zeros(len(order), dtype=np.bool_)
        members[order[:size]] = True
        return members

    def _cutoffs(self) -> Integers:
        """Step 2: the largest output with which each size would replace the incumbent."""
        at_par, rest = np.divmod(self.output * self.sizes**2, self.size**2)
        cutoffs: Integers = at_par - ((self.sizes <= self.size) & (rest == 0))
        return cutoffs

    def _solve(self, size: int, prices: Integers) -> bool:
        """Steps 3 and 4: whether a batch of ``size`` replaced the incumbent."""
        lowest = int(self.relaxation.output_bounds()[size])
        cutoff = int(self._cutoffs()[size])
        distance = 0
        while lowest + distance <= cutoff:
            members = self._cheapest(self._core(size, prices, lowest + distance), size)
            if members is not None:
                output = int(self.candidates.outputs[members].sum())
                self.size, self.output, self.members = size, output, members
                return True
            if lowest + distance == cutoff:
                break
            distance = min(2 * distance + 1, cutoff - lowest)
        return False

    def _core(self, size: int, prices: Integers, output: int) -> _Core:
        penalties = self.relaxation.penalties(prices)
        order = np.argsort(penalties, kind="stable")
        bound = int(penalties[order[:size]].sum())
        bound -= self.candidates.backlog.memory * int(prices.sum())
        gap = (output << self.relaxation.bits) - bound
        inside = int(penalties[order[size - 1]])
        outside = int(penalties[order[min(size, len(order) - 1)]])
        level = (inside + outside) // 2
        base = self._first(order, size)
        deviations = np.abs(penalties - level)
        # One deviation needs another on the other side to keep the size.
        beside = np.where(base, outside - level, level - inside)
        unfixed = deviations + beside <= gap
        return _Core(base, base | unfixed, unfixed, deviations, prices, gap, output)

    def _cheapest(self, core: _Core, size: int, required: Members | None = None) -> Members | None:
        """Step 4: the cheapest batch of ``size`` in the core that contains what is required."""
        at = np.flatnonzero(core.relevant)
        peak_sum = self.candidates.kind == "peak-sum"
        loads = self.candidates.peaks if peak_sum else self.candidates.prompts
        growths = np.zeros_like(loads) if peak_sum else self.candidates.outputs
        prices, priced_growths, gap = self._unused(core, at)
        # Members of the base that were refused are left out of every batch.
        gap -= int(core.deviations[core.base & ~core.relevant].sum())
        needed = core.base & ~core.open
        if required is not None:
            needed |= required
        chosen = cheapest_batch(
            loads[at],
            growths[at],
            self.candidates.outputs[at],
            core.deviations[at],
            core.base[at],
            needed[at],
            prices,
            priced_growths,
            self.candidates.backlog.memory,
            size,
            gap,
        )
        if not chosen.any():
            return None
        members = np.zeros(len(self.candidates), dtype=np.bool_)
        members[at] = chosen
        return members

    def _unused(self, core: _Core, at: Integers) -> tuple[Integers, Integers, int]:
        """Prices and priced growths of the rows that end at each stage, and the gap before."""
        candidates = self.candidates
        if candidates.kind == "peak-sum":
            prices = np.zeros(len(at), dtype=np.int64)
            prices[-1] = core.prices[0]
            return prices, np.zeros_like(prices), core.gap
        ends = np.append(candidates.row_of[at], candidates.rows)
        summed = np.append(0, np.cumsum(core.prices))[ends]
        grown = np.append(0, np.cumsum(core.prices * candidates.outputs[candidates.lasts]))[ends]
        return (
            np.diff(summed),
            np.diff(grown),
            core.gap - int(summed[0]) * candidates.backlog.memory,
        )

    def _settle_ties(self, prices: Integers) -> None:
        """Step 5: the smallest request numbers among the batches of the best size and output."""
        numbers, outputs, prompts = (
            self.candidates.numbers,
            self.candidates.outputs,
            self.candidates.prompts,
        )
        core = self._core(self.size, prices, self.output)
        undecided = core.open.copy()
        required = np.zeros(len(numbers), dtype=np.bool_)
        refused: dict[int, int] = {}
        for i in np.flatnonzero(core.open)[np.argsort(numbers[core.open])]:
            undecided[i] = False
            output, prompt = int(outputs[i]), int(prompts[i])
            if not self.members[i]:
                if prompt >= refused.get(output, prompt + 1):
                    core.relevant[i] = False
                    continue
                replaceable = self.members & undecided & (outputs == output) & (prompts >= prompt)
                if replaceable.any():
                    self.members[np.argmax(replaceable)] = False
                    self.members[i] = True
                else:
                    required[i] = True
                    found = self._cheapest(core, self.size, required)
                    if found is None:
                        required[i] = False
                        core.relevant[i] = False
                        refused[output] = prompt
                        continue
                    self.members = found
            required[i] = True
