"""Compiled parts of the fleet's kernel: what is measured, who waits, and which GPUs are free.

GPUs with a free slot stand in sets from which one is drawn in constant time; a request that waits
has a deadline, of which a stale entry may be left behind when its wait ends otherwise.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np
from numba import njit

from ...theory.policies import Gate, Layout, Routing
from ..compilation import WITHOUT_ALLOCATION
from .waiting_kernel import NOBODY, join_line, leave_line, push_deadline

compiled = njit(**WITHOUT_ALLOCATION)

GATES, ROUTINGS, LAYOUTS = tuple(Gate), tuple(Routing), tuple(Layout)
OCCUPANCY, FIRST_COME = GATES.index(Gate.OCCUPANCY), GATES.index(Gate.FIRST_COME)
POOLS = ROUTINGS.index(Routing.POOLS)
WEIGHTED_POOLS = ROUTINGS.index(Routing.WEIGHTED_POOLS)
IMMEDIATE = ROUTINGS.index(Routing.IMMEDIATE)
PREFILL_FIRST = ROUTINGS.index(Routing.PREFILL_FIRST)
SHARED = LAYOUTS.index(Layout.SHARED)
DISAGGREGATED = LAYOUTS.index(Layout.DISAGGREGATED)

# Sets of GPUs: with a free decode slot, solo or mixed, and those that can begin a prefill. The
# first two also number the decode buffers of policies that have two.
SOLO, MIXED, TAKES_PREFILL = 0, 1, 2
# Running numbers.
EVENT_COUNT, ITERATION_COUNT, STAMP, DEADLINE_COUNT, PAST_GATE = 0, 1, 2, 3, 4

Tally = namedtuple("Tally", "counts areas since completed log numbers")
"""What is measured."""

Queues = namedtuple("Queues", "lines following preceding line stamp due patience deadlines whose")
"""Who waits. ``line``, ``stamp``, ``due`` and ``patience`` (left) are per request."""

FreeGpus = namedtuple("FreeGpus", "members place size")
"""The three sets: members, the place of each GPU (-1: not in the set), sizes."""


@compiled
def change(tally, stage, i, by, now):
    """Change a count, and settle its integral first."""
    tally.areas[stage, i] += tally.counts[stage, i] * (now - tally.since[stage, i])
    tally.since[stage, i] = now
    tally.counts[stage, i] += by


@compiled
def record(tally, kind, i, now):
    """Count an event, and write it to the log."""
    tally.completed[kind, i] += 1
    event = tally.numbers[EVENT_COUNT]
    tally.numbers[EVENT_COUNT] = event + 1
    if event < len(tally.log):
        tally.log[event, 0] = kind * tally.counts.shape[1] + i
        tally.log[event, 1] = now


@compiled
def start_measuring(tally, warmup):
    """Forget what was measured so far."""
    for i in range(tally.counts.shape[1]):
        for stage in range(tally.counts.shape[0]):
            tally.since[stage, i] = warmup
            tally.areas[stage, i] = 0.0
        for kind in range(tally.completed.shape[0]):
            tally.completed[kind, i] = 0


@compiled
def put(free, which, gpu, belongs):
    """Put a GPU into a set or take it out."""
    place = free.place[which, gpu]
    if belongs and place < 0:
        free.members[which, free.size[which]] = gpu
        free.place[which, gpu] = free.size[which]
        free.size[which] += 1
    elif not belongs and place >= 0:
        free.size[which] -= 1
        moved = free.members[which, free.size[which]]
        free.members[which, place] = moved
        free.place[which, moved] = place
        free.place[which, gpu] = -1


@compiled
def sort_in(rules, gpus, free, gpu):
    """Put a GPU into the sets to which it belongs now."""
    idle = gpus.prefilling[gpu] == NOBODY
    mixed = gpu < rules.mixed_gpus
    if rules.layout == SHARED:
        has_slot = gpus.decodes[gpu] + (0 if idle else 1) < rules.batch
        put(free, TAKES_PREFILL, gpu, idle and has_slot)
        mixed = not idle
    else:
        slots = rules.batch
        if mixed:
            slots = 0 if rules.layout == DISAGGREGATED else rules.batch - 1
            put(free, TAKES_PREFILL, gpu, idle)
        has_slot = gpus.decodes[gpu] < slots
    if rules.routing != IMMEDIATE:
        put(free, SOLO, gpu, has_slot and not mixed)
        put(free, MIXED, gpu, has_slot and mixed)


@compiled
def draw(rules, gpus, free, which, tokens, generator):
    """A GPU of the set, with room for so many tokens; -1 if there is none."""
    size = free.size[which]
    if size == 0:
        return -1
    place = int(generator.random() * size)
    for k in range(size):
        gpu = free.members[which, (place + k) % size]
        if gpus.held[gpu] + tokens <= rules.memory:
            return gpu
    return -1


@compiled
def wait(queues, tally, line, request, now):
    """Let a request join a line."""
    join_line(queues.lines, queues.following, queues.preceding, line, request)
    queues.line[request] = line
    queues.stamp[request] = tally.numbers[STAMP]
    tally.numbers[STAMP] += 1
    queues.due[request] = now + queues.patience[request]


@compiled
def lose_patience_later(queues, tally, request):
    """Note the deadline of a request, if it still waits and ever leaves."""
    if queues.line[request] != NOBODY and queues.due[request] < np.inf:
        size = tally.numbers[DEADLINE_COUNT]
        push_deadline(queues.deadlines, queues.whose, size, queues.due[request], request)
        tally.numbers[DEADLINE_COUNT] = size + 1


@compiled
def leave(queues, request, now):
    """Take a request out of its line; what is left of its patience is kept."""
    line = queues.line[request]
    leave_line(queues.lines, queues.following, queues.preceding, line, request)
    queues.line[request] = NOBODY
    queues.patience[request] = queues.due[request] - now
