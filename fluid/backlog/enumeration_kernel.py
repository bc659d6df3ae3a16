"""Compiled twins for many small backlogs at once; `enumeration` says what they compute."""

from __future__ import annotations

import numpy as np
from numba import njit

from .listing_kernel import forward_waiting


@njit(cache=True)
def _feasible_masks(prompts, outputs, memory, common_start):
    """For every subset, as a bit mask: whether it is a feasible batch."""
    requests = len(outputs)
    feasible = np.zeros(1 << requests, dtype=np.bool_)
    for mask in range(1, 1 << requests):
        held = 0
        for i in range(requests):
            if mask >> i & 1:
                if common_start:
                    held_then = 0
                    for j in range(requests):
                        if mask >> j & 1 and outputs[j] >= outputs[i]:
                            held_then += prompts[j] + outputs[i]
                    held = max(held, held_then)
                else:
                    held += prompts[i] + outputs[i]
        feasible[mask] = held <= memory
    return feasible


@njit(cache=True)
def _size_and_output(mask, outputs):
    size = 0
    total = 0
    for i in range(len(outputs)):
        if mask >> i & 1:
            size += 1
            total += outputs[i]
    return size, total


@njit(cache=True)
def _first_numbers(mask, other):
    """Whether ``mask``, of equal size, comes before ``other``: it has the lowest differing bit."""
    different = mask ^ other
    return (different & -different) & mask != 0


@njit(cache=True)
def sorted_f_order(prompts, outputs, memory, common_start):
    """Phase two's order of Sorted-F, by looking at every subset; at most 16 requests."""
    requests = len(outputs)
    feasible = _feasible_masks(prompts, outputs, memory, common_start)
    order = np.empty(requests, dtype=np.int64)
    placed = 0
    left = (1 << requests) - 1
    while left:
        best, best_size, best_output = 0, 1, 0
        mask = left
        while mask:
            if feasible[mask]:
                size, total = _size_and_output(mask, outputs)
                ours, theirs = total * best_size * best_size, best_output * size * size
                if (
                    best == 0
                    or ours < theirs
                    or (
                        ours == theirs
                        and (size > best_size or (size == best_size and _first_numbers(mask, best)))
                    )
                ):
                    best, best_size, best_output = mask, size, total
            mask = (mask - 1) & left
        left &= ~best
        first = placed
        for i in range(requests):
            if best >> i & 1:
                # Insertion by output keeps the request numbers ascending among equals.
                place = placed
                while place > first and outputs[order[place - 1]] > outputs[i]:
                    order[place] = order[place - 1]
                    place -= 1
                order[place] = i
                placed += 1
    return order


@njit(cache=True)
def sorted_f_latencies(prompts, outputs, memories, common_start):
    """TEL(Sorted-F) of k backlogs of n requests: arrays of shape (k, n), (k, n) and (k,)."""
    latencies = np.empty(len(memories), dtype=np.int64)
    for k in range(len(memories)):
        order = sorted_f_order(prompts[k], outputs[k], memories[k], common_start)
        starts = forward_waiting(prompts[k], outputs[k], memories[k], order)
        latencies[k] = starts.sum() + outputs[k].sum()
    return latencies


@njit(cache=True)
def list_latencies(prompts, outputs, memories, keys):
    """TEL of strict lists by ascending ``keys`` (shape (k, n)), ties by request number."""
    latencies = np.empty(len(memories), dtype=np.int64)
    for k in range(len(memories)):
        order = np.argsort(keys[k], kind="mergesort")
        starts = forward_waiting(prompts[k], outputs[k], memories[k], order)
        latencies[k] = starts.sum() + outputs[k].sum()
    return latencies
