"""Compiled parts of the fleet's kernel: waiting lines, deadlines, and the next time of each GPU.

A waiting line is a doubly linked list through arrays indexed by request, so that who loses patience
leaves from the middle at once. Deadlines stand in a binary heap by (deadline, request); entries are
not removed when the wait ends otherwise, and the caller drops those found stale. Next times of
GPUs form a binary tree of minima; on ties the lowest GPU comes first.
"""

from __future__ import annotations

import numpy as np

from ..compilation import inlined

NOBODY = -1
FIRST, LAST, WAITING = 0, 1, 2
"""Columns of the table of lines: first and last request, and how many there are."""


@inlined
def join_line(lines, following, preceding, line, request):
    """Put a request at the end of a line."""
    last = lines[line, LAST]
    following[request], preceding[request] = NOBODY, last
    if last == NOBODY:
        lines[line, FIRST] = request
    else:
        following[last] = request
    lines[line, LAST] = request
    lines[line, WAITING] += 1


@inlined
def leave_line(lines, following, preceding, line, request):
    """Take a request out of a line, wherever in it."""
    before, after = preceding[request], following[request]
    if before == NOBODY:
        lines[line, FIRST] = after
    else:
        following[before] = after
    if after == NOBODY:
        lines[line, LAST] = before
    else:
        preceding[after] = before
    lines[line, WAITING] -= 1


@inlined
def _sooner(deadlines, whose, one, other):
    if deadlines[one] == deadlines[other]:
        return whose[one] < whose[other]
    return deadlines[one] < deadlines[other]


@inlined
def _swap(deadlines, whose, one, other):
    deadlines[one], deadlines[other] = deadlines[other], deadlines[one]
    whose[one], whose[other] = whose[other], whose[one]


@inlined
def push_deadline(deadlines, whose, size, deadline, request):
    """Add an entry to a heap of ``size`` entries."""
    place = size
    deadlines[place], whose[place] = deadline, request
    while place > 0 and _sooner(deadlines, whose, place, (place - 1) // 2):
        _swap(deadlines, whose, place, (place - 1) // 2)
        place = (place - 1) // 2


@inlined
def pop_deadline(deadlines, whose, size):
    """Remove the first of ``size`` entries of a heap."""
    _swap(deadlines, whose, 0, size - 1)
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size - 1:
            return
        if child + 1 < size - 1 and _sooner(deadlines, whose, child + 1, child):
            child += 1
        if not _sooner(deadlines, whose, child, place):
            return
        _swap(deadlines, whose, child, place)
        place = child


def no_times(gpus):
    """A tree of infinite times for so many GPUs."""
    leaves = 1
    while leaves < gpus:
        leaves *= 2
    return np.full(2 * leaves, np.inf)


@inlined
def set_time(times, gpu, at):
    """Set the next time of a GPU."""
    node = len(times) // 2 + gpu
    times[node] = at
    while node > 1:
        node //= 2
        least = min(times[2 * node], times[2 * node + 1])
        if times[node] == least:
            return
        times[node] = least


@inlined
def earliest(times):
    """The GPU whose next time is least."""
    node = 1
    while node < len(times) // 2:
        node *= 2
        if times[node + 1] < times[node]:
            node += 1
    return node - len(times) // 2
