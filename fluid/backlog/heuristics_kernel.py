"""Compiled heuristic batch choices; `heuristics` lists their steps.

Requests are renumbered by output and then by request number ("places"), so that the first place
that fits is the shortest request that fits. Three structures hold what waits:

* ``peaks_tree``: a tree of the waiting peaks over the places;
* ``following``, ``preceding``: every seed order as a doubly linked list of the waiting places,
  shape (orders, n + 1), where place n stands for both ends;
* ``members``: the batch under construction, its first ``size`` entries.

The comparison of F-metrics multiplies a sum of outputs, at most M <= 2^24, with a squared size, so
that 64 bits suffice up to 2^19 requests.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .minimum_tree_kernel import EMPTY, first_at_most, minimum_tree, set_place


@njit(cache=True)
def _linked(orders):
    """Every order as a doubly linked list closed over place n."""
    count = orders.shape[1]
    following = np.empty((len(orders), count + 1), dtype=np.int64)
    preceding = np.empty_like(following)
    for row in range(len(orders)):
        before = count
        for place in orders[row]:
            following[row, before] = place
            preceding[row, place] = before
            before = place
        following[row, before] = count
        preceding[row, count] = before
    return following, preceding


@njit(cache=True)
def _take(members, size, following, preceding, peaks_tree):
    """Remove the batch from everything that waits."""
    for place in members[:size]:
        set_place(peaks_tree, place, EMPTY)
        for row in range(len(following)):
            before, after = preceding[row, place], following[row, place]
            following[row, before] = after
            preceding[row, after] = before


@njit(cache=True)
def _best_prefix(outputs, peaks, following, budget, members):
    """Step 1: the prefix of least F among those of all seed orders that fit; its size."""
    end = following.shape[1] - 1
    best_row = best_size = 0
    best_total = 1
    for row in range(len(following)):
        total = held = size = 0
        place = following[row, end]
        while place != end and held + peaks[place] <= budget:
            held += peaks[place]
            total += outputs[place]
            size += 1
            better = total * best_size * best_size - best_total * size * size
            if best_size == 0 or better < 0 or (better == 0 and row == best_row):
                best_row, best_size, best_total = row, size, total
            place = following[row, place]
    place = following[best_row, end]
    for k in range(best_size):
        members[k] = place
        place = following[best_row, place]
    return best_size


@njit(cache=True)
def _improve(outputs, peaks, peaks_tree, budget, members, size):
    """Step 2: the best swap, addition or removal, until none lowers F; the new size.

    Members leave ``peaks_tree`` for the time being and are put back in the end.
    """
    total = slack = 0
    slack = budget
    for place in members[:size]:
        set_place(peaks_tree, place, EMPTY)
        total += outputs[place]
        slack -= peaks[place]
    while size > 0:
        shortest = first_at_most(peaks_tree, 0, budget)
        longest = 0
        gain = 0
        leaving = entering = -1
        for k in range(size):
            if members[k] > members[longest]:
                longest = k
            if shortest < 0 or outputs[members[k]] <= outputs[shortest]:
                continue
            other = first_at_most(peaks_tree, shortest, peaks[members[k]] + slack)
            if other < 0:
                continue
            saved = outputs[members[k]] - outputs[other]
            if saved > gain or (saved == gain > 0 and members[k] < members[leaving]):
                gain, leaving, entering = saved, k, other
        added = first_at_most(peaks_tree, 0, slack)

        # Totals and sizes after each move; the least F wins, of equals the first.
        best_total, best_size = total - gain, size
        if added >= 0 and (total + outputs[added]) * size**2 < best_total * (size + 1) ** 2:
            best_total, best_size = total + outputs[added], size + 1
        if size > 1:
            rest = total - outputs[members[longest]]
            if rest * best_size**2 < best_total * (size - 1) ** 2:
                best_total, best_size = rest, size - 1

        if best_size == size:
            if gain == 0:
                break
            set_place(peaks_tree, entering, EMPTY)
            set_place(peaks_tree, members[leaving], peaks[members[leaving]])
            slack += peaks[members[leaving]] - peaks[entering]
            members[leaving] = entering
        elif best_size > size:
            set_place(peaks_tree, added, EMPTY)
            slack -= peaks[added]
            members[size] = added
        else:
            set_place(peaks_tree, members[longest], peaks[members[longest]])
            slack += peaks[members[longest]]
            members[longest] = members[size - 1]
        total, size = best_total, best_size
    for place in members[:size]:
        set_place(peaks_tree, place, peaks[place])
    return size


@njit(cache=True)
def local_swap(outputs, peaks, memory, orders):
    """Number of the batch of every place."""
    count = len(outputs)
    following, preceding = _linked(orders)
    peaks_tree = minimum_tree(peaks)
    members = np.empty(count, dtype=np.int64)
    batch_of = np.empty(count, dtype=np.int64)
    batch = taken = 0
    while taken < count:
        size = _best_prefix(outputs, peaks, following, memory, members)
        size = _improve(outputs, peaks, peaks_tree, memory, members, size)
        _take(members, size, following, preceding, peaks_tree)
        batch_of[members[:size]] = batch
        batch += 1
        taken += size
    return batch_of


@njit(cache=True)
def receding_horizon(outputs, prompts, peaks, memory, orders):
    """Start of every place, when batches are chosen anew at every completion."""
    count = len(outputs)
    following, preceding = _linked(orders)
    peaks_tree = minimum_tree(peaks)
    members = np.empty(count, dtype=np.int64)
    starts = np.empty(count, dtype=np.int64)
    length = 1
    while length <= outputs.max():
        length *= 2
    last = length - 1
    held = np.zeros(length, dtype=np.int64)
    completing = np.zeros(length, dtype=np.int64)
    horizon = time = 0
    while True:
        while True:
            most = 0
            for step in range(time + 1, horizon + 1):
                most = max(most, held[step & last])
            size = _best_prefix(outputs, peaks, following, memory - most, members)
            size = _improve(outputs, peaks, peaks_tree, memory - most, members, size)
            if size == 0:
                break
            _take(members, size, following, preceding, peaks_tree)
            for place in members[:size]:
                starts[place] = time
                horizon = max(horizon, time + outputs[place])
                completing[(time + outputs[place]) & last] += 1
                for step in range(1, outputs[place] + 1):
                    held[(time + step) & last] += prompts[place] + step
        if peaks_tree[1] == EMPTY:
            return starts
        while True:
            time += 1
            held[time & last] = 0
            if completing[time & last] > 0:
                completing[time & last] = 0
                break


@njit(cache=True)
def _add_to_counts(counts, rank, change):
    """Fenwick tree: add ``change`` at ``rank``."""
    rank += 1
    while rank < len(counts):
        counts[rank] += change
        rank += rank & -rank


@njit(cache=True)
def _rank_of(counts, number):
    """Fenwick tree: rank of the ``number``-th counted entry, from 1."""
    bit = 1
    while 2 * bit < len(counts):
        bit *= 2
    rank = 0
    while bit > 0:
        if rank + bit < len(counts) and counts[rank + bit] < number:
            rank += bit
            number -= counts[rank]
        bit //= 2
    return rank


@njit(cache=True)
def quantile_greedy(outputs, prompts, peaks, memory, parts):
    """Number of the batch of every place."""
    count = len(outputs)
    by_prompt = np.argsort(prompts, kind="mergesort")
    prompt_rank = np.empty(count, dtype=np.int64)
    prompt_rank[by_prompt] = np.arange(count)
    by_output_counts = np.zeros(count + 1, dtype=np.int64)
    by_prompt_counts = np.zeros(count + 1, dtype=np.int64)
    for rank in range(count):
        _add_to_counts(by_output_counts, rank, 1)
        _add_to_counts(by_prompt_counts, rank, 1)
    prompts_tree = minimum_tree(prompts)
    peaks_tree = minimum_tree(peaks)
    members = np.empty(count, dtype=np.int64)
    batch_of = np.empty(count, dtype=np.int64)
    batch = taken = 0
    while taken < count:
        left = count - taken
        best_size = 0
        best_total = 1
        best_part = 0
        # One pass per quantile for its F, and one more over the best to collect its members.
        for attempt in range(1, parts + 2):
            part = attempt if attempt <= parts else best_part
            number = (part * left + parts - 1) // parts
            longest = outputs[_rank_of(by_output_counts, number)]
            largest = prompts[by_prompt[_rank_of(by_prompt_counts, number)]]
            total = held = size = 0
            place = first_at_most(prompts_tree, 0, largest)
            while place >= 0 and outputs[place] <= longest:
                grows = size == 0 or (total + outputs[place]) * size**2 < total * (size + 1) ** 2
                if not grows or held + peaks[place] > memory:
                    break
                members[size] = place
                total += outputs[place]
                held += peaks[place]
                size += 1
                place = first_at_most(prompts_tree, place + 1, largest)
            if size > 0 and (best_size == 0 or total * best_size**2 < best_total * size**2):
                best_size, best_total, best_part = size, total, part
        size, total = best_size, best_total
        slack = memory
        for place in members[:size]:
            set_place(peaks_tree, place, EMPTY)
            slack -= peaks[place]
        place = first_at_most(peaks_tree, 0, slack)
        while place >= 0 and (total + outputs[place]) * size**2 < total * (size + 1) ** 2:
            set_place(peaks_tree, place, EMPTY)
            members[size] = place
            total += outputs[place]
            slack -= peaks[place]
            size += 1
            place = first_at_most(peaks_tree, place + 1, slack)
        chosen = np.sort(members[:size])
        while size > 1 and (total - outputs[chosen[size - 1]]) * size**2 < total * (size - 1) ** 2:
            size -= 1
            total -= outputs[chosen[size]]
            set_place(peaks_tree, chosen[size], peaks[chosen[size]])
        for place in chosen[:size]:
            set_place(prompts_tree, place, EMPTY)
            _add_to_counts(by_output_counts, place, -1)
            _add_to_counts(by_prompt_counts, prompt_rank[place], -1)
            batch_of[place] = batch
        batch += 1
        taken += size
    return batch_of
