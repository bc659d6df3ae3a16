"""The comparison of policies decides as its numbers say, and its control is refuted."""

from __future__ import annotations

import numpy as np
import pytest

from kurtz.proofs_checks import Outcome
from kurtz.proofs_checks.networks import heuristics_suboptimal as heuristics
from kurtz.proofs_checks.networks.heuristics_suboptimal import (
    AGAIN,
    AHEAD,
    MARGIN,
    POLICIES,
    PROPOSED,
    Comparison,
    ComparisonDesign,
    behind_evidence,
    compare,
    lead_evidence,
    majority_evidence,
)
from kurtz.theory import exact_rates
from kurtz.theory.published_networks import DECODE_BOUND, published_networks
from kurtz.theory.steady_state import decode_buffer_condition


def comparison(lead: float, noise: float = 1e-4, networks: int = 40) -> Comparison:
    """Gate-and-route at 0.9, all others behind by ``lead``, with some noise."""
    numbers = tuple(range(0, 3 * networks, 3))
    generator = np.random.default_rng(1)
    shape = (networks, 2)
    revenue = {name: 0.9 - lead + noise * generator.standard_normal(shape) for name in POLICIES}
    revenue[AGAIN] = np.full(shape, 0.9)
    return Comparison(numbers, {**revenue, PROPOSED: np.full(shape, 0.9)})


def test_published_networks_are_many_the_same_and_meet_the_hypotheses() -> None:
    networks = published_networks()
    assert len(networks) == len(set(networks)) >= 100
    assert all(decode_buffer_condition(exact_rates(network)) for network in networks)
    assert all(min(network.per_class("patience_rate")) > 0 for network in networks)
    shortest = [min(network.per_class("output_tokens")) for network in networks]
    assert min(shortest[:DECODE_BOUND]) >= 200
    assert max(shortest[DECODE_BOUND:]) <= 150


@pytest.mark.parametrize(
    ("lead", "noise", "outcome"),
    [
        (2 * MARGIN, 1e-4, Outcome.HOLDS),
        (0.0, 1e-4, Outcome.REFUTED),
        (-0.05, 1e-4, Outcome.REFUTED),
        (MARGIN, 0.05, Outcome.INCONCLUSIVE),
    ],
)
def test_lead_is_decided_against_the_margin(lead: float, noise: float, outcome: Outcome) -> None:
    assert lead_evidence(comparison(lead, noise), "fi-wsp").outcome is outcome


@pytest.mark.parametrize(
    ("lead", "outcome"),
    [(-0.02, Outcome.HOLDS), (0.02, Outcome.REFUTED), (0, Outcome.INCONCLUSIVE)],
)
def test_gi_wsp_must_earn_more_where_decode_capacity_binds(lead: float, outcome: Outcome) -> None:
    assert behind_evidence(comparison(lead, 1e-3)).outcome is outcome


def test_majority_needs_more_than_half_of_the_networks() -> None:
    assert majority_evidence(comparison(0.02), "fi-wsp").outcome is Outcome.HOLDS
    assert majority_evidence(comparison(-0.02), "fi-wsp").outcome is Outcome.REFUTED
    assert majority_evidence(comparison(0.0), "fi-wsp").outcome is Outcome.INCONCLUSIVE


def test_a_small_comparison_runs_and_the_policy_is_not_ahead_of_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heuristics, "GPUS", 20)
    design = ComparisonDesign((85, 88), replications=2, warmup=0.5, measured=0.5)
    seen: list[str] = []
    small = compare(design, 3, seen.append)
    assert len(seen) == 2
    assert set(small.revenue) == {*POLICIES, AGAIN}
    assert all(np.all(values >= 0) for values in small.revenue.values())
    assert np.all(small.revenue[AHEAD] > 0.3)
    assert abs(small.lead(AGAIN).mean()) < 0.1
    np.testing.assert_array_equal(
        compare(design, 3, seen.append).lead("fi-wsp"), small.lead("fi-wsp")
    )
