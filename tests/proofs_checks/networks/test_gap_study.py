"""Gaps per replication: two estimators of one mean, and what the control variates take away."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kurtz.fluid import plan
from kurtz.proofs_checks.networks.gap_study import counted_gaps, expected_revenue, relative_gaps
from kurtz.stochastic import simulate, stationary_law
from kurtz.theory import GateAndRoute, Policy, PrioritizeAndRoute, instance


@pytest.mark.parametrize(
    ("name", "pricing", "policy"),
    [
        ("two-class", "bundled", GateAndRoute),
        ("two-class", "separate", PrioritizeAndRoute),
        ("prefill-bound", "separate", PrioritizeAndRoute),
    ],
)
def test_counted_and_expected_revenue_have_one_mean_even_from_an_empty_start(
    name: str, pricing: str, policy: type[Policy]
) -> None:
    p = plan(instance(name), pricing)
    estimate = simulate(
        p.network, policy(p), gpus=50, horizon=120, warmup=0, replications=32, seed=6
    )
    difference = counted_gaps(p, estimate) - relative_gaps(p, estimate)
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    assert abs(difference.mean()) < stats.t.ppf(1 - 0.0005, len(difference) - 1) * error


def test_where_prefill_binds_the_luck_of_services_is_nearly_all_there_is() -> None:
    p = plan(instance("prefill-bound"), "separate")
    estimate = simulate(
        p.network, PrioritizeAndRoute(p), gpus=100, horizon=120, warmup=60, replications=16, seed=7
    )
    assert relative_gaps(p, estimate).var() < counted_gaps(p, estimate).var() / 50


def test_the_exact_occupancies_earn_the_exact_revenue() -> None:
    p = plan(instance("small-two-class"))
    law = stationary_law(p.network, GateAndRoute(p), gpus=1)
    estimate = simulate(
        p.network, GateAndRoute(p), gpus=1, horizon=10_000, warmup=100, replications=16, seed=8
    )
    revenue = expected_revenue(p, estimate)
    error = revenue.std(ddof=1) / np.sqrt(len(revenue))
    assert abs(revenue.mean() - law.revenue_rate) < stats.t.ppf(1 - 0.0005, 15) * error
