"""M = n sum x* rounded to whole GPUs: what it does to an equilibrium, bounded and computed.

The paper takes M = ceil(n sum x*); rounding down would do as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ....fluid import Plan
from ....theory import Rates, ServingNetwork, exact_rates
from .decision import Decision, certified
from .equilibria import (
    FluidPoint,
    bundled_revenue,
    equilibrium,
    gated_prefill,
    plan_of,
    point_of,
    pooled_decode,
    prioritized_prefill,
    separate_revenue,
)
from .weighted_pools import backlogged_optimum, weighted_pools_rest

ROUNDED_GPUS = (1, 2, 3, 5, 8, 13, 21, 50, 100, 500, 1000, 10_000)
"""Cluster sizes at which the effect of rounding M is computed exactly."""


@dataclass(frozen=True)
class Deviation:
    """How far an equilibrium is from its limit, and the Lipschitz constant in the share M/n.

    All x_i move the same way with the share, so that their moves add up to 1/n at most; decode
    capacity moves by kappa B - B + 1 per share and each pool by B at most.
    """

    of: str
    pricing: str
    measure: Callable[[Plan, Fraction], Fraction]
    constant: Callable[[Rates], Fraction]


def _decode_shift(rate: Rates) -> Fraction:
    """Decode work in excess that a change of share by one can bring about."""
    spare = rate.kappa * rate.batch - rate.batch + 1
    ratios = (p / m for p, m in zip(rate.prefill, rate.mixed_decode, strict=True))
    return Fraction(max(ratios) + abs(spare))


def _most(numbers: Sequence[Fraction], rates: Sequence[Fraction]) -> Fraction:
    return max(a * b for a, b in zip(numbers, rates, strict=True))


def _at(p: Plan, share: Fraction) -> FluidPoint:
    return equilibrium(p.network, gated_prefill(p, share), share)


def _pool_deviation(p: Plan, share: Fraction) -> Fraction:
    target = point_of(p)
    mixed, solo = pooled_decode(p.network, target, gated_prefill(p, share), share)
    return max(distance(mixed, p.mixed_decode), distance(solo, p.solo_decode))


def _weighted_pool_deviation(p: Plan, share: Fraction) -> Fraction:
    target = backlogged_optimum(p.network)
    rest = weighted_pools_rest(p.network, target, gated_prefill(p, share), share)
    targets = (target.mixed_decode, target.solo_decode, target.decode_queue)
    return max(distance(here, there) for here, there in zip(rest, targets, strict=True))


def _pool_shift(rate: Rates) -> Fraction:
    """Decode slots that a change of share by one can move."""
    brought = 2 * _most(rate.prefill, [1 / m for m in rate.mixed_decode])
    return Fraction(rate.batch + brought * max(1, 1 / rate.kappa))


def _queue_shift(rate: Rates) -> Fraction:
    """Waiting decodes that a change of share by one can move: inflow and admissions over theta."""
    columns = zip(rate.prefill, rate.mixed_decode, rate.solo_decode, rate.patience, strict=True)
    return max(Fraction((p + (m + s) * _pool_shift(rate)) / theta) for p, m, s, theta in columns)


PREFILL = Deviation(
    "prefill occupancies from x*",
    "bundled",
    lambda p, share: distance(gated_prefill(p, share), p.prefill),
    lambda _: Fraction(1),
)
PREFILL_QUEUE = Deviation(
    "prefill queues from q_p*",
    "bundled",
    lambda p, share: distance(_at(p, share).prefill_queue, p.prefill_queue),
    lambda rate: max(m / theta for m, theta in zip(rate.prefill, rate.patience, strict=True)),
)
DECODE_QUEUE = Deviation(
    "decode queue from 0",
    "bundled",
    lambda p, share: sum(_at(p, share).decode_queue, Fraction(0)),
    lambda rate: (
        _decode_shift(rate)
        * max(m / theta for m, theta in zip(rate.mixed_decode, rate.patience, strict=True))
    ),
)
BUNDLED_REVENUE = Deviation(
    "revenue from R*",
    "bundled",
    lambda p, share: abs(p.value - bundled_revenue(p.network, gated_prefill(p, share), share)),
    lambda rate: (
        _most(rate.weight, rate.prefill)
        + _most(rate.weight, rate.mixed_decode) * _decode_shift(rate)
    ),
)
SEPARATE_REVENUE = Deviation(
    "revenue from the value of (42)",
    "separate",
    lambda p, share: abs(
        p.value - separate_revenue(p.network, prioritized_prefill(p, share), share)
    ),
    lambda rate: (
        _most(rate.prompt_revenue, rate.prefill)
        + _most(rate.output_revenue, rate.mixed_decode) * _decode_shift(rate)
    ),
)
POOLS = Deviation(
    "decode occupancies in the pools from y*",
    "bundled",
    _pool_deviation,
    _pool_shift,
)
WEIGHTED_POOLS = Deviation(
    "decode occupancies and queues of the weighted pools from y* and q_d* > 0",
    "separate",
    _weighted_pool_deviation,
    lambda rate: max(_pool_shift(rate), _queue_shift(rate)),
)


def rounding_vanishes(networks: Sequence[ServingNetwork], deviation: Deviation) -> Decision:
    """M = ceil(n sum x*), or rounded down, moves the equilibrium by at most a constant over n.

    The equilibrium is Lipschitz in the share M/n and |M/n - sum x*| < 1/n; here every size in
    `ROUNDED_GPUS` is computed, and the deviation at M/n = sum x* has to be none.
    """
    worst, holds = Fraction(0), True
    for network in networks:
        p = plan_of(network, deviation.pricing)
        constant = deviation.constant(exact_rates(network))
        holds = holds and deviation.measure(p, p.mixed_share) == 0
        for n in ROUNDED_GPUS:
            for mixed in _roundings(n, p.mixed_share):
                worst = max(worst, n * deviation.measure(p, Fraction(mixed, n)) / constant)
    return certified(
        holds and worst <= 1,
        "at most L/n, rounded up or down",
        f"at most {float(worst):.2g} L/n for n up to {ROUNDED_GPUS[-1]:,}",
        f"deviation of {deviation.of}, in fractions; L is its Lipschitz constant in M/n",
    )


def _roundings(gpus: int, share: Fraction) -> set[int]:
    return {math.floor(gpus * share), math.ceil(gpus * share)}


def distance(left: Sequence[Fraction], right: Sequence[Fraction]) -> Fraction:
    """Largest difference of two points."""
    return max(abs(a - b) for a, b in zip(left, right, strict=True))
