"""The state of the search of `optimum_kernel`: what its arrays hold, and a search at its root."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from .optimum_incumbent_kernel import incumbent
from .optimum_prices_kernel import (
    PriceWork,
    cheapest_completions,
    following_completions,
    improve_prices,
    price_scale_bits,
    price_work,
    round_prices,
)

ROOT_ROUNDS = 8
"""Rounds of price improvement at the root, per request."""

TINY = 5
"""Requests up to which prices cost more time than they save: those of the root stay zero."""

HEADS = 16381
REMEMBERED_NUMBERS = 2**25
"""Most free-memory figures kept; the operating system provides only what is used."""

(
    NODES,
    TIME,
    COST,
    RESERVE,
    WAITING,
    MASK,
    DEPTH,
    TRAIL,
    KNOWN,
    LATENCY,
    TRIED,
    CUT,
    STARTED,
    DELAYED_REQUEST,
) = range(14)
"""Places in `Search.state`: counters, and what is known at the current node.

TIME: steps up to it are final. COST: completions of the started requests, added up. RESERVE: free
memory after TIME at the root's prices. WAITING, MASK: number and set of the waiting requests.
KNOWN: remembered states. LATENCY: the incumbent's. TRIED, CUT: nodes at which prices were improved,
and those among them that were cut off.
STARTED, DELAYED_REQUEST: the branch that led to the current node; -1 for none.
"""

CHOSEN, START, DELAYED, TRAIL_MARK, TIME_BEFORE, RESERVE_BEFORE, BOUND = range(7)
"""Columns of `Search.frames`, the path to the current node."""

SET, SET_COST, ROOM, NEXT = range(4)
"""Columns of `Search.remembered`; ROOM adds up the state's free memory over its steps."""

FINISHED, RUNNING = 0, 1


class Search(NamedTuple):
    """All there is to a search; requests are sorted by volume."""

    prompts: np.ndarray
    outputs: np.ndarray
    twins: np.ndarray  # the request before with the same lengths, or -1
    memory: int
    total_output: int
    horizon: int
    bits: int
    starts: np.ndarray  # -1 while waiting
    unsettled: np.ndarray  # could have started a step earlier but for a later step
    earliest: np.ndarray
    free: np.ndarray  # per step
    root_prices: np.ndarray  # integers over 2^bits, per step
    following: np.ndarray  # [set, i]: least sum of the completions of the set, less that of i
    cheapest: np.ndarray  # [request, start]: least priced completion from that start on
    prices: np.ndarray  # floating-point hints, from one node to the next
    work: PriceWork
    best_starts: np.ndarray
    frames: np.ndarray
    trail: np.ndarray  # (request, its earliest start before), to undo
    heads: np.ndarray  # newest remembered state per hash of the waiting set
    remembered: np.ndarray  # (waiting set, cost, room, next)
    profiles: np.ndarray  # free memory per step after the state's time
    state: np.ndarray


@njit(cache=True)
def new_search(prompts, outputs, memory, remembered_states):
    """A search at its root, with an incumbent; ``prompts`` and ``outputs`` sorted by volume."""
    n = len(prompts)
    total_output = outputs.sum()
    longest = outputs.max()
    best_starts = np.empty(n, dtype=np.int64)
    latency = incumbent(prompts, outputs, memory, best_starts, n <= TINY)
    horizon = (best_starts + outputs).max()
    bits = price_scale_bits(n, memory, horizon)
    steps = total_output + 2 * longest + 2
    free = np.full(steps, memory, dtype=np.int64)
    waiting = np.ones(n, dtype=np.bool_)
    earliest = np.zeros(n, dtype=np.int64)
    twins = np.full(n, -1, dtype=np.int64)
    for i in range(n):
        for j in range(i):
            if prompts[i] == prompts[j] and outputs[i] == outputs[j]:
                twins[i] = j
    prices = np.zeros(horizon + 1)
    work = price_work(horizon)
    improve_prices(
        prompts,
        outputs,
        waiting,
        earliest,
        free,
        0,
        horizon,
        latency - 0.99,
        ROOT_ROUNDS * n if n > TINY else 0,
        prices,
        work,
    )
    round_prices(prices, 0, horizon, n, bits, work)
    root_prices = np.zeros(steps, dtype=np.int64)
    root_prices[1 : horizon + 1] = work.integer[1:]
    cheapest = cheapest_completions(prompts, outputs, horizon, bits, work)
    state = np.zeros(14, dtype=np.int64)
    state[STARTED] = -1
    state[DELAYED_REQUEST] = -1
    state[WAITING] = n
    state[MASK] = (np.int64(1) << n) - 1
    state[LATENCY] = latency
    for step in range(1, horizon + 1):
        state[RESERVE] += memory * root_prices[step]
    path = n * (total_output + 3)
    return Search(
        prompts,
        outputs,
        twins,
        memory,
        total_output,
        horizon,
        bits,
        np.full(n, -1, dtype=np.int64),
        np.zeros(n, dtype=np.bool_),
        earliest,
        free,
        root_prices,
        following_completions(prompts, outputs, memory),
        cheapest,
        prices,
        work,
        best_starts,
        np.empty((path, 7), dtype=np.int64),
        np.empty((path, 2), dtype=np.int64),
        -np.ones(min(2 ** min(n, 30), HEADS), dtype=np.int64),
        np.empty((remembered_states, 4), dtype=np.int64),
        np.empty((remembered_states, longest), dtype=np.int64),
        state,
    )
