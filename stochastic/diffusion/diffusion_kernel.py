"""Euler's scheme for the diffusion of `diffusion`, at one step and at twice the step together.

Both schemes are driven by the same Brownian path, so that the difference of their averages, which
estimates the bias of the scheme, is known far more precisely than either average.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def gate(requests, targets, spare, prefill):
    """Write what the gate makes of ``requests``: `diffusion.prefill_occupancies`."""
    classes = len(targets)
    total = 0.0
    for i in range(classes):
        total += requests[i]
    if total <= spare:
        for i in range(classes):
            prefill[i] = requests[i]
        return
    level = -np.inf
    while True:
        # Classes below the level take what they have, the others share the rest of the slots:
        # the level rises until nobody else falls below it.
        room, weights = spare, 0.0
        for i in range(classes):
            if requests[i] < targets[i] * level:
                room -= requests[i]
            else:
                weights += targets[i]
        higher = room / weights
        if higher <= level:
            break
        level = higher
    for i in range(classes):
        prefill[i] = min(requests[i], targets[i] * level)


@njit(cache=True, nogil=True, error_model="numpy")
def euler_step(state, prefill, step, increments, parameters):
    """Advance ``state`` = (H, Y_s, V, N) by one step, given ``prefill`` = X at its start."""
    targets, prefill_rates, mixed, solo, patience, surplus, mix, flow = parameters
    classes = len(targets)
    solo_throughput, mixed_throughput = flow[0], flow[1]
    excess = state[3 * classes]
    buffered, idle = max(excess, 0.0), max(-excess, 0.0)
    entering, solo_done, mixed_done = 0.0, 0.0, 0.0
    for i in range(classes):
        entering += prefill_rates[i] * prefill[i] - patience[i] * mix[i] * buffered
        solo_done += solo[i] * state[classes + i]
        mixed_done += mixed[i] * (state[2 * classes + i] - mix[i] * idle)
    for i in range(classes):
        own = prefill_rates[i] * prefill[i] - patience[i] * mix[i] * buffered
        odds = (own - mix[i] * entering) / (solo_throughput + mixed_throughput)
        in_solo, in_mixed = state[classes + i], state[2 * classes + i] - mix[i] * idle
        if state[i] < np.inf:
            waiting = state[i] - prefill[i]
            change = surplus[i] - prefill_rates[i] * prefill[i] - patience[i] * waiting
            state[i] += change * step + increments[i]
        change = mix[i] * solo_done - solo[i] * in_solo + solo_throughput * odds
        state[classes + i] += change * step + increments[classes + i]
        change = mix[i] * mixed_done - mixed[i] * in_mixed + mixed_throughput * odds
        state[2 * classes + i] += change * step + increments[2 * classes + i]
    state[3 * classes] += (entering - solo_done - mixed_done) * step + increments[3 * classes]


@njit(cache=True, nogil=True, error_model="numpy")
def euler_path(
    generator, noise, spare, parameters, start, step, warmup, steps, every, means, samples
):
    """Run both schemes and record, of each, time averages and samples.

    ``warmup`` and ``steps`` count double steps. ``means`` has shape (2, 2 classes + 2), of the
    finer and the coarser scheme: X, Q_p, N+ and N-; ``samples`` has shape
    (2, points, 3 classes + 1), a state every ``every`` double steps.
    """
    targets = parameters[0]
    classes = len(targets)
    size, sources = noise.shape
    state, coarse_state = start.copy(), start.copy()
    prefill, coarse_prefill = np.empty(classes), np.empty(classes)
    increments, total_increments = np.empty(size), np.empty(size)
    root = np.sqrt(step)
    for k in range(warmup + steps):
        measuring = k >= warmup
        if measuring and (k - warmup) % every == 0:
            point = (k - warmup) // every
            samples[0, point] = state
            samples[1, point] = coarse_state
        total_increments[:] = 0.0
        gate(coarse_state, targets, spare, coarse_prefill)
        for _ in range(2):
            increments[:] = 0.0
            for j in range(sources):
                impulse = root * generator.standard_normal()
                for i in range(size):
                    increments[i] += noise[i, j] * impulse
            gate(state, targets, spare, prefill)
            if measuring:
                _record(state, prefill, 0.5 / steps, means[0])
            euler_step(state, prefill, step, increments, parameters)
            total_increments += increments
        if measuring:
            _record(coarse_state, coarse_prefill, 1.0 / steps, means[1])
        euler_step(coarse_state, coarse_prefill, 2.0 * step, total_increments, parameters)


@njit(cache=True, nogil=True, error_model="numpy")
def _record(state, prefill, weight, means):
    classes = len(prefill)
    for i in range(classes):
        means[i] += weight * prefill[i]
        means[classes + i] += weight * (state[i] - prefill[i])
    excess = state[3 * classes]
    means[2 * classes] += weight * max(excess, 0.0)
    means[2 * classes + 1] += weight * max(-excess, 0.0)
