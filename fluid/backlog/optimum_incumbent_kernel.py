"""A first good schedule for the exact search: insertion in an order, and a search over orders.

Insertion takes the requests one after the other and starts each at the earliest time at which it
fits next to all those placed before it, wherever in time those are. The order is then improved by
moving single requests to other places as long as that lowers the total latency, from four orders:
by volume, by output, by peak, and by output times peak. Nothing here needs proof: the schedule is
validated like any other.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def first_fit(free, prompt, output, earliest, unsure):
    """Least start >= ``earliest`` at which the request fits into ``free`` memory per step.

    A step that holds too little, ``free[step] < prompt + step - start``, rules out every start
    before ``min(step, prompt + step - free[step])``: at that one the request either has not begun
    to hold memory in the step or holds exactly what is free. At ``earliest`` itself the request is
    known to fit at ages above ``unsure``.
    """
    start = earliest
    age = unsure
    while age > 0:
        step = start + age
        if free[step] < prompt + age:
            start = min(step, prompt + step - free[step])
            age = output
        else:
            age -= 1
    return start


@njit(cache=True)
def hold(free, prompt, output, start, sign):
    """Take (``sign`` -1) or give back (+1) the memory of a request started at ``start``."""
    for age in range(1, output + 1):
        free[start + age] += sign * (prompt + age)


@njit(cache=True)
def insertion(prompts, outputs, memory, order, free, starts):
    """Insert the requests in ``order``; fills ``starts`` and returns the total latency."""
    free[:] = memory
    latency = 0
    for i in order:
        starts[i] = first_fit(free, prompts[i], outputs[i], 0, outputs[i])
        hold(free, prompts[i], outputs[i], starts[i], -1)
        latency += starts[i] + outputs[i]
    return latency


@njit(cache=True)
def improve_order(prompts, outputs, memory, order, free, starts):
    """Move single requests in ``order`` while that helps; fills ``starts``, returns the latency."""
    n = len(order)
    latency = insertion(prompts, outputs, memory, order, free, starts)
    moved = np.empty_like(order)
    candidate = np.empty_like(starts)
    improved = True
    while improved:
        improved = False
        for place in range(n):
            for target in range(n):
                if place == target:
                    continue
                moved[:] = order
                step = 1 if target > place else -1
                for k in range(place, target, step):
                    moved[k] = order[k + step]
                moved[target] = order[place]
                value = insertion(prompts, outputs, memory, moved, free, candidate)
                if value < latency:
                    latency = value
                    starts[:] = candidate
                    order[:] = moved
                    improved = True
    return latency


@njit(cache=True)
def incumbent(prompts, outputs, memory, starts, only_first_order):
    """Best insertion schedule found; fills ``starts`` and returns its total latency."""
    free = np.empty(outputs.sum() + 2 * outputs.max() + 2, dtype=np.int64)
    volumes = prompts * outputs + outputs * (outputs + 1) // 2
    candidate = np.empty_like(starts)
    best = np.int64(-1)
    for keys in (volumes, outputs, prompts + outputs, outputs * (prompts + outputs)):
        order = np.argsort(keys)
        latency = improve_order(prompts, outputs, memory, order, free, candidate)
        if best < 0 or latency < best:
            best = latency
            starts[:] = candidate
        if only_first_order:
            break
    return best
