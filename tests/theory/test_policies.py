"""Section 4.1: the gate admits the class furthest below its target; FCFS has no gate."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurtz.fluid import plan
from kurtz.theory import (
    FirstComeFirstServed,
    GateAndRoute,
    InvalidInput,
    PrioritizeAndRoute,
    ServingNetwork,
    SliAware,
    exact_rates,
    instance,
    policy_named,
    policy_names,
)
from kurtz.theory.policies import Gate, Layout, Routing


@dataclass(frozen=True)
class Targets:
    """The part of a plan that a policy reads."""

    prefill: tuple[Fraction, ...]
    prefill_queue: tuple[Fraction, ...]


def targets(*prefill: str, queue: tuple[int, ...] | None = None) -> Targets:
    queues = queue or (0,) * len(prefill)
    return Targets(tuple(map(Fraction, prefill)), tuple(map(Fraction, queues)))


@dataclass(frozen=True)
class Occupancies:
    """The part of a plan that a policy with pools reads."""

    network: ServingNetwork
    mixed_decode: tuple[Fraction, ...]
    solo_decode: tuple[Fraction, ...]


counts = st.lists(st.integers(0, 9), min_size=3, max_size=3)
occupancies = st.lists(st.integers(0, 8), min_size=3, max_size=3)


@given(occupancies, counts, counts, st.integers(1, 20))
def test_gate_admits_the_waiting_class_of_least_relative_deviation(
    eighths: list[int], prefill: list[int], waiting: list[int], gpus: int
) -> None:
    # With x* in sixty-fourths every deviation of the test is a well separated float.
    plan = Targets(tuple(Fraction(k, 64) for k in eighths), (Fraction(0),) * 3)
    chosen = GateAndRoute(plan).next_class(prefill, waiting, [0.0] * 3, gpus)
    admissible = [i for i in range(3) if waiting[i] > 0 and plan.prefill[i] > 0]
    if not admissible:
        assert chosen is None
        return
    deviation = {i: (prefill[i] - gpus * plan.prefill[i]) / plan.prefill[i] for i in admissible}
    assert chosen in admissible
    assert float(deviation[chosen]) == pytest.approx(float(min(deviation.values())), abs=1e-9)


def test_gate_by_hand() -> None:
    # n = 10, n x* = (2, 4): deviations are (1-2)/0.2 = -5 and (1-4)/0.4 = -7.5.
    gate = GateAndRoute(targets("0.2", "0.4"))
    assert gate.next_class([1, 1], [1, 1], [0, 1], gpus=10) == 1
    assert gate.next_class([1, 1], [1, 0], [0, 1], gpus=10) == 0
    # (0-2)/0.2 = -10 and (3-4)/0.4 = -2.5.
    assert gate.next_class([0, 3], [1, 1], [1, 0], gpus=10) == 0


def test_gate_is_work_conserving_above_the_targets() -> None:
    gate = GateAndRoute(targets("0.25", "0.25"))
    assert gate.next_class([9, 9], [0, 1], [0, 0], gpus=4) == 1
    assert gate.next_class([9, 9], [0, 0], [0, 0], gpus=4) is None


def test_ties_go_to_the_largest_queue_deviation_then_to_the_first_class() -> None:
    gate = GateAndRoute(targets("0.25", "0.25", queue=(1, 2)))
    # n q_p* = (4, 8): queues of 6 and 9 deviate by 2 and 1, queues of 6 and 11 by 2 and 3.
    assert gate.next_class([1, 1], [6, 9], [0, 0], gpus=4) == 0
    assert gate.next_class([1, 1], [6, 11], [0, 0], gpus=4) == 1
    assert gate.next_class([1, 1], [6, 10], [0, 0], gpus=4) == 0


@given(counts, counts, st.integers(1, 20))
def test_a_class_that_the_plan_does_not_serve_is_never_admitted(
    prefill: list[int], waiting: list[int], gpus: int
) -> None:
    gate = GateAndRoute(targets("0.5", "0", "0.25"))
    assert [gate.admits(i) for i in range(3)] == [True, False, True]
    assert gate.next_class(prefill, waiting, [0.0] * 3, gpus) != 1


@given(st.permutations(range(3)), counts)
def test_fcfs_admits_the_request_that_has_waited_longest(
    oldest: list[int], waiting: list[int]
) -> None:
    policy = FirstComeFirstServed(targets("0.5", "0", "0.25"))
    chosen = policy.next_class([0, 0, 0], waiting, [float(k) for k in oldest], gpus=4)
    queued = [i for i in range(3) if waiting[i] > 0]
    assert chosen == (min(queued, key=lambda i: oldest[i]) if queued else None)
    assert all(policy.admits(i) for i in range(3))


@pytest.mark.parametrize("policy", [GateAndRoute, FirstComeFirstServed])
def test_the_number_of_mixed_gpus_is_rounded_up_exactly(policy: type[GateAndRoute]) -> None:
    # 0.1 + 0.2 = 0.3 exactly, though not in floating point: 10 GPUs need 3 mixed ones, not 4.
    assert policy(targets("0.1", "0.2")).mixed_gpus(10) == 3
    assert policy(targets("0.1", "0.201")).mixed_gpus(10) == 4
    assert policy(targets("0", "0")).mixed_gpus(10) == 0
    for gpus in (0, -1, 1.5, True):
        with pytest.raises(InvalidInput, match=r"gpus = .* an integer >= 1 \(GPUs\)"):
            policy(targets("0.1")).mixed_gpus(gpus)


DESCRIPTORS = {
    "gate-and-route": (Gate.OCCUPANCY, Routing.SOLO_FIRST, Layout.STATIC),
    "gg-sp": (Gate.OCCUPANCY, Routing.SOLO_FIRST, Layout.STATIC),
    "fcfs": (Gate.FIRST_COME, Routing.SOLO_FIRST, Layout.STATIC),
    "fg-sp": (Gate.FIRST_COME, Routing.SOLO_FIRST, Layout.STATIC),
    "prioritize-and-route": (Gate.PRIORITY, Routing.SOLO_FIRST, Layout.STATIC),
    "sli-aware": (Gate.OCCUPANCY, Routing.POOLS, Layout.STATIC),
    "sli-general": (Gate.OCCUPANCY, Routing.WEIGHTED_POOLS, Layout.STATIC),
    "fi-wsp": (Gate.FIRST_COME, Routing.IMMEDIATE, Layout.SHARED),
    "gi-wsp": (Gate.OCCUPANCY, Routing.IMMEDIATE, Layout.SHARED),
    "gf-wsp": (Gate.OCCUPANCY, Routing.PREFILL_FIRST, Layout.SHARED),
    "prefill-first": (Gate.FIRST_COME, Routing.IMMEDIATE, Layout.SHARED),
    "disaggregated": (Gate.FIRST_COME, Routing.SOLO_FIRST, Layout.DISAGGREGATED),
}


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_policies_are_found_by_name_and_say_what_they_consist_of(name: str) -> None:
    policy = policy_named(name, targets("0.5"))
    assert name in policy_names()
    assert name in (policy.name, "gg-sp", "fg-sp")
    assert (policy.gate, policy.routing, policy.layout) == DESCRIPTORS[name]
    assert policy.gated is (policy.gate is not Gate.FIRST_COME)
    assert policy.stalls_decodes is (name == "prefill-first")


def test_an_unknown_policy_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(InvalidInput, match=r"policy = 'lifo' .* one of gate-and-route, fcfs"):
        policy_named("lifo", targets("0.5"))


def test_priority_goes_to_the_most_decode_work_per_prompt_token() -> None:
    # two-class: D/P = 1000/300 and 400/3000.
    policy = PrioritizeAndRoute(plan(instance("two-class")))
    assert policy.class_order() == (0, 1)
    assert policy.next_class([9, 0], [1, 5], [1.0, 0.0], gpus=4) == 0
    assert policy.next_class([9, 0], [0, 5], [1.0, 0.0], gpus=4) == 1
    assert policy.next_class([9, 0], [0, 0], [1.0, 0.0], gpus=4) is None


def test_lots_send_every_class_to_the_pools_as_planned() -> None:
    target = plan(instance("two-class"))
    policy, rate = SliAware(target), exact_rates(target.network)
    mixed_weights, solo_weights = policy.pool_weights()
    assert sum(mixed_weights) == pytest.approx(1)
    assert sum(solo_weights) == pytest.approx(1)
    for i in range(2):
        # Completions in the solo pool are the solo share of the prefills that complete.
        solo = rate.solo_decode[i] * target.solo_decode[i]
        prefills = rate.prefill[i] * target.prefill[i]
        assert policy.solo_probability(i) == pytest.approx(float(solo / prefills))


def test_a_class_without_planned_decodes_is_sent_to_the_solo_pool() -> None:
    network = instance("two-class")
    nothing = (Fraction(0),) * 2
    assert SliAware(Occupancies(network, nothing, nothing)).solo_probability(0) == 1.0
