"""Small systems: the sandwich holds, its controls are refuted, and the optimal gate idles."""

from __future__ import annotations

import pytest

from kurtz.proofs_checks import Outcome
from kurtz.proofs_checks.networks import small_systems
from kurtz.proofs_checks.networks.small_systems import (
    Study,
    gate_decisions,
    optimal_control_controls,
    optimal_control_evidence,
    small_systems_study,
)
from kurtz.theory import GateAndRoute


@pytest.fixture(scope="module")
def study() -> Study:
    systems = (("small-one-class", 2), ("small-two-class", 2), ("small-underloaded", 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_systems, "SYSTEMS", {"quick": systems})
        return small_systems_study("quick", lambda message: None)


def test_gate_and_route_below_the_optimum_below_the_plan(study: Study) -> None:
    evidence = optimal_control_evidence(study)
    assert [piece.outcome for piece in evidence] == [Outcome.HOLDS] * 3


def test_every_control_is_refuted(study: Study) -> None:
    for name, evidence in optimal_control_controls(study).items():
        assert [piece.outcome for piece in evidence] == [Outcome.REFUTED], name


def test_dedication_costs_revenue_in_small_systems(study: Study) -> None:
    for system in study.values():
        assert system.planned.upper < system.undedicated.lower


def test_optimal_gate_turns_the_marginal_class_away_when_decode_is_full(study: Study) -> None:
    # Class 0 fills what the plan has left over; class 1 is served in full.
    system = study["small-two-class", 2]
    for (waiting, decodes), rates in gate_decisions(system).items():
        if waiting == (0,) and decodes >= system.decode_slots:
            assert set(rates) == {None}
        if 1 in waiting:
            assert set(rates) == {1}


def test_gate_and_route_never_idles_in_the_same_moments(study: Study) -> None:
    system = study["small-two-class", 2]
    decisions = gate_decisions(system, GateAndRoute(system.plan))
    assert all(None not in rates for rates in decisions.values())
    assert decisions.keys() == gate_decisions(system).keys()
