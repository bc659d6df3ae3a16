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

from .optimum_incumbent_kernel import first_fit, incumbent
from .optimum_prices_kernel import (
    PriceWork,
    certified_bound,
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

NODE_ROUNDS = 15
TRIALS = 64
RETRY = 256
"""Prices are improved at a node while that cut off half of the nodes where it was tried; after
TRIALS failures on balance only at every RETRY-th node."""

LONGEST_SCAN = 400
"""Remembered states that a node is compared with."""

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


@njit(cache=True)
def fit_waiting(
    prompts, outputs, twins, starts, earliest, free, trail, noted, started, delayed, latest_end
):
    """Refit the waiting requests after ``started`` began, or ``delayed`` was put off.

    Raised earliest starts leave a note on the trail, after the first ``noted``. Returns the request
    that may start first, or -1 if one starts too late, and the length of the trail.
    """
    chosen = -1
    first = 0
    end = starts[started] + outputs[started] if started >= 0 else 0
    for i in range(len(prompts)):
        if starts[i] >= 0:
            continue
        output = outputs[i]
        before = earliest[i]
        least = before
        # Steps beyond the end of the started request hold as much as when the request last fitted.
        unsure = min(output, end - before)
        if i == delayed:
            least += 1
            unsure = output
        twin = twins[i]
        if twin >= 0 and starts[twin] < 0 and earliest[twin] > least:
            least = earliest[twin]
            unsure = output
        start = first_fit(free, prompts[i], output, least, unsure)
        if start > before:
            if start + output > latest_end:
                return -1, noted
            trail[noted, 0] = i
            trail[noted, 1] = before
            noted += 1
            earliest[i] = start
        if chosen < 0 or start < first:
            chosen = i
            first = start
    return chosen, noted


@njit(cache=True)
def is_settled(outputs, starts, unsettled, free, before, time):
    """False if the steps up to ``time`` show that a request can be moved one step earlier alone."""
    for i in range(len(outputs)):
        if unsettled[i]:
            last = starts[i] + outputs[i] - 1
            if before < last <= time:
                full = False
                for step in range(starts[i] + 1, last + 1):
                    full = full or free[step] == 0
                if not full:
                    return False
    return True


@njit(cache=True)
def least_in_sequence(outputs, starts, earliest, following, mask, waiting):
    """Least sum of the waiting requests' completions by `following_completions`."""
    least = np.iinfo(np.int64).max
    for i in range(len(outputs)):
        if starts[i] < 0:
            first = waiting * (earliest[i] + outputs[i])
            least = min(least, first + following[mask ^ (np.int64(1) << i), i])
    return least


@njit(cache=True)
def is_roomier(one, other):
    """Whether ``one`` has at least as much free memory as ``other`` in every step."""
    roomier = True
    for k in range(len(one)):
        if one[k] < other[k]:
            roomier = False
            break
    return roomier


@njit(cache=True)
def is_dominated(state, heads, remembered, profiles, free, time):
    """Whether a remembered state is at least as good; if none is, remember this one."""
    mask = state[MASK]
    waiting = state[WAITING]
    cost = state[COST] + waiting * time
    head = mask % len(heads)
    length = profiles.shape[1]
    profile = free[time + 1 : time + 1 + length]
    room = profile.sum()
    before = np.int64(-1)
    entry = heads[head]
    for _ in range(LONGEST_SCAN):
        if entry < 0:
            break
        following = remembered[entry, NEXT]
        if remembered[entry, SET] == mask:
            may_dominate = remembered[entry, SET_COST] <= cost and remembered[entry, ROOM] >= room
            if may_dominate and is_roomier(profiles[entry], profile):
                if before >= 0:  # to the front: it will dominate more
                    remembered[before, NEXT] = following
                    remembered[entry, NEXT] = heads[head]
                    heads[head] = entry
                return True
        before = entry
        entry = following
    if state[KNOWN] == len(remembered):  # full: forget all, for the latest are the most useful
        state[KNOWN] = 0
        heads[:] = -1
    entry = state[KNOWN]
    state[KNOWN] += 1
    remembered[entry, SET] = mask
    remembered[entry, SET_COST] = cost
    remembered[entry, ROOM] = room
    remembered[entry, NEXT] = heads[head]
    heads[head] = entry
    profiles[entry, :] = profile
    return False


@njit(cache=True)
def improved_bound(search):
    """A lower bound on the latency below the current node at prices improved for it."""
    state = search.state
    scale = np.int64(1) << search.bits
    waiting = search.starts < 0
    improve_prices(
        search.prompts,
        search.outputs,
        waiting,
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
        waiting,
        search.earliest,
        search.free,
        state[TIME],
        search.horizon,
        search.bits,
        search.work,
    )
    return state[COST] - (-bound // scale)


@njit(cache=True)
def continue_search(search, nodes):
    """Visit up to ``nodes`` further nodes; FINISHED or RUNNING."""
    # Everything is unpacked once: a tuple of arrays is expensive to pass at every node.
    prompts, outputs, twins, memory = search.prompts, search.outputs, search.twins, search.memory
    starts, unsettled, earliest = search.starts, search.unsettled, search.earliest
    free, root_prices, cheapest = search.free, search.root_prices, search.cheapest
    frames, trail, state = search.frames, search.trail, search.state
    heads, remembered, profiles = search.heads, search.remembered, search.profiles
    following = search.following
    horizon, total_output = search.horizon, search.total_output
    n = len(prompts)
    scale = np.int64(1) << search.bits
    for _ in range(nodes):
        state[NODES] += 1
        # Visit the node: ``chosen`` stays negative if it is cut off.
        chosen = -1
        bound = state[COST]
        if state[WAITING] == 0:
            if bound < state[LATENCY]:
                state[LATENCY] = bound
                search.best_starts[:] = starts
        else:
            chosen, state[TRAIL] = fit_waiting(
                prompts,
                outputs,
                twins,
                starts,
                earliest,
                free,
                trail,
                state[TRAIL],
                state[STARTED],
                state[DELAYED_REQUEST],
                total_output,
            )
        if chosen >= 0:
            before = state[TIME]
            time = earliest[chosen]
            is_new_time = time > before
            if is_new_time:
                state[TIME] = time
                for step in range(before + 1, time + 1):
                    state[RESERVE] -= free[step] * root_prices[step]
                    if free[step] == memory:
                        chosen = -1
                if chosen >= 0 and not is_settled(outputs, starts, unsettled, free, before, time):
                    chosen = -1
        if chosen >= 0:
            priced = state[COST] * scale - state[RESERVE]
            for i in range(n):
                if starts[i] < 0:
                    if earliest[i] < horizon:
                        priced += cheapest[i, earliest[i]]
                    else:
                        priced += (earliest[i] + outputs[i]) * scale
            bound = -(-priced // scale)
            if len(following) > 0 and bound < state[LATENCY]:
                following_bound = state[COST] + least_in_sequence(
                    outputs, starts, earliest, following, state[MASK], state[WAITING]
                )
                bound = max(bound, following_bound)
            if bound >= state[LATENCY]:
                chosen = -1
            elif is_new_time:
                if is_dominated(state, heads, remembered, profiles, free, time):
                    chosen = -1
                else:
                    promising = state[TRIED] < 2 * state[CUT] + TRIALS
                    if (promising or state[NODES] % RETRY == 0) and time < horizon:
                        state[TRIED] += 1
                        bound = max(bound, improved_bound(search))
                        if bound >= state[LATENCY]:
                            state[CUT] += 1
                            chosen = -1
        if chosen >= 0:
            # Descend to the child that starts the chosen request at the node's time.
            start = earliest[chosen]
            depth = state[DEPTH]
            frames[depth, CHOSEN] = chosen
            frames[depth, START] = start
            frames[depth, DELAYED] = 0
            frames[depth, TRAIL_MARK] = state[TRAIL]
            frames[depth, TIME_BEFORE] = state[TIME]
            frames[depth, RESERVE_BEFORE] = state[RESERVE]
            frames[depth, BOUND] = bound
            state[DEPTH] = depth + 1
            prompt, output = prompts[chosen], outputs[chosen]
            starts[chosen] = start
            unsettled[chosen] = start > 0 and free[start] > prompt
            reserve = state[RESERVE]
            for age in range(1, output + 1):
                free[start + age] -= prompt + age
                reserve -= (prompt + age) * root_prices[start + age]
            state[RESERVE] = reserve
            state[WAITING] -= 1
            state[MASK] ^= np.int64(1) << chosen
            state[COST] += start + output
            state[STARTED] = chosen
            state[DELAYED_REQUEST] = -1
        else:
            # Backtrack to the next child that delays what its sibling started.
            depth = state[DEPTH] - 1
            while depth >= 0 and frames[depth, DELAYED] == 1:
                depth -= 1
            state[DEPTH] = depth + 1
            if depth < 0:
                return FINISHED
            chosen, start = frames[depth, CHOSEN], frames[depth, START]
            noted = state[TRAIL]
            while noted > frames[depth, TRAIL_MARK]:
                noted -= 1
                earliest[trail[noted, 0]] = trail[noted, 1]
            state[TRAIL] = noted
            state[TIME] = frames[depth, TIME_BEFORE]
            state[RESERVE] = frames[depth, RESERVE_BEFORE]
            prompt, output = prompts[chosen], outputs[chosen]
            for age in range(1, output + 1):
                free[start + age] += prompt + age
            starts[chosen] = -1
            unsettled[chosen] = False
            state[WAITING] += 1
            state[MASK] ^= np.int64(1) << chosen
            state[COST] -= start + output
            frames[depth, DELAYED] = 1
            state[STARTED] = -1
            state[DELAYED_REQUEST] = chosen
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
