"""The fast fleet: `reference`, event for event, compiled by numba.

What makes it fast: a GPU is touched only when one of its own requests comes or goes
(`gpu_kernel`), the next event of every GPU stands in a tree of minima, patience in a heap whose
stale entries are dropped when they surface (`waiting_kernel`), and GPUs with a free slot in sets
from which one is drawn in constant time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ...theory.policies import Gate, Routing
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
from .fleet_state_kernel import (
    DEADLINE_COUNT,
    EVENT_COUNT,
    FIRST_COME,
    GATES,
    IMMEDIATE,
    ITERATION_COUNT,
    LAYOUTS,
    MIXED,
    OCCUPANCY,
    PAST_GATE,
    POOLS,
    PREFILL_FIRST,
    ROUTINGS,
    SOLO,
    TAKES_PREFILL,
    WEIGHTED_POOLS,
    FreeGpus,
    Queues,
    Tally,
    change,
    compiled,
    draw,
    leave,
    lose_patience_later,
    record,
    sort_in,
    start_measuring,
    wait,
)
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
    no_times,
    pop_deadline,
)


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
        gate=GATES.index(policy.gate),
        routing=ROUTINGS.index(policy.routing),
        layout=LAYOUTS.index(policy.layout),
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
def _next_class(rules, queues, counts):
    """The class that an idle prefill slot admits, -1 if none: see `kurtz.theory.policies`."""
    chosen = -1
    best, best_tie = np.inf, np.inf
    for i in range(rules.classes):
        if queues.lines[i, WAITING] == 0 or not rules.admitted[i]:
            continue
        tie = 0.0
        if rules.gate == OCCUPANCY:
            merit = counts[PREFILL, i] / rules.targets[i]
            tie = -(counts[PREFILL_QUEUE, i] - rules.queue_targets[i])
        elif rules.gate == FIRST_COME:
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
    if rules.routing == WEIGHTED_POOLS:
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
    while free.size[TAKES_PREFILL] > 0 and tally.numbers[PAST_GATE] < rules.admission_limit:
        i = _next_class(rules, queues, tally.counts)
        if i < 0:
            return
        request = queues.lines[i, FIRST]
        tokens = prompts[request]
        if rules.routing == IMMEDIATE:
            tokens += outputs[request]
        gpu = draw(rules, gpus, free, TAKES_PREFILL, tokens, generator)
        if gpu < 0:
            return
        leave(queues, request, now)
        tally.numbers[PAST_GATE] += 1
        change(tally, PREFILL_QUEUE, i, -1, now)
        change(tally, PREFILL, i, 1, now)
        _relabel(rules, tally, gpus, gpu, SOLO_DECODE, MIXED_DECODE, now)
        gpus.held[gpu] += tokens
        start_prefill(rules, gpus, gpu, request, prompts[request], now)
        sort_in(rules, gpus, free, gpu)


@compiled
def _relabel(rules, tally, gpus, gpu, old, new, now):
    """Count the decodes of a GPU, whose speed changes, in another stage."""
    if rules.dedicated or gpus.decodes[gpu] == 0:
        return
    for j in range(rules.classes):
        if gpus.by_class[gpu, j] > 0:
            change(tally, old, j, -gpus.by_class[gpu, j], now)
            change(tally, new, j, gpus.by_class[gpu, j], now)


@compiled
def _serve_buffers(rules, tally, queues, gpus, free, class_index, prompts, outputs, now, generator):
    """Fill free decode slots from the buffers."""
    if rules.routing == IMMEDIATE:
        return
    apart = rules.routing == POOLS or rules.routing == WEIGHTED_POOLS
    for buffer in range(2 if apart else 1):
        while True:
            slots = free.size[buffer] if apart else free.size[SOLO] + free.size[MIXED]
            if slots == 0:
                break
            request = _next_in_buffer(rules, queues, buffer, generator)
            if request == NOBODY:
                break
            tokens = prompts[request] + outputs[request]
            gpu = draw(rules, gpus, free, buffer, tokens, generator)
            if gpu < 0 and not apart:
                gpu = draw(rules, gpus, free, MIXED, tokens, generator)
            if gpu < 0:
                break
            i = class_index[request]
            leave(queues, request, now)
            change(tally, DECODE_QUEUE, i, -1, now)
            change(tally, decode_stage(rules, gpus, gpu), i, 1, now)
            gpus.held[gpu] += tokens
            add_decode(rules, gpus, gpu, request, i, outputs[request], now)
            sort_in(rules, gpus, free, gpu)


@compiled
def _fill(rules, tally, queues, gpus, free, class_index, prompts, outputs, now, generator):
    """Put whatever can start into free slots, in the order of the policy."""
    if rules.routing == PREFILL_FIRST:
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
    tally.numbers[ITERATION_COUNT] += advance_gpu(rules, gpus, gpu, now)
    slot = gpus.decodes[gpu] - 1
    while slot >= 0:
        if slot == what or (rules.whole and gpus.ends[gpu, slot] <= gpus.clock[gpu]):
            stage = decode_stage(rules, gpus, gpu)
            i = class_index[gpus.owner[gpu, slot]]
            request = remove_decode(gpus, gpu, slot, i)
            gpus.held[gpu] -= prompts[request] + outputs[request]
            tally.numbers[PAST_GATE] -= 1
            change(tally, stage, i, -1, now)
            kind = MIXED_COMPLETION if stage == MIXED_DECODE else SOLO_COMPLETION
            record(tally, kind, i, now)
            if not rules.whole:
                break
        slot -= 1
    waits = NOBODY
    if what == PREFILL_ENDS:
        request = gpus.prefilling[gpu]
        i = class_index[request]
        gpus.prefilling[gpu] = NOBODY
        change(tally, PREFILL, i, -1, now)
        record(tally, PREFILL_COMPLETION, i, now)
        _relabel(rules, tally, gpus, gpu, MIXED_DECODE, SOLO_DECODE, now)
        if rules.routing != IMMEDIATE:
            waits = request
            gpus.held[gpu] -= prompts[request]
            buffer = SOLO
            apart = rules.routing == POOLS or rules.routing == WEIGHTED_POOLS
            if apart and generator.random() > rules.solo_probability[i]:
                buffer = MIXED
            wait(queues, tally, rules.classes * (1 + buffer) + i, request, now)
            change(tally, DECODE_QUEUE, i, 1, now)
        close_event(rules, gpus, gpu, now)
        if rules.routing == IMMEDIATE:
            change(tally, decode_stage(rules, gpus, gpu), i, 1, now)
            add_decode(rules, gpus, gpu, request, i, outputs[request], now)
    else:
        close_event(rules, gpus, gpu, now)
    sort_in(rules, gpus, free, gpu)
    return waits


def _empty_state(
    rules: Rules,
    patience: NDArray[np.float64],
    areas: NDArray[np.float64],
    completed: NDArray[np.int64],
    log: NDArray[np.float64],
) -> tuple[Tally, Queues, Gpus, FreeGpus]:
    """Arrays of an empty fleet: compiled code brings none of its own."""
    n = rules.gpus
    tally = Tally(
        np.zeros(areas.shape, dtype=np.int64),
        areas,
        np.zeros(areas.shape),
        completed,
        log,
        np.zeros(5, dtype=np.int64),
    )
    lines = np.full((3 * rules.classes, 3), NOBODY, dtype=np.int64)
    lines[:, WAITING] = 0
    queues = Queues(
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
    free = FreeGpus(
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
        sort_in(rules, gpus, free, gpu)
    arrived = 0
    recorded = 0
    now = 0.0
    while True:
        while tally.numbers[DEADLINE_COUNT] > 0:
            request = queues.whose[0]
            if queues.line[request] != NOBODY and queues.due[request] == queues.deadlines[0]:
                break
            pop_deadline(queues.deadlines, queues.whose, tally.numbers[DEADLINE_COUNT])
            tally.numbers[DEADLINE_COUNT] -= 1
        following = gpus.times[1]
        source = 0
        if tally.numbers[DEADLINE_COUNT] > 0 and queues.deadlines[0] < following:
            following, source = queues.deadlines[0], 1
        if arrived < requests and arrival[arrived] < following:
            following, source = arrival[arrived], 2
        while recorded < len(grid) and grid[recorded] < following:
            for stage in range(stages):
                for i in range(rules.classes):
                    grid_counts[recorded, stage, i] = tally.counts[stage, i]
            recorded += 1
        if now <= warmup < following:
            start_measuring(tally, warmup)
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
            leave(queues, request, now)
            if in_prefill_queue:
                change(tally, PREFILL_QUEUE, i, -1, now)
                record(tally, PREFILL_ABANDONMENT, i, now)
            else:
                tally.numbers[PAST_GATE] -= 1
                change(tally, DECODE_QUEUE, i, -1, now)
                record(tally, DECODE_ABANDONMENT, i, now)
        else:
            waits = arrived
            arrived += 1
            i = class_index[waits]
            wait(queues, tally, i, waits, now)
            change(tally, PREFILL_QUEUE, i, 1, now)
            record(tally, ARRIVAL, i, now)
        _fill(rules, tally, queues, gpus, free, class_index, prompts, outputs, now, generator)
        if waits != NOBODY:
            lose_patience_later(queues, tally, waits)
    for stage in range(stages):
        for i in range(rules.classes):
            tally.areas[stage, i] += tally.counts[stage, i] * (horizon - tally.since[stage, i])
    return tally.numbers[EVENT_COUNT], tally.numbers[ITERATION_COUNT]
