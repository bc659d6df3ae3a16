"""Cases on which the claims about fluid trajectories are checked."""

from __future__ import annotations

import random
from dataclasses import dataclass

from ...fluid import Plan, plan
from ...fluid.dynamics import FluidModel, FluidState
from ...theory import ServingNetwork, exact_rates, rates
from ...theory.random_networks import random_network
from ...theory.steady_state import decode_buffer_condition

_LARGEST_QUEUE = 4.0
"""Requests per GPU that wait in a random initial state, at most."""


@dataclass(frozen=True)
class Targets:
    """Occupancies per GPU that a gate is told to track, one number per class.

    Decodes have none: solo-first routing does not ask for them.
    """

    network: ServingNetwork
    prefill: tuple[float, ...]
    prefill_queue: tuple[float, ...]

    @property
    def mixed_decode(self) -> tuple[float, ...]:
        """No targets."""
        return (0.0,) * len(self.prefill)

    @property
    def solo_decode(self) -> tuple[float, ...]:
        """No targets."""
        return (0.0,) * len(self.prefill)


def random_targets(generator: random.Random, network: ServingNetwork) -> Targets:
    """Targets that Lemmas 10.1 to 10.5 allow: x* > 0 and q_p* > 0 in every class, sum x* < 1.

    Between a fifth and nine tenths of every class's demand for prefill, scaled down to fit.
    """
    rate = rates(network)
    demand = [a / p for a, p in zip(rate.arrival, rate.prefill, strict=True)]
    wanted = [generator.uniform(0.2, 0.9) * each for each in demand]
    scale = min(1.0, 0.9 / sum(wanted))
    prefill = tuple(scale * each for each in wanted)
    blocks = zip(rate.arrival, rate.prefill, prefill, rate.patience, strict=True)
    queue = tuple((arrival - served * x) / theta for arrival, served, x, theta in blocks)
    return Targets(network, prefill, queue)


def random_state(generator: random.Random, model: FluidModel) -> FluidState:
    """A state that fits: random totals, split at random among the classes."""

    def split(most: float) -> tuple[float, ...]:
        parts = [1 - generator.random() for _ in range(model.classes)]  # never all zero
        total = generator.uniform(0, most)
        return tuple(total * part / sum(parts) for part in parts)

    prefill, mixed, solo = model.capacities
    return FluidState(
        prefill_queue=split(_LARGEST_QUEUE),
        prefill=split(prefill),
        decode_queue=split(_LARGEST_QUEUE),
        mixed_decode=split(mixed),
        solo_decode=split(solo),
    )


def random_networks(generator: random.Random, count: int) -> list[ServingNetwork]:
    """Networks with one to four classes and kappa >= (B-1)/B; half of them short of prefill."""
    found: list[ServingNetwork] = []
    while len(found) < count:
        network = random_network(generator, 1 + len(found) % 4, prefill_bound=len(found) % 8 >= 4)
        if decode_buffer_condition(exact_rates(network)):
            found.append(network)
    return found


def random_plans(generator: random.Random, count: int) -> list[Plan]:
    """Plans of `random_networks`."""
    return [plan(network) for network in random_networks(generator, count)]
