"""Traffic of the Azure traces of 2023 for the classes of azure-h100: real lengths, real arrivals.

Lengths are those of requests of the trace, prompt and output together; arrivals follow the hour of
the trace second by second, spread over n GPUs in either of two ways:

* *independent tenants*: each 2.773 GPUs, over which azure-h100 spreads the trace, serve a tenant
  whose requests are those of the trace, begun at a second of its own: bursts of different tenants
  have nothing to do with each other;
* *one tenant*: all GPUs serve one tenant, n / 2.773 times as large, whose arrivals are Poisson at
  the rate of the second: bursts come to all GPUs at once.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...theory import ServingNetwork, instance
from ..data import table
from .requests import Requests, requests_at

GPUS_PER_TRACE = 2.773
"""Over so many GPUs azure-h100 spreads the arrivals of the trace."""


def azure_network() -> ServingNetwork:
    """The network azure-h100 with the mean lengths and arrival rates of the tables used here."""
    network = instance("azure-h100")
    means = _lengths().mean(axis=1)
    rates = _arrivals().mean(axis=0) / GPUS_PER_TRACE
    return replace(
        network,
        classes=tuple(
            replace(
                each,
                prompt_tokens=float(means[i, 0]),
                output_tokens=float(means[i, 1]),
                arrival_rate=float(f"{rates[i]:.5g}"),
            )
            for i, each in enumerate(network.classes)
        ),
    )


def azure_lengths(
    network: ServingNetwork,  # noqa: ARG001
    class_index: NDArray[np.int64],
    generator: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lengths of requests of the trace, drawn from those of the class."""
    lengths = _lengths()
    drawn = lengths[class_index, generator.integers(lengths.shape[1], size=len(class_index))]
    return drawn[:, 0], drawn[:, 1]


def independent_tenants(
    network: ServingNetwork, gpus: int, horizon: float, generator: np.random.Generator
) -> Requests:
    """Requests of independent tenants, each with the trace's arrivals from a second of its own."""
    arrivals = _arrivals()
    tenants = max(1, round(gpus / GPUS_PER_TRACE))
    begun = np.bincount(generator.integers(len(arrivals), size=tenants), minlength=len(arrivals))
    seconds = int(np.ceil(horizon))
    wrapped = np.take(arrivals, np.arange(len(arrivals) + seconds) % len(arrivals), axis=0)
    counts = np.zeros((seconds, arrivals.shape[1]), dtype=np.int64)
    for start in np.flatnonzero(begun):
        counts += begun[start] * wrapped[start : start + seconds]
    return _spread(network, counts, horizon, generator)


def one_tenant(
    network: ServingNetwork, gpus: int, horizon: float, generator: np.random.Generator
) -> Requests:
    """Poisson requests at the trace's rates from its first second on, again and again."""
    arrivals = _arrivals()
    seconds = np.arange(int(np.ceil(horizon))) % len(arrivals)
    counts = generator.poisson(arrivals[seconds] * gpus / GPUS_PER_TRACE)
    return _spread(network, counts, horizon, generator)


def _spread(
    network: ServingNetwork,
    counts: NDArray[np.int64],
    horizon: float,
    generator: np.random.Generator,
) -> Requests:
    """Requests at uniform times within their seconds."""
    seconds, classes = np.indices(counts.shape)
    class_index = np.repeat(classes.ravel(), counts.ravel())
    times = np.repeat(seconds.ravel(), counts.ravel()) + generator.random(len(class_index))
    order = np.argsort(times)
    kept = order[times[order] <= horizon]
    return requests_at(network, times[kept], class_index[kept], generator, azure_lengths)


@lru_cache(maxsize=1)
def _lengths() -> NDArray[np.float64]:
    """Shape (classes, requests, 2): prompt and output tokens."""
    lengths = table("azure_class_lengths")
    columns = lengths[["prompt_tokens", "output_tokens"]].to_numpy(dtype=np.float64)
    return columns.reshape(lengths["class"].nunique(), -1, 2)


@lru_cache(maxsize=1)
def _arrivals() -> NDArray[np.int64]:
    """Shape (seconds, classes): arrivals in every second."""
    return np.asarray(table("azure_class_arrivals").to_numpy(dtype=np.int64))
