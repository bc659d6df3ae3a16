"""The plan with separate GPUs for prefill and decode: the best split of the GPUs.

A GPU that only prefills runs one prompt at a time in chunks; a GPU that only decodes holds B
requests at the solo speed. In the steady-state programs this is one more constraint: no mixed
decode. Its optimum is the best that disaggregated pools can earn, and its prefill occupancies add
up to the share of GPUs to dedicate to prefill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..theory.network import ServingNetwork
from ..theory.rates import Rates
from ..theory.sli import LinearRow
from ..theory.steady_state import OCCUPANCIES, block
from .planning import Plan, plan


@dataclass(frozen=True)
class NoMixedDecode:
    """Nobody decodes on a GPU that prefills; imposed like an SLI."""

    name: ClassVar[str] = "no-mixed-decode"

    @property
    def limit(self) -> float:
        """Mixed decodes per GPU that are allowed: none."""
        return 0.0

    def rows(self, rates: Rates, class_names: Sequence[str]) -> tuple[LinearRow, ...]:
        """The one row sum_i y_{m,i} <= 0."""
        coefficients = [0] * (len(OCCUPANCIES) * len(class_names))
        coefficients[block("mixed_decode", len(class_names))] = [1] * len(class_names)
        return (LinearRow("no mixed decode", tuple(coefficients), 0),)


def disaggregated_plan(network: ServingNetwork, pricing: str = "bundled") -> Plan:
    """The optimum of the steady-state program without mixed decode; raises like `plan`."""
    return plan(network, pricing, (NoMixedDecode(),), decode_queue_allowed=True)
