"""Random serving networks over the ranges of Section 6.3 of arXiv 2602.02987 v1.

alpha 0.015 to 0.02 s (the paper prints "0.15 to 0.02"), beta 1e-5 to 1e-3 s per token, gamma 10
to 50 tokens/s, lengths 200 to 3000 tokens, arrivals 0.25 to 0.5 per second and GPU. In all of these
decode capacity binds first; with ``prefill_bound`` outputs are 5 to 150 tokens and arrivals 0.5
to 4, so that prefill capacity binds too. Numbers are rounded to a few decimals, so that they are
small fractions.
"""

from __future__ import annotations

import random

from .network import Gpu, IterationTime, Prices, RequestClass, ServingNetwork


def random_network(
    generator: random.Random,
    classes: int,
    *,
    gamma_range: tuple[float, float] = (10.0, 50.0),
    prefill_bound: bool = False,
) -> ServingNetwork:
    """One network drawn uniformly from the ranges; ``gamma_range`` in tokens per second."""
    outputs = (5, 150) if prefill_bound else (200, 3000)
    arrivals = (0.5, 4.0) if prefill_bound else (0.25, 0.5)
    time = IterationTime(
        alpha=round(generator.uniform(0.015, 0.02), 4),
        beta=round(10 ** generator.uniform(-5, -3), 6),
        gamma=round(generator.uniform(*gamma_range), 2),
    )
    return ServingNetwork(
        gpu=Gpu("random", time, batch=generator.choice((2, 4, 8, 16, 32)), chunk=256),
        prices=Prices(
            prefill=round(generator.uniform(0.05, 0.2), 2),
            decode=round(generator.uniform(0.1, 0.4), 2),
        ),
        classes=tuple(
            RequestClass(
                name=f"class {i}",
                prompt_tokens=generator.randint(200, 3000),
                output_tokens=generator.randint(*outputs),
                arrival_rate=round(generator.uniform(*arrivals), 3),
                patience_rate=round(generator.uniform(0.05, 0.2), 3),
            )
            for i in range(classes)
        ),
    )
