r"""Lower bounds for the exact search: from prices on memory, and from sequences of completions.

Let some requests run or be done, and let the rest, the waiting set W, start at t or later, request
i not before :math:`e_i \ge t`, with :math:`a(\tau)` tokens free in step :math:`\tau`. For every
:math:`\pi \ge 0`, the waiting requests' memory adds up to at most :math:`a(\tau)` in each step, so

.. math:: \sum_{i \in W} c_i \ge \sum_{i \in W} \min_{p \ge e_i} \Big( p + o_i +
          \sum_{u=1}^{o_i} (s_i + u)\, \pi_{p+u} \Big) - \sum_{\tau > t} \pi_\tau\, a(\tau)

(Lagrangian relaxation of the time-indexed integer program). With :math:`\pi` zero after the
horizon T, no start after T beats T, or :math:`e_i` if that is later. Prefix sums of
:math:`\pi_\tau` and of :math:`\tau \pi_\tau` give each bracket in constant time.

Good prices are found in floating point, by subgradient steps with momentum whose length is Polyak's
for the incumbent. They are hints: the bound itself is computed anew from prices rounded to integers
over ``scale``, a power of two, in 64-bit integers that cannot overflow by the choice of `scale`.

*Sequences.* Prices see little of large requests, of which hardly two fit together. Let i complete
no later than j, and let j start before :math:`c_i`. Both are active in step :math:`c_i`, where i
holds its peak and j holds :math:`s_j + c_i - p_j`; so j has been active for at most
:math:`M - (s_i + o_i) - s_j` steps by then. Hence, whether j starts before or not,

.. math:: c_j \ge c_i + d_{ij}, \qquad
          d_{ij} = \max(0,\, o_j - \max(0,\, M - s_i - o_i - s_j)).

Let :math:`i_1 \dots i_m` be the waiting requests by completion. The first completes at
:math:`e_{i_1} + o_{i_1}` or later, and the gap between the k-th and the next one counts for all
m - k requests from the next one on:

.. math:: \sum_{i \in W} c_i \ge m\,(e_{i_1} + o_{i_1}) +
          \sum_{k=1}^{m-1} (m - k)\, d_{i_k i_{k+1}}.

The least right side over all sequences is found with a table over sets, :math:`g(\emptyset, i) = 0`
and :math:`g(S, i) = \min_{j \in S} |S|\, d_{ij} + g(S \setminus j, j)`: it is the least of
:math:`m\,(e_i + o_i) + g(W \setminus i, i)` over the waiting i.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

MOMENTUM = 0.5
PATIENCE = 3
"""Steps without progress after which the step length is halved."""

SHORTEST = 0.02
"""Step length, as a part of Polyak's, below which the prices have settled."""

MOST_SEQUENCED = 14
"""Requests up to which there is a table over the sets of requests."""

BITS = 60
MOST_SCALE_BITS = 40


class PriceWork(NamedTuple):
    """Scratch arrays over the steps 0 ... T."""

    current: np.ndarray
    best: np.ndarray
    direction: np.ndarray
    excess: np.ndarray
    prefix: np.ndarray
    moment: np.ndarray
    integer: np.ndarray
    integer_prefix: np.ndarray
    integer_moment: np.ndarray


@njit(cache=True)
def price_work(horizon):
    """Fresh scratch arrays."""
    floats = np.zeros((6, horizon + 1))
    integers = np.zeros((3, horizon + 1), dtype=np.int64)
    return PriceWork(
        floats[0],
        floats[1],
        floats[2],
        floats[3],
        floats[4],
        floats[5],
        integers[0],
        integers[1],
        integers[2],
    )


@njit(cache=True)
def price_scale_bits(requests, memory, horizon):
    """Bits b such that sums over prices of at most n 2^b stay within 64 bits.

    With T at least the longest output, every one is a few times n T max(M, T, n) 2^b at most.
    """
    bits = MOST_SCALE_BITS
    largest = 4 * requests * horizon * max(memory, horizon, requests)
    while bits > 0 and largest > np.int64(1) << (BITS - bits):
        bits -= 1
    return bits


@njit(cache=True)
def round_prices(prices, time, horizon, largest, bits, work):
    """Integer prices in [0, largest 2^bits] and their prefix sums, for steps after ``time``."""
    scale = np.int64(1) << bits
    work.integer_prefix[time] = 0
    work.integer_moment[time] = 0
    for step in range(time + 1, horizon + 1):
        work.integer[step] = np.int64(min(prices[step], float(largest)) * scale)
        work.integer_prefix[step] = work.integer_prefix[step - 1] + work.integer[step]
        work.integer_moment[step] = work.integer_moment[step - 1] + work.integer[step] * step


