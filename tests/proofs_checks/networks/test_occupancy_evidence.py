"""Equivalence tests on occupancies: what is within the margin in the limit, and what is not."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from kurtz.fluid import Plan, plan
from kurtz.proofs_checks.networks.gap_study import Design
from kurtz.proofs_checks.networks.occupancy_evidence import (
    deviation_curve,
    occupancies_evidence,
    stage_slots,
)
from kurtz.proofs_checks.verdict import Outcome
from kurtz.theory import instance

DESIGN = Design((100, 400, 1_600, 6_400), (8, 8, 8, 8), 1, 1, settled_from=400)


@dataclass(frozen=True)
class Measured:
    """The part of an estimate that the evidence reads."""

    gpus: int
    occupancies: dict[str, tuple[Any, ...]]


def measured(target: Plan, *, constant: float, root: float, error: float) -> list[Any]:
    """Solo decodes of class 0 off by ``constant + root / sqrt(n)`` per decode slot."""
    slots = stage_slots(target.network, target, "solo_decode")
    estimates = []
    for gpus in DESIGN.gpus:
        off = slots * (constant + root / gpus**0.5)
        scale = slots * error / gpus**0.5
        planned = [float(value) for value in target.solo_decode]
        means = [planned[0] + off, *planned[1:]]
        intervals = tuple(SimpleNamespace(mean=m, standard_error=scale) for m in means)
        estimates.append(Measured(gpus, {"solo_decode": intervals}))
    return estimates


@pytest.fixture(scope="module")
def target() -> Plan:
    return plan(instance("two-class"))


def test_slots_of_a_stage_by_hand(target: Plan) -> None:
    # X* = 0.2132: so many prefill slots per GPU, and 15 X* + 16 (1 - X*) = 16 - X* decode slots.
    assert stage_slots(target.network, target, "prefill") == pytest.approx(0.21321144)
    assert stage_slots(target.network, target, "decode_queue") == pytest.approx(16 - 0.21321144)


def test_deviations_are_per_slot_from_the_settled_size_on(target: Plan) -> None:
    estimates = measured(target, constant=0.01, root=2.0, error=0.5)
    curve = deviation_curve(target.network, target, DESIGN, estimates, {"solo_decode": (1, 0)})
    assert curve.gpus.tolist() == [400, 1_600, 6_400]
    assert curve.gap == pytest.approx([0.01 + 2 / 20, 0.01 + 2 / 40, 0.01 + 2 / 80])
    assert curve.standard_error == pytest.approx([0.5 / 20, 0.5 / 40, 0.5 / 80])


@pytest.mark.parametrize(
    ("constant", "error", "outcome"),
    [
        (0.0, 0.001, Outcome.HOLDS),
        (0.03, 0.001, Outcome.REFUTED),
        (-0.03, 0.001, Outcome.REFUTED),
        (0.0, 1.0, Outcome.INCONCLUSIVE),
    ],
)
def test_the_limit_decides_not_the_largest_size(
    target: Plan, constant: float, error: float, outcome: Outcome
) -> None:
    # At the largest size the root term alone is 2/80 = 2.5 %, beyond the margin of 1 %.
    evidence = occupancies_evidence(
        "solo decodes",
        target.network,
        target,
        DESIGN,
        measured(target, constant=constant, root=2.0, error=error),
        ("solo_decode",),
        margin=0.01,
        tests=4,
    )
    assert evidence.outcome is outcome
