r"""The separate program (42) equals a concave maximisation in one variable (derived).

With theta > 0 and X the sum of x, the program is worth the maximum over X of
:math:`c_p (C/\tau) X + (c_d/\tau) \min\{W(X), (B-1)X + \kappa B(1-X)\}`, where W(X) is the most
decode work :math:`\sum C (D/P) x` that X prefills create. No condition on kappa is needed: decodes
that do not fit wait until they give up, and q_d costs nothing here.

Forward: at a feasible point the decode work done, :math:`V = \sum y_m + \kappa \sum y_s`, is at
most the work created and at most the capacity. Among all x of the same sum, the greedy one g, with
classes of D/P above some threshold f at their bound and classes below at 0, creates the most:
:math:`(D/P - f)(g - x) \ge 0` for every class.

Backward: given x and V at most both, put V on solo slots as far as they reach,
:math:`Y_s = \min(V/\kappa, B(1-X))`, the rest :math:`Y_m = V - \kappa Y_s` on mixed slots, both
shared in proportion to the work created; what is not done waits, :math:`q_d`, and what is not
prefilled waits, :math:`q_p`.
"""

from __future__ import annotations

import sympy

from . import symbols as s
from .kernel import ClassSum, Derivation, Identity, Inequality


def derivation() -> Derivation:
    """Both directions of the equivalence, step by step."""
    greedy = sympy.Symbol("g", nonnegative=True)
    threshold, margin = sympy.symbols("f a", nonnegative=True)
    total = ClassSum((*s.CLASS_SYMBOLS, greedy))
    ratio = s.OUTPUT / s.PROMPT
    gain = total((ratio - threshold) * (greedy - s.PREFILL))

    created = s.PREFILL_RATE / s.MIXED_RATE * s.PREFILL
    done, all_work = sympy.Symbol("V", nonnegative=True), sympy.Symbol("W", positive=True)
    share = created / all_work
    solo_all = sympy.Symbol("Y_s", nonnegative=True)
    x, mixed, solo = (total(e) for e in (s.PREFILL, s.MIXED, s.SOLO))
    capacity = (s.BATCH - 1) * x + s.KAPPA * s.BATCH * (1 - x)
    completions = s.MIXED_RATE * s.MIXED + s.SOLO_RATE * s.SOLO
    waiting = (s.PREFILL_RATE * s.PREFILL - s.MIXED_RATE * share * done) / s.PATIENCE
    solo_rate, kappa = s.physical_solo_rate(), s.physical(s.KAPPA)
    bound = s.ARRIVAL / s.PREFILL_RATE - s.PREFILL
    steps = (
        Identity(
            "a prefill slot earns c_p C / tau, whatever the class",
            s.PREFILL_PRICE * s.PROMPT * s.physical(s.PREFILL_RATE),
            s.PREFILL_PRICE * s.CHUNK / s.MIXED_TIME,
        ),
        Identity(
            "decodes earn c_d / tau per unit of work y_m + kappa y_s, whatever the class",
            s.DECODE_PRICE * s.OUTPUT * (s.physical(s.MIXED_RATE) * s.MIXED + solo_rate * s.SOLO),
            s.DECODE_PRICE / s.MIXED_TIME * (s.MIXED + kappa * s.SOLO),
        ),
        Identity(
            "a prefill occupancy creates decode work C D / P",
            s.physical(s.PREFILL_RATE / s.MIXED_RATE),
            s.CHUNK * ratio,
        ),
        Inequality(
            "forward: prefill occupancy is at most lambda / mu_p",
            s.PREFILL,
            (s.PATIENCE * s.PREFILL_QUEUE + s.PREFILL_RATE * s.PREFILL) / s.PREFILL_RATE,
            ((s.PATIENCE, s.PREFILL_QUEUE, 1 / s.PREFILL_RATE),),
        ),
        Inequality(
            "forward: decode work done is at most the work created",
            s.MIXED + s.KAPPA * s.SOLO,
            created.subs(s.PREFILL, (completions + s.PATIENCE * s.DECODE_QUEUE) / s.PREFILL_RATE),
            ((s.PATIENCE, s.DECODE_QUEUE, 1 / s.MIXED_RATE),),
        ),
        Inequality(
            "forward: decode work done is at most the capacity",
            mixed + s.KAPPA * solo,
            capacity,
            (((s.BATCH - 1) * x - mixed,), (s.KAPPA, s.BATCH * (1 - x) - solo)),
        ),
        Inequality(
            "greedy: a class with D/P above the threshold stands at its bound",
            sympy.Integer(0),
            ((threshold + margin) - threshold) * bound,
            ((margin, bound),),
        ),
        Inequality(
            "greedy: a class with D/P below the threshold is not prefilled",
            sympy.Integer(0),
            ((threshold - margin) - threshold) * (0 - s.PREFILL),
            ((margin, s.PREFILL),),
        ),
        Inequality(
            "greedy: no x of the same sum creates more work",
            total(ratio * s.PREFILL),
            total(ratio * greedy) + threshold * (x - total(greedy)),
            ((gain,),),
        ),
        Inequality(
            "backward: the prefill queue that balances the flow is nonnegative",
            sympy.Integer(0),
            (s.ARRIVAL - s.PREFILL_RATE * s.PREFILL) / s.PATIENCE,
            ((bound, s.PREFILL_RATE / s.PATIENCE),),
        ),
        Inequality(
            "backward: the decode queue that balances the flow is nonnegative",
            sympy.Integer(0),
            waiting,
            ((all_work - done, s.PREFILL_RATE * s.PREFILL / (s.PATIENCE * all_work)),),
        ),
        Identity(
            "backward: proportional shares keep every decode flow balance",
            s.MIXED_RATE * share * (done - s.KAPPA * solo_all)
            + s.SOLO_RATE * share * solo_all
            + s.PATIENCE * waiting,
            s.PREFILL_RATE * s.PREFILL,
        ),
        Identity(
            "backward: the shares add up to the work done",
            (total(share * (done - s.KAPPA * solo_all)) + s.KAPPA * total(share * solo_all)).subs(
                all_work, total(created)
            ),
            done,
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
        Inequality(
            "backward: where solo slots do not suffice, the rest fits on mixed slots",
            done - s.KAPPA * s.BATCH * (1 - x),
            (s.BATCH - 1) * x,
            ((capacity - done,),),
        ),
    )
    return Derivation(
        title="the separate program is concave in one variable",
        hypotheses=(
            ("mixed decode capacity", (s.BATCH - 1) * x - mixed),
            ("solo decode capacity", s.BATCH * (1 - x) - solo),
            ("prefill capacity", 1 - x),
            ("prefill occupancy at most lambda / mu_p", bound),
            ("B >= 1", s.BATCH - 1),
            ("the gains of greedy add up to a nonnegative number", gain),
            ("decode work done at most the work created", all_work - done),
            ("decode work done at most the capacity", capacity - done),
        ),
        steps=steps,
        conclusion="at every X the two are worth the same, and W is concave since greedy takes the "
        "classes in descending order of D/P",
    )
