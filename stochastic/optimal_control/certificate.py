r"""Exact bounds of the optimal gain of a small system without a cut, from approximate values.

Let v be any values on the states of a cut process (`optimal_control_process`).

**Lower bound.** Cut with overflows that pay nothing. Under any decision :math:`\delta`,

.. math:: g_\delta \ge \min_{z\ \text{stayed in}} \big[r + Q_\delta v\big](z) .

The system without a cut can do as well: it follows :math:`\delta` and *ignores* the requests that
find no room. They wait and abandon; of each class more wait in truth than :math:`\delta` knows of,
so that what it asks for can be done, by the request that has waited longest. Which of the waiting
requests abandons is drawn uniformly, by exponential patience, so that the known ones evolve as in
the cut process.

**Upper bound.** Let h be what placements make of v, so that :math:`h(z) \ge h(z')` for every
placement :math:`z \to z'`, and let overflows pay :math:`a_k \ge 0`. Extend h beyond the box,

.. math:: h(z) = h(\bar z) + \sum_k a_k (z_k - \bar z_k),

where :math:`\bar z` has at most the room :math:`K_k` waiting in queue k. If where the room of k is
full

.. math::

   \frac{K_k}{K_k + 1} \big[h(z) - h(z - e_k)\big] \le a_k
   \quad\text{and}\quad h(z'' ) - h(z) \le a_k

for every :math:`z''` with one request of the class of k more in service and as many waiting, then
placements do not raise h anywhere, and abandonments from beyond the box lower h at least as fast as
those from its boundary, so that :math:`[r + Q h](z) \le [r + Q h](\bar z)`: with arrivals at a
full room valued :math:`a_k`, the maximum over the box bounds r + Q h everywhere. As h is bounded
below, by Dynkin's formula no admissible policy, whatever it knows of the past, earns more per
second in the long run than

.. math:: \max_{z\ \text{in the box}} \big[r + Q h\big](z) .

Here v is rounded to integers times a power of two, rates are fractions, and everything above is
decided in integers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from .process import Decision, DecisionProcess, Values

VALUE_BITS = 40
"""Values are rounded to this many bits, relative to the largest."""


def exact_lower_bound(process: DecisionProcess, decision: Decision, values: Values) -> Fraction:
    """Revenue per second that ``decision`` earns at least, with or without the cut."""
    whole, unit = _rounded(values)
    stayed = np.flatnonzero(decision == np.arange(process.states))
    nothing = [Fraction(0)] * len(process.rooms)
    drifts, scale = _drifts(process, whole[decision], unit, nothing)
    return Fraction(int(drifts[stayed].min())) / scale


def exact_upper_bound(
    process: DecisionProcess,
    values: Values,
    overflow_pay: Sequence[Fraction],
    forbidden: NDArray[np.bool_] | None = None,
) -> Fraction | None:
    """Revenue per second that nobody exceeds; None if the overflows pay too little to tell."""
    whole, unit = _rounded(values)
    offered = whole if forbidden is None else np.where(forbidden, -np.inf, whole)
    after = whole[process.best_decision(offered)]
    for k, needed in enumerate(_needed(process, after)):
        if needed * unit > overflow_pay[k]:
            return None
    drifts, scale = _drifts(process, after, unit, overflow_pay)
    allowed = drifts if forbidden is None else drifts[~forbidden]
    return Fraction(int(allowed.max())) / scale


def needed_overflow_pay(process: DecisionProcess, values: Values) -> tuple[Fraction, ...]:
    """The least pay per queue for which ``values`` (after placements) extend beyond the box."""
    whole, unit = _rounded(values)
    return tuple(max(Fraction(0), needed * unit) for needed in _needed(process, whole))


def _needed(process: DecisionProcess, whole: Values) -> list[Fraction]:
    needed = []
    for room, (waiting, *placed) in zip(
        process.rooms, process.boundary_differences(whole), strict=True
    ):
        most_waiting = Fraction(int(waiting.max()) * room, room + 1)
        most_placed = [int(difference.max()) for difference in placed if difference.size]
        needed.append(max([most_waiting, *map(Fraction, most_placed)]))
    return needed


def _rounded(values: Values) -> tuple[Values, Fraction]:
    """Whole numbers, exact as floats, and the power of two that they count."""
    exponent = math.frexp(float(np.abs(values).max()))[1] - VALUE_BITS
    return np.rint(np.ldexp(values, -exponent)), Fraction(2) ** exponent


def _drifts(
    process: DecisionProcess, whole: Values, unit: Fraction, overflow_pay: Sequence[Fraction]
) -> tuple[NDArray[np.object_], Fraction]:
    """Revenue rate and drift, r + Q h, in every state, in whole numbers of 1 / scale."""
    revenue = process.exact_revenue
    overflow = {key: overflow_pay[key[0]] * key[1] for key in process.exact_overflow}
    terms = (*(rate * unit for rate in process.exact_rates), *revenue, *overflow.values())
    scale = Fraction(math.lcm(*(term.denominator for term in terms)))
    rates = np.array([int(rate * unit * scale) for rate in process.exact_rates], dtype=object)
    events = process.events
    sources = np.repeat(np.arange(process.states), np.diff(events.indptr))
    steps = (whole[events.indices] - whole[sources]).astype(np.int64).astype(object)
    drifts = np.add.reduceat(rates[process.rate_numbers] * steps, events.indptr[:-1])
    pay = np.array([int(r * scale) for r in revenue], dtype=object)
    drifts += np.repeat(pay, process.waits)
    for key, states in process.exact_overflow.items():
        drifts[states] += int(overflow[key] * scale)
    return drifts, scale
