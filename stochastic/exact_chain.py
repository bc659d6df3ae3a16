r"""The exact stationary law of small networks: a judge for the simulators.

Written anew from the statement of the chain (arXiv 2602.02987 v1, Sections 2.3 and 4.1), without
a line of `reference` or `kernel`. `exact_dynamics` lists states and transitions. Steps:

1. list by breadth-first search the states reachable from the empty system with at most ``room``
   requests waiting (for prefill and for decode together); a request that would be one more is
   lost;
2. solve the balance equations :math:`\pi Q = 0`, :math:`\sum \pi = 1` with :math:`\pi_0 = 1` for
   the empty state first, normalised afterwards: what is left is a nonsingular M-matrix, which
   up to `FACTORED_STATES` states is factored. A complete factorisation of more fills up (minutes
   at 20,000 states): GMRES solves in a few steps, preconditioned by an incomplete one;
3. refine the solution once, and insist on :math:`\max |\pi Q| \le 10^{-12} \max |Q|`;
4. widen the room until the share of lost requests is below the tolerance.

Occupancies, rates of events and revenue follow from :math:`\pi` by summation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, gmres, spilu, splu

from ..theory.errors import InvalidInput, require_integer, require_number
from ..theory.network import ServingNetwork
from ..theory.policies import Policy
from ..theory.rates import Rates, rates
from .chain import COUNTS, EVENTS, require_applicable
from .exact_dynamics import Dynamics, Line

FACTORED_STATES = 4_000
"""Most states of a chain whose balance equations are factored completely."""

RESIDUAL_TOLERANCE = 1e-12
r"""Largest accepted :math:`\max |\pi Q| / \max |Q|`."""


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
    revenue_rate, separate_revenue_rate
        Revenue per GPU-second under bundled charging, equation (22), and separate, (23).
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
    separate_revenue_rate: float
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
        An argument is outside its range, the policy needs a simulator of individual GPUs, or the
        chain has too many states: it grows fast with GPUs, slots and classes, and with the
        patience of those who wait.
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
    require_applicable(policy, network)
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
        dynamics = Dynamics(network, policy, gpus, room)
        self.states = [dynamics.empty()]
        number = {self.states[0]: 0}
        entries: list[tuple[int, int, float]] = []
        losses: list[float] = []
        for source, state in enumerate(self.states):  # the list grows while it is read
            lost = 0.0
            for rate, target, loses in dynamics.transitions(state):
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

    def solve(self) -> StationaryLaw:
        """Stationary law and the averages that follow from it."""
        probabilities, residual = stationary_probabilities(self.generator)
        per_gpu = probabilities / self.gpus
        queues = np.array([_per_class(s.queue, self.classes) for s in self.states])
        buffers = np.array(
            [_per_class(s.solo_buffer + s.mixed_buffer, self.classes) for s in self.states]
        )
        prefill, mixed_slots, solo_slots = (
            np.array([getattr(s, name) for s in self.states])
            for name in ("prefill", "mixed", "solo")
        )
        stages = (queues, prefill, buffers, mixed_slots, solo_slots)
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
            separate_revenue_rate=float(
                (rate.prefill * x) @ rate.prompt_revenue + (solo + mixed) @ rate.output_revenue
            ),
            occupancies={k: tuple(v.tolist()) for k, v in zip(COUNTS, means, strict=True)},
            event_rates={k: tuple(v.tolist()) for k, v in zip(EVENTS, events, strict=True)},
        )


def _per_class(line: Line, classes: range) -> list[int]:
    return [line.count(i) for i in classes]


def stationary_probabilities(generator: sparse.csr_array) -> tuple[NDArray[np.float64], float]:
    """Stationary law of a generator whose state 0 is recurrent, and its relative residual."""
    balance = generator[1:, 1:].T.tocsc()
    from_empty = -generator[[0], 1:].toarray().ravel()
    others = np.zeros(from_empty.size)
    if others.size:
        solve = _solver(balance)
        for _ in range(2):  # the second round refines the first
            others += solve(from_empty - balance @ others)
    probabilities = np.concatenate([[1.0], others])
    probabilities /= math.fsum(probabilities)
    residual = float(np.abs(probabilities @ generator).max() / np.abs(generator.data).max())
    smallest, total = probabilities.min(), math.fsum(probabilities)
    if not (residual <= RESIDUAL_TOLERANCE and smallest > -1e-15 and abs(total - 1) < 1e-12):
        raise ArithmeticError(f"balance equations: residual {residual:.1e}, least {smallest:.1e}")
    return probabilities, residual


def _solver(
    matrix: sparse.csc_array,
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Solve with the matrix, whose rows come in breadth-first order of the states."""
    if matrix.shape[0] <= FACTORED_STATES:
        solve: Callable[[NDArray[np.float64]], NDArray[np.float64]] = splu(matrix).solve
        return solve
    # Breadth-first order keeps neighbours near, so that little is dropped from the factors.
    factors = spilu(
        matrix,
        drop_tol=0.01,
        permc_spec="NATURAL",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    preconditioner = LinearOperator(matrix.shape, factors.solve)

    def iterate(right: NDArray[np.float64]) -> NDArray[np.float64]:
        step, _ = gmres(matrix, right, M=preconditioner, rtol=1e-13, restart=40, maxiter=25)
        return np.asarray(step)

    return iterate
