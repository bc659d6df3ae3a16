r"""The diffusion limit of gate-and-route around its plan: the noise at scale sqrt(n).

Derived here; no such limit is in arXiv 2602.02987 v1. The plan is an optimum of program (40) with
both decode rows tight and :math:`q_d^* = 0`, so that the equilibrium lies on a boundary (decode
slots full, decode buffer empty) and the limit is piecewise linear, as for M/M/n+M in the regime of
Halfin and Whitt. Counts less n times the plan, divided by :math:`\sqrt n`, carry a hat.

**Prefill.** :math:`H_i = Q_{p,i} + X_i` does not see the gate. The gate acts in time
:math:`O(n^{-1/2})`: classes that wait are held at one relative deviation :math:`\xi`, a class
below it is admitted at once. So :math:`\hat X_i = \min(\hat H_i, x_i^* \xi)` and
:math:`\hat Q_{p,i} = (\hat H_i - x_i^* \xi)^+`, where :math:`\xi` fills the slots,
:math:`\sum_i \min(\hat H_i, x_i^* \xi) = \hat M`, and

.. math:: d\hat H_i = (b_i - \mu_{p,i} \hat X_i - \theta_i \hat Q_{p,i}) dt + \text{noise}.

A class with :math:`q_{p,i}^* = 0` has :math:`b_i = 0`. A class with :math:`q_{p,i}^* > 0` has
:math:`b_i = \sqrt n \theta_i q_{p,i}^*` and settles around :math:`\sqrt n q_{p,i}^*`: in the limit
:math:`\hat H_i = \infty`, the queue never runs empty. With finite n kept in :math:`b_i` and
:math:`\hat M = (M - n \sum_i x_i^*) / \sqrt n` the same equations also hold where that queue does
run empty (:math:`\sum_i \hat H_i < \hat M`: slots idle), which is what delays the asymptotics.

**Decode.** Let :math:`a_i = \mu_{p,i} x_i^*`, :math:`a = \sum a_i`, :math:`p_i = a_i / a`, and
:math:`u_s + u_m = a` the throughputs of full solo and mixed slots with the router's blind split,
:math:`\mu_{s,i} y_{s,i} = p_i u_s`, :math:`\mu_{m,i} y_{m,i} = p_i u_m`. Let N be the requests past
prefill beyond all decode slots. Solo slots refill first and stay full; the buffer is first come,
first served and a request passes it in time :math:`O(n^{-1/2})`, so it holds the mix
:math:`p_i \hat N^+`, and idle mixed slots number :math:`\hat N^-`. Class i is admitted to decode
with odds that deviate from :math:`p_i` by

.. math:: \hat p_i = \big(\mu_{p,i} \hat X_i - \theta_i p_i \hat N^+ - p_i \textstyle\sum_j
   (\mu_{p,j} \hat X_j - \theta_j p_j \hat N^+)\big) / a.

With :math:`\hat V_i = \hat Y_{m,i} + p_i \hat N^-`, so that :math:`\sum \hat Y_{s,i} =
\sum \hat V_i = 0`, the completions :math:`\hat D_s = \sum \mu_{s,i} \hat Y_{s,i}`,
:math:`\hat D_m = \sum \mu_{m,i} \hat Y_{m,i}` and noise besides,

.. math::
   d\hat Y_{s,i} &= (p_i \hat D_s - \mu_{s,i} \hat Y_{s,i} + u_s \hat p_i) dt, \qquad
   d\hat V_i = (p_i \hat D_m - \mu_{m,i} \hat Y_{m,i} + u_m \hat p_i) dt, \\
   d\hat N &= \big(\textstyle\sum_i (\mu_{p,i} \hat X_i - \theta_i p_i \hat N^+)
   - \hat D_s - \hat D_m\big) dt.

**Noise** (`NOISE_SOURCES`), independent Brownian motions: arrivals, rate :math:`\lambda_i`, into
:math:`\hat H_i`; prefill completions, rate a, out of the :math:`\hat H_i` by the mix and into
:math:`\hat N`; the order of classes, in which multinomial marks of covariance
:math:`\operatorname{diag}(p) - p p^\top` go to solo slots at rate :math:`u_s` and to mixed ones at
rate :math:`u_m`; decode completions, rates :math:`p_i u_s` and :math:`p_i u_m`, each followed by
an admission of the mix; abandonments from the planned queues, rate :math:`\theta_i q_{p,i}^*`.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...fluid import Plan
from ...theory.errors import InvalidInput, require_integer
from ...theory.policies import GateAndRoute
from ...theory.rates import exact_rates, rates
from ...theory.steady_state import decode_buffer_condition

Floats = NDArray[np.float64]

NOISE_SOURCES = (
    "arrivals",
    "prefill completions",
    "order of classes",
    "decode completions",
    "abandonments",
)


@dataclass(frozen=True)
class Diffusion:
    """Parameters of the diffusion; arrays have one entry per class that the gate admits.

    Attributes
    ----------
    gpus
        Number n of GPUs, infinite for the limit.
    batch
        Slots B of a GPU.
    classes
        Which classes of the network the gate admits.
    targets, spare_slots
        Prefill occupancies x*, and M - n sum x* over sqrt(n).
    surplus, planned_queue
        sqrt(n) (lambda - mu_p x*) and sqrt(n) q_p*, the latter infinite in the limit.
    mix, solo_throughput, mixed_throughput
        Shares p of the classes in prefill completions, and u_s and u_m (1/s per GPU).
    noise
        Shape (3 classes + 1, sources): effect of each Brownian motion on (H, Y_s, V, N).
    """

    gpus: float
    batch: int
    classes: tuple[int, ...]
    prefill_rates: Floats
    mixed_rates: Floats
    solo_rates: Floats
    patience_rates: Floats
    targets: Floats
    spare_slots: float
    surplus: Floats
    planned_queue: Floats
    mix: Floats
    solo_throughput: float
    mixed_throughput: float
    noise: Floats

    @property
    def start(self) -> Floats:
        """The equilibrium, shape (3 classes + 1,): planned queues, slots full, no buffer.

        Rounding M moves slots from solo to mixed; totals of Y_s and V stay what they are here.
        """
        solo, mixed = self.mix / self.solo_rates, self.mix / self.mixed_rates
        return np.concatenate(
            [
                self.planned_queue,
                -self.batch * self.spare_slots * solo / solo.sum(),
                (self.batch - 1) * self.spare_slots * mixed / mixed.sum(),
                [0.0],
            ]
        )

    @property
    def parameters(self) -> tuple[Floats, ...]:
        """The numbers of the drift, as `diffusion_kernel` takes them."""
        return (
            self.targets,
            self.prefill_rates,
            self.mixed_rates,
            self.solo_rates,
            self.patience_rates,
            self.surplus,
            self.mix,
            np.array([self.solo_throughput, self.mixed_throughput]),
        )

    @property
    def never_waiting(self) -> NDArray[np.int64]:
        """Positions of the admitted classes whose planned queue is empty."""
        return np.flatnonzero(self.planned_queue == 0)

    @property
    def covariance(self) -> Floats:
        """Covariance of the noise per second, shape (3 classes + 1, 3 classes + 1)."""
        return self.noise @ self.noise.T


def gate_and_route_diffusion(
    plan: Plan, gpus: float = math.inf, sources: Collection[str] = NOISE_SOURCES
) -> Diffusion:
    """The diffusion of gate-and-route around ``plan``.

    Parameters
    ----------
    gpus
        Number of GPUs that enters surplus, rounding and planned queues; infinite for the limit.
    sources
        Which of `NOISE_SOURCES` act.

    Raises
    ------
    InvalidInput
        The plan is not for bundled pricing, it leaves decode slots idle or a backlog in the
        decode buffer, a class has patience rate 0, or kappa < (B-1)/B.
    """
    _require_hypotheses(plan)
    if not math.isinf(gpus):
        require_integer("gpus", gpus, "GPUs", at_least=1)
    rate = rates(plan.network)
    classes = tuple(i for i, x in enumerate(plan.prefill) if x > 0)
    arrivals, patience, prefill, mixed, solo, targets, queue = (
        np.array([float(values[i]) for i in classes])
        for values in (
            rate.arrival,
            rate.patience,
            rate.prefill,
            rate.mixed_decode,
            rate.solo_decode,
            plan.prefill,
            plan.prefill_queue,
        )
    )
    completions = prefill * targets
    mix = completions / completions.sum()
    share = float(plan.mixed_share)
    solo_throughput = rate.batch * (1 - share) / float(np.sum(mix / solo))
    mixed_throughput = (rate.batch - 1) * share / float(np.sum(mix / mixed))
    if math.isinf(gpus):
        spare, surplus = 0.0, np.zeros(len(classes))
        planned_queue = np.where(queue > 0, np.inf, 0.0)
    else:
        slots = GateAndRoute(plan).mixed_gpus(int(gpus)) - int(gpus) * plan.mixed_share
        spare, surplus = float(slots) / math.sqrt(gpus), math.sqrt(gpus) * patience * queue
        planned_queue = math.sqrt(gpus) * queue
    effects = _effects(arrivals, patience * queue, mix, solo_throughput, mixed_throughput)
    return Diffusion(
        gpus=gpus,
        batch=int(rate.batch),
        classes=classes,
        prefill_rates=prefill,
        mixed_rates=mixed,
        solo_rates=solo,
        patience_rates=patience,
        targets=targets,
        spare_slots=spare,
        surplus=surplus,
        planned_queue=planned_queue,
        mix=mix,
        solo_throughput=solo_throughput,
        mixed_throughput=mixed_throughput,
        noise=_fewest_columns(np.hstack([effects[source] for source in sources])),
    )


def _effects(
    arrivals: Floats, abandonments: Floats, mix: Floats, solo: float, mixed: float
) -> dict[str, Floats]:
    """Columns of effects on (H, Y_s, V, N) of every source of noise."""
    k = len(mix)
    prefill, solo_block, mixed_block = (slice(j * k, (j + 1) * k) for j in range(3))

    def columns(count: int = k) -> Floats:
        return np.zeros((3 * k + 1, count))

    arriving, leaving = columns(), columns()
    arriving[prefill] = np.diag(np.sqrt(arrivals))
    leaving[prefill] = np.diag(np.sqrt(abandonments))
    prefilled = columns(1)
    prefilled[prefill, 0] = -mix * math.sqrt(solo + mixed)
    prefilled[-1] = math.sqrt(solo + mixed)
    eigenvalues, vectors = np.linalg.eigh(np.diag(mix) - np.outer(mix, mix))
    marks = vectors * np.sqrt(np.maximum(eigenvalues, 0))
    order, done = [], []
    for pool, throughput in ((solo_block, solo), (mixed_block, mixed)):
        ordered, completed = columns(), columns()
        ordered[pool] = math.sqrt(throughput) * marks
        ordered[prefill] = -ordered[pool]
        deviation = np.sqrt(mix * throughput)
        completed[pool] = np.outer(mix, deviation) - np.diag(deviation)
        completed[-1] = -deviation
        order.append(ordered)
        done.append(completed)
    return {
        "arrivals": arriving,
        "prefill completions": prefilled,
        "order of classes": np.hstack(order),
        "decode completions": np.hstack(done),
        "abandonments": leaving,
    }


def _fewest_columns(noise: Floats) -> Floats:
    """Noise of the same covariance from as few Brownian motions as its rank."""
    values, vectors = np.linalg.eigh(noise @ noise.T)
    kept = values > 1e-12 * values.max()
    return np.ascontiguousarray(vectors[:, kept] * np.sqrt(values[kept]))


def _require_hypotheses(plan: Plan) -> None:
    network = plan.network
    if plan.pricing != "bundled":
        raise InvalidInput("plan.pricing", plan.pricing, "'bundled'")
    if not decode_buffer_condition(exact_rates(network)):
        raise InvalidInput("plan.network", "kappa < (B-1)/B", "kappa >= (B-1)/B")
    if min(network.per_class("patience_rate")) <= 0:
        raise InvalidInput("plan.network", "a class of patience rate 0", "patience rates above 0")
    share, batch = plan.mixed_share, network.gpu.batch
    full = sum(plan.mixed_decode) == (batch - 1) * share
    if not full or sum(plan.solo_decode) != batch * (1 - share) or any(plan.decode_queue):
        raise InvalidInput("plan", "decode rows not tight", "full decode slots and no decode queue")
    if share > 1 or not any(plan.prefill_queue):
        raise InvalidInput("plan", "no planned queue", "a class of which some wait for prefill")


def prefill_occupancies(diffusion: Diffusion, requests: Floats) -> Floats:
    """What the gate makes of the requests H before or in prefill: X, shape (..., classes)."""
    targets, spare = diffusion.targets, diffusion.spare_slots
    with np.errstate(invalid="ignore"):  # infinite queues are never among those below the level
        below = np.zeros(requests.shape, dtype=bool)
        for _ in diffusion.classes:
            room = spare - np.where(below, requests, 0.0).sum(axis=-1, keepdims=True)
            weights = np.where(below, 0.0, targets).sum(axis=-1, keepdims=True)
            level = np.where(weights > 0, room / np.where(weights > 0, weights, 1.0), np.inf)
            below |= requests < targets * level
    return np.where(below, requests, targets * np.where(np.isinf(level), 0.0, level))


def drift(diffusion: Diffusion, state: Floats) -> Floats:
    """Drift of (H, Y_s, V, N) at ``state``, both of shape (..., 3 classes + 1)."""
    k, d = len(diffusion.classes), diffusion
    requests, solo = state[..., :k], state[..., k : 2 * k]
    rest, excess = state[..., 2 * k : -1], state[..., -1:]
    prefill = prefill_occupancies(d, requests)
    buffered, idle = d.mix * np.maximum(excess, 0.0), d.mix * np.maximum(-excess, 0.0)
    entering = d.prefill_rates * prefill - d.patience_rates * buffered
    total = entering.sum(axis=-1, keepdims=True)
    odds = (entering - d.mix * total) / (d.solo_throughput + d.mixed_throughput)
    solo_done, mixed_done = d.solo_rates * solo, d.mixed_rates * (rest - idle)
    solo_total = solo_done.sum(axis=-1, keepdims=True)
    mixed_total = mixed_done.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        waiting = d.surplus - d.prefill_rates * prefill - d.patience_rates * (requests - prefill)
    return np.concatenate(
        [
            np.where(np.isinf(requests), 0.0, waiting),
            d.mix * solo_total - solo_done + d.solo_throughput * odds,
            d.mix * mixed_total - mixed_done + d.mixed_throughput * odds,
            total - solo_total - mixed_total,
        ],
        axis=-1,
    )
