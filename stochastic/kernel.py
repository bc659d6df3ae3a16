"""The fast simulator: the chain of `reference`, event for event, compiled by numba.

What makes it fast: one flat state vector, event rates recomputed only where a count changed (each
from its count, so that nothing drifts), integrals updated only when their count changes, waiting
lines as rings in one array. The cost of an event does not depend on the number of GPUs.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .chain import (
    ARRIVAL,
    COUNTS,
    DECODE_ABANDONMENT,
    DECODE_QUEUE,
    EVENTS,
    MAX_GAPS,
    MIXED_COMPLETION,
    MIXED_DECODE,
    PREFILL,
    PREFILL_ABANDONMENT,
    PREFILL_COMPLETION,
    PREFILL_QUEUE,
    SOLO_COMPLETION,
    SOLO_DECODE,
    Chain,
    Run,
)

_FIRST_CAPACITY = 64
_GAP = -1
_NOBODY = np.iinfo(np.int64).max
_KINDS = len(EVENTS)
# Columns of the table of waiting lines; a line occupies the ring places head, ..., tail - 1.
_HEAD, _TAIL, _REQUESTS = 0, 1, 2
# Entries of the vector of slot totals.
_IN_PREFILL, _IN_SOLO, _IN_MIXED, _IN_BUFFER = 0, 1, 2, 3


def run_kernel(
    chain: Chain,
    generator: np.random.Generator,
    warmup: float,
    horizon: float,
    grid: NDArray[np.float64],
    logged: int,
) -> Run:
    """One replication from the empty system; see `Run` for what it returns."""
    policy = chain.policy
    targets = np.array([float(x) for x in policy.plan.prefill])
    areas = np.zeros((len(COUNTS), chain.classes))
    completed = np.zeros((len(EVENTS), chain.classes), dtype=np.int64)
    grid_counts = np.zeros((len(grid), len(COUNTS), chain.classes), dtype=np.int64)
    log = np.zeros((logged, 2))
    events = _run(
        generator,
        np.ascontiguousarray(chain.unit_rates),
        policy.gated,
        tuple(policy.admits(i) for i in range(chain.classes)),
        targets,
        np.array([chain.gpus * float(q) for q in policy.plan.prefill_queue]),
        np.array([chain.mixed_gpus, chain.solo_slots, chain.mixed_slots]),
        warmup,
        horizon,
        grid,
        areas,
        completed,
        grid_counts,
        log,
    )
    return Run(areas, completed, grid_counts, events, log[: min(events, logged)])


@njit(inline="always")
def _advance(rings, lines, line):
    """Drop the gaps in front of a line."""
    mask = rings.shape[1] - 1
    head, tail = lines[line, _HEAD], lines[line, _TAIL]
    while head < tail and rings[line, head & mask] == _GAP:
        head += 1
    lines[line, _HEAD] = head


@njit(inline="always")
def _oldest(rings, lines, line):
    """Stamp of the longest-waiting request of a line."""
    if lines[line, _REQUESTS] == 0:
        return _NOBODY
    return rings[line, lines[line, _HEAD] & (rings.shape[1] - 1)]


@njit(inline="always")
def _serve(rings, lines, line):
    lines[line, _HEAD] += 1
    lines[line, _REQUESTS] -= 1
    _advance(rings, lines, line)


@njit
def _grown(rings, lines):
    """The same lines in rings of twice the capacity."""
    capacity = rings.shape[1]
    larger = np.empty((rings.shape[0], 2 * capacity), dtype=np.int64)
    for line in range(rings.shape[0]):
        for place in range(lines[line, _HEAD], lines[line, _TAIL]):
            larger[line, place & (2 * capacity - 1)] = rings[line, place & (capacity - 1)]
    return larger


@njit(inline="always")
def _is_full(rings, lines, line):
    return lines[line, _TAIL] - lines[line, _HEAD] == rings.shape[1]


@njit(inline="always")
def _join(rings, lines, line, stamp):
    """Append a request to a line that is not full."""
    rings[line, lines[line, _TAIL] & (rings.shape[1] - 1)] = stamp
    lines[line, _TAIL] += 1
    lines[line, _REQUESTS] += 1


@njit
def _abandon(rings, lines, line, generator):
    """Remove a uniformly chosen request, and close the line up if gaps prevail."""
    mask = rings.shape[1] - 1
    head, tail = lines[line, _HEAD], lines[line, _TAIL]
    while True:
        place = head + int(generator.random() * (tail - head))
        if rings[line, place & mask] != _GAP:
            break
    rings[line, place & mask] = _GAP
    lines[line, _REQUESTS] -= 1
    _advance(rings, lines, line)
    head = lines[line, _HEAD]
    if tail - head > 2 * lines[line, _REQUESTS] + MAX_GAPS:
        free = head
        for place in range(head, tail):
            stamp = rings[line, place & mask]
            if stamp != _GAP:
                rings[line, free & mask] = stamp
                free += 1
        lines[line, _TAIL] = free


@njit(inline="always")
def _change(counts, areas, since, rates, unit, stage, i, by, now):
    """Change a count: settle its integral first, then refresh the rate of what it drives."""
    areas[stage, i] += counts[stage, i] * (now - since[stage, i])
    since[stage, i] = now
    counts[stage, i] += by
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
    rates[kind, i] = unit[kind, i] * counts[stage, i]


@njit(inline="always")
def _next_class(gated, admitted, counts, targets, queue_targets, rings, lines):
    """The class that an idle prefill slot admits, -1 if none: see `policies`."""
    classes = len(admitted)
    chosen = -1
    if gated:
        best, best_queue = np.inf, np.inf
        for i in range(classes):
            if counts[PREFILL_QUEUE, i] > 0 and admitted[i]:
                occupancy = counts[PREFILL, i] / targets[i]
                queue = -(counts[PREFILL_QUEUE, i] - queue_targets[i])
                if occupancy < best or (occupancy == best and queue < best_queue):
                    chosen, best, best_queue = i, occupancy, queue
    else:
        first = _NOBODY
        for i in range(classes):
            stamp = _oldest(rings, lines, classes + i)
            if stamp < first:
                chosen, first = i, stamp
    return chosen


@njit(nogil=True, cache=True, error_model="numpy")
def _run(
    generator,
    unit,
    gated,
    admitted,
    targets,
    queue_targets,
    slots,
    warmup,
    horizon,
    grid,
    areas,
    completed,
    grid_counts,
    log,
):
    # The length of a tuple is known when numba compiles: loops over classes are unrolled.
    classes = len(admitted)
    kinds = _KINDS
    mixed_gpus, solo_slots, mixed_slots = slots
    counts = np.zeros((areas.shape[0], classes), dtype=np.int64)
    since = np.zeros(areas.shape)
    rates = np.zeros((kinds, classes))
    rates[ARRIVAL] = unit[ARRIVAL]
    flat = rates.reshape(kinds * classes)
    busy = np.zeros(4, dtype=np.int64)
    # Lines 0 ... I-1 make up the decode buffer, I ... 2I-1 the prefill queues of an ungated policy.
    rings = np.full((2 * classes, _FIRST_CAPACITY), _GAP, dtype=np.int64)
    lines = np.zeros((2 * classes, 3), dtype=np.int64)
    now = 0.0
    events = 0
    recorded = 0
    mark = 0.0  # the next time at which something other than an event is due
    while True:
        total = 0.0
        for kind in range(kinds):
            for j in range(classes):
                total += rates[kind, j]
        following = now + generator.standard_exponential() / total
        if following > mark:
            while recorded < len(grid) and grid[recorded] < following:
                grid_counts[recorded] = counts
                recorded += 1
            if now <= warmup < following:
                since[:] = warmup
                areas[:] = 0.0
                completed[:] = 0
            if following > horizon:
                break
            mark = horizon
            if recorded < len(grid):
                mark = min(mark, grid[recorded])
            if following <= warmup:
                mark = min(mark, warmup)
        now = following
        level = generator.random() * total
        event = 0
        last = kinds * classes - 1
        while level >= flat[event] and event < last:
            level -= flat[event]
            event += 1
        while flat[event] == 0.0:
            event -= 1
        kind = event // classes
        i = event - kind * classes
        if events < len(log):
            log[events, 0] = kind * classes + i
            log[events, 1] = now
        events += 1
        completed[kind, i] += 1

        gate_opens = False
        freed = -1
        if kind == ARRIVAL:
            _change(counts, areas, since, rates, unit, PREFILL_QUEUE, i, 1, now)
            if not gated:
                if _is_full(rings, lines, classes + i):
                    rings = _grown(rings, lines)
                _join(rings, lines, classes + i, events)
            gate_opens = True
        elif kind == PREFILL_COMPLETION:
            _change(counts, areas, since, rates, unit, PREFILL, i, -1, now)
            busy[_IN_PREFILL] -= 1
            if busy[_IN_SOLO] < solo_slots:
                _change(counts, areas, since, rates, unit, SOLO_DECODE, i, 1, now)
                busy[_IN_SOLO] += 1
            elif busy[_IN_MIXED] < mixed_slots:
                _change(counts, areas, since, rates, unit, MIXED_DECODE, i, 1, now)
                busy[_IN_MIXED] += 1
            else:
                _change(counts, areas, since, rates, unit, DECODE_QUEUE, i, 1, now)
                busy[_IN_BUFFER] += 1
                if _is_full(rings, lines, i):
                    rings = _grown(rings, lines)
                _join(rings, lines, i, events)
            gate_opens = True
        elif kind == SOLO_COMPLETION:
            _change(counts, areas, since, rates, unit, SOLO_DECODE, i, -1, now)
            freed = SOLO_DECODE
        elif kind == MIXED_COMPLETION:
            _change(counts, areas, since, rates, unit, MIXED_DECODE, i, -1, now)
            freed = MIXED_DECODE
        elif kind == PREFILL_ABANDONMENT:
            _change(counts, areas, since, rates, unit, PREFILL_QUEUE, i, -1, now)
            if not gated:
                _abandon(rings, lines, classes + i, generator)
        else:
            _change(counts, areas, since, rates, unit, DECODE_QUEUE, i, -1, now)
            busy[_IN_BUFFER] -= 1
            _abandon(rings, lines, i, generator)

        if gate_opens and busy[_IN_PREFILL] < mixed_gpus:
            j = _next_class(gated, admitted, counts, targets, queue_targets, rings, lines)
            if j >= 0:
                _change(counts, areas, since, rates, unit, PREFILL_QUEUE, j, -1, now)
                _change(counts, areas, since, rates, unit, PREFILL, j, 1, now)
                busy[_IN_PREFILL] += 1
                if not gated:
                    _serve(rings, lines, classes + j)
        if freed >= 0:
            if busy[_IN_BUFFER] > 0:
                j = 0
                for k in range(1, classes):
                    if _oldest(rings, lines, k) < _oldest(rings, lines, j):
                        j = k
                _serve(rings, lines, j)
                busy[_IN_BUFFER] -= 1
                _change(counts, areas, since, rates, unit, DECODE_QUEUE, j, -1, now)
                _change(counts, areas, since, rates, unit, freed, j, 1, now)
            elif freed == SOLO_DECODE:
                busy[_IN_SOLO] -= 1
            else:
                busy[_IN_MIXED] -= 1
    for stage in range(counts.shape[0]):
        for i in range(classes):
            areas[stage, i] += counts[stage, i] * (horizon - since[stage, i])
    return events
