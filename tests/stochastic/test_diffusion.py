"""The diffusion limit of gate-and-route: its equations, its scheme, and its closed forms."""

from __future__ import annotations

import dataclasses
import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kurtz.fluid import Plan, plan
from kurtz.stochastic import erlang_a
from kurtz.stochastic.diffusion.diffusion_kernel import euler_step, gate
from kurtz.stochastic.diffusion.gap import controls, losses, predicted_gap
from kurtz.stochastic.diffusion.model import (
    NOISE_SOURCES,
    Diffusion,
    drift,
    gate_and_route_diffusion,
    prefill_occupancies,
)
from kurtz.stochastic.diffusion.windows import chain_windows, diffusion_windows
from kurtz.theory import InvalidInput, instance, rates

SIZES = (100, math.inf)
NETWORKS = ("small-one-class", "two-class", "azure-h100")


@cache
def planned(name: str) -> Plan:
    return plan(instance(name))


@cache
def diffusion_of(name: str, gpus: float = math.inf) -> Diffusion:
    return gate_and_route_diffusion(planned(name), gpus)


def any_requests(classes: int) -> st.SearchStrategy[np.ndarray]:
    return arrays.arrays(float, classes, elements=st.floats(-20, 20))


def state_like(diffusion: Diffusion, seed: int) -> np.ndarray:
    """A random state, with the infinite queues and the sums that every state has."""
    k = len(diffusion.classes)
    state = np.random.default_rng(seed).normal(size=3 * k + 1)
    state[:k] += diffusion.planned_queue
    for block in (slice(k, 2 * k), slice(2 * k, 3 * k)):
        state[block] += (diffusion.start[block].sum() - state[block].sum()) / k
    return state


@pytest.mark.parametrize("gpus", SIZES)
@settings(deadline=None, max_examples=30)
@given(requests=any_requests(4))
def test_gate_fills_the_slots_unless_requests_run_out(gpus: float, requests: np.ndarray) -> None:
    diffusion = diffusion_of("azure-h100", gpus)
    requests = requests + diffusion.planned_queue
    prefill = prefill_occupancies(diffusion, requests)
    assert prefill.sum() == pytest.approx(min(requests.sum(), diffusion.spare_slots), abs=1e-9)
    assert np.all(prefill <= requests + 1e-9)


@settings(deadline=None, max_examples=30)
@given(requests=any_requests(4))
def test_classes_that_wait_are_held_at_one_level_above_none(requests: np.ndarray) -> None:
    diffusion = diffusion_of("azure-h100", 100)
    prefill = prefill_occupancies(diffusion, requests)
    levels, waits = prefill / diffusion.targets, requests - prefill > 1e-9
    if waits.any():
        assert np.ptp(levels[waits]) < 1e-6
        assert np.all(levels <= levels[waits].max() + 1e-6)


@pytest.mark.parametrize("gpus", SIZES)
@settings(deadline=None, max_examples=30)
@given(requests=any_requests(4))
def test_kernel_gates_as_the_reference(gpus: float, requests: np.ndarray) -> None:
    diffusion = diffusion_of("azure-h100", gpus)
    requests = requests + diffusion.planned_queue
    prefill = np.empty(4)
    gate(requests, diffusion.targets, diffusion.spare_slots, prefill)
    np.testing.assert_allclose(prefill, prefill_occupancies(diffusion, requests), atol=1e-9)


