"""The fleet: its kernel is its readable twin, and where the chain's assumptions hold, the chain."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.fluid import plan
from kurtz.stochastic import (
    COUNTS,
    EVENTS,
    Interval,
    replication_generator,
    simulate,
    stationary_law,
)
from kurtz.stochastic.exact_shared_chain import shared_stationary_law
from kurtz.stochastic.fleet import (
    FleetRun,
    Physics,
    Requests,
    build_fleet,
    exponential_lengths,
    poisson_requests,
    run_fleet,
    run_fleet_reference,
    simulate_fleet,
    simulator_for,
)
from kurtz.theory import (
    Gpu,
    InvalidInput,
    IterationTime,
    Prices,
    RequestClass,
    ServingNetwork,
    instance,
    policy_named,
)

POLICIES = (
    "gate-and-route",
    "fcfs",
    "prioritize-and-route",
    "sli-aware",
    "sli-general",
    "fi-wsp",
    "gi-wsp",
    "gf-wsp",
    "prefill-first",
    "disaggregated",
)
SHARED = ("fi-wsp", "gi-wsp", "gf-wsp", "prefill-first")
WAYS = (
    Physics(),
    Physics(dedicated_speed=True),
    Physics(memory_tokens=20_000),
    Physics("iterations"),
    Physics("iterations", effective_tokens=True),
    Physics("iterations", memory_tokens=20_000),
)
NO_GRID = np.zeros(0)
PREFILL_QUEUE, PREFILL, DECODE_QUEUE, MIXED_DECODE, SOLO_DECODE = range(len(COUNTS))


def one_class(*, batch: int = 2, chunk: int = 100) -> ServingNetwork:
    """Mixed iterations of 0.1 + 0.001 c seconds, solo iterations of 0.1 seconds."""
    return ServingNetwork(
        Gpu("g", IterationTime(alpha=0.1, beta=0.001, gamma=10.0), batch=batch, chunk=chunk),
        Prices(0.1, 0.2),
        (RequestClass("only", 100, 10, arrival_rate=0.1, patience_rate=0.1),),
    )


@dataclass(frozen=True)
class Targets:
    """A plan of our own making."""

    prefill: tuple[float, ...]
    prefill_queue: tuple[float, ...]


def given_requests(*rows: tuple[float, float, float, float]) -> Requests:
    """Requests of one class from (arrival, prompt, output, patience)."""
    arrival, prompt, output, patience = (np.array(column) for column in zip(*rows, strict=True))
    return Requests(arrival, np.zeros(len(rows), dtype=np.int64), prompt, output, patience)


def logged(policy: str, requests: Requests, physics: Physics, share: float = 0.5) -> list[tuple]:
    """Events of a fleet of one or two GPUs by name, with their times."""
    network = one_class()
    gpus = 1 if policy in SHARED else 2
    fleet = build_fleet(network, policy_named(policy, Targets((share,), (0.0,))), gpus, physics)
    run = run_fleet(fleet, requests, np.random.default_rng(0), 0.0, 100.0, NO_GRID, 100)
    return [(EVENTS[int(kind)], pytest.approx(time)) for kind, time in run.log]


def assert_same(kernel: FleetRun, reference: FleetRun) -> None:
    assert kernel.events == reference.events
    assert kernel.iterations == reference.iterations
    np.testing.assert_array_equal(kernel.log, reference.log)
    np.testing.assert_array_equal(kernel.completed, reference.completed)
    np.testing.assert_array_equal(kernel.grid_counts, reference.grid_counts)
    np.testing.assert_allclose(kernel.areas, reference.areas, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "physics"),
    [
        (name, physics)
        for name in POLICIES
        for physics in WAYS
        # Only a static layout has GPUs of a dedicated speed.
        if not (physics.dedicated_speed and name in (*SHARED, "disaggregated"))
    ],
    ids=str,
)
def test_kernel_is_the_reference_event_for_event(name: str, physics: Physics) -> None:
    network = instance("two-class")
    fleet = build_fleet(network, policy_named(name, plan(network)), 2, physics)
    horizon = 25.0
    requests = poisson_requests(network, 3, horizon, replication_generator(3, 0))
    if physics.granularity == "iterations":
        requests = requests.whole()
    kernel, reference = (
        runner(
            fleet,
            requests,
            replication_generator(3, 1),
            horizon / 4,
            horizon,
            np.linspace(0.0, horizon, 7),
            10**5,
        )
        for runner in (run_fleet, run_fleet_reference)
    )
    assert kernel.events > 80
    assert_same(kernel, reference)


@given(
    seed=st.integers(0, 2**32),
    name=st.sampled_from(POLICIES),
    physics=st.sampled_from((Physics(), Physics("iterations"))),
    gpus=st.integers(1, 4),
)
@settings(max_examples=10, deadline=None)
def test_kernel_is_the_reference_on_random_seeds(
    seed: int, name: str, physics: Physics, gpus: int
) -> None:
    network = instance("small-two-class")
    fleet = build_fleet(network, policy_named(name, plan(network)), gpus, physics)
    requests = poisson_requests(network, gpus, 30.0, replication_generator(seed, 0)).whole()
    assert_same(
        *(
            runner(fleet, requests, replication_generator(seed, 1), 5.0, 30.0, NO_GRID, 10**5)
            for runner in (run_fleet, run_fleet_reference)
        )
    )


@pytest.mark.parametrize(("name", "gpus"), [("gate-and-route", 2), ("fcfs", 1)])
def test_with_exponential_lengths_and_dedicated_speeds_the_fleet_is_the_chain(
    name: str, gpus: int
) -> None:
    network = instance("small-two-class")
    policy = policy_named(name, plan(network))
    law = stationary_law(network, policy, gpus)
    estimate = simulate_fleet(
        network,
        policy,
        gpus=gpus,
        horizon=6_000,
        warmup=100,
        replications=16,
        seed=5,
        physics=Physics(dedicated_speed=True),
        level=1 - 1e-4,
    )
    assert_covered(law.revenue_rate, estimate.revenue_rate)
    for stage in COUNTS:
        for exact, measured in zip(
            law.occupancies[stage], estimate.occupancies[stage], strict=True
        ):
            assert_covered(exact, measured)


@pytest.mark.parametrize("gpus", [1, 2])
def test_prefill_first_on_shared_gpus_has_the_means_of_its_exact_chain(gpus: int) -> None:
    network = instance("small-one-class")
    policy = policy_named("gf-wsp", plan(network))
    law = shared_stationary_law(network, policy, gpus)
    estimate = simulate_fleet(
        network,
        policy,
        gpus=gpus,
        horizon=6_000,
        warmup=100,
        replications=16,
        seed=6,
        level=1 - 1e-4,
    )
    assert_covered(law.revenue_rate, estimate.revenue_rate)
    for stage in COUNTS:
        assert_covered(law.occupancies[stage][0], estimate.occupancies[stage][0])


def assert_covered(exact: float, measured: Interval) -> None:
    low, high = measured.ci
    assert low - 1e-9 <= exact <= high + 1e-9


def test_a_decode_speeds_up_when_the_prefill_beside_it_ends() -> None:
    # tau = 0.2 s. Prefill of 100 tokens: 0 to 0.2; its decode of 10 tokens begins at 0.2 on the
    # same GPU. The second prefill runs from 0.5 to 0.9 (200 tokens): until 0.5 the decode makes 3
    # tokens, until 0.9 two more at 5 per second, then 5 at 10 per second: it ends at 1.4. The
    # second decode, of 4 tokens from 0.9 at 10 per second, ends at 1.3.
    requests = given_requests((0.0, 100.0, 10.0, 99.0), (0.5, 200.0, 4.0, 99.0))
    assert logged("fi-wsp", requests, Physics()) == [
        ("arrival", 0.0),
        ("prefill_completion", 0.2),
        ("arrival", 0.5),
        ("prefill_completion", 0.9),
        ("solo_completion", 1.3),
        ("solo_completion", 1.4),
    ]


def test_iterations_join_at_boundaries_and_round_chunks_up() -> None:
    # The prompt of 150 tokens: 0.2 s for the first 100, 0.15 s for the rest. Its decode of 10
    # iterations of 0.1 s begins at 0.35. The second request comes at 0.5, waits for the boundary
    # at 0.55 and prefills 100 tokens until 0.75, an iteration in which the decode makes its third
    # token; 7 more until 1.45. The second decode of 2: 0.95.
    requests = given_requests((0.0, 150.0, 10.0, 99.0), (0.5, 100.0, 2.0, 99.0))
    assert logged("fi-wsp", requests, Physics("iterations")) == [
        ("arrival", 0.0),
        ("prefill_completion", 0.35),
        ("arrival", 0.5),
        ("prefill_completion", 0.75),
        ("solo_completion", 0.95),
        ("solo_completion", 1.45),
    ]


def test_prefill_first_stalls_decodes_for_one_iteration_of_the_whole_prompt() -> None:
    # alpha + beta P = 0.2 s, then 10 tokens at 10 per second; at 0.5 the second prompt of 200
    # tokens stops everything for 0.3 s. 3 tokens were made: 7 remain at 0.8.
    requests = given_requests((0.0, 100.0, 10.0, 99.0), (0.5, 200.0, 2.0, 99.0))
    assert logged("prefill-first", requests, Physics()) == [
        ("arrival", 0.0),
        ("prefill_completion", 0.2),
        ("arrival", 0.5),
        ("prefill_completion", 0.8),
        ("solo_completion", 1.0),
        ("solo_completion", 1.5),
    ]


def test_patience_is_used_up_in_both_queues_together() -> None:
    # One mixed GPU with one decode slot, one solo GPU with two; decodes last for ever here. The
    # fourth request waits 0.6 s for prefill (three of 0.2 s each) and then for decode: with 1 s of
    # patience it leaves 0.4 s after its prefill, at 0.8 + 0.4. The fifth leaves the prefill queue.
    endless = (100.0, 1e6, 99.0)
    requests = given_requests(
        (0.0, *endless),
        (0.0, *endless),
        (0.0, *endless),
        (0.0, 100.0, 10.0, 1.0),
        (0.0, 100.0, 10.0, 0.7),
    )
    events = logged("fcfs", requests, Physics())
    assert ("prefill_abandonment", 0.7) in events
    assert events[-1] == ("decode_abandonment", 1.2)


@pytest.mark.parametrize("name", POLICIES)
def test_counts_obey_the_balance_and_the_capacities(name: str) -> None:
    network, gpus, horizon = instance("two-class"), 8, 60.0
    target = plan(network)
    fleet = build_fleet(network, policy_named(name, target), gpus)
    requests = poisson_requests(network, gpus, horizon, replication_generator(1, 0))
    run = run_fleet(
        fleet, requests, replication_generator(1, 1), 0.0, horizon, np.array([horizon]), 0
    )
    inside = run.grid_counts[0]
    arrived, prefilled, solo, mixed, gave_up, gave_up_decode = run.completed
    np.testing.assert_array_equal(
        inside.sum(axis=0), arrived - solo - mixed - gave_up - gave_up_decode
    )
    np.testing.assert_array_equal(
        inside[[DECODE_QUEUE, MIXED_DECODE, SOLO_DECODE]].sum(axis=0),
        prefilled - solo - mixed - gave_up_decode,
    )
    assert inside[PREFILL].sum() <= fleet.mixed_gpus
    slots = sum(fleet.decode_slots(gpu) for gpu in range(gpus))
    assert inside[[MIXED_DECODE, SOLO_DECODE]].sum() <= slots


def test_memory_holds_requests_back() -> None:
    # 150 tokens hold one request of 100 + 10: the second decode waits for the first, although a
    # slot is free on the shared GPU.
    requests = given_requests((0.0, 100.0, 10.0, 99.0), (0.0, 100.0, 10.0, 99.0))
    free = logged("fi-wsp", requests, Physics())
    held = logged("fi-wsp", requests, Physics(memory_tokens=150))
    assert free[2:4] == [("prefill_completion", 0.2), ("prefill_completion", 0.4)]
    assert held[2:] == [
        ("prefill_completion", 0.2),
        ("solo_completion", 1.2),
        ("prefill_completion", 1.4),
        ("solo_completion", 2.4),
    ]


def test_replications_do_not_depend_on_workers_and_requests_not_on_the_policy() -> None:
    network = instance("small-two-class")
    target = plan(network)
    run = {"gpus": 3, "horizon": 60, "warmup": 0, "replications": 4, "seed": 9}
    estimates = [
        simulate_fleet(network, policy_named(name, target), **run, workers=workers)
        for name, workers in (("fcfs", 1), ("fcfs", 3), ("gi-wsp", 2))
    ]
    np.testing.assert_array_equal(estimates[0].replicated_revenue, estimates[1].replicated_revenue)
    arrivals = [e.replicated_event_rates[:, EVENTS.index("arrival")] for e in estimates]
    np.testing.assert_array_equal(arrivals[0], arrivals[2])


def test_policies_that_share_gpus_run_on_the_fleet_by_themselves() -> None:
    target = plan(instance("small-two-class"))
    assert simulator_for(policy_named("fi-wsp", target)) is simulate_fleet
    assert simulator_for(policy_named("fcfs", target)) is simulate
    assert simulator_for(policy_named("fcfs", target), "fleet") is simulate_fleet
    with pytest.raises(InvalidInput, match="simulator"):
        simulator_for(policy_named("fcfs", target), "abacus")


def test_exponential_lengths_have_the_means_of_their_classes() -> None:
    network = instance("two-class")
    classes = np.repeat([0, 1], 40_000)
    prompts, _ = exponential_lengths(network, classes, np.random.default_rng(4))
    means = prompts.reshape(2, -1).mean(axis=1)
    # Standard deviation = mean: 4.5 standard errors.
    np.testing.assert_allclose(means, [300, 3000], rtol=4.5 / 200)


def test_bad_input_is_refused() -> None:
    network = instance("two-class")
    policy = policy_named("gi-wsp", plan(network))
    with pytest.raises(InvalidInput, match="dedicated_speed"):
        build_fleet(network, policy, 2, Physics(dedicated_speed=True))
    with pytest.raises(InvalidInput, match="granularity"):
        Physics("daily")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="effective_tokens"):
        Physics(effective_tokens=True)
    with pytest.raises(InvalidInput, match="gpus"):
        build_fleet(network, policy, 0)
    with pytest.raises(InvalidInput, match=r"policy\.plan"):
        build_fleet(one_class(), policy, 2)
    good = given_requests((0.0, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0))
    with pytest.raises(InvalidInput, match="arrival"):
        replace(good, arrival=np.array([1.0, 0.0]))
    with pytest.raises(InvalidInput, match="prompt_tokens"):
        replace(good, prompt_tokens=np.array([1.0, 0.0]))
    with pytest.raises(InvalidInput, match="requests"):
        replace(good, patience=np.ones(3))
