"""The compiled depth-first search of `optimum`; its module docstring has the proofs.

A node is a set of started requests with their starts and, for each waiting request, the earliest
start at which it still may and fits. The node's time is the least of these, and its two children
start that request or delay it. The search lives in arrays, so that it can stop after any number of
nodes and go on later.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .optimum_incumbent_kernel import first_fit
from .optimum_prices_kernel import (
    certified_bound,
    improve_prices,
    round_prices,
)
from .optimum_pruning_kernel import is_dominated, is_settled, least_in_sequence
from .optimum_search_kernel import (
    BOUND,
    CHOSEN,
    COST,
    CUT,
    DELAYED,
    DELAYED_REQUEST,
    DEPTH,
    FINISHED,
    LATENCY,
    MASK,
    NODES,
    RESERVE,
    RESERVE_BEFORE,
    RUNNING,
    START,
    STARTED,
    TIME,
    TIME_BEFORE,
    TRAIL,
    TRAIL_MARK,
    TRIED,
    WAITING,
    new_search,
)

NODE_ROUNDS = 15
TRIALS = 64
RETRY = 256
"""Prices are improved at a node while that cut off half of the nodes where it was tried; after
TRIALS failures on balance only at every RETRY-th node."""


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
