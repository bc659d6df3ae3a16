"""The readable fleet: one event at a time, in plain Python.

The kernel must reproduce it event for event on the same requests. Random numbers are drawn in this
order: one to choose a GPU whenever a request is placed (two if the solo GPUs have no room), one to
choose a pool when a prefill completes, one to choose a class where a pool serves by weights.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ...theory.policies import Routing
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
from .gpu import ContinuousGpu, Ending, IterationGpu, Request
from .model import Fleet, FleetRun
from .requests import Requests

_SOLO, _MIXED = 0, 1


class FreeGpus:
    """GPUs with a free slot; a leaver's place goes to the last of them."""

    def __init__(self) -> None:
        self.members: list[int] = []

    def put(self, gpu: int, belongs: bool) -> None:
        """Make the GPU a member, or not."""
        if belongs and gpu not in self.members:
            self.members.append(gpu)
        elif not belongs and gpu in self.members:
            place = self.members.index(gpu)
            last = self.members.pop()
            if place < len(self.members):
                self.members[place] = last


class ReferenceFleet:
    """State and events of the fleet."""

    def __init__(self, fleet: Fleet, requests: Requests, generator: np.random.Generator) -> None:
        self.fleet, self.policy, self.generator = fleet, fleet.policy, generator
        self.requests = [
            Request(k, int(i), float(p), float(d), float(patience))
            for k, (i, p, d, patience) in enumerate(
                zip(
                    requests.class_index,
                    requests.prompt_tokens,
                    requests.output_tokens,
                    requests.patience,
                    strict=True,
                )
            )
        ]
        self.arrivals = requests.arrival.tolist()
        self.arrived = 0
        make = ContinuousGpu if fleet.physics.granularity == "continuous" else IterationGpu
        self.gpus = [make(fleet, gpu) for gpu in range(fleet.gpus)]
        self.classes = range(fleet.classes)
        self.prefill_queues: list[list[Request]] = [[] for _ in self.classes]
        self.buffers: list[list[list[Request]]] = [[[] for _ in self.classes] for _ in range(2)]
        self.free = (FreeGpus(), FreeGpus())
        self.takes_prefill = FreeGpus()
        for number in range(fleet.gpus):
            self._sort_in(number)
        self.stamp = 0
        self.past_gate = 0
        self.counts = np.zeros((len(COUNTS), fleet.classes), dtype=np.int64)
        self.happened: list[tuple[int, int]] = []
        memory = fleet.physics.memory_tokens
        self.memory = math.inf if memory is None else memory

    def next_event(self) -> tuple[float, int, int]:
        """Time, source (0 a GPU, 1 lost patience, 2 an arrival) and number of the next event."""
        lines = (*self.prefill_queues, *self.buffers[_SOLO], *self.buffers[_MIXED])
        waiting = [request for line in lines for request in line]
        candidates = [(gpu.next_time(), 0, k) for k, gpu in enumerate(self.gpus)]
        candidates += [(r.due, 1, r.number) for r in waiting]
        if self.arrived < len(self.arrivals):
            candidates.append((self.arrivals[self.arrived], 2, self.arrived))
        return min(candidates)

    def happen(self, now: float, source: int, number: int) -> list[tuple[int, int]]:
        """Carry out an event with all that follows at once; gives (kind, class) of what ended."""
        self.happened = []
        if source == 0:
            self._reach(number, now)
        elif source == 1:
            self._abandon(self.requests[number])
        else:
            self._arrive(self.requests[number], now)
        if self.policy.routing is Routing.PREFILL_FIRST:
            self._open_gate(now)
            self._serve_buffers(now)
        else:
            self._serve_buffers(now)
            self._open_gate(now)
        return self.happened

    def _arrive(self, request: Request, now: float) -> None:
        self.arrived += 1
        self._wait(request, self.prefill_queues[request.class_index], now)
        self.counts[PREFILL_QUEUE, request.class_index] += 1
        self.happened.append((ARRIVAL, request.class_index))

    def _abandon(self, request: Request) -> None:
        i = request.class_index
        for pool in self.buffers:
            if request in pool[i]:
                pool[i].remove(request)
                self.past_gate -= 1
                self.counts[DECODE_QUEUE, i] -= 1
                self.happened.append((DECODE_ABANDONMENT, i))
                return
        self.prefill_queues[i].remove(request)
        self.counts[PREFILL_QUEUE, i] -= 1
        self.happened.append((PREFILL_ABANDONMENT, i))

    def _reach(self, number: int, now: float) -> None:
        """A GPU reaches its next event: decodes end, or its prefill, or a prefill joins."""
        gpu = self.gpus[number]
        stage = MIXED_DECODE if gpu.is_mixed else SOLO_DECODE
        kind = MIXED_COMPLETION if gpu.is_mixed else SOLO_COMPLETION
        ending: Ending = gpu.reach(now)
        for request in ending.decodes:
            gpu.held -= request.prompt_tokens + request.output_tokens
            self.past_gate -= 1
            self.counts[stage, request.class_index] -= 1
            self.happened.append((kind, request.class_index))
        done = ending.prefill
        if done is not None:
            i = done.class_index
            self._relabel(gpu, MIXED_DECODE, stage_after(gpu))
            self.counts[PREFILL, i] -= 1
            self.happened.append((PREFILL_COMPLETION, i))
            if self.policy.routing is Routing.IMMEDIATE:
                self.counts[stage_after(gpu), i] += 1
                gpu.add_decode(done, now)
            else:
                gpu.held -= done.prompt_tokens
                self.counts[DECODE_QUEUE, i] += 1
                self._wait(done, self.buffers[self._pool(i)][i], now)
        self._sort_in(number)

    def _pool(self, i: int) -> int:
        """Which buffer a prefilled request of the class joins."""
        if self.policy.routing not in (Routing.POOLS, Routing.WEIGHTED_POOLS):
            return _SOLO
        solo = self.generator.random() <= self.policy.solo_probability(i)
        return _SOLO if solo else _MIXED

    def _wait(self, request: Request, line: list[Request], now: float) -> None:
        line.append(request)
        request.stamp, self.stamp = self.stamp, self.stamp + 1
        request.due = now + request.patience

    def _leave(self, request: Request, line: list[Request], now: float) -> None:
        line.remove(request)
        request.patience = request.due - now

    def _open_gate(self, now: float) -> None:
        limit = self.policy.admission_limit(self.fleet.gpus)
        while self.takes_prefill.members and self.past_gate < limit:
            heads = [line[0].stamp if line else math.inf for line in self.prefill_queues]
            i = self.policy.next_class(
                self.counts[PREFILL].tolist(),
                [len(line) for line in self.prefill_queues],
                heads,
                self.fleet.gpus,
            )
            if i is None:
                return
            request = self.prefill_queues[i][0]
            tokens = request.prompt_tokens
            if self.policy.routing is Routing.IMMEDIATE:
                tokens += request.output_tokens
            number = self._draw(self.takes_prefill, tokens)
            if number is None:
                return
            gpu = self.gpus[number]
            self._leave(request, self.prefill_queues[i], now)
            self.past_gate += 1
            self.counts[PREFILL_QUEUE, i] -= 1
            self.counts[PREFILL, i] += 1
            before = stage_after(gpu)
            gpu.held += tokens
            gpu.start_prefill(request, now)
            self._relabel(gpu, before, MIXED_DECODE)
            self._sort_in(number)

    def _serve_buffers(self, now: float) -> None:
        if self.policy.routing is Routing.IMMEDIATE:
            return
        apart = self.policy.routing in (Routing.POOLS, Routing.WEIGHTED_POOLS)
        for buffer in (_SOLO, _MIXED) if apart else (_SOLO,):
            usable = (self.free[buffer],) if apart else self.free
            while any(pool.members for pool in usable):
                request = self._next_in_buffer(buffer)
                if request is None:
                    break
                tokens = request.prompt_tokens + request.output_tokens
                number = None
                for pool in usable:
                    if number is None:
                        number = self._draw(pool, tokens)
                if number is None:
                    break
                i, gpu = request.class_index, self.gpus[number]
                self._leave(request, self.buffers[buffer][i], now)
                self.counts[DECODE_QUEUE, i] -= 1
                self.counts[stage_after(gpu), i] += 1
                gpu.held += tokens
                gpu.add_decode(request, now)
                self._sort_in(number)

    def _next_in_buffer(self, buffer: int) -> Request | None:
        lines = self.buffers[buffer]
        waiting = [i for i in self.classes if lines[i]]
        if self.policy.routing is Routing.WEIGHTED_POOLS:
            mixed, solo = self.policy.pool_weights()
            weights = solo if buffer == _SOLO else mixed
            candidates = [i for i in waiting if weights[i] > 0]
            if candidates:
                level = self.generator.random() * sum(weights[i] for i in candidates)
                for i in candidates[:-1]:
                    if level < weights[i]:
                        return lines[i][0]
                    level -= weights[i]
                return lines[candidates[-1]][0]
        order = self.policy.buffer_order()
        ranks = {i: order.index(i) if order else 0 for i in waiting}
        chosen = min(waiting, key=lambda i: (ranks[i], lines[i][0].stamp), default=None)
        return None if chosen is None else lines[chosen][0]

    def _draw(self, pool: FreeGpus, tokens: float) -> int | None:
        """A GPU of the pool with room for so many tokens, going round from a random one."""
        size = len(pool.members)
        if size == 0:
            return None
        place = int(self.generator.random() * size)
        for k in range(size):
            number = pool.members[(place + k) % size]
            if self.gpus[number].held + tokens <= self.memory:
                return number
        return None

    def _relabel(self, gpu: ContinuousGpu | IterationGpu, old: int, new: int) -> None:
        for _, request in gpu.decodes:
            self.counts[old, request.class_index] -= 1
            self.counts[new, request.class_index] += 1

    def _sort_in(self, number: int) -> None:
        """Put the GPU into the sets to which it belongs now."""
        gpu, fleet = self.gpus[number], self.fleet
        idle = gpu.prefilling is None
        taken = len(gpu.decodes) + (0 if idle or not fleet.shared else 1)
        has_slot = taken < fleet.decode_slots(number)
        may_prefill = idle and number < fleet.mixed_gpus and (has_slot or not fleet.shared)
        self.takes_prefill.put(number, may_prefill)
        if self.policy.routing is not Routing.IMMEDIATE:
            mixed = not idle if fleet.shared else number < fleet.mixed_gpus
            self.free[_SOLO].put(number, has_slot and not mixed)
            self.free[_MIXED].put(number, has_slot and mixed)


