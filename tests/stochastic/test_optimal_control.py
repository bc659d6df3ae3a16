"""Optimal control of small systems: against closed forms, gate-and-route and a second route."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.fluid import plan
from kurtz.stochastic import stationary_law
from kurtz.stochastic.optimal_control.certificate import (
    exact_lower_bound,
    exact_upper_bound,
    needed_overflow_pay,
)
from kurtz.stochastic.optimal_control.control import OptimalControl, optimal_control
from kurtz.stochastic.optimal_control.iteration import solve
from kurtz.stochastic.optimal_control.linear_program import gain_by_linear_program
from kurtz.stochastic.optimal_control.process import DecisionProcess
from kurtz.stochastic.optimal_control.servers import dedicated_servers, undedicated_servers
from kurtz.theory import (
    GateAndRoute,
    Gpu,
    InvalidInput,
    IterationTime,
    Prices,
    RequestClass,
    ServingNetwork,
    exact_rates,
    instance,
)

SMALL = ("small-one-class", "small-two-class", "small-underloaded")


def network_of(*classes: tuple[float, float, float, float], batch: int = 2) -> ServingNetwork:
    """Classes given as prompt and output tokens, arrival and patience rate."""
    return ServingNetwork(
        Gpu("small", IterationTime(0.2, 0.001, 4.0), batch=batch, chunk=100),
        Prices(0.1, 0.2),
        tuple(RequestClass(f"class {i}", *numbers) for i, numbers in enumerate(classes)),
    )


def process_of(name: str, gpus: int, mixed: int | None, room: int = 2) -> DecisionProcess:
    rates = exact_rates(instance(name))
    if mixed is None:
        servers = undedicated_servers(rates, gpus)
    else:
        servers = dedicated_servers(rates, gpus, mixed)
    return DecisionProcess(servers, rates, gpus, (room,) * (2 * len(rates.arrival)))


def unpaid(process: DecisionProcess) -> tuple[Fraction, ...]:
    return (Fraction(0),) * len(process.rooms)


def stationary_revenue(control: OptimalControl) -> float:
    return float(control.probabilities @ control.process.revenue) / control.gpus


@pytest.mark.parametrize("gpus", [1, 2])
@pytest.mark.parametrize("name", ["small-one-class", "small-underloaded"])
def test_without_freedom_one_class_is_served_as_by_gate_and_route(name: str, gpus: int) -> None:
    # One class, no idling, solo first: nothing is left to decide.
    policy = GateAndRoute(plan(instance(name)))
    law = stationary_law(instance(name), policy, gpus)
    forced = optimal_control(
        instance(name),
        gpus,
        policy.mixed_gpus(gpus),
        gate_may_idle=False,
        router_may_wait=False,
        tolerance=1e-6,
    )
    assert law.revenue_rate == pytest.approx(float(forced.upper), rel=2e-6)


@pytest.mark.parametrize("name", SMALL)
def test_gate_and_route_earns_at_most_the_optimum_of_its_layout(name: str) -> None:
    policy = GateAndRoute(plan(instance(name)))
    law = stationary_law(instance(name), policy, 2, tolerance=1e-5)
    best = optimal_control(instance(name), 2, policy.mixed_gpus(2))
    assert law.revenue_rate <= best.upper


@settings(max_examples=5, deadline=None)
@given(
    lengths=st.lists(
        st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(1, 4)), min_size=1, max_size=2
    ),
    mixed=st.sampled_from([1, None]),
)
def test_no_optimum_exceeds_the_steady_state_program(
    lengths: list[tuple[int, int, int]], mixed: int | None
) -> None:
    network = network_of(*((100.0 * p, 4.0 * d, a / 10, 5.0) for p, d, a in lengths))
    # kappa = gamma tau = 1.2 >= (B-1)/B, the hypothesis of the bound.
    assert optimal_control(network, 1, mixed, tolerance=0.05).upper <= plan(network).value


@pytest.mark.parametrize("dedicated", [True, False])
def test_two_like_classes_earn_what_one_class_of_both_earns(dedicated: bool) -> None:
    mixed = 1 if dedicated else None
    one = optimal_control(network_of((400, 16, 0.5, 4)), 1, mixed, tolerance=1e-4)
    two = optimal_control(
        network_of((400, 16, 0.2, 4), (400, 16, 0.3, 4)), 1, mixed, tolerance=1e-4
    )
    assert float(two.lower) == pytest.approx(float(one.lower), rel=2e-4)


def test_one_slot_and_no_patience_is_a_renewal_process() -> None:
    # B = 1 and nobody waits: idle 1/lambda, prefill 1/mu_p, decode 1/mu_s, then w; tau = 0.3.
    network = network_of((400, 16, 0.5, 1e6), batch=1)
    cycle = 1 / 0.5 + 400 * 0.3 / 100 + 16 / 4
    weight = 0.1 * 400 + 0.2 * 16
    best = optimal_control(network, 1, tolerance=1e-4)
    assert float(best.lower) == pytest.approx(weight / cycle, rel=1e-4)
    assert float(best.upper) >= weight / cycle


@pytest.mark.parametrize(
    ("name", "gpus", "mixed"),
    [("small-one-class", 2, 1), ("small-two-class", 1, 1), ("small-underloaded", 2, None)],
)
def test_linear_program_and_policy_iteration_find_the_same_optimum(
    name: str, gpus: int, mixed: int | None
) -> None:
    process = process_of(name, gpus, mixed)
    found = solve(process, unpaid(process), tolerance=1e-9)
    assert gain_by_linear_program(process, unpaid(process)) == pytest.approx(found.gain, rel=1e-6)


@pytest.mark.parametrize("freedom", ["gate_may_idle", "router_may_wait"])
def test_less_freedom_earns_no_more(freedom: str) -> None:
    network = instance("small-two-class")
    free = optimal_control(network, 2, 1)
    bound = optimal_control(network, 2, 1, **{freedom: False})
    assert bound.lower <= free.upper


def test_an_idle_gate_is_worth_something_with_two_classes() -> None:
    network = instance("small-two-class")
    free = optimal_control(network, 1, 1)
    busy = optimal_control(network, 1, 1, gate_may_idle=False)
    assert busy.upper < free.lower


@pytest.mark.parametrize("mixed", [1, None])
@pytest.mark.parametrize("name", SMALL)
def test_tighter_brackets_lie_within_wider_ones(name: str, mixed: int | None) -> None:
    wide = optimal_control(instance(name), 1, mixed, tolerance=0.5)
    tight = optimal_control(instance(name), 1, mixed, tolerance=1e-5)
    assert wide.lower <= tight.upper
    assert tight.lower <= wide.upper
    assert tight.upper - tight.lower <= Fraction(1, 100_000) * tight.upper


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), noise=st.sampled_from([0.01, 1.0, 10.0]))
def test_bounds_hold_whatever_the_values(seed: int, noise: float) -> None:
    process = process_of("small-one-class", 2, 1, room=3)
    best = optimal_control(instance("small-one-class"), 2, 1, tolerance=1e-4)
    solution = solve(process, unpaid(process), tolerance=1e-6)
    values = solution.values + noise * np.random.default_rng(seed).normal(size=process.states)
    decision = process.best_decision(values)
    assert exact_lower_bound(process, decision, values) <= 2 * best.upper
    pay = needed_overflow_pay(process, values[decision])
    bound = exact_upper_bound(process, values, pay)
    assert bound is not None
    assert bound >= 2 * best.lower


def test_overflows_that_pay_nothing_give_no_upper_bound() -> None:
    process = process_of("small-underloaded", 3, 1, room=1)
    solution = solve(process, unpaid(process), tolerance=1e-6)
    assert exact_upper_bound(process, solution.values, unpaid(process)) is None
    # And rightly so: the cut system earns less than the one without a cut.
    best = optimal_control(instance("small-underloaded"), 3, 1)
    assert solution.gain < 3 * best.lower


@pytest.mark.parametrize("mixed", [1, None])
def test_stationary_revenue_is_the_gain(mixed: int | None) -> None:
    best = optimal_control(instance("small-two-class"), 2, mixed)
    assert math.fsum(best.probabilities) == pytest.approx(1, abs=1e-9)
    assert best.probabilities.min() >= 0
    assert stationary_revenue(best) == pytest.approx(float(best.lower), rel=1e-7)


def test_dedicated_configurations_are_all_ways_to_fill_the_slots() -> None:
    # Two classes in at most k slots: (k+1)(k+2)/2 ways; here k = 2 prefill, 2 mixed, 2 solo.
    servers = dedicated_servers(exact_rates(instance("small-two-class")), 3, 2)
    assert len(servers.configurations) == 6 * 6 * 6


def test_undedicated_configurations_are_multisets_of_gpu_states() -> None:
    # One GPU, B = 2, two classes: 6 ways without a prefill, 2 x 3 with one; C(13, 2) pairs.
    servers = undedicated_servers(exact_rates(instance("small-two-class")), 2)
    assert len(servers.configurations) == 78
    assert max(servers.occupied) == 4


def test_a_prefill_slows_the_decodes_beside_it() -> None:
    rates = exact_rates(instance("small-one-class"))
    servers = undedicated_servers(rates, 1)
    source = servers.configurations.index(((0, 1),))
    (done,) = (c for c in servers.decode_completions if c.source == source)
    assert done.rate == rates.mixed_decode[0]
    alone = servers.configurations.index(((-1, 1),))
    (done,) = (c for c in servers.decode_completions if c.source == alone)
    assert done.rate == rates.solo_decode[0]


def test_solo_first_leaves_mixed_slots_while_solo_slots_are_free() -> None:
    rates = exact_rates(instance("small-one-class"))
    servers = dedicated_servers(rates, 2, 1, solo_first=True)
    for placement in servers.decode_placements:
        _, mixed, solo = servers.configurations[placement.source]
        if servers.configurations[placement.target][1] != mixed:
            assert sum(solo) == 2


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("gpus", {"gpus": 0}),
        ("mixed_gpus", {"gpus": 1, "mixed_gpus": 2}),
        ("tolerance", {"gpus": 1, "tolerance": 0.0}),
        ("max_states", {"gpus": 2, "max_states": 10}),
    ],
)
def test_bad_arguments_are_named(field: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=field):
        optimal_control(instance("small-one-class"), **arguments)


def test_endless_patience_is_refused() -> None:
    network = instance("small-one-class")
    endless = replace(network, classes=(replace(network.classes[0], patience_rate=0.0),))
    with pytest.raises(InvalidInput, match="patience_rate"):
        optimal_control(endless, 1)
