r"""Policy iteration for the average revenue of a small system.

Steps:

1. start from the decision that a guess of the values prefers;
2. *evaluate*: under a fixed decision :math:`\delta` solve :math:`r + Q_\delta v = g`,
   :math:`v = 0` in the empty system, over the states in which the decision stays;
   :math:`Q_\delta` sends an event to where the controller stays after it. BiCGSTAB starts from
   the last solution, preconditioned by incomplete factors of :math:`Q_\delta - \varepsilon I`;
3. extend v to every state by one event, and *improve*: take the best placements;
4. stop when the gain of the last decision is close to the upper bound
   :math:`\max_z [r + Q h](z)`, where h is what placements make of v.

Nothing here is trusted: `optimal_control_certificate` bounds the optimal gain from v exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, SuperLU, bicgstab, spilu

from .process import Decision, DecisionProcess, Values

MAX_ROUNDS = 60
"""Policy iteration takes about five; this only guards against a solver that makes no progress."""

RESIDUAL_TOLERANCE = 1e-11
"""Of the linear equations, relative to the largest revenue rate."""


@dataclass(frozen=True)
class Solution:
    """A decision that is optimal, as far as floating point can tell.

    Attributes
    ----------
    values
        v in every state: what it is worth to stay there, relative to the empty system.
    gain
        Revenue per second of the decision.
    rounds
        Policies that were evaluated.
    """

    decision: Decision
    values: Values
    gain: float
    rounds: int


def solve(
    process: DecisionProcess,
    overflow_pay: Sequence[Fraction],
    *,
    tolerance: float,
    guess: Values | None = None,
    forbidden: NDArray[np.bool_] | None = None,
) -> Solution:
    """Policy iteration until the optimal gain is known to ``tolerance``, relative.

    Parameters
    ----------
    overflow_pay
        What an overflowing request pays, per queue.
    guess
        Values to start from.
    forbidden
        States in which the controller may not stay; none by default.
    """
    revenue = process.revenue + np.array([float(a) for a in overflow_pay]) @ process.overflow
    values = _first_guess(process) if guess is None else guess
    decision = process.best_decision(_offered(values, forbidden))
    for rounds in range(1, MAX_ROUNDS + 1):
        gain, values = evaluate(process, revenue, decision, values)
        offered = _offered(values, forbidden)
        improved = process.best_decision(offered)
        after = values[improved]
        drift = revenue + process.events @ after - process.total_rates * after
        upper = float(drift.max(where=np.isfinite(offered), initial=-np.inf))
        if upper - gain <= tolerance * abs(upper):
            return Solution(decision, values, gain, rounds)
        decision = improved
    raise ArithmeticError(f"policy iteration: gain {gain!r} and upper bound {upper!r} still apart")


def _offered(values: Values, forbidden: NDArray[np.bool_] | None) -> Values:
    """Values of staying: none where that is forbidden."""
    return values if forbidden is None else np.where(forbidden, -np.inf, values)


def evaluate(
    process: DecisionProcess, revenue: Values, decision: Decision, guess: Values
) -> tuple[float, Values]:
    """Gain of a decision, and v in every state."""
    stayed, generator = decided_chain(process, decision)
    empty = int(np.searchsorted(stayed, decision[0]))

    def bordered(u: Values) -> Values:
        """Q v - g, where u is v but for g in the place of the empty system."""
        v = u.copy()
        v[empty] = 0.0
        return np.asarray(generator @ v - u[empty])

    u = _solved(
        LinearOperator(generator.shape, bordered, dtype=np.float64),
        -revenue[stayed],
        guess[stayed] - guess[stayed[empty]],
        _factors(generator, process).solve,
    )
    gain = float(u[empty])
    u[empty] = 0.0
    at_stay = np.zeros(process.states)
    at_stay[stayed] = u
    values = (revenue + process.events @ at_stay[decision] - gain) / process.total_rates
    values[stayed] = u
    return gain, values


def stationary_probabilities(process: DecisionProcess, decision: Decision) -> Values:
    """Stationary law of a decision, shape (states,); zero where it does not stay."""
    stayed, generator = decided_chain(process, decision)
    empty = int(np.searchsorted(stayed, decision[0]))
    balance = generator.T.tocsr()
    target = np.zeros(stayed.size)
    target[empty] = 1.0

    def normalised(u: Values) -> Values:
        """The balance equations, that of the empty system replaced by the sum."""
        imbalance = np.asarray(balance @ u)
        imbalance[empty] = u.sum()
        return imbalance

    factors = _factors(generator, process)
    found = _solved(
        LinearOperator(generator.shape, normalised, dtype=np.float64),
        target,
        np.full(stayed.size, 1 / stayed.size),
        lambda u: factors.solve(u, trans="T"),
    )
    probabilities = np.zeros(process.states)
    probabilities[stayed] = np.maximum(found, 0.0)  # rounding errors below
    return probabilities


def decided_chain(
    process: DecisionProcess, decision: Decision
) -> tuple[NDArray[np.intp], sparse.csr_array]:
    """The states in which ``decision`` stays, and the generator of the chain on them."""
    stayed = np.flatnonzero(decision == np.arange(process.states))
    number = np.full(process.states, -1)
    number[stayed] = np.arange(stayed.size)
    rows = process.events[stayed]
    shape = (stayed.size, stayed.size)
    moves = sparse.csr_array((rows.data, number[decision[rows.indices]], rows.indptr), shape=shape)
    moves.sum_duplicates()
    return stayed, (moves - sparse.diags_array(process.total_rates[stayed])).tocsr()


def _factors(generator: sparse.csr_array, process: DecisionProcess) -> SuperLU:
    """Incomplete factors of the generator, shifted away from its eigenvalue 0."""
    shift = 0.05 * float(np.median(process.total_rates))
    # States are numbered so that neighbours are near: little is dropped from the factors.
    return spilu(
        (generator - shift * sparse.eye_array(generator.shape[0])).tocsc(),
        drop_tol=0.01,
        permc_spec="NATURAL",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )


def _solved(
    operator: LinearOperator,
    target: Values,
    start: Values,
    precondition: Callable[[Values], Values],
) -> Values:
    preconditioner = LinearOperator(operator.shape, precondition, dtype=np.float64)
    solution, _ = bicgstab(
        operator,
        target,
        x0=start,
        M=preconditioner,
        rtol=0.0,
        atol=RESIDUAL_TOLERANCE * float(np.abs(target).max()),
        maxiter=500,
    )
    return np.asarray(solution)


def _first_guess(process: DecisionProcess) -> Values:
    """Every request is worth a share of its price that grows with its progress."""
    weight = np.array([float(w) for w in process.rates.weight])
    waiting = np.concatenate([0.2 * weight, 0.7 * weight]) @ process.waiting
    occupied = 0.8 * weight.max() * np.array(process.servers.occupied)
    return np.asarray((occupied[:, None] + waiting[None, :]).ravel())
