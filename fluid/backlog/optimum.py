r"""The least total latency of a backlog, by depth-first search in exact integers.

The search goes through time and decides at which step each request starts. It works with the
memory that the requests started so far leave free in each step. A node holds for every waiting
request the *earliest start* from which on it may still start and at which it fits; the least of
them, t, is the node's time. The children start that request at t, or delay it. All starts to come
are at t or later, so the steps up to t are *final*. Nothing is lost by starting identical requests
in the order of their numbers. What the search leaves out:

1. *Late starts.* In an optimal schedule :math:`p_i \le \sum_{j \ne i} o_j`: otherwise some step
   before has nobody active, and all later starts can be moved one step earlier. The same argument
   rules out a final step in which nobody is active while requests wait.
2. *Single moves.* In an optimal schedule no request can be moved one step earlier alone. Moving
   request i from p > 0 to p - 1 adds :math:`s_i + 1` in step p, adds one token in each of the steps
   p + 1 ... p + o_i - 1, and frees step p + o_i. So in step p fewer than :math:`s_i + 1` tokens are
   free, or one of the steps p + 1 ... p + o_i - 1 is full. Once these are final and neither holds,
   the node is cut off.
3. *Dominance.* Let A and B be nodes at times t and t' with the same waiting requests, let A have
   been visited before B, let every step t + u have at least as much free memory in A as step t' + u
   in B, and let A's *cost*, the completions of its started requests plus t per waiting request, be
   at most B's. Whatever completes B completes A, t - t' steps later, for no more. B is cut off.
4. *Bounds.* A node is cut off if a lower bound on all that completes it reaches the incumbent's
   latency. Module `optimum_prices_kernel` has the bounds: at every node, from the root's prices on
   the memory of each step, and (up to 14 requests) from the least gaps between completions; where
   that has paid off, from prices improved for the node. Prices are found in floating point, their
   bounds computed in integers.

*Why the incumbent is optimal in the end.* Suppose some schedule were better, and take an optimal
one. Its path from the root is not cut off by 1, 2 or 4, which spare optimal schedules. If 3 cuts it
off at B in favour of A, follow the same remaining starts from A: that schedule is optimal as well,
because it costs no more. It has as many starts left, over as long a time, so following it and
changing over again at each cut by 3 comes nearer to the end each time, and must reach a leaf that
the search has visited; then the incumbent is as good. (A may be an ancestor of B only if B is on no
optimal path, for A would have the same starts left at an earlier time and a cost below B's by the
time between.) Stopped early, the same walk ends in a leaf or in a node that is still open: the
optimum is at least the least bound of the open nodes, or the incumbent's latency.

The readable twin is `optimum_by_definition`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import chain, combinations

import numpy as np

from ...theory.backlog import (
    Backlog,
    InvalidSchedule,
    Schedule,
    mean_busy_time_bound,
    total_latency,
    volume_bound,
)
from ...theory.errors import InvalidInput, require_integer
from .optimum_kernel import continue_search, open_bound
from .optimum_search_kernel import (
    DEPTH,
    FINISHED,
    LATENCY,
    NODES,
    REMEMBERED_NUMBERS,
    Search,
    new_search,
)

MOST_REQUESTS = 62
"""A set of waiting requests is a 64-bit integer."""

LARGEST_SEARCH = 4_000_000
"""Most that requests times the sum of their outputs may be: the search's arrays are that long."""

MOST_REMEMBERED = 2**20
SLICE = 20_000
"""Nodes between two looks at the progress."""

_NEVER = 2**62
"""Stands for an infinite latency."""

Progress = Callable[[int, int, int], None]
"""Called with the nodes visited, the lower bound, and the latency of the best schedule so far."""


@dataclass(frozen=True)
class Optimum:
    """The best schedule found, and a lower bound on every schedule's total latency.

    Attributes
    ----------
    backlog, schedule
        The schedule is validated on construction.
    latency
        Its total latency, in steps.
    lower_bound
        Proved by the search; in steps.
    nodes
        Size of the proof: nodes of the search tree that were visited.
    """

    backlog: Backlog
    schedule: Schedule
    latency: int
    lower_bound: int
    nodes: int

    def __post_init__(self) -> None:
        latency = total_latency(self.backlog, self.schedule)
        if latency != self.latency:
            raise InvalidSchedule(f"the schedule's total latency is {latency}, not {self.latency}")
        if self.lower_bound > latency:
            raise InvalidInput("lower_bound", self.lower_bound, f"at most {latency} (steps)")

    @property
    def is_optimal(self) -> bool:
        """Whether the bound meets the latency."""
        return self.lower_bound == self.latency


