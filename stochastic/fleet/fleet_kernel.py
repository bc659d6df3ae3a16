"""The fast fleet: `reference`, event for event, compiled by numba.

What makes it fast: a GPU is touched only when one of its own requests comes or goes
(`gpu_kernel`), the next event of every GPU stands in a tree of minima, patience in a heap whose
stale entries are dropped when they surface (`waiting_kernel`), and GPUs with a free slot in sets
from which one is drawn in constant time.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...theory.policies import Gate, Layout, Routing
from ..chain import (
    ARRIVAL,
    COUNTS,
    DECODE_ABANDONMENT,
    DECODE_QUEUE,
    EVENTS,
    MIXED_COMPLETION,
    MIXED_DECODE,
    PREFILL,
    PREFILL_ABANDONMENT,
    PREFILL_COMPLETION,
    PREFILL_QUEUE,
    SOLO_COMPLETION,
    SOLO_DECODE,
)
from ..compilation import WITHOUT_ALLOCATION
from .gpu_kernel import (
    NOTHING,
    PREFILL_ENDS,
    Gpus,
    Rules,
    add_decode,
    advance_gpu,
    close_event,
    decode_stage,
    remove_decode,
    start_prefill,
)
from .model import Fleet, FleetRun
from .requests import Requests
from .waiting_kernel import (
    FIRST,
    NOBODY,
    WAITING,
    earliest,
    join_line,
    leave_line,
    no_times,
    pop_deadline,
    push_deadline,
)

compiled = njit(**WITHOUT_ALLOCATION)

_GATES, _ROUTINGS, _LAYOUTS = tuple(Gate), tuple(Routing), tuple(Layout)
_OCCUPANCY, _FIRST_COME = _GATES.index(Gate.OCCUPANCY), _GATES.index(Gate.FIRST_COME)
_POOLS = _ROUTINGS.index(Routing.POOLS)
_WEIGHTED_POOLS = _ROUTINGS.index(Routing.WEIGHTED_POOLS)
_IMMEDIATE = _ROUTINGS.index(Routing.IMMEDIATE)
_PREFILL_FIRST = _ROUTINGS.index(Routing.PREFILL_FIRST)
_SHARED = _LAYOUTS.index(Layout.SHARED)
_DISAGGREGATED = _LAYOUTS.index(Layout.DISAGGREGATED)

# Sets of GPUs: with a free decode slot, solo or mixed, and those that can begin a prefill. The
# first two also number the decode buffers of policies that have two.
_SOLO, _MIXED, _TAKES_PREFILL = 0, 1, 2
# Running numbers.
_EVENTS, _ITERATIONS, _STAMP, _DEADLINES, _PAST_GATE = 0, 1, 2, 3, 4

_Tally = namedtuple("_Tally", "counts areas since completed log numbers")
"""What is measured."""

_Queues = namedtuple("_Queues", "lines following preceding line stamp due patience deadlines whose")
"""Who waits. ``line``, ``stamp``, ``due`` and ``patience`` (left) are per request."""

_FreeGpus = namedtuple("_FreeGpus", "members place size")
"""The three sets: members, the place of each GPU (-1: not in the set), sizes."""


def run_fleet(
    fleet: Fleet,
    requests: Requests,
    generator: np.random.Generator,
    warmup: float,
    horizon: float,
    grid: NDArray[np.float64],
    logged: int,
) -> FleetRun:
    """One run from the empty system; see `FleetRun` for what it returns."""
    areas = np.zeros((len(COUNTS), fleet.classes))
    completed = np.zeros((len(EVENTS), fleet.classes), dtype=np.int64)
    grid_counts = np.zeros((len(grid), len(COUNTS), fleet.classes), dtype=np.int64)
    log = np.zeros((logged, 2))
    rules = _rules(fleet)
    events, iterations = _run(
        generator,
        rules,
        # One type of array, lest numba compile anew.
        np.ascontiguousarray(requests.arrival, dtype=np.float64),
        np.ascontiguousarray(requests.class_index, dtype=np.int64),
        np.ascontiguousarray(requests.prompt_tokens, dtype=np.float64),
        np.ascontiguousarray(requests.output_tokens, dtype=np.float64),
        *_empty_state(rules, requests.patience, areas, completed, log),
        float(warmup),
        float(horizon),
        grid,
        grid_counts,
    )
    return FleetRun(areas, completed, grid_counts, events, log[: min(events, logged)], iterations)


def _rules(fleet: Fleet) -> Rules:
    policy, physics, gpu = fleet.policy, fleet.physics, fleet.network.gpu
    classes = range(fleet.classes)
    pools = policy.routing in (Routing.POOLS, Routing.WEIGHTED_POOLS)
    mixed, solo = policy.pool_weights() if pools else ((0.0,) * fleet.classes,) * 2
    in_turn = policy.buffer_order()
    return Rules(
        gate=_GATES.index(policy.gate),
        routing=_ROUTINGS.index(policy.routing),
        layout=_LAYOUTS.index(policy.layout),
        stalls=policy.stalls_decodes,
        whole=physics.granularity == "iterations",
        dedicated=physics.dedicated_speed,
        effective=physics.effective_tokens,
        classes=fleet.classes,
        gpus=fleet.gpus,
        mixed_gpus=fleet.mixed_gpus,
        batch=int(gpu.batch),
        chunk=float(gpu.chunk),
        alpha=float(gpu.iteration_time.alpha),
        beta=float(gpu.iteration_time.beta),
        gamma=float(gpu.iteration_time.gamma),
        mixed_seconds=float(fleet.mixed_seconds),
        memory=np.inf if physics.memory_tokens is None else float(physics.memory_tokens),
        admission_limit=float(policy.admission_limit(fleet.gpus)),
        admitted=np.array([policy.admits(i) for i in classes]),
        targets=np.array([float(x) for x in policy.plan.prefill]),
        queue_targets=np.array([fleet.gpus * float(q) for q in policy.plan.prefill_queue]),
        class_rank=_ranks(policy.class_order() if policy.gate is Gate.PRIORITY else classes),
        buffer_rank=_ranks(in_turn) if in_turn else np.zeros(fleet.classes, dtype=np.int64),
        solo_probability=np.array([policy.solo_probability(i) if pools else 0.0 for i in classes]),
        pool_weights=np.array([solo, mixed], dtype=np.float64),
    )


def _ranks(order: Sequence[int]) -> NDArray[np.int64]:
    return np.argsort(np.array(order)).astype(np.int64)


@compiled
def _change(tally, stage, i, by, now):
    """Change a count, and settle its integral first."""
    tally.areas[stage, i] += tally.counts[stage, i] * (now - tally.since[stage, i])
    tally.since[stage, i] = now
    tally.counts[stage, i] += by


@compiled
def _record(tally, kind, i, now):
    """Count an event, and write it to the log."""
    tally.completed[kind, i] += 1
    event = tally.numbers[_EVENTS]
    tally.numbers[_EVENTS] = event + 1
    if event < len(tally.log):
        tally.log[event, 0] = kind * tally.counts.shape[1] + i
        tally.log[event, 1] = now


@compiled
def _start_measuring(tally, warmup):
    """Forget what was measured so far."""
    for i in range(tally.counts.shape[1]):
        for stage in range(tally.counts.shape[0]):
            tally.since[stage, i] = warmup
            tally.areas[stage, i] = 0.0
        for kind in range(tally.completed.shape[0]):
            tally.completed[kind, i] = 0


@compiled
def _put(free, which, gpu, belongs):
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
def _sort_in(rules, gpus, free, gpu):
    """Put a GPU into the sets to which it belongs now."""
    idle = gpus.prefilling[gpu] == NOBODY
    mixed = gpu < rules.mixed_gpus
    if rules.layout == _SHARED:
        has_slot = gpus.decodes[gpu] + (0 if idle else 1) < rules.batch
        _put(free, _TAKES_PREFILL, gpu, idle and has_slot)
        mixed = not idle
    else:
        slots = rules.batch
        if mixed:
            slots = 0 if rules.layout == _DISAGGREGATED else rules.batch - 1
            _put(free, _TAKES_PREFILL, gpu, idle)
        has_slot = gpus.decodes[gpu] < slots
    if rules.routing != _IMMEDIATE:
        _put(free, _SOLO, gpu, has_slot and not mixed)
        _put(free, _MIXED, gpu, has_slot and mixed)


@compiled
def _draw(rules, gpus, free, which, tokens, generator):
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
def _wait(queues, tally, line, request, now):
    """Let a request join a line."""
    join_line(queues.lines, queues.following, queues.preceding, line, request)
    queues.line[request] = line
    queues.stamp[request] = tally.numbers[_STAMP]
    tally.numbers[_STAMP] += 1
    queues.due[request] = now + queues.patience[request]


@compiled
def _lose_patience_later(queues, tally, request):
    """Note the deadline of a request, if it still waits and ever leaves."""
    if queues.line[request] != NOBODY and queues.due[request] < np.inf:
        size = tally.numbers[_DEADLINES]
        push_deadline(queues.deadlines, queues.whose, size, queues.due[request], request)
        tally.numbers[_DEADLINES] = size + 1


@compiled
def _leave(queues, request, now):
    """Take a request out of its line; what is left of its patience is kept."""
    line = queues.line[request]
    leave_line(queues.lines, queues.following, queues.preceding, line, request)
    queues.line[request] = NOBODY
    queues.patience[request] = queues.due[request] - now


@compiled
def _next_class(rules, queues, counts):
    """The class that an idle prefill slot admits, -1 if none: see `kurtz.theory.policies`."""
    chosen = -1
    best, best_tie = np.inf, np.inf
    for i in range(rules.classes):
        if queues.lines[i, WAITING] == 0 or not rules.admitted[i]:
            continue
        tie = 0.0
        if rules.gate == _OCCUPANCY:
            merit = counts[PREFILL, i] / rules.targets[i]
            tie = -(counts[PREFILL_QUEUE, i] - rules.queue_targets[i])
        elif rules.gate == _FIRST_COME:
            merit = float(queues.stamp[queues.lines[i, FIRST]])
        else:
            merit = float(rules.class_rank[i])
        if merit < best or (merit == best and tie < best_tie):
            chosen, best, best_tie = i, merit, tie
    return chosen


@compiled
def _next_in_buffer(rules, queues, buffer, generator):
    """The request that a free slot takes from a decode buffer, NOBODY if it is empty."""
    first = rules.classes * (1 + buffer)
    if rules.routing == _WEIGHTED_POOLS:
        total = 0.0
        for i in range(rules.classes):
            if queues.lines[first + i, WAITING] > 0:
                total += rules.pool_weights[buffer, i]
        if total > 0.0:
            level = generator.random() * total
            chosen = NOBODY
            for i in range(rules.classes):
                weight = rules.pool_weights[buffer, i]
                if queues.lines[first + i, WAITING] > 0 and weight > 0.0:
                    chosen = queues.lines[first + i, FIRST]
                    if level < weight:
                        break
                    level -= weight
            return chosen
    chosen, best_rank = NOBODY, rules.classes
    for i in range(rules.classes):
        head = queues.lines[first + i, FIRST]
        if head != NOBODY:
            rank = rules.buffer_rank[i]
            if rank < best_rank or (
                rank == best_rank and queues.stamp[head] < queues.stamp[chosen]
            ):
                chosen, best_rank = head, rank
    return chosen


@compiled
def _open_gate(rules, tally, queues, gpus, free, prompts, outputs, now, generator):
    """Fill idle prefill slots as long as the gate admits anybody."""
    while free.size[_TAKES_PREFILL] > 0 and tally.numbers[_PAST_GATE] < rules.admission_limit:
        i = _next_class(rules, queues, tally.counts)
        if i < 0:
            return
        request = queues.lines[i, FIRST]
        tokens = prompts[request]
        if rules.routing == _IMMEDIATE:
            tokens += outputs[request]
        gpu = _draw(rules, gpus, free, _TAKES_PREFILL, tokens, generator)
        if gpu < 0:
            return
        _leave(queues, request, now)
        tally.numbers[_PAST_GATE] += 1
        _change(tally, PREFILL_QUEUE, i, -1, now)
        _change(tally, PREFILL, i, 1, now)
        _relabel(rules, tally, gpus, gpu, SOLO_DECODE, MIXED_DECODE, now)
        gpus.held[gpu] += tokens
        start_prefill(rules, gpus, gpu, request, prompts[request], now)
        _sort_in(rules, gpus, free, gpu)


@compiled
def _relabel(rules, tally, gpus, gpu, old, new, now):
    """Count the decodes of a GPU, whose speed changes, in another stage."""
    if rules.dedicated or gpus.decodes[gpu] == 0:
        return
    for j in range(rules.classes):
        if gpus.by_class[gpu, j] > 0:
            _change(tally, old, j, -gpus.by_class[gpu, j], now)
            _change(tally, new, j, gpus.by_class[gpu, j], now)


@compiled
def _serve_buffers(rules, tally, queues, gpus, free, class_index, prompts, outputs, now, generator):
    """Fill free decode slots from the buffers."""
    if rules.routing == _IMMEDIATE:
        return
    apart = rules.routing == _POOLS or rules.routing == _WEIGHTED_POOLS
    for buffer in range(2 if apart else 1):
        while True:
            slots = free.size[buffer] if apart else free.size[_SOLO] + free.size[_MIXED]
            if slots == 0:
                break
            request = _next_in_buffer(rules, queues, buffer, generator)
            if request == NOBODY:
                break
            tokens = prompts[request] + outputs[request]
            gpu = _draw(rules, gpus, free, buffer, tokens, generator)
            if gpu < 0 and not apart:
                gpu = _draw(rules, gpus, free, _MIXED, tokens, generator)
            if gpu < 0:
                break
            i = class_index[request]
            _leave(queues, request, now)
            _change(tally, DECODE_QUEUE, i, -1, now)
            _change(tally, decode_stage(rules, gpus, gpu), i, 1, now)
            gpus.held[gpu] += tokens
            add_decode(rules, gpus, gpu, request, i, outputs[request], now)
            _sort_in(rules, gpus, free, gpu)


@compiled
def _fill(rules, tally, queues, gpus, free, class_index, prompts, outputs, now, generator):
    """Put whatever can start into free slots, in the order of the policy."""
    if rules.routing == _PREFILL_FIRST:
        _open_gate(rules, tally, queues, gpus, free, prompts, outputs, now, generator)
        _serve_buffers(
            rules, tally, queues, gpus, free, class_index, prompts, outputs, now, generator
        )
    else:
        _serve_buffers(
            rules, tally, queues, gpus, free, class_index, prompts, outputs, now, generator
        )
        _open_gate(rules, tally, queues, gpus, free, prompts, outputs, now, generator)


@compiled
def _complete(rules, tally, queues, gpus, free, class_index, prompts, outputs, gpu, now, generator):
    """The next event of a GPU. Gives the request that waits for decode since, or NOBODY."""
    what = gpus.planned[gpu]
    tally.numbers[_ITERATIONS] += advance_gpu(rules, gpus, gpu, now)
    slot = gpus.decodes[gpu] - 1
    while slot >= 0:
        if slot == what or (rules.whole and gpus.ends[gpu, slot] <= gpus.clock[gpu]):
            stage = decode_stage(rules, gpus, gpu)
            i = class_index[gpus.owner[gpu, slot]]
            request = remove_decode(gpus, gpu, slot, i)
            gpus.held[gpu] -= prompts[request] + outputs[request]
            tally.numbers[_PAST_GATE] -= 1
            _change(tally, stage, i, -1, now)
            kind = MIXED_COMPLETION if stage == MIXED_DECODE else SOLO_COMPLETION
            _record(tally, kind, i, now)
            if not rules.whole:
                break
        slot -= 1
    waits = NOBODY
    if what == PREFILL_ENDS:
        request = gpus.prefilling[gpu]
        i = class_index[request]
        gpus.prefilling[gpu] = NOBODY
        _change(tally, PREFILL, i, -1, now)
        _record(tally, PREFILL_COMPLETION, i, now)
        _relabel(rules, tally, gpus, gpu, MIXED_DECODE, SOLO_DECODE, now)
        if rules.routing != _IMMEDIATE:
            waits = request
            gpus.held[gpu] -= prompts[request]
            buffer = _SOLO
            apart = rules.routing == _POOLS or rules.routing == _WEIGHTED_POOLS
            if apart and generator.random() > rules.solo_probability[i]:
                buffer = _MIXED
            _wait(queues, tally, rules.classes * (1 + buffer) + i, request, now)
            _change(tally, DECODE_QUEUE, i, 1, now)
        close_event(rules, gpus, gpu, now)
        if rules.routing == _IMMEDIATE:
            _change(tally, decode_stage(rules, gpus, gpu), i, 1, now)
            add_decode(rules, gpus, gpu, request, i, outputs[request], now)
    else:
        close_event(rules, gpus, gpu, now)
    _sort_in(rules, gpus, free, gpu)
    return waits


def _empty_state(
    rules: Rules,
    patience: NDArray[np.float64],
    areas: NDArray[np.float64],
    completed: NDArray[np.int64],
    log: NDArray[np.float64],
) -> tuple[_Tally, _Queues, Gpus, _FreeGpus]:
    """Arrays of an empty fleet: compiled code brings none of its own."""
    n = rules.gpus
    tally = _Tally(
        np.zeros(areas.shape, dtype=np.int64),
        areas,
        np.zeros(areas.shape),
        completed,
        log,
        np.zeros(5, dtype=np.int64),
    )
    lines = np.full((3 * rules.classes, 3), NOBODY, dtype=np.int64)
    lines[:, WAITING] = 0
    queues = _Queues(
        lines,
        np.empty(len(patience), dtype=np.int64),
        np.empty(len(patience), dtype=np.int64),
        np.full(len(patience), NOBODY, dtype=np.int64),
        np.empty(len(patience), dtype=np.int64),
        np.empty(len(patience)),
        np.array(patience, dtype=np.float64),  # used up here
        # A request waits at most twice: for prefill and for decode.
        np.empty(2 * len(patience)),
        np.empty(2 * len(patience), dtype=np.int64),
    )
    gpus = Gpus(
        no_times(n),
        np.zeros(n),
        np.zeros(n),
        np.zeros(n, dtype=np.int64),
        np.full((n, rules.batch), np.inf),
        np.full((n, rules.batch), NOBODY, dtype=np.int64),
        np.zeros((n, rules.classes), dtype=np.int64),
        np.full(n, NOBODY, dtype=np.int64),
        np.full(n, np.inf),
        np.zeros(n),
        np.zeros(n, dtype=np.bool_),
        np.zeros(n),
        np.full(n, np.inf),
        np.zeros(n),
        np.zeros(n),
        np.full(n, NOTHING, dtype=np.int64),
        np.zeros(n),
    )
    free = _FreeGpus(
        np.zeros((3, n), dtype=np.int64),
        np.full((3, n), -1, dtype=np.int64),
        np.zeros(3, dtype=np.int64),
    )
    return tally, queues, gpus, free


@njit(cache=True, **WITHOUT_ALLOCATION)
def _run(
    generator,
    rules,
    arrival,
    class_index,
    prompts,
    outputs,
    tally,
    queues,
    gpus,
    free,
    warmup,
    horizon,
    grid,
    grid_counts,
):
    requests, stages = len(arrival), tally.counts.shape[0]
    for gpu in range(rules.gpus):
        _sort_in(rules, gpus, free, gpu)
    arrived = 0
    recorded = 0
    now = 0.0
    while True:
        while tally.numbers[_DEADLINES] > 0:
            request = queues.whose[0]
            if queues.line[request] != NOBODY and queues.due[request] == queues.deadlines[0]:
                break
            pop_deadline(queues.deadlines, queues.whose, tally.numbers[_DEADLINES])
            tally.numbers[_DEADLINES] -= 1
        following = gpus.times[1]
        source = 0
        if tally.numbers[_DEADLINES] > 0 and queues.deadlines[0] < following:
            following, source = queues.deadlines[0], 1
        if arrived < requests and arrival[arrived] < following:
            following, source = arrival[arrived], 2
        while recorded < len(grid) and grid[recorded] < following:
            for stage in range(stages):
                for i in range(rules.classes):
                    grid_counts[recorded, stage, i] = tally.counts[stage, i]
            recorded += 1
        if now <= warmup < following:
            _start_measuring(tally, warmup)
        if following > horizon:
            break
        now = following
        waits = NOBODY
        if source == 0:
            gpu = earliest(gpus.times)
            waits = _complete(
                rules, tally, queues, gpus, free, class_index, prompts, outputs, gpu, now, generator
            )
        elif source == 1:
            request = queues.whose[0]
            i = class_index[request]
            in_prefill_queue = queues.line[request] < rules.classes
            _leave(queues, request, now)
            if in_prefill_queue:
                _change(tally, PREFILL_QUEUE, i, -1, now)
                _record(tally, PREFILL_ABANDONMENT, i, now)
            else:
                tally.numbers[_PAST_GATE] -= 1
                _change(tally, DECODE_QUEUE, i, -1, now)
                _record(tally, DECODE_ABANDONMENT, i, now)
        else:
            waits = arrived
            arrived += 1
            i = class_index[waits]
            _wait(queues, tally, i, waits, now)
            _change(tally, PREFILL_QUEUE, i, 1, now)
            _record(tally, ARRIVAL, i, now)
        _fill(rules, tally, queues, gpus, free, class_index, prompts, outputs, now, generator)
        if waits != NOBODY:
            _lose_patience_later(queues, tally, waits)
    for stage in range(stages):
        for i in range(rules.classes):
            tally.areas[stage, i] += tally.counts[stage, i] * (horizon - tally.since[stage, i])
    return tally.numbers[_EVENTS], tally.numbers[_ITERATIONS]
