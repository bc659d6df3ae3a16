"""Figures on what service levels and hardware are worth (Figs. 8-10 of arXiv 2602.02987 v1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...fluid import knapsack_values
from ...fluid.parametric import ValueFunction
from ...theory import Prices, ServingNetwork, exact_rates
from ...theory.sli import average_time_per_output_token
from .figures import BLUE, ORANGE

if TYPE_CHECKING:  # for annotations alone
    from .service_level_fronts import Fronts

_FINE = 400


def fronts_figure(fronts: Fronts) -> Figure:
    """Revenue and shadow price against the limits on prefill and decode fairness and TPOT."""
    figure = Figure(figsize=(10, 5.2), layout="constrained")
    panels = figure.subplots(2, 3, sharex="col", height_ratios=(3, 2))
    labels = (
        r"prefill fairness $\eta_1$, prefills per GPU",
        r"decode fairness $\eta_2$, solo decodes per GPU",
    )
    free = float(fronts.mixed_share.pieces[-1].start_value)
    for (top, bottom), front, label in zip(
        panels.T[:2], (fronts.prefill_fairness, fronts.decode_fairness), labels, strict=True
    ):
        end = 1.3 * float(front.pieces[-1].start)
        corners = [float(t) for t in front.breakpoints[:-1]]
        values = [float(front.value(t)) for t in front.breakpoints[:-1]]
        top.plot([*corners, end], [*values, free], color=BLUE)
        top.plot(corners, values, "o", color=BLUE, ms=4)
        slopes = [float(piece.slope) for piece in front.pieces]
        bottom.stairs(slopes, [*corners, end], color=ORANGE, baseline=None)
        bottom.set_xlabel(label)
    _tpot_panels(panels[0, 2], panels[1, 2], fronts)
    panels[0, 0].set_ylabel("revenue per GPU-second")
    for axes, unit in zip(panels[1], ("prefill", "solo decode", "ms"), strict=True):
        axes.set_ylabel(f"price per {unit}")
    for axes in panels.ravel():
        axes.grid(alpha=0.3)
        axes.set_ylim(0, None)
    for axes in panels[0]:
        axes.set_ylim(0, 1.05 * free)
    return figure


def _tpot_panels(top: Axes, bottom: Axes, fronts: Fronts) -> None:
    rate = exact_rates(fronts.network)
    front: ValueFunction = fronts.mixed_share
    solo_time = rate.mixed_time / rate.kappa
    spread = float((rate.batch - 1) * (rate.mixed_time - solo_time))
    last = front.pieces[-1].start
    shares = [last * Fraction(j, _FINE) * Fraction(5, 4) for j in range(_FINE + 1)]
    targets = [float(average_time_per_output_token(rate, share)) for share in shares]
    top.plot([1e3 * t for t in targets], [float(front.value(s)) for s in shares], color=BLUE)
    corners = front.breakpoints[:-1]
    top.plot(
        [1e3 * float(average_time_per_output_token(rate, s)) for s in corners],
        [float(front.value(s)) for s in corners],
        "o",
        color=BLUE,
        ms=4,
    )
    slopes = [
        float(front.piece(s).slope) * rate.batch * spread / (spread + t - float(solo_time)) ** 2
        for s, t in zip(shares, targets, strict=True)
    ]
    bottom.plot([1e3 * t for t in targets], [s / 1e3 for s in slopes], color=ORANGE)
    for axes in (top, bottom):
        axes.axvline(1e3 * float(solo_time), color="0.4", ls=":")
    bottom.set_xlabel(r"average TPOT $\eta_3$, ms (dotted: $1/\gamma$)")


def batch_figure(values: Mapping[str, Mapping[int, Fraction]]) -> Figure:
    """Revenue against the number of batch slots, as a share of what it is with the most."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.subplots()
    for (name, revenue), colour in zip(values.items(), (BLUE, ORANGE), strict=False):
        most = max(revenue.values())
        shares = [float(value / most) for value in revenue.values()]
        axes.plot(list(revenue), shares, "o-", color=colour, ms=3, label=name)
    axes.axvline(16, color="0.4", ls=":")
    axes.set(xlabel="batch slots B", ylabel="$R^*(B)$, share of the revenue of all arrivals")
    axes.set(xlim=(0, 34), ylim=(0, 1.05))
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    return figure


def speed_heatmap_figure(network: ServingNetwork) -> Figure:
    """R* over batch slots and seconds per prefill token."""
    batches = np.arange(1.0, 33.0)
    betas = np.geomspace(2e-5, 1e-3, 31)  # kappa >= (B-1)/B on all of it
    time = network.gpu.iteration_time
    variants = [
        replace(
            network,
            gpu=replace(
                network.gpu, batch=int(b), iteration_time=replace(time, beta=float(f"{beta:.4g}"))
            ),
        )
        for beta in betas
        for b in batches
    ]
    values = knapsack_values(variants).reshape(len(betas), len(batches)).astype(float)
    figure, axes = _heatmap(batches, betas, values)
    axes.axhline(time.beta, color="white", ls=":", lw=1)
    axes.plot(network.gpu.batch, time.beta, "o", color="white", ms=5)
    axes.set(xlabel="batch slots B", ylabel=r"$\beta$, seconds per prefill token", yscale="log")
    return figure


def price_heatmap_figure(network: ServingNetwork) -> Figure:
    """R* over both prices, with lines of constant c_p + c_d and the best point on each."""
    prices = np.linspace(0, 0.5, 26).round(2)
    variants = [
        replace(network, prices=Prices(float(prompt), float(output)))
        for output in prices
        for prompt in prices
    ]
    values = knapsack_values(variants).reshape(len(prices), len(prices)).astype(float)
    figure, axes = _heatmap(prices, prices, values)
    for budget in (0.1, 0.2, 0.3, 0.4):
        axes.plot([0, budget], [budget, 0], color="white", lw=1)
        on_line = [j for j, price in enumerate(prices) if price <= budget + 1e-9]
        revenue = [values[on_line[-1] - j, j] for j in on_line]
        best = on_line[int(np.argmax(revenue))]
        axes.plot(prices[best], prices[on_line[-1] - best], "o", color=ORANGE, ms=7, clip_on=False)
    axes.set(xlabel="price of a prompt token $c_p$", ylabel="price of an output token $c_d$")
    return figure


def _heatmap(
    horizontal: NDArray[np.float64], vertical: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    mesh = axes.pcolormesh(horizontal, vertical, values, cmap="viridis", shading="nearest")
    figure.colorbar(mesh, ax=axes, label="$R^*$ per GPU-second")
    return figure, axes
