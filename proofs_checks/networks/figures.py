"""Figures of the ledger and the book, drawn from what checks computed.

Every function returns a Matplotlib figure of its own; nothing is shown and no global state of
pyplot is touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter

from ...fluid import Plan
from ...stochastic import Estimate
from ...theory.steady_state import OCCUPANCIES, OccupancyTargets
from ..statistics import GapCurve, fitted_exponent

if TYPE_CHECKING:  # the check modules import this one
    from .gap_study import GapStudy
    from .iteration_time_law import MeasuredEntry
    from .sli_penalties import PenalisedStudy

# Okabe and Ito's palette, which colour-blind readers can tell apart.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
_COLOURS = (BLUE, ORANGE, GREEN, GREY)

_BLOCK_LABELS = dict(
    zip(
        OCCUPANCIES,
        ("prefill", "mixed decode", "solo decode", "prefill queue", "decode queue"),
        strict=True,
    )
)


def gap_figure(study: GapStudy, without_gate: GapStudy) -> Figure:
    """Gap to R* against the number of GPUs, with and without the gate, and the fitted slope."""
    return gap_comparison_figure(
        {"gate-and-route": study, "no gate (first come, first served)": without_gate}
    )


def gap_comparison_figure(studies: Mapping[str, GapStudy]) -> Figure:
    """Gaps to the plan's value against the number of GPUs, and the first one's fitted slope."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for (label, each), colour, marker in zip(studies.items(), _COLOURS, "osD^", strict=False):
        _draw_gaps(axes, label, each.curve, colour, marker)
    study = next(iter(studies.values()))
    settled = study.settled
    if np.all(settled.gap > 0):
        exponent = fitted_exponent(settled)
        low, high = exponent.interval(0.05)
        scale = np.exp(
            np.average(
                np.log(settled.gap) - exponent.value * np.log(settled.gpus),
                weights=(settled.gap / settled.pooled_errors) ** 2,
            )
        )
        axes.plot(
            settled.gpus,
            scale * settled.gpus.astype(float) ** exponent.value,
            color=BLUE,
            label=f"slope {exponent.value:.2f}, 95 % interval [{low:.2f}, {high:.2f}]",
        )
        axes.axvspan(settled.gpus[0], settled.gpus[-1], color=BLUE, alpha=0.07, lw=0)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="number of GPUs n",
        ylabel="gap to the value of the plan, relative",
        title="Gap to the value of the plan (bars: 95 %; shaded: range of the fit)",
    )
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(frameon=False)
    axes.grid(alpha=0.3, which="both")
    return figure


