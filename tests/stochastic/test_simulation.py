"""The kernel is the readable simulator, event for event; its results are reproducible."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planned_policies import PLANNED_POLICIES, LimitedGateAndRoute, Targets

from kurtz.fluid import plan
from kurtz.stochastic import (
    COUNTS,
    EVENTS,
    Chain,
    Run,
    build_chain,
    replication_generator,
    run_kernel,
    run_reference,
    simulate,
)
from kurtz.theory import (
    FirstComeFirstServed,
    GateAndRoute,
    GeneralSliAware,
    Gpu,
    InvalidInput,
    IterationTime,
    Prices,
    RequestClass,
    ServingNetwork,
    SliAware,
    instance,
    policy_named,
)

PREFILL_QUEUE, PREFILL, DECODE_QUEUE, MIXED_DECODE, SOLO_DECODE = range(len(COUNTS))


def both(chain: Chain, seed: int, warmup: float, horizon: float, points: int = 50) -> list[Run]:
    grid = np.linspace(0.0, horizon, points)
    return [
        runner(chain, replication_generator(seed, 0), warmup, horizon, grid, 10**6)
        for runner in (run_kernel, run_reference)
    ]


def assert_same(kernel: Run, reference: Run) -> None:
    assert kernel.events == reference.events
    np.testing.assert_array_equal(kernel.log, reference.log)
    np.testing.assert_array_equal(kernel.completed, reference.completed)
    np.testing.assert_array_equal(kernel.grid_counts, reference.grid_counts)
    np.testing.assert_allclose(kernel.areas, reference.areas, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("policy", PLANNED_POLICIES)
@pytest.mark.parametrize(
    ("name", "gpus", "horizon"),
    [
        ("small-one-class", 1, 500.0),
        ("small-two-class", 2, 500.0),
        ("small-underloaded", 3, 500.0),
        ("two-class", 1, 500.0),
        ("two-class", 20, 100.0),
        ("azure-h100", 5, 100.0),
    ],
)
def test_kernel_is_the_reference_event_for_event(
    policy: Any, name: str, gpus: int, horizon: float
) -> None:
    network = instance(name)
    chain = build_chain(network, policy(plan(network)), gpus)
    kernel, reference = both(chain, seed=3, warmup=horizon / 3, horizon=horizon)
    assert kernel.events > 100
    assert len(kernel.log) == kernel.events
    assert_same(kernel, reference)


@pytest.mark.parametrize("policy", [GateAndRoute, FirstComeFirstServed, GeneralSliAware])
def test_lines_outgrow_their_first_rings_in_step(policy: Any) -> None:
    # Requests arrive twice as fast as the single prefill slot serves them and hardly abandon;
    # prefilled requests find one slow decode slot: both kinds of line pass 64 and 128.
    network = ServingNetwork(
        Gpu("g", IterationTime(alpha=0.0, beta=0.001, gamma=10.0), batch=2, chunk=1000),
        Prices(0.1, 0.2),
        (
            RequestClass("a", 500, 50, arrival_rate=2.5, patience_rate=0.001),
            RequestClass("b", 500, 100, arrival_rate=2.5, patience_rate=0.002),
        ),
    )
    targets = Targets(network, (0.5, 0.5), (0.0, 0.0), (1.0, 1.0), (0.0, 0.0))
    chain = build_chain(network, policy(targets), 1)
    kernel, reference = both(chain, seed=5, warmup=0.0, horizon=400.0)
    largest = kernel.grid_counts.max(axis=0)
    assert largest[PREFILL_QUEUE].min() > 128
    assert largest[DECODE_QUEUE].min() > 128
    assert kernel.completed[EVENTS.index("decode_abandonment")].min() > 10
    assert_same(kernel, reference)


@st.composite
def networks(draw: st.DrawFn) -> ServingNetwork:
    def number(low: float, high: float) -> float:
        return draw(st.floats(low, high).map(lambda value: float(f"{value:.3g}")))

    classes = tuple(
        RequestClass(str(i), number(50, 900), number(2, 40), number(0.1, 2), number(0.05, 3))
        for i in range(draw(st.integers(1, 3)))
    )
    time = IterationTime(number(0.05, 0.3), 0.001, number(2, 20))
    return ServingNetwork(Gpu("g", time, draw(st.integers(1, 4)), 100), Prices(0.1, 0.2), classes)


@given(
    network=networks(),
    policy=st.sampled_from(PLANNED_POLICIES),
    gpus=st.integers(1, 6),
    share=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    queue=st.lists(st.floats(0, 2), min_size=3, max_size=3),
    decode=st.lists(st.sampled_from([0.0, 0.3, 1.0, 2.0]), min_size=6, max_size=6),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=120, deadline=None)
def test_kernel_is_the_reference_on_random_networks(
    network: ServingNetwork,
    policy: Any,
    gpus: int,
    share: list[float],
    queue: list[float],
    decode: list[float],
    seed: int,
) -> None:
    classes = len(network.classes)
    # Any targets of at most one GPU in all, some of them zero: such a class the occupancy gate
    # never admits, and without planned decodes it goes to the solo pool, where its weight is zero.
    targets = Targets(
        network,
        tuple(s / classes for s in share[:classes]),
        tuple(queue[:classes]),
        tuple(decode[:classes]),
        tuple(decode[3:][:classes]),
    )
    chain = build_chain(network, policy(targets), gpus)
    assert_same(*both(chain, seed, warmup=5.0, horizon=20.0, points=7))


@pytest.mark.parametrize("policy", PLANNED_POLICIES)
def test_grid_counts_obey_the_balance_and_the_capacities(policy: Any) -> None:
    network = instance("two-class")
    chain = build_chain(network, policy(plan(network)), 20)
    horizon = 200.0
    run = run_kernel(
        chain, replication_generator(1, 0), 0.0, horizon, np.linspace(0.0, horizon, 201), 0
    )
    arrivals, prefilled, solo, mixed, left_queue, left_buffer = run.completed
    final = run.grid_counts[-1]
    # Balance (15)-(19) from the empty system to the horizon, class by class.
    np.testing.assert_array_equal(
        arrivals - left_queue - prefilled, final[PREFILL_QUEUE] + final[PREFILL]
    )
    np.testing.assert_array_equal(
        prefilled - left_buffer - solo - mixed,
        final[DECODE_QUEUE] + final[MIXED_DECODE] + final[SOLO_DECODE],
    )
    # Capacities (12)-(14).
    total = run.grid_counts.sum(axis=2)
    assert run.grid_counts.min() >= 0
    assert total[:, PREFILL].max() <= chain.mixed_gpus
    assert total[:, MIXED_DECODE].max() <= chain.mixed_slots
    assert total[:, SOLO_DECODE].max() <= chain.solo_slots


@pytest.mark.parametrize("policy", [GateAndRoute, FirstComeFirstServed])
def test_nobody_waits_beside_a_slot_that_could_serve_him(policy: Any) -> None:
    network = instance("two-class")
    chain = build_chain(network, policy(plan(network)), 20)
    run = run_kernel(
        chain, replication_generator(1, 0), 0.0, 200.0, np.linspace(0.0, 200.0, 201), 0
    )
    total = run.grid_counts.sum(axis=2)
    buffered = total[:, DECODE_QUEUE] > 0
    assert buffered.any()
    assert (total[buffered, MIXED_DECODE] == chain.mixed_slots).all()
    assert (total[buffered, SOLO_DECODE] == chain.solo_slots).all()
    queued = total[:, PREFILL_QUEUE] > 0
    assert queued.any()
    assert (total[queued, PREFILL] == chain.mixed_gpus).all()


def test_a_full_system_keeps_the_gate_idle() -> None:
    network = instance("two-class")
    chain = build_chain(network, LimitedGateAndRoute(plan(network)), 20)
    times = np.linspace(0.0, 200.0, 201)
    run = run_kernel(chain, replication_generator(1, 0), 0.0, 200.0, times, 0)
    total = run.grid_counts.sum(axis=2)
    past_gate = total.sum(axis=1) - total[:, PREFILL_QUEUE]
    assert past_gate.max() == 30  # 1.5 requests on each of 20 GPUs
    idle = (total[:, PREFILL_QUEUE] > 0) & (total[:, PREFILL] < chain.mixed_gpus)
    assert idle.any()
    assert (past_gate[idle] == 30).all()


def test_a_disaggregated_gpu_never_does_both() -> None:
    network = instance("two-class")
    chain = build_chain(network, policy_named("disaggregated", plan(network)), 20)
    assert chain.mixed_slots == 0
    assert chain.solo_slots == (20 - chain.mixed_gpus) * network.gpu.batch


@pytest.mark.parametrize("name", ["fi-wsp", "gi-wsp", "gf-wsp", "prefill-first"])
def test_shared_gpus_need_a_simulator_of_their_own(name: str) -> None:
    network = instance("two-class")
    with pytest.raises(InvalidInput, match=r"shared.* simulator of single GPUs"):
        build_chain(network, policy_named(name, plan(network)), 20)


def test_pools_have_no_order_of_one_buffer() -> None:
    class Ordered(SliAware):
        def buffer_order(self) -> tuple[int, ...]:
            return (0, 1)

    with pytest.raises(InvalidInput, match="one buffer of solo-first routing"):
        build_chain(instance("two-class"), Ordered(plan(instance("two-class"))), 20)


def small_study(**changes: Any) -> Any:
    network = instance("small-two-class")
    arguments: dict[str, Any] = {
        "gpus": 2,
        "horizon": 100.0,
        "warmup": 20.0,
        "replications": 6,
        "seed": 11,
        "grid": (0.0, 50.0, 100.0),
    }
    return simulate(network, GateAndRoute(plan(network)), **(arguments | changes))


def test_numbers_do_not_depend_on_the_number_of_workers() -> None:
    one, three = small_study(workers=1), small_study(workers=3)
    np.testing.assert_array_equal(one.replicated_revenue, three.replicated_revenue)
    np.testing.assert_array_equal(one.trajectories, three.trajectories)
    assert one.occupancies == three.occupancies
    assert one.event_rates == three.event_rates
    assert one.events == three.events


def test_readable_runner_gives_the_same_estimate() -> None:
    fast, readable = small_study(), small_study(runner=run_reference)
    np.testing.assert_array_equal(fast.replicated_revenue, readable.replicated_revenue)
    np.testing.assert_array_equal(fast.trajectories, readable.trajectories)


def test_another_seed_gives_other_numbers() -> None:
    assert small_study().revenue_rate.mean != small_study(seed=12).revenue_rate.mean


def test_a_replication_can_be_replayed_alone() -> None:
    network = instance("small-two-class")
    chain = build_chain(network, GateAndRoute(plan(network)), 2)
    grid = np.array([0.0, 50.0, 100.0])
    study = small_study()
    run = run_kernel(chain, replication_generator(11, 4), 20.0, 100.0, grid, 0)
    completions = run.completed[[2, 3]].sum(axis=0)
    assert study.replicated_revenue[4] == pytest.approx(completions @ chain.weights / 160)
    np.testing.assert_array_equal(study.trajectories[4] * 2, run.grid_counts)


def test_trajectories_start_empty_and_have_the_stated_shape() -> None:
    study = small_study()
    assert study.trajectories.shape == (6, 3, len(COUNTS), 2)
    assert (study.trajectories[:, 0] == 0).all()
    assert (study.trajectories[:, 2] > 0).any()
    np.testing.assert_array_equal(study.grid, [0, 50, 100])
    assert small_study(grid=()).trajectories.shape == (6, 0, len(COUNTS), 2)


def test_grid_and_log_change_no_number() -> None:
    np.testing.assert_array_equal(
        small_study().replicated_revenue, small_study(grid=()).replicated_revenue
    )


def test_estimate_adds_up() -> None:
    study, seen = small_study(), []
    weights = build_chain(study_network := instance("small-two-class"), _policy(), 2).weights
    completions = [
        study.event_rates["solo_completion"][i].mean + study.event_rates["mixed_completion"][i].mean
        for i in range(len(study_network.classes))
    ]
    assert study.revenue_rate.mean == pytest.approx(np.dot(weights, completions))
    assert study.revenue_rate.ci[0] < study.revenue_rate.mean < study.revenue_rate.ci[1]
    # t(0.975, 5) = 2.570582 for six replications
    width = study.revenue_rate.ci[1] - study.revenue_rate.mean
    assert width == pytest.approx(2.570582 * study.revenue_rate.standard_error, rel=1e-6)
    # (23): prompts pay when prefilled, outputs when decoded.
    prompts = [p.prompt_tokens * study_network.prices.prefill for p in study_network.classes]
    outputs = [p.output_tokens * study_network.prices.decode for p in study_network.classes]
    prefilled = [rate.mean for rate in study.event_rates["prefill_completion"]]
    assert study.separate_revenue_rate.mean == pytest.approx(
        np.dot(prompts, prefilled) + np.dot(outputs, completions)
    )
    assert study.replicated_separate_revenue.mean() == study.separate_revenue_rate.mean
    small_study(progress=lambda: seen.append(1))
    assert len(seen) == 6


def _policy() -> GateAndRoute:
    return GateAndRoute(plan(instance("small-two-class")))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"horizon": 0.0, "grid": ()}, r"horizon = 0.0 .* > 0 \(seconds\)"),
        ({"horizon": float("inf"), "grid": ()}, r"horizon = inf .* finite"),
        ({"warmup": -1.0}, r"warmup = -1.0 .* >= 0 \(seconds\)"),
        ({"warmup": 100.0}, r"warmup = 100.0 .* less than the horizon, 100.0 \(seconds\)"),
        ({"replications": 1}, r"replications = 1 .* integer >= 2"),
        ({"replications": 2.5}, r"replications = 2.5 .* integer >= 2"),
        ({"seed": -1}, r"seed = -1 .* integer >= 0"),
        ({"level": 1.0}, r"level = 1.0 .* between 0 and 1"),
        ({"level": float("nan")}, r"level = nan .* between 0 and 1"),
        ({"gpus": 0}, r"gpus = 0 .* integer >= 1"),
        ({"grid": (2.0, 1.0)}, r"grid = \(2.0, 1.0\) .* increasing times within \[0, 100.0\]"),
        ({"grid": (1.0, 1.0)}, r"grid = \(1.0, 1.0\) .* increasing"),
        ({"grid": (-1.0, 1.0)}, r"grid = \(-1.0, 1.0\) .* within"),
        ({"grid": (1.0, 101.0)}, r"grid = \(1.0, 101.0\) .* within"),
        ({"grid": ((1.0,),)}, r"grid = .* increasing times"),
    ],
)
def test_bad_arguments_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        small_study(**changes)


def test_two_equal_classes_share_what_one_class_would_get() -> None:
    # Splitting a class in two halves leaves the total numbers in the same law.
    network = instance("small-one-class")
    half = replace(network.classes[0], arrival_rate=network.classes[0].arrival_rate / 2)
    halves = replace(network, classes=(replace(half, name="a"), replace(half, name="b")))
    settings = {"gpus": 2, "horizon": 5000.0, "warmup": 50.0, "replications": 20, "seed": 8}
    x, q = (float(v[0]) for v in (plan(network).prefill, plan(network).prefill_queue))
    whole = simulate(network, FirstComeFirstServed(plan(network)), **settings)
    split = simulate(
        halves, FirstComeFirstServed(Targets(halves, (x / 2, x / 2), (q / 2, q / 2))), **settings
    )
    difference = split.revenue_rate.mean - whole.revenue_rate.mean
    error = np.hypot(split.revenue_rate.standard_error, whole.revenue_rate.standard_error)
    assert abs(difference) < 4 * error
