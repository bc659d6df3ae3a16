"""A binary tree of minima over an array: the first entry of at most some limit, in O(log n).

The tree over m places has a power of two of leaves, leaf p at ``tree[leaves + p]``; every inner
node holds the least of its two children and ``tree[1]`` the least of all. Places that were emptied
hold `EMPTY`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

EMPTY = np.iinfo(np.int64).max


@njit(cache=True)
def minimum_tree(values):
    """The tree over ``values``."""
    leaves = 1
    while leaves < len(values):
        leaves *= 2
    tree = np.full(2 * leaves, EMPTY, dtype=np.int64)
    tree[leaves : leaves + len(values)] = values
    for node in range(leaves - 1, 0, -1):
        tree[node] = min(tree[2 * node], tree[2 * node + 1])
    return tree


@njit(cache=True)
def set_place(tree, place, value):
    """Put ``value`` at ``place``; `EMPTY` empties it."""
    node = len(tree) // 2 + place
    tree[node] = value
    node //= 2
    while node >= 1:
        tree[node] = min(tree[2 * node], tree[2 * node + 1])
        node //= 2


@njit(cache=True)
def first_at_most(tree, place, limit):
    """First place from ``place`` on whose value is at most ``limit``; -1 if there is none."""
    leaves = len(tree) // 2
    if place >= leaves:
        return -1
    node = leaves + place
    while tree[node] > limit:
        # Climb while this is a right child: its sibling lies to the left.
        while node & 1:
            node //= 2
            if node <= 1:
                return -1
        node += 1
    while node < leaves:
        node *= 2
        if tree[node] > limit:
            node += 1
    return node - leaves


@njit(cache=True)
def least_between(tree, first, end):
    """Least value at the places first, ..., end - 1."""
    least = EMPTY
    low = len(tree) // 2 + first
    high = len(tree) // 2 + end
    while low < high:
        if low & 1:
            least = min(least, tree[low])
            low += 1
        if high & 1:
            high -= 1
            least = min(least, tree[high])
        low //= 2
        high //= 2
    return least
