"""Figures of the workload study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter, StrMethodFormatter

from ..networks.figures import BLUE, GREEN, GREY, ORANGE
from ..statistics import Fitted
from .workload_study import FIGURES, WorkloadStudy, estimate

_COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", "#E69F00")


def latency_figure(study: WorkloadStudy) -> Figure:
    """Mean, P95 and P99 latency of every rule, averaged over the draws."""
    rules = sorted(
        study.rules, key=lambda rule: study.seconds[:, study.rules.index(rule), 0].mean()
    )
    places = [study.rules.index(rule) for rule in rules]
    panels: list[tuple[str, np.ndarray]] = [
        ("latency, seconds", study.seconds[:, places].mean(axis=0)),
        ("latency, steps", study.steps[:, places].mean(axis=0)),
    ]
    figure = Figure(figsize=(9, 0.35 * len(rules) + 1.4), layout="constrained")
    rows = np.arange(len(rules))
    for axes, (label, values) in zip(figure.subplots(1, 2, sharey=True), panels, strict=True):
        for place, (name, colour) in enumerate(zip(FIGURES, _COLOURS, strict=False)):
            axes.plot(values[:, place], rows, "o", color=colour, label=name)
        axes.set(xlabel=label, xscale="log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3, which="both", axis="x")
    if study.bounds:
        bound = study.mean_bounds.mean()
        figure.axes[1].axvline(bound, color=GREY, ls="--", label="lower bound on the mean")
    figure.axes[0].set_yticks(rows, rules)
    figure.axes[0].invert_yaxis()
    handles, labels = figure.axes[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    return figure


def gain_figure(studies: Sequence[WorkloadStudy], baselines: Sequence[str], rule: str) -> Figure:
    """Gain of ``rule`` in mean latency against the share of long documents."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    sizes = sorted({study.requests for study in studies})
    styles = dict(zip(sizes, ("-", "--", ":"), strict=False))
    colours = {"lmsys": BLUE, "azure": ORANGE}
    for axes, over in zip(figure.subplots(1, len(baselines)), baselines, strict=True):
        for requests in sizes:
            for conversations, colour in colours.items():
                curve = [
                    study
                    for study in studies
                    if study.requests == requests and study.workload.conversations == conversations
                ]
                gains = [estimate(study.gains(rule, over)) for study in curve]
                axes.errorbar(
                    [study.workload.long_share for study in curve],
                    [gain.value for gain in gains],
                    yerr=[gain.value - gain.interval(0.05)[0] for gain in gains],
                    color=colour,
                    ls=styles[requests],
                    marker="o",
                    ms=4,
                    capsize=3,
                    label=f"{conversations}, n = {requests:,}",
                )
        axes.axhline(0, color=GREY, lw=0.8)
        axes.set_title(f"{rule} against {over}", fontsize=10)
        axes.set_xlabel("share of long documents")
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("mean latency saved (bars: 95 %)")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def kept_gain_figure(
    kept: Mapping[str, Mapping[float, Fitted]], unrefined: Mapping[str, Mapping[float, Fitted]]
) -> Figure:
    """Share of the gain that is kept against the prediction error, by workload."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for colour, (label, by_sigma) in zip(cycle(_COLOURS), kept.items(), strict=False):
        axes.errorbar(
            list(by_sigma),
            [each.value for each in by_sigma.values()],
            yerr=[each.value - each.interval(0.05)[0] for each in by_sigma.values()],
            color=colour,
            marker="o",
            ms=4,
            capsize=3,
            label=label,
        )
        without = unrefined[label]
        axes.plot(list(without), [each.value for each in without.values()], ":", color=colour)
    axes.axhline(0.5, color=GREY, ls="--", lw=0.8)
    axes.set(
        xlabel="standard deviation of the logarithm of the prediction error",
        ylabel="share of the gain that is kept",
        title="Dotted: evictions, but predictions are not refined (bars: 95 %)",
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    return figure
