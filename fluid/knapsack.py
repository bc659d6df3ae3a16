r"""Closed form of the bundled program by linear programming duality, for many networks at once.

The two-row knapsack (`kurtz.theory.steady_state.knapsack`) has the dual

.. math::

   R^* = \min_{u, v \ge 0} g(u, v), \qquad
   g(u, v) = u + \kappa B v + \sum_i \bar x_i (p_i - u - a_i v)^+,

with profit :math:`p_i`, decode work :math:`a_i`, and without the positive part for classes that are
forced to their bound. g is convex and piecewise linear, so it is least at a crossing of two of
the lines :math:`u = 0`, :math:`v = 0`, :math:`u + a_i v = p_i`: (I+1)(I+2)/2 explicit
points. No solver is involved; this is the second route to the value of a plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..theory.errors import InvalidInput
from ..theory.network import ServingNetwork
from ..theory.rates import Rates, exact_rates, rates
from ..theory.steady_state import Knapsack, decode_buffer_condition, knapsack


@dataclass(frozen=True)
class KnapsackSolution:
    """Value and prices of each knapsack; arrays of shape (networks,).

    Attributes
    ----------
    value
        Optimal revenue per GPU-second.
    prefill_price, decode_price
        Shadow prices u of prefill capacity and v of decode capacity.
    """

    value: NDArray[Any]
    prefill_price: NDArray[Any]
    decode_price: NDArray[Any]


def knapsack_values(networks: Sequence[ServingNetwork], *, exact: bool = False) -> NDArray[Any]:
    """R* of every network, shape (networks,); fractions with ``exact``.

    Raises
    ------
    InvalidInput
        A network violates kappa >= (B-1)/B, or has classes of patience rate 0 that overload
        it (both decided in fractions), or the networks differ in their number of classes.
    """
    all_rates = [exact_rates(network) for network in networks]
    for rate in all_rates:
        _require_applicable(rate)
    if not exact:
        all_rates = [rates(network) for network in networks]
    return knapsack_solution([knapsack(rate) for rate in all_rates]).value


def knapsack_solution(knapsacks: Sequence[Knapsack]) -> KnapsackSolution:
    """Minimise the dual function of every knapsack over its explicit candidate points.

    The knapsacks have to be feasible: classes that are forced to their bound must fit.
    """
    if len({len(k.profit) for k in knapsacks}) != 1:
        raise InvalidInput("networks", len(knapsacks), "networks with equally many classes")
    profit, work, upper = (
        np.array([getattr(k, name) for k in knapsacks])
        for name in ("profit", "decode_work", "upper")
    )
    forced = np.array([k.forced for k in knapsacks])
    capacity = np.array([k.decode_capacity for k in knapsacks])
    value, prefill_price, decode_price = capacity * 0, capacity * 0, capacity * 0
    for k, (u, v) in enumerate(_candidates(profit, work)):
        gain = profit - u[:, None] - work * v[:, None]
        gain = np.where(forced, gain, np.maximum(gain, 0))
        dual = u + capacity * v + (upper * gain).sum(axis=1)
        better = (u >= 0) & (v >= 0) & ((dual < value) | (k == 0))
        value = np.where(better, dual, value)
        prefill_price = np.where(better, u, prefill_price)
        decode_price = np.where(better, v, decode_price)
    return KnapsackSolution(value, prefill_price, decode_price)


def _candidates(
    profit: NDArray[Any], work: NDArray[Any]
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Crossings (u, v) of the lines, (0, 0) first; parallel lines repeat that harmless point."""
    zero = profit[:, 0] * 0
    points = [(zero, zero)]
    classes = profit.shape[1]
    for i in range(classes):
        points += [(zero, profit[:, i] / work[:, i]), (profit[:, i], zero)]
        for j in range(i):
            slope = work[:, i] - work[:, j]
            parallel = slope == 0
            v = np.where(
                parallel, zero, (profit[:, i] - profit[:, j]) / np.where(parallel, 1, slope)
            )
            points.append((profit[:, i] - work[:, i] * v, v))
    return points


def _require_applicable(rate: Rates) -> None:
    if not decode_buffer_condition(rate):
        raise InvalidInput(
            "kappa", float(rate.kappa), f"at least (B-1)/B = {(rate.batch - 1) / rate.batch:g}"
        )
    form = knapsack(rate)
    least = [u if f else 0 * u for u, f in zip(form.upper, form.forced, strict=True)]
    work = sum(a * x for a, x in zip(form.decode_work, least, strict=True))
    if sum(least) > 1 or work > form.decode_capacity:
        raise InvalidInput(
            "patience_rate", 0, "classes that never abandon must fit into the capacity"
        )
