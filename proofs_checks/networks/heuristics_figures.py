"""Figures of the comparison of policies: every network a dot."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from .figures import BLUE, GREY, ORANGE


def policies_figure(
    revenue: Mapping[str, NDArray[np.float64]], decode_bound: NDArray[np.bool_]
) -> Figure:
    """Revenue relative to R* by policy: networks as dots, mean and standard deviation beside."""
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    jitter = np.linspace(-0.22, 0.08, len(decode_bound))
    for place, values in enumerate(revenue.values()):
        for kind, colour, label in (
            (decode_bound, BLUE, "network, decode capacity binds"),
            (~decode_bound, ORANGE, "network, short outputs"),
        ):
            axes.plot(
                place + jitter[kind],
                values[kind],
                ".",
                color=colour,
                ms=5,
                alpha=0.6,
                label=label if place == 0 else None,
            )
        axes.errorbar(
            place + 0.28,
            values.mean(),
            yerr=values.std(ddof=1),
            fmt="s",
            color="black",
            ms=5,
            capsize=4,
            label="mean and standard deviation" if place == 0 else None,
        )
    axes.axhline(1.0, color=GREY, lw=1, ls="--", label="upper bound $R^*$")
    axes.set_xticks(range(len(revenue)), list(revenue))
    axes.set(ylim=(0, None), ylabel="revenue relative to $R^*$")
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def lead_figure(
    leads: Mapping[str, NDArray[np.float64]], decode_bound: NDArray[np.bool_]
) -> Figure:
    """Lead of some policies over gate-and-route, networks in order of the lead."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    panels = figure.subplots(1, len(leads), sharey=True, squeeze=False)[0]
    for axes, (name, values) in zip(panels, leads.items(), strict=True):
        order = np.argsort(values)
        colours = np.where(decode_bound[order], BLUE, ORANGE)
        axes.bar(np.arange(len(order)), values[order], color=colours, width=1.0)
        axes.axhline(0, color="black", lw=0.8)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("networks, in order")
        axes.set_xticks([])
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(axis="y", alpha=0.3)
    panels[0].set_ylabel("revenue minus that of\ngate-and-route, of $R^*$")
    for colour, label in ((BLUE, "decode capacity binds"), (ORANGE, "short outputs")):
        panels[0].bar([0], [0], color=colour, label=label)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure
