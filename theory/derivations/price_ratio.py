r"""The best split of a price budget between prompts and outputs is at an end (derived).

A plan is paid for a prompt tokens and b output tokens per second, and which plans are feasible
does not depend on prices. So revenue :math:`c_p a + c_d b` is linear in the prices, R* is a maximum
of linear functions, convex and homogeneous, and on the segment :math:`c_p + c_d = k` it is at
most k M, where M is the larger of the most prompt tokens per second, A, and the most output tokens
per second, A'. The end :math:`c_p = k` (if M = A) or :math:`c_d = k` (if M = A') reaches it. If A
exceeds A' by e > 0, a point of the segment loses at least :math:`c_d e`; so an interior point is
optimal only if A = A', and then some plan reaches both, and R* is constant along the segment.
"""

from __future__ import annotations

import sympy

from . import symbols as s
from .kernel import Derivation, Identity, Inequality


def derivation() -> Derivation:
    """Linearity, homogeneity and the bound by the better end."""
    prompts, outputs, scale = sympy.symbols("a b k", nonnegative=True)
    most_prompts, most_outputs, most, excess = sympy.symbols("A A' M e", nonnegative=True)
    revenue = s.PREFILL_PRICE * prompts + s.DECODE_PRICE * outputs
    completions = s.MIXED_RATE * s.MIXED
    steps = (
        Identity(
            "bundled revenue is linear in the prices",
            s.total(sympy.expand(s.physical_weight() * completions)),
            s.PREFILL_PRICE * s.total(s.PROMPT * completions)
            + s.DECODE_PRICE * s.total(s.OUTPUT * completions),
        ),
        Identity(
            "scaling both prices scales every plan's revenue",
            revenue.subs(
                {s.PREFILL_PRICE: scale * s.PREFILL_PRICE, s.DECODE_PRICE: scale * s.DECODE_PRICE},
                simultaneous=True,
            ),
            scale * revenue,
        ),
        Inequality(
            "no plan at any point of the segment earns more than k M",
            revenue,
            (s.PREFILL_PRICE + s.DECODE_PRICE) * most,
            (
                (s.PREFILL_PRICE, most_prompts - prompts),
                (s.PREFILL_PRICE, most - most_prompts),
                (s.DECODE_PRICE, most_outputs - outputs),
                (s.DECODE_PRICE, most - most_outputs),
            ),
        ),
        Identity(
            "the plan with the most prompt tokens earns k A at the end c_p = k",
            revenue.subs({s.PREFILL_PRICE: scale, s.DECODE_PRICE: 0, prompts: most_prompts}),
            scale * most_prompts,
        ),
        Identity(
            "the plan with the most output tokens earns k A' at the end c_d = k",
            revenue.subs({s.PREFILL_PRICE: 0, s.DECODE_PRICE: scale, outputs: most_outputs}),
            scale * most_outputs,
        ),
        Inequality(
            "if A = A' + e, a point with c_d > 0 falls short of k A by c_d e at least",
            revenue,
            (s.PREFILL_PRICE + s.DECODE_PRICE) * (most_outputs + excess) - s.DECODE_PRICE * excess,
            (
                (s.PREFILL_PRICE, most_outputs + excess - prompts),
                (s.DECODE_PRICE, most_outputs - outputs),
            ),
        ),
    )
    return Derivation(
        title="the best price ratio is an end of the segment",
        hypotheses=(
            ("a is at most A", most_prompts - prompts),
            ("b is at most A'", most_outputs - outputs),
            ("M is at least A", most - most_prompts),
            ("M is at least A'", most - most_outputs),
            ("a is at most A = A' + e", most_outputs + excess - prompts),
        ),
        steps=steps,
        conclusion="for every k the same end maximises R*, and an interior ratio does so only "
        "where R* is constant along the segment",
    )
