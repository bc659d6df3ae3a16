"""What cuts off nodes of the search of `optimum_kernel`, prices apart."""

from __future__ import annotations

import numpy as np
from numba import njit

from .optimum_search_kernel import COST, KNOWN, MASK, NEXT, ROOM, SET, SET_COST, WAITING

LONGEST_SCAN = 400
"""Remembered states that a node is compared with."""


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
