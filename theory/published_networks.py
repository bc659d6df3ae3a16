"""The published set of networks on which policies are compared.

120 networks from one seed, over the ranges of Section 6.3 of arXiv 2602.02987 v1 as
`random_networks` reads them, with two to four classes. Only networks with
kappa >= (B-1)/B enter, the hypothesis of Proposition 3.2; others are drawn again. In the first 80
decode capacity binds; the last 40 have short outputs and more arrivals, so that prefill capacity
binds in most of them.
"""

from __future__ import annotations

import random
from functools import lru_cache

from .network import ServingNetwork
from .random_networks import random_network
from .rates import exact_rates
from .steady_state import decode_buffer_condition

PUBLISHED_SEED = 602
DECODE_BOUND, PREFILL_BOUND = 80, 40


@lru_cache(maxsize=1)
def published_networks() -> tuple[ServingNetwork, ...]:
    """The 120 networks, always the same.

    >>> len(published_networks())
    120
    """
    generator = random.Random(PUBLISHED_SEED)
    kinds = [False] * DECODE_BOUND + [True] * PREFILL_BOUND
    return tuple(_drawn(generator, prefill_bound) for prefill_bound in kinds)


def _drawn(generator: random.Random, prefill_bound: bool) -> ServingNetwork:
    while True:
        classes = generator.randint(2, 4)
        network = random_network(generator, classes, prefill_bound=prefill_bound)
        if decode_buffer_condition(exact_rates(network)):
            return network
