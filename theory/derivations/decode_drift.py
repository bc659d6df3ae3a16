r"""Lemmas 10.10 and 10.12: the drift of the decode workload, equation (61).

The decode workload :math:`W_d = \sum_i (q_{d,i} + y_{m,i} + y_{s,i}) / \mu_{m,i}` counts the
seconds of mixed decode still to be done per GPU. By the flow balances (24)-(28)

.. math::

   W_d' = \sum_i \frac{\mu_{p,i}}{\mu_{m,i}} x_i - (y_m + \kappa y_s)
        - \sum_i \frac{\theta_i}{\mu_{m,i}} q_{d,i}.

Of a plan with an empty decode buffer, :math:`A^* = \sum_i (\mu_{p,i} / \mu_{m,i}) x_i^*` is what
its decode slots do, at most :math:`C^* = (B-1) s + \kappa B (1 - s)`, s the share of mixed GPUs.
While requests wait all slots are busy (Lemma 10.7), so that :math:`x \le x^*` gives

.. math:: W_d' \le A^* - C^* - \sum_i \frac{\theta_i}{\mu_{m,i}} q_{d,i}.

With :math:`q_d^* > 0` the step :math:`A^* \le C^*` fails: the hypothesis is needed.

For one class the bound is an equation, and :math:`q_d' = -\mu_m (C^* - A^*) - \theta q_d` while
:math:`q_d > 0` and :math:`x = x^*`: at zero patience the buffer stays as it is if
:math:`A^* = C^*`, and drains in finite time, linearly, if :math:`A^* < C^*`.
"""

from __future__ import annotations

import sympy

from . import symbols as s
from .kernel import ClassSum, Derivation, Identity, Inequality

NO_PLANNED_BUFFER = "the plan's decode buffer is empty"


def derivation(solo_rate: sympy.Expr = s.SOLO_RATE) -> Derivation:
    """The drift and its bound, step by step; primes mark the plan.

    Parameters
    ----------
    solo_rate
        Completions per second of a solo decode; another one than kappa mu_m is a control.
    """
    change = (  # of q_d + y_m + y_s; admissions and mode switches cancel
        s.PREFILL_RATE * s.PREFILL
        - s.PATIENCE * s.DECODE_QUEUE
        - s.MIXED_RATE * s.MIXED
        - solo_rate * s.SOLO
    )
    share = sympy.Symbol("s", nonnegative=True)
    planned, planned_mixed, planned_solo, planned_queue = sympy.symbols(
        "x' y'_m y'_s q'_d", nonnegative=True
    )
    total = ClassSum((*s.CLASS_SYMBOLS, planned, planned_mixed, planned_solo, planned_queue))
    lost = s.PATIENCE / s.MIXED_RATE
    drift = (
        total(s.PREFILL_RATE / s.MIXED_RATE * s.PREFILL)
        - (total(s.MIXED) + s.KAPPA * total(s.SOLO))
        - total(lost * s.DECODE_QUEUE)
    )
    planned_work = total(s.PREFILL_RATE / s.MIXED_RATE * planned)
    planned_from_balance = total(
        sympy.expand(
            (s.MIXED_RATE * planned_mixed + s.SOLO_RATE * planned_solo + s.PATIENCE * planned_queue)
            / s.MIXED_RATE
        )
    )
    mixed_slots, solo_slots = (s.BATCH - 1) * share, s.BATCH * (1 - share)
    capacity = mixed_slots + s.KAPPA * solo_slots
    mixed_slack = mixed_slots - total(planned_mixed)
    solo_slack = solo_slots - total(planned_solo)
    below = total(sympy.expand(s.PREFILL_RATE / s.MIXED_RATE * (planned - s.PREFILL)))
    busy = {total(s.MIXED): mixed_slots, total(s.SOLO): solo_slots}
    steps: tuple[Identity | Inequality, ...] = (
        Identity(
            "solo decode is kappa times as fast as mixed decode",
            s.physical(s.SOLO_RATE),
            s.physical_solo_rate(),
        ),
        Identity("the drift (61)", total(sympy.expand(change / s.MIXED_RATE)), drift),
        Inequality(
            "a plan without a decode buffer brings no more work than its slots do: A* <= C*",
            planned_from_balance,
            capacity,
            ((mixed_slack,), (s.KAPPA, solo_slack), (-total(lost * planned_queue),)),
        ),
        Inequality(
            "with all slots busy and prefill at most planned, the workload falls at least as fast "
            "as those who wait give up",
            drift.subs(busy),
            planned_work - capacity - total(lost * s.DECODE_QUEUE),
            ((below,),),
        ),
    )
    return Derivation(
        title="Lemmas 10.10 and 10.12 (drift of the decode workload)",
        hypotheses=(
            ("planned mixed decodes fit", mixed_slack),
            ("planned solo decodes fit", solo_slack),
            (NO_PLANNED_BUFFER, -total(lost * planned_queue)),
            ("prefill is at most planned", below),
        ),
        steps=steps,
        conclusion="W_d' <= A* - C* - sum_i theta_i/mu_m,i q_d,i <= 0 while the buffer is not "
        "empty",
    )