def stage_after(gpu: ContinuousGpu | IterationGpu) -> int:
    """Where the decodes of the GPU are counted at its present speed."""
    return MIXED_DECODE if gpu.is_mixed else SOLO_DECODE


def run_fleet_reference(
    fleet: Fleet,
    requests: Requests,
    generator: np.random.Generator,
    warmup: float,
    horizon: float,
    grid: NDArray[np.float64],
    logged: int,
) -> FleetRun:
    """One run from the empty system; see `FleetRun` for what it returns."""
    state = ReferenceFleet(fleet, requests, generator)
    areas = np.zeros(state.counts.shape)
    completed = np.zeros((len(EVENTS), fleet.classes), dtype=np.int64)
    grid_counts: list[NDArray[np.int64]] = []
    log: list[tuple[int, float]] = []
    now = 0.0
    while True:
        following, source, number = state.next_event()
        areas += state.counts * max(0.0, min(following, horizon) - max(now, warmup))
        while len(grid_counts) < len(grid) and grid[len(grid_counts)] < following:
            grid_counts.append(state.counts.copy())
        if following > horizon:
            break
        now = following
        for kind, i in state.happen(now, source, number):
            if now > warmup:
                completed[kind, i] += 1
            log.append((kind * fleet.classes + i, now))
    return FleetRun(
        areas=areas,
        completed=completed,
        grid_counts=np.array(grid_counts, dtype=np.int64).reshape(len(grid), *areas.shape),
        events=len(log),
        iterations=sum(gpu.iterations_done for gpu in state.gpus),
        log=np.array(log[:logged], dtype=np.float64).reshape(-1, 2),
    )
