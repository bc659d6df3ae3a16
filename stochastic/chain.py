"""The Markov chain of a serving network under a policy: what it consists of.

Source: arXiv 2602.02987 v1, Sections 2.3 and 4.1. The state counts, per class, the requests
waiting for prefill, in prefill, waiting for decode, and decoding in mixed and solo slots. M mixed
GPUs hold M prefill slots and M (B-1) decode slots, which always run at the mixed speed, as in the
paper's proofs (none if prefill and decode are disaggregated); the other n - M GPUs hold (n - M) B
solo slots. Requests that wait, for prefill or for decode, abandon at their class's patience rate:
who leaves is uniform among the class's waiting requests.

The policy's routing decides where requests wait for decode (the counts do not tell): in one buffer
across classes, or in the buffers of two pools, the solo and the mixed slots (Sections 5.1, 13).

`reference` steps through this chain readably, `kernel` quickly; both read the parameters from
`Chain` and use the vocabulary below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..theory.errors import InvalidInput, require_integer
from ..theory.network import ServingNetwork
from ..theory.policies import Layout, Policy, Routing
from ..theory.rates import rates

EVENTS = (
    "arrival",
    "prefill_completion",
    "solo_completion",
    "mixed_completion",
    "prefill_abandonment",
    "decode_abandonment",
)
"""Kinds of event; event ``kind * classes + class`` is an index into the chain's rates."""

ARRIVAL, PREFILL_COMPLETION, SOLO_COMPLETION, MIXED_COMPLETION = 0, 1, 2, 3
PREFILL_ABANDONMENT, DECODE_ABANDONMENT = 4, 5

COUNTS = ("prefill_queue", "prefill", "decode_queue", "mixed_decode", "solo_decode")
"""Blocks of the state vector: requests per class in each stage."""

PREFILL_QUEUE, PREFILL, DECODE_QUEUE, MIXED_DECODE, SOLO_DECODE = 0, 1, 2, 3, 4

COUNTED_BY = (-1, PREFILL, SOLO_DECODE, MIXED_DECODE, PREFILL_QUEUE, DECODE_QUEUE)
"""For each kind of event, the count its rate is proportional to (arrivals have none)."""

SOLO_POOL, MIXED_POOL = 0, 1
"""Decode buffers, in order; a router without pools has the first alone."""

MAX_GAPS = 8
"""A waiting line is closed up once its gaps outnumber its requests by more than this."""


@dataclass(frozen=True)
class Chain:
    """Parameters of the chain: numbers only, ready for both implementations.

    Attributes
    ----------
    unit_rates
        Shape (6, classes), 1/s: total arrival rate per class, then the rate per counted request
        of each further kind in `EVENTS`.
    weights, prompt_revenue, output_revenue
        Per class: revenue of a completed request under bundled charging, and of its prefill and
        its decode under separate charging.
    """

    policy: Policy
    gpus: int
    classes: int
    unit_rates: NDArray[np.float64]
    mixed_gpus: int
    mixed_slots: int
    solo_slots: int
    weights: NDArray[np.float64]
    prompt_revenue: NDArray[np.float64]
    output_revenue: NDArray[np.float64]


def build_chain(network: ServingNetwork, policy: Policy, gpus: int) -> Chain:
    """The chain of ``gpus`` GPUs of ``network`` under ``policy``.

    Raises `InvalidInput` if ``gpus`` is no positive integer, the policy's plan is for another
    number of classes, or the policy needs a simulator of individual GPUs.
    """
    require_integer("gpus", gpus, "GPUs", at_least=1)
    require_applicable(policy, network)
    rate = rates(network)
    mixed_gpus = policy.mixed_gpus(gpus)
    mixed_slots_per_gpu = network.gpu.batch - 1 if policy.layout is Layout.STATIC else 0
    unit_rates = np.array(
        [
            [gpus * arrival for arrival in rate.arrival],
            rate.prefill,
            rate.solo_decode,
            rate.mixed_decode,
            rate.patience,
            rate.patience,
        ]
    )
    return Chain(
        policy=policy,
        gpus=gpus,
        classes=len(network.classes),
        unit_rates=unit_rates,
        mixed_gpus=mixed_gpus,
        mixed_slots=mixed_slots_per_gpu * mixed_gpus,
        solo_slots=(gpus - mixed_gpus) * network.gpu.batch,
        weights=np.array(rate.weight),
        prompt_revenue=np.array(rate.prompt_revenue),
        output_revenue=np.array(rate.output_revenue),
    )


def require_applicable(policy: Policy, network: ServingNetwork) -> None:
    """Refuse plans for other classes, and policies whose slots are not dedicated.

    Where they are not, no count tells which GPU a request is on.
    """
    if len(policy.plan.prefill) != len(network.classes):
        raise InvalidInput(
            "policy.plan", f"{len(policy.plan.prefill)} classes", f"{len(network.classes)} classes"
        )
    if policy.layout is Layout.SHARED:
        allowed = "a layout with dedicated GPUs; a shared one needs the simulator of single GPUs"
        raise InvalidInput("policy.layout", policy.layout.value, allowed)
    if policy.routing not in (Routing.SOLO_FIRST, Routing.POOLS, Routing.WEIGHTED_POOLS):
        allowed = "solo first or pools: another routing needs the simulator of single GPUs"
        raise InvalidInput("policy.routing", policy.routing.value, allowed)
    if policy.buffer_order() is not None and policy.routing is not Routing.SOLO_FIRST:
        allowed = "None: an order of classes is for the one buffer of solo-first routing"
        raise InvalidInput("policy.buffer_order()", policy.buffer_order(), allowed)


@dataclass(frozen=True)
class Run:
    """What one replication leaves behind, measured over (warmup, horizon].

    Attributes
    ----------
    areas
        Shape (5, classes), request-seconds: integral of each count in `COUNTS`.
    completed
        Shape (6, classes): number of events of each kind in `EVENTS`.
    grid_counts
        Shape (grid points, 5, classes): the state at the times of the grid.
    events
        Number of events from time 0 to the horizon.
    log
        Shape (k, 2): event index and time of the first k events.
    """

    areas: NDArray[np.float64]
    completed: NDArray[np.int64]
    grid_counts: NDArray[np.int64]
    events: int
    log: NDArray[np.float64]


Runner = Callable[[Chain, np.random.Generator, float, float, NDArray[np.float64], int], Run]
"""(chain, generator, warmup, horizon, grid, logged events) -> run."""


def replication_generator(seed: int, replication: int) -> np.random.Generator:
    """The random numbers of one replication: a counter-based stream of its own.

    Philox (Salmon et al., SC 2011), keyed by seed and replication number, so that a replication
    can be replayed alone and its numbers depend on no other.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(replication,))
    return np.random.Generator(np.random.Philox(sequence))


def event_stream(generator: np.random.Generator) -> np.random.Generator:
    """The numbers that drive the events of a replication: SFC64, seeded by its generator.

    A stream that compiled code can step by itself, see `random_kernel`.
    """
    seed = generator.integers(2**32, size=8)
    return np.random.Generator(np.random.SFC64(seed.tolist()))
