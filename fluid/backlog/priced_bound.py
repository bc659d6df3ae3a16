r"""Step prices as certificates: any prices whatsoever bound the total latency from below.

Charge every request a price :math:`\pi_t \ge 0` per token that it holds in step t, with
:math:`\pi_t = 0` after some step T. A schedule holds at most M tokens in every step, so its
requests pay at most :math:`M \sum_t \pi_t` together, while each pays at least what its cheapest
start costs. Hence, for every feasible schedule and every choice of prices,

.. math::

   \mathrm{TEL} \ge \sum_i \min_{p \ge 0} f_i(p) - M \sum_{t=1}^{T} \pi_t, \qquad
   f_i(p) = p + o_i + \sum_{u=1}^{o_i} (s_i + u)\, \pi_{p+u}.                            \tag{1}

These are the dual solutions of the time-indexed linear program (notes on arXiv 2502.07115,
equations (1)-(4)), so its value is the best bound of this kind. The prices are the certificate;
the check is (1) in integers over a common scale. It trusts no solver.

*Evaluation.* Prices come as pieces, a duration and a price each; single steps are pieces of
duration one. From one start to the next the cost changes by

.. math::

   f_i(p+1) - f_i(p) = 1 - s_i \pi_{p+1} - \sum_{t=p+1}^{p+o_i} \pi_t
                       + (s_i + o_i)\, \pi_{p+1+o_i},                                    \tag{2}

which is linear in p while the steps p + 1 and p + 1 + o_i each stay in one piece: a quadratic,
least at an end or where (2) changes its sign. A request costs time O(J) for J pieces, and equal
requests are looked at once. Beyond T nothing is charged, so no start after T can be cheapest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ...theory.backlog import Backlog
from ...theory.errors import InvalidInput, require_integer
from .priced_bound_kernel import cheapest_starts

Integers = npt.NDArray[np.int64]

MOST_BITS = 62
"""Costs below 2^62 are safe in the kernel's 64 bits; larger ones go through Python integers."""


@dataclass(frozen=True)
class RequestTypes:
    """The different requests of a backlog: arrays of shape (types,), ordered by (s, o).

    Attributes
    ----------
    prompts, outputs, counts
        Their tokens, and how many requests are of each type.
    of_request
        The type of each request, shape (n,).
    """

    prompts: Integers
    outputs: Integers
    counts: Integers
    of_request: Integers

    @classmethod
    def of(cls, backlog: Backlog) -> RequestTypes:
        """Group equal requests."""
        # Both are at most the budget, so one 64-bit number holds a pair.
        factor = backlog.memory + 1
        pairs, of_request, counts = np.unique(
            backlog.prompts * factor + backlog.outputs, return_inverse=True, return_counts=True
        )
        return cls(pairs // factor, pairs % factor, counts, of_request)

    @property
    def volumes(self) -> Integers:
        """Volumes s o + o (o + 1) / 2."""
        volumes: Integers = self.prompts * self.outputs + self.outputs * (self.outputs + 1) // 2
        return volumes


@dataclass(frozen=True)
class PricedBound:
    """A lower bound on the total latency of every schedule of ``backlog``, with its proof.

    Parameters
    ----------
    backlog
        The requests and the budget.
    prices
        Integers >= 0, one per piece: the price per token and step, times ``scale``.
    durations
        Integers >= 1, how many steps each piece lasts; the first piece starts with step 1.
    scale
        The common denominator of the prices, an integer >= 1.

    Raises
    ------
    InvalidInput
        A price, a duration or the scale is out of range, or there are not equally many.
    """

    backlog: Backlog
    prices: tuple[int, ...]
    durations: tuple[int, ...]
    scale: int

    def __post_init__(self) -> None:
        require_integer("scale", self.scale, "prices per unit", at_least=1)
        if len(self.prices) != len(self.durations):
            raise InvalidInput("durations", len(self.durations), "one duration per price")
        for place, (price, duration) in enumerate(zip(self.prices, self.durations, strict=True), 1):
            require_integer(f"price {place}", price, "in units of 1 / scale", at_least=0)
            require_integer(f"duration {place}", duration, "steps", at_least=1)
        object.__setattr__(self, "prices", tuple(map(int, self.prices)))
        object.__setattr__(self, "durations", tuple(map(int, self.durations)))

    @cached_property
    def types(self) -> RequestTypes:
        """The different requests."""
        return RequestTypes.of(self.backlog)

    @cached_property
    def cheapest(self) -> tuple[Sequence[int], Sequence[int]]:
        """Least cost of (1), times scale, and its first start, for each type of request."""
        kinds = self.types
        horizon, highest = sum(self.durations), max(self.prices, default=0)
        largest_cost = (horizon + int(kinds.outputs.max())) * self.scale + (
            int(kinds.volumes.max()) * highest
        )
        columns: tuple[Any, ...]
        if largest_cost >> MOST_BITS == 0 and horizon >> (MOST_BITS // 2) == 0:
            costs, starts = np.zeros_like(kinds.counts), np.zeros_like(kinds.counts)
            columns = (np.array(self.durations, np.int64), np.array(self.prices, np.int64))
            cheapest_starts(
                kinds.prompts, kinds.outputs, *columns, np.int64(self.scale), costs, starts
            )
            return costs.tolist(), starts.tolist()
        exact_costs, exact_starts = [0] * len(kinds.counts), [0] * len(kinds.counts)
        columns = (kinds.prompts.tolist(), kinds.outputs.tolist(), self.durations, self.prices)
        cheapest_starts.py_func(*columns, int(self.scale), exact_costs, exact_starts)
        return exact_costs, exact_starts

    @cached_property
    def value(self) -> Fraction:
        """The right-hand side of (1), exactly; in steps."""
        least = sum(
            cost * count
            for cost, count in zip(self.cheapest[0], self.types.counts.tolist(), strict=True)
        )
        charge = sum(p * d for p, d in zip(self.prices, self.durations, strict=True))
        return Fraction(least - self.backlog.memory * charge, self.scale)


def priced_bound(backlog: Backlog, prices: Sequence[int], scale: int) -> Fraction:
    """The bound (1) of the prices of the steps 1, 2, ..., T, given as integers over ``scale``.

    >>> priced_bound(Backlog.of([(0, 1), (0, 1)], memory=1), prices=[1], scale=1)
    Fraction(3, 1)
    """
    return PricedBound(backlog, tuple(prices), (1,) * len(prices), scale).value


def priced_bound_by_definition(backlog: Backlog, prices: Sequence[int], scale: int) -> Fraction:
    """The same from its definition: equation (1) over all starts p = 0 ... T."""
    price = [Fraction(numerator, scale) for numerator in prices]
    horizon = len(price)
    least = sum(
        min(
            start
            + request.output_tokens
            + sum(
                (request.prompt_tokens + step - start) * price[step - 1]
                for step in range(start + 1, min(start + request.output_tokens, horizon) + 1)
            )
            for start in range(horizon + 1)
        )
        for request in backlog.requests
    )
    return least - backlog.memory * sum(price, Fraction(0))
