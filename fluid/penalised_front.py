r"""Program (49) with one penalty, along the exact front of what it penalises.

A second route to `kurtz.fluid.penalised`, without a convex solver: the optimum is the maximum over
t of V(t) minus the penalty at t, where V is the exact value under the limit t.

* l_1, l_2: V is the front of the fairness SLI and the penalty is linear, so that the maximum is
  at a breakpoint, exactly.
* l_3: V is the front of the mixed share X and :math:`\eta_3' (A + K/(B-X))` is convex. On a piece
  of slope s the maximum is at the end or at :math:`X = B - \sqrt{\eta_3' K / s}`.
"""

from __future__ import annotations

import math
from fractions import Fraction

from ..theory.network import ServingNetwork, exact
from ..theory.penalties import Penalty, TimePerOutputTokenPenalty, time_per_output_token_terms
from ..theory.rates import exact_rates
from .parametric import mixed_share_front, sli_front


def maximum_along_front(network: ServingNetwork, penalty: Penalty) -> float | Fraction:
    """Optimum of bundled program (49) with ``penalty`` alone; a fraction for l_1 and l_2."""
    weight = exact(penalty.weight)
    if not isinstance(penalty, TimePerOutputTokenPenalty):
        most = Fraction(network.gpu.batch)
        front = sli_front(network, type(penalty.fairness), Fraction(0), most)
        return max(front.value(limit) - weight * limit for limit in front.breakpoints)
    rate = exact_rates(network)
    _, curvature = time_per_output_token_terms(rate)
    best = -math.inf
    for piece in mixed_share_front(network, Fraction(0), Fraction(1)).pieces:
        shares = [float(piece.start), float(piece.end)]
        if piece.slope > 0 and curvature > 0:
            flat = rate.batch - math.sqrt(weight * curvature / piece.slope)
            shares.append(min(max(flat, shares[0]), shares[1]))
        for share in shares:
            lost = penalty.weight * float(penalty.at_share(rate, share))
            value = float(piece.value(Fraction(share))) - lost
            best = max(best, value)
    return best
