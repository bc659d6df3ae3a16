"""Theorem 5.1, Proposition 12.1, Section 13: hypotheses, targets and plumbing of the checks."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.fluid import plan
from kurtz.fluid.penalised import penalised_plan
from kurtz.fluid.planning import planning_form
from kurtz.proofs_checks import Outcome
from kurtz.proofs_checks.networks import (
    general_sli_policy,
    sli_hypotheses,
    sli_optimality,
    sli_penalties,
)
from kurtz.proofs_checks.networks.gap_study import Design, revenue_gaps
from kurtz.proofs_checks.networks.general_sli_policy import BackloggedTargets, has_the_spectrum
from kurtz.stochastic import COUNTS, Estimate, simulate
from kurtz.theory import GeneralSliAware, SliAware, exact, exact_rates, instance
from kurtz.theory.penalties import (
    DecodeFairnessPenalty,
    Penalty,
    PrefillFairnessPenalty,
    TimePerOutputTokenPenalty,
)
from kurtz.theory.sli import PrefillFairness
from kurtz.theory.steady_state import OCCUPANCIES

positive = st.integers(1, 40)


def test_theorem_5_1_slater_slack_by_hand() -> None:
    # One class: 1/4 <= x needs no SLI; prefill fairness with one class has no rows at all, while
    # a limit of 0 between two classes is an equation in disguise and leaves no room.
    network = instance("two-class")
    assert sli_hypotheses.slater_slack(planning_form(network)) > 0
    strict = planning_form(network, slis=(PrefillFairness(0),), decode_queue_allowed=True)
    assert sli_hypotheses.slater_slack(strict) == 0


def test_theorem_5_1_hypotheses_fail_where_the_plan_has_decode_queues() -> None:
    network = instance("two-class")
    backlogged = replace(plan(network), decode_queue=(Fraction(1), Fraction(0)))
    evidence = sli_hypotheses.hypotheses_evidence({"backlogged": backlogged})
    assert evidence.outcome is Outcome.REFUTED


def test_theorem_5_1_hypotheses_fail_where_every_penalised_optimum_has_decode_queues() -> None:
    network = instance("two-class")
    light, heavy = (
        penalised_plan(network, penalties=[DecodeFairnessPenalty(weight)]) for weight in (3.9, 4)
    )
    assert sli_hypotheses.hypotheses_evidence({"light": light}).outcome is Outcome.HOLDS
    assert sli_hypotheses.hypotheses_evidence({"heavy": heavy}).outcome is Outcome.REFUTED


@pytest.mark.parametrize("name", sli_penalties.PENALTIES)
def test_theorem_5_1_penalties_have_plans_of_their_own_that_use_both_pools(name: str) -> None:
    base, penalty = sli_penalties.PENALTIES[name]
    network, slis = instance("two-class"), sli_optimality.SPECIFICATIONS[base]
    penalised, without = (
        penalised_plan(network, slis=slis, penalties=chosen) for chosen in ((penalty,), ())
    )
    rate = exact_rates(network)
    occupancies = {stage: getattr(without, stage) for stage in OCCUPANCIES}
    charged = without.value - exact(penalty.weight) * penalty.measure(rate, occupancies)
    margin = max(sli_penalties.MARGIN.values())
    assert penalised.value - charged > 2 * margin * penalised.revenue
    lots = [SliAware(penalised).solo_probability(i) for i in range(2)]
    assert any(0.1 < lot < 0.9 for lot in lots)
    assert penalised.gap < penalised.revenue * sli_hypotheses.NEGLIGIBLE


@pytest.mark.parametrize("constant", ["largest", "steepness"])
def test_theorem_5_1_wrong_constants_of_a_penalty_are_found_out(
    constant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    p = penalised_plan(instance("two-class"), penalties=[DecodeFairnessPenalty(3)])
    assert sli_hypotheses.penalties_evidence({"right": p}).outcome is Outcome.HOLDS
    right = getattr(DecodeFairnessPenalty, constant)
    monkeypatch.setattr(DecodeFairnessPenalty, constant, lambda *args: right(*args) / 2)
    assert sli_hypotheses.penalties_evidence({"half": p}).outcome is Outcome.REFUTED


def estimate_at(prefill: list[list[int]], solo: list[list[int]], gpus: int) -> Estimate:
    """One replication that is sampled in the given states: per sample, one count per class."""
    network = instance("two-class")
    p = plan(network)
    times = [0.5 * (k + 1) for k in range(len(prefill))]
    estimate = simulate(
        network, SliAware(p), gpus=gpus, horizon=2, warmup=0.1, replications=2, seed=1, grid=times
    )
    states = np.zeros((1, len(prefill), len(COUNTS), 2))
    states[0, :, COUNTS.index("prefill")] = prefill
    states[0, :, COUNTS.index("solo_decode")] = solo
    return replace(estimate, trajectories=states / gpus)


def test_penalties_of_simulated_states_by_hand() -> None:
    # Ten GPUs, two samples. Prefills differ by 3/10 and 1/10: 0.2 on average. Solo decodes differ
    # by 20/10 one way and by 20/10 the other way: 2 on average, where the means do not differ.
    # 5 and 3 mixed GPUs: tau = 0.033272 and 1/gamma = 1/45.45, hence
    # (15 * 0.033272 * X + 16 / 45.45 * (1 - X)) / (16 - X) at X = 1/2 and 3/10.
    estimate = estimate_at([[1, 4], [2, 1]], [[40, 20], [20, 40]], gpus=10)
    network = instance("two-class")

    def charged(penalty: Penalty) -> float:
        return float(sli_penalties.replicated_penalties([penalty], network, estimate)[0])

    assert charged(PrefillFairnessPenalty(100)) == pytest.approx(20)
    assert charged(DecodeFairnessPenalty(5)) == pytest.approx(10)
    seconds = [(15 * 0.033272 * x + 16 / 45.45 * (1 - x)) / (16 - x) for x in (0.5, 0.3)]
    assert charged(TimePerOutputTokenPenalty(1_000)) == pytest.approx(500 * sum(seconds))
    both = [PrefillFairnessPenalty(100), DecodeFairnessPenalty(5)]
    assert sli_penalties.replicated_penalties(both, network, estimate) == pytest.approx([30])


def test_objective_gaps_charge_the_penalty_of_the_plan() -> None:
    # At the plan's own occupancies the penalties of states are the plan's, value = revenue - them.
    network = instance("two-class")
    p = penalised_plan(network, penalties=[DecodeFairnessPenalty(3)])
    estimate = simulate(
        network, SliAware(p), gpus=50, horizon=20, warmup=5, replications=4, seed=2, grid=[10, 15]
    )
    states = np.zeros_like(estimate.trajectories)
    for k, stage in enumerate(COUNTS):
        states[:, :, k] = [float(y) for y in getattr(p, stage)]
    rest = replace(estimate, trajectories=states)
    gaps = sli_penalties.objective_gaps(p, rest) * float(p.revenue)
    expected = revenue_gaps(p, rest) + float(p.revenue - p.value)
    assert gaps == pytest.approx(expected)


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
    larger = Design((400, 800, 3_200), (6, 6, 6), 120, 120, settled_from=400)
    monkeypatch.setattr(sli_penalties, "DESIGNS", {"quick": larger})
    monkeypatch.setattr(
        sli_penalties,
        "PENALTIES",
        {"penalised decode fairness": ("prefill fairness", DecodeFairnessPenalty(8))},
    )
    findings = sli_optimality.check("quick", lambda _: None)
    assert len(findings.evidence) == 1 + 3 + 4 + 3
    assert all(piece.outcome is not Outcome.REFUTED for piece in findings.evidence)
    for pieces in findings.controls.values():
        assert all(piece.outcome is Outcome.REFUTED for piece in pieces)
    for draw in findings.figures.values():
        draw()
    # The same simulations, charged for decodes in the wrong slots.
    (study,) = findings.data["penalised"].values()
    monkeypatch.setattr(DecodeFairnessPenalty, "stage", "mixed_decode")
    wrong = sli_penalties.PenalisedStudy.of(study.plan, study.estimates, larger.settled_from)
    evidence = sli_penalties.objective_evidence("wrong", wrong, "quick", sli_optimality.TESTS)
    assert evidence.outcome is Outcome.REFUTED


def test_proposition_13_5_control_is_refuted_on_a_smaller_design(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    design = Design((100, 200, 400), (4, 4, 4), 60, 60, settled_from=100)
    monkeypatch.setattr(general_sli_policy, "DESIGNS", {"azure-h100": {"quick": design}})
    findings = general_sli_policy.check("quick", lambda _: None)
    assert all(piece.outcome is not Outcome.REFUTED for piece in findings.evidence)
    for pieces in findings.controls.values():
        assert all(piece.outcome is Outcome.REFUTED for piece in pieces)
