"""Comparison of simulated means with an exact stationary law."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kurtz.stochastic import COUNTS, EVENTS, StationaryLaw, simulate

LEVEL = 0.999


def outside(
    law: StationaryLaw,
    network: Any,
    policy: Any,
    seed: int,
    *,
    horizon: float = 50_000.0,
    negligible: float = 1e-8,
) -> list[str]:
    """Names of the quantities whose simultaneous 99.9 % intervals miss the exact value.

    What a truncation loss of 1e-9 may move in a number of order one is ``negligible``.
    """
    quantities = 2 + (len(COUNTS) + len(EVENTS)) * len(network.classes)
    estimate = simulate(
        network,
        policy,
        gpus=law.gpus,
        horizon=horizon,
        warmup=100.0,
        replications=40,
        seed=seed,
        level=1 - (1 - LEVEL) / quantities,  # Bonferroni
    )

    def pairs() -> Iterator[tuple[str, Any, float]]:
        yield "revenue", estimate.revenue_rate, law.revenue_rate
        yield "separate revenue", estimate.separate_revenue_rate, law.separate_revenue_rate
        for measured, exact in (
            (estimate.occupancies, law.occupancies),
            (estimate.event_rates, law.event_rates),
        ):
            for name, values in exact.items():
                for i, value in enumerate(values):
                    yield f"{name}[{i}]", measured[name][i], value

    listed = list(pairs())
    assert len(listed) == quantities
    return [
        name
        for name, measured, value in listed
        if not measured.ci[0] - negligible <= value <= measured.ci[1] + negligible
    ]
