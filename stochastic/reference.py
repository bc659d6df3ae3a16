"""The readable simulator: one event at a time, in plain Python.

The kernel must reproduce it event for event from the same random numbers, all uniform. Per event,
in order: one for the time, by inversion; one for its kind and class; then, as the event demands,
one for the pool of a prefilled request, one for the class that a freed slot serves by weights, one
for the buffer that a request leaves; and, when somebody leaves a line, more until one hits an
occupied place.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from ..theory.policies import Routing
from .chain import (
    ARRIVAL,
    COUNTED_BY,
    COUNTS,
    DECODE_ABANDONMENT,
    DECODE_QUEUE,
    EVENTS,
    MAX_GAPS,
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
    Chain,
    Run,
    event_stream,
)


class WaitingLine:
    """Requests of one class in order of arrival, with gaps where somebody left.

    The gaps make leaving cheap: a uniform place is drawn until it is occupied, and the line
    closes up before gaps outnumber requests by more than `MAX_GAPS`.
    """

    def __init__(self) -> None:
        self.places: list[int | None] = []
        self.requests = 0

    def join(self, stamp: int) -> None:
        """Append a request."""
        self.places.append(stamp)
        self.requests += 1

    def oldest(self) -> float:
        """Stamp of the longest-waiting request; infinity if nobody waits."""
        return self.places[0] if self.requests else math.inf  # type: ignore[return-value]

    def serve(self) -> None:
        """Remove the longest-waiting request."""
        self.places.pop(0)
        self.requests -= 1
        self._advance()

    def abandon(self, generator: np.random.Generator) -> None:
        """Remove a uniformly chosen request."""
        while True:
            place = int(generator.random() * len(self.places))
            if self.places[place] is not None:
                break
        self.places[place] = None
        self.requests -= 1
        self._advance()
        if len(self.places) > 2 * self.requests + MAX_GAPS:
            self.places = [stamp for stamp in self.places if stamp is not None]

    def _advance(self) -> None:
        """Drop the gaps in front, so that the first place holds the longest-waiting request."""
        gaps = 0
        while gaps < len(self.places) and self.places[gaps] is None:
            gaps += 1
        del self.places[:gaps]


class ReferenceChain:
    """State and transitions of the chain.

    ``decode_lines`` holds the buffers one after the other, a line per class each: see
    `chain.SOLO_POOL`.
    """

    def __init__(self, chain: Chain, stream: np.random.Generator) -> None:
        self.chain = chain
        self.policy = chain.policy
        self.pooled = chain.policy.routing is not Routing.SOLO_FIRST
        self.stream = stream
        self.counts = np.zeros((len(COUNTS), chain.classes), dtype=np.int64)
        self.prefill_lines = [WaitingLine() for _ in range(chain.classes)]
        self.decode_lines = [WaitingLine() for _ in range((1 + self.pooled) * chain.classes)]
        self.stamp = 0

    def rates(self) -> list[float]:
        """Rate of every event, kind by kind, class by class."""
        unit = self.chain.unit_rates
        classes = range(self.chain.classes)
        return [float(unit[ARRIVAL, i]) for i in classes] + [
            float(unit[kind, i] * self.counts[COUNTED_BY[kind], i])
            for kind in range(1, len(EVENTS))
            for i in classes
        ]

    def happen(self, kind: int, i: int) -> None:
        """Carry out one event of class ``i``, with all that follows from it at once."""
        self.stamp += 1
        if kind == ARRIVAL:
            self.counts[PREFILL_QUEUE, i] += 1
            if not self.policy.gated:
                self.prefill_lines[i].join(self.stamp)
        elif kind == PREFILL_COMPLETION:
            self.counts[PREFILL, i] -= 1
            self._route(i)
        elif kind == SOLO_COMPLETION:
            self.counts[SOLO_DECODE, i] -= 1
            self._serve_buffer(SOLO_DECODE)
        elif kind == MIXED_COMPLETION:
            self.counts[MIXED_DECODE, i] -= 1
            self._serve_buffer(MIXED_DECODE)
        elif kind == PREFILL_ABANDONMENT:
            self.counts[PREFILL_QUEUE, i] -= 1
            if not self.policy.gated:
                self.prefill_lines[i].abandon(self.stream)
        elif kind == DECODE_ABANDONMENT:
            line = self.decode_lines[i]
            if self.pooled and self.stream.random() * self.counts[DECODE_QUEUE, i] >= line.requests:
                line = self.decode_lines[self.chain.classes + i]
            self.counts[DECODE_QUEUE, i] -= 1
            line.abandon(self.stream)
        self._open_gate()

    def _open_gate(self) -> None:
        """Let the policy fill an idle prefill slot (no event makes room for more than one)."""
        slot_is_idle = self.counts[PREFILL].sum() < self.chain.mixed_gpus
        past_gate = self.counts.sum() - self.counts[PREFILL_QUEUE].sum()
        if not slot_is_idle or past_gate >= self.policy.admission_limit(self.chain.gpus):
            return
        i = self.policy.next_class(
            self.counts[PREFILL].tolist(),
            self.counts[PREFILL_QUEUE].tolist(),
            [line.oldest() for line in self.prefill_lines],
            self.chain.gpus,
        )
        if i is not None:
            self.counts[PREFILL_QUEUE, i] -= 1
            self.counts[PREFILL, i] += 1
            if not self.policy.gated:
                self.prefill_lines[i].serve()

    def _route(self, i: int) -> None:
        """Send a prefilled request to a free slot, solo before mixed, else to the buffer.

        With pools, the lot leaves it one kind of slot.
        """
        solo, mixed, pool = True, True, SOLO_POOL
        if self.pooled:
            solo = self.stream.random() < self.policy.solo_probability(i)
            mixed, pool = not solo, SOLO_POOL if solo else MIXED_POOL
        if solo and self.counts[SOLO_DECODE].sum() < self.chain.solo_slots:
            self.counts[SOLO_DECODE, i] += 1
        elif mixed and self.counts[MIXED_DECODE].sum() < self.chain.mixed_slots:
            self.counts[MIXED_DECODE, i] += 1
        else:
            self.counts[DECODE_QUEUE, i] += 1
            self.decode_lines[pool * self.chain.classes + i].join(self.stamp)

    def _serve_buffer(self, stage: int) -> None:
        """Give the slot just freed in ``stage`` to a request of its buffer."""
        pool = MIXED_POOL if self.pooled and stage == MIXED_DECODE else SOLO_POOL
        lines = self.decode_lines[pool * self.chain.classes :][: self.chain.classes]
        waiting = [i for i, line in enumerate(lines) if line.requests > 0]
        if not waiting:
            return
        i = self._next_decode(pool, lines, waiting)
        lines[i].serve()
        self.counts[DECODE_QUEUE, i] -= 1
        self.counts[stage, i] += 1

    def _next_decode(self, pool: int, lines: list[WaitingLine], waiting: list[int]) -> int:
        """Which of the ``waiting`` classes a freed slot serves.

        By the policy's order; or by lot, weighted; else, or if all weights are zero, the class
        of the request that has waited longest.
        """
        order = self.policy.buffer_order()
        if order is not None:
            return next(i for i in order if i in waiting)
        if self.policy.routing is Routing.WEIGHTED_POOLS:
            mixed, solo = self.policy.pool_weights()
            weights = solo if pool == SOLO_POOL else mixed
            stretches = list(accumulate(weights[i] for i in waiting))
            if stretches[-1] > 0:
                return waiting[bisect_right(stretches, self.stream.random() * stretches[-1])]
        return min(waiting, key=lambda i: lines[i].oldest())


def run_reference(
    chain: Chain,
    generator: np.random.Generator,
    warmup: float,
    horizon: float,
    grid: NDArray[np.float64],
    logged: int,
) -> Run:
    """One replication from the empty system; see `Run` for what it returns."""
    stream = event_stream(generator)
    process = ReferenceChain(chain, stream)
    areas = np.zeros(process.counts.shape)
    completed = np.zeros((len(EVENTS), chain.classes), dtype=np.int64)
    grid_counts: list[NDArray[np.int64]] = []
    log: list[tuple[int, float]] = []
    now, events = 0.0, 0
    while True:
        stretches = list(accumulate(process.rates()))
        total = stretches[-1]
        following = now - math.log(1.0 - stream.random()) / total
        areas += process.counts * max(0.0, min(following, horizon) - max(now, warmup))
        while len(grid_counts) < len(grid) and grid[len(grid_counts)] < following:
            grid_counts.append(process.counts.copy())
        if following > horizon:
            break
        now, events = following, events + 1
        # U < 1 keeps the level below the total, so that an event of positive rate is found.
        kind, i = divmod(bisect_right(stretches, stream.random() * total), chain.classes)
        process.happen(kind, i)
        if now > warmup:
            completed[kind, i] += 1
        if len(log) < logged:
            log.append((kind * chain.classes + i, now))
    return Run(
        areas=areas,
        completed=completed,
        grid_counts=np.array(grid_counts, dtype=np.int64).reshape(len(grid), *areas.shape),
        events=events,
        log=np.array(log, dtype=np.float64).reshape(len(log), 2),
    )
