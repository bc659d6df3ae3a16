"""The exact law of shared GPUs: closed forms, conservation, and the fleet's simulator."""

from __future__ import annotations

import numpy as np
import pytest

from kurtz.fluid import plan
from kurtz.stochastic import COUNTS
from kurtz.stochastic.exact_shared_chain import shared_stationary_law
from kurtz.stochastic.fleet.fleet_kernel import run_fleet
from kurtz.stochastic.fleet.model import build_fleet
from kurtz.stochastic.fleet.requests import poisson_requests
from kurtz.theory import (
    GateAndRoute,
    Gpu,
    InvalidInput,
    IterationTime,
    Prices,
    RequestClass,
    ServingNetwork,
    instance,
    rates,
)
from kurtz.theory.policies.finite_size import SlotFilling


def test_one_slot_without_patience_is_a_loss_system() -> None:
    # Nobody waits: a request that finds the slot busy is lost. Cycles of idling, prefill and solo
    # decode: one completion per 1/lambda + 1/mu_p + 1/mu_s seconds.
    network = ServingNetwork(
        Gpu("one slot", IterationTime(0.2, 0.001, 4.0), batch=1, chunk=100),
        Prices(0.1, 0.2),
        (RequestClass("only", 200, 8, 0.2, 1e7),),
    )
    rate = rates(network)
    law = shared_stationary_law(network, SlotFilling(plan(network)), gpus=1)
    cycle = 1 / rate.arrival[0] + 1 / rate.prefill[0] + 1 / rate.solo_decode[0]
    assert law.revenue_rate == pytest.approx(rate.weight[0] / cycle, rel=1e-6)


@pytest.mark.parametrize(("name", "gpus"), [("small-one-class", 3), ("small-two-class", 1)])
def test_what_arrives_leaves(name: str, gpus: int) -> None:
    network = instance(name)
    rate = rates(network)
    law = shared_stationary_law(network, SlotFilling(plan(network)), gpus, tolerance=1e-9)
    for i in range(len(network.classes)):
        mean = {stage: law.occupancies[stage][i] for stage in COUNTS}
        given_up = rate.patience[i] * (mean["prefill_queue"] + mean["decode_queue"])
        completed = (
            rate.mixed_decode[i] * mean["mixed_decode"] + rate.solo_decode[i] * mean["solo_decode"]
        )
        assert given_up + completed == pytest.approx(rate.arrival[i], rel=1e-7)


@pytest.mark.parametrize(("name", "gpus"), [("small-two-class", 1), ("small-one-class", 2)])
def test_the_fleet_has_the_occupancies_of_the_exact_law(name: str, gpus: int) -> None:
    network = instance(name)
    policy = SlotFilling(plan(network))
    law = shared_stationary_law(network, policy, gpus)
    horizon, warmup, means = 3_000.0, 100.0, []
    for replication in range(12):
        generator = np.random.default_rng([5, replication])
        requests = poisson_requests(network, gpus, horizon, generator)
        fleet = build_fleet(network, policy, gpus)
        run = run_fleet(fleet, requests, generator, warmup, horizon, np.zeros(0), 0)
        means.append(run.areas / (gpus * (horizon - warmup)))
    exact = np.array([law.occupancies[stage] for stage in COUNTS])
    error = np.std(means, axis=0, ddof=1) / np.sqrt(len(means))
    assert np.all(np.abs(np.mean(means, axis=0) - exact) <= 5 * error + 1e-12)


def test_policies_with_a_static_layout_are_refused() -> None:
    network = instance("small-one-class")
    with pytest.raises(InvalidInput, match="policy"):
        shared_stationary_law(network, GateAndRoute(plan(network)), 1)


def test_too_many_states_are_refused() -> None:
    network = instance("small-one-class")
    with pytest.raises(InvalidInput, match="max_states"):
        shared_stationary_law(network, SlotFilling(plan(network)), 3, max_states=50)