def closed_form_bound(backlog: Backlog) -> int:
    """Best of the bounds that need no search: outputs, volumes, mean busy times; in steps."""
    return max(
        int(backlog.outputs.sum()),
        math.ceil(volume_bound(backlog)),
        math.ceil(mean_busy_time_bound(backlog)),
    )


def optimum(
    backlog: Backlog,
    *,
    node_limit: int | None = None,
    progress: Progress | None = None,
) -> Optimum:
    """A schedule of least total latency, or, stopped early, the interval in which that lies.

    Parameters
    ----------
    backlog
        At most 62 requests, their number times the sum of their outputs at most 4,000,000.
    node_limit
        Stop after so many nodes. A `KeyboardInterrupt` stops the search as well.
    progress
        Called every 20,000 nodes and at the end.

    Raises
    ------
    InvalidInput
        A backlog that is too large to search, or a negative node limit.

    Examples
    --------
    >>> best = optimum(Backlog.of([(3, 1), (0, 2), (1, 2)], memory=5))
    >>> best.latency, best.is_optimal
    (6, True)
    """
    if node_limit is not None:
        require_integer("node_limit", node_limit, "nodes", at_least=0)
    if len(backlog) > MOST_REQUESTS:
        raise InvalidInput("requests", len(backlog), f"at most {MOST_REQUESTS} to search exactly")
    size = len(backlog) * int(backlog.outputs.sum())
    if size > LARGEST_SEARCH:
        allowed = f"at most {LARGEST_SEARCH} to search exactly"
        raise InvalidInput("requests times the sum of output_tokens", size, allowed)
    order = np.argsort(backlog.volumes, kind="stable")
    longest = int(backlog.outputs.max())
    search = new_search(
        backlog.prompts[order],
        backlog.outputs[order],
        backlog.memory,
        min(MOST_REMEMBERED, REMEMBERED_NUMBERS // longest),
    )
    status = None
    try:
        while status != FINISHED and (node_limit is None or search.state[NODES] < node_limit):
            left = SLICE if node_limit is None else node_limit - int(search.state[NODES])
            status = continue_search(search, min(SLICE, left))
            if progress is not None:
                bound = _lower_bound(backlog, search, status)
                progress(int(search.state[NODES]), bound, int(search.state[LATENCY]))
    except KeyboardInterrupt:
        pass  # the interval is honest after every slice
    starts = np.empty(len(backlog), dtype=np.int64)
    starts[order] = search.best_starts
    return Optimum(
        backlog,
        Schedule(tuple(starts.tolist())),
        int(search.state[LATENCY]),
        _lower_bound(backlog, search, status),
        int(search.state[NODES]),
    )


def _lower_bound(backlog: Backlog, search: Search, status: int | None) -> int:
    """What the search has proved so far."""
    if status == FINISHED:
        return int(search.state[LATENCY])
    if search.state[DEPTH] == 0:  # not begun
        return closed_form_bound(backlog)
    return max(closed_form_bound(backlog), int(open_bound(search)))


def optimum_by_definition(backlog: Backlog) -> int:
    """The optimal total latency, from the definition of a schedule: for a few short requests.

    A state is the number of tokens that each request has produced. In each step some of the
    waiting requests start, every request that has started and is not done produces a token, and
    every request that was not done before the step adds 1 to the total latency.
    """
    lengths = [(request.prompt_tokens, request.output_tokens) for request in backlog.requests]

    @cache
    def remaining_latency(produced: tuple[int, ...]) -> int:
        unfinished = [i for i, (_, output) in enumerate(lengths) if produced[i] < output]
        if not unfinished:
            return 0
        running = [i for i in unfinished if produced[i] > 0]
        waiting = [i for i in unfinished if produced[i] == 0]
        starting = chain.from_iterable(
            combinations(waiting, count) for count in range(len(waiting) + 1)
        )
        following = []
        for started in starting:
            active = [*running, *started]
            after = tuple(k + (i in active) for i, k in enumerate(produced))
            # A step with nobody active only puts everything off.
            if active and sum(lengths[i][0] + after[i] for i in active) <= backlog.memory:
                following.append(after)
        # A set that has overfilled later steps has no continuation: its latency is infinite.
        return len(unfinished) + min(map(remaining_latency, following), default=_NEVER)

    return remaining_latency((0,) * len(backlog))
