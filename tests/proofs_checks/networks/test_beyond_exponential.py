"""Traffic beyond the Markov model: its parts have the means they should, its tests can fail."""

from __future__ import annotations

import numpy as np
import pytest

from kurtz.fluid import plan
from kurtz.proofs_checks import Outcome
from kurtz.proofs_checks.networks.beyond_exponential import (
    in_whole_chunks,
    limit_evidence,
    planned_tokens,
    stays_evidence,
    with_exchanged_lengths,
)
from kurtz.proofs_checks.statistics import GapCurve
from kurtz.stochastic import replication_generator
from kurtz.stochastic.fleet import (
    Workload,
    azure_lengths,
    azure_network,
    independent_tenants,
    one_tenant,
)
from kurtz.theory import instance


def curve(limit: float, slope: float, error: float = 1e-4) -> GapCurve:
    gpus = np.array([100, 400, 1600])
    return GapCurve(gpus, limit + slope / np.sqrt(gpus), np.full(3, error), np.full(3, 8))


def test_a_gap_that_vanishes_holds_and_one_that_stays_is_refuted() -> None:
    assert limit_evidence("", curve(0.0, 0.4)).outcome is Outcome.HOLDS
    assert limit_evidence("", curve(0.05, 0.4)).outcome is Outcome.REFUTED
    assert limit_evidence("", curve(0.0, 0.4, 0.1)).outcome is Outcome.INCONCLUSIVE


def test_a_gap_stays_only_if_it_is_well_above_the_bound() -> None:
    noise = np.array([-1e-3, 0.0, 1e-3])
    assert stays_evidence("", 0.2 + noise).outcome is Outcome.HOLDS
    assert stays_evidence("", 0.02 + noise).outcome is Outcome.REFUTED
    assert stays_evidence("", 0.1 + noise).outcome is Outcome.INCONCLUSIVE


def test_trace_lengths_have_the_means_of_the_network() -> None:
    network = azure_network()
    classes = np.repeat(np.arange(4), 20_000)
    prompts, outputs = azure_lengths(network, classes, np.random.default_rng(1))
    for drawn, field in ((prompts, "prompt_tokens"), (outputs, "output_tokens")):
        groups = drawn.reshape(4, -1)
        errors = groups.std(axis=1) / np.sqrt(groups.shape[1])
        assert np.all(np.abs(groups.mean(axis=1) - network.per_class(field)) < 4.5 * errors)


@pytest.mark.parametrize("workload", [independent_tenants, one_tenant])
def test_an_hour_of_traffic_has_the_rates_of_the_network(workload: Workload) -> None:
    # The whole trace, from wherever it begins: the means are exact but for Poisson noise.
    network, gpus, hour = azure_network(), 28, 3_513.0
    requests = workload(network, gpus, hour, replication_generator(1, 0))
    came = np.bincount(requests.class_index) / hour
    # Ten tenants stand for 27.73 GPUs.
    expected = np.array(network.per_class("arrival_rate")) * gpus
    np.testing.assert_allclose(came, expected, rtol=0.05)


def test_bursts_of_one_tenant_do_not_average_out() -> None:
    network = azure_network()

    def dispersion(workload: Workload) -> float:
        requests = workload(network, 280, 1_200.0, replication_generator(2, 0))
        counts = np.bincount((requests.arrival // 60).astype(int), minlength=20)
        return float(counts.std() / counts.mean())

    assert dispersion(one_tenant) > 3 * dispersion(independent_tenants)


def test_chunks_that_are_not_full_stretch_short_prompts_most() -> None:
    network = instance("two-class")
    stretched = in_whole_chunks(network)
    ratios = [
        after / before
        for after, before in zip(
            stretched.per_class("prompt_tokens"), network.per_class("prompt_tokens"), strict=True
        )
    ]
    # Mean chunks of an exponential prompt of 300 tokens: 1 / (1 - e^(-256/300)) = 1.743, hence
    # (1.743 * 0.0174 + 0.0186) / 0.033272 * 256 / 300 = 1.255.
    assert ratios[0] == pytest.approx(1.255, abs=2e-3)
    assert 1 < ratios[1] < 1.1


def test_exchanged_lengths_change_the_plan_but_not_the_arrivals() -> None:
    network = azure_network()
    wrong = with_exchanged_lengths(network)
    assert wrong.per_class("arrival_rate") == network.per_class("arrival_rate")
    assert wrong.per_class("prompt_tokens") == network.per_class("prompt_tokens")[::-1]
    assert planned_tokens(plan(network)) > 1_000
