r"""Short proofs that do without a hypothesis (derived); SymPy checks every step.

**The gate tracks x*, from any start.** Let :math:`r_i = x_i / x_i^*` for the planned classes and m
the least of them. With :math:`s = \sum_i x_i^*` prefill slots per GPU and
:math:`\underline\mu = \min_i \mu_{p,i}`, wherever m < 1 it rises at least at rate
:math:`\underline\mu (1 - m)`. For a class at the lowest level either has no queue; then its
arrivals are admitted at once, and :math:`\mu_{p,i} x_i^* \le \lambda_i`. Or it waits; then all
slots are full and every one that is freed by a class above the lowest level goes to the group A at
it, since the gate serves the lowest waiting class. (m is a minimum of Lipschitz functions; the
bound holds for each that attains it, hence for the derivative of m almost everywhere.) Therefore

.. math::

   |x_i(t) - x_i^*| \le s\, e^{-\underline\mu t} \quad\text{for all i and every initial state.}

Neither patience nor queues, batch or speeds of decode enter. This replaces Lemma 10.1, and classes
with :math:`x_i^* = 0` may be served as long as they yield to all others; of what they have in
prefill at the start, :math:`x_i(0) e^{-\mu_{p,i} t}` is left.

**Without patience decode work is bounded, not vanishing.** By (61) the work W in the decode stages
changes at rate :math:`A(x) - (y_m + \kappa y_s) - \sum_i \theta_i q_{d,i} / \mu_{m,i}`. While
requests wait all slots work, hence :math:`W' \le A(x) - A(x^*)`, whose integral is finite by the
first proof; and while none waits W is at most what the slots hold. With :math:`\theta = 0`
completions are inflow minus the change of a bounded content: their rate tends to
:math:`\mu_{p,i} x_i^*`.
"""

from __future__ import annotations

import sympy

from ....theory.derivations import Derivation, Identity, Inequality
from ....theory.steady_state import bundled_program

WITHIN_ARRIVALS = "targets are within the arrivals"
IN_ORDER = "class i comes before class j in the order"
_TIME, _HORIZON = sympy.symbols("t T", positive=True)


def _nonnegative(names: str) -> tuple[sympy.Symbol, ...]:
    return tuple(sympy.symbols(names, nonnegative=True, seq=True))


def _positive(names: str) -> tuple[sympy.Symbol, ...]:
    return tuple(sympy.symbols(names, positive=True, seq=True))


def prefill_tracking() -> Derivation:
    """The gate tracks x* exponentially, whatever the initial state."""
    slowest, rate, target, arrival = _positive("mu mu_i x_i^* lambda_i")
    group, others, surplus = _nonnegative("x_A^* x_O^* f")
    rest, total = _nonnegative("x_rest x_all")
    level = sympy.Symbol("m", real=True)
    rise = sympy.Symbol("m'", real=True)
    short = sympy.Symbol("e", nonnegative=True)  # s exp(-mu t) / s: relative shortfall allowed
    within = arrival - rate * target
    above = 1 - level
    steps = (
        Inequality(
            "a lowest class without a queue rises towards its target",
            rate * above,
            (arrival - rate * level * target) / target,
            ((within, 1 / target),),
        ),
        Inequality(
            "slots freed above the lowest level lift the waiting classes at it",
            slowest * above * group,
            slowest * (group + others - level * group) + surplus,
            ((slowest, others), (surplus,)),
        ),
        Inequality(
            "so exp(mu t) times the shortfall 1 - m never grows",
            sympy.diff(sympy.exp(slowest * _TIME), _TIME) * above
            - sympy.exp(slowest * _TIME) * rise,
            sympy.Integer(0),
            ((sympy.exp(slowest * _TIME), rise - slowest * above),),
        ),
        Inequality(
            "a class exceeds its target by no more than the others fall short",
            total - rest,
            target + short * others,
            ((target + others - total,), (rest - (1 - short) * others,)),
        ),
    )
    return Derivation(
        title="the gate tracks x* at rate min mu_p from every initial state",
        hypotheses=(
            (WITHIN_ARRIVALS, within),
            ("the lowest level is below target", above),
            ("the lowest level rises by the first two steps", rise - slowest * above),
            ("no more slots are taken than there are", target + others - total),
            ("the other classes have levels of at least 1 - e", rest - (1 - short) * others),
        ),
        steps=steps,
        conclusion="|x_i(t) - x_i*| <= s exp(-t min mu_p)",
    )


