r"""No admissible policy earns more than R* per GPU (derived): conservation of rates.

In a stationary regime every count has zero expected drift. With u_p, u_m, u_s the expected rates
of admission to prefill, mixed and solo decode and m the net rate of relabelling from mixed to
solo, all per GPU, the balance equations (15)-(19) give per class

.. math::

   0 = \lambda - u_p - \theta q_p = u_p - \mu_p x = \mu_p x - u_m - u_s - \theta q_d
     = u_m - \mu_m y_m - m = u_s - \mu_s y_s + m.

Adding them yields the flow balances of program (40), and capacities hold path by path, so the
means are a feasible point of (40) whatever the policy does. The chain that is simulated keeps M
GPUs mixed whether or not their prefill slots are busy: its capacities are those for a share
:math:`m \ge \sum x` of mixed GPUs, which is no larger when kappa >= (B-1)/B.
"""

from __future__ import annotations

import sympy

from . import symbols as s
from .kernel import Derivation, Identity, Inequality


def derivation() -> Derivation:
    """The conservation argument, step by step."""
    admitted, to_mixed, to_solo = sympy.symbols("u_p u_m u_s", nonnegative=True)
    relabelled = sympy.Symbol("m", real=True)
    prefill_queue = s.ARRIVAL - admitted - s.PATIENCE * s.PREFILL_QUEUE
    prefill = admitted - s.PREFILL_RATE * s.PREFILL
    decode_queue = (
        s.PREFILL_RATE * s.PREFILL - to_mixed - to_solo - s.PATIENCE * s.DECODE_QUEUE
    )
    mixed = to_mixed - s.MIXED_RATE * s.MIXED - relabelled
    solo = to_solo - s.SOLO_RATE * s.SOLO + relabelled
    completions = s.MIXED_RATE * s.MIXED + s.SOLO_RATE * s.SOLO

    share = sympy.Symbol("M/n", nonnegative=True)  # share of GPUs that are mixed
    x = s.total(s.PREFILL)
    steps = (
        Identity(
            "the drifts of prefill queue and prefill add up to the prefill flow balance",
            prefill_queue + prefill,
            s.ARRIVAL - s.PATIENCE * s.PREFILL_QUEUE - s.PREFILL_RATE * s.PREFILL,
        ),
        Identity(
            "the drifts of decode queue and decodes add up to the decode flow balance",
            decode_queue + mixed + solo,
            s.PREFILL_RATE * s.PREFILL - s.PATIENCE * s.DECODE_QUEUE - completions,
        ),
        Inequality(
            "a larger share of mixed GPUs has no more decode capacity",
            (s.BATCH - 1) * share + s.KAPPA * s.BATCH * (1 - share),
            (s.BATCH - 1) * x + s.KAPPA * s.BATCH * (1 - x),
            ((s.CONDITION, share - x),),
        ),
    )
    return Derivation(
        title="conservation of rates under any admissible policy",
        hypotheses=(
            ("kappa >= (B-1)/B", s.CONDITION),
            ("prefills run on mixed GPUs only", share - x),
        ),
        steps=steps,
        conclusion="stationary means per GPU are feasible for program (40), so that revenue per "
        "GPU-second is at most R*",
    )