@pytest.mark.parametrize("gpus", SIZES)
@pytest.mark.parametrize("name", NETWORKS)
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_kernel_steps_along_the_reference_drift(name: str, gpus: float, seed: int) -> None:
    diffusion = diffusion_of(name, gpus)
    state = state_like(diffusion, seed)
    expected = state + 0.01 * drift(diffusion, state)
    prefill = prefill_occupancies(diffusion, state[: len(diffusion.classes)])
    euler_step(state, prefill, 0.01, np.zeros(len(state)), diffusion.parameters)
    np.testing.assert_allclose(state, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_drift_and_noise_keep_the_slots_full(name: str, seed: int) -> None:
    # sum Y_s and sum V are constants: solo slots full, idle mixed slots all in N-.
    diffusion = diffusion_of(name, 100)
    k = len(diffusion.classes)
    speeds = drift(diffusion, state_like(diffusion, seed))
    for block in (slice(k, 2 * k), slice(2 * k, 3 * k)):
        assert speeds[block].sum() == pytest.approx(0, abs=1e-9)
        assert np.abs(diffusion.noise[block].sum(axis=0)).max() < 1e-9


@pytest.mark.parametrize("name", NETWORKS)
def test_noise_has_the_rates_of_the_poisson_processes(name: str) -> None:
    # In the plan: H of class i counts arrivals and its prefill completions or abandonments, twice
    # lambda_i in all; N counts all prefill and all decode completions, twice their total a.
    diffusion, p = diffusion_of(name), planned(name)
    k, covariance = len(diffusion.classes), diffusion.covariance
    arrivals = np.array(p.network.per_class("arrival_rate"))[list(diffusion.classes)]
    completions = diffusion.prefill_rates * diffusion.targets
    np.testing.assert_allclose(np.diag(covariance)[:k], 2 * arrivals)
    assert covariance[-1, -1] == pytest.approx(2 * completions.sum())
    np.testing.assert_allclose(covariance[-1, :k], -completions)


@pytest.mark.parametrize("name", NETWORKS)
def test_throughputs_of_full_slots_add_up_to_prefills(name: str) -> None:
    diffusion = diffusion_of(name)
    total = float(diffusion.prefill_rates @ diffusion.targets)
    assert diffusion.solo_throughput + diffusion.mixed_throughput == pytest.approx(total)


def test_one_class_has_the_constant_of_erlang_a() -> None:
    # N is an Ornstein-Uhlenbeck process of rate theta above 0 and mu_m below, of noise 2 a:
    # E N+ = sqrt(2 a / pi) theta^-1 / (theta^-1/2 + mu_m^-1/2), and the gap w theta E N+.
    p = planned("small-one-class")
    rate = rates(p.network)
    prefilled, patience, service = 10 / 27, rate.patience[0], rate.mixed_decode[0]
    queue = math.sqrt(2 * prefilled / math.pi) / patience / (patience**-0.5 + service**-0.5)
    predicted = predicted_gap(
        p, diffusion_of("small-one-class"), step=0.02, warmup=50, measured=200, windows=60, seed=5
    )
    exact = rate.weight[0] * patience * queue / float(p.value)
    assert abs(predicted.constant.mean - exact) < 4 * predicted.constant.standard_error
    assert predicted.constant.standard_error < 0.01 * exact
    # Erlang-A with 10^6 servers, at which the load is prefilled * 10^6 / (prefilled / service).
    law = erlang_a(service * 10**6, service, 10**6, patience)
    scaled = law.mean_queue / 10**3 * math.sqrt(prefilled / service)
    assert scaled == pytest.approx(queue, rel=1e-4)


def test_halving_the_step_matters_little_and_is_known_well() -> None:
    p = planned("two-class")
    predicted = predicted_gap(
        p, diffusion_of("two-class"), step=0.02, warmup=100, measured=200, windows=20, seed=5
    )
    assert abs(predicted.step_effect.mean) < 0.01 * predicted.constant.mean
    assert predicted.step_effect.standard_error < 0.1 * predicted.constant.standard_error


@pytest.mark.parametrize("name", ["two-class", "azure-h100"])
def test_controls_have_mean_zero_on_the_diffusion(name: str) -> None:
    diffusion = diffusion_of(name)
    fine, coarse = diffusion_windows(
        diffusion, step=0.015, warmup=100, measured=150, windows=20, seed=3
    )
    for windows in (fine, coarse):
        found = controls(diffusion, windows)
        errors = found.std(axis=0, ddof=1) / math.sqrt(len(found))
        assert np.all(np.abs(found.mean(axis=0)) < 5 * errors)


def test_controls_have_mean_zero_on_the_chain_and_reduce_variance() -> None:
    p, diffusion = planned("azure-h100"), diffusion_of("azure-h100", 100)
    windows = chain_windows(p, diffusion, gpus=100, warmup=100, measured=150, windows=20, seed=3)
    found = controls(diffusion, windows)
    errors = found.std(axis=0, ddof=1) / math.sqrt(len(found))
    assert np.all(np.abs(found.mean(axis=0)) < 5 * errors)
    predicted = predicted_gap(p, diffusion, step=0.02, warmup=50, measured=150, windows=30, seed=3)
    gaps = losses(p, diffusion, windows) - found @ predicted.coefficients
    assert windows.revenue is not None
    assert gaps.var() < windows.revenue.var() / 2


def test_losses_are_the_gap_of_every_balanced_point() -> None:
    # The chain's loss and its counted revenue estimate the same gap.
    p, diffusion = planned("two-class"), diffusion_of("two-class", 100)
    windows = chain_windows(p, diffusion, gpus=100, warmup=100, measured=600, windows=20, seed=4)
    assert windows.revenue is not None
    difference = losses(p, diffusion, windows) - windows.revenue
    assert abs(difference.mean()) < 5 * difference.std(ddof=1) / math.sqrt(20)


def test_leaving_out_a_source_of_noise_lowers_the_constant() -> None:
    p = planned("two-class")
    quiet = gate_and_route_diffusion(p, sources=NOISE_SOURCES[1:])
    run = {"step": 0.02, "warmup": 100.0, "measured": 200.0, "windows": 20, "seed": 5}
    all_noise, less = (predicted_gap(p, d, **run) for d in (diffusion_of("two-class"), quiet))
    assert less.constant.mean < 0.85 * all_noise.constant.mean


def test_windows_depend_on_seed_and_number_alone() -> None:
    run = {"step": 0.05, "warmup": 1.0, "measured": 5.0, "seed": 5}
    diffusion = diffusion_of("small-one-class")
    few, _ = diffusion_windows(diffusion, windows=2, **run)
    more, _ = diffusion_windows(diffusion, windows=4, **run)
    np.testing.assert_array_equal(few.decode_queue, more.decode_queue[:2])


def test_idle_decode_slots_in_the_plan_are_refused() -> None:
    with pytest.raises(InvalidInput, match="decode rows not tight"):
        gate_and_route_diffusion(planned("small-underloaded"))


def test_plan_for_separate_pricing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="pricing"):
        gate_and_route_diffusion(dataclasses.replace(planned("two-class"), pricing="separate"))


def test_patience_rate_zero_is_refused() -> None:
    p = planned("two-class")
    eager = dataclasses.replace(p.network.classes[0], patience_rate=0)
    network = dataclasses.replace(p.network, classes=(eager, p.network.classes[1]))
    with pytest.raises(InvalidInput, match="patience rate"):
        gate_and_route_diffusion(dataclasses.replace(p, network=network))


def test_bad_numbers_of_gpus_and_windows_are_refused() -> None:
    with pytest.raises(InvalidInput, match="gpus"):
        gate_and_route_diffusion(planned("two-class"), 0)
    with pytest.raises(InvalidInput, match="windows"):
        diffusion_windows(
            diffusion_of("two-class"), step=0.1, warmup=1, measured=1, windows=1, seed=1
        )
