"""The checks on the workload of conversations and documents, with few and small backlogs."""

from __future__ import annotations

from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from kurtz.proofs_checks.backlog import latency_gain, lp_lower_bound, output_length_errors
from kurtz.proofs_checks.backlog.latency_gain import Design
from kurtz.proofs_checks.backlog.workload_study import (
    SHUFFLED,
    WORKLOADS,
    workload_study,
)
from kurtz.proofs_checks.verdict import Findings, Outcome

FEW = WORKLOADS[1::3]


def silent(_: str) -> None:
    """Report nothing."""


def small(module: ModuleType, **constants: Any) -> Findings:
    """The findings of a check with other constants."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in constants.items():
            patch.setattr(module, name, value)
        findings: Findings = module.check("quick", silent)
    return findings


@pytest.fixture(scope="module")
def gains() -> Findings:
    designs = {"quick": (Design(200, 6, ("sorted-f", "receding-horizon")),)}
    return small(latency_gain, TESTED=designs, WORKLOADS=FEW)


@pytest.fixture(scope="module")
def bounds() -> Findings:
    return small(lp_lower_bound, SIZES={"quick": ((60, 4),)})


@pytest.fixture(scope="module")
def errors() -> Findings:
    return small(output_length_errors, SIZES={"quick": ((150, 10),)}, TESTED_SIGMAS=(0.25,))


@pytest.mark.parametrize("check", ["gains", "bounds", "errors"])
def test_the_claim_holds(check: str, request: pytest.FixtureRequest) -> None:
    findings: Findings = request.getfixturevalue(check)
    assert {evidence.outcome for evidence in findings.evidence} == {Outcome.HOLDS}


@pytest.mark.parametrize("check", ["gains", "bounds", "errors"])
def test_the_control_is_refuted(check: str, request: pytest.FixtureRequest) -> None:
    findings: Findings = request.getfixturevalue(check)
    assert findings.controls
    for pieces in findings.controls.values():
        assert {piece.outcome for piece in pieces} == {Outcome.REFUTED}


@pytest.mark.parametrize("check", ["gains", "bounds", "errors"])
def test_figures_are_drawn(check: str, request: pytest.FixtureRequest) -> None:
    findings: Findings = request.getfixturevalue(check)
    assert findings.figures
    for draw in findings.figures.values():
        figure = draw()
        assert isinstance(figure, Figure)
        figure.draw_without_rendering()


def test_rules_are_compared_on_the_same_backlogs() -> None:
    study = workload_study(FEW[0], 40, 3, ("fcfs", "smallest-volume", SHUFFLED), silent)
    alone = workload_study(FEW[0], 40, 3, ("smallest-volume",), silent)
    assert np.array_equal(study.steps[:, 1], alone.steps[:, 0])
    assert (study.gains("fcfs", "fcfs") == 0).all()


def test_figures_of_a_backlog_are_ordered() -> None:
    study = workload_study(FEW[0], 40, 3, ("fcfs", "smallest-volume", SHUFFLED), silent)
    for latencies in (study.steps, study.seconds):
        assert (np.diff(latencies, axis=2) >= 0).all()


def test_a_bound_with_the_capacity_term_is_smaller(bounds: Findings) -> None:
    for study in bounds.data["studies"]:
        for bound in study.bounds:
            assert lp_lower_bound.without_capacity_term(bound) > Fraction(bound.value)


def test_a_gain_that_no_draw_shows_is_not_claimed() -> None:
    study = workload_study(FEW[0], 40, 3, latency_gain.BASELINES + latency_gain.OTHERS, silent)
    evidence = latency_gain.reduces_latency("shortest-output", [study], "steps", 1)
    assert evidence.outcome is not Outcome.HOLDS


def test_without_error_the_whole_gain_is_kept() -> None:
    kept = output_length_errors.kept_gain(FEW[0], 60, (0.0,), 2)
    assert (kept.refined == 1).all()
    assert (kept.unrefined == 1).all()
    assert (kept.refined_evictions == 0).all()
