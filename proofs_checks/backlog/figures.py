"""Pictures of schedules: memory over time, one colour per request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...theory.backlog import Backlog, Schedule, completions, total_latency
from ...theory.errors import InvalidInput

MOST_REQUESTS = 400
"""More bands than this cannot be told apart."""


def draw_schedule(
    axes: Axes, backlog: Backlog, schedule: Schedule, groups: Sequence[str] | None = None
) -> None:
    """Draw a feasible ``schedule`` into ``axes``: a band per request, as high as what it holds.

    Parameters
    ----------
    groups
        A label per request; requests of one label share a colour and the legend names it. Without
        labels every request has its own colour.
    """
    ends = completions(backlog, schedule)
    if len(backlog) > MOST_REQUESTS:
        allowed = f"at most {MOST_REQUESTS} bands, which can be told apart"
        raise InvalidInput("requests", len(backlog), allowed)
    if groups is not None and len(groups) != len(backlog):
        raise InvalidInput("groups", len(groups), f"{len(backlog)} labels, one per request")
    last = max(ends)
    lower = np.zeros(last)
    labels = list(groups) if groups is not None else [str(i) for i in range(len(backlog))]
    palette = _palette(labels)
    named: set[str] = set()
    for i in sorted(range(len(backlog)), key=lambda i: (schedule.starts[i], -ends[i])):
        start, end = schedule.starts[i], ends[i]
        held = np.zeros(last)
        window = slice(start, end)
        held[window] = backlog.requests[i].prompt_tokens + np.arange(1, end - start + 1)
        label = labels[i] if groups is not None and labels[i] not in named else None
        named.add(labels[i])
        edges = np.arange(start, end + 1)
        upper = (lower + held)[window]
        # One patch for all steps of a request; its white edge tells bands of a colour apart.
        axes.stairs(
            upper,
            edges,
            baseline=lower[window],
            fill=True,
            facecolor=palette[labels[i]],
            edgecolor="white",
            linewidth=0.5,
            label=label,
        )
        lower = lower + held  # a new array: the patch keeps its baseline
    axes.axhline(backlog.memory, color="0.2", linewidth=1, linestyle="--")
    axes.set(xlim=(0, last), ylim=(0, backlog.memory * 1.04), xlabel="step", ylabel="tokens held")


def schedule_figure(
    backlog: Backlog, schedules: Mapping[str, Schedule], groups: Sequence[str] | None = None
) -> Figure:
    """Schedules of one backlog above one another on a common time axis, with their latencies."""
    if not schedules:
        raise InvalidInput("schedules", {}, "at least one schedule")
    figure = Figure(figsize=(8, 1.9 * len(schedules) + 0.5), layout="constrained")
    rows = figure.subplots(len(schedules), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, schedule) in zip(rows, schedules.items(), strict=True):
        draw_schedule(axes, backlog, schedule, groups)
        latency = total_latency(backlog, schedule)
        axes.set_title(f"{name}: total latency {latency:,}", loc="left", fontsize=10)
    last = max(max(completions(backlog, schedule)) for schedule in schedules.values())
    for axes in rows:
        axes.set_xlim(0, last)
    for axes in rows[:-1]:
        axes.set_xlabel("")
    if groups is not None:
        rows[0].legend(fontsize=8, loc="upper right", framealpha=0.9)
    return figure


def _palette(labels: Sequence[str]) -> dict[str, tuple[float, ...]]:
    distinct = list(dict.fromkeys(labels))
    colours = mpl.colormaps["tab10" if len(distinct) <= 10 else "turbo"]
    if len(distinct) <= 10:
        return {label: colours(place) for place, label in enumerate(distinct)}
    return {label: colours(place / (len(distinct) - 1)) for place, label in enumerate(distinct)}
