r"""No admissible policy earns more than R* per GPU (derived): conservation of rates.

Hypothesis: a stationary regime with finite means (with patience everywhere there is one). Then
every count has zero expected drift: with u_p, u_m, u_s the expected rates of admission to prefill,
mixed and solo decode and m the net rate of relabelling from mixed to solo, all per GPU, the
balance equations (15)-(19) give per class

.. math::

   0 = \lambda - u_p - \theta q_p = u_p - \mu_p x = \mu_p x - u_m - u_s - \theta q_d
     = u_m - \mu_m y_m - m = u_s - \mu_s y_s + m.

Adding them yields the flow balances of program (40). Under the paper's capacities, which hold
path by path, the means are therefore feasible for (40) whatever the policy does.

The chain that is simulated keeps a share s of the GPUs mixed whether or not their prefill slots
are busy, so its :math:`y_m` may exceed :math:`(B-1) x`. Its means still earn at most R*: the
prefills that lead to a completion, :math:`x' = (\mu_m y_m + \mu_s y_s) / \mu_p \le x \le s`, are
feasible for the knapsack of `bundled_knapsack`, whose value is R*, and earn all the revenue.
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
    decode_queue = s.PREFILL_RATE * s.PREFILL - to_mixed - to_solo - s.PATIENCE * s.DECODE_QUEUE
    mixed = to_mixed - s.MIXED_RATE * s.MIXED - relabelled
    solo = to_solo - s.SOLO_RATE * s.SOLO + relabelled
    completions = s.MIXED_RATE * s.MIXED + s.SOLO_RATE * s.SOLO

    share = sympy.Symbol("s", nonnegative=True)  # share of GPUs that are mixed
    all_mixed, all_solo = s.total(s.MIXED), s.total(s.SOLO)
    completing = completions / s.PREFILL_RATE  # x', prefills that lead to a completion
    abandoning = s.PATIENCE * s.DECODE_QUEUE / s.PREFILL_RATE
    all_completing = sympy.Symbol("Σ[x']", nonnegative=True)
    mixed_slack = (s.BATCH - 1) * share - all_mixed
    solo_slack = s.BATCH * (1 - share) - all_solo
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
            "prefills that lead to a completion are no more than all prefills",
            completing,
            completing + abandoning,
            ((abandoning,),),
        ),
        Inequality(
            "they are no more than the arrivals allow",
            s.PREFILL_RATE * completing,
            completions + s.PATIENCE * (s.DECODE_QUEUE + s.PREFILL_QUEUE),
            ((s.PATIENCE, s.DECODE_QUEUE), (s.PATIENCE, s.PREFILL_QUEUE)),
        ),
        Identity(
            "their decode work is what the decode slots do",
            s.total(sympy.expand(s.PREFILL_RATE / s.MIXED_RATE * completing)),
            all_mixed + s.KAPPA * all_solo,
        ),
        Inequality(
            "they satisfy the decode row of the knapsack",
            all_mixed + s.KAPPA * all_solo + s.CONDITION * all_completing,
            s.KAPPA * s.BATCH,
            ((mixed_slack,), (s.KAPPA, solo_slack), (s.CONDITION, share - all_completing)),
        ),
        Inequality(
            "they satisfy its prefill row",
            all_completing,
            sympy.Integer(1),
            ((share - all_completing,), (1 - share,)),
        ),
    )
    return Derivation(
        title="conservation of rates under any admissible policy",
        hypotheses=(
            ("kappa >= (B-1)/B", s.CONDITION),
            ("prefills run on mixed GPUs only", share - all_completing),
            ("no more GPUs are mixed than there are", 1 - share),
            ("decodes on mixed GPUs fit", mixed_slack),
            ("decodes on solo GPUs fit", solo_slack),
        ),
        steps=steps,
        conclusion="stationary revenue per GPU-second is the knapsack's profit at a feasible "
        "point, hence at most R*",
    )
