"""States and transitions of the chain, written anew for exact solution: see `exact_chain`.

A state consists of

* the prefill queue: for an ungated policy the classes in order of arrival, for a gated one, which
  sees only the numbers waiting, the same classes sorted;
* the requests in prefill, per class (at most one on each of the M mixed GPUs);
* the decode buffers, one, or one of the solo and one of the mixed pool: the classes in order of
  arrival, or, if the policy has an order of its own, in that order;
* the requests that decode in the M (B-1) mixed slots and in the (n-M) B solo slots, per class.

Where the policy draws lots (for a pool, or by weights for the next decode), a transition splits
into one for each outcome.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from ..theory.network import ServingNetwork
from ..theory.policies import Layout, Policy, Routing
from ..theory.rates import Rates, rates

Line = tuple[int, ...]
"""Either the classes of waiting requests, first come first, or a count per class."""


class State(NamedTuple):
    """Lines and counts; a single buffer is the solo one."""

    queue: Line
    prefill: Line
    solo_buffer: Line
    mixed_buffer: Line
    mixed: Line
    solo: Line

    @property
    def waiting(self) -> int:
        """Requests in all lines."""
        return len(self.queue) + len(self.solo_buffer) + len(self.mixed_buffer)


class Dynamics:
    """The transitions of the chain in which at most ``room`` requests wait."""

    def __init__(self, network: ServingNetwork, policy: Policy, gpus: int, room: int) -> None:
        self.policy, self.gpus, self.room = policy, gpus, room
        self.rates: Rates = rates(network)
        self.classes = range(len(network.classes))
        self.prefill_slots = policy.mixed_gpus(gpus)
        beside_prefill = network.gpu.batch - 1 if policy.layout is Layout.STATIC else 0
        self.mixed_slots = self.prefill_slots * beside_prefill
        self.solo_slots = (gpus - self.prefill_slots) * network.gpu.batch
        self.admission_limit = policy.admission_limit(gpus)
        self.buffer_order = policy.buffer_order()
        self.pooled = policy.routing is not Routing.SOLO_FIRST
        if self.pooled:
            self.solo_probability = [policy.solo_probability(i) for i in self.classes]
        if policy.routing is Routing.WEIGHTED_POOLS:
            self.mixed_weights, self.solo_weights = policy.pool_weights()

    def empty(self) -> State:
        """The empty system."""
        nobody = (0,) * len(self.classes)
        return State((), nobody, (), (), nobody, nobody)

    def transitions(self, state: State) -> Iterator[tuple[float, State, bool]]:
        """Rate and target of every transition, and whether a request is lost for want of room."""
        rate = self.rates
        for i in self.classes:
            queue = (*state.queue, i)
            joined = state._replace(queue=tuple(sorted(queue)) if self.policy.gated else queue)
            yield self._bounded(self.gpus * rate.arrival[i], joined, state)
            if state.prefill[i] > 0:
                left = state._replace(prefill=_changed(state.prefill, i, -1))
                for probability, routed in self._routed(i, left):
                    through = probability * rate.prefill[i] * state.prefill[i]
                    yield self._bounded(through, routed, left)
            if state.mixed[i] > 0:
                left = state._replace(mixed=_changed(state.mixed, i, -1))
                through = rate.mixed_decode[i] * state.mixed[i]
                for probability, served in self._refilled_mixed(left):
                    yield probability * through, self._gate(served), False
            if state.solo[i] > 0:
                left = state._replace(solo=_changed(state.solo, i, -1))
                through = rate.solo_decode[i] * state.solo[i]
                for probability, served in self._refilled_solo(left):
                    yield probability * through, self._gate(served), False
        for name in ("queue", "solo_buffer", "mixed_buffer"):
            line = getattr(state, name)
            for place, i in enumerate(line):
                shorter = state._replace(**{name: _without(line, place)})
                yield rate.patience[i], self._gate(shorter), False

    def _bounded(self, rate: float, target: State, otherwise: State) -> tuple[float, State, bool]:
        """The transition to ``target``, or if it has no room, without the request that moves."""
        target = self._gate(target)
        overfull = target.waiting > self.room
        return rate, self._gate(otherwise) if overfull else target, overfull

    def _gate(self, state: State) -> State:
        """The state after the policy has had its say about an idle prefill slot."""
        busy = sum(state.prefill)
        past_gate = busy + sum(state.mixed) + sum(state.solo) + state.waiting - len(state.queue)
        if busy == self.prefill_slots or past_gate >= self.admission_limit:
            return state
        waiting = [state.queue.count(i) for i in self.classes]
        oldest = [state.queue.index(i) if i in state.queue else math.inf for i in self.classes]
        i = self.policy.next_class(state.prefill, waiting, oldest, self.gpus)
        if i is None:
            return state
        queue = _without(state.queue, state.queue.index(i))
        return state._replace(queue=queue, prefill=_changed(state.prefill, i, 1))

    def _routed(self, i: int, state: State) -> Iterator[tuple[float, State]]:
        """Where a prefilled request may go: probabilities and the states that follow."""
        to_solo = state._replace(solo=_changed(state.solo, i, 1))
        to_mixed = state._replace(mixed=_changed(state.mixed, i, 1))
        solo_is_free = sum(state.solo) < self.solo_slots
        mixed_is_free = sum(state.mixed) < self.mixed_slots
        solo_buffer = (*state.solo_buffer, i)
        if not self.pooled:
            order = self.buffer_order
            if order is not None:
                solo_buffer = tuple(sorted(solo_buffer, key=order.index))
            buffered = state._replace(solo_buffer=solo_buffer)
            yield 1.0, to_solo if solo_is_free else to_mixed if mixed_is_free else buffered
            return
        probability = self.solo_probability[i]
        if probability > 0:
            yield probability, to_solo if solo_is_free else state._replace(solo_buffer=solo_buffer)
        if probability < 1:
            mixed_buffer = (*state.mixed_buffer, i)
            waits = state._replace(mixed_buffer=mixed_buffer)
            yield 1 - probability, to_mixed if mixed_is_free else waits

    def _refilled_solo(self, state: State) -> Iterator[tuple[float, State]]:
        """Whom a freed solo slot may serve: probabilities and the states that follow."""
        for probability, place in self._picks(state.solo_buffer, solo=True):
            solo = _changed(state.solo, state.solo_buffer[place], 1)
            rest = _without(state.solo_buffer, place)
            yield probability, state._replace(solo=solo, solo_buffer=rest)
        if not state.solo_buffer:
            yield 1.0, state

    def _refilled_mixed(self, state: State) -> Iterator[tuple[float, State]]:
        """As `_refilled_solo`, for a mixed slot, which without pools serves the one buffer."""
        name = "mixed_buffer" if self.pooled else "solo_buffer"
        buffer = getattr(state, name)
        for probability, place in self._picks(buffer, solo=False):
            mixed = _changed(state.mixed, buffer[place], 1)
            yield probability, state._replace(mixed=mixed, **{name: _without(buffer, place)})
        if not buffer:
            yield 1.0, state

    def _picks(self, buffer: Line, *, solo: bool) -> Iterator[tuple[float, int]]:
        """Places of a buffer that may be served next, with probabilities: the first, or by lot."""
        if self.policy.routing is Routing.WEIGHTED_POOLS:
            weights = self.solo_weights if solo else self.mixed_weights
            total = sum(weights[i] for i in set(buffer))
            if total > 0:
                for i in set(buffer):
                    yield weights[i] / total, buffer.index(i)
                return
        if buffer:
            yield 1.0, 0


def _without(line: Line, place: int) -> Line:
    return line[:place] + line[place + 1 :]


def _changed(counts: Line, i: int, by: int) -> Line:
    return (*counts[:i], counts[i] + by, *counts[i + 1 :])
