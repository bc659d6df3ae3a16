"""Theorem 4.2: plumbing and control of the check, on sizes that take seconds."""

from __future__ import annotations

import pytest

from kurtz.fluid import plan
from kurtz.proofs_checks import Outcome
from kurtz.proofs_checks.networks import separate_optimality, separate_small_systems
from kurtz.proofs_checks.networks.gap_study import Design
from kurtz.proofs_checks.networks.separate_optimality import ReversedPriority
from kurtz.proofs_checks.networks.separate_small_systems import exact_gaps_evidence
from kurtz.stochastic import stationary_law
from kurtz.theory import PrioritizeAndRoute, instance


def test_reversed_priority_serves_the_least_decode_work_first() -> None:
    target = plan(instance("prefill-bound"), "separate")
    # D/P = 60/800 and 20/2500.
    assert PrioritizeAndRoute(target).class_order() == (0, 1)
    assert ReversedPriority(target).class_order() == (1, 0)


def test_theorem_4_2_order_matters_only_where_prefill_capacity_binds() -> None:
    assert sum(plan(instance("two-class"), "separate").prefill_queue) == 0
    bound = plan(instance("prefill-bound"), "separate")
    assert bound.mixed_share == 1
    assert bound.prefill_queue[0] == 0 < bound.prefill_queue[1]


def test_theorem_4_2_control_is_refuted_on_a_smaller_design(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    critical = Design((400, 800, 1_600), (4, 4, 4), 100, 60, settled_from=400)
    bound = Design((100, 200, 400), (4, 4, 4), 40, 40, settled_from=100)
    designs = {"two-class": {"quick": critical}, "prefill-bound": {"quick": bound}}
    monkeypatch.setattr(separate_optimality, "DESIGNS", designs)
    findings = separate_optimality.check("quick", lambda _: None)
    assert all(piece.outcome is not Outcome.REFUTED for piece in findings.evidence)
    assert len(findings.controls) == 3
    for (control,) in findings.controls.values():
        assert control.outcome is Outcome.REFUTED
    for draw in findings.figures.values():
        draw()


def test_theorem_4_2_exact_gaps_fall_where_the_share_of_mixed_gpus_is_the_same() -> None:
    plans = separate_small_systems.separate_plans()
    laws = {
        ("small-one-class", gpus): stationary_law(
            plans["small-one-class"].network,
            PrioritizeAndRoute(plans["small-one-class"]),
            gpus,
        )
        for gpus in (1, 2, 3)
    }
    values = {name: p.value for name, p in plans.items()}
    # M = 1, 2, 2: two GPUs lose less than one, and with a third, a solo GPU, the loss rises again.
    gaps = [1 - law.separate_revenue_rate / 21.04 for law in laws.values()]
    assert gaps[1] < gaps[2] < gaps[0]
    evidence = exact_gaps_evidence(laws, plans, values)
    assert evidence.outcome is Outcome.HOLDS
    assert "31.6% > 19.3% (n = 1, 2)" in evidence.computed
    swapped = {**laws, ("small-one-class", 1): laws["small-one-class", 2]}
    swapped["small-one-class", 2] = laws["small-one-class", 1]
    assert exact_gaps_evidence(swapped, plans, values).outcome is Outcome.REFUTED
    low = {name: value * 3 / 4 for name, value in values.items()}
    assert exact_gaps_evidence(laws, plans, low).outcome is Outcome.REFUTED
