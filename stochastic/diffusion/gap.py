r"""The gap to R* at scale sqrt(n): predicted by the diffusion, measured on the chain, less noise.

**Loss.** With optimal shadow prices, :math:`\beta, \delta` of the decode rows, :math:`\phi_i,
\eta_i` of the flow balances, every point that obeys the balances of program (40) has

.. math:: R^* - R = \beta \big((B-1) \textstyle\sum x_i - \sum y_{m,i}\big)
   + \delta \big(B (1 - \sum x_i) - \sum y_{s,i}\big)
   + \sum_i \phi_i \theta_i q_{p,i} + \sum_i \eta_i \theta_i q_{d,i}

when the prefill row has price 0 and :math:`x_i = 0` outside the plan. Stationary means obey the
balances; so the right side, a sum of losses none of which is much larger than the whole, has the
mean of the gap and less variance than counted revenue: the martingales of arrivals and completions
are gone.

**Controls.** What has mean zero by stationarity, exactly, and correlates with the loss: the net
flow of each class that the plan does not keep waiting, into :math:`H_i = Q_{p,i} + X_i`; the net
flow of decode work; and the generator applied to the products of these :math:`H_i` and of the
requests N beyond the decode slots,

.. math:: G(z_j z_k) = z_j b_k + z_k b_j + c_{jk}

with drifts b and covariances c per second, known in every state whatever the gate and the router
do. The products stand in for the solution of Poisson's equation of the loss. Their coefficients
come from regression over windows of the *diffusion*, whose data are not those of the chain: on the
chain they are fixed numbers, and the mean is left as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...fluid import Plan
from ...theory.steady_state import decode_balance, prefill_balance
from ..replications import Interval, interval
from .model import Diffusion, Floats
from .windows import Windows, diffusion_windows


@dataclass(frozen=True)
class PredictedGap:
    """The constant of a diffusion, and what its windows teach about reducing variance.

    Attributes
    ----------
    constant
        sqrt(n) gap / R*, extrapolated from Euler steps h and h/2 to 0, with controls.
    step_effect
        What halving the step changes.
    coefficients
        Shape (controls,): regression of the loss on the controls.
    variance_reduction
        Variance of the loss over its variance after the controls.
    idle_prefill
        Mean of the idle prefill slots, at scale sqrt(n).
    """

    constant: Interval
    step_effect: Interval
    coefficients: Floats
    variance_reduction: float
    idle_prefill: float


def losses(plan: Plan, diffusion: Diffusion, windows: Windows) -> Floats:
    """The loss of the module docstring relative to R*, shape (windows,)."""
    prices, batch = plan.shadow_prices, plan.network.gpu.batch
    names = [plan.network.class_names[i] for i in diffusion.classes]
    mixed, solo = (float(prices[f"{kind} decode capacity"]) for kind in ("mixed", "solo"))
    waiting = np.array([float(prices[prefill_balance(name)]) for name in names])
    buffered = np.array([float(prices[decode_balance(name)]) for name in names])
    prefill = windows.prefill.sum(axis=1)
    loss = (
        mixed * ((batch - 1) * prefill - windows.mixed_decode)
        - solo * (batch * prefill + windows.solo_decode)
        + windows.prefill_queue @ (waiting * diffusion.patience_rates)
        + windows.decode_queue @ (buffered * diffusion.patience_rates)
    )
    return np.asarray(loss / float(plan.value))


def controls(diffusion: Diffusion, windows: Windows) -> Floats:
    """The controls of the module docstring, shape (windows, controls)."""
    d, kept = diffusion, diffusion.never_waiting
    flows = -d.prefill_rates * windows.prefill - d.patience_rates * windows.prefill_queue
    entering = d.prefill_rates * windows.prefill - d.patience_rates * windows.decode_queue
    speed_ratio = d.solo_rates[0] / d.mixed_rates[0]
    work = entering @ (1 / d.mixed_rates) - windows.mixed_decode - speed_ratio * windows.solo_decode
    return np.hstack([flows[:, kept], work[:, None], windows.products])


def predicted_gap(
    plan: Plan,
    diffusion: Diffusion,
    *,
    step: float,
    warmup: float,
    measured: float,
    windows: int,
    seed: int,
    level: float = 0.95,
) -> PredictedGap:
    """The constant of sqrt(n) gap / R*; parameters as for `diffusion_windows`."""
    fine, coarse = diffusion_windows(
        diffusion, step=step, warmup=warmup, measured=measured, windows=windows, seed=seed
    )
    plain = losses(plan, diffusion, fine)
    features = controls(diffusion, fine)
    coefficients = np.linalg.lstsq(
        features - features.mean(axis=0), plain - plain.mean(), rcond=None
    )[0]
    adjusted = plain - features @ coefficients
    coarsely = losses(plan, diffusion, coarse) - controls(diffusion, coarse) @ coefficients
    prefilling = fine.prefill.sum(axis=1)
    return PredictedGap(
        constant=interval(2 * adjusted - coarsely, level),
        step_effect=interval(adjusted - coarsely, level),
        coefficients=coefficients,
        variance_reduction=float(plain.var() / adjusted.var()),
        idle_prefill=float(diffusion.spare_slots - prefilling.mean()),
    )
