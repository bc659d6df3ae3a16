"""Figures on dropped hypotheses: closed forms as lines, what was computed or simulated as dots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ..figures import BLUE, GREEN, GREY, ORANGE
from .equilibria import bundled_revenue, plan_of
from .instances import valuable_and_filler

KAPPAS = (*(Fraction(k, 20) for k in range(1, 21)), Fraction(499, 1000))
"""Speed ratios of the figure, on both sides of (B-1)/B = `EDGE`."""

EDGE = 0.5


@dataclass(frozen=True)
class SpeedRatioStudy:
    """Exact revenue per GPU-second against kappa; one entry per ratio in each tuple.

    Attributes
    ----------
    best
        R*, which the general policy of Section 13 earns.
    tracked
        The equilibrium of gate-and-route that tracks the optimum.
    """

    kappas: tuple[Fraction, ...]
    best: tuple[Fraction, ...]
    tracked: tuple[Fraction, ...]


def speed_ratio_study(kappas: Sequence[Fraction] = KAPPAS) -> SpeedRatioStudy:
    """R* and gate-and-route's revenue on `valuable_and_filler`, exactly."""
    best, tracked = [], []
    for kappa in kappas:
        network = valuable_and_filler(kappa=float(kappa))
        p = plan_of(network)
        best.append(p.value)
        tracked.append(bundled_revenue(network, p.prefill, p.mixed_share))
    return SpeedRatioStudy(tuple(kappas), tuple(best), tuple(tracked))


def speed_ratio_figure(
    study: SpeedRatioStudy, simulated: Mapping[float, tuple[float, float]] | None = None
) -> Figure:
    """R* and what gate-and-route earns against kappa.

    ``simulated`` maps speed ratios to mean and standard error of simulated revenue.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(0, EDGE, color=GREY, alpha=0.1, lw=0)
    curves: tuple[tuple[tuple[Fraction, ...], dict[str, Any]], ...] = (
        (study.best, {"color": GREEN, "lw": 4, "alpha": 0.5, "label": "$R^*$"}),
        (study.tracked, {"color": BLUE, "label": "gate-and-route, fluid"}),
    )
    for values, style in curves:
        points = sorted(zip(map(float, study.kappas), map(float, values), strict=True))
        points.insert(sum(kappa < EDGE for kappa, _ in points), (EDGE, np.nan))  # it jumps here
        axes.plot(*zip(*points, strict=True), **style)
    if simulated:
        axes.errorbar(
            list(simulated),
            [mean for mean, _ in simulated.values()],
            [1.96 * error for _, error in simulated.values()],
            fmt="o",
            color=ORANGE,
            capsize=3,
            label="gate-and-route, simulated",
        )
    axes.text(EDGE / 2, 40, r"$\kappa < (B-1)/B$", ha="center", color=GREY)
    axes.set(
        xlabel=r"solo over mixed decode speed, $\kappa$",
        ylabel="revenue per GPU-second",
        xlim=(0, 1.02),
        ylim=(0, None),
    )
    axes.legend(frameon=False, loc="center right")
    axes.grid(alpha=0.3)
    return figure


def excess_figure(
    closed_form: tuple[NDArray[np.float64], NDArray[np.float64]],
    computed: tuple[NDArray[np.float64], NDArray[np.float64]],
    bound: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> Figure:
    """Prefill occupancy above its target against time; each argument is (seconds, excess)."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(*bound, color=GREY, ls="--", label=r"bound $s\, e^{-t \min \mu_p}$")
    axes.plot(*closed_form, color=BLUE, label="closed form")
    axes.plot(*computed, "o", color=ORANGE, ms=4, label="fluid trajectory")
    axes.set(
        yscale="log",
        xlabel="time (s)",
        ylabel="$x_0(t) - x_0^*$ (requests per GPU)",
    )
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    return figure


def draining_figure(
    times: NDArray[np.float64], queues: Mapping[float, NDArray[np.float64]]
) -> Figure:
    """Decode queue against time, by patience rate, at critical load from one request per GPU."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    seconds = np.linspace(times[0], times[-1], 400)
    for (patience, queue), colour in zip(queues.items(), (ORANGE, GREEN, BLUE), strict=True):
        axes.plot(
            seconds, np.exp(-patience * seconds), color=colour, label=rf"$\theta = {patience:g}$"
        )
        axes.plot(times[::4], queue[::4], "o", color=colour, ms=4)
    axes.set(xlabel="time (s)", ylabel="decode queue (requests per GPU)", ylim=(0, 1.1))
    axes.legend(frameon=False, loc="center right")
    axes.grid(alpha=0.3)
    return figure
