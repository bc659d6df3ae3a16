"""Trajectories of the fluid equations: conservation, capacities, closed forms, the policies."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.fluid import plan
from kurtz.fluid.dynamics import (
    STAGES,
    FluidModel,
    FluidState,
    fluid_model,
    integrated,
    trajectories,
    trajectory,
)
from kurtz.proofs_checks.networks.fluid_cases import random_state
from kurtz.theory import (
    GateAndRoute,
    Gpu,
    InvalidInput,
    IterationTime,
    Prices,
    RequestClass,
    ServingNetwork,
    instance,
)
from kurtz.theory.policies import Layout, Routing, policy_named, policy_names
from strategies import networks

TWO_CLASS = plan(instance("two-class"))
PLANNED = [
    name for name in policy_names() if policy_named(name, TWO_CLASS).layout is not Layout.SHARED
]
# tau = 0.1 s, mu_p = 10, mu_m = 2, mu_s = 4 per second: with x* = 1/2 prefill brings 5 requests
# per second and GPU, just as many as B = 2 slots per GPU complete.
ONE_CLASS = ServingNetwork(
    gpu=Gpu("small", IterationTime(alpha=0, beta=0.001, gamma=20), batch=2, chunk=100),
    prices=Prices(prefill=0, decode=1),
    classes=(RequestClass("only", 100, 5, 8, 1),),
)


GENERATORS = st.integers(0, 2**32).map(random.Random)


def models(network: ServingNetwork, policy_name: str) -> FluidModel:
    return fluid_model(network, policy_named(policy_name, plan(network)))


@settings(deadline=None, max_examples=30)
@given(
    networks(meets_condition=True),
    st.sampled_from(PLANNED),
    GENERATORS,
)
def test_conservation_and_capacity_hold_to_1e_10(
    network: ServingNetwork, policy_name: str, generator: random.Random
) -> None:
    model = models(network, policy_name)
    path = integrated(model, random_state(generator, model), horizon=30, points=20)
    assert np.abs(path.conservation_errors()).max() < 1e-10
    assert path.capacity_excess() < 1e-10


@settings(deadline=None, max_examples=30)
@given(networks(meets_condition=True), st.sampled_from(PLANNED), GENERATORS)
def test_lemma_10_7_nobody_waits_that_could_be_served(
    network: ServingNetwork, policy_name: str, generator: random.Random
) -> None:
    policy = policy_named(policy_name, plan(network))
    model = fluid_model(network, policy)
    path = integrated(model, random_state(generator, model), horizon=10, points=20)
    prefill, mixed, solo = model.capacities
    admitted = [policy.admits(i) for i in range(model.classes)]
    waits = path.stage("prefill_queue")[:, admitted].sum(axis=1) > 1e-9
    assert np.all(path.stage("prefill")[waits].sum(axis=1) > prefill - 1e-9)
    if policy.routing is Routing.SOLO_FIRST:
        waits_solo = waits_mixed = path.stage("decode_queue").sum(axis=1) > 1e-9
    else:
        waits_mixed = path.mixed_pool_queue.sum(axis=1) > 1e-9
        waits_solo = (path.stage("decode_queue") - path.mixed_pool_queue).sum(axis=1) > 1e-9
    assert np.all(path.stage("mixed_decode")[waits_mixed].sum(axis=1) > mixed - 1e-9)
    assert np.all(path.stage("solo_decode")[waits_solo].sum(axis=1) > solo - 1e-9)


def test_lemma_10_5_one_class_queue_approaches_its_target_at_rate_theta() -> None:
    # q_p' = lambda - theta q_p - mu_p x*, hence q_p = q_p* + (q_p(0) - q_p*) exp(-theta t).
    best = plan(ONE_CLASS)
    start = FluidState(prefill_queue=[1.0], prefill=[float(best.prefill[0])])
    target = float(best.prefill_queue[0])
    errors = []
    for step in (0.01, 0.005):
        path = trajectory(
            ONE_CLASS, GateAndRoute(best), horizon=5, initial=start, points=100, step=step
        )
        closed = target + (1 - target) * np.exp(-path.times)
        errors.append(float(np.abs(path.stage("prefill_queue")[:, 0] - closed).max()))
    assert errors[0] < 0.02
    assert errors[1] == pytest.approx(errors[0] / 2, rel=0.05)


def test_underloaded_prefill_follows_linear_growth_of_infinitely_many_servers() -> None:
    # No slot ever fills: x = (lambda / mu_p)(1 - exp(-mu_p t)).
    light = dataclasses.replace(
        ONE_CLASS, classes=(dataclasses.replace(ONE_CLASS.classes[0], arrival_rate=1),)
    )
    path = trajectory(light, policy_named("fcfs", plan(ONE_CLASS)), horizon=2, step=1e-4)
    closed = 0.1 * (1 - np.exp(-10 * path.times))
    assert np.abs(path.stage("prefill")[:, 0] - closed).max() < 1e-4


def test_scheme_rests_exactly_at_the_plan() -> None:
    start = FluidState(
        **{
            name: [float(v) for v in getattr(TWO_CLASS, name)]
            for name in ("prefill_queue", "prefill")
        }
    )
    path = trajectory(TWO_CLASS.network, GateAndRoute(TWO_CLASS), horizon=20, initial=start)
    assert np.abs(path.states[:, :2] - path.states[0, :2]).max() < 1e-12


def test_revenue_rate_tends_to_the_value_of_the_plan() -> None:
    path = trajectory(TWO_CLASS.network, GateAndRoute(TWO_CLASS), horizon=400)
    rate = (path.revenue[-1] - path.revenue[-2]) / (path.times[-1] - path.times[-2])
    assert rate == pytest.approx(float(TWO_CLASS.value), rel=1e-5)


def test_priority_gate_serves_the_decode_heavy_class_first() -> None:
    policy = policy_named("prioritize-and-route", TWO_CLASS)
    path = trajectory(TWO_CLASS.network, policy, horizon=100)
    assert path.stage("prefill_queue")[:, 0].max() < 1e-12
    assert path.stage("prefill_queue")[-1, 1] > 0


def test_first_come_gate_keeps_equal_waits() -> None:
    # Both classes arrive and give up at the same rates, so that one line holds as many of each.
    path = trajectory(TWO_CLASS.network, policy_named("fcfs", TWO_CLASS), horizon=100)
    queue = path.stage("prefill_queue")
    assert queue[-1, 0] > 0.01
    assert np.abs(queue[:, 0] - queue[:, 1]).max() < 1e-12


def test_proposition_12_1_pools_track_decodes_per_class() -> None:
    path = trajectory(TWO_CLASS.network, policy_named("sli-aware", TWO_CLASS), horizon=600)
    for name in ("mixed_decode", "solo_decode"):
        target = [float(y) for y in getattr(TWO_CLASS, name)]
        assert path.stage(name)[-1] == pytest.approx(target, abs=1e-4)
    assert path.stage("decode_queue")[-1].max() < 1e-6


def test_proposition_13_5_general_pools_track_decodes_and_a_planned_buffer() -> None:
    best = plan(instance("two-class"), "separate")
    assert max(best.decode_queue) > 0
    path = trajectory(best.network, policy_named("sli-general", best), horizon=600)
    for k, name in enumerate(STAGES):
        target = [float(value) for value in getattr(best, name)]
        assert path.states[-1, k] == pytest.approx(target, abs=1e-4)


def test_rounding_of_mixed_gpus_vanishes_as_gpus_grow() -> None:
    policy = GateAndRoute(TWO_CLASS)
    limit = fluid_model(TWO_CLASS.network, policy).capacities[0]
    assert limit == pytest.approx(float(TWO_CLASS.mixed_share), abs=1e-15)
    assert fluid_model(TWO_CLASS.network, policy, gpus=10).capacities[0] == pytest.approx(0.3)


def test_batch_gives_the_same_trajectories_on_any_number_of_workers() -> None:
    model = models(TWO_CLASS.network, "gate-and-route")
    generator = random.Random(4)
    cases = [(model, random_state(generator, model)) for _ in range(5)]
    alone = [integrated(*case, horizon=5) for case in cases]
    together = trajectories(cases, horizon=5, workers=2)
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.states, other.states)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"horizon": 0}, "horizon"),
        ({"points": 0}, "points"),
        ({"step": 1.0}, "step"),
        ({"initial": FluidState(prefill=[0.5, 0.5])}, "initial.prefill"),
        ({"initial": FluidState(prefill_queue=[-1, 0])}, "initial.prefill_queue"),
        ({"initial": FluidState(prefill_queue=[1])}, "initial.prefill_queue"),
        ({"gpus": 0}, "gpus"),
    ],
)
def test_bad_input_is_named(change: dict[str, object], field: str) -> None:
    arguments: dict[str, object] = {"horizon": 1} | change
    with pytest.raises(InvalidInput) as raised:
        trajectory(TWO_CLASS.network, GateAndRoute(TWO_CLASS), **arguments)  # type: ignore[arg-type]
    assert raised.value.field == field


def test_policies_without_dedicated_gpus_are_refused() -> None:
    with pytest.raises(InvalidInput, match="dedicates"):
        trajectory(TWO_CLASS.network, policy_named("fi-wsp", TWO_CLASS), horizon=1)


def test_stages_are_those_of_the_chain() -> None:
    from kurtz.stochastic import COUNTS

    assert STAGES == COUNTS
