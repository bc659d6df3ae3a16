r"""What a target on the TPOT costs near 1/gamma, and where revenue saturates in B (derived).

TPOT: with :math:`u = \eta_3 - 1/\gamma \ge 0` and :math:`k = (B-1)(\tau - 1/\gamma) > 0` the
constraint (47) is :math:`X \le \bar X(u) = B u / (k + u)`, which is concave and rises at most at
the rate B/k. With q_d = 0, revenue is at most :math:`p X` with the largest profit
:math:`p = \max_i w_i \mu_{p,i}`. So revenue is at most :math:`p (B/k)\, u`: it falls to 0 at
:math:`1/\gamma` along a line of finite slope. The price of the target stays bounded; relative
to the revenue that is left, it grows like 1/u.

Saturation: everybody is served when the two rows of the knapsack hold at
:math:`x = \bar x`. With the total :math:`\bar X = \sum \bar x_i \le 1` and the work
:math:`\bar W = \sum C \varphi_i \bar x_i` the decode row says
:math:`B \ge (\bar W + \bar X) / (\bar X + \kappa (1 - \bar X))`.
"""

from __future__ import annotations

import sympy

from . import symbols as s
from .kernel import Derivation, Identity, Inequality


def derivation() -> Derivation:
    """The algebra of both statements."""
    room, spread, others = sympy.symbols("u k h", positive=True)
    share, profit, weight = sympy.symbols("X p w", nonnegative=True)
    batch = others + 1
    solo_time = 1 / s.GAMMA
    limit = solo_time + room
    mixed_time = solo_time + spread / others  # k = (B - 1) (tau - 1/gamma)
    bound = batch * room / (spread + room)
    left = mixed_time * others * share + solo_time * batch * (1 - share)
    right = limit * (others * share + batch * (1 - share))
    x, work = s.total(s.PREFILL), sympy.Symbol("W", nonnegative=True)
    spare = s.KAPPA * s.BATCH - s.BATCH + 1
    steps = (
        Identity(
            "the TPOT constraint is (k + u) X <= B u",
            left - right,
            (spread + room) * share - batch * room,
        ),
        Identity(
            "at the largest X the TPOT is the target",
            (left / (right / limit)).subs(share, bound),
            limit,
        ),
        Identity(
            "the largest X rises at the rate B k / (k + u)^2",
            sympy.diff(bound, room),
            batch * spread / (spread + room) ** 2,
        ),
        Inequality(
            "the largest X is concave in the target",
            sympy.Integer(0),
            -sympy.diff(bound, room, 2),
            ((2 * batch * spread / (spread + room) ** 3,),),
        ),
        Inequality(
            "the largest X is at most (B / k) u",
            bound,
            batch / spread * room,
            ((batch * room**2 / (spread * (spread + room)),),),
        ),
        Inequality(
            "with q_d = 0 a class earns at most p per prefill occupancy",
            weight * s.PREFILL_RATE * s.PREFILL,
            profit * s.PREFILL,
            ((profit - weight * s.PREFILL_RATE, s.PREFILL),),
        ),
        Inequality(
            "revenue is at most p (B / k) u",
            profit * share,
            profit * batch / spread * room,
            (
                (profit, bound - share),
                (profit, batch * room**2 / (spread * (spread + room))),
            ),
        ),
        Identity(
            "the decode row with everybody served asks for W + X <= B (X + kappa (1 - X))",
            s.KAPPA * s.BATCH - (work + spare * x),
            s.BATCH * (x + s.KAPPA * (1 - x)) - (work + x),
        ),
    )
    return Derivation(
        title="price of a TPOT target and saturation in B",
        hypotheses=(
            ("p is the largest profit", profit - weight * s.PREFILL_RATE),
            ("the target on the TPOT is met", bound - share),
        ),
        steps=steps,
        conclusion="revenue under a TPOT target is at most p B / k times the distance of the "
        "target from 1/gamma; everybody is served from B = (W + X) / (X + kappa (1 - X)) on",
    )
