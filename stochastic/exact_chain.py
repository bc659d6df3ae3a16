r"""The exact stationary law of small networks: a judge for the simulators.

Written anew from the statement of the chain (arXiv 2602.02987 v1, Sections 2.3 and 4.1), without
a line of `reference` or `kernel`. A state consists of

* the prefill queue: for an ungated policy the classes in order of arrival, for a gated one, which
  sees only the numbers waiting, the same classes sorted;
* the requests in prefill, per class (at most one on each of the M mixed GPUs);
* the decode buffer: the classes in order of arrival, one line across classes;
* the requests that decode in the M (B-1) mixed slots and in the (n-M) B solo slots, per class.

Steps:

1. list by breadth-first search the states reachable from the empty system with at most ``room``
   requests waiting (for prefill and for decode together); a request that would be one more is
   lost;
2. solve the balance equations :math:`\pi Q = 0`, :math:`\sum \pi = 1` with :math:`\pi_0 = 1` for
   the empty state first, normalised afterwards: what is left is a nonsingular M-matrix, which
   GMRES solves in a few steps, preconditioned by an incomplete factorisation (a complete one
   fills up: minutes at 20,000 states);
3. refine the solution once, and insist on :math:`\max |\pi Q| \le 10^{-12} \max |Q|`;
4. widen the room until the share of lost requests is below the tolerance.

Occupancies, rates of events and revenue follow from :math:`\pi` by summation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, gmres, spilu

from ..theory.errors import InvalidInput, require_integer, require_number
from ..theory.network import ServingNetwork
from ..theory.policies import Policy
from ..theory.rates import Rates, rates
from .chain import COUNTS, EVENTS

RESIDUAL_TOLERANCE = 1e-12
r"""Largest accepted :math:`\max |\pi Q| / \max |Q|`."""

Line = tuple[int, ...]
"""Either the classes of waiting requests, first come first, or a count per class."""

State = tuple[Line, Line, Line, Line, Line]
"""Prefill queue (a line), prefill (counts), decode buffer (a line), mixed and solo (counts)."""


@dataclass(frozen=True)
class StationaryLaw:
    r"""Exact long-run averages of a small network; per class in order, per GPU.

    Attributes
    ----------
    room, states
        Requests that may wait at most, and the number of states that leaves.
    residual
        Largest imbalance of a state, :math:`\max |\pi Q| / \max |Q|`.
    truncation_loss
        Share of the arriving requests that is lost because the room is finite.
    revenue_rate
        Revenue per GPU-second under bundled charging, equation (22).
    occupancies
        For each stage in `kurtz.stochastic.COUNTS`: mean requests per GPU.
    event_rates
        For each kind of event in `kurtz.stochastic.EVENTS`: events per second and GPU.
    """

    policy: str
    gpus: int
    room: int
    states: int
    residual: float
    truncation_loss: float
    revenue_rate: float
    occupancies: Mapping[str, tuple[float, ...]]
    event_rates: Mapping[str, tuple[float, ...]]


def stationary_law(
    network: ServingNetwork,
    policy: Policy,
    gpus: int,
    *,
    tolerance: float = 1e-9,
    max_states: int = 100_000,
) -> StationaryLaw:
    """The stationary law of the chain of ``gpus`` GPUs of ``network`` under ``policy``.

    Parameters
    ----------
    tolerance
        Share of arriving requests that the truncated chain may lose.
    max_states
        Number of states beyond which the chain is refused.

    Raises
    ------
    InvalidInput
        An argument is outside its range, or the chain has too many states: it grows fast with
        GPUs, slots and classes, and with the patience of those who wait.
    ArithmeticError
        The solution of the balance equations is not accurate.

    Examples
    --------
    >>> from kurtz.fluid import plan
    >>> from kurtz.theory import GateAndRoute, instance
    >>> network = instance("small-one-class")
    >>> law = stationary_law(network, GateAndRoute(plan(network)), gpus=2)
    >>> round(law.revenue_rate, 3), float(plan(network).value)
    (9.336, 16.0)
    """
    require_integer("gpus", gpus, "GPUs", at_least=1)
    require_number("tolerance", tolerance, "share of the arriving requests", above=0)
    require_integer("max_states", max_states, "states", at_least=1)
    law, room = None, 0
    while law is None or law.truncation_loss > tolerance:
        room += 1
        law = _TruncatedChain(network, policy, gpus, room, max_states).solve()
    return law


class _TruncatedChain:
    """States, generator and losses of the chain in which at most ``room`` requests wait."""

    def __init__(
        self, network: ServingNetwork, policy: Policy, gpus: int, room: int, max_states: int
    ) -> None:
        self.policy, self.gpus, self.room = policy, gpus, room
        self.rates: Rates = rates(network)
        self.classes = range(len(network.classes))
        self.prefill_slots = policy.mixed_gpus(gpus)
        self.mixed_slots = self.prefill_slots * (network.gpu.batch - 1)
        self.solo_slots = (gpus - self.prefill_slots) * network.gpu.batch
        nobody = (0,) * len(self.classes)
        self.states: list[State] = [((), nobody, (), nobody, nobody)]
        number = {self.states[0]: 0}
        entries: list[tuple[int, int, float]] = []
        losses: list[float] = []
        for source, state in enumerate(self.states):  # the list grows while it is read
            lost = 0.0
            for rate, target, loses in self._transitions(state):
                if target not in number:
                    number[target] = len(self.states)
                    self.states.append(target)
                entries.append((source, number[target], rate))
                lost += rate * loses
            losses.append(lost)
            if len(self.states) > max_states:
                allowed = (
                    f"more states, for a waiting room of {room} needs them; or take fewer GPUs"
                )
                raise InvalidInput("max_states", max_states, allowed)
        self.losses = np.array(losses)
        sources, targets, values = (np.array(column) for column in zip(*entries, strict=True))
        shape = (len(self.states), len(self.states))
        moves = sparse.coo_array((values, (sources, targets)), shape=shape).tocsr()
        self.generator = (moves - sparse.diags_array(moves.sum(axis=1))).tocsr()

    def _transitions(self, state: State) -> Iterator[tuple[float, State, bool]]:
        """Rate and target of every transition, and whether a request is lost for want of room."""
        queue, prefill, buffer, mixed, solo = state
        rate = self.rates
        for i in self.classes:
            joined = (*queue, i) if not self.policy.gated else tuple(sorted((*queue, i)))
            yield self._bounded(
                self.gpus * rate.arrival[i], self._gate(joined, prefill, buffer, mixed, solo), state
            )
            if prefill[i] > 0:
                left = _changed(prefill, i, -1)
                yield self._bounded(
                    rate.prefill[i] * prefill[i],
                    self._gate(queue, left, *self._route(i, buffer, mixed, solo)),
                    self._gate(queue, left, buffer, mixed, solo),
                )
            if mixed[i] > 0:
                left, rest = _changed(mixed, i, -1), buffer[1:]
                served = _changed(left, buffer[0], 1) if buffer else left
                target = (queue, prefill, rest, served, solo)
                yield rate.mixed_decode[i] * mixed[i], target, False
            if solo[i] > 0:
                left, rest = _changed(solo, i, -1), buffer[1:]
                served = _changed(left, buffer[0], 1) if buffer else left
                target = (queue, prefill, rest, mixed, served)
                yield rate.solo_decode[i] * solo[i], target, False
        for place, i in enumerate(queue):
            rest = queue[:place] + queue[place + 1 :]
            yield rate.patience[i], (rest, prefill, buffer, mixed, solo), False
        for place, i in enumerate(buffer):
            rest = buffer[:place] + buffer[place + 1 :]
            yield rate.patience[i], (queue, prefill, rest, mixed, solo), False

    def _bounded(self, rate: float, target: State, otherwise: State) -> tuple[float, State, bool]:
        """The transition to ``target``, or if it has no room, without the request that moves."""
        overfull = len(target[0]) + len(target[2]) > self.room
        return rate, otherwise if overfull else target, overfull

    def _gate(self, queue: Line, prefill: Line, buffer: Line, mixed: Line, solo: Line) -> State:
        """The state after the policy has had its say about an idle prefill slot."""
        if sum(prefill) < self.prefill_slots:
            waiting = [queue.count(i) for i in self.classes]
            oldest = [queue.index(i) if i in queue else math.inf for i in self.classes]
            i = self.policy.next_class(prefill, waiting, oldest, self.gpus)
            if i is not None:
                head = queue.index(i)
                queue, prefill = queue[:head] + queue[head + 1 :], _changed(prefill, i, 1)
        return queue, prefill, buffer, mixed, solo

    def _route(self, i: int, buffer: Line, mixed: Line, solo: Line) -> tuple[Line, Line, Line]:
        """Solo first, then mixed, then the end of the buffer."""
        if sum(solo) < self.solo_slots:
            return buffer, mixed, _changed(solo, i, 1)
        if sum(mixed) < self.mixed_slots:
            return buffer, _changed(mixed, i, 1), solo
        return (*buffer, i), mixed, solo

    def solve(self) -> StationaryLaw:
        """Stationary law and the averages that follow from it."""
        probabilities, residual = _stationary(self.generator)
        per_gpu = probabilities / self.gpus
        lines = [[[line.count(i) for i in self.classes] for line in state] for state in self.states]
        counts = [[state[1], state[3], state[4]] for state in self.states]
        waiting, busy = np.array(lines), np.array(counts)
        stages = (waiting[:, 0], busy[:, 0], waiting[:, 2], busy[:, 1], busy[:, 2])
        q_p, x, q_d, y_m, y_s = means = [per_gpu @ stage for stage in stages]
        rate = self.rates
        solo, mixed = rate.solo_decode * y_s, rate.mixed_decode * y_m
        theta = np.array(rate.patience)
        events = (np.array(rate.arrival), rate.prefill * x, solo, mixed, theta * q_p, theta * q_d)
        return StationaryLaw(
            policy=self.policy.name,
            gpus=self.gpus,
            room=self.room,
            states=len(self.states),
            residual=residual,
            truncation_loss=float(per_gpu @ self.losses) / sum(rate.arrival),
            revenue_rate=float((solo + mixed) @ rate.weight),
            occupancies={k: tuple(v.tolist()) for k, v in zip(COUNTS, means, strict=True)},
            event_rates={k: tuple(v.tolist()) for k, v in zip(EVENTS, events, strict=True)},
        )


def _changed(counts: Line, i: int, by: int) -> Line:
    return (*counts[:i], counts[i] + by, *counts[i + 1 :])


def _stationary(generator: sparse.csr_array) -> tuple[NDArray[np.float64], float]:
    """Stationary law of a generator whose state 0 is recurrent, and its relative residual."""
    balance = generator[1:, 1:].T.tocsc()
    from_empty = -generator[[0], 1:].toarray().ravel()
    others = np.zeros(from_empty.size)
    if others.size:
        # Breadth-first order keeps neighbours near, so that little is dropped from the factors.
        factors = spilu(
            balance,
            drop_tol=0.01,
            permc_spec="NATURAL",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        preconditioner = LinearOperator(balance.shape, factors.solve)
        for _ in range(2):  # the second round refines the first
            missing = from_empty - balance @ others
            step, _ = gmres(balance, missing, M=preconditioner, rtol=1e-13, restart=40, maxiter=25)
            others += step
    probabilities = np.concatenate([[1.0], others])
    probabilities /= math.fsum(probabilities)
    residual = float(np.abs(probabilities @ generator).max() / np.abs(generator.data).max())
    smallest, total = probabilities.min(), math.fsum(probabilities)
    if not (residual <= RESIDUAL_TOLERANCE and smallest > -1e-15 and abs(total - 1) < 1e-12):
        raise ArithmeticError(f"balance equations: residual {residual:.1e}, least {smallest:.1e}")
    return probabilities, residual
