r"""Heuristic choices of batches for large backlogs, and rescheduling at every completion.

All of them form batches that are feasible in the sense of the peak sum and look for a small
F-metric :math:`F(X) = \sum_{i \in X} o_i / |X|^2`. None leaves a batch whose F would fall if its
longest request were dropped: with that, a choice within a factor beta of the least F keeps the
guarantee 48 beta. That the variants exist is public (arXiv 2508.06133); the listings are ours.

Below, requests are compared by output and then by request number: "first", "shortest" and
"longest" mean that order. A seed order is a permutation of the requests. n is the number of
requests, k the size of a batch.

*Local swap.* Until nothing waits:

1. X is the prefix of least F among all prefixes of all seed orders, restricted to what waits, that
   fit; of equals the one from the earlier seed order, and then the larger one.
2. Look for the best move of each kind that keeps X feasible: the swap of a member against a waiting
   request that saves most output (of equals that of the first member, each against the first
   request that fits); the addition of the first waiting request that fits; the removal of the
   longest member.
3. Make the move that leaves the least F if it is less than F(X) (of equals in the order of step 2)
   and return to step 2; else X is the next batch.

The seed orders are those by output, by peak and by volume, ties by request number; *LP-swap* takes
the order of the linear program as the only one. Seeding by output alone, as the name suggests,
leaves long prompts with short outputs in place, and no single swap that lowers F removes them.
Time :math:`O(k \log n)` per batch and per move.

*Quantile greedy.* Until nothing waits:

1. For q = 1/10, 2/10, ..., 1, let s(q) and o(q) be the :math:`\lceil q m \rceil`-th smallest prompt
   and output of the m waiting requests. Walk through the requests with prompt at most s(q) and
   output at most o(q), first to last, and take each; stop at one that does not fit or does not
   lower F.
2. X is the result of least F; of equals that of the smallest q.
3. Fill: walk through the other waiting requests, first to last; take each that fits, as long as F
   falls.
4. While F falls, drop the longest. X is the next batch.

Time :math:`O(k \log n)` per batch and quantile.

*Receding horizon.* At time 0 and at every completion:

1. The budget is M minus the most that the running requests will hold in any step to come.
2. Choose a batch of the waiting requests within that budget by steps 1 to 3 of local swap.
3. Start the whole batch now. If it was not empty, return to step 1.

Nothing later than the present is ever committed. Time as local swap, and the longest output per
completion.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...theory.backlog import Backlog, Schedule, batch_order, require_feasible
from ...theory.backlog.batches import Batch
from ...theory.backlog.model import Integers
from ...theory.errors import InvalidInput
from . import heuristics_kernel
from .listing import fast_list_schedule

QUANTILES = 10
"""Quantile greedy tries q = 1 / QUANTILES, 2 / QUANTILES, ..., 1."""

MOST_REQUESTS = 2**19
"""Beyond it comparisons of F-metrics could leave 64 bits."""


def ascending(values: Integers) -> tuple[int, ...]:
    """Request numbers by ascending ``values``, ties by request number."""
    return tuple(np.argsort(values, kind="stable").tolist())


def local_swap_batches(
    backlog: Backlog, seed_orders: Sequence[Sequence[int]] | None = None
) -> tuple[Batch, ...]:
    """Batches by local swap (listing in the module docstring), in the order of their choice.

    Parameters
    ----------
    seed_orders
        Permutations of the requests; by default those by output, by peak and by volume.

    Raises
    ------
    InvalidInput
        A seed order that is no permutation, or more than 2^19 requests.
    """
    _require_few(backlog)
    requests = _by_output(backlog)
    if seed_orders is None:
        seed_orders = default_seed_orders(backlog)
    batch_of = heuristics_kernel.local_swap(
        backlog.outputs[requests],
        backlog.peaks[requests],
        backlog.memory,
        _places(requests, seed_orders),
    )
    return _batches(requests, batch_of)


def quantile_greedy_batches(backlog: Backlog) -> tuple[Batch, ...]:
    """Batches by quantile greedy (listing in the module docstring), in the order of their choice.

    Raises
    ------
    InvalidInput
        More than 2^19 requests.
    """
    _require_few(backlog)
    requests = _by_output(backlog)
    batch_of = heuristics_kernel.quantile_greedy(
        backlog.outputs[requests],
        backlog.prompts[requests],
        backlog.peaks[requests],
        backlog.memory,
        QUANTILES,
    )
    return _batches(requests, batch_of)


def receding_horizon_schedule(backlog: Backlog) -> Schedule:
    """Batches chosen anew at every completion (listing in the module docstring).

    Raises
    ------
    InvalidInput
        More than 2^19 requests.
    """
    _require_few(backlog)
    requests = _by_output(backlog)
    starts = np.empty(len(backlog), dtype=np.int64)
    starts[requests] = heuristics_kernel.receding_horizon(
        backlog.outputs[requests],
        backlog.prompts[requests],
        backlog.peaks[requests],
        backlog.memory,
        _places(requests, default_seed_orders(backlog)),
    )
    schedule = Schedule(tuple(starts.tolist()))
    require_feasible(backlog, schedule)
    return schedule


def schedule_of_batches(backlog: Backlog, batches: Sequence[Batch]) -> Schedule:
    """Phase two: batch after batch, inside each by output, in strict order."""
    return fast_list_schedule(backlog, batch_order(backlog, batches))


def default_seed_orders(backlog: Backlog) -> tuple[tuple[int, ...], ...]:
    """The orders by output, by peak and by volume, ties by request number."""
    return ascending(backlog.outputs), ascending(backlog.peaks), ascending(backlog.volumes)


def _require_few(backlog: Backlog) -> None:
    if len(backlog) > MOST_REQUESTS:
        raise InvalidInput("requests", len(backlog), f"at most {MOST_REQUESTS} of them")


def _by_output(backlog: Backlog) -> Integers:
    """The request at every place of the kernels' order."""
    return np.array(ascending(backlog.outputs), dtype=np.int64)


def _places(requests: Integers, seed_orders: Sequence[Sequence[int]]) -> Integers:
    """The seed orders in places instead of request numbers, shape (orders, n)."""
    place_of = np.argsort(requests)
    for order in seed_orders:
        if sorted(order) != list(range(len(requests))):
            raise InvalidInput("seed_orders", "...", f"permutations of 0 ... {len(requests) - 1}")
    return place_of[np.array(seed_orders, dtype=np.int64)]


def _batches(requests: Integers, batch_of: Integers) -> tuple[Batch, ...]:
    sequence = np.lexsort((requests, batch_of))
    cuts = np.flatnonzero(np.diff(batch_of[sequence])) + 1
    return tuple(tuple(batch.tolist()) for batch in np.split(requests[sequence], cuts))
