"""Waiting lines as rings: requests of one class in order of arrival, gaps where somebody left.

Line ``l`` occupies the places head, ..., tail - 1 of row ``l`` of ``rings``, modulo the capacity,
which is a power of two; ``lines`` holds head, tail and the number of requests of every line. The
twin of `reference.WaitingLine`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .chain import MAX_GAPS
from .compilation import WITHOUT_ALLOCATION, inlined
from .random_kernel import uniform

FIRST_CAPACITY = 64
NOBODY = np.iinfo(np.int64).max
HEAD, TAIL, REQUESTS = 0, 1, 2
_GAP = -1


@inlined
def oldest(rings, lines, line):
    """Stamp of the longest-waiting request of a line."""
    if lines[line, REQUESTS] == 0:
        return NOBODY
    return rings[line, lines[line, HEAD] & (rings.shape[1] - 1)]


@inlined
def serve(rings, lines, line):
    """Remove the longest-waiting request."""
    lines[line, HEAD] += 1
    lines[line, REQUESTS] -= 1
    _advance(rings, lines, line)


@inlined
def join(rings, lines, line, stamp):
    """Append a request to a line that is not full; returns whether it is full now."""
    rings[line, lines[line, TAIL] & (rings.shape[1] - 1)] = stamp
    lines[line, TAIL] += 1
    lines[line, REQUESTS] += 1
    return lines[line, TAIL] - lines[line, HEAD] == rings.shape[1]


@njit(**WITHOUT_ALLOCATION)
def abandon(rings, lines, line, words):
    """Remove a uniformly chosen request, and close the line up if gaps prevail."""
    mask = rings.shape[1] - 1
    head, tail = lines[line, HEAD], lines[line, TAIL]
    while True:
        place = head + int(uniform(words) * (tail - head))
        if rings[line, place & mask] != _GAP:
            break
    rings[line, place & mask] = _GAP
    lines[line, REQUESTS] -= 1
    _advance(rings, lines, line)
    head = lines[line, HEAD]
    if tail - head > 2 * lines[line, REQUESTS] + MAX_GAPS:
        free = head
        for place in range(head, tail):
            stamp = rings[line, place & mask]
            if stamp != _GAP:
                rings[line, free & mask] = stamp
                free += 1
        lines[line, TAIL] = free


@inlined
def _advance(rings, lines, line):
    """Drop the gaps in front of a line."""
    mask = rings.shape[1] - 1
    head, tail = lines[line, HEAD], lines[line, TAIL]
    while head < tail and rings[line, head & mask] == _GAP:
        head += 1
    lines[line, HEAD] = head


def grown(rings, lines):
    """The same lines in rings of twice the capacity."""
    capacity = rings.shape[1]
    larger = np.empty((rings.shape[0], 2 * capacity), dtype=rings.dtype)
    for line, (head, tail, _) in enumerate(lines):
        places = np.arange(head, tail)
        larger[line, places % (2 * capacity)] = rings[line, places % capacity]
    return larger
