r"""Smallest volume first: Lemma A.2, Theorem 3.2 of arXiv 2606.22327, and a sharper bound (ours).

Let P be the largest peak and let i ≺ j order the requests by volume. While request j waits, the
active peaks exceed M - P, and all active requests precede j; hence the potential

.. math:: (M - P + 1)\,\text{now} + \sum_{i \prec j} \mathrm{pk}_i\,\mathrm{rem}_i

does not grow, where :math:`\mathrm{rem}_i` is the work that i has left. At the start of j it is
at least :math:`(M - P + 1) W_j`, at time 0 it was :math:`\sum_{i \prec j} \mathrm{pk}_i o_i`
(Lemma A.2).

Sharper. Compare the waiting times with the mean busy time bound in place of the volume bound:

.. math:: \mathrm{OPT} \ge \sum_j d_j + \frac 1 M \sum_j \sum_{i \prec j} \mathrm{vol}_i,
          \qquad d_j \ge (o_j - 1) / 3 .

With :math:`b = 2 M / (M - P + 1)` it follows that :math:`\mathrm{TEL(SVF)} \le b\,(\mathrm{OPT} -
\sum_j d_j) + \sum_j o_j`, so that with n requests

.. math:: \mathrm{TEL(SVF)} \le b \cdot \mathrm{OPT} + \max(0, 1 - b/3) \sum_j o_j
          + \min(1, b/3)\,n .

For long outputs the last term vanishes against OPT: a factor b instead of b + 1 where P > M/3,
and at most 7/3 instead of 3 for small requests.
"""

from __future__ import annotations

import sympy

from .kernel import Derivation, Identity, Inequality

PROMPT, OUTPUT = sympy.symbols("s o", nonnegative=True)
OUTPUTS, REQUESTS = sympy.symbols("sum_o n", nonnegative=True)
MEMORY, SPARE = sympy.symbols("M r", positive=True)  # r = M - P + 1
WAITING, BEFORE, LATENCY = sympy.symbols("sum_W sum_V TEL_other", nonnegative=True)
VOLUME = PROMPT * OUTPUT + OUTPUT * (OUTPUT + 1) / 2


def waiting_time() -> Derivation:
    """Lemma A.2: one step of the potential, and its two ends."""
    active, now, work = sympy.symbols("A now work", nonnegative=True)
    return Derivation(
        title="Lemma A.2: waiting time under smallest volume first",
        hypotheses=(("while j waits the active peaks are at least M - P + 1", active - SPARE),),
        steps=(
            Inequality(
                "one step: time adds M - P + 1, the active requests work off their peaks",
                SPARE * (now + 1) + work - active,
                SPARE * now + work,
                ((active - SPARE,),),
            ),
            Inequality(
                "peak times output is at most twice the volume, less the output",
                (PROMPT + OUTPUT) * OUTPUT,
                2 * VOLUME - OUTPUT,
                ((PROMPT, OUTPUT),),
            ),
        ),
        conclusion="(M - P + 1) W_j <= sum over i before j of peak_i o_i <= 2 sum of volumes",
    )


def composition() -> Derivation:
    """Theorem 3.2: (M - P) TEL(SVF) <= (3 M - P) TEL(any)."""
    peak = sympy.Symbol("P", nonnegative=True)
    return Derivation(
        title="Theorem 3.2: smallest volume first against any schedule",
        hypotheses=(
            ("Lemma A.2, summed", 2 * BEFORE - (MEMORY - peak) * WAITING),
            ("Proposition 3.1: M TEL >= sum of prefix volumes", MEMORY * LATENCY - BEFORE),
            ("TEL >= sum of outputs", LATENCY - OUTPUTS),
            ("P <= M", MEMORY - peak),
        ),
        steps=(
            Inequality(
                "waiting and outputs",
                (MEMORY - peak) * (WAITING + OUTPUTS),
                (3 * MEMORY - peak) * LATENCY,
                (
                    (2 * BEFORE - (MEMORY - peak) * WAITING,),
                    (sympy.Integer(2), MEMORY * LATENCY - BEFORE),
                    (MEMORY - peak, LATENCY - OUTPUTS),
                ),
            ),
        ),
        conclusion="TEL(SVF) <= (3 M - P) / (M - P) times the latency of every schedule",
    )


def lag() -> Derivation:
    """The lag of the mean busy time: its closed form and d >= (o - 1) / 3."""
    u, last = sympy.symbols("u o", integer=True, positive=True)
    moment = sympy.summation(u * (PROMPT + u), (u, 1, last)).subs(last, OUTPUT)
    volume = sympy.summation(PROMPT + u, (u, 1, last)).subs(last, OUTPUT)
    mean = (OUTPUT + 1) * (3 * PROMPT + 2 * OUTPUT + 1) / (3 * (2 * PROMPT + OUTPUT + 1))
    return Derivation(
        title="the lag between mean busy time and completion",
        hypotheses=(("o >= 1", OUTPUT - 1),),
        steps=(
            Identity("the volume of a request", volume, VOLUME),
            Identity("the mean busy time of a request from its start", moment, mean * VOLUME),
            Inequality(
                "a lag of at least (o - 1) / 3",
                (OUTPUT - 1) / 3,
                OUTPUT - mean,
                ((PROMPT / (3 * (2 * PROMPT + OUTPUT + 1)), OUTPUT - 1),),
            ),
        ),
        conclusion="c_i = mean busy time + d_i with d_i >= (o_i - 1) / 3",
    )


def sharper_bound() -> Derivation:
    """TEL(SVF) <= b OPT + max(0, 1 - b/3) sum o + min(1, b/3) n (ours), b = 2 M / (M - P + 1)."""
    factor = 2 * MEMORY / SPARE
    lags = (OUTPUTS - REQUESTS) / 3
    busy = LATENCY - lags - BEFORE / MEMORY
    return Derivation(
        title="smallest volume first against the mean busy time bound",
        hypotheses=(
            ("Lemma A.2, summed", 2 * BEFORE - SPARE * WAITING),
            ("the mean busy time bound", busy),
            ("b >= 3", factor - 3),
            ("o >= 1", OUTPUTS - REQUESTS),
        ),
        steps=(
            Inequality(
                "waiting and outputs",
                WAITING + OUTPUTS,
                factor * (LATENCY - lags) + OUTPUTS,
                ((1 / SPARE, 2 * BEFORE - SPARE * WAITING), (factor, busy)),
            ),
            Identity(
                "any b, of use for b <= 3: the outputs keep the share 1 - b/3",
                factor * (LATENCY - lags) + OUTPUTS,
                factor * LATENCY + (1 - factor / 3) * OUTPUTS + factor / 3 * REQUESTS,
            ),
            Inequality(
                "b >= 3: the lags outweigh the outputs",
                factor * (LATENCY - lags) + OUTPUTS,
                factor * LATENCY + REQUESTS,
                ((sympy.Rational(1, 3), factor - 3, OUTPUTS - REQUESTS),),
            ),
        ),
        conclusion="TEL(SVF) <= b OPT + max(0, 1 - b/3) sum of outputs + min(1, b/3) n",
    )


def chain() -> tuple[Derivation, ...]:
    """All derivations of this module."""
    return waiting_time(), composition(), lag(), sharper_bound()
