"""Compiled list schedulers; `listing` says what they compute and why they are exact."""

from __future__ import annotations

import numpy as np
from numba import njit

from .minimum_tree_kernel import EMPTY, first_at_most, least_between, minimum_tree, set_place


@njit(cache=True)
def _ring(places):
    """Zeros, a power of two of them and at least ``places``: step t lives at t & (length - 1)."""
    length = 1
    while length < places:
        length *= 2
    return np.zeros(length, dtype=np.int64)


@njit(cache=True)
def forward_waiting(prompts, outputs, memory, order):
    """Strict order, forward-looking check: starts by request."""
    starts = np.zeros(len(order), dtype=np.int64)
    # Nothing is held later than the longest output from now, and the head ends by twice that.
    held = _ring(2 * outputs.max() + 2)
    last = len(held) - 1
    time = 0
    for i in order:
        prompt, output = prompts[i], outputs[i]
        start = time
        step = start + 1
        while step <= start + output:
            excess = held[step & last] + prompt + (step - start) - memory
            if excess > 0:
                start = min(start + excess, step)
            step += 1
        for step in range(time + 1, start + 1):
            held[step & last] = 0
        time = start
        starts[i] = start
        for step in range(start + 1, start + output + 1):
            held[step & last] += prompt + (step - start)
    return starts


@njit(cache=True)
def peaks_waiting(outputs, peaks, memory, order):
    """Strict order, sum of the peaks: starts by request."""
    starts = np.zeros(len(order), dtype=np.int64)
    released = _ring(outputs.max() + 1)
    last = len(released) - 1
    free = memory
    time = 0
    for i in order:
        while free < peaks[i]:
            time += 1
            free += released[time & last]
            released[time & last] = 0
        starts[i] = time
        free -= peaks[i]
        released[(time + outputs[i]) & last] += peaks[i]
    return starts


@njit(cache=True)
def peaks_skipping(outputs, peaks, memory, order):
    """Blocked requests skipped, sum of the peaks: starts by request."""
    starts = np.zeros(len(order), dtype=np.int64)
    released = _ring(outputs.max() + 1)
    last = len(released) - 1
    waiting = minimum_tree(peaks[order])
    free = memory
    time = 0
    while True:
        place = first_at_most(waiting, 0, free)
        while place >= 0:
            i = order[place]
            starts[i] = time
            free -= peaks[i]
            released[(time + outputs[i]) & last] += peaks[i]
            set_place(waiting, place, EMPTY)
            place = first_at_most(waiting, place + 1, free)
        if waiting[1] == EMPTY:
            return starts
        time += 1
        free += released[time & last]
        released[time & last] = 0


@njit(cache=True)
def forward_skipping(prompts, outputs, memory, order):
    """Blocked requests skipped, forward-looking check: starts by request."""
    count = len(order)
    # Places of the order, by output and then by place; equal outputs form a class.
    places = np.argsort(outputs[order], kind="mergesort")
    sorted_outputs = outputs[order][places]
    waiting = minimum_tree(prompts[order][places])
    first = np.flatnonzero(np.append(True, sorted_outputs[1:] != sorted_outputs[:-1]))
    end = np.append(first[1:], count)
    lengths = sorted_outputs[first]
    least = np.empty(len(first), dtype=np.int64)
    for c in range(len(first)):
        least[c] = least_between(waiting, first[c], end[c])

    starts = np.zeros(count, dtype=np.int64)
    held = _ring(lengths[-1] + 1)
    last = len(held) - 1
    time = 0
    while waiting[1] != EMPTY:
        chosen = -1
        chosen_class = 0
        room = memory
        step = 0
        for c in range(len(lengths)):
            while step < lengths[c]:
                step += 1
                room = min(room, memory - held[(time + step) & last] - step)
            if room < waiting[1]:
                break
            if least[c] <= room:
                candidate = first_at_most(waiting, first[c], room)
                if chosen < 0 or places[candidate] < places[chosen]:
                    chosen = candidate
                    chosen_class = c
        if chosen < 0:
            time += 1
            held[time & last] = 0
            continue
        i = order[places[chosen]]
        starts[i] = time
        for step in range(1, outputs[i] + 1):
            held[(time + step) & last] += prompts[i] + step
        set_place(waiting, chosen, EMPTY)
        least[chosen_class] = least_between(waiting, first[chosen_class], end[chosen_class])
    return starts


@njit(cache=True)
def rounds_of_maximal_prefixes(prompts, outputs, memory, order):
    """MC-SF's rounds, one per step of time: starts by request.

    The running requests are kept in the order of their completions, so that equation (5) is one
    pass from the last completion to the first.
    """
    starts = np.zeros(len(order), dtype=np.int64)
    running = np.empty(len(order), dtype=np.int64)  # ascending completion
    completion = np.zeros(len(order), dtype=np.int64)
    size = 0
    admitted = 0
    time = 0
    while admitted < len(order):
        done = 0
        while done < size and completion[running[done]] <= time:
            done += 1
        for place in range(done, size):
            running[place - done] = running[place]
        size -= done
        while admitted < len(order):
            i = order[admitted]
            completion[i] = time + outputs[i]
            place = size
            while place > 0 and completion[running[place - 1]] > completion[i]:
                running[place] = running[place - 1]
                place -= 1
            running[place] = i
            starts[i] = time
            size += 1
            # Sum of (s - start) over those that complete at or after the step looked at.
            offset = 0
            passes = True
            for later in range(size - 1, -1, -1):
                j = running[later]
                offset += prompts[j] - starts[j]
                step = completion[j]
                # Of equal completions the last one met has the whole sum; the others less.
                if offset + (size - later) * step > memory:
                    passes = False
                    break
            if not passes:
                for later in range(place, size - 1):
                    running[later] = running[later + 1]
                size -= 1
                break
            admitted += 1
        time += 1
    return starts
