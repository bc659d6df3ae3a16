"""Theorem 5.1, Proposition 12.1, Section 13: hypotheses, targets and plumbing of the checks."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.fluid import plan
from kurtz.fluid.planning import planning_form
from kurtz.proofs_checks import Outcome
from kurtz.proofs_checks.networks import general_sli_policy, sli_optimality
from kurtz.proofs_checks.networks.gap_study import Design
from kurtz.proofs_checks.networks.general_sli_policy import BackloggedTargets, has_the_spectrum
from kurtz.theory import GeneralSliAware, exact_rates, instance
from kurtz.theory.sli import PrefillFairness

positive = st.integers(1, 40)


def test_theorem_5_1_slater_slack_by_hand() -> None:
    # One class: 1/4 <= x needs no SLI; prefill fairness with one class has no rows at all, while
    # a limit of 0 between two classes is an equation in disguise and leaves no room.
    network = instance("two-class")
    assert sli_optimality.slater_slack(planning_form(network)) > 0
    strict = planning_form(network, slis=(PrefillFairness(0),), decode_queue_allowed=True)
    assert sli_optimality.slater_slack(strict) == 0


def test_theorem_5_1_hypotheses_fail_where_the_plan_has_decode_queues() -> None:
    network = instance("two-class")
    backlogged = replace(plan(network), decode_queue=(Fraction(1), Fraction(0)))
    evidence = sli_optimality.hypotheses_evidence({"backlogged": backlogged})
    assert evidence.outcome is Outcome.REFUTED


@pytest.mark.parametrize("name", general_sli_policy.NAMES["full"])
def test_backlogged_targets_are_feasible_and_optimal_exactly(name: str) -> None:
    network = instance(name)
    targets, rate = BackloggedTargets.of(network), exact_rates(network)
    share = sum(targets.prefill)
    assert sum(targets.mixed_decode) == (rate.batch - 1) * share
    assert sum(targets.solo_decode) == rate.batch * (1 - share)
    for i, theta in enumerate(rate.patience):
        completed = (
            rate.mixed_decode[i] * targets.mixed_decode[i]
            + rate.solo_decode[i] * targets.solo_decode[i]
        )
        assert rate.prefill[i] * targets.prefill[i] == rate.arrival[i]
        assert rate.arrival[i] == completed + theta * targets.decode_queue[i]
        assert targets.decode_queue[i] > 0
    assert targets.separate_value == plan(network, "separate").value


@pytest.mark.parametrize("name", general_sli_policy.NAMES["full"])
def test_backlogged_targets_tell_classes_apart(name: str) -> None:
    policy = GeneralSliAware(BackloggedTargets.of(instance(name)))
    classes = range(len(policy.plan.prefill))
    assert len({policy.solo_probability(i) for i in classes}) == len(classes)
    mixed, solo = policy.pool_weights()
    assert mixed != pytest.approx(solo, abs=0.01)


def test_networks_without_excess_decode_work_have_no_backlogged_targets() -> None:
    with pytest.raises(ArithmeticError, match="no optimum in which every class"):
        BackloggedTargets.of(instance("prefill-bound"))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(positive, positive), min_size=1, max_size=4))
def test_lemma_13_3_spectrum(pool: list[tuple[int, int]]) -> None:
    whole = sum(weight for weight, _ in pool)
    weights = [Fraction(weight, whole) for weight, _ in pool]
    rates = [Fraction(rate, 7) for _, rate in pool]
    assert has_the_spectrum(weights, rates)
    assert not has_the_spectrum([weight * Fraction(1, 2) for weight in weights], rates)


def test_lemma_13_3_needs_no_positive_weights() -> None:
    # A class that is never drawn only drains: its eigenvalue is -mu_i.
    assert has_the_spectrum([Fraction(1), Fraction(0)], [Fraction(3), Fraction(2)])


def test_theorem_5_1_control_is_refuted_on_a_smaller_design(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The plumbing of the whole check in seconds; sizes this small need not decide the theorem.
    design = Design((200, 400, 800), (4, 4, 4), 120, 60, settled_from=200)
    monkeypatch.setattr(sli_optimality, "DESIGNS", {"quick": design})
    monkeypatch.setattr(
        sli_optimality,
        "SPECIFICATIONS",
        {"no SLI": (), "prefill fairness": (PrefillFairness(0.15),)},
    )
    monkeypatch.setattr(sli_optimality, "CONTROLLED", ("no SLI",))
    findings = sli_optimality.check("quick", lambda _: None)
    assert len(findings.evidence) == 1 + 3 + 4
    assert all(piece.outcome is not Outcome.REFUTED for piece in findings.evidence)
    for (control,) in findings.controls.values():
        assert control.outcome is Outcome.REFUTED
    for draw in findings.figures.values():
        draw()


def test_proposition_13_5_control_is_refuted_on_a_smaller_design(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    design = Design((100, 200, 400), (4, 4, 4), 60, 60, settled_from=100)
    monkeypatch.setattr(general_sli_policy, "DESIGNS", {"azure-h100": {"quick": design}})
    findings = general_sli_policy.check("quick", lambda _: None)
    assert all(piece.outcome is not Outcome.REFUTED for piece in findings.evidence)
    for pieces in findings.controls.values():
        assert all(piece.outcome is Outcome.REFUTED for piece in pieces)
