"""The table of theorems against hypotheses: its proofs, its examples and its controls."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.fluid import knapsack_values, plan
from kurtz.fluid.dynamics import FluidState, trajectory
from kurtz.proofs_checks import Outcome
from kurtz.proofs_checks.networks.general_sli_policy import BackloggedTargets
from kurtz.proofs_checks.networks.hypotheses import check as hypotheses
from kurtz.proofs_checks.networks.hypotheses import (
    decode_proofs,
    failures,
    prefill_proofs,
    rounding,
    survivals,
)
from kurtz.proofs_checks.networks.hypotheses.equilibria import (
    FluidPoint,
    bundled_revenue,
    equilibrium,
    gated_prefill,
    is_steady,
    optimum_with_most,
    point_of,
    pooled_decode,
    prioritized_prefill,
)
from kurtz.proofs_checks.networks.hypotheses.figures import speed_ratio_study
from kurtz.proofs_checks.networks.hypotheses.instances import (
    backlogged,
    both_waiting,
    never_planned,
    one_class,
    patient_and_impatient,
    rarely_prefilling,
    rates_the_wrong_way_round,
    served_in_full,
    twins,
    valuable_and_filler,
)
from kurtz.proofs_checks.networks.hypotheses.table import (
    HYPOTHESES,
    OWN_HYPOTHESES,
    THEOREMS,
    Status,
)
from kurtz.proofs_checks.networks.hypotheses.weighted_pools import (
    _admitted,
    backlogged_optimum,
    weighted_pools_hold,
)
from kurtz.proofs_checks.verdict import Findings
from kurtz.theory import GateAndRoute, GeneralSliAware, InvalidInput, rates
from kurtz.theory.steady_state import OCCUPANCIES
from strategies import networks


@pytest.fixture(scope="module")
def findings() -> Findings:
    return hypotheses.check("quick", lambda _: None)


def test_every_entry_of_the_table_is_decided(findings: Findings) -> None:
    entries = findings.data["entries"]
    decided = [entry for entry in entries if entry.status.decided]
    assert [entry.evidence for entry in decided] == list(findings.evidence)
    for entry in entries:
        assert entry.theorem in THEOREMS
        assert entry.hypothesis in {**HYPOTHESES, **OWN_HYPOTHESES}
        assert entry.evidence.outcome is Outcome.HOLDS, entry
    cells = [(entry.theorem, entry.hypothesis) for entry in entries]
    assert len(set(cells)) == len(cells)
    assert {entry.theorem for entry in entries} == set(THEOREMS)
    assert {entry.hypothesis for entry in entries} == {*HYPOTHESES, *OWN_HYPOTHESES}
    assert {entry.status for entry in entries} == set(Status)


def test_every_control_is_refuted(findings: Findings) -> None:
    for name, pieces in findings.controls.items():
        assert pieces
        for piece in pieces:
            assert piece.outcome is Outcome.REFUTED, (name, piece)


def test_argued_entries_are_no_evidence_and_partial_ones_say_so(findings: Findings) -> None:
    left = [entry.status for entry in findings.data["entries"] if not entry.status.decided]
    assert left == [Status.ARGUED] * 3
    assert not any("words" in e.name for e in findings.evidence)
    assert sum("survives in part" in e.name for e in findings.evidence) == 3


def test_a_hypothesis_of_one_theorem_is_asked_of_it_alone(findings: Findings) -> None:
    for hypothesis in OWN_HYPOTHESES:
        asked = [e.theorem for e in findings.data["entries"] if e.hypothesis == hypothesis]
        assert len(asked) == 1, hypothesis


def test_figures_are_drawn(findings: Findings) -> None:
    for draw in findings.figures.values():
        assert draw().axes


@pytest.mark.parametrize(
    "derivation",
    [
        prefill_proofs.prefill_tracking,
        prefill_proofs.prefill_queue_limit,
        decode_proofs.decode_content_bounded,
        prefill_proofs.bounded_event_counts,
        prefill_proofs.prefill_below_target,
        decode_proofs.priority_attains_separate_value,
        decode_proofs.pool_with_a_class_in_balance,
        decode_proofs.waiting_fills_the_pools,
    ],
)
def test_short_proofs_hold_and_use_every_hypothesis(derivation: object) -> None:
    proof = derivation()  # type: ignore[operator]
    assert proof.failing_steps() == ()
    for name, _ in proof.hypotheses:
        if name != "the lowest level is below target":  # says where the bound is of interest
            assert proof.failing_steps(name), name


@settings(max_examples=10, deadline=None)
@given(
    network=networks(classes=(1, 3), meets_condition=True),
    start=st.lists(st.integers(0, 10), min_size=3, max_size=3),
    waiting=st.lists(st.integers(0, 3), min_size=3, max_size=3),
)
def test_the_gate_tracks_its_targets_exponentially_from_any_start(
    network: object, start: list[int], waiting: list[int]
) -> None:
    # |x_i(t) - x_i*| <= s exp(-t min mu_p); the trajectory is computed to its step's accuracy.
    p = plan(network)  # type: ignore[arg-type]
    share, classes = float(p.mixed_share), len(p.prefill)
    if share == 0:
        return
    scale = share / max(sum(start[:classes]), 10)
    slowest = min(rates(p.network).prefill)
    path = trajectory(
        p.network,
        GateAndRoute(p),
        horizon=4 / slowest,
        initial=FluidState(
            prefill=tuple(scale * k for k in start[:classes]),
            prefill_queue=tuple(map(float, waiting[:classes])),
        ),
        points=20,
    )
    deviation = np.abs(path.states[:, 1] - np.array([float(x) for x in p.prefill])).max(axis=1)
    assert np.all(deviation <= share * np.exp(-slowest * path.times) + 0.01 * share)


def test_theorem_4_1_survives_without_patience_on_a_trajectory() -> None:
    # theta = 0 and one decode waiting per GPU: the queue stays, every slot works, revenue is R*.
    p = plan(one_class())
    assert p.value == 500  # 5 requests/s of 100 prompt tokens at price 1
    path = trajectory(
        p.network,
        GateAndRoute(p),
        horizon=20,
        initial=FluidState(
            prefill=(0.5,), mixed_decode=(0.5,), solo_decode=(1.0,), decode_queue=(1.0,)
        ),
        points=20,
    )
    assert path.states[:, 2, 0] == pytest.approx(np.ones(21), abs=1e-9)
    # 3.333 completions per second and slot, 1.5 slots.
    assert path.states[:, 3:, 0].sum(axis=1) == pytest.approx(np.full(21, 1.5), abs=1e-9)


def test_theorem_4_1_fails_below_the_speed_ratio_on_a_trajectory() -> None:
    # R* = 0.6 * 1000 + 0.4 * 100. Gate-and-route decodes 5/23 of the 0.6 + 4 requests per second.
    network = valuable_and_filler(kappa=0.1)
    p = plan(network)
    assert p.value == 640
    assert bundled_revenue(network, p.prefill, p.mixed_share) == Fraction(5, 23) * 1000
    path = trajectory(network, GateAndRoute(p), horizon=60, points=6)
    expected = equilibrium(network, p.prefill, p.mixed_share)
    for stage, name in ((1, "prefill"), (2, "decode_queue"), (3, "mixed_decode")):
        values = [float(value) for value in getattr(expected, name)]
        assert path.states[-1, stage] == pytest.approx(values, abs=1e-6)


def test_lemma_10_1_fails_on_the_paper_s_instance() -> None:
    assert plan(served_in_full()).prefill_queue[1] == 0
    assert failures.prefill_exceeds_target_forever(served_in_full()).holds
    assert min(plan(both_waiting()).prefill_queue) > 0
    assert not failures.prefill_exceeds_target_forever(both_waiting()).holds


def test_lemma_10_1_holds_where_the_class_served_in_full_prefills_fastest() -> None:
    # mu_p = (10, 1/4): slots of the waiting class free too slowly at first, so the other queues.
    network = rates_the_wrong_way_round()
    p = plan(network)
    assert p.prefill == (Fraction(2, 5), Fraction(3, 5))
    assert p.prefill_queue[0] == 0
    assert p.prefill_queue[1] > 0
    path = trajectory(
        network,
        GateAndRoute(p),
        horizon=8,
        initial=FluidState(prefill=(0.2, 0.8), prefill_queue=(0, 50)),
        points=8,
    )
    assert path.states[4:, 1] == pytest.approx(np.tile([0.4, 0.6], (5, 1)), abs=1e-6)
    assert path.states[1, 0, 0] > 0.1
    assert not failures.prefill_exceeds_target_forever(network).holds


@pytest.mark.parametrize("patience_rate", [1, 0.001, 1e-6])
def test_the_program_s_value_does_not_depend_on_patience_until_it_is_gone(
    patience_rate: float,
) -> None:
    # Overload by a fifth: the value stays that of x = 1/2 until theta = 0 leaves no point at all.
    network = one_class(arrival_rate=6, patience_rate=patience_rate)
    assert plan(network).value == 500
    assert knapsack_values([network], exact=True)[0] == 500
    assert failures.program_has_no_point(one_class(arrival_rate=6)).holds


@given(networks(classes=(1, 4), meets_condition=True))
@settings(max_examples=20, deadline=None)
def test_the_plan_is_where_the_gate_stands(network: object) -> None:
    p = plan(network)  # type: ignore[arg-type]
    assert gated_prefill(p, p.mixed_share) == p.prefill
    assert is_steady(p.network, equilibrium(p.network, p.prefill, p.mixed_share), p.mixed_share)
    assert bundled_revenue(p.network, p.prefill, p.mixed_share) == p.value


@given(networks(classes=(1, 4)))
@settings(max_examples=20, deadline=None)
def test_theorem_4_2_holds_for_any_speed_ratio(network: object) -> None:
    assert survivals.priority_earns_optimum([network], "drawn").holds  # type: ignore[list-item]


def test_a_point_off_balance_is_not_steady() -> None:
    network = valuable_and_filler(kappa=1)
    p = plan(network)
    point = equilibrium(network, p.prefill, p.mixed_share)
    tenth = Fraction(1, 10)
    for name in ("prefill", "mixed_decode", "solo_decode", "prefill_queue", "decode_queue"):
        values = getattr(point, name)
        moved = replace(point, **{name: (values[0] + tenth, *values[1:])})
        assert not is_steady(network, moved, p.mixed_share)
    assert not is_steady(network, point, p.mixed_share + tenth)  # idle slots beside a queue


def test_order_of_arrival_tells_the_equilibrium_from_the_plan_and_from_mixtures() -> None:
    # All satisfy the flow balances and leave no slot idle; they differ in who abandons.
    network = valuable_and_filler(kappa=0.1)
    p = plan(network)
    rest, planned = equilibrium(network, p.prefill, p.mixed_share), point_of(p)
    assert is_steady(network, rest, p.mixed_share)
    for part in (Fraction(1), Fraction(1, 2), Fraction(1, 3), Fraction(1, 100)):
        mixture = FluidPoint(
            **{
                name: tuple(
                    part * a + (1 - part) * b
                    for a, b in zip(getattr(planned, name), getattr(rest, name), strict=True)
                )
                for name in OCCUPANCIES
            }
        )
        assert not is_steady(network, mixture, p.mixed_share)


def test_a_pool_that_prefers_a_class_is_not_one_buffer() -> None:
    # Twins, one mostly in the solo slots: the balances hold, the order of arrival does not.
    network = twins()
    point = equilibrium(network, (Fraction(1, 4), Fraction(1, 4)), Fraction(1, 2))
    apart = replace(
        point,
        mixed_decode=(Fraction(1, 2), Fraction(0)),
        solo_decode=(Fraction(1, 4), Fraction(3, 4)),
    )
    assert is_steady(network, point, Fraction(1, 2))
    assert not is_steady(network, apart, Fraction(1, 2))


def test_weighted_pools_rest_where_the_weights_say() -> None:
    # A pool of 2 slots, mu = (1, 1), inflow (1/2, 3), weights 1 : 1. The first never waits.
    assert _admitted(
        [Fraction(1, 2), Fraction(3)], [Fraction(1)] * 2, [Fraction(1)] * 2, Fraction(2)
    ) == [
        Fraction(1, 2),
        Fraction(3, 2),
    ]


def test_uniform_weights_miss_backlogged_targets() -> None:
    network = backlogged()
    target = backlogged_optimum(network)
    assert target.decode_queue == (1, Fraction(1, 4))
    assert weighted_pools_hold(network, target).holds
    assert not weighted_pools_hold(network, target, uniform=True).holds
    # The same targets twice are not two optima.
    assert not weighted_pools_hold(network, target, target).holds


def test_weighted_pools_go_to_backlogged_targets_on_a_trajectory() -> None:
    # p = 3/5 of mixed GPUs; decode queues of the two pools together.
    network = backlogged()
    target = backlogged_optimum(network)
    path = trajectory(network, GeneralSliAware(BackloggedTargets.of(network)), horizon=40, points=4)
    for stage, name in ((1, "prefill"), (3, "mixed_decode")):
        expected = [float(value) for value in getattr(target, name)]
        assert path.states[-1, stage] == pytest.approx(expected, abs=1e-3)


def test_equal_patience_is_required_where_decodes_wait() -> None:
    network = valuable_and_filler(kappa=0.1)
    mixed = replace(
        network, classes=(replace(network.classes[0], patience_rate=2), network.classes[1])
    )
    p = plan(mixed)
    with pytest.raises(InvalidInput, match="patience_rate"):
        bundled_revenue(mixed, p.prefill, p.mixed_share)


def test_gate_levels_occupancies_as_far_as_slots_and_arrivals_reach() -> None:
    # x* = (3/5, 4/55), of which the first is served in full: more slots go to the second.
    p = plan(valuable_and_filler(kappa=1))
    assert p.prefill == (Fraction(3, 5), Fraction(4, 55))
    assert gated_prefill(p, Fraction(9, 10)) == (Fraction(3, 5), Fraction(3, 10))
    half = p.mixed_share / 2
    assert gated_prefill(p, half) == tuple(x / 2 for x in p.prefill)
    assert gated_prefill(p, Fraction(5)) == (Fraction(3, 5), Fraction(2))  # all arrivals


def test_priority_fills_slots_in_order_of_outputs_per_prompt_token() -> None:
    # 30 of the 20 that the program allows: it must serve the patient class, the order need not.
    p = plan(patient_and_impatient(), "separate")
    assert p.value == 20
    assert prioritized_prefill(p, p.mixed_share) == (0, 1)
    assert failures.priority_misses_optimum(p.network).computed.startswith("30 ")


def test_two_optima_of_the_twins_and_their_pools() -> None:
    # p_s of one vertex with x* of the other: the mixed pool is asked for 5/4 and has 1/2 slots.
    first, second = (optimum_with_most(twins(), "prefill", sign) for sign in (1, -1))
    assert first.prefill == second.prefill[::-1] == (Fraction(2, 5), Fraction(1, 10))
    mixed, solo = pooled_decode(twins(), second, first.prefill, Fraction(1, 2))
    assert (sum(mixed), sum(solo)) == (Fraction(1, 2), Fraction(1, 4))


def test_dedicated_gpus_beat_the_bound_only_below_the_speed_ratio() -> None:
    # R* = (1/5 + 8/5 * 1/10) * 10; set aside, a GPU always decodes at the mixed speed.
    assert plan(rarely_prefilling()).value == Fraction(18, 5)
    assert failures.dedicated_gpus_earn_more(rarely_prefilling()).holds
    assert not failures.dedicated_gpus_earn_more(rarely_prefilling(kappa=0.5)).holds


def test_a_class_without_a_plan_served_first_costs_four_fifths() -> None:
    # x = (0, 2/3): 20/3 of decode work for 4/3 of capacity, 1000 * 2/3 * 1/5 against 1000 * 2/3.
    decision = survivals.gate_stands_at_plan(never_planned(), first_class=1)
    assert not decision.holds
    assert decision.computed.endswith("400/3")


def test_revenue_meets_the_bound_exactly_from_the_speed_ratio_on() -> None:
    study = speed_ratio_study((Fraction(2, 5), Fraction(1, 2), Fraction(3, 5)))
    gaps = [best - tracked for best, tracked in zip(study.best, study.tracked, strict=True)]
    assert gaps[0] > 0
    assert gaps[1:] == [0, 0]


def test_rounding_costs_a_constant_over_n_and_no_smaller_one() -> None:
    networks_ = [valuable_and_filler(kappa=1), never_planned()]
    assert rounding.rounding_vanishes(networks_, rounding.PREFILL).holds
    tight = replace(rounding.PREFILL, constant=lambda _: Fraction(1, 2))
    assert not rounding.rounding_vanishes(networks_, tight).holds


def test_rounding_up_costs_more_than_a_per_cent_on_the_paper_s_instance() -> None:
    # M = 107 against n sum x* = 106.61 at n = 500.
    p = plan(served_in_full())
    gaps = [
        1 - bundled_revenue(p.network, gated_prefill(p, share), share) / p.value
        for share in (Fraction(107, 500), Fraction(106, 500))
    ]
    assert [f"{float(gap):.3f}" for gap in gaps] == ["0.015", "0.006"]
