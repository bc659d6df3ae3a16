"""Slot filling against gate-and-route: the losses, the tests, and that their controls trip."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from kurtz.fluid import Plan, plan
from kurtz.proofs_checks import Outcome
from kurtz.proofs_checks.networks.finite_n_fluid import standstill, standstill_evidence
from kurtz.proofs_checks.networks.finite_n_limit import (
    limits_evidence,
    occupancy_evidence,
    rates_evidence,
    sizes_evidence,
)
from kurtz.proofs_checks.networks.finite_n_policy import (
    halved_evidence,
    improved,
    revenue_evidence,
    with_open_gate,
)
from kurtz.proofs_checks.networks.finite_n_small_systems import (
    SmallSystem,
    exact_laws_evidence,
    small_systems_evidence,
)
from kurtz.proofs_checks.networks.finite_n_study import (
    LOSSES,
    Duration,
    PairedLosses,
    loss_shares,
    paired_losses,
)
from kurtz.proofs_checks.networks.instances import NAMED_INSTANCES
from kurtz.stochastic import stationary_law
from kurtz.stochastic.exact_shared_chain import shared_stationary_law
from kurtz.theory import GateAndRoute, instance
from kurtz.theory.derivations import slot_filling
from kurtz.theory.policies.finite_size import SlotFilling
from kurtz.theory.steady_state import OCCUPANCIES


@pytest.fixture(scope="module")
def small() -> Plan:
    return plan(instance("small-one-class"))


def study(p: Plan, first: float, second: float, noise: float, gpus: int = 100) -> PairedLosses:
    """Made-up gaps with a little noise, all of it in the first kind of loss."""
    generator = np.random.default_rng([gpus, int(1e6 * abs(second))])
    losses = np.zeros((6, 2, len(LOSSES)))
    losses[:, :, 0] = (first, second)
    losses[:, :, 0] *= 1 + noise * generator.standard_normal((6, 2))
    prefill = np.tile([float(x) for x in p.prefill], (6, 2, 1))
    prefill += 1e-4 * generator.standard_normal(prefill.shape)
    return PairedLosses(p, gpus, losses, 1 - losses.sum(axis=2), prefill)


def test_a_plan_that_is_met_loses_nothing(small: Plan) -> None:
    losses = loss_shares(small, {k: [float(v) for v in getattr(small, k)] for k in OCCUPANCIES})
    assert np.abs(losses).max() < 1e-15


@pytest.mark.parametrize("name", ["small-one-class", "small-two-class", "small-underloaded"])
def test_losses_add_up_to_the_gap_of_exact_laws(name: str) -> None:
    p = plan(instance(name))
    static = stationary_law(p.network, GateAndRoute(p), 1)
    shared = shared_stationary_law(p.network, SlotFilling(p), 1, tolerance=1e-9)
    for law in (static, shared):
        gap = 1 - law.revenue_rate / float(p.value)
        assert loss_shares(p, law.occupancies).sum() == pytest.approx(gap, abs=1e-7)
    assert loss_shares(p, shared.occupancies).min() >= -1e-15


def test_halved_gaps_hold_on_enough_networks(small: Plan) -> None:
    studies = [study(small, 0.02, 0.002, 0.1)] * 19 + [study(small, 0.02, 0.02, 0.1)]
    assert halved_evidence(studies, "a policy", "full").outcome is Outcome.HOLDS


def test_a_policy_against_itself_is_refuted(small: Plan) -> None:
    studies = [study(small, 0.02, 0.002, 0.1).first_against_itself()] * 20
    assert halved_evidence(studies, "a policy", "full").outcome is Outcome.REFUTED
    assert halved_evidence(studies, "a policy", "quick").outcome is Outcome.REFUTED


def test_noise_decides_nothing(small: Plan) -> None:
    studies = [study(small, 0.02, 0.01, 2.0, gpus) for gpus in range(100, 110)]
    assert halved_evidence(studies, "a policy", "full").outcome is Outcome.INCONCLUSIVE


def test_half_good_networks_do_not_make_four_fifths(small: Plan) -> None:
    studies = [study(small, 0.02, 0.002, 0.1), study(small, 0.02, 0.02, 0.1)] * 20
    assert halved_evidence(studies, "a policy", "full").outcome is Outcome.REFUTED


def test_revenue_above_the_bound_is_refuted(small: Plan) -> None:
    below, above = study(small, 0.02, 0.002, 0.1), study(small, 0.02, -0.01, 0.1)
    assert revenue_evidence([below] * 9 + [above]).outcome is Outcome.HOLDS
    assert revenue_evidence([below] * 5 + [above] * 5).outcome is Outcome.REFUTED


def sizes(exponent: float) -> list[PairedLosses]:
    plans = [plan(instance(name)) for name in NAMED_INSTANCES]
    return [
        study(p, 0.2 * gpus**-0.5, 0.05 * float(gpus) ** exponent, 0.05, gpus)
        for gpus in (25, 100, 400)
        for p in plans
    ]


def test_a_gap_of_order_1_over_n_falls_faster_than_the_root() -> None:
    fast, slow = sizes(-1.0), sizes(-0.25)
    assert rates_evidence(fast).outcome is Outcome.HOLDS
    assert rates_evidence(slow).outcome is Outcome.REFUTED
    assert sizes_evidence(fast).outcome is Outcome.HOLDS
    assert sizes_evidence(slow).outcome is Outcome.REFUTED
    assert occupancy_evidence(fast).outcome is Outcome.HOLDS


def test_slot_filling_beats_every_static_layout_on_a_small_system(small: Plan) -> None:
    # Both optima were bracketed by `optimal_control`: 9.3386 and 12.5953 at most.
    law = shared_stationary_law(small.network, SlotFilling(small), 2)
    gate_and_route = stationary_law(small.network, GateAndRoute(small), 2).revenue_rate
    systems = [SmallSystem("small-one-class", 2, small, law, gate_and_route, 9.3387, 12.5954)]
    assert exact_laws_evidence(systems).outcome is Outcome.HOLDS
    assert small_systems_evidence(systems, "slot-filling").outcome is Outcome.HOLDS
    assert small_systems_evidence(systems, "gate-and-route").outcome is Outcome.REFUTED


def test_pairs_see_the_same_requests_whatever_runs_beside_them(small: Plan) -> None:
    duration = Duration(2, 5.0, 20.0)
    (both,) = paired_losses([small], improved, 10, duration, seed=1)
    (same,) = paired_losses([small], lambda p: (GateAndRoute(p),) * 2, 10, duration, seed=1)
    assert np.array_equal(both.losses[:, 0], same.losses[:, 0])
    assert both.mean_gaps[1] < both.mean_gaps[0]


def test_the_limit_of_a_gap_of_order_1_over_n_is_zero_and_of_a_constant_one_is_not() -> None:
    assert limits_evidence(sizes(-1.0), "a policy", 0.001).outcome is Outcome.HOLDS
    assert limits_evidence(sizes(0.0), "a policy", 0.001).outcome is Outcome.REFUTED
    assert limits_evidence(sizes(-0.25), "a policy", 0.0098).outcome is Outcome.INCONCLUSIVE


def test_a_gate_that_never_closes_leaves_a_gap_in_the_limit() -> None:
    p = plan(instance("azure-h100"))
    duration = Duration(4, 4.0, 2.0)
    studies = [
        s for gpus in (50, 150) for s in paired_losses([p], with_open_gate, gpus, duration, seed=3)
    ]
    assert limits_evidence(studies, "open gate", 0.001).outcome is Outcome.REFUTED
    for both in studies:
        assert both.mean_gaps[0] < 0.4 * both.mean_gaps[1]


def test_the_fluid_of_slot_filling_stands_still_at_the_plan() -> None:
    plans = [plan(instance(name)) for name in (*NAMED_INSTANCES, "prefill-bound")]
    assert standstill_evidence(plans).outcome is Outcome.HOLDS
    assert standstill_evidence(plans, reverse=True).outcome is Outcome.REFUTED
    # B = 2, kappa = 6/5, a = C D / P = 4: 4 x = x + 12/5 (1 - x), that is x = 4/9.
    (x,) = standstill(plan(instance("small-one-class"))).prefill
    assert x == Fraction(4, 9)


def test_the_derivation_of_slot_filling_needs_the_speed_condition() -> None:
    derivation = slot_filling.derivation()
    assert derivation.failing_steps() == ()
    assert len(derivation.failing_steps(without=slot_filling.CONDITION)) == 2
