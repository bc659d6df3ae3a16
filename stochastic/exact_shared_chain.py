r"""The exact stationary law of a few shared GPUs: a judge for policies without a static layout.

Written from the statement of the model (arXiv 2602.02987 v1, Sections 2.1 and 2.3) with the
routing `Routing.PREFILL_FIRST`, without a line of the fleet's simulator. A state consists of the
requests per class that wait for prefill and for decode, and of every GPU's class in prefill (if
any) and decodes per class; GPUs are alike, so their order is forgotten. A GPU that prefills decodes
at the mixed speed, the others at the solo speed.

Steps:

1. list by breadth-first search the states reachable from the empty system; after every event the
   policy acts: first the gate, as long as a GPU without a prefill has a free slot, then free slots
   take decodes, on GPUs without a prefill first; where it leaves the GPU open all are equally
   likely. A request that would find ``room`` of its class waiting is lost;
2. solve the balance equations :math:`\pi Q = 0`, :math:`\sum \pi = 1`;
3. widen the room until the share of lost requests is below the tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ..theory.errors import InvalidInput, require_integer, require_number
from ..theory.network import ServingNetwork
from ..theory.policies import Gate, Layout, Policy, Routing
from ..theory.rates import rates
from .chain import COUNTS
from .exact_chain import stationary_probabilities

Counts = tuple[int, ...]
"""Requests per class."""

GpuState = tuple[int, Counts]
"""Class in prefill (-1: none) and decodes per class."""

State = tuple[Counts, Counts, tuple[GpuState, ...]]
"""Waiting for prefill, waiting for decode, GPUs (sorted)."""

Action = Callable[[State], list[State]]
"""One step of the policy: the equally likely outcomes, none if there is nothing to do."""

IDLE = -1


@dataclass(frozen=True)
class SharedLaw:
    r"""Exact long-run averages of a small system of shared GPUs; per GPU, per class in order.

    Attributes
    ----------
    room, states
        Requests of a class that may wait at most for each phase, and the number of states.
    truncation_loss
        Share of the arriving requests that is lost because the room is finite.
    residual
        Largest imbalance of a state, :math:`\max |\pi Q| / \max |Q|`.
    revenue_rate
        Revenue per GPU-second under bundled charging, equation (22).
    occupancies
        For each stage in `kurtz.stochastic.COUNTS`: mean requests per GPU; decodes count as mixed
        while their GPU prefills.
    """

    policy: str
    gpus: int
    room: int
    states: int
    truncation_loss: float
    residual: float
    revenue_rate: float
    occupancies: Mapping[str, tuple[float, ...]]


def shared_stationary_law(
    network: ServingNetwork,
    policy: Policy,
    gpus: int,
    *,
    tolerance: float = 1e-6,
    max_states: int = 60_000,
) -> SharedLaw:
    """The stationary law of ``gpus`` shared GPUs of ``network`` under ``policy``.

    Parameters
    ----------
    policy
        One with layout `Layout.SHARED`, routing `Routing.PREFILL_FIRST`, a gate that goes by
        counts, and an order of the classes in the decode buffer.
    tolerance
        Share of arriving requests that the truncated chain may lose.
    max_states
        Number of states beyond which the system is refused.

    Raises
    ------
    InvalidInput
        An argument is outside its range, or there are too many states.

    Examples
    --------
    >>> from kurtz.fluid import plan
    >>> from kurtz.theory import instance
    >>> from kurtz.theory.policies.finite_size import SlotFilling
    >>> network = instance("small-one-class")
    >>> law = shared_stationary_law(network, SlotFilling(plan(network)), gpus=1)
    >>> law.revenue_rate < plan(network).value
    True
    """
    require_integer("gpus", gpus, "GPUs", at_least=1)
    require_number("tolerance", tolerance, "share of the arriving requests", above=0)
    require_integer("max_states", max_states, "states", at_least=1)
    if policy.layout is not Layout.SHARED or policy.routing is not Routing.PREFILL_FIRST:
        raise InvalidInput("policy", policy.name, "one that shares GPUs and prefills first")
    several = len(network.classes) > 1
    if several and (policy.gate is Gate.FIRST_COME or policy.buffer_order() is None):
        raise InvalidInput("policy", policy.name, "one that goes by the number of each class")
    room, law = 1, None
    while law is None or law.truncation_loss > tolerance:
        room += 1 + room // 2
        law = _SharedChain(network, policy, gpus, room, max_states).solve()
    return law


class _SharedChain:
    """States and generator of the chain in which at most ``room`` of a class wait."""

    def __init__(
        self, network: ServingNetwork, policy: Policy, gpus: int, room: int, max_states: int
    ) -> None:
        self.policy, self.gpus, self.room = policy, gpus, room
        self.batch, self.rates = network.gpu.batch, rates(network)
        self.classes = range(len(network.classes))
        self.buffer_order = policy.buffer_order() or tuple(self.classes)
        self.limit = policy.admission_limit(gpus)
        nobody = (0,) * len(self.classes)
        self.states: list[State] = [(nobody, nobody, ((IDLE, nobody),) * gpus)]
        number = {self.states[0]: 0}
        settled: dict[State, dict[State, float]] = {}
        entries: list[tuple[int, int, float]] = []
        losses: list[float] = []
        for source, state in enumerate(self.states):  # the list grows while it is read
            lost = 0.0
            for rate, before_policy, loses in self._events(state):
                if before_policy not in settled:
                    settled[before_policy] = self._settle(before_policy)
                for target, probability in settled[before_policy].items():
                    if target not in number:
                        number[target] = len(self.states)
                        self.states.append(target)
                    entries.append((source, number[target], rate * probability))
                lost += rate * loses
            losses.append(lost)
            if len(self.states) > max_states:
                allowed = f"more states, for {room} waiting per class; or take fewer GPUs"
                raise InvalidInput("max_states", max_states, allowed)
        self.losses = np.array(losses)
        sources, targets, values = (np.array(column) for column in zip(*entries, strict=True))
        shape = (len(self.states), len(self.states))
        moves = sparse.coo_array((values, (sources, targets)), shape=shape).tocsr()
        self.generator = (moves - sparse.diags_array(moves.sum(axis=1))).tocsr()

    def _events(self, state: State) -> Iterator[tuple[float, State, bool]]:
        """Rate and target of every event, before the policy acts; whether a request is lost."""
        queue, buffer, gpus = state
        rate = self.rates
        for i in self.classes:
            full = queue[i] == self.room
            joined = queue if full else _changed(queue, i, 1)
            yield self.gpus * rate.arrival[i], (joined, buffer, gpus), full
            if queue[i] > 0:
                left = _changed(queue, i, -1)
                yield rate.patience[i] * queue[i], (left, buffer, gpus), False
            if buffer[i] > 0:
                left = _changed(buffer, i, -1)
                yield rate.patience[i] * buffer[i], (queue, left, gpus), False
        for place, (prefilled, decodes) in enumerate(gpus):
            if prefilled != IDLE:
                full = buffer[prefilled] == self.room
                joined = buffer if full else _changed(buffer, prefilled, 1)
                freed = _replaced(gpus, place, (IDLE, decodes))
                yield rate.prefill[prefilled], (queue, joined, freed), full
            speed = rate.solo_decode if prefilled == IDLE else rate.mixed_decode
            for i in self.classes:
                if decodes[i] > 0:
                    freed = _replaced(gpus, place, (prefilled, _changed(decodes, i, -1)))
                    yield speed[i] * decodes[i], (queue, buffer, freed), False

    def _settle(self, state: State) -> dict[State, float]:
        """States after the policy has acted, with their probabilities."""
        after_gate = self._spread(state, self._admit)
        result: dict[State, float] = {}
        for opened, probability in after_gate.items():
            for final, share in self._spread(opened, self._serve_buffer).items():
                result[final] = result.get(final, 0.0) + probability * share
        return result

    def _spread(self, state: State, act: Action) -> dict[State, float]:
        """Repeat one kind of action until there is nothing left to do."""
        choices = act(state)
        if not choices:
            return {state: 1.0}
        result: dict[State, float] = {}
        for choice in choices:
            for final, share in self._spread(choice, act).items():
                result[final] = result.get(final, 0.0) + share / len(choices)
        return result

    def _admit(self, state: State) -> list[State]:
        """The equally likely states after one admission to prefill; none if the gate is closed."""
        queue, buffer, gpus = state
        prefill = [sum(1 for prefilled, _ in gpus if prefilled == i) for i in self.classes]
        past_gate = sum(prefill) + sum(buffer) + sum(sum(decodes) for _, decodes in gpus)
        chosen = self.policy.next_class(prefill, queue, [0.0] * len(queue), self.gpus)
        if past_gate >= self.limit or chosen is None:
            return []
        left = _changed(queue, chosen, -1)
        return [
            (left, buffer, _replaced(gpus, place, (chosen, decodes)))
            for place, (prefilled, decodes) in enumerate(gpus)
            if prefilled == IDLE and sum(decodes) < self.batch
        ]

    def _serve_buffer(self, state: State) -> list[State]:
        """The equally likely states after one decode has started; none if none can."""
        queue, buffer, gpus = state
        chosen = next((i for i in self.buffer_order if buffer[i] > 0), None)
        if chosen is None:
            return []
        left = _changed(buffer, chosen, -1)
        solo, mixed = (
            [
                (queue, left, _replaced(gpus, place, (prefilled, _changed(decodes, chosen, 1))))
                for place, (prefilled, decodes) in enumerate(gpus)
                if (prefilled == IDLE) == idle and sum(decodes) + (prefilled != IDLE) < self.batch
            ]
            for idle in (True, False)
        )
        return solo or mixed

    def solve(self) -> SharedLaw:
        """Stationary law and the averages that follow from it."""
        probabilities, residual = stationary_probabilities(self.generator)
        per_gpu = probabilities / self.gpus
        stages = np.zeros((len(COUNTS), len(self.states), len(self.classes)))
        for place, (queue, buffer, gpus) in enumerate(self.states):
            stages[0, place], stages[2, place] = queue, buffer
            for prefilled, decodes in gpus:
                if prefilled != IDLE:
                    stages[1, place, prefilled] += 1
                stages[4 if prefilled == IDLE else 3, place] += decodes
        means = np.einsum("s,ksi->ki", per_gpu, stages)
        rate = self.rates
        completions = rate.mixed_decode * means[3] + rate.solo_decode * means[4]
        return SharedLaw(
            policy=self.policy.name,
            gpus=self.gpus,
            room=self.room,
            states=len(self.states),
            truncation_loss=float(per_gpu @ self.losses) / sum(rate.arrival),
            residual=residual,
            revenue_rate=float(completions @ rate.weight),
            occupancies={k: tuple(v.tolist()) for k, v in zip(COUNTS, means, strict=True)},
        )


def _changed(counts: Counts, i: int, by: int) -> Counts:
    return (*counts[:i], counts[i] + by, *counts[i + 1 :])


def _replaced(gpus: tuple[GpuState, ...], place: int, gpu: GpuState) -> tuple[GpuState, ...]:
    return tuple(sorted((*gpus[:place], gpu, *gpus[place + 1 :])))
