"""Figures of the claims about fluid dynamics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ...fluid.dynamics import Trajectory, trajectory
from ...stochastic import simulate
from ...theory import ServingNetwork
from ...theory.policies import Policy
from .figures import BLUE, GREEN, GREY, ORANGE

if TYPE_CHECKING:  # the check modules import this one
    from .decode_line_evidence import LinePath
    from .fluid_limit import DistanceStudy

PATH_GPUS = (20, 500, 10_000)
_PATH_SECONDS, _PATH_SEED = 100, 20
_PATH_STYLES = ((("0.75"), 0.7), ("#56B4E9", 0.9), (BLUE, 1.1))


def distance_figure(
    studies: Mapping[str, DistanceStudy], wrong: Mapping[str, DistanceStudy]
) -> Figure:
    """Distance against the number of GPUs, right fluids and wrong ones, and slope -1/2."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    shades = (BLUE, GREEN, GREY, "#56B4E9", "#CC79A7", "#F0E442")
    for (label, study), colour in zip(studies.items(), shades, strict=False):
        curve = study.curve
        error = 1.96 * curve.standard_error
        axes.errorbar(curve.gpus, curve.gap, error, fmt="o", color=colour, capsize=3, label=label)
        if study.settled_from is None:
            axes.plot(curve.gpus, curve.gap, ":", color=colour, lw=1)
            continue
        settled = study.settled
        scale = np.exp(np.mean(np.log(settled.gap * np.sqrt(settled.gpus))))
        axes.plot(settled.gpus, scale / np.sqrt(settled.gpus), color=colour, lw=1)
    for k, study in enumerate(wrong.values()):
        axes.plot(
            study.curve.gpus,
            study.curve.gap,
            "s--",
            color=ORANGE,
            lw=1,
            label="" if k else "fluid with slower solo decodes",
        )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="number of GPUs n",
        ylabel="sup distance, requests per GPU",
        title="Chain to fluid (bars: 95 %; lines: slope −1/2, where settled)",
    )
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False, fontsize=8)
    return figure


def paths_figure(network: ServingNetwork, policy: Policy) -> Figure:
    """Queues and occupancies of the chain at three sizes around the fluid path."""
    fluid = trajectory(network, policy, horizon=_PATH_SECONDS, points=400, step=0.004)
    figure = Figure(figsize=(10, 5.2), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True).ravel()
    views: dict[str, tuple[str, int | None]] = {
        f"prefill, {name}": ("prefill", i) for i, name in enumerate(network.class_names[:2])
    }
    views[f"prefill queue, {network.class_names[0]}"] = ("prefill_queue", 0)
    views |= {
        "decode queue, all classes": ("decode_queue", None),
        "mixed decode, all classes": ("mixed_decode", None),
        "solo decode, all classes": ("solo_decode", None),
    }
    stages = ("prefill_queue", "prefill", "decode_queue", "mixed_decode", "solo_decode")

    def draw(states: NDArray[np.float64], colour: str, width: float, label: str, line: str) -> None:
        for axes, (stage, i) in zip(panels, views.values(), strict=True):
            numbers = states[:, stages.index(stage)]
            shown = numbers.sum(axis=1) if i is None else numbers[:, i]
            axes.plot(fluid.times, shown, line, color=colour, lw=width, label=label)

    for gpus, (colour, width) in zip(PATH_GPUS, _PATH_STYLES, strict=True):
        estimate = simulate(
            network,
            policy,
            gpus=gpus,
            horizon=_PATH_SECONDS,
            warmup=0,
            replications=2,
            seed=_PATH_SEED,
            grid=fluid.times,
        )
        draw(estimate.trajectories[0], colour, width, f"n = {gpus:,}", "-")
    draw(fluid.states, ORANGE, 1.6, "fluid", "--")
    for axes, title in zip(panels, views, strict=True):
        axes.set_title(title, fontsize=10)
        axes.set_ylim(0, None)
    for axes in panels[3:]:
        axes.set_xlabel("seconds")
    figure.supylabel("requests per GPU", fontsize=10)
    _legend_above(figure, panels[0])
    return figure


def tracking_figure(
    tracked: Sequence[tuple[str, Trajectory, Sequence[float], Sequence[float]]],
) -> Figure:
    """Distance of prefill and its queue to the plan: label, path, x*, q_p* of each panel."""
    figure = Figure(figsize=(4.8 * len(tracked), 3.8), layout="constrained")
    for axes, (title, path, targets, queues) in zip(
        np.atleast_1d(figure.subplots(1, len(tracked), sharey=True)), tracked, strict=True
    ):
        colours = (BLUE, GREEN, ORANGE, GREY)
        for i, colour in zip(range(path.model.classes), colours, strict=False):
            occupancy = np.abs(path.stage("prefill")[:, i] - targets[i])
            queue = np.abs(path.stage("prefill_queue")[:, i] - queues[i])
            axes.plot(path.times, occupancy, color=colour, lw=1.4, label=f"|x − x*|, class {i + 1}")
            axes.plot(
                path.times, queue, "--", color=colour, lw=1.4, label=f"|q − q*|, class {i + 1}"
            )
        axes.set(yscale="log", ylim=(1e-8, 20), xlim=(0, 200), xlabel="seconds")
        axes.set_title(title, fontsize=10)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=7)
    figure.axes[0].set_ylabel("requests per GPU")
    return figure


def drain_figure(paths: Mapping[str, Trajectory]) -> Figure:
    """The decode buffer against time, one line per case."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    styles = ((BLUE, "-"), (GREEN, "-"), (ORANGE, "--"), (GREY, "--"))
    for (label, path), (colour, line) in zip(paths.items(), styles, strict=False):
        axes.plot(
            path.times, path.stage("decode_queue").sum(axis=1), line, color=colour, label=label
        )
    axes.set(xlabel="seconds", ylabel="decode buffer, requests per GPU", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    return figure


def line_figure(lines: Sequence[LinePath]) -> Figure:
    """The wait of the head of the line and L on the path where the wait rises most."""
    shown = max(lines, key=lambda each: np.maximum(np.diff(each.wait), 0).sum())
    total = shown.wait + shown.memory
    # Until nothing is left to see.
    end = np.flatnonzero(total > 0.01 * total[0])[-1] + 1
    seconds = shown.path.times[:end]
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(seconds, shown.wait[:end], color=BLUE, label="wait w of the head of the line")
    axes.fill_between(
        seconds,
        shown.wait[:end],
        total[:end],
        color=ORANGE,
        alpha=0.25,
        lw=0,
        label="memory of the slots",
    )
    axes.plot(seconds, total[:end], color=ORANGE, label="L, their sum")
    axes.set(xlabel="seconds", ylabel="seconds", xlim=(0, seconds[-1]), ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _legend_above(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, fontsize=9
    )
