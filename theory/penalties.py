r"""Service-level indicators as penalties, equations (44), (46) and (48) of arXiv 2602.02987 v1.

With :math:`X = \sum_i x_i`, program (49) subtracts from the revenue

.. math::

   l_1 = \eta_1' \max_{i,j} (x_i - x_j), \qquad
   l_2 = \eta_2' \max_{i,j} (y_{s,i} - y_{s,j}), \qquad
   l_3 = \eta_3' \, \frac{\tau (B-1) X + \frac1\gamma B (1-X)}{B - X}
       = \eta_3' \Big( A + \frac{K}{B - X} \Big),

where :math:`A = B/\gamma - \tau(B-1)` and :math:`K = B (B-1) (\tau - 1/\gamma)`. The first two are
maxima of linear functions. The third is linear-fractional; it is convex in X exactly when
:math:`K \ge 0`, that is :math:`\kappa \ge 1` (or B = 1), and only then is (49) a convex program.

What a penalty multiplies by its weight is its *measure*. On the states that slots allow,
:math:`x, y_s \ge 0` with :math:`X \le 1` and :math:`\sum_i y_{s,i} \le B (1-X)`, measures are
bounded and, in the sum of absolute differences of the occupancies, Lipschitz, as Theorem 5.1 asks:

* a difference of two occupancies is at most the larger one, 1 for prefills and B for solo decodes;
  it changes by at most what the two occupancies change together, so that the constant is 1, and
  a class that moves alone attains it;
* the TPOT lies between :math:`1/\gamma` (X = 0) and :math:`\tau` (X = 1); its derivative
  :math:`K/(B-X)^2` is largest in absolute value at X = 1, where it is :math:`|K|/(B-1)^2`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .errors import require_number
from .rates import Rates
from .sli import DecodeFairness, PrefillFairness, TimePerOutputToken, name_and_number

Occupancies = Mapping[str, Any]
"""For every stage one entry per class: a number, or an array over many states."""


@dataclass(frozen=True)
class _LargestDifferencePenalty:
    """``weight`` times the largest difference of two classes in one stage."""

    stage: ClassVar[str]
    weight: float

    def measure(self, rates: Rates, occupancies: Occupancies) -> Any:
        """The largest difference, in the arithmetic of the occupancies."""
        return largest_difference(occupancies[self.stage])

    def steepness(self, rates: Rates) -> Any:
        """Lipschitz constant of the measure (module docstring)."""
        return 1


@dataclass(frozen=True)
class PrefillFairnessPenalty(_LargestDifferencePenalty):
    """``weight`` times the largest difference of prefill occupancies, (44)."""

    name: ClassVar[str] = PrefillFairness.name
    stage: ClassVar[str] = "prefill"
    fairness: ClassVar[PrefillFairness] = PrefillFairness(0)

    def __post_init__(self) -> None:
        require_number(f"{self.name} penalty", self.weight, "revenue per prefill", at_least=0)

    def largest(self, rates: Rates) -> Any:
        """The largest measure of any state, where there are two classes or more."""
        return 1


@dataclass(frozen=True)
class DecodeFairnessPenalty(_LargestDifferencePenalty):
    """``weight`` times the largest difference of solo decode occupancies, (46)."""

    name: ClassVar[str] = DecodeFairness.name
    stage: ClassVar[str] = "solo_decode"
    fairness: ClassVar[DecodeFairness] = DecodeFairness(0)

    def __post_init__(self) -> None:
        require_number(f"{self.name} penalty", self.weight, "revenue per decode", at_least=0)

    def largest(self, rates: Rates) -> Any:
        """The largest measure of any state: every slot decodes one of two classes or more."""
        return rates.batch


@dataclass(frozen=True)
class TimePerOutputTokenPenalty:
    """``weight`` times the average TPOT of full slots, (48)."""

    name: ClassVar[str] = TimePerOutputToken.name
    weight: float

    def __post_init__(self) -> None:
        require_number(f"{self.name} penalty", self.weight, "revenue per second", at_least=0)

    def measure(self, rates: Rates, occupancies: Occupancies) -> Any:
        """The average TPOT of full slots in seconds, in the arithmetic of the occupancies."""
        return self.at_share(rates, sum(occupancies["prefill"]))

    @staticmethod
    def at_share(rates: Rates, mixed_share: Any) -> Any:
        """A + K / (B - X), also where B = 1 and it does not depend on X."""
        constant, curvature = time_per_output_token_terms(rates)
        return constant + (curvature / (rates.batch - mixed_share) if curvature else 0)

    def largest(self, rates: Rates) -> Any:
        """The largest measure of any state: with every GPU mixed, or none."""
        return max(self.at_share(rates, 0), self.at_share(rates, 1))

    def steepness(self, rates: Rates) -> Any:
        """Lipschitz constant of the measure (module docstring)."""
        _, curvature = time_per_output_token_terms(rates)
        return abs(curvature) / (rates.batch - 1) ** 2 if curvature else 0


FairnessPenalty = PrefillFairnessPenalty | DecodeFairnessPenalty
Penalty = FairnessPenalty | TimePerOutputTokenPenalty

_PENALTIES: tuple[type[Any], ...] = (
    PrefillFairnessPenalty,
    DecodeFairnessPenalty,
    TimePerOutputTokenPenalty,
)


def penalty_names() -> tuple[str, ...]:
    """Names that `penalty_named` knows."""
    return tuple(kind.name for kind in _PENALTIES)


def penalty_named(text: str) -> Penalty:
    """The penalty written as ``name=weight``.

    >>> penalty_named("prefill-fairness=100")
    PrefillFairnessPenalty(weight=100.0)
    """
    name, number = name_and_number("penalty", text, penalty_names())
    penalty: Penalty = next(kind for kind in _PENALTIES if kind.name == name)(number)
    return penalty


def largest_difference(values: Sequence[Any]) -> Any:
    """The largest value minus the smallest; of arrays, element by element.

    >>> from fractions import Fraction
    >>> largest_difference([Fraction(1, 2), Fraction(1, 3)])
    Fraction(1, 6)
    """
    stacked = np.asarray(values)
    return stacked.max(axis=0) - stacked.min(axis=0)


def time_per_output_token_terms(rates: Rates) -> tuple[Any, Any]:
    """A and K of the average TPOT A + K / (B - X), in seconds and slot-seconds."""
    solo_time, others = rates.mixed_time / rates.kappa, rates.batch - 1
    constant = rates.batch * solo_time - rates.mixed_time * others
    return constant, rates.batch * others * (rates.mixed_time - solo_time)