def prefill_below_target() -> Derivation:
    """Once all classes wait, prefill occupancies pass below their targets in finite time.

    All wait from some time on, since q_p -> q_p* > 0. All slots are then full, and a class above
    the lowest level, which is at most one, is not admitted. So a class above its target decays
    until it meets it, and one below never passes it.
    """
    target, others, rate = _positive("x_i^* x_O^* mu_i")
    total = sympy.Symbol("x_all", nonnegative=True)
    level = sympy.Symbol("m", nonnegative=True)
    above = sympy.Symbol("r", positive=True)  # level x_i / x_i* of a class at the start
    return Derivation(
        title="with all classes waiting, x <= x* from some time on",
        hypotheses=(
            ("no more slots are taken than there are", target + others - total),
            ("all levels are at least the lowest", total - level * (target + others)),
        ),
        steps=(
            Inequality(
                "the lowest level is at most one, so that only classes below target are admitted",
                level * (target + others),
                target + others,
                ((target + others - total,), (total - level * (target + others),)),
            ),
            Identity(
                "a class that is not admitted decays",
                sympy.diff(above * sympy.exp(-rate * _TIME), _TIME),
                -rate * above * sympy.exp(-rate * _TIME),
            ),
            Identity(
                "and from level r meets its target at time log(r) / mu_i",
                above * sympy.exp(-rate * sympy.log(above) / rate),
                sympy.Integer(1),
            ),
        ),
        conclusion="x <= x* and q_p > 0 from some time on, for any speeds of decode",
    )


def priority_attains_separate_value() -> Derivation:
    """No point of program (42) earns more than its priority order at the same share, any kappa.

    Prompt revenue depends on sum x alone, which is the same. Decode revenue is decode work at one
    price; the work is at most what prefill brings in, most under the priority order, and at most
    what the slots do. One buffer does the lesser of the two.
    """
    price, step, length, rate, kappa = _positive("c_d tau D mu_p kappa")
    mixed, solo, queue, patience, share = _nonnegative("y_m y_s q_d theta s")
    more, less, moved = _nonnegative("a_i a_j e")
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


def prefill_queue_limit() -> Derivation:
    """Once x follows x*, prefill queues go to q_p* at rate theta, if theta > 0."""
    patience, rate, decay, queue_target, target = _positive("theta mu_i mu q_p^* x_i^*")
    queue, prefill = _nonnegative("q_p x")
    arrival = rate * target + patience * queue_target
    off_queue, off = queue - queue_target, prefill - target
    together = arrival - patience * queue - rate * prefill  # (q_p + x)'
    response = (sympy.exp(-decay * _TIME) - sympy.exp(-patience * _TIME)) / (patience - decay)
    return Derivation(
        title="prefill queues tend to q_p* at rate theta",
        hypotheses=(),
        steps=(
            Identity(
                "deviations of queue and prefill obey one linear equation",
                together,
                -patience * (off_queue + off) + (patience - rate) * off,
            ),
            Identity(
                "with x = x* the queue tends to q_p* exactly at rate theta",
                together.subs(prefill, target),
                patience * (queue_target - queue),
            ),
            Identity(
                "an exponentially decaying disturbance leaves an exponentially decaying response",
                sympy.diff(response, _TIME),
                -patience * response + sympy.exp(-decay * _TIME),
            ),
        ),
        conclusion="q_p -> q_p* wherever theta > 0",
    )


