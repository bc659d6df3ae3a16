"""The check of the reduction from 3-Partition: it holds, and its controls are refuted."""

from __future__ import annotations

import pytest

from kurtz.proofs_checks import Findings, Outcome
from kurtz.proofs_checks.backlog import np_hard
from kurtz.theory.claims import Grade


def silent(_: str) -> None:
    """Report nothing."""


@pytest.fixture(scope="module")
def findings() -> Findings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(np_hard.LARGEST_TARGET, "quick", {1: 15, 2: 15})
        return np_hard.check("quick", silent)


def test_reduction_holds_by_proof_by_exhaustion_and_both_ways(findings: Findings) -> None:
    assert {each.outcome for each in findings.evidence} == {Outcome.HOLDS}
    grades = {each.grade for each in findings.evidence}
    assert grades == {Grade.PROVED, Grade.EXHAUSTED, Grade.CERTIFIED}


def test_instances_with_and_without_a_partition_are_among_those_decided(
    findings: Findings,
) -> None:
    assert {decision.has_partition for decision in findings.data["decisions"]} == {True, False}


@pytest.mark.parametrize("control", ["M = B + 1", "M = B - 1"])
def test_a_budget_off_by_one_token_is_refuted(findings: Findings, control: str) -> None:
    assert {each.outcome for each in findings.controls[control]} == {Outcome.REFUTED}


def test_one_token_more_turns_a_no_into_a_yes() -> None:
    # 4, 4, 4, 4, 4, 6 cannot be split into 13 + 13, but fits two steps of 14.
    wrong = [decision for decision in np_hard.decide(2, 13, 1) if not decision.agrees]
    assert [decision.instance.numbers for decision in wrong] == [(4, 4, 4, 4, 4, 6)]
    assert not wrong[0].has_partition
