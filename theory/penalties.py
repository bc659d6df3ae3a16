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
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from .errors import require_number
from .rates import Rates
from .sli import DecodeFairness, PrefillFairness, TimePerOutputToken, name_and_number


@dataclass(frozen=True)
class PrefillFairnessPenalty:
    """``weight`` times the largest difference of prefill occupancies, (44)."""

    name: ClassVar[str] = PrefillFairness.name
    stage: ClassVar[str] = "prefill"
    fairness: ClassVar[PrefillFairness] = PrefillFairness(0)
    weight: float

    def __post_init__(self) -> None:
        require_number(f"{self.name} penalty", self.weight, "revenue per prefill", at_least=0)


@dataclass(frozen=True)
class DecodeFairnessPenalty:
    """``weight`` times the largest difference of solo decode occupancies, (46)."""

    name: ClassVar[str] = DecodeFairness.name
    stage: ClassVar[str] = "solo_decode"
    fairness: ClassVar[DecodeFairness] = DecodeFairness(0)
    weight: float

    def __post_init__(self) -> None:
        require_number(f"{self.name} penalty", self.weight, "revenue per decode", at_least=0)


@dataclass(frozen=True)
class TimePerOutputTokenPenalty:
    """``weight`` times the average TPOT of full slots, (48)."""

    name: ClassVar[str] = TimePerOutputToken.name
    weight: float

    def __post_init__(self) -> None:
        require_number(f"{self.name} penalty", self.weight, "revenue per second", at_least=0)


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
    """The largest value minus the smallest."""
    return max(values) - min(values)


def time_per_output_token_terms(rates: Rates) -> tuple[Any, Any]:
    """A and K of the average TPOT A + K / (B - X), in seconds and slot-seconds."""
    solo_time, others = rates.mixed_time / rates.kappa, rates.batch - 1
    constant = rates.batch * solo_time - rates.mixed_time * others
    return constant, rates.batch * others * (rates.mixed_time - solo_time)