def occupancy_figure(plan: Plan, estimate: Estimate) -> Figure:
    """Requests per GPU in every stage: the plan beside what was simulated, per class."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    names = estimate.class_names
    positions = np.arange(len(names))
    for axes, stage in zip(figure.subplots(1, len(OCCUPANCIES)), OCCUPANCIES, strict=True):
        planned = [float(value) for value in getattr(plan, stage)]
        measured = estimate.occupancies[stage]
        means = [i.mean for i in measured]
        errors = [[i.mean - i.ci[0] for i in measured], [i.ci[1] - i.mean for i in measured]]
        axes.bar(positions - 0.2, planned, 0.38, color=GREY, label="plan")
        axes.bar(
            positions + 0.2,
            means,
            0.38,
            yerr=errors,
            color=BLUE,
            capsize=2,
            label=f"n = {estimate.gpus:,}",
        )
        axes.set_title(_BLOCK_LABELS[stage], fontsize=9)
        axes.set_xticks(positions, names, rotation=90, fontsize=7)
        axes.tick_params(axis="y", labelsize=7)
    figure.axes[0].set_ylabel("requests per GPU")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return figure


def shadow_price_figure(plan: Plan) -> Figure:
    """Shadow price of every constraint of the plan."""
    figure = Figure(figsize=(7, 0.32 * len(plan.shadow_prices) + 1), layout="constrained")
    axes = figure.subplots()
    names = list(plan.shadow_prices)
    prices = [float(price) for price in plan.shadow_prices.values()]
    bars = axes.barh(range(len(names)), prices, color=BLUE)
    axes.bar_label(bars, [f"{price:.2f}" for price in prices], padding=3, fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("revenue per GPU-second and unit of the constraint")
    return figure


def calibration_figure(entries: Sequence[MeasuredEntry]) -> Figure:
    """Measured mixed iteration times, the fitted lines and their 95 % bands."""
    columns = 3
    rows = -(-len(entries) // columns)
    figure = Figure(figsize=(9, 2.7 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, entry in zip(panels, entries, strict=False):
        chunks = np.linspace(*entry.fit.chunk_range, 50)
        low, high = entry.fit.confidence_band(chunks)
        time = entry.fit.iteration_time
        axes.fill_between(chunks, 1e3 * low, 1e3 * high, color=BLUE, alpha=0.15, lw=0)
        axes.plot(chunks, 1e3 * (time.alpha + time.beta * chunks), color=BLUE)
        axes.plot(entry.chunks, 1e3 * entry.seconds, "o", color=ORANGE, ms=4)
        axes.set_title(f"{entry.name}\nR² = {entry.fit.r_squared:.4f}", fontsize=8)
        axes.tick_params(labelsize=7)
    for axes in panels[len(entries) :]:
        axes.remove()
    figure.supxlabel("chunk, tokens", fontsize=9)
    figure.supylabel("mixed iteration, ms", fontsize=9)
    return figure


def revenue_figure(studies: Mapping[str, GapStudy]) -> Figure:
    """Revenue as a share of the plan's value against the number of GPUs, where gaps may vanish."""
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.axhline(1, color=GREY, lw=1, label="value of the plan")
    for (label, study), colour, marker in zip(studies.items(), _COLOURS, "osD^", strict=False):
        axes.errorbar(
            study.curve.gpus,
            1 - study.curve.gap,
            yerr=1.96 * study.curve.standard_error,
            fmt=marker,
            color=colour,
            capsize=3,
            label=label,
        )
    axes.set(xscale="log", xlabel="number of GPUs n", ylabel="revenue / value of the plan")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    return figure


def class_occupancies_figure(
    plan: OccupancyTargets, runs: Mapping[str, Sequence[Estimate]]
) -> Figure:
    """Mixed and solo decode occupancies per class against n, beside the plan (lines)."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    names = plan.network.class_names
    stages = ("mixed_decode", "solo_decode")
    for axes, stage in zip(figure.subplots(1, len(stages)), stages, strict=True):
        for i, name in enumerate(names):
            colour = _COLOURS[i % len(_COLOURS)]
            axes.axhline(float(getattr(plan, stage)[i]), color=colour, label=f"plan, {name}")
            for (label, estimates), marker in zip(runs.items(), "osD^", strict=False):
                measured = [estimate.occupancies[stage][i] for estimate in estimates]
                axes.errorbar(
                    [estimate.gpus for estimate in estimates],
                    [each.mean for each in measured],
                    yerr=[each.mean - each.ci[0] for each in measured],
                    fmt=marker,
                    mfc="none" if marker != "o" else None,
                    color=colour,
                    capsize=2,
                    label=f"{label}, {name}",
                )
        axes.set(xscale="log", xlabel="number of GPUs n", title=_BLOCK_LABELS[stage])
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("requests per GPU (bars: 95 %)")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def objective_figure(panels: Mapping[str, Mapping[str, PenalisedStudy]]) -> Figure:
    """Gaps of the penalised objective to the value of (49), one panel per penalty."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    for axes, (title, studies) in zip(
        np.ravel(figure.subplots(1, len(panels), squeeze=False)), panels.items(), strict=True
    ):
        axes.axhline(0, color=GREY, lw=1)
        for (label, each), colour, marker in zip(studies.items(), _COLOURS, "osD^", strict=False):
            _draw_gaps(axes, label, each.curve, colour, marker)
        axes.set(xscale="log", xlabel="number of GPUs n", title=title)
        axes.title.set_fontsize(9)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("short of the value, of the revenue")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def _draw_gaps(axes: Axes, label: str, curve: GapCurve, colour: str, marker: str) -> None:
    """Gaps of a curve against the number of GPUs with 95 % bars."""
    axes.errorbar(
        curve.gpus,
        curve.gap,
        yerr=1.96 * curve.standard_error,
        fmt=marker,
        color=colour,
        capsize=3,
        label=label,
    )
