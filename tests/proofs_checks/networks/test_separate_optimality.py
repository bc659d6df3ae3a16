"""Theorem 4.2: plumbing and control of the check, on sizes that take seconds."""

from __future__ import annotations

import pytest

from kurtz.fluid import plan
from kurtz.proofs_checks import Outcome
from kurtz.proofs_checks.networks import separate_optimality
from kurtz.proofs_checks.networks.gap_study import Design
from kurtz.proofs_checks.networks.separate_optimality import ReversedPriority
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
    ((control,),) = findings.controls.values()
    assert control.outcome is Outcome.REFUTED
    for draw in findings.figures.values():
        draw()
