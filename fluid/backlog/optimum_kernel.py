"""The compiled depth-first search of `optimum`; its module docstring has the proofs.

A node is a set of started requests with their starts and, for each waiting request, the earliest
start at which it still may and fits. The node's time is the least of these, and its two children
start that request or delay it. The search lives in arrays, so that it can stop after any number of
nodes and go on later.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from .optimum_incumbent_kernel import first_fit, hold, incumbent
from .optimum_prices_kernel import (
    PriceWork,
    certified_bound,
    improve_prices,
    price_scale_bits,
    price_work,
    round_prices,
)

ROOT_ROUNDS = 8
"""Rounds of price improvement at the root, per request."""

NODE_ROUNDS = 15
TRIALS = 64
RETRY = 256
"""Prices are improved at a node while that cut off half of the nodes where it was tried; after
TRIALS failures on balance only at every RETRY-th node."""

LONGEST_SCAN = 400
"""Remembered states that a node is compared with."""

HEADS = 16381
REMEMBERED_NUMBERS = 2**26
"""Most free-memory figures kept; the operating system provides only what is used."""

NODES, TIME, COST, RESERVE, WAITING, MASK, DEPTH, TRAIL, KNOWN, LATENCY, TRIED, CUT = range(12)
"""Places in `Search.state`: counters, and what is known at the current node.

TIME: steps up to it are final. COST: completions of the started requests, added up. RESERVE: free
memory after TIME at the root's prices. WAITING, MASK: number and set of the waiting requests.
KNOWN: remembered states. LATENCY: the incumbent's. TRIED, CUT: nodes at which prices were improved,
and those among them that were cut off.
"""

CHOSEN, START, DELAYED, TRAIL_MARK, TIME_BEFORE, RESERVE_BEFORE, BOUND = range(7)
"""Columns of `Search.frames`, the path to the current node."""

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
    waiting: np.ndarray
    unsettled: np.ndarray  # could have started a step earlier but for a later step
    earliest: np.ndarray
    free: np.ndarray  # per step
    root_prices: np.ndarray  # integers over 2^bits, per step
    cheapest: np.ndarray  # [request, start]: least priced completion from that start on
    prices: np.ndarray  # floating-point hints, from one node to the next
    work: PriceWork
    best_starts: np.ndarray
    frames: np.ndarray
    trail: np.ndarray  # (request, its earliest start before), to undo
    heads: np.ndarray  # newest remembered state per hash of the waiting set
    remembered: np.ndarray  # (waiting set, cost, next)
    profiles: np.ndarray  # free memory per step after the state's time
    state: np.ndarray


@njit(cache=True)
def new_search(prompts, outputs, memory, remembered_states):
    """A search at its root, with an incumbent; ``prompts`` and ``outputs`` sorted by volume."""
    n = len(prompts)
    total_output = outputs.sum()
    longest = outputs.max()
    best_starts = np.empty(n, dtype=np.int64)
    latency = incumbent(prompts, outputs, memory, best_starts)
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
        ROOT_ROUNDS * n,
        prices,
        work,
    )
    round_prices(prices, 0, horizon, n, bits, work)
    root_prices = np.zeros(steps, dtype=np.int64)
    root_prices[1 : horizon + 1] = work.integer[1:]
    cheapest = cheapest_completions(prompts, outputs, horizon, bits, work)
    state = np.zeros(12, dtype=np.int64)
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
        waiting,
        np.zeros(n, dtype=np.bool_),
        earliest,
        free,
        root_prices,
        cheapest,
        prices,
        work,
        best_starts,
        np.empty((path, 7), dtype=np.int64),
        np.empty((path, 2), dtype=np.int64),
        -np.ones(min(2 ** min(n, 30), HEADS), dtype=np.int64),
        np.empty((remembered_states, 3), dtype=np.int64),
        np.empty((remembered_states, longest), dtype=np.int32),
        state,
    )


@njit(cache=True)
def cheapest_completions(prompts, outputs, horizon, bits, work):
    """Least priced completion of each request among its starts from p on, for p = 0 ... T."""
    scale = np.int64(1) << bits
    prefix, moment = work.integer_prefix, work.integer_moment
    cheapest = np.empty((len(prompts), horizon + 1), dtype=np.int64)
    for i in range(len(prompts)):
        cheapest[i, horizon] = (horizon + outputs[i]) * scale
        for start in range(horizon - 1, -1, -1):
            end = min(start + outputs[i], horizon)
            paid = (prompts[i] - start) * (prefix[end] - prefix[start])
            paid += moment[end] - moment[start]
            priced = (start + outputs[i]) * scale + paid
            cheapest[i, start] = min(priced, cheapest[i, start + 1])
    return cheapest


@njit(cache=True)
def set_earliest(search, i, start):
    """Raise a waiting request's earliest start, leaving a note on the trail."""
    trail = search.state[TRAIL]
    search.trail[trail, 0] = i
    search.trail[trail, 1] = search.earliest[i]
    search.state[TRAIL] += 1
    search.earliest[i] = start


