"""Figures of the small systems: who earns what, and what the optimal gate does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...theory import GateAndRoute
from .figures import BLUE, GREEN, GREY, ORANGE
from .small_systems import SmallSystem, Study, gate_decisions

CLASS_COLOURS = (ORANGE, BLUE)

RAREST = 1e-6
"""Situations that occur less often per second than this are not drawn."""


def sandwich_figure(study: Study) -> Figure:
    """Revenue over R*: gate-and-route, the optimum of its layout, the optimum without one."""
    instances = list(dict.fromkeys(name for name, _ in study))
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    for axes, instance in zip(
        figure.subplots(1, len(instances), sharey=True), instances, strict=True
    ):
        systems = {gpus: s for (name, gpus), s in study.items() if name == instance}
        sizes = list(systems)
        bound = float(systems[sizes[0]].plan.value)
        axes.axhline(1, color=GREY, ls="--", label="$R^*$")
        for marker, colour, label, values in (
            ("D", GREEN, "optimal, no GPU dedicated", [s.undedicated for s in systems.values()]),
            ("o", BLUE, "optimal, layout of the plan", [s.planned for s in systems.values()]),
        ):
            shares = [float(control.upper) / bound for control in values]
            axes.plot(sizes, shares, marker, color=colour, ms=8, label=label)
        shares = [s.gate_and_route.revenue_rate / bound for s in systems.values()]
        axes.plot(sizes, shares, "x", color="black", ms=7, mew=1.6, label="gate-and-route")
        axes.set_title(instance, fontsize=10)
        axes.set_xticks(sizes)
        axes.set_xlim(sizes[0] - 0.5, sizes[-1] + 0.5)
        axes.set_ylim(0, 1.08)
        axes.set_xlabel("number of GPUs n")
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("revenue per GPU-second / $R^*$")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False, fontsize=9)
    return figure


def gate_figure(system: SmallSystem) -> Figure:
    """Whom an idle prefill slot admits: the optimal gate above, gate-and-route below."""
    rows = {
        "optimal": gate_decisions(system),
        "gate-and-route": gate_decisions(system, GateAndRoute(system.plan)),
    }
    seen = [key for key, rates in rows["optimal"].items() if sum(rates.values()) >= RAREST]
    waiting = sorted({here for here, _ in seen}, key=lambda here: (len(here), here))
    counts = range(max(decodes for _, decodes in seen) + 1)
    names = system.plan.network.class_names
    admissions = list(zip(range(len(names)), CLASS_COLOURS, names, strict=True))
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    panels = figure.subplots(2, len(waiting), sharex=True, sharey=True, squeeze=False)
    for line, (title, decisions) in zip(panels, rows.items(), strict=True):
        line[0].set_ylabel(f"{title}:\nshare of decisions")
        for axes, here in zip(line, waiting, strict=True):
            shown = {decodes: decisions[here, decodes] for who, decodes in seen if who == here}
            _stack_shares(axes, shown, [*admissions, (None, "0.85", "nobody")])
            axes.axvline(system.decode_slots - 0.5, color="black", ls=":", lw=1.2)
    for axes, here in zip(panels[0], waiting, strict=True):
        axes.set_title(" and ".join(names[i] for i in here) + " waiting", fontsize=9)
    for axes in panels[1]:
        axes.set_xticks(counts)
        axes.set_xlabel("requests in decode or waiting for it")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    labels = ["admits " + label for label in labels]
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    return figure


def _stack_shares(
    axes: Axes,
    decisions: Mapping[int, Mapping[int | None, float]],
    choices: Sequence[tuple[int | None, str, str]],
) -> None:
    """Bars over the number of decodes: shares of the choices, one on top of the other."""
    places = sorted(decisions)
    totals = np.array([sum(decisions[place].values()) for place in places])
    bottom = np.zeros(len(places))
    for choice, colour, label in choices:
        rates = np.array([decisions[place].get(choice, 0.0) for place in places])
        axes.bar(places, rates / totals, 0.8, bottom=bottom, color=colour, label=label)
        bottom += rates / totals
