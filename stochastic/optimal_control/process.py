r"""The decision process of a small system whose waiting rooms are cut to a box.

A state is a server configuration (`optimal_control_servers`) with the requests per class that
wait for prefill and for decode, at most ``prefill_room`` and ``decode_room`` of each class. Time
runs between *decisions*: from a state in which the controller stays, an event (arrival, service
completion, abandonment) leads to another state, and there the controller may take waiting
requests into service, one after the other, before it stays again. Order inside a class does not
matter: patience is exponential. Written :math:`h`, :math:`r`, :math:`Q` for a function of the
state, the revenue rate (decode completions times :math:`w_i`) and the generator of the events
alone, the optimal gain is the least :math:`g` for which some :math:`h` has

.. math::

   r(z) + (Qh)(z) \le g \quad\text{and}\quad h(z) \ge h(z') \text{ for every placement } z \to z'.

A request that finds its waiting room full *overflows*: it vanishes, and pays :math:`a_k`, where
:math:`k` stands for its class and for the queue. Two choices of :math:`a` bracket the system
without a cut (`optimal_control`).
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ...theory.rates import Rates
from .servers import Configuration, Placement, Servers

Values = NDArray[np.float64]
"""One number per state, shape (states,)."""

Decision = NDArray[np.intp]
"""For every state the state in which the controller ends up staying, shape (states,)."""


class DecisionProcess:
    """States, events and placements, in arrays.

    State ``c * waits + w`` has server configuration ``c`` and waiting counts ``waiting[:, w]``:
    first the classes that wait for prefill, then those that wait for decode.

    Attributes
    ----------
    events
        Rates of events by state and target, shape (states, states); overflows are left out,
        save for the change of configuration that comes with them.
    total_rates
        Row sums of ``events``.
    revenue
        Revenue per second of each state, without what overflows pay.
    overflow
        Rate of overflow, shape (2 classes, states): of each class before prefill, before decode.
    """

    def __init__(
        self,
        servers: Servers,
        rates: Rates,
        gpus: int,
        rooms: tuple[int, ...],
    ) -> None:
        self.servers, self.rates = servers, rates
        self.classes = len(rates.arrival)
        self.rooms = rooms
        shape = tuple(room + 1 for room in self.rooms)
        self.waiting = np.indices(shape).reshape(len(shape), -1)
        self.waits = self.waiting.shape[1]
        self.strides = [math.prod(shape[k + 1 :]) for k in range(len(shape))]
        self.states = len(servers.configurations) * self.waits
        self._assemble(gpus)
        placements = (servers.prefill_placements, servers.decode_placements)
        self._gate_placements, self._router_placements = placements
        self._levels = self._placement_levels()

    def _assemble(self, gpus: int) -> None:
        """Rates in exact fractions; the matrix holds their numbers in a list."""
        rates, w = self.rates, np.arange(self.waits)
        configurations = np.arange(len(self.servers.configurations)) * self.waits
        everywhere = (configurations[:, None] + w).ravel()
        listed: dict[Fraction, int] = {}
        sources, targets, numbers = [], [], []
        overflow: dict[tuple[int, Fraction], list[NDArray[np.intp]]] = {}

        def add(source: NDArray[np.intp], target: NDArray[np.intp], rate: Fraction) -> None:
            sources.append(source)
            targets.append(target)
            numbers.append(np.full(source.size, listed.setdefault(rate, len(listed))))

        for k, room in enumerate(self.rooms):
            i, count = k % self.classes, np.tile(self.waiting[k], len(configurations))
            for waiting in range(1, room + 1):
                here = everywhere[count == waiting]
                if rates.patience[i] > 0:
                    add(here, here - self.strides[k], waiting * rates.patience[i])
            if k < self.classes:
                arrival = gpus * rates.arrival[i]
                here = everywhere[count < room]
                add(here, here + self.strides[k], arrival)
                overflow.setdefault((k, arrival), []).append(everywhere[count == room])
        for done in self.servers.prefill_completions:
            k = self.classes + done.request_class
            fits, shift = self.waiting[k] < self.rooms[k], (done.target - done.source) * self.waits
            here = done.source * self.waits + w[fits]
            add(here, here + shift + self.strides[k], done.rate)
            here = done.source * self.waits + w[~fits]
            add(here, here + shift, done.rate)
            overflow.setdefault((k, done.rate), []).append(here)
        pay: list[Fraction] = [Fraction(0)] * len(self.servers.configurations)
        for done in self.servers.decode_completions:
            here = done.source * self.waits + w
            add(here, here + (done.target - done.source) * self.waits, done.rate)
            pay[done.source] += done.rate * rates.weight[done.request_class]
        self.exact_rates = tuple(listed)
        shape = (self.states, self.states)
        places = (np.concatenate(sources), np.concatenate(targets))
        number = sparse.coo_array((np.concatenate(numbers) + 1, places), shape=shape).tocsr()
        self.rate_numbers = number.data - 1
        as_floats = np.array([float(rate) for rate in listed])
        self.events = sparse.csr_array(
            (as_floats[self.rate_numbers], number.indices, number.indptr), shape=shape
        )
        self.total_rates = np.asarray(self.events.sum(axis=1)).ravel()
        self.exact_revenue = tuple(pay)
        self.revenue = np.repeat(np.array([float(p) for p in pay]), self.waits)
        self.exact_overflow = {
            key: np.concatenate(states) for key, states in overflow.items() if states
        }
        self.overflow = np.zeros((len(self.rooms), self.states))
        for (k, rate), where in self.exact_overflow.items():
            self.overflow[k, where] += float(rate)

    def _placement_levels(self) -> list[list[tuple[int, Placement]]]:
        """Placements with the queue they serve, those from the fullest servers first."""
        listed = [(p.request_class, p) for p in self._gate_placements]
        listed += [(self.classes + p.request_class, p) for p in self._router_placements]
        occupied = self.servers.occupied
        levels: list[list[tuple[int, Placement]]] = [[] for _ in range(max(occupied) + 1)]
        for k, placement in listed:
            levels[occupied[placement.source]].append((k, placement))
        return levels[::-1]

    def state(self, configuration: int, waiting: tuple[int, ...]) -> int:
        """Number of the state with these requests in service and waiting."""
        offset = sum(count * stride for count, stride in zip(waiting, self.strides, strict=True))
        return configuration * self.waits + offset

    def described(self, state: int) -> tuple[Configuration, tuple[int, ...]]:
        """Server configuration and waiting counts of a state."""
        configuration, wait = divmod(state, self.waits)
        waiting = tuple(int(count) for count in self.waiting[:, wait])
        return self.servers.configurations[configuration], waiting

    def must_move(self, *, gate: bool, router: bool) -> NDArray[np.bool_]:
        """States in which someone waits whom the gate (the router) could take into service."""
        moving = np.zeros((len(self.servers.configurations), self.waits), dtype=bool)
        for demanded, placements, offset in (
            (gate, self._gate_placements, 0),
            (router, self._router_placements, self.classes),
        ):
            for p in placements if demanded else ():
                moving[p.source] |= self.waiting[offset + p.request_class] > 0
        return moving.ravel()

    def best_decision(self, values: Values) -> Decision:
        """From every state the best state to stay in that placements lead to; ties: stay."""
        value = values.reshape(-1, self.waits).copy()
        best = np.arange(self.states).reshape(value.shape)
        for level in self._levels:
            for k, p in level:
                source = slice(self.strides[k], None)
                target = slice(None, -self.strides[k])
                better = (value[p.target, target] > value[p.source, source]) & (
                    self.waiting[k, source] > 0
                )
                np.copyto(value[p.source, source], value[p.target, target], where=better)
                np.copyto(best[p.source, source], best[p.target, target], where=better)
        return best.ravel()

    def placements(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """Every placement as (queue, source state, target state), each of shape (placements,)."""
        queues, sources, targets = [], [], []
        for k, p in (item for level in self._levels for item in level):
            w = np.flatnonzero(self.waiting[k] > 0)
            queues.append(np.full(w.size, k))
            sources.append(p.source * self.waits + w)
            targets.append(p.target * self.waits + w - self.strides[k])
        return np.concatenate(queues), np.concatenate(sources), np.concatenate(targets)

    def boundary_differences(self, values: Values) -> list[list[Values]]:
        """Per queue, what one more request is worth where its room is full.

        First h(z) - h(z with one fewer waiting), then h(z') - h(z) for every placement from it
        that leaves the number waiting at the room.
        """
        value = values.reshape(-1, self.waits)
        differences: list[list[Values]] = []
        for k, room in enumerate(self.rooms):
            full = np.flatnonzero(self.waiting[k] == room)
            differences.append([(value[:, full] - value[:, full - self.strides[k]]).ravel()])
        for k, p in (item for level in self._levels for item in level):
            full = np.flatnonzero(self.waiting[k] == self.rooms[k])
            differences[k].append(value[p.target, full] - value[p.source, full])
        return differences
