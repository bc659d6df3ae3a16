r"""The fluid equations of two classes under gate-and-route, piece by piece: the readable twin.

Between events the state obeys one smooth differential equation, which `scipy` integrates to high
accuracy; events are located to rounding. It shares no code with the catching-up scheme.

Prefill does not depend on decode. With :math:`F = \mu_p \cdot x` (slots freed per second) it is

* *filling*: prefill slots are free, nobody waits, :math:`u_i' = \lambda_i`;
* *lagging*: slots are full and one class has the smaller :math:`x_i / x_i^*`. If it waits it gets
  :math:`F`; if not, it gets its arrivals :math:`\lambda_i \le F` and the other class the rest;
* *tracking*: slots are full, :math:`x = x^*`, and both classes can keep it,
  :math:`u_i' = \mu_{p,i} x_i^*`.

Decode is fed by :math:`a_i = \mu_{p,i} x_i` and is *solo open* (solo slots free), *mixed open*
(solo full, mixed free) or *saturated* (both full). In the last the buffer's head arrived at time
:math:`\eta`; there the classes are mixed like :math:`a_i(\eta) e^{-\theta_i (t - \eta)}`, and what
is served per second says how fast :math:`\eta` moves on. What waits initially is the head first.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...theory.errors import InvalidInput
from ...theory.network import ServingNetwork
from ...theory.policies import GateAndRoute, Policy
from .model import FluidModel, fluid_model
from .trajectory import FluidState

_CLASSES = 2
_AT_BOUNDARY = 1e-9
_MOST_REGIMES = 100
_ACCURACY = {"method": "DOP853", "rtol": 1e-10, "atol": 1e-12, "dense_output": True}

Array = NDArray[np.float64]
_Field = Callable[[float, Array], Array]
_Event = Callable[[float, Array], float]


@dataclass(frozen=True)
class Regime:
    """One smooth piece: from when it holds, and its name."""

    start: float
    name: str


@dataclass(frozen=True)
class EventLocatedTrajectory:
    """States at ``times``, shape (times, 5, 2) as in `Trajectory`, and the regimes passed."""

    times: Array
    states: Array
    prefill_regimes: tuple[Regime, ...]
    decode_regimes: tuple[Regime, ...]


def event_located_trajectory(
    network: ServingNetwork,
    policy: Policy,
    *,
    horizon: float,
    initial: FluidState | None = None,
    points: int = 200,
) -> EventLocatedTrajectory:
    """Like `trajectory`, for two classes that the plan prefills under gate-and-route.

    Raises `InvalidInput` for other networks and policies, and for an initial state in which
    somebody waits beside a free slot.
    """
    model = fluid_model(network, policy)
    if not isinstance(policy, GateAndRoute) or model.classes != _CLASSES:
        raise InvalidInput("policy", policy.name, "gate-and-route for two classes")
    if np.any(model.gate_targets <= 0):
        raise InvalidInput("policy.plan.prefill", model.gate_targets.tolist(), "positive targets")
    state = (initial or FluidState()).array(_CLASSES)
    queue, prefill, buffer, mixed, solo, _ = state
    free = model.capacities - np.array([prefill.sum(), mixed.sum(), solo.sum()])
    if (queue.any() and free[0] > _AT_BOUNDARY) or (buffer.any() and free[1:].max() > _AT_BOUNDARY):
        raise InvalidInput("initial", initial, "nobody waiting beside a free slot")
    times = np.linspace(0, horizon, points + 1)
    prefill_part = _Prefill(model).solve(np.concatenate([queue, prefill]), horizon)
    decode_part = _Decode(model, prefill_part, buffer).solve(
        np.concatenate([buffer, mixed, solo, [0.0]]), horizon
    )
    states = np.empty((len(times), 5, _CLASSES))
    for k, t in enumerate(times):
        states[k, :2] = prefill_part(t).reshape(2, _CLASSES)
        states[k, 2:] = decode_part(t)[:-1].reshape(3, _CLASSES)
    return EventLocatedTrajectory(times, states, prefill_part.regimes, decode_part.regimes)


class _Pieces:
    """A piecewise smooth function of time with the regimes that it consists of."""

    def __init__(self) -> None:
        self.starts: list[float] = []
        self.solutions: list[Callable[[float], Array]] = []
        self.names: list[str] = []

    def __call__(self, time: float) -> Array:
        k = max(0, bisect.bisect_right(self.starts, time) - 1)
        return np.asarray(self.solutions[k](time))

    @property
    def regimes(self) -> tuple[Regime, ...]:
        """The regimes; what an event leaves unchanged counts as one."""
        before = [None, *self.names]
        pieces = zip(self.starts, self.names, before, strict=False)
        return tuple(Regime(start, name) for start, name, last in pieces if name != last)


def _solve(
    state: Array,
    horizon: float,
    regime_at: Callable[[float, Array], tuple[str, _Field, list[tuple[_Event, int]]]],
    boundary: Callable[[Array], Array],
) -> _Pieces:
    """Integrate regime after regime; ``boundary`` puts a state at an event exactly onto it."""
    from scipy.integrate import solve_ivp

    pieces, now = _Pieces(), 0.0
    while now < horizon:
        name, field, ends = regime_at(now, state)
        events = [_terminal(end, direction) for end, direction in ends]
        found: Any = solve_ivp(field, (now, horizon), state, events=events, **_ACCURACY)
        pieces.starts.append(now)
        pieces.solutions.append(found.sol)
        pieces.names.append(name)
        now, state = float(found.t[-1]), boundary(found.y[:, -1])
        if len(pieces.names) > _MOST_REGIMES:
            raise ArithmeticError(f"regimes keep alternating at {now} s: {pieces.names[-2:]}")
    return pieces


def _terminal(end: _Event, direction: int) -> _Event:
    """An event that ends the integration when it crosses zero in the given direction."""

    def event(time: float, state: Array) -> float:
        return end(time, state)

    event.terminal, event.direction = True, direction  # type: ignore[attr-defined]
    return event


class _Prefill:
    """Queues and prefill occupancies (q_1, q_2, x_1, x_2)."""

    def __init__(self, model: FluidModel) -> None:
        self.arrival, self.patience, self.rate = model.rates[:3]
        self.targets, self.capacity = model.gate_targets, float(model.capacities[0])

    def solve(self, state: Array, horizon: float) -> _Pieces:
        return _solve(state, horizon, self.regime_at, self.boundary)

    def boundary(self, state: Array) -> Array:
        state = np.where(np.abs(state) < _AT_BOUNDARY, 0.0, state)
        if abs(state[2:].sum() - self.capacity) < _AT_BOUNDARY:
            state[2:] *= self.capacity / state[2:].sum()
        return state

    def field(self, admitted: Callable[[Array], Array]) -> _Field:
        def derivative(_: float, state: Array) -> Array:
            queue, prefill = state[:2], state[2:]
            u = admitted(prefill)
            return np.concatenate(
                [self.arrival - self.patience * queue - u, u - self.rate * prefill]
            )

        return derivative

    def regime_at(self, _: float, state: Array) -> tuple[str, _Field, list[tuple[_Event, int]]]:
        prefill, waits = state[2:], state[:2] > _AT_BOUNDARY
        freed = float(self.rate @ prefill)
        full = prefill.sum() > self.capacity - _AT_BOUNDARY
        if not full or (not waits.any() and self.arrival.sum() < freed):
            return (
                "filling",
                self.field(lambda _: self.arrival),
                [(lambda _, s: s[2:].sum() - self.capacity, 1)],
            )
        keeps = waits | (self.arrival >= self.rate * self.targets)
        ratio = prefill / self.targets
        if abs(ratio[0] - ratio[1]) < _AT_BOUNDARY:
            if keeps.all():
                leaving = [
                    (_queue_of(i), -1)
                    for i in range(_CLASSES)
                    if self.arrival[i] < self.rate[i] * self.targets[i]
                ]
                return "tracking", self.field(lambda _: self.rate * self.targets), leaving
            first = int(np.argmin(keeps))
        else:
            first = int(np.argmin(ratio))
        other = 1 - first
        waits[first] |= self.arrival[first] > freed

        def admitted(prefill: Array) -> Array:
            u, free = np.empty(2), self.rate @ prefill
            u[first] = free if waits[first] else self.arrival[first]
            u[other] = free - u[first]
            return u

        events: list[tuple[_Event, int]] = [
            (
                lambda _, s: (
                    s[2 + first] / self.targets[first] - s[2 + other] / self.targets[other]
                ),
                1,
            ),
            (_queue_of(other), -1),
        ]
        if waits[first]:
            events.append((_queue_of(first), -1))
        else:
            events.append((lambda _, s: self.arrival[first] - self.rate @ s[2:], 1))
        return f"class {first} lagging", self.field(admitted), events


class _Decode:
    """Buffer, decodes and its head (q_1, q_2, y_m1, y_m2, y_s1, y_s2, head).

    The head is minus the share that is left of what waited initially; once that is served, the
    time at which the first in line arrived.
    """

    def __init__(self, model: FluidModel, prefill: _Pieces, buffer: Array) -> None:
        self.patience, self.prefill_rate, self.mixed_rate, self.solo_rate = model.rates[1:]
        self.mixed_capacity, self.solo_capacity = map(float, model.capacities[1:])
        self.prefill, self.initial = prefill, buffer

    def solve(self, state: Array, horizon: float) -> _Pieces:
        if self.initial.any():
            state[-1] = -1.0
        return _solve(state, horizon, self.regime_at, self.boundary)

    def boundary(self, state: Array) -> Array:
        for part, capacity in (
            (slice(2, 4), self.mixed_capacity),
            (slice(4, 6), self.solo_capacity),
        ):
            if abs(state[part].sum() - capacity) < _AT_BOUNDARY:
                state[part] *= capacity / state[part].sum()
        return state

    def inflow(self, time: float) -> Array:
        return np.asarray(self.prefill_rate * self.prefill(time)[2:])

    def freed(self, state: Array) -> tuple[float, float]:
        return float(self.mixed_rate @ state[2:4]), float(self.solo_rate @ state[4:6])

    def excess(self, time: float, state: Array) -> float:
        """Inflow minus what solo slots free, requests per second and GPU."""
        return float(self.inflow(time).sum() - self.freed(state)[1])

    def derivative(
        self, time: float, state: Array, to_mixed: Array, to_solo: Array, head: float
    ) -> Array:
        return np.concatenate(
            [
                self.inflow(time) - self.patience * state[:2] - to_mixed - to_solo,
                to_mixed - self.mixed_rate * state[2:4],
                to_solo - self.solo_rate * state[4:6],
                [head],
            ]
        )

    def solo_open(self, time: float, state: Array) -> Array:
        inflow = self.inflow(time)
        return self.derivative(time, state, np.zeros(_CLASSES), inflow, 0.0)

    def mixed_open(self, time: float, state: Array) -> Array:
        inflow = self.inflow(time)
        to_solo = inflow / inflow.sum() * self.freed(state)[1]
        return self.derivative(time, state, inflow - to_solo, to_solo, 0.0)

    def saturated(self, time: float, state: Array) -> Array:
        head = state[-1]
        if head < 0:
            line = self.initial * np.exp(-self.patience * time)
        else:
            line = self.inflow(head) * np.exp(-self.patience * (time - head))
        mixed, solo = self.freed(state)
        mix, speed = line / line.sum(), (mixed + solo) / line.sum()
        return self.derivative(time, state, mix * mixed, mix * solo, speed)

    def regime_at(self, time: float, state: Array) -> tuple[str, _Field, list[tuple[_Event, int]]]:
        mixed, solo = state[2:4].sum(), state[4:6].sum()
        initially = state[-1] < -_AT_BOUNDARY
        if initially:
            return "saturated", self.saturated, [(lambda _, s: s[-1], 1)]
        waits = state[:2].sum() > _AT_BOUNDARY
        full = mixed > self.mixed_capacity - _AT_BOUNDARY
        if not waits and (solo < self.solo_capacity - _AT_BOUNDARY or self.excess(time, state) < 0):
            return (
                "solo open",
                self.solo_open,
                [(lambda _, s: s[4:6].sum() - self.solo_capacity, 1)],
            )
        if waits or (full and self.excess(time, state) > self.freed(state)[0]):
            if not waits:
                state[-1] = time
            return "saturated", self.saturated, [(lambda t, s: t - s[-1], -1)]
        state[:2] = 0.0
        return (
            "mixed open",
            self.mixed_open,
            [(lambda _, s: s[2:4].sum() - self.mixed_capacity, 1), (self.excess, -1)],
        )


def _queue_of(i: int) -> _Event:
    def queue(_: float, state: Array) -> float:
        return float(state[i])

    return queue
