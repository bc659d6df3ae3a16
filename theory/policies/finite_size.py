r"""Slot filling: a policy for tens or hundreds of GPUs, without dedicated ones (ours, derived).

Let :math:`u, v_m, v_s` be the shadow prices of prefill, mixed and solo decode capacity in the
plan, :math:`\phi_i` those of arrivals and :math:`\eta_i` those of the decode balances (what a
prefilled request is worth), and let bars be time averages per GPU. By weak duality with nothing
dropped, a stationary system under any admissible policy has

.. math::

   R^* - R = u (1 - \bar x) + v_m \big((B-1) \bar x - \bar y_m\big)
             + v_s \big(B (1 - \bar x) - \bar y_s\big)
             + \sum_i \theta_i (\phi_i \bar q_{p,i} + \eta_i \bar q_{d,i})
             + \text{(reduced costs)},

where reduced costs fall due only on classes and slots that the plan does not use. So revenue is
lost in idle slots, by requests that abandon although they are worth something, and in nothing
else. A static layout must lose: its prefill and decode slots are pools apart, both critically
loaded, and what one lacks the other cannot lend. Therefore

* no GPU is dedicated: any free slot of a GPU that is not prefilling takes a prefill at once, and
  a prefilled request decodes in any free slot (`Routing.PREFILL_FIRST`, `Layout.SHARED`);
* the gate stays closed while as many requests are past it as there are slots, n B: what it admits
  finds a slot, nobody waits for decode, and no prefill is wasted. Where prefill capacity binds
  (:math:`\sum_i x_i^* = 1`) every GPU has to prefill at all times, and the gate never closes;
* classes that the plan serves in full come first, in the order of what an arrival is worth
  (:math:`\phi_i`), and the class that it serves in part gets what is left; others are never
  admitted. If two classes are served in part, the occupancy gate balances all of them;
* if there is a decode buffer, the class with the most revenue per second of decode leaves it first.

In the fluid limit full slots mean :math:`y_m = (B-1) x` and :math:`y_s = B (1-x)`: the occupancies
are those of the plan, and nothing is lost. There is no parameter to tune.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from ..errors import require_integer
from ..rates import exact_rates
from ..steady_state import OccupancyTargets, prefill_balance
from .descriptors import Gate, Layout, OccupancyGate, Routing


class PricedTargets(OccupancyTargets, Protocol):
    """What slot filling needs of a plan: targets and the shadow prices of its constraints."""

    @property
    def shadow_prices(self) -> Mapping[str, Any]:
        """Revenue per GPU-second and unit of each constraint, by name."""


@dataclass(frozen=True)
class SlotFilling(OccupancyGate):
    """The policy of the module docstring."""

    plan: PricedTargets

    name: ClassVar[str] = "slot-filling"
    routing: ClassVar[Routing] = Routing.PREFILL_FIRST
    layout: ClassVar[Layout] = Layout.SHARED

    @property
    def gate(self) -> Gate:  # type: ignore[override]
        """`Gate.OCCUPANCY` where two classes are served in part, else `Gate.PRIORITY`."""
        served = zip(self.plan.prefill, self.plan.prefill_queue, strict=True)
        partly = sum(1 for x, queue in served if x > 0 and queue > 0)
        return Gate.OCCUPANCY if partly > 1 else Gate.PRIORITY

    def class_order(self) -> tuple[int, ...]:
        """Classes by the shadow price of their arrivals, the highest first."""
        names, prices = self.plan.network.class_names, self.plan.shadow_prices
        worth = [prices[prefill_balance(name)] for name in names]
        return tuple(sorted(range(len(names)), key=lambda i: (-worth[i], i)))

    def next_class(
        self,
        prefill: Sequence[int],
        waiting: Sequence[int],
        oldest: Sequence[float],
        gpus: int,
    ) -> int | None:
        """The class to prefill; parameters as for `Policy`."""
        if self.gate is Gate.OCCUPANCY:
            return super().next_class(prefill, waiting, oldest, gpus)
        admissible = self._admissible(waiting)
        return next((i for i in self.class_order() if i in admissible), None)

    def admission_limit(self, gpus: int) -> float:
        """All n B slots; no limit where prefill capacity binds."""
        require_integer("gpus", gpus, "GPUs", at_least=1)
        binds = sum(self.plan.prefill) >= 1
        return math.inf if binds else float(gpus * self.plan.network.gpu.batch)

    def buffer_order(self) -> tuple[int, ...]:
        """Classes by revenue per second of decode, w_i mu_{m,i}, the highest first."""
        rate = exact_rates(self.plan.network)
        density = [w * m for w, m in zip(rate.weight, rate.mixed_decode, strict=True)]
        return tuple(sorted(range(len(density)), key=lambda i: (-density[i], i)))
