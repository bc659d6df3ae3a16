"""The compiled event loop of the chain: event for event that of `reference`.

What makes it fast: a count changes the rate of its event and nothing else, each rate is computed
from its count, so that nothing drifts; integrals are sums of event times; the event is found by
counting, without branches, the stretches below the level drawn; waiting lines are rings in one
array; and no memory is managed (see `compilation`): the caller brings all arrays, and larger
rings when a line is full. The cost of an event does not depend on the number of GPUs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .chain import (
    ARRIVAL,
    DECODE_ABANDONMENT,
    DECODE_QUEUE,
    EVENTS,
    MIXED_COMPLETION,
    MIXED_DECODE,
    MIXED_POOL,
    PREFILL,
    PREFILL_ABANDONMENT,
    PREFILL_COMPLETION,
    PREFILL_QUEUE,
    SOLO_COMPLETION,
    SOLO_DECODE,
    SOLO_POOL,
)
from .compilation import WITHOUT_ALLOCATION, inlined
from .random_kernel import exponential, uniform
from .waiting_line_kernel import NOBODY, REQUESTS, abandon, join, oldest, serve

OCCUPANCY_GATE, FIRST_COME_GATE, PRIORITY_GATE = 0, 1, 2
SOLO_FIRST, POOLS, WEIGHTED_POOLS = 0, 1, 2

_KINDS = len(EVENTS)
# Entries of `State.totals`, after the requests in the buffers of the pools.
_IN_PREFILL, _IN_SOLO, _IN_MIXED, _PAST_GATE = 2, 3, 4, 5
TOTALS = 6


class Rules(NamedTuple):
    """What does not change: rates, policy, slots, times.

    ``admitted`` is a tuple because its length is then known when numba compiles: loops over
    classes are unrolled. ``class_order`` is empty but for a priority gate, ``buffer_order`` for
    first come, first served; ``pool_weights`` has shape (pools, classes), zero where unused.
    """

    unit_rates: NDArray[np.float64]
    admitted: tuple[bool, ...]
    gate: int
    class_order: NDArray[np.int64]
    targets: NDArray[np.float64]
    queue_targets: NDArray[np.float64]
    admission_limit: float
    routing: int
    solo_probability: NDArray[np.float64]
    pool_weights: NDArray[np.float64]
    buffer_order: NDArray[np.int64]
    mixed_gpus: int
    solo_slots: int
    mixed_slots: int
    warmup: float
    horizon: float
    grid: NDArray[np.float64]


class State(NamedTuple):
    """What changes, in place: the chain, its clock, and what is measured.

    Lines 0 ... I-1 make up the one decode buffer, or that of the solo pool, I ... 2I-1 the buffer
    of the mixed pool, 2I ... 3I-1 the prefill queues of a first-come gate. ``clock`` holds the
    time and the next time at which something other than an event is due; ``progress`` the
    numbers of events and of grid points so far.
    """

    words: NDArray[np.uint64]
    counts: NDArray[np.int64]
    rates: NDArray[np.float64]
    stretches: NDArray[np.float64]
    totals: NDArray[np.int64]
    rings: NDArray[np.int64]
    lines: NDArray[np.int64]
    clock: NDArray[np.float64]
    progress: NDArray[np.int64]
    areas: NDArray[np.float64]
    completed: NDArray[np.int64]
    grid_counts: NDArray[np.int64]
    log: NDArray[np.float64]


@inlined
def _change(state, rules, stage, i, by, now):
    """Change a count, with its integral and the rate of what it drives.

    By parts: the integral of a count N over (s, t] is N(t) t - N(s) s - int u dN(u).
    """
    state.areas[stage, i] -= by * now
    state.counts[stage, i] += by
    # The kinds of event that `COUNTED_BY` lists for each stage.
    if stage == PREFILL_QUEUE:
        kind = PREFILL_ABANDONMENT
    elif stage == PREFILL:
        kind = PREFILL_COMPLETION
    elif stage == DECODE_QUEUE:
        kind = DECODE_ABANDONMENT
    elif stage == MIXED_DECODE:
        kind = MIXED_COMPLETION
    else:
        kind = SOLO_COMPLETION
    state.rates[kind, i] = rules.unit_rates[kind, i] * state.counts[stage, i]


@inlined
def _next_class(state, rules):
    """The class that an idle prefill slot admits, -1 if none: see `theory.policies`."""
    classes = len(rules.admitted)
    chosen = -1
    if rules.gate == OCCUPANCY_GATE:
        best, best_queue = np.inf, np.inf
        for i in range(classes):
            waiting = state.counts[PREFILL_QUEUE, i]
            if waiting > 0 and rules.admitted[i]:
                occupancy = state.counts[PREFILL, i] / rules.targets[i]
                queue = -(waiting - rules.queue_targets[i])
                if occupancy < best or (occupancy == best and queue < best_queue):
                    chosen, best, best_queue = i, occupancy, queue
    elif rules.gate == FIRST_COME_GATE:
        first = NOBODY
        for i in range(classes):
            stamp = oldest(state.rings, state.lines, 2 * classes + i)
            if stamp < first and rules.admitted[i]:
                chosen, first = i, stamp
    else:
        for place in range(classes):
            i = rules.class_order[place]
            if chosen < 0 and state.counts[PREFILL_QUEUE, i] > 0 and rules.admitted[i]:
                chosen = i
    return chosen


@inlined
def _next_decode(state, rules, pool):
    """The class that a freed slot serves from the nonempty buffer of a pool."""
    classes = len(rules.admitted)
    offset = pool * classes
    for place in range(len(rules.buffer_order)):
        i = rules.buffer_order[place]
        if state.lines[i, REQUESTS] > 0:
            return i
    total = 0.0
    for i in range(classes):
        if state.lines[offset + i, REQUESTS] > 0:
            total += rules.pool_weights[pool, i]
    if total > 0.0:
        level, passed, chosen = uniform(state.words) * total, 0.0, 0
        for i in range(classes):
            if state.lines[offset + i, REQUESTS] > 0:
                passed += rules.pool_weights[pool, i]
            chosen += passed <= level
        return chosen
    chosen, first = 0, NOBODY
    for i in range(classes):
        stamp = oldest(state.rings, state.lines, offset + i)
        if stamp < first:
            chosen, first = i, stamp
    return chosen


@inlined
def _start_measuring(state, rules):
    for i in range(len(rules.admitted)):
        for stage in range(state.counts.shape[0]):
            state.areas[stage, i] = -rules.warmup * state.counts[stage, i]
        for kind in range(_KINDS):
            state.completed[kind, i] = 0


@inlined
def _record(state, rules, point):
    for stage in range(state.counts.shape[0]):
        for i in range(len(rules.admitted)):
            state.grid_counts[point, stage, i] = state.counts[stage, i]


@inlined
def _until(rules, following, recorded):
    """The next time at which something other than an event is due, after ``following``."""
    mark = rules.horizon
    if recorded < len(rules.grid):
        mark = min(mark, rules.grid[recorded])
    if following <= rules.warmup:
        mark = min(mark, rules.warmup)
    return mark


@njit(cache=True, **WITHOUT_ALLOCATION)
def run_events(rules, state):
    """Run the chain on to the horizon, or until a line is full; returns whether it is done."""
    classes = len(rules.admitted)
    counts, rates, stretches = state.counts, state.rates, state.stretches
    totals, rings, lines = state.totals, state.rings, state.lines
    now, mark = state.clock
    events, recorded = state.progress
    done = full = False
    while not full:
        total = 0.0
        for kind in range(_KINDS):
            for j in range(classes):
                total += rates[kind, j]
                stretches[kind, j] = total
        following = now + exponential(state.words) / total
        if following > mark:
            while recorded < len(rules.grid) and rules.grid[recorded] < following:
                _record(state, rules, recorded)
                recorded += 1
            if now <= rules.warmup < following:
                _start_measuring(state, rules)
            if following > rules.horizon:
                done = True
                break
            mark = _until(rules, following, recorded)
        now = following
        level = uniform(state.words) * total
        event = 0
        for kind in range(_KINDS):
            for j in range(classes):
                event += stretches[kind, j] <= level
        kind = event // classes
        i = event - kind * classes
        if events < len(state.log):
            state.log[events, 0] = event
            state.log[events, 1] = now
        events += 1
        state.completed[kind, i] += 1

        gate_opens = rules.admission_limit < np.inf
        freed, pool = -1, SOLO_POOL
        if kind == ARRIVAL:
            _change(state, rules, PREFILL_QUEUE, i, 1, now)
            if rules.gate == FIRST_COME_GATE:
                full = join(rings, lines, 2 * classes + i, events)
            gate_opens = True
        elif kind == PREFILL_COMPLETION:
            _change(state, rules, PREFILL, i, -1, now)
            totals[_IN_PREFILL] -= 1
            solo = totals[_IN_SOLO] < rules.solo_slots
            mixed = totals[_IN_MIXED] < rules.mixed_slots
            if rules.routing != SOLO_FIRST:
                if uniform(state.words) < rules.solo_probability[i]:
                    mixed = False
                else:
                    solo, pool = False, MIXED_POOL
            if solo:
                _change(state, rules, SOLO_DECODE, i, 1, now)
                totals[_IN_SOLO] += 1
            elif mixed:
                _change(state, rules, MIXED_DECODE, i, 1, now)
                totals[_IN_MIXED] += 1
            else:
                _change(state, rules, DECODE_QUEUE, i, 1, now)
                totals[pool] += 1
                full = join(rings, lines, pool * classes + i, events)
            gate_opens = True
        elif kind == SOLO_COMPLETION:
            _change(state, rules, SOLO_DECODE, i, -1, now)
            totals[_PAST_GATE] -= 1
            freed = SOLO_DECODE
        elif kind == MIXED_COMPLETION:
            _change(state, rules, MIXED_DECODE, i, -1, now)
            totals[_PAST_GATE] -= 1
            freed = MIXED_DECODE
            if rules.routing != SOLO_FIRST:
                pool = MIXED_POOL
        elif kind == PREFILL_ABANDONMENT:
            _change(state, rules, PREFILL_QUEUE, i, -1, now)
            if rules.gate == FIRST_COME_GATE:
                abandon(rings, lines, 2 * classes + i, state.words)
        else:
            if rules.routing != SOLO_FIRST:
                place = uniform(state.words) * counts[DECODE_QUEUE, i]
                if place >= lines[i, REQUESTS]:
                    pool = MIXED_POOL
            _change(state, rules, DECODE_QUEUE, i, -1, now)
            totals[_PAST_GATE] -= 1
            totals[pool] -= 1
            abandon(rings, lines, pool * classes + i, state.words)

        if freed >= 0:
            if totals[pool] > 0:
                j = _next_decode(state, rules, pool)
                serve(rings, lines, pool * classes + j)
                totals[pool] -= 1
                _change(state, rules, DECODE_QUEUE, j, -1, now)
                if freed == SOLO_DECODE:
                    _change(state, rules, SOLO_DECODE, j, 1, now)
                else:
                    _change(state, rules, MIXED_DECODE, j, 1, now)
            elif freed == SOLO_DECODE:
                totals[_IN_SOLO] -= 1
            else:
                totals[_IN_MIXED] -= 1
        # No event makes room for more than one admission.
        if (
            gate_opens
            and totals[_IN_PREFILL] < rules.mixed_gpus
            and totals[_PAST_GATE] < rules.admission_limit
        ):
            j = _next_class(state, rules)
            if j >= 0:
                _change(state, rules, PREFILL_QUEUE, j, -1, now)
                _change(state, rules, PREFILL, j, 1, now)
                totals[_IN_PREFILL] += 1
                totals[_PAST_GATE] += 1
                if rules.gate == FIRST_COME_GATE:
                    serve(rings, lines, 2 * classes + j)
    state.clock[0], state.clock[1] = now, mark
    state.progress[0], state.progress[1] = events, recorded
    return done
