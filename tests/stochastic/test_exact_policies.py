"""Exact laws of all policies with dedicated GPUs: closed forms, and the simulator as judged."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
from exact_laws import outside
from planned_policies import PLANNED_POLICIES, LimitedGateAndRoute, Targets

from kurtz.stochastic import StationaryLaw, stationary_law
from kurtz.theory import (
    Disaggregated,
    GateAndRoute,
    GeneralSliAware,
    Gpu,
    InvalidInput,
    IterationTime,
    Prices,
    PrioritizeAndRoute,
    RequestClass,
    ServingNetwork,
    SliAware,
    instance,
    policy_named,
)

LOSS = 1e-5  # of arriving requests, where more room would cost too many states
SEED = 4


def network_of(
    batch: int, kappa: float, *classes: tuple[float, float, float, float]
) -> ServingNetwork:
    """A network with tau = 1 whose classes have given mu_p, mu_m, lambda and theta.

    Then mu_s = kappa mu_m.
    """
    return ServingNetwork(
        Gpu("g", IterationTime(alpha=0.0, beta=0.01, gamma=kappa), batch, chunk=100),
        Prices(0.1, 0.2),
        tuple(
            RequestClass(str(i), 100 / prefill, 1 / decode, arrival, patience)
            for i, (prefill, decode, arrival, patience) in enumerate(classes)
        ),
    )


def number_in_system(arrival: float, service: float, servers: int) -> float:
    """Mean number in M/M/c: c rho + rho C / (1 - rho), with Erlang's probability C to wait."""
    load = arrival / service
    rho = load / servers
    full = load**servers / math.factorial(servers) / (1 - rho)
    wait = full / (sum(load**k / math.factorial(k) for k in range(servers)) + full)
    return load + rho * wait / (1 - rho)


def queues_by_priority(arrivals: list[float], services: list[float]) -> list[float]:
    """Cobham (1954): mean queues of M/M/1 with priorities, first class first, no preemption.

    W_k = R / ((1 - s_{k-1})(1 - s_k)) with R = sum lambda / mu^2 and s_k = rho_1 + ... + rho_k.
    """
    work = sum(a / s**2 for a, s in zip(arrivals, services, strict=True))
    queues, before = [], 0.0
    for arrival, service in zip(arrivals, services, strict=True):
        after = before + arrival / service
        queues.append(arrival * work / ((1 - before) * (1 - after)))
        before = after
    return queues


@pytest.mark.parametrize("policy", [SliAware, GeneralSliAware])
def test_pools_behind_a_patient_prefill_stage_are_independent_queues(policy: Any) -> None:
    # Burke: M/M/1 has Poisson departures, and a lot splits them into independent Poisson streams.
    # M = 1 of n = 2 GPUs: one prefill slot, one mixed slot, two solo slots; p_s = 0.4.
    network = network_of(2, 0.5, (2.0, 1.0, 0.15, 0.0))
    targets = Targets(network, (0.5,), (0.0,), mixed_decode=(0.6,), solo_decode=(0.8,))
    law = stationary_law(network, policy(targets), 2)
    mean = {name: 2 * values[0] for name, values in law.occupancies.items()}
    in_prefill = mean["prefill_queue"] + mean["prefill"]
    in_decode = mean["decode_queue"] + mean["mixed_decode"] + mean["solo_decode"]
    assert in_prefill == pytest.approx(number_in_system(0.3, 2.0, 1), rel=1e-6)
    assert in_decode == pytest.approx(
        number_in_system(0.18, 1.0, 1) + number_in_system(0.12, 0.5, 2), rel=1e-6
    )
    assert mean["mixed_decode"] == pytest.approx(0.18, rel=1e-6)
    assert mean["solo_decode"] == pytest.approx(0.24, rel=1e-6)


def test_disaggregated_stages_are_queues_in_tandem() -> None:
    # n = 3, M = 2, B = 2: prefill is M/M/2, decode M/M/2 at the solo rate, mixed decode nothing.
    network = network_of(2, 0.5, (1.0, 1.0, 0.1, 0.0))
    law = stationary_law(network, Disaggregated(Targets(network, (0.5,))), 3)
    mean = {name: 3 * values[0] for name, values in law.occupancies.items()}
    assert mean["prefill_queue"] + mean["prefill"] == pytest.approx(
        number_in_system(0.3, 1.0, 2), rel=1e-6
    )
    assert mean["decode_queue"] + mean["solo_decode"] == pytest.approx(
        number_in_system(0.3, 0.5, 2), rel=1e-6
    )
    assert mean["mixed_decode"] == 0


def test_prioritized_prefill_queues_are_cobhams() -> None:
    # The second class has D/P = 0.002, twice that of the first; one prefill and one solo slot.
    class SecondClassFirst(PrioritizeAndRoute):
        def buffer_order(self) -> tuple[int, ...]:  # saves the states of a line
            return (1, 0)

    network = network_of(1, 1.0, (1.0, 10.0, 0.03, 0.0), (0.5, 2.5, 0.02, 0.0))
    policy = SecondClassFirst(Targets(network, (0.25, 0.25)))
    assert policy.class_order() == (1, 0)
    law = stationary_law(network, policy, 2, tolerance=1e-7)
    second, first = queues_by_priority([0.04, 0.06], [0.5, 1.0])
    queues = [2 * q for q in law.occupancies["prefill_queue"]]
    assert queues == pytest.approx([first, second], rel=1e-4)


