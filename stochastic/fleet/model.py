r"""A fleet of GPUs, each with its own batch: what a run consists of.

The chain of `kurtz.stochastic.chain` counts requests; here every request sits in a slot of a GPU,
which runs at the speed that its own batch allows (arXiv 2602.02987 v1, Section 2.1). With a prefill
beside, a decode makes a token in :math:`\tau = \alpha + \beta C` seconds, without one in
:math:`1/\gamma`; whether a GPU is mixed is a matter of *presence*, not of dedication. With
``dedicated_speed`` the mixed GPUs of a static layout always run at the mixed speed, as in the
paper's proofs: then exponential lengths give the very chain of `kurtz.stochastic.chain`.

Work is delivered in one of two granularities:

* *continuous*: tokens flow at the rates above. With exponential lengths this is a Markov chain;
* *iterations*: a GPU runs one iteration after the other: of :math:`\alpha + \beta c` seconds if a
  prefill is present, whose chunk is c = C tokens or what is left of the prompt; else of
  :math:`1/\gamma`. Every decode makes one token per iteration, lengths are whole, and what joins a
  GPU waits for its next iteration. With ``effective_tokens``, c also counts the decodes, as in
  equation (1).

Where a policy leaves the GPU open it is drawn uniformly from those with a free slot; with a KV
budget, the first one with room, going round from the one drawn. A request holds its prompt while
it is prefilled and its prompt and output while it decodes (both from the start if it stays where it
was prefilled); one that has no room holds up those behind it. Under a shared layout, "solo" GPUs
are those without a prefill at that moment. A request has one patience, used up while it waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ...theory.errors import InvalidInput, require_integer
from ...theory.network import ServingNetwork
from ...theory.policies import Layout, Policy
from ...theory.rates import rates
from ..chain import Run

Granularity = Literal["continuous", "iterations"]


@dataclass(frozen=True)
class Physics:
    """How GPUs work; see the module docstring.

    Attributes
    ----------
    granularity
        ``"continuous"`` or ``"iterations"``.
    dedicated_speed
        Whether mixed GPUs of a static layout run at the mixed speed even without a prefill.
    effective_tokens
        Whether concurrent decodes lengthen a mixed iteration, by beta seconds each.
    memory_tokens
        KV budget of a GPU; None if memory does not bind.
    """

    granularity: Granularity = "continuous"
    dedicated_speed: bool = False
    effective_tokens: bool = False
    memory_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.granularity not in get_args(Granularity):
            allowed = " or ".join(get_args(Granularity))
            raise InvalidInput("granularity", self.granularity, allowed)
        if self.effective_tokens and self.granularity != "iterations":
            raise InvalidInput("effective_tokens", True, "False unless work comes in iterations")
        if self.memory_tokens is not None:
            require_integer("memory_tokens", self.memory_tokens, "tokens", at_least=1)


@dataclass(frozen=True)
class Fleet:
    """A network's GPUs under a policy: ready for both implementations.

    Attributes
    ----------
    mixed_gpus
        GPUs that take prefills: the first M, or all of a shared layout.
    mixed_seconds
        Duration of a full mixed iteration, tau.
    weights, prompt_revenue, output_revenue
        Per class: revenue of a completed request under bundled charging, and of its prefill and
        its decode under separate charging.
    """

    network: ServingNetwork
    policy: Policy
    gpus: int
    physics: Physics
    classes: int
    mixed_gpus: int
    mixed_seconds: float
    weights: NDArray[np.float64]
    prompt_revenue: NDArray[np.float64]
    output_revenue: NDArray[np.float64]

    @property
    def shared(self) -> bool:
        """Whether every GPU takes prefills and decodes in the same slots."""
        return self.policy.layout is Layout.SHARED

    def decode_slots(self, gpu: int) -> int:
        """Decodes that the GPU takes at most."""
        batch = self.network.gpu.batch
        if self.shared or gpu >= self.mixed_gpus:
            return batch
        return 0 if self.policy.layout is Layout.DISAGGREGATED else batch - 1


def build_fleet(
    network: ServingNetwork, policy: Policy, gpus: int, physics: Physics | None = None
) -> Fleet:
    """The fleet of ``gpus`` GPUs of ``network`` under ``policy``.

    Raises `InvalidInput` if ``gpus`` is no positive integer, the policy's plan is for another
    number of classes, or dedicated speeds are asked of a layout without dedicated GPUs.
    """
    require_integer("gpus", gpus, "GPUs", at_least=1)
    physics = physics or Physics()
    if len(policy.plan.prefill) != len(network.classes):
        raise InvalidInput(
            "policy.plan", f"{len(policy.plan.prefill)} classes", f"{len(network.classes)} classes"
        )
    if physics.dedicated_speed and policy.layout is not Layout.STATIC:
        raise InvalidInput("dedicated_speed", True, f"False for {policy.name}")
    shared = policy.layout is Layout.SHARED
    rate = rates(network)
    return Fleet(
        network=network,
        policy=policy,
        gpus=gpus,
        physics=physics,
        classes=len(network.classes),
        mixed_gpus=gpus if shared else policy.mixed_gpus(gpus),
        mixed_seconds=rate.mixed_time,
        weights=np.array(rate.weight),
        prompt_revenue=np.array(rate.prompt_revenue),
        output_revenue=np.array(rate.output_revenue),
    )


@dataclass(frozen=True)
class FleetRun(Run):
    """What one run leaves behind; decodes count as mixed while their GPU is at the mixed speed.

    Attributes
    ----------
    iterations
        Iterations that GPUs ran through, from time 0 to the last event.
    """

    iterations: int
