"""Plans and policies of the tests' own making, for chains with dedicated GPUs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kurtz.theory import (
    Disaggregated,
    FirstComeFirstServed,
    GateAndRoute,
    GeneralSliAware,
    PrioritizeAndRoute,
    ServingNetwork,
    SliAware,
)


@dataclass(frozen=True)
class Targets:
    """A plan of our own making: the policies ask for no more."""

    network: ServingNetwork
    prefill: tuple[float, ...]
    prefill_queue: tuple[float, ...] = ()
    mixed_decode: tuple[float, ...] = ()
    solo_decode: tuple[float, ...] = ()


@dataclass(frozen=True)
class LimitedGateAndRoute(GateAndRoute):
    """Gate-and-route that idles its gate at 1.5 n requests and serves the last class first."""

    name: ClassVar[str] = "limited gate-and-route"

    def admission_limit(self, gpus: int) -> float:
        return 1.5 * gpus

    def buffer_order(self) -> tuple[int, ...]:
        return tuple(reversed(range(len(self.plan.prefill))))


PLANNED_POLICIES = (
    GateAndRoute,
    LimitedGateAndRoute,
    FirstComeFirstServed,
    PrioritizeAndRoute,
    SliAware,
    GeneralSliAware,
    Disaggregated,
)