def decode_content_bounded() -> Derivation:
    """Decode work is bounded and completions match the plan, even if nobody abandons."""
    rate, mixed_rate, kappa, slowest, target = _positive("mu_p mu_m kappa mu x^*")
    prefill, mixed, solo, buffer, patience = _nonnegative("x y_m y_s q_d theta")
    inflow, planned, capacity, lost = _nonnegative("A A^* C^* L")
    slots, admitted = _nonnegative("s u_d")
    prefilled, completed, abandoned, routed = _nonnegative("S_p S_d B_d U_d")
    ratio = rate / mixed_rate
    error = sympy.exp(-slowest * _TIME)
    spent = sympy.integrate(error, (_TIME, 0, _HORIZON))
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
                ((sympy.exp(-slowest * _HORIZON), 1 / slowest),),
            ),
            Identity(
                "completions are prefills minus abandonments and the growth of the content",
                completed,
                prefilled - abandoned - ((prefilled - routed - abandoned) + (routed - completed)),
            ),
        ),
        conclusion="with theta = 0 revenue tends to sum w_i mu_p,i x_i* = R*",
    )


def bounded_event_counts() -> Derivation:
    """Every count of events up to T is bounded by arrivals and the initial state alone."""
    arrived, waiting, in_prefill, in_decode = _nonnegative("A Q_0 X_0 Z_0")
    admitted, abandoned, prefilled, finished = _nonnegative("U B_p S_p F")
    queue = waiting + arrived - admitted - abandoned
    prefill = in_prefill + admitted - prefilled
    decode = in_decode + prefilled - finished
    every = waiting + arrived + in_prefill + in_decode
    return Derivation(
        title="event counts are bounded without any hypothesis on rates",
        hypotheses=(
            ("prefill queues are nonnegative", queue),
            ("prefills are nonnegative", prefill),
            ("decode contents are nonnegative", decode),
        ),
        steps=(
            Inequality(
                "admissions and abandonments",
                admitted + abandoned,
                waiting + arrived,
                ((queue,),),
            ),
            Inequality(
                "prefill completions",
                prefilled,
                waiting + arrived + in_prefill,
                ((queue,), (prefill,), (abandoned,)),
            ),
            Inequality(
                "decode completions and abandonments",
                finished,
                every,
                ((queue,), (prefill,), (decode,), (abandoned,)),
            ),
        ),
        conclusion="by Doob's inequality the compensated counts divided by n are within "
        "O(n^(-1/2)) of zero up to T, and paths are tight whatever theta, kappa or the plan",
    )


def pool_with_a_class_in_balance() -> Derivation:
    """A full weighted pool in which one of two classes has no queue: both modes lead to y*.

    With q_1 = 0 class 1 enters at rate min(a_1, v_1 T), its inflow or its weight's share of the
    freed slots: two affine laws with the same zero, both decreasing in y_1.
    """
    first, second, target, other = _positive("mu_1 mu_2 y_1^* y_2^*")
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


def buffer_with_an_impatient_class() -> Derivation:
    """One impatient class in the line suffices where all outputs are equally long."""
    mixed_rate, patience, inflow = _positive("mu_m theta a")
    capacity, planned, buffer = _nonnegative("C^* A^* q_d")
    wait = sympy.Symbol("w", positive=True)
    impatient = inflow * (1 - sympy.exp(-patience * wait)) / patience
    return Derivation(
        title="with equal outputs one impatient class drains the decode buffer",
        hypotheses=(("A* <= C*, as program (40) with q_d* = 0 says", capacity - planned),),
        steps=(
            Inequality(
                "while all slots work, the number waiting falls by the abandonments at least",
                mixed_rate * (planned - capacity) - patience * buffer,
                -patience * buffer,
                ((mixed_rate, capacity - planned),),
            ),
            Identity(
                "after a wait w, those of the impatient class still in line",
                sympy.diff(impatient, wait),
                inflow - patience * impatient,
            ),
        ),
        conclusion="a line that lasts holds impatient requests, so it shrinks until it is empty",
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


def symbols_of(derivation: Derivation) -> frozenset[str]:
    """Names of all symbols in a derivation: what its conclusion can depend on."""
    expressions = [expression for _, expression in derivation.hypotheses]
    for step in derivation.steps:
        if isinstance(step, Identity):
            expressions += [step.left, step.right]
        else:
            expressions += [step.smaller, step.larger]
    return frozenset(symbol.name for e in expressions for symbol in e.free_symbols)
