"""Outcomes, grades and controls: what makes a claim pass, and what must not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurtz.proofs_checks import Evidence, Findings, Outcome, Verdict
from kurtz.proofs_checks.verdict import outcome_of
from kurtz.theory.claims import CLAIMS, Grade

HOLDS, REFUTED, INCONCLUSIVE = Outcome.HOLDS, Outcome.REFUTED, Outcome.INCONCLUSIVE

outcomes = st.lists(st.sampled_from(Outcome), min_size=1, max_size=4)


def piece(outcome: Outcome, grade: Grade = Grade.CERTIFIED, name: str = "a comparison") -> Evidence:
    return Evidence(name, grade, outcome, claimed="1", computed="2")


def verdict(
    evidence: tuple[Evidence, ...], controls: Mapping[str, tuple[Evidence, ...]] | None = None
) -> Verdict:
    if controls is None:
        controls = {"a fault": (piece(REFUTED),)}
    return Verdict(CLAIMS[0], "quick", Findings(evidence, controls), seconds=0.1)


def test_a_comparison_that_always_decides_holds_or_is_refuted() -> None:
    assert outcome_of(True) is HOLDS
    assert outcome_of(False) is REFUTED


@given(outcomes)
def test_one_refutation_refutes_and_doubt_never_confirms(found: list[Outcome]) -> None:
    decided = verdict(tuple(piece(each) for each in found))
    assert (decided.outcome is REFUTED) == (REFUTED in found)
    assert (decided.outcome is HOLDS) == (set(found) == {HOLDS})
    assert decided.passed == (set(found) == {HOLDS})


def test_grades_that_confirm_carry_the_verdict_strongest_first() -> None:
    found = (
        piece(HOLDS, Grade.ESTIMATED),
        piece(HOLDS, Grade.PROVED),
        piece(HOLDS, Grade.ESTIMATED),
    )
    assert verdict(found).grades == (Grade.PROVED, Grade.ESTIMATED)


def test_an_undecided_piece_lends_no_grade() -> None:
    found = (piece(HOLDS, Grade.ESTIMATED), piece(INCONCLUSIVE, Grade.PROVED))
    assert verdict(found).grades == (Grade.ESTIMATED,)


def test_a_refuted_claim_has_the_grade_refuted_alone() -> None:
    found = (piece(HOLDS, Grade.PROVED), piece(REFUTED, Grade.ESTIMATED))
    assert verdict(found).grades == (Grade.REFUTED,)


@pytest.mark.parametrize("undetected", [HOLDS, INCONCLUSIVE])
def test_a_control_that_is_not_refuted_is_an_error(undetected: Outcome) -> None:
    controls = {"caught": (piece(REFUTED),), "missed": (piece(undetected),)}
    decided = verdict((piece(HOLDS),), controls)
    assert decided.outcome is HOLDS
    assert decided.unrefuted_controls == ("missed",)
    assert not decided.passed
    with pytest.raises(AssertionError, match="control not refuted: missed"):
        decided.assert_passed()


def test_a_claim_without_control_does_not_pass() -> None:
    decided = verdict((piece(HOLDS),), controls={})
    assert decided.outcome is HOLDS
    assert not decided.passed
    with pytest.raises(AssertionError, match="no control"):
        decided.assert_passed()


@given(outcomes)
def test_a_control_is_refuted_only_if_all_of_it_is(found: list[Outcome]) -> None:
    decided = verdict((piece(HOLDS),), {"a fault": tuple(piece(each) for each in found)})
    assert decided.passed == (set(found) == {REFUTED})
    assert decided.unrefuted_controls == (() if decided.passed else ("a fault",))


def test_a_control_without_evidence_counts_as_missed() -> None:
    decided = verdict((piece(HOLDS),), controls={"empty": ()})
    assert decided.unrefuted_controls == ("empty",)
    assert not decided.passed


def test_assert_passed_is_silent_on_a_claim_that_passes() -> None:
    verdict((piece(HOLDS),)).assert_passed()


def test_assert_passed_names_the_claim_and_every_fault_with_both_sides() -> None:
    found = (
        piece(HOLDS, name="sound"),
        piece(REFUTED, name="wrong"),
        piece(INCONCLUSIVE, name="open"),
    )
    decided = verdict(found, {"missed": (piece(HOLDS),)})
    with pytest.raises(AssertionError) as raised:
        decided.assert_passed()
    message = str(raised.value)
    assert message.startswith(CLAIMS[0].claim_id)
    assert "wrong: refuted (claimed 1, computed 2)" in message
    assert "open: inconclusive" in message
    assert "control not refuted: missed" in message
    assert "sound" not in message


def test_results_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        piece(HOLDS).outcome = REFUTED  # type: ignore[misc]
