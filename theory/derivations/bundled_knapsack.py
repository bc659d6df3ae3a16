r"""The bundled program (40) equals a knapsack with two rows when kappa >= (B-1)/B (derived).

For any kappa, the knapsack equals the program with q_d = 0 imposed; kappa >= (B-1)/B comes in
through Proposition 3.2 alone, which says that q_d = 0 costs nothing.

Forward: a point with q_d = 0 satisfies the knapsack's rows and earns
:math:`\sum w_i \mu_{p,i} x_i`. Backward: given x, all decode work
:math:`W = \sum (\mu_{p,i}/\mu_{m,i}) x_i` is put on solo slots as far as they reach,
:math:`Y_s = \min(W/\kappa, B(1-X))`, the rest :math:`Y_m = W - \kappa Y_s` on mixed slots, both
shared among the classes in proportion to their work (with W = 0 there is nothing to share), and
:math:`q_p = (\lambda - \mu_p x) / \theta`, or x at its bound where theta = 0.

A vertex of the knapsack has I linearly independent tight constraints, of which at most two are
rows: at least I - 2 classes stand at a bound.
"""

from __future__ import annotations

import sympy

from . import symbols as s
from .kernel import Derivation, Identity, Inequality


def derivation() -> Derivation:
    """Both directions of the equivalence, step by step."""
    ratio = s.OUTPUT / s.PROMPT
    work = s.PREFILL_RATE / s.MIXED_RATE * s.PREFILL
    x, mixed, solo = (s.total(e) for e in (s.PREFILL, s.MIXED, s.SOLO))
    spare = s.CONDITION
    weight = sympy.Symbol("w", nonnegative=True)
    all_work = sympy.Symbol("W", positive=True)
    share = work / all_work
    mixed_all, solo_all = sympy.symbols("Y_m Y_s", nonnegative=True)
    balanced = s.MIXED_RATE / s.PREFILL_RATE * s.MIXED + s.SOLO_RATE / s.PREFILL_RATE * s.SOLO
    row_slack = s.KAPPA * s.BATCH - all_work - spare * x
    steps = (
        Identity(
            "solo decode is kappa times as fast as mixed decode",
            s.physical_solo_rate(),
            s.physical(s.SOLO_RATE),
        ),
        Identity(
            "decode work per unit of prefill occupancy is C D / P",
            s.physical(s.PREFILL_RATE / s.MIXED_RATE),
            s.CHUNK * ratio,
        ),
        Identity(
            "profit per unit of prefill occupancy is (C / tau) (c_p + c_d D / P)",
            s.physical_weight() * s.physical(s.PREFILL_RATE),
            s.CHUNK / s.MIXED_TIME * (s.PREFILL_PRICE + s.DECODE_PRICE * ratio),
        ),
        Identity(
            "forward: with q_d = 0 revenue is w mu_p x",
            weight * s.PREFILL_RATE * balanced,
            weight * (s.MIXED_RATE * s.MIXED + s.SOLO_RATE * s.SOLO),
        ),
        Identity(
            "forward: with q_d = 0 the decode work is y_m + kappa y_s, summed over classes",
            s.total(sympy.expand(s.PREFILL_RATE / s.MIXED_RATE * balanced)),
            mixed + s.KAPPA * solo,
        ),
        Inequality(
            "forward: the decode row follows from the two decode capacities",
            mixed + s.KAPPA * solo + spare * x,
            s.KAPPA * s.BATCH,
            (((s.BATCH - 1) * x - mixed,), (s.KAPPA, s.BATCH * (1 - x) - solo)),
        ),
        Inequality(
            "backward: the prefill queue that balances the flow is nonnegative",
            sympy.Integer(0),
            (s.ARRIVAL - s.PREFILL_RATE * s.PREFILL) / s.PATIENCE,
            ((s.ARRIVAL / s.PREFILL_RATE - s.PREFILL, s.PREFILL_RATE / s.PATIENCE),),
        ),
        Inequality(
            "backward: where solo slots suffice, no mixed decode is needed",
            sympy.Integer(0),
            (s.BATCH - 1) * x,
            ((s.BATCH - 1, x),),
        ),
        Inequality(
            "backward: solo slots are nonnegative",
            sympy.Integer(0),
            s.BATCH * (1 - x),
            ((s.BATCH, 1 - x),),
        ),
        Identity(
            "backward: proportional shares keep every decode flow balance",
            s.MIXED_RATE * share * (all_work - s.KAPPA * solo_all) + s.SOLO_RATE * share * solo_all,
            s.PREFILL_RATE * s.PREFILL,
        ),
        Inequality(
            "backward: where solo slots do not suffice, the rest fits on mixed slots",
            all_work - s.KAPPA * s.BATCH * (1 - x),
            (s.BATCH - 1) * x,
            ((row_slack,),),
        ),
        Identity(
            "backward: the shares add up to the totals",
            s.total(share * mixed_all).subs(all_work, s.total(work)),
            mixed_all,
        ),
    )
    return Derivation(
        title="the bundled program is a two-row knapsack",
        hypotheses=(
            ("mixed decode capacity", (s.BATCH - 1) * x - mixed),
            ("solo decode capacity", s.BATCH * (1 - x) - solo),
            ("decode row of the knapsack", row_slack),
            ("prefill row of the knapsack", 1 - x),
            ("upper bound of the knapsack", s.ARRIVAL / s.PREFILL_RATE - s.PREFILL),
            ("B >= 1", s.BATCH - 1),
        ),
        steps=steps,
        conclusion="the program with q_d = 0 and the knapsack have the same prefill occupancies "
        "and the same value, which is R* by Proposition 3.2",
    )
