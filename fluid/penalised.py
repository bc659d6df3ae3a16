r"""Program (49): revenue minus penalties, and SLIs that are not linear.

As for the SLIs of the paper, q_d = 0 is imposed unless a decode queue is allowed.
The penalties l_1 and l_2 become linear with one epigraph variable each; l_3 is convex in
:math:`X = \sum_i x_i` (`kurtz.theory.penalties`); Jain's index (ours) is the second-order cone
:math:`\sqrt{\text{index} \cdot I}\,\lVert s \rVert \le \sum_i s_i` of the served shares s.

Steps:

1. CVXPY solves the convex program in floating point; where it fails, as it can for weights that
   dwarf the revenue, the exact optimum without l_3 is the start, so that infeasibility is decided
   exactly (with a cone: that of equal shares, if there is one); with l_3 the X is then moved to
   where the penalty is as steep as the revenue is at that X, for the objective is flat around
   its maximum;
2. upper bound, exact: replace l_3 by its tangent at CVXPY's X, and the cone by the half-space
   :math:`r\, u \cdot s \le \sum_i s_i` that touches it at CVXPY's s, where u and r are rounded so
   that :math:`\lVert u \rVert \le 1` and :math:`r^2 \le \text{index} \cdot I`. The optimum of this
   linear program is not below that of (49); at a solution of (49) the two agree to first order;
3. a feasible point, exact: the lexicographically first vertex of the linear program with X fixed
   to CVXPY's value, or with Jain's index all x fixed, moved towards equal shares as far as
   exact feasibility asks for. Its objective, in fractions, is the value of the plan.

The difference of the two is a certified bound on the gap; with l_1 and l_2 alone it is 0.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..theory.errors import LARGEST, InvalidInput
from ..theory.network import ServingNetwork
from ..theory.penalties import Penalty
from ..theory.sli import Sli
from ..theory.steady_state import OCCUPANCIES, block
from .penalised_program import PenalisedProgram


@dataclass(frozen=True)
class PenalisedPlan:
    """A feasible point of program (49) with an exact bound on its distance from the optimum.

    Attributes
    ----------
    value
        Revenue minus penalties per GPU-second, exact.
    upper_bound
        No feasible point has a larger value; exact.
    revenue
        Revenue per GPU-second, exact.
    shadow_prices
        Prices of the constraints in the linear program behind ``upper_bound``.
    solver_value
        What CVXPY found in floating point; None if it found no optimum, as it can with weights
        that dwarf the revenue, and exact arithmetic started from a point of its own.
    """

    network: ServingNetwork
    pricing: str
    slis: tuple[Sli, ...]
    penalties: tuple[Penalty, ...]
    value: Fraction
    upper_bound: Fraction
    revenue: Fraction
    prefill: tuple[Fraction, ...]
    mixed_decode: tuple[Fraction, ...]
    solo_decode: tuple[Fraction, ...]
    prefill_queue: tuple[Fraction, ...]
    decode_queue: tuple[Fraction, ...]
    shadow_prices: Mapping[str, Fraction]
    solver_value: float | None

    @property
    def mixed_share(self) -> Fraction:
        """Share of GPUs that run prefills: the sum of the prefill occupancies."""
        return sum(self.prefill, Fraction(0))

    @property
    def gap(self) -> Fraction:
        """The optimum is at most so much larger than ``value``."""
        return self.upper_bound - self.value

    @property
    def certified(self) -> bool:
        """Whether ``gap`` is below the resolution of floating point at ``value``."""
        return self.gap <= abs(self.value) * Fraction(sys.float_info.epsilon)


def penalised_plan(
    network: ServingNetwork,
    pricing: str = "bundled",
    slis: Sequence[Sli] = (),
    penalties: Sequence[Penalty] = (),
    *,
    decode_queue_allowed: bool = False,
) -> PenalisedPlan:
    """Maximise revenue minus ``penalties`` under ``slis``; other parameters as for `plan`.

    The penalties are those of `kurtz.theory.penalties`, and the SLIs may include Jain's index.

    Raises
    ------
    InfeasibleError
        Some constraints clash.
    InvalidInput
        A penalty is given twice, or one on the TPOT where kappa < 1: it is not convex then; or
        penalties are beyond the range of floating point.
    """
    program = PenalisedProgram(network, pricing, slis, penalties, decode_queue_allowed)
    found, solver_value = program.start()
    points = dict.fromkeys((tuple(found), tuple(program.polished(found))))
    upper, prices = min((program.upper_bound(point) for point in points), key=lambda pair: pair[0])
    primal = max((program.feasible_point(point) for point in points), key=program.objective)
    value = program.objective(primal)
    if abs(value) > LARGEST:
        weights = [penalty.weight for penalty in penalties]
        raise InvalidInput("penalties", weights, "weights with a finite value of program (49)")
    class_count = len(network.classes)
    return PenalisedPlan(
        network=network,
        pricing=pricing,
        slis=tuple(slis),
        penalties=tuple(penalties),
        value=value,
        upper_bound=upper,
        revenue=program.revenue(primal),
        shadow_prices=prices,
        solver_value=solver_value,
        **{name: primal[block(name, class_count)] for name in OCCUPANCIES},
    )
