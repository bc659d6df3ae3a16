"""The registered claims: each has a check, passes, and every control of it is refuted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kurtz.fluid import plan
from kurtz.proofs_checks import CHECKS, Evidence, Findings, Outcome, Verdict, verify
from kurtz.proofs_checks.networks import bundled_optimality, iteration_time_law, revenue_upper_bound
from kurtz.proofs_checks.networks.gap_study import Design
from kurtz.theory import GateAndRoute, InvalidInput, instance
from kurtz.theory.claims import CLAIMS, Grade, claim

CHEAP = {
    "iteration-time-law": (Grade.ESTIMATED,),
    "decode-buffer-elimination": (Grade.PROVED, Grade.CERTIFIED),
    "bundled-knapsack": (Grade.PROVED, Grade.CERTIFIED),
}


def silent(_: str) -> None:
    """Report nothing."""


def evidence_of(grade: Grade) -> Evidence:
    return Evidence("stands in for what takes long", grade, Outcome.HOLDS, "", "")


def test_every_claim_has_a_check_and_every_check_a_claim() -> None:
    ids = [each.claim_id for each in CLAIMS]
    assert len(set(ids)) == len(ids)
    assert list(CHECKS) == ids


def test_every_claim_says_where_it_comes_from_and_how_it_could_be_wrong() -> None:
    for each in CLAIMS:
        assert each.statement.endswith(".")
        assert each.source == "derived" or each.source.startswith("arXiv ")
        assert each.hypotheses
        assert each.control
        assert claim(each.claim_id) is each


@pytest.mark.parametrize("claim_id", CHEAP)
def test_claim_passes_with_its_grades_and_every_control_is_refuted(claim_id: str) -> None:
    (verdict,) = verify([claim_id]).verdicts
    verdict.assert_passed()
    assert verdict.grades == CHEAP[claim_id]
    for pieces in verdict.findings.controls.values():
        assert all(piece.outcome is Outcome.REFUTED for piece in pieces)


def test_equations_1_to_3_the_quadratic_rival_goes_through_the_same_rule() -> None:
    # One point in two is as good as another law's: what it reaches must turn on the exponent.
    (entry, *_) = iteration_time_law.check("quick", silent).data["entries"]
    chunks = 2.0 ** np.arange(7, 15)
    alpha = 0.5 / entry.fit.iteration_time.gamma
    for exponent, rival in ((1, 2), (2, 1)):
        exact = replace(
            entry,
            all_chunks=chunks,
            all_seconds=alpha * (1 + (chunks / 1_024) ** exponent),
        )
        assert iteration_time_law.reach(exact, exponent) == (128.0, 8)
        span, points = iteration_time_law.reach(exact, rival)
        assert span < 128
        assert points < 8
        evidence = iteration_time_law._reach("law", [exact], exponent, [])
        assert evidence.outcome is Outcome.HOLDS
        # One entry that is out of reach decides.
        falling = replace(exact, all_seconds=exact.all_seconds[::-1])
        assert iteration_time_law.reach(falling, exponent) == (1.0, 0)
        evidence = iteration_time_law._reach(
            "law", [exact, replace(falling, name="falling")], 1, []
        )
        assert evidence.outcome is Outcome.REFUTED


@pytest.mark.parametrize(
    ("threshold", "value"), [("LEAST_SPAN", 8.5), ("LEAST_POINTS", 7), ("LEAST_BATCH", 10_000)]
)
def test_equations_1_to_3_are_refuted_where_they_do_not_reach(
    monkeypatch: pytest.MonkeyPatch, threshold: str, value: float
) -> None:
    entries = iteration_time_law.check("quick", silent).data["entries"]
    tested = [each for each in entries if len(each.chunks) >= iteration_time_law.LEAST_POINTS]
    monkeypatch.setattr(iteration_time_law, threshold, value)
    evidence = (
        iteration_time_law._solo_constant({each.name: each.fit for each in entries})
        if threshold == "LEAST_BATCH"
        else iteration_time_law._reach("affine law", tested, 1, [])
    )
    assert evidence.outcome is Outcome.REFUTED


def test_verification_reports_and_decides_in_the_order_asked_for() -> None:
    reported: list[str] = []
    decided: list[Verdict] = []
    ids = ["decode-buffer-elimination", "iteration-time-law"]
    ledger = verify(ids, report=lambda i, _: reported.append(i), decided=decided.append)
    assert [verdict.claim.claim_id for verdict in ledger.verdicts] == ids
    assert tuple(decided) == ledger.verdicts
    assert list(dict.fromkeys(reported)) == ids


def test_no_ids_stand_for_every_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    for claim_id in CHECKS:
        monkeypatch.setitem(CHECKS, claim_id, lambda level, report: Findings((), {}))
    assert [verdict.claim for verdict in verify().verdicts] == list(CLAIMS)
    assert not verify().passed  # without controls


@pytest.mark.parametrize(
    ("ids", "level", "message"),
    [
        (["bundled-optimalty"], "quick", r"claim = 'bundled-optimalty' .* bundled-optimality"),
        ([], "thorough", r"level = 'thorough' .* quick, full"),
    ],
)
def test_unknown_claims_and_levels_are_refused_before_any_work(
    ids: list[str], level: str, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message):
        verify(ids, level)  # type: ignore[arg-type]


def test_revenue_upper_bound_passes_on_a_smaller_design(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revenue_upper_bound, "GPUS", {"quick": (10, 1_000)})
    monkeypatch.setattr(revenue_upper_bound, "SMALL_GPUS", (2,))
    monkeypatch.setattr(revenue_upper_bound, "HORIZON", 200.0)
    monkeypatch.setattr(revenue_upper_bound, "WARMUP", 130.0)
    monkeypatch.setattr(revenue_upper_bound, "REPLICATIONS", 4)
    (verdict,) = verify(["revenue-upper-bound"]).verdicts
    verdict.assert_passed()
    assert verdict.grades == (Grade.PROVED, Grade.CERTIFIED, Grade.ESTIMATED)
    assert len(verdict.findings.controls) == 6


def test_the_upper_bound_is_missed_by_a_bound_of_a_tenth_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # R* 0.9 lies below what 1,000 GPUs earn (about 97 %): the comparison has to notice.
    network = instance("two-class")
    target = plan(network)
    estimate = revenue_upper_bound.simulate(
        network,
        GateAndRoute(target),
        gpus=1_000,
        horizon=200.0,
        warmup=130.0,
        replications=4,
        seed=3,
    )
    for share, outcome in ((1, Outcome.HOLDS), (0.9, Outcome.REFUTED)):
        evidence = revenue_upper_bound._simulated_below(
            "two-class",
            {("two-class", 1_000): estimate},
            target,
            {"two-class": target.value * share},
        )
        assert evidence.outcome is outcome


def test_theorem_4_1_controls_are_refuted_on_a_smaller_design(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The plumbing of the whole check in seconds; sizes this small need not decide the theorem.
    design = Design((500, 1_000, 2_000), (4, 4, 4), 100, 60, settled_from=500)
    controls = Design((2_500, 5_000, 10_000), (4, 4, 4), 100, 40, settled_from=2_500)
    monkeypatch.setattr(bundled_optimality, "NAMED_INSTANCES", ("two-class",))
    monkeypatch.setattr(bundled_optimality, "DESIGNS", {"two-class": {"quick": design}})
    monkeypatch.setattr(bundled_optimality, "CONTROL_DESIGN", controls)
    monkeypatch.setattr(bundled_optimality, "exact_means", lambda: evidence_of(Grade.ESTIMATED))
    monkeypatch.setattr(bundled_optimality, "MILESTONE", (2_000, 0.05))
    said: list[str] = []
    findings = bundled_optimality.check("quick", said.append)
    assert set(findings.controls) == {
        "a rate of the kernel a tenth too high",
        "no gate on two-class",
        "wrong prices on two-class",
    }
    for pieces in findings.controls.values():
        assert [piece.outcome for piece in pieces] == [Outcome.REFUTED]
    assert findings.data["without gate"]["two-class"].curve.gap.min() > 0.01
    outcomes = {piece.name: piece.outcome for piece in findings.evidence}
    assert outcomes["gap at 2,000 GPUs: two-class"] is Outcome.HOLDS
    assert outcomes["limit gap of two-class, gate"] is not Outcome.REFUTED
    assert len(outcomes) == 2 + 2 + 1
    assert any("2,000 GPUs" in doing for doing in said)
    for draw in findings.figures.values():
        draw()


@pytest.mark.parametrize("hypothesis", ["kappa", "patience"])
def test_theorem_4_1_hypotheses_are_checked_before_the_conclusion(
    monkeypatch: pytest.MonkeyPatch, hypothesis: str
) -> None:
    network = instance("two-class")
    if hypothesis == "kappa":
        slow = replace(network.gpu.iteration_time, gamma=1.0)
        network = replace(network, gpu=replace(network.gpu, iteration_time=slow))
    else:
        patient = replace(network.classes[0], arrival_rate=0.01, patience_rate=0)
        network = replace(network, classes=(patient, network.classes[1]))
    monkeypatch.setattr(bundled_optimality, "instance", lambda name: network)
    with pytest.raises(ArithmeticError, match=rf"{hypothesis}.* does not apply"):
        bundled_optimality.check("quick", silent)
