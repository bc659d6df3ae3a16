"""The simulator is checked before it is believed: faults built into it are found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kurtz.fluid import Plan, plan
from kurtz.proofs_checks import Outcome
from kurtz.proofs_checks.networks import bundled_optimality, instrument
from kurtz.proofs_checks.networks.gap_evidence import limit_evidence
from kurtz.proofs_checks.networks.gap_study import Design, gap_study
from kurtz.proofs_checks.networks.instances import NAMED_INSTANCES
from kurtz.stochastic import (
    COUNTS,
    EVENTS,
    Chain,
    Interval,
    Run,
    StationaryLaw,
    reference,
    run_kernel,
    simulate,
    stationary_law,
)
from kurtz.stochastic.chain import (
    DECODE_QUEUE,
    MIXED_DECODE,
    PREFILL_COMPLETION,
    SOLO_COMPLETION,
    SOLO_DECODE,
)
from kurtz.theory import FirstComeFirstServed, GateAndRoute, Policy, ServingNetwork, instance
from kurtz.theory.claims import Grade

Runner = Callable[..., Run]


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    return {name: plan(instance(name)) for name in NAMED_INSTANCES}


@pytest.fixture(scope="module")
def laws() -> Callable[..., StationaryLaw]:
    """`stationary_law`, which no fault below touches, computed once."""
    found: dict[tuple[Any, ...], StationaryLaw] = {}

    def law(network: ServingNetwork, policy: Policy, gpus: int) -> StationaryLaw:
        key = (network, policy.name, gpus)
        if key not in found:
            found[key] = stationary_law(network, policy, gpus)
        return found[key]

    return law


@pytest.fixture
def shorter(monkeypatch: pytest.MonkeyPatch, laws: Callable[..., StationaryLaw]) -> None:
    """A tenth of the horizon of `exact_means`: a fault of 10 % still shows by far."""
    monkeypatch.setattr(instrument, "stationary_law", laws)

    def simulate_less(*given: Any, **named: Any) -> Any:
        return simulate(*given, **(named | {"horizon": named["horizon"] / 10}))

    monkeypatch.setattr(instrument, "simulate", simulate_less)


@pytest.fixture
def simulated_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[Runner], None]:
    """Replace the kernel wherever it is used."""

    def replace_kernel(runner: Runner) -> None:
        monkeypatch.setattr(instrument, "run_kernel", runner)
        monkeypatch.setitem(simulate.__kwdefaults__, "runner", runner)

    return replace_kernel


def with_rate(kind: int, factor: float) -> Runner:
    """The kernel with one unit rate of class 0 off by a factor."""

    def run(chain: Chain, *rest: Any) -> Run:
        rates = chain.unit_rates.copy()
        rates[kind, 0] *= factor
        return run_kernel(replace(chain, unit_rates=rates), *rest)

    return run


def without_gate(chain: Chain, *rest: Any) -> Run:
    return run_kernel(replace(chain, policy=FirstComeFirstServed(chain.policy.plan)), *rest)


def test_the_right_kernel_is_believed(plans: dict[str, Plan]) -> None:
    for evidence in (instrument.same_events(plans), instrument.exact_means()):
        assert evidence.outcome is Outcome.HOLDS
        assert evidence.grade is Grade.ESTIMATED  # one path, and means of a sample


def test_the_control_of_the_comparison_event_for_event_is_refuted(plans: dict[str, Plan]) -> None:
    evidence = instrument.same_events(plans, kernel=instrument.with_wrong_rate)
    assert evidence.outcome is Outcome.REFUTED
    assert evidence.computed == "; ".join(
        f"{policy} on {name}" for name in plans for policy in ("gate-and-route", "fcfs")
    )


def test_a_kernel_that_is_given_takes_the_place_of_the_one_in_use(
    plans: dict[str, Plan], simulated_by: Callable[[Runner], None]
) -> None:
    simulated_by(with_rate(SOLO_COMPLETION, 1.1))
    assert instrument.same_events(plans).outcome is Outcome.REFUTED
    assert instrument.same_events(plans, kernel=run_kernel).outcome is Outcome.HOLDS


@pytest.mark.parametrize(
    ("mean", "standard_error", "exact", "deviation"),
    [
        (1.5, 0.25, 1.0, 2.0),
        (0.5, 0.25, 1.0, 2.0),
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 0.0, 1e-6, np.inf),  # never seen, but it should have been
        (1e-6, 0.0, 0.0, np.inf),
    ],
)
def test_what_never_varied_has_to_be_exactly_right(
    mean: float, standard_error: float, exact: float, deviation: float
) -> None:
    measured = Interval(mean, standard_error, (mean, mean))
    assert instrument._deviation(measured, exact) == deviation


@pytest.mark.usefixtures("shorter")
def test_the_right_kernel_is_believed_on_a_tenth_of_the_horizon() -> None:
    assert instrument.exact_means().outcome is Outcome.HOLDS


def test_the_comparison_event_for_event_sees_every_kind_of_event(plans: dict[str, Plan]) -> None:
    # Otherwise a fault in the kind that is missing could not be found.
    seen = np.zeros(len(EVENTS), dtype=int)
    for target in plans.values():
        chain = instrument.build_chain(
            target.network, GateAndRoute(target), instrument.COMPARED_GPUS
        )
        generator = instrument.replication_generator(instrument.SEED, 0)
        run = run_kernel(chain, generator, 0.0, instrument.COMPARED_SECONDS, np.zeros(0), 0)
        seen += run.completed.sum(axis=1)
    assert (seen > 0).all()


@pytest.mark.parametrize("kind", range(len(EVENTS)), ids=EVENTS)
@pytest.mark.usefixtures("shorter")
def test_mutation_a_rate_off_by_a_tenth_is_found(
    plans: dict[str, Plan], simulated_by: Callable[[Runner], None], kind: int
) -> None:
    simulated_by(with_rate(kind, 1.1))
    assert instrument.same_events(plans).outcome is Outcome.REFUTED
    assert instrument.exact_means().outcome is Outcome.REFUTED


def test_mutation_a_deleted_gate_is_found_event_for_event(
    plans: dict[str, Plan], simulated_by: Callable[[Runner], None]
) -> None:
    simulated_by(without_gate)
    evidence = instrument.same_events(plans)
    assert evidence.outcome is Outcome.REFUTED
    # Only the gated policy is run wrongly.
    assert evidence.computed == "; ".join(f"gate-and-route on {name}" for name in plans)


def test_mutation_a_deleted_gate_is_found_by_the_gap_that_remains(
    plans: dict[str, Plan], simulated_by: Callable[[Runner], None]
) -> None:
    simulated_by(without_gate)
    target = plans["two-class"]
    design = Design((2_500, 5_000, 10_000), (4, 4, 4), 100, 40, settled_from=2_500)
    study = gap_study("gate deleted", target, GateAndRoute(target), design, 1, lambda _: None)
    evidence = limit_evidence(study, bundled_optimality.MARGIN["quick"], tests=1)
    assert evidence.outcome is Outcome.REFUTED


def test_mutation_two_events_in_the_wrong_order_are_found(
    plans: dict[str, Plan], simulated_by: Callable[[Runner], None]
) -> None:
    def swapped(*given: Any) -> Run:
        run = run_kernel(*given)
        order = np.arange(len(run.log))
        order[[10, 11]] = order[[11, 10]]
        return replace(run, log=run.log[order])

    simulated_by(swapped)
    assert instrument.same_events(plans).outcome is Outcome.REFUTED


def mixed_slots_first(self: reference.ReferenceChain, i: int) -> None:
    if self.counts[MIXED_DECODE].sum() < self.chain.mixed_slots:
        self.counts[MIXED_DECODE, i] += 1
    elif self.counts[SOLO_DECODE].sum() < self.chain.solo_slots:
        self.counts[SOLO_DECODE, i] += 1
    else:
        self.counts[DECODE_QUEUE, i] += 1
        self.decode_lines[i].join(self.stamp)


def first_class_first(self: reference.ReferenceChain, stage: int) -> None:
    waiting = [i for i in range(self.chain.classes) if self.counts[DECODE_QUEUE, i] > 0]
    if waiting:
        self.decode_lines[waiting[0]].serve()
        self.counts[DECODE_QUEUE, waiting[0]] -= 1
        self.counts[stage, waiting[0]] += 1


def oldest_abandons(self: reference.WaitingLine, generator: np.random.Generator) -> None:
    generator.random()
    self.serve()


@pytest.mark.parametrize(
    ("owner", "method", "fault"),
    [
        (reference.ReferenceChain, "_route", mixed_slots_first),
        (reference.ReferenceChain, "_serve_buffer", first_class_first),
        (reference.WaitingLine, "abandon", oldest_abandons),
    ],
    ids=["mixed slots before solo", "buffer by class, not by arrival", "the oldest abandons"],
)
def test_mutation_a_wrong_order_of_service_is_found(
    plans: dict[str, Plan],
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    method: str,
    fault: Callable[..., None],
) -> None:
    # Broken in the reference rather than in the compiled kernel: the two part all the same.
    monkeypatch.setattr(owner, method, fault)
    assert instrument.same_events(plans).outcome is Outcome.REFUTED


@pytest.mark.parametrize("stage", range(len(COUNTS)), ids=COUNTS)
@pytest.mark.usefixtures("shorter")
def test_mutation_a_stage_that_is_never_counted_is_found(
    simulated_by: Callable[[Runner], None], stage: int
) -> None:
    def uncounted(*given: Any) -> Run:
        run = run_kernel(*given)
        areas = run.areas.copy()
        areas[stage] = 0
        return replace(run, areas=areas)

    simulated_by(uncounted)
    assert instrument.exact_means().outcome is Outcome.REFUTED


@pytest.mark.parametrize("kind", range(len(EVENTS)), ids=EVENTS)
@pytest.mark.usefixtures("shorter")
def test_mutation_an_event_that_is_counted_a_tenth_too_often_is_found(
    simulated_by: Callable[[Runner], None], kind: int
) -> None:
    def miscounted(*given: Any) -> Run:
        run = run_kernel(*given)
        completed = run.completed.copy()
        completed[kind] += completed[kind] // 10
        return replace(run, completed=completed)

    simulated_by(miscounted)
    assert instrument.exact_means().outcome is Outcome.REFUTED


@pytest.mark.usefixtures("shorter")
def test_mutation_a_fault_that_only_first_come_first_served_shows_is_found(
    simulated_by: Callable[[Runner], None],
) -> None:
    def run(chain: Chain, *rest: Any) -> Run:
        # No solo rate: without a gate a single GPU has no solo slots, and never uses it.
        gated = isinstance(chain.policy, GateAndRoute)
        return (run_kernel if gated else with_rate(PREFILL_COMPLETION, 1.1))(chain, *rest)

    simulated_by(run)
    assert instrument.exact_means().outcome is Outcome.REFUTED
