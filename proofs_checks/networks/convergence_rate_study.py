"""The study behind `convergence_rate`: scaled gaps, predicted by diffusions, measured on the chain.

Sizes are taken with n sum x* just below a whole number: M = ceil(n sum x*) then adds next to no
slot. Up to one slot more is O(1/n) of the gap relative to R*, and at a few thousand GPUs still some
per cent of that gap. Sizes and windows were fixed on pilot runs with other seeds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...fluid import Plan
from ...stochastic.diffusion.gap import PredictedGap, controls, losses, predicted_gap
from ...stochastic.diffusion.model import Diffusion, gate_and_route_diffusion
from ...stochastic.diffusion.windows import chain_windows
from ..statistics import Fitted, GapCurve
from ..verdict import Level, Report

SEED, PILOT_SEEDS = 2701, (2623,)
"""Designs were fixed on pilot runs, the last of them with these seeds."""

STEPS = {"two-class": 0.02, "azure-h100": 0.01, "small-one-class": 0.02, "small-two-class": 0.02}
"""Finer Euler step, seconds: the fastest prefill rate times twice the step is at most about 1."""

CURVE_SIZES = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
EARLY_SIZES = {"two-class": 2_000, "small-two-class": 1_000}
"""Sizes, by instance, at which the constant is not yet right."""
EARLY_WINDOWS = 10


@dataclass(frozen=True)
class Sizes:
    """Sizes (adjusted by `unrounded_size`), windows at each, and their seconds.

    The chain starts empty, O(n) away from the plan, and forgets exponentially: what is left when
    the warm-up ends must be small beside sqrt(n), so larger sizes need more of it. The slots that
    the fluid model still leaves idle at that moment are below 0.4 sqrt(n) at every size.
    """

    gpus: tuple[int, ...]
    windows: tuple[int, ...]
    warmup: float
    measured: float


@dataclass(frozen=True)
class PredictionRun:
    """Windows of the diffusion, and their seconds."""

    windows: int
    warmup: float
    measured: float


PREDICTION: dict[Level, PredictionRun] = {
    "quick": PredictionRun(30, 100, 300),
    "full": PredictionRun(80, 150, 400),
}

SIZES: dict[str, dict[Level, Sizes]] = {
    "two-class": {
        "quick": Sizes((22_000,), (10,), 300, 300),
        "full": Sizes((40_000, 80_000, 160_000), (8, 5, 3), 300, 250),
    },
    "azure-h100": {
        "quick": Sizes((1_000, 2_000, 4_000), (10, 8, 5), 180, 200),
        "full": Sizes((1_000, 4_000, 16_000), (12, 8, 5), 220, 300),
    },
    "small-one-class": {
        "quick": Sizes((500, 1_000, 2_000), (6, 6, 6), 50, 200),
        "full": Sizes((1_000, 4_000, 16_000), (20, 20, 10), 50, 400),
    },
    "small-two-class": {
        "quick": Sizes((), (), 60, 200),
        "full": Sizes((100_000,), (8,), 60, 60),
    },
}


@dataclass(frozen=True)
class Measured:
    """Scaled gaps of the chain at one size: sqrt(n) gap / R* per window."""

    gpus: int
    controlled: np.ndarray
    counted: np.ndarray

    @property
    def mean(self) -> Fitted:
        """Mean with controls."""
        count = len(self.controlled)
        error = float(self.controlled.std(ddof=1)) / math.sqrt(count)
        return Fitted(float(self.controlled.mean()), error, count - 1)

    @property
    def variance_reduction(self) -> float:
        """Variance of the gap by counted revenue over the variance with controls."""
        return float(self.counted.var(ddof=1) / self.controlled.var(ddof=1))


@dataclass(frozen=True)
class RateStudy:
    """Prediction and measurements on one instance."""

    name: str
    plan: Plan
    limit: PredictedGap
    predicted: dict[int, PredictedGap]
    measured: tuple[Measured, ...]
    early: tuple[Measured, ...]

    @property
    def curve(self) -> GapCurve:
        """The measured gaps (not scaled)."""
        means = [m.mean for m in self.measured]
        gpus = np.array([m.gpus for m in self.measured])
        return GapCurve(
            gpus,
            np.array([mean.value for mean in means]) / np.sqrt(gpus),
            np.array([mean.standard_error for mean in means]) / np.sqrt(gpus),
            np.array([len(m.controlled) for m in self.measured]),
        )


def unrounded_size(p: Plan, near: int) -> int:
    """The size within 1 % above ``near`` at which ceil(n sum x*) - n sum x* is smallest.

    >>> from kurtz.fluid import plan
    >>> from kurtz.theory import instance
    >>> unrounded_size(plan(instance("small-one-class")), 100)  # X* = 4/9: 44.4 and 44.9 mix
    101
    """
    share = p.mixed_share
    return min(
        range(near, near + near // 100 + 1), key=lambda n: (math.ceil(n * share) - n * share, n)
    )


def rate_study(name: str, p: Plan, level: Level, report: Report) -> RateStudy:
    """Predict and measure the scaled gap of gate-and-route on one instance."""
    sizes = SIZES[name][level]
    gpus = [unrounded_size(p, near) for near in sizes.gpus]
    early = [unrounded_size(p, EARLY_SIZES[name])] if name in EARLY_SIZES else []
    curve = [unrounded_size(p, near) for near in CURVE_SIZES] if level == "full" else []
    predicted = {}
    for n in sorted({*gpus, *early, *curve}):
        report(f"{name}, diffusion of {n:,} GPUs")
        predicted[n] = prediction(name, p, gate_and_route_diffusion(p, n), level)

    def measure(n: int, windows: int) -> Measured:
        report(f"{name}, {n:,} GPUs")
        diffusion = gate_and_route_diffusion(p, n)
        found = chain_windows(
            p,
            diffusion,
            gpus=n,
            warmup=sizes.warmup,
            measured=sizes.measured,
            windows=windows,
            seed=SEED * 10**9 + n,
        )
        coefficients = predicted[n].coefficients
        controlled = losses(p, diffusion, found) - controls(diffusion, found) @ coefficients
        assert found.revenue is not None
        return Measured(n, controlled, found.revenue)

    return RateStudy(
        name=name,
        plan=p,
        limit=prediction(name, p, gate_and_route_diffusion(p), level),
        predicted=predicted,
        measured=tuple(measure(n, w) for n, w in zip(gpus, sizes.windows, strict=True)),
        early=tuple(measure(n, EARLY_WINDOWS) for n in early),
    )


def prediction(name: str, p: Plan, diffusion: Diffusion, level: Level) -> PredictedGap:
    """The scaled gap of a diffusion, computed at the effort of ``level``."""
    run = PREDICTION[level]
    return predicted_gap(
        p,
        diffusion,
        step=STEPS[name],
        warmup=run.warmup,
        measured=run.measured,
        windows=run.windows,
        seed=SEED,
    )
