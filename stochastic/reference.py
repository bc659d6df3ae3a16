"""The readable simulator: one event at a time, in plain Python.

The kernel must reproduce it event for event from the same random numbers. Per event, in order:
one standard exponential for the time, one uniform for its kind and class, and, when
somebody leaves a line, uniforms until one hits an occupied place.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

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
    PREFILL,
    PREFILL_ABANDONMENT,
    PREFILL_COMPLETION,
    PREFILL_QUEUE,
    SOLO_COMPLETION,
    SOLO_DECODE,
    Chain,
    Run,
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
    """State and transitions of the chain."""

    def __init__(self, chain: Chain, generator: np.random.Generator) -> None:
        self.chain = chain
        self.generator = generator
        self.counts = np.zeros((len(COUNTS), chain.classes), dtype=np.int64)
        self.prefill_lines = [WaitingLine() for _ in range(chain.classes)]
        self.decode_lines = [WaitingLine() for _ in range(chain.classes)]
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
            if not self.chain.policy.gated:
                self.prefill_lines[i].join(self.stamp)
            self._open_gate()
        elif kind == PREFILL_COMPLETION:
            self.counts[PREFILL, i] -= 1
            self._route(i)
            self._open_gate()
        elif kind == SOLO_COMPLETION:
            self.counts[SOLO_DECODE, i] -= 1
            self._serve_buffer(SOLO_DECODE)
        elif kind == MIXED_COMPLETION:
            self.counts[MIXED_DECODE, i] -= 1
            self._serve_buffer(MIXED_DECODE)
        elif kind == PREFILL_ABANDONMENT:
            self.counts[PREFILL_QUEUE, i] -= 1
            if not self.chain.policy.gated:
                self.prefill_lines[i].abandon(self.generator)
        elif kind == DECODE_ABANDONMENT:
            self.counts[DECODE_QUEUE, i] -= 1
            self.decode_lines[i].abandon(self.generator)

    def _open_gate(self) -> None:
        """Let the policy fill an idle prefill slot (at most one is idle while anybody waits)."""
        if self.counts[PREFILL].sum() >= self.chain.mixed_gpus:
            return
        i = self.chain.policy.next_class(
            self.counts[PREFILL].tolist(),
            self.counts[PREFILL_QUEUE].tolist(),
            [line.oldest() for line in self.prefill_lines],
            self.chain.gpus,
        )
        if i is not None:
            self.counts[PREFILL_QUEUE, i] -= 1
            self.counts[PREFILL, i] += 1
            if not self.chain.policy.gated:
                self.prefill_lines[i].serve()

    def _route(self, i: int) -> None:
        """Send a prefilled request to decode: solo first, then mixed, then the buffer."""
        if self.counts[SOLO_DECODE].sum() < self.chain.solo_slots:
            self.counts[SOLO_DECODE, i] += 1
        elif self.counts[MIXED_DECODE].sum() < self.chain.mixed_slots:
            self.counts[MIXED_DECODE, i] += 1
        else:
            self.counts[DECODE_QUEUE, i] += 1
            self.decode_lines[i].join(self.stamp)

    def _serve_buffer(self, stage: int) -> None:
        """Give the slot just freed in ``stage`` to the longest-waiting request of any class."""
        if self.counts[DECODE_QUEUE].sum() == 0:
            return
        i = min(range(self.chain.classes), key=lambda j: self.decode_lines[j].oldest())
        self.decode_lines[i].serve()
        self.counts[DECODE_QUEUE, i] -= 1
        self.counts[stage, i] += 1


def run_reference(
    chain: Chain,
    generator: np.random.Generator,
    warmup: float,
    horizon: float,
    grid: NDArray[np.float64],
    logged: int,
) -> Run:
    """One replication from the empty system; see `Run` for what it returns."""
    process = ReferenceChain(chain, generator)
    areas = np.zeros(process.counts.shape)
    completed = np.zeros((len(EVENTS), chain.classes), dtype=np.int64)
    grid_counts: list[NDArray[np.int64]] = []
    log: list[tuple[int, float]] = []
    now, events = 0.0, 0
    while True:
        rates = process.rates()
        total = _total(rates)
        following = now + generator.standard_exponential() / total
        areas += process.counts * max(0.0, min(following, horizon) - max(now, warmup))
        while len(grid_counts) < len(grid) and grid[len(grid_counts)] < following:
            grid_counts.append(process.counts.copy())
        if following > horizon:
            break
        now, events = following, events + 1
        kind, i = divmod(_select(rates, generator.random() * total), chain.classes)
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


def _total(rates: list[float]) -> float:
    """The sum in plain floating point, as the kernel adds: from Python 3.12 `sum` compensates."""
    total = 0.0
    for rate in rates:
        total += rate
    return total


def _select(rates: list[float], level: float) -> int:
    """The event in whose stretch of the stacked ``rates`` the level falls.

    Rounding can carry the level past the last possible event, which is then taken.
    """
    for event, rate in enumerate(rates):
        if level < rate:
            return event
        level -= rate
    return max(event for event, rate in enumerate(rates) if rate > 0)
