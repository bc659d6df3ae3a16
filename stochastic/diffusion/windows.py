r"""Windows: stretches of the diffusion and of the chain, averaged into the same quantities.

The diffusion runs by Euler's scheme, the chain by the kernel; both give deviations from the plan at
scale sqrt(n), and the mean of their generator applied to products :math:`z_j z_k` of the requests
:math:`H_i` of the classes that the plan never keeps waiting and of the excess N,

.. math:: G(z_j z_k) = z_j b_k + z_k b_j + c_{jk},

with drifts b and covariances c per second, known in every state whatever the gate and the router
do. `diffusion_gap` makes the gap and its controls of them.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...fluid import Plan
from ...theory.errors import require_integer, require_number
from ...theory.policies import GateAndRoute
from ..chain import (
    ARRIVAL,
    DECODE_QUEUE,
    MIXED_COMPLETION,
    MIXED_DECODE,
    PREFILL,
    PREFILL_QUEUE,
    SOLO_COMPLETION,
    SOLO_DECODE,
    Chain,
    Run,
    build_chain,
    replication_generator,
)
from ..kernel import run_kernel
from .diffusion_kernel import euler_path
from .model import Diffusion, Floats, drift

SAMPLES_PER_SECOND = 4
"""States per second that enter the products: enough for what decays over seconds."""


@dataclass(frozen=True)
class Windows:
    """Stretches of one process, at scale sqrt(n); the first axis counts the windows.

    Attributes
    ----------
    prefill, prefill_queue, decode_queue
        Shape (windows, classes): mean deviations from the plan per admitted class; queues that
        the plan keeps are left out (0), they cost nothing.
    mixed_decode, solo_decode
        Shape (windows,): mean deviation of the busy slots from the plan.
    products
        Shape (windows, products): mean of the generator applied to the products.
    revenue
        Shape (windows,): scaled gap by counted revenue; None for the diffusion, which counts none.
    """

    prefill: Floats
    prefill_queue: Floats
    decode_queue: Floats
    mixed_decode: Floats
    solo_decode: Floats
    products: Floats
    revenue: Floats | None = None


def diffusion_windows(
    diffusion: Diffusion, *, step: float, warmup: float, measured: float, windows: int, seed: int
) -> tuple[Windows, Windows]:
    """Independent windows of the Euler scheme with steps ``step`` and ``2 * step`` (seconds).

    Both start at the equilibrium and are measured for ``measured`` seconds after the warm-up.
    The products are those of the scheme, b_j b_k times the step included: their mean is zero
    whatever the step.
    """
    require_number("step", step, "seconds", above=0)
    require_number("measured", measured, "seconds", above=0)
    require_integer("windows", windows, "a standard error needs two", at_least=2)
    k = len(diffusion.classes)
    steps, every = round(measured / (2 * step)), max(1, round(1 / (2 * step * SAMPLES_PER_SECOND)))
    used = [*diffusion.never_waiting.tolist(), 3 * k]
    covariance = diffusion.covariance[np.ix_(used, used)]

    def window(index: int) -> tuple[Floats, Floats]:
        means = np.zeros((2, 2 * k + 2))
        samples = np.zeros((2, -(-steps // every), 3 * k + 1))
        euler_path(
            replication_generator(seed, index),
            diffusion.noise,
            diffusion.spare_slots,
            diffusion.parameters,
            diffusion.start,
            step,
            round(warmup / (2 * step)),
            steps,
            every,
            means,
            samples,
        )
        speeds = drift(diffusion, samples)[..., used]
        products = [
            _products(
                samples[scheme][:, used],
                speeds[scheme],
                covariance + width * speeds[scheme][:, :, None] * speeds[scheme][:, None, :],
            )
            for scheme, width in enumerate((step, 2 * step))
        ]
        return means, np.array(products)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(window, range(windows)))
    means, products = (np.array(part) for part in zip(*found, strict=True))
    fine, coarse = (
        Windows(
            prefill=means[:, scheme, :k],
            prefill_queue=np.where(diffusion.planned_queue > 0, 0.0, means[:, scheme, k : 2 * k]),
            decode_queue=means[:, scheme, [2 * k]] * diffusion.mix,
            mixed_decode=(diffusion.batch - 1) * diffusion.spare_slots
            - means[:, scheme, 2 * k + 1],
            solo_decode=np.full(windows, -diffusion.batch * diffusion.spare_slots),
            products=products[:, scheme],
        )
        for scheme in range(2)
    )
    return fine, coarse


def chain_windows(
    plan: Plan,
    diffusion: Diffusion,
    *,
    gpus: int,
    warmup: float,
    measured: float,
    windows: int,
    seed: int,
) -> Windows:
    """Independent windows of the chain of ``gpus`` GPUs under gate-and-route, started empty."""
    chain = build_chain(plan.network, GateAndRoute(plan), gpus)
    grid = warmup + np.arange(0, measured, 1 / SAMPLES_PER_SECOND)

    def window(index: int) -> Run:
        generator = replication_generator(seed, index)
        return run_kernel(chain, generator, warmup, warmup + measured, grid, 0)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = list(pool.map(window, range(windows)))
    admitted, root = list(diffusion.classes), math.sqrt(gpus)
    planned = np.array(
        [
            [float(value) for value in block]
            for block in (
                plan.prefill_queue,
                plan.prefill,
                plan.decode_queue,
                plan.mixed_decode,
                plan.solo_decode,
            )
        ]
    )
    means = np.array([run.areas for run in runs]) / (measured * gpus)
    deviations = root * (means - planned)[:, :, admitted]
    completed = np.array([run.completed[[SOLO_COMPLETION, MIXED_COMPLETION]] for run in runs])
    revenue = completed.sum(axis=1) @ chain.weights / (measured * gpus)
    return Windows(
        prefill=deviations[:, PREFILL],
        prefill_queue=np.where(diffusion.planned_queue > 0, 0.0, deviations[:, PREFILL_QUEUE]),
        decode_queue=deviations[:, DECODE_QUEUE],
        mixed_decode=deviations[:, MIXED_DECODE].sum(axis=1),
        solo_decode=deviations[:, SOLO_DECODE].sum(axis=1),
        products=np.array(
            [_chain_products(diffusion, run.grid_counts[:, :, admitted], chain) for run in runs]
        ),
        revenue=root * (1 - revenue / float(plan.value)),
    )


def _chain_products(diffusion: Diffusion, counts: NDArray[np.int64], chain: Chain) -> Floats:
    """The generator of the chain applied to the products, mean over ``counts`` (points, 5, I)."""
    d, root = diffusion, math.sqrt(chain.gpus)
    used = d.never_waiting
    waiting, prefill, buffered = (
        counts[:, stage] for stage in (PREFILL_QUEUE, PREFILL, DECODE_QUEUE)
    )
    arrivals = chain.unit_rates[ARRIVAL, list(d.classes)]
    prefilled, given_up = d.prefill_rates * prefill, d.patience_rates * waiting
    entering = prefilled.sum(axis=1)
    leaving = (
        counts[:, MIXED_DECODE] @ d.mixed_rates
        + counts[:, SOLO_DECODE] @ d.solo_rates
        + buffered @ d.patience_rates
    )
    slots = chain.mixed_slots + chain.solo_slots
    excess = counts[:, [DECODE_QUEUE, MIXED_DECODE, SOLO_DECODE]].sum(axis=(1, 2)) - slots
    requests = (waiting + prefill) - chain.gpus * d.targets
    state = np.column_stack([requests[:, used], excess]) / root
    net = arrivals - prefilled - given_up
    drifts = np.column_stack([net[:, used], entering - leaving]) / root
    size = len(used) + 1
    covariance = np.zeros((len(counts), size, size))
    diagonal = np.arange(size - 1)
    covariance[:, diagonal, diagonal] = (arrivals + prefilled + given_up)[:, used]
    covariance[:, -1, :-1] = covariance[:, :-1, -1] = -prefilled[:, used]
    covariance[:, -1, -1] = entering + leaving
    return _products(state, drifts, covariance / chain.gpus)


def _products(state: Floats, drifts: Floats, covariance: Floats) -> Floats:
    """Mean of z_j b_k + z_k b_j + c_jk over the points of a path, for j <= k."""
    outer = state[:, :, None] * drifts[:, None, :]
    generated = outer + outer.swapaxes(1, 2) + covariance
    rows, columns = np.triu_indices(state.shape[1])
    return np.asarray(generated[:, rows, columns].mean(axis=0))
