"""Figure of the gap under traffic that is not Markov's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter
from numpy.typing import NDArray

from ..statistics import GapCurve
from .figures import BLUE, GREEN, GREY, ORANGE

_STYLES = (
    (GREY, "o"),
    (BLUE, "s"),
    (GREEN, "^"),
    ("#CC79A7", "D"),
    ("#E69F00", "v"),
)


def traffic_figure(
    curves: Mapping[str, GapCurve], bursts: Mapping[int, NDArray[np.float64]]
) -> Figure:
    """Gap to R* against the number of GPUs, by traffic; a line of slope -1/2 for comparison."""
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axes = figure.subplots()
    spread = np.linspace(0.94, 1.06, len(curves))
    for (name, curve), (colour, marker), shift in zip(
        curves.items(), _STYLES, spread, strict=False
    ):
        axes.errorbar(
            curve.gpus * shift,
            curve.gap,
            yerr=1.96 * curve.standard_error,
            fmt=marker,
            color=colour,
            capsize=2,
            ms=5,
            label=name,
        )
    axes.errorbar(
        list(bursts),
        [gaps.mean() for gaps in bursts.values()],
        yerr=[1.96 * gaps.std(ddof=1) / np.sqrt(len(gaps)) for gaps in bursts.values()],
        fmt="X",
        color=ORANGE,
        capsize=2,
        ms=7,
        label="one tenant (bursts reach all GPUs)",
    )
    first = next(iter(curves.values()))
    line = first.gap[0] * np.sqrt(first.gpus[0] / first.gpus)
    axes.plot(first.gpus, line, color=GREY, lw=1, ls="--", label="slope −1/2")
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="number of GPUs n",
        ylabel="gap to $R^*$, relative",
    )
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.grid(alpha=0.3, which="both")
    return figure
