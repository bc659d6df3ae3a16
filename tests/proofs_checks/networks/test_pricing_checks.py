"""The checks on pricing and SLIs pass, and their controls are refuted."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest

from kurtz.proofs_checks import Findings, Outcome
from kurtz.proofs_checks.networks import constant_price_ratio, price_of_slis, separate_concave
from kurtz.proofs_checks.networks.constant_price_ratio import (
    BUDGETS,
    even_network,
    fixed_demand,
    segments,
)
from kurtz.proofs_checks.networks.hardware_revenue import saturating_batch
from kurtz.proofs_checks.networks.separate_concave import disagreeing_network, value_alone
from kurtz.proofs_checks.networks.service_level_fronts import fronts_of
from kurtz.proofs_checks.networks.time_per_output_token_price import price_of_tpot, steepest_price
from kurtz.theory import InvalidInput, Prices, exact_rates, instance

CHECKS: dict[str, Callable[..., Findings]] = {
    "separate-concave": separate_concave.check,
    "price-of-slis": price_of_slis.check,
    "constant-price-ratio": constant_price_ratio.check,
}
HEATMAPS = ("batch slots and beta", "prices")
"""Figures of many hundreds of networks; the book draws them."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(separate_concave, "RANDOM_INSTANCES", {"quick": 16})
    monkeypatch.setattr(constant_price_ratio, "RANDOM_INSTANCES", {"quick": 1})
    monkeypatch.setattr(constant_price_ratio, "BUDGETS", BUDGETS[:2])
    monkeypatch.setattr(constant_price_ratio, "STEPS", 6)
    monkeypatch.setattr(price_of_slis, "NAMED_INSTANCES", ("two-class",))
    monkeypatch.setattr(price_of_slis, "RANDOM_POINTS", {"quick": 0})
    monkeypatch.setattr(price_of_slis, "RANDOM_NETWORKS", {"quick": 4})
    monkeypatch.setattr(price_of_slis, "BATCHES", {"quick": (1, 4, 16, 17, 18, 19, 64)})


@pytest.mark.parametrize("claim_id", CHECKS)
def test_evidence_holds_and_every_piece_of_a_control_is_refuted(claim_id: str) -> None:
    findings = CHECKS[claim_id]("quick", lambda doing: None)
    assert {piece.outcome for piece in findings.evidence} == {Outcome.HOLDS}
    assert findings.controls
    for pieces in findings.controls.values():
        assert {piece.outcome for piece in pieces} == {Outcome.REFUTED}
    for name, draw in findings.figures.items():
        if name not in HEATMAPS:
            assert draw().axes


def test_separate_and_bundled_pricing_rank_two_classes_in_opposite_orders() -> None:
    # The four values of the docstring of `disagreeing_network`, by hand.
    network = disagreeing_network()
    values = [value_alone(network, i, p) for i in (0, 1) for p in ("separate", "bundled")]
    assert values == [3, Fraction(12, 5), Fraction(5, 2), Fraction(5, 2)]


def test_revenue_on_a_segment_is_constant_only_where_both_ends_are_equal() -> None:
    for segment in segments(fixed_demand(even_network(), "bundled"), steps=3):
        assert len(set(segment.revenues)) == 1
    for segment in segments(fixed_demand(instance("two-class"), "bundled"), steps=3):
        assert segment.best_shares == (1,)


def test_revenue_is_convex_along_a_segment() -> None:
    for name in ("two-class", "azure-h100"):
        revenue = fixed_demand(instance(name), "bundled")
        low, middle, high = (revenue(Prices(*p)) for p in ((0.1, 0.2), (0.15, 0.15), (0.2, 0.1)))
        assert 2 * middle <= low + high


def test_the_price_of_tpot_stays_below_its_limit_at_solo_speed() -> None:
    # Two-class: 5898.85 B / ((B-1) (tau - 1/gamma)) per second.
    fronts = fronts_of(instance("two-class"))
    rate = exact_rates(instance("two-class"))
    profit = Fraction(230 * 256) / (300 * rate.mixed_time)
    spread = rate.mixed_time - rate.mixed_time / rate.kappa
    assert steepest_price(fronts) == profit * 16 / (15 * spread)
    assert price_of_tpot(fronts, spread / 1000)[1] < steepest_price(fronts)


def test_everybody_is_served_from_a_batch_of_17_on() -> None:
    # W + X = 16.63... + 6.65... + 0.2144 in mixed slots, over 0.2144 + 1.5122 * 0.7856.
    assert saturating_batch(instance("two-class")) == 17


def test_no_batch_serves_everybody_short_of_prefill() -> None:
    # 4 * 800 / 256 tau + 3 * 2500 / 256 tau = 41.8 tau mixed GPUs, tau = 0.0333 s: 1.39 > 1.
    with pytest.raises(InvalidInput, match=r"full-load prefill occupancy = 1\.39"):
        saturating_batch(instance("prefill-bound"))