@njit(cache=True)
def certified_bound(prompts, outputs, waiting, earliest, free, time, horizon, bits, work):
    """The bound of the module docstring in integers over 2^bits, from the rounded prices."""
    scale = np.int64(1) << bits
    prefix, moment = work.integer_prefix, work.integer_moment
    bound = np.int64(0)
    for step in range(time + 1, horizon + 1):
        bound -= free[step] * work.integer[step]
    for i in range(len(prompts)):
        if waiting[i]:
            least = (max(earliest[i], horizon) + outputs[i]) * scale
            for start in range(earliest[i], horizon):
                end = min(start + outputs[i], horizon)
                paid = (prompts[i] - start) * (prefix[end] - prefix[start])
                paid += moment[end] - moment[start]
                least = min(least, (start + outputs[i]) * scale + paid)
            bound += least
    return bound


@njit(cache=True)
def improve_prices(
    prompts, outputs, waiting, earliest, free, time, horizon, target, rounds, prices, work
):
    """Improve ``prices`` in place for the steps after ``time``; stops above ``target``.

    Each round prices the waiting requests at their cheapest starts, and moves every step's price
    in proportion to the memory these starts would hold there beyond what is free.
    """
    current, best, direction, excess = work.current, work.best, work.direction, work.excess
    prefix, moment = work.prefix, work.moment
    for step in range(time + 1, horizon + 1):
        current[step] = prices[step]
        best[step] = prices[step]
        direction[step] = 0.0
    highest = -np.inf
    length = 1.0
    stalled = 0
    for _ in range(rounds):
        bound = 0.0
        prefix[time] = 0.0
        moment[time] = 0.0
        for step in range(time + 1, horizon + 1):
            prefix[step] = prefix[step - 1] + current[step]
            moment[step] = moment[step - 1] + current[step] * step
            excess[step] = -free[step]
            bound -= free[step] * current[step]
        for i in range(len(prompts)):
            if waiting[i]:
                cheapest = max(earliest[i], horizon)
                least = float(cheapest + outputs[i])
                for start in range(earliest[i], horizon):
                    end = min(start + outputs[i], horizon)
                    paid = (prompts[i] - start) * (prefix[end] - prefix[start])
                    paid += moment[end] - moment[start]
                    if start + outputs[i] + paid < least:
                        least = start + outputs[i] + paid
                        cheapest = start
                bound += least
                for age in range(1, min(outputs[i], horizon - cheapest) + 1):
                    excess[cheapest + age] += prompts[i] + age
        if bound > highest + 1e-3:
            highest = bound
            stalled = 0
            best[time + 1 : horizon + 1] = current[time + 1 : horizon + 1]
            if bound > target:
                break
        else:
            stalled += 1
            if stalled == PATIENCE:
                length *= 0.5
                if length < SHORTEST:
                    break
                stalled = 0
                current[time + 1 : horizon + 1] = best[time + 1 : horizon + 1]
        square = 0.0
        for step in range(time + 1, horizon + 1):
            change = excess[step]
            if current[step] <= 0 and change < 0:
                change = 0.0
            direction[step] = change + MOMENTUM * direction[step]
            square += direction[step] * direction[step]
        if square == 0:
            break
        factor = length * max(target + 0.5 - bound, 0.5) / square
        for step in range(time + 1, horizon + 1):
            current[step] = max(0.0, current[step] + factor * direction[step])
    prices[time + 1 : horizon + 1] = best[time + 1 : horizon + 1]


@njit(cache=True)
def cheapest_completions(prompts, outputs, horizon, bits, work):
    """Least priced completion of each request among its starts from p on, for p = 0 ... T."""
    scale = np.int64(1) << bits
    prefix, moment = work.integer_prefix, work.integer_moment
    cheapest = np.empty((len(prompts), horizon + 1), dtype=np.int64)
    for i in range(len(prompts)):
        cheapest[i, horizon] = (horizon + outputs[i]) * scale
        for start in range(horizon - 1, -1, -1):
            end = min(start + outputs[i], horizon)
            paid = (prompts[i] - start) * (prefix[end] - prefix[start])
            paid += moment[end] - moment[start]
            priced = (start + outputs[i]) * scale + paid
            cheapest[i, start] = min(priced, cheapest[i, start + 1])
    return cheapest


@njit(cache=True)
def following_completions(prompts, outputs, memory):
    """[set, i]: the least by which the set's completions, if none is before i's, add up beyond it.

    Empty for more than MOST_SEQUENCED requests.
    """
    n = len(prompts)
    if n > MOST_SEQUENCED:
        return np.zeros((0, n), dtype=np.int64)
    gaps = np.empty((n, n), dtype=np.int64)
    for i in range(n):
        for j in range(n):
            overlap = max(0, memory - prompts[i] - outputs[i] - prompts[j])
            gaps[i, j] = max(0, outputs[j] - overlap)
    least = np.zeros((1 << n, n), dtype=np.int64)
    for waiting in range(1, 1 << n):
        size = 0
        for j in range(n):
            size += (waiting >> j) & 1
        least[waiting, :] = np.iinfo(np.int64).max
        for j in range(n):
            if (waiting >> j) & 1:
                after = least[waiting ^ (1 << j), j]
                for i in range(n):
                    total = size * gaps[i, j] + after
                    if total < least[waiting, i]:
                        least[waiting, i] = total
    return least
