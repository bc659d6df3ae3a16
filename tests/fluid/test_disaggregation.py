"""Separate pools for prefill and decode: never better than sharing, and a closed form."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from kurtz.fluid import plan
from kurtz.fluid.disaggregation import disaggregated_plan
from kurtz.theory import exact_rates, instance
from kurtz.theory.random_networks import random_network


def test_one_class_closed_form() -> None:
    # All decode on solo slots: mu_p x = mu_s B (1 - x) where both pools are busy, so that
    # x = mu_s B / (mu_p + mu_s B), unless fewer arrivals need less.
    network = instance("small-one-class")
    rate = exact_rates(network)
    (p,), (s,), (w,), (a,) = rate.prefill, rate.solo_decode, rate.weight, rate.arrival
    x = min(s * rate.batch / (p + s * rate.batch), a / p)
    target = disaggregated_plan(network)
    assert target.prefill == (x,)
    assert target.value == w * p * x


@pytest.mark.parametrize("seed", range(8))
def test_pools_never_earn_more_than_sharing(seed: int) -> None:
    network = random_network(random.Random(seed), 3, prefill_bound=bool(seed % 2))
    target = disaggregated_plan(network)
    assert 0 < target.value <= plan(network).value
    assert sum(target.mixed_decode, Fraction(0)) == 0
    assert sum(target.solo_decode) <= network.gpu.batch * (1 - target.mixed_share)
