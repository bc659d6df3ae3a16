"""Figures on pricing: the concave form of the separate program, and price ratios."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from ...fluid.separate import ConcaveForm
from .figures import BLUE, GREEN, GREY, ORANGE

if TYPE_CHECKING:  # the check modules import this one
    from .constant_price_ratio import Segment


def concave_figure(form: ConcaveForm, by_prompts: ConcaveForm) -> Figure:
    """Decode work and capacity, and revenue, against the share of mixed GPUs."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    corners = {*form.candidates(), *by_prompts.candidates()}
    shares = sorted(corners | {form.work[-1][0] * Fraction(j, 200) for j in range(201)})
    horizontal = [float(share) for share in shares]

    def drawn(values: Sequence[Fraction]) -> np.ndarray:
        return np.array(values, dtype=float)

    left.plot(
        horizontal,
        drawn([form.decode_work(s) for s in shares]),
        color=BLUE,
        label="created, D/P first",
    )
    left.plot(
        horizontal,
        drawn([by_prompts.decode_work(s) for s in shares]),
        color=ORANGE,
        ls="--",
        label="created, P/D first",
    )
    left.plot(horizontal, drawn([form.capacity(s) for s in shares]), color=GREY, label="capacity")
    left.set(
        xlabel="share X of mixed GPUs", ylabel="decode work, mixed slots per GPU", ylim=(0, None)
    )
    right.plot(horizontal, drawn([form.revenue(s) for s in shares]), color=BLUE, label="D/P first")
    right.plot(
        horizontal,
        drawn([by_prompts.revenue(s) for s in shares]),
        color=ORANGE,
        ls="--",
        label="P/D first",
    )
    prompts = drawn([form.prompt_revenue * s for s in shares])
    right.plot(horizontal, prompts, color=GREEN, lw=1, label="prompts alone")
    best, value = form.maximum()
    right.plot(float(best), float(value), "o", color=BLUE, label="certified optimum of (42)")
    right.set(xlabel="share X of mixed GPUs", ylabel="revenue per GPU-second", ylim=(0, None))
    for axes in (left, right):
        axes.legend(frameon=False, fontsize=8)
        axes.set_xlim(0, None)
        axes.grid(alpha=0.3)
    return figure


def price_ratio_figure(fixed: Sequence[Segment], responding: Sequence[Segment]) -> Figure:
    """Revenue over k along c_p + c_d = k, without and with a demand response."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    panels = figure.subplots(1, 2)
    titles = ("arrivals fixed", "arrivals fall with the price")
    for axes, several, title in zip(panels, (fixed, responding), titles, strict=True):
        for segment, colour, width in zip(several, (GREEN, ORANGE, BLUE), (6, 3, 1), strict=False):
            values = np.array(segment.revenues, dtype=float) / float(segment.budget)
            shares = np.linspace(0, 1, len(values))
            axes.plot(
                shares, values, color=colour, lw=width, label=f"k = {float(segment.budget):g}"
            )
            best = [float(share) for share in segment.best_shares]
            axes.plot(best, [values.max()] * len(best), "o", color=colour, ms=4 + width)
        axes.set(
            xlabel="share of prompts in the price, $c_p / k$",
            ylabel="revenue per GPU-second, divided by k",
            title=title,
            ylim=(0, None),
        )
        axes.legend(frameon=False, fontsize=8)
        axes.grid(alpha=0.3)
    return figure
