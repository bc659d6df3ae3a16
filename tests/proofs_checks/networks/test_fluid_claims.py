"""The claims about fluid dynamics: their pieces of evidence hold, and can fail."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from kurtz.fluid import plan
from kurtz.fluid.dynamics import fluid_model
from kurtz.proofs_checks.networks import (
    decode_buffer_drains,
    decode_buffer_paths,
    fluid_limit,
    fluid_tracking,
)
from kurtz.proofs_checks.networks.fluid_cases import random_networks, random_state, random_targets
from kurtz.proofs_checks.networks.fluid_limit import Boundary, Design, DistanceStudy
from kurtz.proofs_checks.verdict import Outcome
from kurtz.theory import GateAndRoute, ServingNetwork, instance
from kurtz.theory.policies import policy_named


def silent(_: str) -> None:
    """Report nothing."""


@pytest.fixture(scope="module")
def study() -> DistanceStudy:
    network = instance("two-class")
    policy = policy_named("fcfs", plan(network))
    design = Design(200, (1_000, 4_000, 16_000), (32, 32, 24), Boundary.BUFFER, 1_000, 0.05)
    return fluid_limit.distance_study("two-class, fcfs", network, policy, design, silent)


def test_theorem_3_1_distance_of_chain_and_fluid_shrinks(study: DistanceStudy) -> None:
    assert np.all(np.diff(study.curve.gap) < 0)
    assert fluid_limit.limit_evidence(study, 0.1, tests=5).outcome is Outcome.HOLDS
    assert fluid_limit.exponent_evidence(study, tests=5).outcome is Outcome.HOLDS


def test_the_path_reaches_the_boundary_of_decode(study: DistanceStudy) -> None:
    assert fluid_limit.reaches(study.fluid, Boundary.BUFFER)
    network = instance("two-class")
    policy = policy_named("fcfs", plan(network))
    short = Design(40, (100,), (2,), Boundary.BUFFER)
    with pytest.raises(ArithmeticError, match="requests wait for decode"):
        fluid_limit.distance_study("too short", network, policy, short, silent)


@pytest.mark.parametrize("wrong", [fluid_limit.with_wrong_rate, fluid_limit.with_wrong_patience])
def test_theorem_3_1_a_wrong_rate_leaves_a_distance(
    study: DistanceStudy, wrong: Callable[[ServingNetwork], ServingNetwork]
) -> None:
    network = instance("two-class")
    policy = policy_named("fcfs", plan(network))
    mistaken = fluid_limit.against(study, wrong(network), policy)
    assert fluid_limit.limit_evidence(mistaken, 0.05, tests=5).outcome is Outcome.REFUTED
    assert fluid_limit.exponent_evidence(mistaken, tests=5).outcome is Outcome.REFUTED


def test_the_fluid_has_to_be_more_accurate_than_what_is_measured(study: DistanceStudy) -> None:
    network = instance("two-class")
    policy = policy_named("fcfs", plan(network))
    evidence = fluid_limit.fluid_error_evidence(study, network, policy)
    assert evidence.outcome is Outcome.HOLDS


def test_random_targets_satisfy_the_hypotheses_of_lemma_10_1() -> None:
    generator = random.Random(1)
    for network in random_networks(generator, 20):
        target = random_targets(generator, network)
        assert min(target.prefill) > 0
        assert min(target.prefill_queue) > 0
        assert sum(target.prefill) < 1


def test_random_states_fit() -> None:
    generator = random.Random(1)
    best = plan(instance("azure-h100"))
    model = fluid_model(best.network, GateAndRoute(best))
    for _ in range(20):
        totals = random_state(generator, model).array(model.classes).sum(axis=1)
        assert np.all(totals[[1, 3, 4]] <= model.capacities)


def test_lemmas_10_1_to_10_5_hold_under_their_hypotheses() -> None:
    cases = fluid_tracking.random_cases(8)
    evidence = (
        *fluid_tracking.finite_time_evidence("few", cases),
        fluid_tracking.convergence_evidence("few", cases),
        fluid_tracking.rate_evidence("few", cases),
    )
    assert {piece.outcome for piece in evidence} == {Outcome.HOLDS}
    wrong = fluid_tracking.rate_evidence("few", cases, claimed=1.1)
    assert wrong.outcome is Outcome.REFUTED


def test_lemmas_10_1_and_10_3_fail_where_a_class_is_served_in_full() -> None:
    evidence = fluid_tracking.counterexample_evidence(plan(instance("two-class")))
    assert {piece.outcome for piece in evidence} == {Outcome.HOLDS}
    # An exponential approach must not pass for a target that is met in finite time.
    started_empty = fluid_tracking.planned_cases(plan(instance("two-class")))[:1]
    lemmas = fluid_tracking.finite_time_evidence("two-class", started_empty)
    assert {piece.outcome for piece in lemmas} == {Outcome.REFUTED}


def test_lemma_10_5_fails_without_patience() -> None:
    case = fluid_tracking.two_class_with(patience_rate=0.0)
    assert fluid_tracking.convergence_evidence("none", [case]).outcome is Outcome.REFUTED
    # Prefill is tracked all the same; the queue stays where it started.
    assert case.prefill_distance[-1].max() < 1e-9
    assert case.queue_distance[-1, 1] == pytest.approx(1)


def test_proposition_10_14_buffers_drain() -> None:
    drains = decode_buffer_paths.planned_drains(4, random.Random(7))
    evidence = (
        decode_buffer_drains.identity_evidence("few", drains, lambda kappa: kappa),
        decode_buffer_drains.busy_evidence("few", drains),
        *decode_buffer_drains.bound_evidence("few", drains, lambda drain: drain.capacity),
        decode_buffer_drains.drained_evidence("few", drains),
    )
    assert {piece.outcome for piece in evidence} == {Outcome.HOLDS}
    wrong = decode_buffer_drains.identity_evidence("few", drains, lambda kappa: 1 / kappa)
    assert wrong.outcome is Outcome.REFUTED
    miscounted = decode_buffer_drains.bound_evidence(
        "few", drains, lambda drain: drain.miscounted_capacity
    )
    assert {piece.outcome for piece in miscounted} == {Outcome.REFUTED}


def test_zero_patience_is_decided_by_exact_examples() -> None:
    for label, example in decode_buffer_paths.exact_examples().items():
        evidence = decode_buffer_drains.example_evidence(label, example)
        assert {piece.outcome for piece in evidence} == {Outcome.HOLDS}


def test_one_trajectory_with_a_single_impatient_class_drains() -> None:
    drain = decode_buffer_paths.one_patient_class()
    assert decode_buffer_drains.drained_evidence("one", [drain]).outcome is Outcome.HOLDS
