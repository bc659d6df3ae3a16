"""Compiled dynamic program over the few requests that a relaxation leaves open.

`batch_selection` says why the search is exact. A state is a set of the requests looked at so far,
by descending output, known by its size, its load and its cost; of states with equal size only
those stay that have less cost than all with less or equal load.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# Columns of a state.
_SIZE, _LOAD, _COST, _SPENT, _PARENT, _TAKEN = 0, 1, 2, 3, 4, 5
_COLUMNS = 6


@njit(cache=True)
def cheapest_batch(
    loads, growths, costs, deviations, in_base, required, prices, priced_growths, memory, size, gap
):
    """Which requests form the cheapest batch of ``size``; none if there is no batch.

    Parameters
    ----------
    loads, growths
        A request may join c others if their loads and its own, plus its growth times c + 1, are at
        most ``memory``.
    costs
        What is minimised, summed over the batch.
    deviations, in_base
        Leaving out a request of the base, or taking one that is not, spends its deviation.
    required
        Requests that every batch must contain.
    prices, priced_growths
        Once a request is decided, what c requests and their loads leave unused of the memory rows
        that end there is spent too: price times (memory - loads), less c times the priced growth.
    gap
        Batches that spend more are of no interest.
    """
    count = len(loads)
    chosen = np.zeros(count, dtype=np.bool_)
    required_after = np.zeros(count + 1, dtype=np.int64)
    for j in range(count - 1, -1, -1):
        required_after[j] = required_after[j + 1] + required[j]

    states = np.zeros((1024, _COLUMNS), dtype=np.int64)
    begin, end = 0, 1
    for j in range(count):
        if end + 2 * (end - begin) > len(states):
            grown = np.empty((2 * (end + 2 * (end - begin)), _COLUMNS), dtype=np.int64)
            grown[:end] = states[:end]
            states = grown
        skip_spends = deviations[j] if in_base[j] else 0
        take_spends = 0 if in_base[j] else deviations[j]
        fewest = size - (count - 1 - j)
        most = size - required_after[j + 1]
        skip = end if required[j] else begin
        take = begin
        last = end
        # Both successors of the states in order are in order: merge them.
        while True:
            while skip < end and (
                states[skip, _SPENT] + skip_spends > gap
                or states[skip, _SIZE] < fewest
                or states[skip, _SIZE] > most
            ):
                skip += 1
            while take < end and (
                states[take, _SPENT] + take_spends > gap
                or states[take, _SIZE] + 1 < fewest
                or states[take, _SIZE] + 1 > most
                or states[take, _LOAD] + loads[j] + growths[j] * (states[take, _SIZE] + 1) > memory
            ):
                take += 1
            if skip == end and take == end:
                break
            takes = skip == end
            if skip < end and take < end:
                by_size = states[take, _SIZE] + 1 - states[skip, _SIZE]
                by_load = states[take, _LOAD] + loads[j] - states[skip, _LOAD]
                by_cost = states[take, _COST] + costs[j] - states[skip, _COST]
                takes = by_size < 0 or (
                    by_size == 0 and (by_load < 0 or (by_load == 0 and by_cost < 0))
                )
            if takes:
                parent = take
                joined = states[take, _SIZE] + 1
                load = states[take, _LOAD] + loads[j]
                cost = states[take, _COST] + costs[j]
                spent = states[take, _SPENT] + take_spends
                take += 1
            else:
                parent = skip
                joined = states[skip, _SIZE]
                load = states[skip, _LOAD]
                cost = states[skip, _COST]
                spent = states[skip, _SPENT] + skip_spends
                skip += 1
            spent += prices[j] * (memory - load) - priced_growths[j] * joined
            dominated = (
                last > end and states[last - 1, _SIZE] == joined and states[last - 1, _COST] <= cost
            )
            if spent > gap or dominated:
                continue
            states[last, _SIZE] = joined
            states[last, _LOAD] = load
            states[last, _COST] = cost
            states[last, _SPENT] = spent
            states[last, _PARENT] = parent
            states[last, _TAKEN] = takes
            last += 1
        begin, end = end, last
        if begin == end:
            return chosen

    # Only states of the full size are left, by ascending load and so by descending cost.
    state = end - 1
    for j in range(count - 1, -1, -1):
        chosen[j] = states[state, _TAKEN] == 1
        state = states[state, _PARENT]
    return chosen
