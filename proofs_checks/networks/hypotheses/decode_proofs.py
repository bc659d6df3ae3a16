r"""Short proofs on decode that do without a hypothesis (derived); SymPy checks every step.

**Without patience decode work is bounded, not vanishing.** By (61) the work W in the decode stages
changes at rate :math:`A(x) - (y_m + \kappa y_s) - \sum_i \theta_i q_{d,i} / \mu_{m,i}`. While
requests wait all slots work, hence :math:`W' \le A(x) - A(x^*)`, whose integral is finite
since prefill tracks its targets (`prefill_proofs`); and while none waits W is at most what the
slots hold. With :math:`\theta = 0` completions are inflow minus the change of a bounded content:
their rate tends to :math:`\mu_{p,i} x_i^*`.
"""

from __future__ import annotations

import sympy

from ....theory.derivations import Derivation, Identity, Inequality
from ....theory.steady_state import bundled_program
from .symbols import HORIZON, TIME, nonnegative, positive

IN_ORDER = "class i comes before class j in the order"


def decode_content_bounded() -> Derivation:
    """Decode work is bounded and completions match the plan, even if nobody abandons."""
    rate, mixed_rate, kappa, slowest, target = positive("mu_p mu_m kappa mu x^*")
    prefill, mixed, solo, buffer, patience = nonnegative("x y_m y_s q_d theta")
    inflow, planned, capacity, lost = nonnegative("A A^* C^* L")
    slots, admitted = nonnegative("s u_d")
    prefilled, completed, abandoned, routed = nonnegative("S_p S_d B_d U_d")
    ratio = rate / mixed_rate
    error = sympy.exp(-slowest * TIME)
    spent = sympy.integrate(error, (TIME, 0, HORIZON))
    return Derivation(
        title="decode work stays bounded without patience",
        hypotheses=(
            ("A* <= C*, as program (40) with q_d* = 0 says", capacity - planned),
            ("prefill tracks its target", target + slots * error - prefill),
        ),
        steps=(
            Identity(
                "equation (61), per class",
                (
                    (rate * prefill - admitted - patience * buffer)
                    + (admitted - mixed_rate * mixed - kappa * mixed_rate * solo)
                )
                / mixed_rate,
                ratio * prefill - (mixed + kappa * solo) - patience / mixed_rate * buffer,
            ),
            Inequality(
                "while decodes wait all slots work, and W grows no faster than A - A*",
                inflow - capacity - lost,
                inflow - planned,
                ((capacity - planned,), (lost,)),
            ),
            Inequality(
                "A - A* decays, per class",
                ratio * (prefill - target),
                ratio * slots * error,
                ((ratio, target + slots * error - prefill),),
            ),
            Inequality(
                "its integral is bounded for all time",
                spent,
                1 / slowest,
                ((sympy.exp(-slowest * HORIZON), 1 / slowest),),
            ),
            Identity(
                "completions are prefills minus abandonments and the growth of the content",
                completed,
                prefilled - abandoned - ((prefilled - routed - abandoned) + (routed - completed)),
            ),
        ),
        conclusion="with theta = 0 revenue tends to sum w_i mu_p,i x_i* = R*",
    )


def priority_attains_separate_value() -> Derivation:
    """No point of program (42) earns more than its priority order at the same share, any kappa.

    Prompt revenue depends on sum x alone, which is the same. Decode revenue is decode work at one
    price; the work is at most what prefill brings in, most under the priority order, and at most
    what the slots do. One buffer does the lesser of the two.
    """
    price, step, length, rate, kappa = positive("c_d tau D mu_p kappa")
    mixed, solo, queue, patience, share = nonnegative("y_m y_s q_d theta s")
    more, less, moved = nonnegative("a_i a_j e")
    batch = sympy.Symbol("B", positive=True)
    mixed_rate = 1 / (step * length)
    work = mixed + kappa * solo
    prefill = (patience * queue + mixed_rate * work) / rate  # the decode balance of (42)
    capacity = (batch - 1) * share + kappa * batch * (1 - share)
    slots = ((batch - 1) * share - mixed, batch * (1 - share) - solo)
    return Derivation(
        title="the priority order attains the separate program's value for any kappa",
        hypotheses=(
            ("mixed decode slots", slots[0]),
            ("solo decode slots", slots[1]),
            (IN_ORDER, more - less),
        ),
        steps=(
            Identity(
                "output revenue is decode work at one price for all classes",
                price * length * (mixed_rate * mixed + kappa * mixed_rate * solo),
                price / step * work,
            ),
            Inequality(
                "a class's decode work is at most what its prefills bring in",
                work,
                rate / mixed_rate * prefill,
                ((patience, queue, 1 / mixed_rate),),
            ),
            Inequality(
                "and all work at most what slots do",
                work,
                capacity,
                ((slots[0],), (kappa, slots[1])),
            ),
            Inequality(
                "prefills moved to a class before bring in no less work",
                less * moved,
                more * moved,
                ((more - less, moved),),
            ),
        ),
        conclusion="prioritize-and-route earns the value of (42) at every kappa",
    )


def pool_with_a_class_in_balance() -> Derivation:
    """A full weighted pool in which one of two classes has no queue: both modes lead to y*.

    With q_1 = 0 class 1 enters at rate min(a_1, v_1 T), its inflow or its weight's share of the
    freed slots: two affine laws with the same zero, both decreasing in y_1.
    """
    first, second, target, other = positive("mu_1 mu_2 y_1^* y_2^*")
    level = sympy.Symbol("y_1", nonnegative=True)
    weight = first * target / (first * target + second * other)
    freed = first * level + second * (target + other - level)
    inflow = first * target
    return Derivation(
        title="a pool with one class in balance tends to its targets",
        hypotheses=(),
        steps=(
            Identity(
                "entering as it arrives, the class relaxes to its target at rate mu_1",
                inflow - first * level,
                first * (target - level),
            ),
            Identity(
                "entering by its weight, it relaxes to the same target",
                weight * freed - first * level,
                (first * (1 - weight) + weight * second) * (target - level),
            ),
        ),
        conclusion="switching between the two never leads away from y*",
    )


def waiting_fills_the_pools() -> Derivation:
    """Without SLIs a plan with a decode queue has both pools full: Proposition 13.5's hypothesis.

    If a slot were free in either pool while a class waits that gives up, serving more of it would
    earn more, within all constraints.
    """
    weight, rate, patience, moved = positive("w mu theta e")
    decode, queue, flow = nonnegative("y q_d a")
    served, left = decode + moved, queue - rate * moved / patience
    return Derivation(
        title="in an optimum with a decode queue no decode slot is free",
        hypotheses=(),
        steps=(
            Identity(
                "the decode balance stays as it is",
                flow - patience * left - rate * served,
                flow - patience * queue - rate * decode,
            ),
            Inequality(
                "and revenue rises with every request that is served",
                weight * rate * decode,
                weight * rate * served,
                ((weight, rate, moved),),
            ),
        ),
        conclusion="q_d,i* > 0 with theta_i > 0 and w_i > 0 only where both pools are full",
    )


def without_patience_no_decode_queue_in_program() -> bool:
    """Whether a class with theta = 0 has its q_d in no row and not in the objective of (40)."""
    program = bundled_program(1)
    patience, buffer = (
        next(symbol for symbol in symbols if symbol.name == name)
        for symbols, name in ((program.parameters, "theta_0"), (program.variables, "q_d_0"))
    )
    expressions = (
        program.objective,
        *(constraint.left - constraint.right for constraint in program.constraints),
    )
    return all(buffer not in sympy.expand(e.subs(patience, 0)).free_symbols for e in expressions)
