r"""The fluid equations of a serving network under a policy, in regulated form.

Source: arXiv 2602.02987 v1, equations (24)-(37) and Theorem 3.1. Per GPU and class, with
admissions :math:`u`,

.. math::

   q_{p,i}' &= \lambda_i - \theta_i q_{p,i} - u_{p,i}', \qquad
   x_i' = u_{p,i}' - \mu_{p,i} x_i, \\
   q_{d,i}' &= \mu_{p,i} x_i - \theta_i q_{d,i} - u_{m,i}' - u_{s,i}', \qquad
   y_{m,i}' = u_{m,i}' - \mu_{m,i} y_{m,i}, \qquad y_{s,i}' = u_{s,i}' - \mu_{s,i} y_{s,i},

within :math:`\sum x \le s`, :math:`\sum y_m \le (B-1) s`, :math:`\sum y_s \le B (1 - s)`, where
:math:`s` is the share of GPUs that the policy keeps mixed: with GPUs dedicated for good there are
no mode switches. The policy determines :math:`u`: nobody waits that could be served, and among
those who wait the gate and the router choose. Both act on boundaries only, of empty queues and
full slots, so that :math:`u` is the regulator of a Skorokhod problem.

It is solved by Moreau's catching-up scheme. In each step of :math:`h` seconds

1. services, abandonments and arrivals act freely, :math:`z + h f(z)`;
2. what now waits is admitted to free slots exactly as the policy says: the occupancy gate fills
   the lowest :math:`x_i / x_i^*` first, up to a common level; a priority gate goes class by class;
   lines in order of arrival are served from their head, for which their history is kept.

Nothing is smoothed. Conservation of requests, capacities and nonnegativity hold at every step by
construction, the rest points are those of the differential equations, and the error is of first
order in :math:`h`. Because all rates act on the state at the start of the step, a step may not
exceed the shortest mean duration; the default is a quarter of it.

What waits at time 0 is taken to have arrived at once: lines serve it first, all classes alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...theory.errors import InvalidInput, require_integer, require_number
from ...theory.network import ServingNetwork
from ...theory.policies import Gate, Layout, Policy, Routing
from ...theory.rates import rates

GATES = (Gate.OCCUPANCY, Gate.FIRST_COME, Gate.PRIORITY)
ROUTINGS = (Routing.SOLO_FIRST, Routing.POOLS, Routing.WEIGHTED_POOLS)

STAGES = (
    "prefill_queue",
    "prefill",
    "decode_queue",
    "mixed_decode",
    "solo_decode",
)
"""Stages of a request, in the order of the chain's counts."""

FLOWS = (
    "arrival",
    "prefill_admission",
    "prefill_completion",
    "prefill_abandonment",
    "decode_abandonment",
    "mixed_admission",
    "solo_admission",
    "mixed_completion",
    "solo_completion",
)
"""Cumulative flows of a trajectory."""

_LIMIT = 10**30
"""So many GPUs that ceilings and square roots per GPU vanish in floating point."""

_STEPS_PER_DURATION = 4


@dataclass(frozen=True)
class FluidModel:
    """Everything that the scheme needs, in arrays; occupancies per GPU.

    Attributes
    ----------
    rates
        Shape (5, classes), 1/s: arrival, patience, prefill, mixed decode, solo decode.
    gate_targets
        Shape (classes,): x* where the gate admits the class, else 0.
    gate_order, buffer_order
        Classes in order of priority, for a priority gate and for a decode buffer that is not
        served in order of arrival (empty otherwise).
    solo_probability, pool_weights
        Shapes (classes,) and (2, classes), mixed pool first.
    capacities
        Prefill, mixed decode and solo decode slots per GPU.
    admission_limit
        Requests past the gate, per GPU, that close it.
    weights
        Shape (classes,): revenue of a completed request under bundled charging.
    """

    gate: int
    routing: int
    rates: NDArray[np.float64]
    gate_targets: NDArray[np.float64]
    gate_order: NDArray[np.int64]
    buffer_order: NDArray[np.int64]
    solo_probability: NDArray[np.float64]
    pool_weights: NDArray[np.float64]
    capacities: NDArray[np.float64]
    admission_limit: float
    weights: NDArray[np.float64]

    @property
    def classes(self) -> int:
        """Number of request classes."""
        return int(self.rates.shape[1])

    @property
    def longest_step(self) -> float:
        """Seconds: the shortest mean duration of a service or of patience."""
        return float(1 / self.rates[1:].max())

    def step(self, step: float | None, spacing: float) -> tuple[int, float]:
        """Steps in ``spacing`` seconds and the length of each: at most ``step``, or the default.

        Raises `InvalidInput` if ``step`` is above `longest_step`.
        """
        if step is None:
            step = self.longest_step / _STEPS_PER_DURATION
        require_number("step", step, "seconds", above=0)
        if step > self.longest_step:
            raise InvalidInput(
                "step", step, f"at most {self.longest_step:.3g}, the shortest mean duration"
            )
        count = max(1, math.ceil(spacing / step * (1 - 1e-12)))
        return count, spacing / count


def fluid_model(network: ServingNetwork, policy: Policy, gpus: int | None = None) -> FluidModel:
    """The fluid model of ``network`` under ``policy``.

    Parameters
    ----------
    gpus
        Number n of GPUs that the policy's M mixed ones are rounded for; None: the limit of many.

    Raises
    ------
    InvalidInput
        A policy without dedicated GPUs, or one whose plan is for another number of classes.
    """
    classes = len(network.classes)
    if policy.layout is Layout.SHARED or policy.routing not in ROUTINGS:
        raise InvalidInput("policy", policy.name, "a policy that dedicates GPUs to mixing")
    if len(policy.plan.prefill) != classes:
        raise InvalidInput(
            "policy.plan", f"{len(policy.plan.prefill)} classes", f"{classes} classes"
        )
    if gpus is not None:
        require_integer("gpus", gpus, "GPUs", at_least=1)
    size = _LIMIT if gpus is None else gpus
    rate = rates(network)
    share = policy.mixed_gpus(size) / size
    beside_prefill = rate.batch - 1 if policy.layout is Layout.STATIC else 0
    pools = policy.routing is not Routing.SOLO_FIRST
    order = getattr(policy, "class_order", tuple)
    return FluidModel(
        gate=GATES.index(policy.gate),
        routing=ROUTINGS.index(policy.routing),
        rates=np.array(
            [rate.arrival, rate.patience, rate.prefill, rate.mixed_decode, rate.solo_decode],
            dtype=np.float64,
        ),
        gate_targets=np.array(
            [float(x) if policy.admits(i) else 0.0 for i, x in enumerate(policy.plan.prefill)]
        ),
        gate_order=np.array(order() if policy.gate is Gate.PRIORITY else (), dtype=np.int64),
        buffer_order=np.array(policy.buffer_order() or (), dtype=np.int64),
        solo_probability=np.array(
            [policy.solo_probability(i) if pools else 1.0 for i in range(classes)]
        ),
        pool_weights=np.array(
            policy.pool_weights() if pools else np.zeros((2, classes)),
            dtype=np.float64,
        ),
        capacities=np.array([share, beside_prefill * share, rate.batch * (1 - share)]),
        admission_limit=policy.admission_limit(size) / size,
        weights=np.array(rate.weight, dtype=np.float64),
    )
