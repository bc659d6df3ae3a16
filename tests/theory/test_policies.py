"""Section 4.1: the gate admits the class furthest below its target; FCFS has no gate."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurtz.theory import (
    FirstComeFirstServed,
    GateAndRoute,
    InvalidInput,
    policy_named,
    policy_names,
)


@dataclass(frozen=True)
class Targets:
    """The part of a plan that a policy reads."""

    prefill: tuple[Fraction, ...]
    prefill_queue: tuple[Fraction, ...]


def targets(*prefill: str, queue: tuple[int, ...] | None = None) -> Targets:
    queues = queue or (0,) * len(prefill)
    return Targets(tuple(map(Fraction, prefill)), tuple(map(Fraction, queues)))


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


def test_policies_are_found_by_name() -> None:
    assert policy_names() == ("gate-and-route", "fcfs")
    for name in policy_names():
        policy = policy_named(name, targets("0.5"))
        assert policy.name == name
        assert policy.gated is (name == "gate-and-route")
    with pytest.raises(InvalidInput, match=r"policy = 'lifo' .* one of gate-and-route, fcfs"):
        policy_named("lifo", targets("0.5"))
