"""The catching-up scheme of `model`, compiled by numba.

A waiting line that serves several classes in order of arrival keeps its history. What joined in
one step is a cohort; all of a class shrinks by the same factor in each step, so that a cohort's
age tells how much of it is left, but for the share of the first cohort that has been served.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

# Gates and routings, in the order of `model.GATES` and `model.ROUTINGS`.
_OCCUPANCY, _FIRST_COME = 0, 1
_POOLS, _WEIGHTED_POOLS = 1, 2
# Rows of a state, in the order of `model.STAGES`. With pools, what waits for decode waits for the
# solo pool in row 2 and for the mixed pool in row 5; without, all of it is in row 2.
_PREFILL_QUEUE, _PREFILL, _DECODE_QUEUE, _MIXED_DECODE, _SOLO_DECODE, _MIXED_QUEUE = range(6)
# Rows of the cumulative flows, in the order of `model.FLOWS`.
_ARRIVALS, _ADMITTED, _PREFILLED, _PREFILL_ABANDONED, _DECODE_ABANDONED = range(5)
_TO_MIXED, _TO_SOLO, _MIXED_COMPLETED, _SOLO_COMPLETED = range(5, 9)
# Lines in order of arrival, and the columns of their table.
_PREFILL_LINE, _DECODE_LINE, _MIXED_LINE = range(3)
_FIRST, _UNSERVED = range(2)


@njit(inline="always")
def _total(row):
    total = 0.0
    for number in row:
        total += number
    return total


@njit(inline="always")
def _between(low, value, high):
    return min(max(value, low), high)


@njit(cache=True, nogil=True, error_model="numpy")
def _filled(level, occupied, targets, waiting):
    """How much raising every class to ``level`` times its target takes from those who wait."""
    amount = 0.0
    for i in range(len(targets)):
        if targets[i] > 0.0:
            amount += _between(0.0, targets[i] * level - occupied[i], waiting[i])
    return amount


@njit(cache=True, nogil=True, error_model="numpy")
def fill_to_level(occupied, targets, waiting, free, taken):
    """Raise the lowest ``occupied / targets`` first, until ``free`` is used or nobody waits.

    The level l solves sum_i clip(l targets_i - occupied_i, 0, waiting_i) = free, whose left side
    is piecewise linear in l; classes without a target take no part.
    """
    classes = len(targets)
    waits = 0.0
    for i in range(classes):
        taken[i] = waiting[i] if targets[i] > 0.0 else 0.0
        waits += taken[i]
    if waits <= free:
        return
    level, filled = -1.0, 0.0  # the last breakpoint at which no more than `free` is filled
    for breakpoint_number in range(2 * classes):
        i = breakpoint_number // 2
        if targets[i] > 0.0:
            top = occupied[i] + waiting[i] if breakpoint_number % 2 else occupied[i]
            amount = _filled(top / targets[i], occupied, targets, waiting)
            if amount <= free and top / targets[i] > level:
                level, filled = top / targets[i], amount
    slope = 0.0
    for i in range(classes):
        if (
            targets[i] > 0.0
            and occupied[i] / targets[i] <= level < (occupied[i] + waiting[i]) / targets[i]
        ):
            slope += targets[i]
    if slope > 0.0:
        level += (free - filled) / slope
    for i in range(classes):
        if targets[i] > 0.0:
            taken[i] = _between(0.0, targets[i] * level - occupied[i], waiting[i])


@njit(cache=True, nogil=True, error_model="numpy")
def fill_in_order(order, waiting, free, taken):
    """Serve the classes one after the other in ``order``."""
    for i in order:
        taken[i] = min(waiting[i], free)
        free -= taken[i]


@njit(cache=True, nogil=True, error_model="numpy")
def fill_by_weight(weights, waiting, free, taken):
    """Split ``free`` in proportion to ``weights``; what a class cannot use goes to the others.

    Classes of weight zero get what is left when nobody else waits, in equal shares.
    """
    classes = len(weights)
    taken[:] = 0.0
    for last_resort in (False, True):
        for _ in range(classes):
            total = 0.0
            for i in range(classes):
                if taken[i] < waiting[i] and (weights[i] > 0.0) != last_resort:
                    total += 1.0 if last_resort else weights[i]
            if total == 0.0 or free <= 0.0:
                break
            saturated = False
            for i in range(classes):
                if taken[i] < waiting[i] and (weights[i] > 0.0) != last_resort:
                    weight = 1.0 if last_resort else weights[i]
                    if waiting[i] <= free * weight / total:
                        saturated = True
            used = 0.0
            for i in range(classes):
                if taken[i] < waiting[i] and (weights[i] > 0.0) != last_resort:
                    share = free * (1.0 if last_resort else weights[i]) / total
                    if not saturated or waiting[i] <= share:
                        taken[i] = min(waiting[i], share)
                        used += taken[i]
            free -= used
            if not saturated:
                free = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _fill_in_arrival_order(cohorts, line, step, log_survival, waiting, free, taken):
    """Serve a line from its head; a cohort that does not fit is served in part, all classes alike.

    ``line`` holds the first cohort that is not served and the share of it that is left.
    """
    classes = len(waiting)
    taken[:] = 0.0
    first = int(line[_FIRST])
    while first <= step and free > 0.0:
        size = 0.0
        for i in range(classes):
            left = line[_UNSERVED] * cohorts[first, i]
            if step > first:
                left *= math.exp(log_survival[i] * (step - first))
            size += left
        served = 1.0 if size <= free else free / size
        for i in range(classes):
            left = line[_UNSERVED] * cohorts[first, i]
            if step > first:
                left *= math.exp(log_survival[i] * (step - first))
            taken[i] += served * left
        free -= served * size
        if served == 1.0:
            first += 1
            line[_UNSERVED] = 1.0
        else:
            line[_UNSERVED] *= 1.0 - served
            free = 0.0
    line[_FIRST] = first
    for i in range(classes):  # the queues and the histories agree up to rounding
        taken[i] = waiting[i] if first > step else min(taken[i], waiting[i])


@njit(cache=True, nogil=True, error_model="numpy")
def integrate(
    rates,
    gate,
    routing,
    gate_targets,
    gate_order,
    buffer_order,
    solo_probability,
    pool_weights,
    capacities,
    admission_limit,
    step_seconds,
    steps_per_point,
    states,
    flows,
):
    """Fill ``states`` and ``flows`` from the initial state ``states[0]``.

    ``rates`` has the rows arrival, patience, prefill, mixed and solo decode; ``capacities`` those
    of prefill, mixed and solo decode per GPU.
    """
    points, _, classes = states.shape
    arrival, patience, prefill, mixed_decode, solo_decode = rates
    prefill_capacity, mixed_capacity, solo_capacity = capacities
    steps = (points - 1) * steps_per_point
    log_survival = np.log1p(-step_seconds * patience)
    first_come = gate == _FIRST_COME
    ordered = len(buffer_order) > 0
    lined = routing != _WEIGHTED_POOLS and not ordered
    prefill_cohorts = np.zeros((steps + 1 if first_come else 1, classes))
    decode_cohorts = np.zeros((steps + 1 if lined else 1, classes))
    mixed_cohorts = np.zeros((steps + 1 if routing == _POOLS else 1, classes))
    lines = np.zeros((3, 2))
    lines[:, _UNSERVED] = 1.0
    state, flow = states[0].copy(), np.zeros((flows.shape[1], classes))
    taken = np.empty(classes)
    prefill_cohorts[0] = state[_PREFILL_QUEUE]
    decode_cohorts[0] = state[_DECODE_QUEUE]
    mixed_cohorts[0] = state[_MIXED_QUEUE]
    for step in range(steps + 1):
        if step > 0:  # free motion
            for i in range(classes):
                arrived = step_seconds * arrival[i]
                left = step_seconds * patience[i] * state[_PREFILL_QUEUE, i]
                state[_PREFILL_QUEUE, i] += arrived - left
                flow[_ARRIVALS, i] += arrived
                flow[_PREFILL_ABANDONED, i] += left
                if first_come:
                    prefill_cohorts[step, i] = arrived
                prefilled = step_seconds * prefill[i] * state[_PREFILL, i]
                state[_PREFILL, i] -= prefilled
                flow[_PREFILLED, i] += prefilled
                to_mixed = prefilled * (1.0 - solo_probability[i])
                left = step_seconds * patience[i] * state[_DECODE_QUEUE, i]
                left_mixed = step_seconds * patience[i] * state[_MIXED_QUEUE, i]
                state[_DECODE_QUEUE, i] += prefilled - to_mixed - left
                state[_MIXED_QUEUE, i] += to_mixed - left_mixed
                flow[_DECODE_ABANDONED, i] += left + left_mixed
                if lined:
                    decode_cohorts[step, i] = prefilled - to_mixed
                if routing == _POOLS:
                    mixed_cohorts[step, i] = to_mixed
                completed = step_seconds * mixed_decode[i] * state[_MIXED_DECODE, i]
                state[_MIXED_DECODE, i] -= completed
                flow[_MIXED_COMPLETED, i] += completed
                completed = step_seconds * solo_decode[i] * state[_SOLO_DECODE, i]
                state[_SOLO_DECODE, i] -= completed
                flow[_SOLO_COMPLETED, i] += completed
        # Regulation: the gate fills prefill slots, the router solo slots and then mixed ones.
        free = min(
            prefill_capacity - _total(state[_PREFILL]),
            admission_limit - _total(state[_PREFILL:].ravel()),
        )
        waiting = state[_PREFILL_QUEUE]
        if free > 0.0:
            if gate == _OCCUPANCY:
                fill_to_level(state[_PREFILL], gate_targets, waiting, free, taken)
            elif first_come:
                _fill_in_arrival_order(
                    prefill_cohorts,
                    lines[_PREFILL_LINE],
                    step,
                    log_survival,
                    waiting,
                    free,
                    taken,
                )
            else:
                fill_in_order(gate_order, waiting, free, taken)
            for i in range(classes):
                waiting[i] -= taken[i]
                state[_PREFILL, i] += taken[i]
                flow[_ADMITTED, i] += taken[i]
        for stage in (_SOLO_DECODE, _MIXED_DECODE):
            solo = stage == _SOLO_DECODE
            free = (solo_capacity if solo else mixed_capacity) - _total(state[stage])
            if free <= 0.0:
                continue
            apart = routing >= _POOLS and not solo
            waiting = state[_MIXED_QUEUE] if apart else state[_DECODE_QUEUE]
            if routing == _WEIGHTED_POOLS:
                fill_by_weight(pool_weights[1 if solo else 0], waiting, free, taken)
            elif ordered:
                fill_in_order(buffer_order, waiting, free, taken)
            else:
                _fill_in_arrival_order(
                    mixed_cohorts if apart else decode_cohorts,
                    lines[_MIXED_LINE if apart else _DECODE_LINE],
                    step,
                    log_survival,
                    waiting,
                    free,
                    taken,
                )
            for i in range(classes):
                waiting[i] -= taken[i]
                state[stage, i] += taken[i]
                flow[_TO_SOLO if solo else _TO_MIXED, i] += taken[i]
        if step % steps_per_point == 0:
            # Flows are summed stretch by stretch: adding small numbers to large ones loses digits.
            point = step // steps_per_point
            states[point] = state
            flows[point] = flow
            if point > 0:
                flows[point] += flows[point - 1]
            flow[:] = 0.0