def fast_prefill() -> ServingNetwork:
    """Of three GPUs two prefill, so fast that decodes arrive as Poisson streams at one slot."""
    return network_of(1, 1.0, (50.0, 1.0, 0.03, 0.0), (50.0, 1.0, 0.03, 0.0))


def test_weights_of_one_and_zero_are_a_priority() -> None:
    network = fast_prefill()
    targets = Targets(network, (0.3, 0.3), (0.0, 0.0), (0.0, 0.0), solo_decode=(1.0, 0.0))
    law = stationary_law(network, GeneralSliAware(targets), 3, tolerance=LOSS)
    queues = [3 * q for q in law.occupancies["decode_queue"]]
    assert queues == pytest.approx(queues_by_priority([0.09, 0.09], [1.0, 1.0]), rel=1e-3)


def test_an_order_of_the_buffer_is_a_priority() -> None:
    class SecondClassFirst(GateAndRoute):
        def buffer_order(self) -> tuple[int, ...]:
            return (1, 0)

    network = fast_prefill()
    policy = SecondClassFirst(Targets(network, (0.3, 0.3), (0.0, 0.0)))
    law = stationary_law(network, policy, 3, tolerance=LOSS)
    queues = [3 * q for q in reversed(law.occupancies["decode_queue"])]
    assert queues == pytest.approx(queues_by_priority([0.09, 0.09], [1.0, 1.0]), rel=1e-3)


def test_one_request_at_a_time_is_a_queue_with_service_in_two_phases() -> None:
    # At most one request past the gate: M/G/1 with S = Exp(1) + Exp(2), E[S] = 3/2 and
    # E[S^2] = 1 + 1/4 + 9/4 = 7/2. Pollaczek-Khinchine: E[Q] = lambda^2 E[S^2] / (2 (1 - rho)).
    class OneAtATime(GateAndRoute):
        def admission_limit(self, gpus: int) -> float:
            return 1.0

    network = network_of(1, 1.0, (1.0, 2.0, 0.1, 0.0))
    law = stationary_law(network, OneAtATime(Targets(network, (0.5,), (0.0,))), 2)
    assert 2 * law.occupancies["prefill_queue"][0] == pytest.approx(
        0.2**2 * 3.5 / (2 * (1 - 0.3)), rel=1e-6
    )


@dataclass(frozen=True)
class Case:
    """A small network with impatient requests, so that the room to wait is small."""

    network: ServingNetwork
    targets: Targets

    @classmethod
    def impatient(cls) -> Case:
        network = network_of(2, 1.3, (1.0, 0.3, 0.5, 8.0), (0.6, 0.2, 0.3, 12.0))
        targets = Targets(network, (0.2, 0.25), (0.1, 0.0), (0.4, 0.1), (0.1, 1.0))
        return cls(network, targets)


@cache
def law_of(policy: Any) -> StationaryLaw:
    case = Case.impatient()
    return stationary_law(case.network, policy(case.targets), 2, tolerance=LOSS)


def simulated_outside(law: StationaryLaw, policy: Any, targets: Targets) -> list[str]:
    network = Case.impatient().network
    return outside(law, network, policy(targets), SEED, horizon=20_000.0, negligible=1e-4)


@pytest.mark.parametrize("policy", PLANNED_POLICIES)
def test_simulated_means_agree_with_the_exact_law(policy: Any) -> None:
    assert simulated_outside(law_of(policy), policy, Case.impatient().targets) == []


@pytest.mark.parametrize(
    ("policy", "mistaken"),
    [
        (PrioritizeAndRoute, GateAndRoute),
        (LimitedGateAndRoute, GateAndRoute),
        (SliAware, GateAndRoute),
        (Disaggregated, GateAndRoute),
    ],
)
def test_control_another_policy_is_detected(policy: Any, mistaken: Any) -> None:
    assert simulated_outside(law_of(policy), mistaken, Case.impatient().targets) != []


def test_control_weights_that_are_ignored_are_detected() -> None:
    network = fast_prefill()
    targets = Targets(network, (0.3, 0.3), (0.0, 0.0), (0.0, 0.0), solo_decode=(1.0, 0.0))
    law = stationary_law(network, GeneralSliAware(targets), 3, tolerance=LOSS)
    tolerances = {"horizon": 20_000.0, "negligible": 1e-4}
    assert outside(law, network, GeneralSliAware(targets), SEED, **tolerances) == []
    assert outside(law, network, SliAware(targets), SEED, **tolerances) != []


def test_control_other_lots_are_detected() -> None:
    targets = replace(Case.impatient().targets, solo_decode=(0.2, 1.0))
    assert simulated_outside(law_of(SliAware), SliAware, targets) != []


@pytest.mark.parametrize("policy", PLANNED_POLICIES)
def test_exact_law_conserves_requests(policy: Any) -> None:
    law, network = law_of(policy), Case.impatient().network
    event = law.event_rates
    for i, request_class in enumerate(network.classes):
        started = event["prefill_completion"][i]
        completed = event["solo_completion"][i] + event["mixed_completion"][i]
        lost = event["prefill_abandonment"][i]
        assert request_class.arrival_rate == pytest.approx(lost + started, abs=1e-5)
        assert started == pytest.approx(event["decode_abandonment"][i] + completed, abs=1e-5)


def test_a_shared_layout_is_refused() -> None:
    network = instance("small-one-class")
    with pytest.raises(InvalidInput, match="simulator of single GPUs"):
        stationary_law(network, policy_named("fi-wsp", Targets(network, (0.5,))), 1)