@njit(cache=True)
def next_candidate(search):
    """Refit the waiting requests; the one that may start first, or -1 if one starts too late."""
    chosen = -1
    for i in range(len(search.prompts)):
        if search.waiting[i]:
            least = search.earliest[i]
            twin = search.twins[i]
            if twin >= 0 and search.waiting[twin]:
                least = max(least, search.earliest[twin])
            start = first_fit(search.free, search.prompts[i], search.outputs[i], least)
            if start + search.outputs[i] > search.total_output:
                return -1
            if start > search.earliest[i]:
                set_earliest(search, i, start)
            if chosen < 0 or start < search.earliest[chosen]:
                chosen = i
    return chosen


@njit(cache=True)
def pass_time(search, time):
    """Make the steps up to ``time`` final; False if no optimal schedule looks like that."""
    state = search.state
    before = state[TIME]
    state[TIME] = time
    for step in range(before + 1, time + 1):
        state[RESERVE] -= search.free[step] * search.root_prices[step]
        if search.free[step] == search.memory:
            return False
    for i in range(len(search.prompts)):
        if search.unsettled[i]:
            last = search.starts[i] + search.outputs[i] - 1
            if before < last <= time:
                full = False
                for step in range(search.starts[i] + 1, last + 1):
                    full = full or search.free[step] == 0
                if not full:
                    return False
    return True


@njit(cache=True)
def is_dominated(search):
    """Whether a remembered state is at least as good; if none is, remember this one."""
    state = search.state
    mask = state[MASK]
    time = state[TIME]
    cost = state[COST] + state[WAITING] * time
    remembered, profiles = search.remembered, search.profiles
    head = mask % len(search.heads)
    length = profiles.shape[1]
    before = np.int64(-1)
    entry = search.heads[head]
    for _ in range(LONGEST_SCAN):
        if entry < 0:
            break
        if remembered[entry, 0] == mask and remembered[entry, 1] <= cost:
            roomier = True
            for k in range(length):
                if profiles[entry, k] < search.free[time + 1 + k]:
                    roomier = False
                    break
            if roomier:
                if before >= 0:  # to the front: it will dominate more
                    remembered[before, 2] = remembered[entry, 2]
                    remembered[entry, 2] = search.heads[head]
                    search.heads[head] = entry
                return True
        before = entry
        entry = remembered[entry, 2]
    if state[KNOWN] == len(remembered):  # full: forget all, for the latest are the most useful
        state[KNOWN] = 0
        search.heads[:] = -1
    entry = state[KNOWN]
    state[KNOWN] += 1
    remembered[entry, 0] = mask
    remembered[entry, 1] = cost
    remembered[entry, 2] = search.heads[head]
    search.heads[head] = entry
    for k in range(length):
        profiles[entry, k] = search.free[time + 1 + k]
    return False


