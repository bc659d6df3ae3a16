"""Exact stationary laws: against closed forms and conservation, and as the simulator's judge."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from exact_laws import LEVEL, outside
from hypothesis import given, settings
from hypothesis import strategies as st
from planned_policies import Targets
from scipy import stats

from kurtz.fluid import plan
from kurtz.stochastic import simulate
from kurtz.stochastic.erlang_a import erlang_a
from kurtz.stochastic.exact_chain import StationaryLaw, stationary_law
from kurtz.theory import FirstComeFirstServed, GateAndRoute, InvalidInput, instance, rates

POLICIES = (GateAndRoute, FirstComeFirstServed)
SMALL = ("small-one-class", "small-two-class", "small-underloaded")
NEGLIGIBLE = 1e-8  # what a truncation loss of 1e-9 may move in a number of order one


@cache
def law_of(name: str, policy: Any, gpus: int) -> StationaryLaw:
    network = instance(name)
    return stationary_law(network, policy(plan(network)), gpus)


@pytest.mark.parametrize("gpus", [1, 2])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", SMALL)
def test_simulated_means_agree_with_the_exact_law(name: str, policy: Any, gpus: int) -> None:
    network = instance(name)
    assert outside(law_of(name, policy, gpus), network, policy(plan(network)), seed=2026) == []


@pytest.mark.parametrize(
    "field", ["prompt_tokens", "output_tokens", "arrival_rate", "patience_rate"]
)
def test_control_a_rate_that_is_ten_percent_off_is_detected(field: str) -> None:
    network = instance("small-two-class")
    first, second = network.classes
    wrong = replace(
        network, classes=(replace(first, **{field: 1.1 * getattr(first, field)}), second)
    )
    law = law_of("small-two-class", GateAndRoute, 2)
    assert outside(law, wrong, GateAndRoute(plan(network)), seed=2026) != []


def test_control_another_gate_is_detected() -> None:
    network = instance("small-two-class")
    law = law_of("small-two-class", FirstComeFirstServed, 2)
    # With one prefill slot occupancies tie; queue targets so far apart put the first class first.
    mistaken = GateAndRoute(Targets(network, (0.01, 0.4), (0.0, 100.0)))
    assert outside(law, network, mistaken, seed=2026) != []


@pytest.mark.parametrize("gpus", [1, 2])
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", SMALL)
def test_exact_law_conserves_requests(name: str, policy: Any, gpus: int) -> None:
    law, network = law_of(name, policy, gpus), instance(name)
    rate, mean, event = rates(network), law.occupancies, law.event_rates
    assert law.states < 60_000
    assert law.residual < 1e-15
    assert law.truncation_loss < 1e-9
    for i in range(len(network.classes)):
        # prefill: lambda = theta q_p + mu_p x; decode: mu_p x = theta q_d + mu_m y_m + mu_s y_s
        lost, started = event["prefill_abandonment"][i], event["prefill_completion"][i]
        completed = event["solo_completion"][i] + event["mixed_completion"][i]
        assert rate.arrival[i] == pytest.approx(lost + started, abs=NEGLIGIBLE)
        assert started == pytest.approx(event["decode_abandonment"][i] + completed, abs=NEGLIGIBLE)
        assert started == pytest.approx(rate.prefill[i] * mean["prefill"][i], rel=1e-14)
    mixed = policy(plan(network)).mixed_gpus(gpus)
    assert sum(mean["prefill"]) * gpus <= mixed
    assert sum(mean["mixed_decode"]) * gpus <= mixed * (network.gpu.batch - 1)
    assert sum(mean["solo_decode"]) * gpus <= (gpus - mixed) * network.gpu.batch


def test_small_instances_serve_the_purpose_they_state() -> None:
    for name in SMALL:
        network = instance(name)
        rate, planned = rates(network), plan(network)
        assert rate.kappa >= (rate.batch - 1) / rate.batch
        assert planned.decode_queue == (0,) * len(network.classes)
        assert (max(planned.prefill_queue) > 0) == (name != "small-underloaded")
        assert [GateAndRoute(planned).mixed_gpus(n) for n in (1, 2)] == [1, 1]
        share = law_of(name, GateAndRoute, 2).revenue_rate / float(planned.value)
        assert 0.8 < share <= 1 if name == "small-underloaded" else share <= 1


@pytest.mark.parametrize("policy", POLICIES)
def test_prefill_stage_of_one_class_is_erlang_a(policy: Any) -> None:
    # Whatever decode does, M prefill slots with n lambda arrivals per second are M/M/M+M.
    for gpus in (1, 2, 3):
        network = instance("small-one-class")
        chosen, rate = policy(plan(network)), rates(network)
        law = stationary_law(network, chosen, gpus, tolerance=1e-13)
        expected = erlang_a(
            gpus * rate.arrival[0], rate.prefill[0], chosen.mixed_gpus(gpus), rate.patience[0]
        )
        queue, busy = (gpus * law.occupancies[k][0] for k in ("prefill_queue", "prefill"))
        assert queue == pytest.approx(expected.mean_queue, rel=1e-10)
        assert busy == pytest.approx(expected.mean_busy_servers, rel=1e-10)
        abandoned = gpus * law.event_rates["prefill_abandonment"][0]
        assert abandoned == pytest.approx(expected.abandonment_rate, rel=1e-10)


def test_simulated_prefill_stage_of_many_gpus_is_erlang_a() -> None:
    network = instance("small-one-class")
    policy, rate, gpus = GateAndRoute(plan(network)), rates(network), 50
    expected = erlang_a(
        gpus * rate.arrival[0], rate.prefill[0], policy.mixed_gpus(gpus), rate.patience[0]
    )
    estimate = simulate(
        network,
        policy,
        gpus=gpus,
        horizon=2000.0,
        warmup=50.0,
        replications=40,
        seed=7,
        level=LEVEL,
    )
    for measured, value in (
        (estimate.occupancies["prefill_queue"][0], expected.mean_queue),
        (estimate.occupancies["prefill"][0], expected.mean_busy_servers),
        (estimate.event_rates["prefill_abandonment"][0], expected.abandonment_rate),
    ):
        assert measured.ci[0] <= value / gpus <= measured.ci[1]


def test_without_decode_slots_the_buffer_is_a_queue_of_infinite_servers() -> None:
    # B = 1 and M = n = 1: no decode slot at all. Prefilled requests arrive in the buffer at rate
    # mu_p E[X] and leave by abandonment alone: E[Q_d] = mu_p E[X] / theta; nothing is earned.
    network = instance("small-one-class")
    network = replace(network, gpu=replace(network.gpu, batch=1))
    rate = rates(network)
    law = stationary_law(network, GateAndRoute(Targets(network, (1.0,), (0.0,))), 1)
    through = rate.prefill[0] * law.occupancies["prefill"][0]
    assert law.occupancies["decode_queue"][0] == pytest.approx(
        through / rate.patience[0], abs=NEGLIGIBLE
    )
    assert law.revenue_rate == 0


def test_a_class_outside_the_plan_is_never_served() -> None:
    # Its requests wait until they abandon: M/M/infinity with mean n lambda / theta.
    network = instance("small-two-class")
    law = stationary_law(network, GateAndRoute(Targets(network, (0.0, 0.4), (0.0, 0.0))), 1)
    rate = rates(network)
    assert law.occupancies["prefill"][0] == 0
    assert law.occupancies["prefill_queue"][0] == pytest.approx(
        rate.arrival[0] / rate.patience[0], abs=NEGLIGIBLE
    )


def test_a_looser_tolerance_takes_fewer_states() -> None:
    network = instance("small-one-class")
    loose = stationary_law(network, GateAndRoute(plan(network)), 2, tolerance=1e-3)
    tight = law_of("small-one-class", GateAndRoute, 2)
    assert loose.states < tight.states
    assert tight.truncation_loss < loose.truncation_loss <= 1e-3
    assert loose.revenue_rate == pytest.approx(tight.revenue_rate, rel=1e-2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gpus": 0}, "gpus = 0 .* integer >= 1"),
        ({"tolerance": 0.0}, "tolerance = 0.0 .* > 0"),
        ({"max_states": 0}, "max_states = 0 .* integer >= 1"),
        (
            {"max_states": 100},
            "max_states = 100 .* more states, .* waiting room of [0-9]+ .* fewer GPUs",
        ),
    ],
)
def test_bad_arguments_are_named(changes: dict[str, Any], message: str) -> None:
    network = instance("small-two-class")
    with pytest.raises(InvalidInput, match=message):
        stationary_law(network, GateAndRoute(plan(network)), **({"gpus": 2} | changes))


def test_erlang_a_with_patience_like_service_is_poisson() -> None:
    # theta = mu: everybody leaves at rate mu, so the number present is Poisson with mean 5 / 2.
    law, present = erlang_a(5.0, 2.0, 3, 2.0), stats.poisson(2.5)
    assert law.wait_probability == pytest.approx(present.sf(2), rel=1e-14)
    queue = math.fsum((k - 3) * present.pmf(k) for k in range(4, 80))
    assert law.mean_queue == pytest.approx(queue, rel=1e-13)
    assert law.mean_queue + law.mean_busy_servers == pytest.approx(2.5, rel=1e-14)


def test_erlang_a_with_hasty_customers_is_erlang_b() -> None:
    # Nobody waits: M/M/2/2 with offered load 1 is full with probability (1/2)/(1 + 1 + 1/2) = 1/5.
    law = erlang_a(1.0, 1.0, 2, 1e12)
    assert law.wait_probability == pytest.approx(0.2, rel=1e-10)
    assert law.abandonment_rate == pytest.approx(0.2, rel=1e-10)


@given(
    load=st.floats(0.01, 3.0),
    service=st.floats(1e-3, 1e3),
    servers=st.integers(1, 3000),
    patience=st.floats(1e-2, 1e2),
)
@settings(max_examples=100, deadline=None)
def test_erlang_a_conserves_customers_at_every_size(
    load: float, service: float, servers: int, patience: float
) -> None:
    arrival = load * servers * service
    law = erlang_a(arrival, service, servers, patience * service)
    served = service * law.mean_busy_servers
    assert served + law.abandonment_rate == pytest.approx(arrival, rel=1e-11)
    assert law.mean_busy_servers <= servers * (1 + 1e-12)
    assert 0 <= law.wait_probability <= 1 + 1e-12


@pytest.mark.parametrize("field", ["arrival_rate", "service_rate", "patience_rate", "servers"])
def test_erlang_a_names_what_it_refuses(field: str) -> None:
    arguments: dict[str, Any] = {
        "arrival_rate": 1.0,
        "service_rate": 1.0,
        "servers": 1,
        "patience_rate": 1.0,
    }
    with pytest.raises(InvalidInput, match=f"{field} = 0"):
        erlang_a(**(arguments | {field: 0}))
