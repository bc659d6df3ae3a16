"""The check of the interval of Sorted-F's ratio: it holds, and its controls are refuted."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy

from kurtz.proofs_checks import Findings, Outcome
from kurtz.proofs_checks.backlog import ratio_interval
from kurtz.proofs_checks.backlog.ratio_interval import limit_evidence, member_evidence
from kurtz.proofs_checks.backlog.ratio_members import (
    FAMILIES,
    Member,
    RatioFamily,
    blocking,
    gated,
    small_members,
)
from kurtz.theory.backlog import Schedule
from kurtz.theory.claims import Grade


def silent(_: str) -> None:
    """Report nothing."""


@pytest.fixture(scope="module")
def findings() -> Findings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ratio_interval.MOST_REQUESTS, "quick", 8)
        patch.setitem(ratio_interval.EXHAUSTED_AGAIN, "quick", {2: 4, 3: 3})
        return ratio_interval.check("quick", silent)


@pytest.fixture(scope="module")
def member() -> Member:
    return blocking(1, 2, 3, "peak-sum")


def test_interval_holds_with_every_grade(findings: Findings) -> None:
    assert {each.outcome for each in findings.evidence} == {Outcome.HOLDS}
    grades = {each.grade for each in findings.evidence}
    assert grades == {Grade.PROVED, Grade.CERTIFIED, Grade.EXHAUSTED}


def test_every_control_is_refuted_piece_by_piece(findings: Findings) -> None:
    assert len(findings.controls) == 3
    for pieces in findings.controls.values():
        assert {piece.outcome for piece in pieces} == {Outcome.REFUTED}


def test_lower_ends_lie_below_the_upper_end(findings: Findings) -> None:
    lower = findings.data["lower ends"]
    assert lower["sorted-f"] == pytest.approx(3.3231, abs=1e-4)
    assert lower["sorted-f-common-start"] == 4
    assert max(lower.values()) < findings.data["upper end"]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda each: each.name)
def test_another_limit_is_refuted(family: RatioFamily) -> None:
    wrong = replace(family, claimed=family.claimed + sympy.Rational(1, 1000))
    assert limit_evidence(wrong).outcome is Outcome.REFUTED


@pytest.mark.parametrize("family", FAMILIES, ids=lambda each: each.name)
def test_ratios_grow_towards_the_limit_and_stay_below(family: RatioFamily) -> None:
    requests, ratios = zip(*family.sizes(), strict=True)
    assert list(requests) == sorted(requests)
    assert list(ratios) == sorted(ratios)
    assert 0.9 * float(family.claimed) < ratios[-1] < float(family.claimed)


@pytest.mark.parametrize("by_definition", [0, 8])
def test_member_is_as_stated_by_either_selection(member: Member, by_definition: int) -> None:
    assert member_evidence(member, by_definition).outcome is Outcome.HOLDS


def test_members_are_those_of_at_most_so_many_requests() -> None:
    every = list(small_members())
    for most in (8, 16, 24):
        expected = [each.name for each in every if len(each.backlog) <= most]
        assert [each.name for each in small_members(most)] == expected


def test_member_with_other_batches_is_refuted(member: Member) -> None:
    wrong = replace(member, batches=member.batches[::-1])
    assert "other batches" in member_evidence(wrong, 8).computed


def test_member_with_another_latency_is_refuted(member: Member) -> None:
    wrong = replace(member, latency=member.latency - 1)
    assert member_evidence(wrong, 8).outcome is Outcome.REFUTED


def test_member_with_a_reference_above_its_closed_form_is_refuted() -> None:
    member = gated(3, 1)
    later = Schedule(tuple(start + member.latency for start in member.reference.starts))
    assert "reference" in member_evidence(replace(member, reference=later), 0).computed


def test_figures_have_a_curve_for_every_rule_size_or_family(findings: Findings) -> None:
    by_requests, by_memory, families = (draw() for draw in findings.figures.values())
    assert len(by_requests.axes[0].lines) == 6
    assert all(len(axes.lines) >= 5 for axes in by_memory.axes)
    assert len(families.axes[0].lines) == 2 * len(FAMILIES)
