"""Figures of the ratio hunt: how the largest ratios grow."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..networks.figures import BLUE, GREEN, GREY, ORANGE
from .ratio_members import FAMILIES, KIND_OF_RULE, RatioFamily
from .ratio_records import EXHAUSTIVE, HUNTED_RULES, Record, largest

_COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", "#E69F00")
_MOST_REQUESTS_SHOWN = 8


def request_figure(found: Sequence[Record]) -> Figure:
    """Largest ratio of every rule against the number of requests."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    optimal = [record for record in found if record.optimal]
    for rule, colour in zip(HUNTED_RULES, _COLOURS, strict=True):
        by_requests = {
            requests: record
            for requests, record in largest(optimal, rule).items()
            if requests <= _MOST_REQUESTS_SHOWN
        }
        ratios = [float(record.ratio) for record in by_requests.values()]
        axes.plot(list(by_requests), ratios, "o-", color=colour, ms=5, label=rule)
    axes.set(
        xlabel="requests",
        ylabel="latency of the rule over the optimum",
        title="Largest ratio found, against exact optima",
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    return figure


def memory_figure(found: Sequence[Record]) -> Figure:
    """Largest ratio of Sorted-F over all backlogs of a size, against the memory."""
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    panels = figure.subplots(1, len(KIND_OF_RULE), sharey=True)
    for axes, rule in zip(panels, KIND_OF_RULE, strict=True):
        exhausted = [r for r in found if r.rule == rule and r.found_by == EXHAUSTIVE]
        sizes = sorted({len(record.pairs) for record in exhausted})
        for requests, colour in zip(sizes, _COLOURS, strict=False):
            curve = {r.memory: float(r.ratio) for r in exhausted if len(r.pairs) == requests}
            axes.plot(
                list(curve), list(curve.values()), "o-", color=colour, ms=4, label=f"n = {requests}"
            )
        axes.set(title=rule, xlabel="memory $M$, tokens")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("latency over the optimum")
    panels[0].legend(frameon=False, fontsize=9)
    figure.suptitle("Every backlog of the size, largest ratio")
    return figure


def family_figure(families: Sequence[RatioFamily] = FAMILIES) -> Figure:
    """Ratio of every family against the number of requests, with its limit."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for family, colour in zip(families, _COLOURS, strict=False):
        requests, ratios = zip(*family.sizes(), strict=True)
        limit = float(family.claimed)
        scope = "common start" if len(family.rules) == 1 else "both"
        axes.plot(requests, ratios, "o-", color=colour, ms=4, label=f"{family.name} ({scope})")
        axes.axhline(limit, color=colour, ls="--", lw=1)
        axes.annotate(
            f"{limit:.4g}",
            (1, limit),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 2),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=GREY,
        )
    axes.set(
        xscale="log",
        xlabel="requests",
        ylabel="TEL(Sorted-F) / TEL(reference)",
        title="Families by their closed forms; dashed: limits",
    )
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False, loc="lower right")
    return figure
