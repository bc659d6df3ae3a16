r"""Short proofs on prefill that do without a hypothesis (derived); SymPy checks every step.

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
"""

from __future__ import annotations

import sympy

from ....theory.derivations import Derivation, Identity, Inequality
from .symbols import TIME, nonnegative, positive

WITHIN_ARRIVALS = "targets are within the arrivals"


def prefill_tracking() -> Derivation:
    """The gate tracks x* exponentially, whatever the initial state."""
    slowest, rate, target, arrival = positive("mu mu_i x_i^* lambda_i")
    group, others, surplus = nonnegative("x_A^* x_O^* f")
    rest, total = nonnegative("x_rest x_all")
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
            sympy.diff(sympy.exp(slowest * TIME), TIME) * above - sympy.exp(slowest * TIME) * rise,
            sympy.Integer(0),
            ((sympy.exp(slowest * TIME), rise - slowest * above),),
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
    target, others, rate = positive("x_i^* x_O^* mu_i")
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
                sympy.diff(above * sympy.exp(-rate * TIME), TIME),
                -rate * above * sympy.exp(-rate * TIME),
            ),
            Identity(
                "and from level r meets its target at time log(r) / mu_i",
                above * sympy.exp(-rate * sympy.log(above) / rate),
                sympy.Integer(1),
            ),
        ),
        conclusion="x <= x* and q_p > 0 from some time on, for any speeds of decode",
    )


def prefill_queue_limit() -> Derivation:
    """Once x follows x*, prefill queues go to q_p* at rate theta, if theta > 0."""
    patience, rate, decay, queue_target, target = positive("theta mu_i mu q_p^* x_i^*")
    queue, prefill = nonnegative("q_p x")
    arrival = rate * target + patience * queue_target
    off_queue, off = queue - queue_target, prefill - target
    together = arrival - patience * queue - rate * prefill  # (q_p + x)'
    response = (sympy.exp(-decay * TIME) - sympy.exp(-patience * TIME)) / (patience - decay)
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
                sympy.diff(response, TIME),
                -patience * response + sympy.exp(-decay * TIME),
            ),
        ),
        conclusion="q_p -> q_p* wherever theta > 0",
    )


def bounded_event_counts() -> Derivation:
    """Every count of events up to T is bounded by arrivals and the initial state alone."""
    arrived, waiting, in_prefill, in_decode = nonnegative("A Q_0 X_0 Z_0")
    admitted, abandoned, prefilled, finished = nonnegative("U B_p S_p F")
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