@njit(cache=True)
def root_price_bound(search):
    """Lower bound on the latency below the current node at the root's prices, rounded up."""
    scale = np.int64(1) << search.bits
    bound = search.state[COST] * scale - search.state[RESERVE]
    for i in range(len(search.prompts)):
        if search.waiting[i]:
            start = search.earliest[i]
            if start < search.horizon:
                bound += search.cheapest[i, start]
            else:
                bound += (start + search.outputs[i]) * scale
    return -(-bound // scale)


@njit(cache=True)
def improved_bound(search):
    """The same at prices improved for the current node."""
    state = search.state
    scale = np.int64(1) << search.bits
    improve_prices(
        search.prompts,
        search.outputs,
        search.waiting,
        search.earliest,
        search.free,
        state[TIME],
        search.horizon,
        state[LATENCY] - state[COST] - 0.99,
        NODE_ROUNDS,
        search.prices,
        search.work,
    )
    largest = len(search.prompts)
    round_prices(search.prices, state[TIME], search.horizon, largest, search.bits, search.work)
    bound = certified_bound(
        search.prompts,
        search.outputs,
        search.waiting,
        search.earliest,
        search.free,
        state[TIME],
        search.horizon,
        search.bits,
        search.work,
    )
    return state[COST] - (-bound // scale)


@njit(cache=True)
def visit(search):
    """Look at the current node; the request to branch on and a bound, or -1 if it is cut off."""
    state = search.state
    state[NODES] += 1
    if state[WAITING] == 0:
        if state[COST] < state[LATENCY]:
            state[LATENCY] = state[COST]
            search.best_starts[:] = search.starts
        return -1, state[COST]
    chosen = next_candidate(search)
    if chosen < 0:
        return -1, 0
    time = search.earliest[chosen]
    is_new_time = time > state[TIME]
    if is_new_time and not pass_time(search, time):
        return -1, 0
    bound = root_price_bound(search)
    if bound >= state[LATENCY]:
        return -1, bound
    if is_new_time:
        if is_dominated(search):
            return -1, bound
        promising = state[TRIED] < 2 * state[CUT] + TRIALS or state[NODES] % RETRY == 0
        if promising and time < search.horizon:
            state[TRIED] += 1
            bound = max(bound, improved_bound(search))
            if bound >= state[LATENCY]:
                state[CUT] += 1
                return -1, bound
    return chosen, bound


@njit(cache=True)
def descend(search, chosen, bound):
    """Go to the child that starts ``chosen`` at the node's time."""
    state = search.state
    start = search.earliest[chosen]
    frame = search.frames[state[DEPTH]]
    frame[CHOSEN] = chosen
    frame[START] = start
    frame[DELAYED] = 0
    frame[TRAIL_MARK] = state[TRAIL]
    frame[TIME_BEFORE] = state[TIME]
    frame[RESERVE_BEFORE] = state[RESERVE]
    frame[BOUND] = bound
    state[DEPTH] += 1
    prompt, output = search.prompts[chosen], search.outputs[chosen]
    search.starts[chosen] = start
    search.waiting[chosen] = False
    search.unsettled[chosen] = start > 0 and search.free[start] > prompt
    hold(search.free, prompt, output, start, -1)
    for age in range(1, output + 1):
        state[RESERVE] -= (prompt + age) * search.root_prices[start + age]
    state[WAITING] -= 1
    state[MASK] ^= np.int64(1) << chosen
    state[COST] += start + output


@njit(cache=True)
def backtrack(search):
    """Go to the next child that delays what its sibling started; False if there is none."""
    state = search.state
    while state[DEPTH] > 0 and search.frames[state[DEPTH] - 1, DELAYED] == 1:
        state[DEPTH] -= 1
    if state[DEPTH] == 0:
        return False
    frame = search.frames[state[DEPTH] - 1]
    chosen, start = frame[CHOSEN], frame[START]
    while state[TRAIL] > frame[TRAIL_MARK]:
        state[TRAIL] -= 1
        search.earliest[search.trail[state[TRAIL], 0]] = search.trail[state[TRAIL], 1]
    state[TIME] = frame[TIME_BEFORE]
    state[RESERVE] = frame[RESERVE_BEFORE]
    hold(search.free, search.prompts[chosen], search.outputs[chosen], start, 1)
    search.starts[chosen] = -1
    search.waiting[chosen] = True
    search.unsettled[chosen] = False
    state[WAITING] += 1
    state[MASK] ^= np.int64(1) << chosen
    state[COST] -= start + search.outputs[chosen]
    frame[DELAYED] = 1
    set_earliest(search, chosen, start + 1)
    return True


@njit(cache=True)
def continue_search(search, nodes):
    """Visit up to ``nodes`` further nodes; FINISHED or RUNNING."""
    for _ in range(nodes):
        chosen, bound = visit(search)
        if chosen >= 0:
            descend(search, chosen, bound)
        elif not backtrack(search):
            return FINISHED
    return RUNNING


@njit(cache=True)
def open_bound(search):
    """Least bound over the nodes that are still open, or the incumbent's latency if that is less.

    Open are the delaying siblings along the path and the current node, a child of the last frame.
    """
    depth = search.state[DEPTH]
    least = search.state[LATENCY]
    for k in range(depth):
        if k == depth - 1 or search.frames[k, DELAYED] == 0:
            least = min(least, search.frames[k, BOUND])
    return least


@njit(cache=True)
def optimal_latencies(prompts, outputs, memories):
    """Optimal total latency of each backlog of a batch.

    ``prompts`` and ``outputs`` have shape (backlogs, requests), ``memories`` (backlogs,); all are
    64-bit integers that satisfy the conditions of `Backlog`.
    """
    latencies = np.empty(len(prompts), dtype=np.int64)
    for k in range(len(prompts)):
        volumes = prompts[k] * outputs[k] + outputs[k] * (outputs[k] + 1) // 2
        order = np.argsort(volumes)
        search = new_search(prompts[k][order], outputs[k][order], memories[k], 1024)
        while continue_search(search, 2**30) == RUNNING:
            pass
        latencies[k] = search.state[LATENCY]
    return latencies
