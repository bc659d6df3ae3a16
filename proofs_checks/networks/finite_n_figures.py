"""Figures of the claim `finite-n-policy`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

from ...theory import instance
from .figures import BLUE, GREEN, GREY, ORANGE
from .finite_n_study import LOSSES, PairedLosses
from .instances import NAMED_INSTANCES

if TYPE_CHECKING:
    from .finite_n_small_systems import SmallSystem

_FLOOR = 1e-5
"""Gaps below 0.001 % are drawn there."""

_POLICIES = (("gate-and-route", ORANGE, "s"), ("slot filling", BLUE, "o"))
_LOSS_COLOURS = ("#E69F00", "#56B4E9", "#0072B2", "#CC79A7", "#D55E00", "#009E73")


def gaps_figure(studies: Sequence[PairedLosses]) -> Figure:
    """Gap of both policies on every network, networks sorted by gate-and-route's."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    means = np.array([study.mean_gaps for study in studies])
    order = np.argsort(means[:, 0])
    places = np.arange(1, len(studies) + 1)
    for k, (label, colour, marker) in enumerate(_POLICIES):
        gaps = np.maximum(means[order, k], _FLOOR)
        axes.plot(places, gaps, marker, color=colour, ms=4, label=label)
    half = np.maximum(means[order, 0] / 2, _FLOOR)
    axes.plot(places, half, color=GREY, label="half of gate-and-route's")
    axes.set(
        yscale="log",
        xlabel=f"published networks, sorted (n = {studies[0].gpus} GPUs)",
        ylabel="gap to $R^*$, relative",
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(_percent))
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    axes.grid(alpha=0.3)
    return figure


def losses_figure(studies: Sequence[PairedLosses]) -> Figure:
    """Mean losses of both policies by kind, over the networks."""
    figure = Figure(figsize=(7.5, 2.6), layout="constrained")
    axes = figure.subplots()
    means = np.array([study.losses.mean(axis=0) for study in studies]).mean(axis=0)
    left = np.zeros(2)
    for k, (label, colour) in enumerate(zip(LOSSES, _LOSS_COLOURS, strict=True)):
        axes.barh((0, 1), np.maximum(means[:, k], 0), left=left, color=colour, label=label)
        left += np.maximum(means[:, k], 0)
    axes.set_yticks((0, 1), [name for name, _, _ in _POLICIES])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.set_xlabel(f"loss relative to $R^*$, mean over {len(studies)} networks")
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    return figure


def sizes_figure(studies: Sequence[PairedLosses]) -> Figure:
    """Gap against the number of GPUs on the named instances."""
    figure = Figure(figsize=(4 * len(NAMED_INSTANCES), 3.6), layout="constrained")
    panels = figure.subplots(1, len(NAMED_INSTANCES), squeeze=False, sharey=True)[0]
    for axes, name in zip(panels, NAMED_INSTANCES, strict=True):
        own = [study for study in studies if study.plan.network == instance(name)]
        gpus = np.array([study.gpus for study in own])
        for k, (label, colour, marker) in enumerate(_POLICIES):
            gaps = np.array([study.gaps[:, k] for study in own])
            errors = 1.96 * gaps.std(axis=1, ddof=1) / np.sqrt(gaps.shape[1])
            means = gaps.mean(axis=1)
            below = np.minimum(errors, 0.9 * means)
            axes.errorbar(
                gpus, means, (below, errors), fmt=marker, color=colour, capsize=3, label=label
            )
        first = own[0].mean_gaps[0]
        axes.plot(gpus, first * np.sqrt(gpus[0] / gpus), color=GREY, label="slope -1/2")
        axes.plot(gpus, own[0].mean_gaps[1] * gpus[0] / gpus, "--", color=GREY, label="slope -1")
        axes.set(xscale="log", yscale="log", xlabel="number of GPUs n")
        axes.set_title(name, fontsize=10)
        axes.set_xticks(gpus, gpus)
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(_percent))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("gap to $R^*$, relative (bars: 95 %)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    return figure


def _percent(share: float, _: int) -> str:
    return f"{100 * share:g} %"


def small_systems_figure(systems: Sequence[SmallSystem]) -> Figure:
    """Exact revenue of small systems: two policies and two optima, relative to R*."""
    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(systems))
    bars = (
        ("gate-and-route", ORANGE, [s.gate_and_route for s in systems]),
        ("best static layout, optimal control", GREEN, [s.static_optimum for s in systems]),
        ("slot filling", BLUE, [s.slot_filling for s in systems]),
        ("optimum of all policies", GREY, [s.optimum for s in systems]),
    )
    values = np.array([float(s.plan.value) for s in systems])
    for k, (label, colour, revenue) in enumerate(bars):
        axes.bar(
            places + 0.2 * (k - 1.5), np.array(revenue) / values, 0.19, color=colour, label=label
        )
    axes.set_xticks(places, [f"{s.name.removeprefix('small-')}\nn = {s.gpus}" for s in systems])
    axes.tick_params(axis="x", labelsize=8)
    axes.set(ylabel="revenue, relative to $R^*$", ylim=(0, 1))
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return figure
