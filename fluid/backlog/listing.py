r"""List scheduling, compiled: the twin of `kurtz.theory.backlog.list_schedule` at scale.

*Strict order, forward-looking check.* Keep the memory :math:`h(t)` that the started requests hold
in every step to come, in a ring. Starting at p, the head of the order holds :math:`s + t - p` in
step t, :math:`p < t \le p + o`, so step t rules p out unless

.. math:: p \ge \min(h(t) + s + t - M,\ t).

The right side does not depend on p: one sweep over t from the first candidate on, which raises p
whenever a step demands it, ends at the earliest start. Time :math:`O(\sum_i o_i)` plus the length
of the schedule, no matter how long heads wait.

*Skipping, forward-looking check.* At time t a request fits if and only if its prompt is at most

.. math:: r(o) = \min_{1 \le u \le o} (M - h(t + u) - u),

which does not increase with o. Waiting requests are kept by output, with a tree of their prompts,
so that a scan is one pass over r that breaks off once no prompt is small enough, and a search
for the first of the order in every output that has a candidate. Once a request is refused it stays
refused for the rest of the scan, since every start adds memory.

*Sum of the peaks.* Free memory changes only when requests complete; a tree of the waiting peaks
finds the first of the order that fits.

*Rounds of maximal prefixes* is the listing of MC-SF (algorithm of arXiv 2502.07115): in every step,
admit the longest prefix of the waiting requests that passes equation (5) next to the running ones.
It is written from that listing and shares no line with the schedulers above.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from ...theory.backlog import Backlog, Schedule, require_feasible
from ...theory.backlog.listing import Blocked
from ...theory.backlog.model import Integers
from ...theory.errors import InvalidInput
from . import listing_kernel

AdmissionName = Literal["forward", "peaks"]
"""Admission by `kurtz.theory.backlog.fits` or by `kurtz.theory.backlog.peaks_fit`."""


def fast_list_schedule(
    backlog: Backlog,
    order: Sequence[int] | Integers,
    admission: AdmissionName = "forward",
    blocked: Blocked = "wait",
) -> Schedule:
    """Start requests in ``order`` as soon as they are admitted, as `list_schedule` does.

    Parameters
    ----------
    order
        A permutation of 0 ... n - 1.
    admission
        ``"forward"`` (memory of the steps to come) or ``"peaks"`` (peaks add up to at most M).
    blocked
        Whether a request that is not admitted makes those behind it ``"wait"`` or is passed over
        (``"skip"``).

    Raises
    ------
    InvalidInput
        Not a permutation, or an admission or blocking that is none of the above.

    >>> fast_list_schedule(Backlog.of([(0, 2), (1, 1), (0, 1)], memory=3), (0, 1, 2))
    Schedule(starts=(0, 0, 1))
    """
    places = _permutation(backlog, order)
    if admission not in get_args(AdmissionName):
        raise InvalidInput("admission", admission, " or ".join(get_args(AdmissionName)))
    if blocked not in get_args(Blocked):
        raise InvalidInput("blocked", blocked, " or ".join(get_args(Blocked)))
    prompts, outputs, peaks = backlog.prompts, backlog.outputs, backlog.peaks
    if admission == "forward" and blocked == "wait":
        starts = listing_kernel.forward_waiting(prompts, outputs, backlog.memory, places)
    elif admission == "forward":
        starts = listing_kernel.forward_skipping(prompts, outputs, backlog.memory, places)
    elif blocked == "wait":
        starts = listing_kernel.peaks_waiting(outputs, peaks, backlog.memory, places)
    else:
        starts = listing_kernel.peaks_skipping(outputs, peaks, backlog.memory, places)
    return _validated(backlog, starts)


def maximal_prefix_schedule(backlog: Backlog, order: Sequence[int] | Integers) -> Schedule:
    """MC-SF's rounds over ``order``: in every step the longest prefix that passes equation (5).

    Raises
    ------
    InvalidInput
        Not a permutation.
    """
    starts = listing_kernel.rounds_of_maximal_prefixes(
        backlog.prompts, backlog.outputs, backlog.memory, _permutation(backlog, order)
    )
    return _validated(backlog, starts)


def _permutation(backlog: Backlog, order: Sequence[int] | Integers) -> Integers:
    places = np.array(order, dtype=np.int64)
    if not np.array_equal(np.sort(places), np.arange(len(backlog))):
        raise InvalidInput("order", "...", f"a permutation of 0 ... {len(backlog) - 1}")
    return places


def _validated(backlog: Backlog, starts: Integers) -> Schedule:
    schedule = Schedule(tuple(starts.tolist()))
    require_feasible(backlog, schedule)
    return schedule
