"""FCFS, shortest output first and shortest total first lose without bound.

Evidence for each family of `kurtz.theory.backlog.counterexamples`: the closed forms and the bound
for every M, step by step; limits along the memories at which nothing is rounded; the rule, run on
every M of a range, starts every request when stated, and the ratio keeps to the bound; against
exact optima while these are within reach. Further, the smallest instances on which the rule loses
more than a factor of 2, 3 and 5.

Controls: the same comparisons for the families with equal prompts, and where blocked heads are
skipped. There the rule is compared with the sum of outputs, which no schedule beats, so that the
ratio is at least what the rule loses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial

import numpy as np
import sympy
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from ...fluid.backlog import optimum, schedule
from ...theory.backlog import Schedule, total_latency
from ...theory.backlog.counterexamples import (
    BLOCKING_HEAD,
    FIRST_COME,
    FIRST_COME_SKIPPING,
    SHORTEST_OUTPUT,
    SHORTEST_TOTAL,
    Counterexample,
)
from ...theory.backlog.families import Family
from ...theory.claims import Grade
from ..derived import derivation_evidence
from ..networks.figures import BLUE, GREEN, GREY, ORANGE
from ..verdict import Evidence, Findings, Level, Report, outcome_of
from .smallest_losses import smallest_loss_evidence

LARGEST_MEMORY = {"quick": 400, "full": 1000}
MOST_REQUESTS_FOR_OPTIMA = {"quick": 9, "full": 12}
LARGEST_MEMORY_FOR_OPTIMA = 60


def check_first_come(level: Level, report: Report) -> Findings:
    """Decide the claim for FCFS, blocked heads skipped or not, at ``level``."""
    return _check((FIRST_COME, FIRST_COME_SKIPPING, BLOCKING_HEAD), level, report)


def check_shortest_output(level: Level, report: Report) -> Findings:
    """Decide the claim for shortest output first at ``level``."""
    return _check((SHORTEST_OUTPUT,), level, report)


def check_shortest_total(level: Level, report: Report) -> Findings:
    """Decide the claim for shortest total first at ``level``."""
    return _check((SHORTEST_TOTAL,), level, report)


def simulate(family: Family, memories: Sequence[int]) -> dict[int, Schedule]:
    """The rule's schedules by memory, for those of ``memories`` at which the family exists."""
    return {
        memory: schedule(family.backlog(memory), family.rule)
        for memory in memories
        if memory >= family.least_memory
    }


def ratio_to_reference(family: Family, memory: int, started: Schedule) -> Fraction:
    """Latency of a schedule over the reference's: at most what it loses."""
    backlog = family.backlog(memory)
    reference = family.reference_schedule(memory)
    return Fraction(total_latency(backlog, started), total_latency(backlog, reference))


def ratio_to_outputs(family: Family, memory: int, started: Schedule) -> Fraction:
    """Latency of a schedule over the sum of outputs: at least what it loses."""
    backlog = family.backlog(memory)
    return Fraction(total_latency(backlog, started), int(backlog.outputs.sum()))


def ratios_to_optimum(counterexample: Counterexample, most_requests: int) -> dict[int, Fraction]:
    """What the rule loses against the exact optimum, by memory, while the backlogs are small."""
    family = counterexample.family
    ratios = {}
    for memory in range(family.least_memory, LARGEST_MEMORY_FOR_OPTIMA + 1):
        backlog = family.backlog(memory)
        if len(backlog) <= most_requests:
            latency = total_latency(backlog, schedule(backlog, family.rule))
            best = optimum(backlog)
            if not best.is_optimal:
                raise ArithmeticError(f"no exact optimum of {family.name} at M = {memory}")
            ratios[memory] = Fraction(latency, best.latency)
    return ratios


def ratio_figure(
    counterexample: Counterexample,
    simulated: Mapping[int, Fraction],
    to_optimum: Mapping[int, Fraction],
) -> Figure:
    """Ratio against memory: closed form, simulated rule, exact optima, bound and control."""
    family, control = counterexample.family, counterexample.controls[0]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    memories = list(simulated)
    dots = sorted({memories[int(place)] for place in np.geomspace(1, len(memories), 30) - 1})
    axes.plot(
        memories,
        [float(counterexample.ratio_at(memory)) for memory in memories],
        color=BLUE,
        label="closed form",
    )
    axes.plot(dots, [float(simulated[m]) for m in dots], "o", color=BLUE, ms=4, label="simulated")
    axes.plot(
        list(to_optimum),
        [float(ratio) for ratio in to_optimum.values()],
        "s",
        color=ORANGE,
        ms=4,
        label="against the exact optimum",
    )
    axes.plot(
        memories,
        [float(family.value(counterexample.bound, memory)) for memory in memories],
        color=GREY,
        lw=1,
        label=f"proved for every M: {_bound_text(counterexample)}",
    )
    flat = [memory for memory in memories if memory >= control.least_memory]
    over_outputs = control.rule_latency / control.outputs
    axes.plot(
        flat,
        [float(control.value(over_outputs, memory)) for memory in flat],
        color=GREEN,
        ls="--",
        label="equal prompts, at most",
    )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="memory $M$, tokens",
        ylabel="latency of the rule, relative",
        title=f"{family.rule}: {family.name}",
    )
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.legend(frameon=False)
    axes.grid(alpha=0.3, which="both")
    return figure


def _check(counterexamples: Sequence[Counterexample], level: Level, report: Report) -> Findings:
    report("smallest instances")
    evidence = smallest_loss_evidence(counterexamples[0].family.rule, level)
    controls: dict[str, tuple[Evidence, ...]] = {}
    figures: dict[str, Callable[[], Figure]] = {}
    for counterexample in counterexamples:
        family = counterexample.family
        memories = range(family.least_memory, LARGEST_MEMORY[level] + 1)
        report(f"{family.name}: proof for every M")
        evidence += [
            derivation_evidence(counterexample.derivation()),
            _limit(family, counterexample.ratio, "the ratio", sympy.oo),
            _limit(
                family,
                counterexample.ratio / counterexample.growth,
                f"the ratio over {counterexample.growth}",
                sympy.Integer(1),
            ),
        ]
        report(f"{family.name}: the rule on every M up to {memories[-1]}")
        simulated = simulate(family, memories)
        ratios = {
            memory: ratio_to_reference(family, memory, simulated[memory]) for memory in memories
        }
        report(f"{family.name}: exact optima")
        to_optimum = ratios_to_optimum(counterexample, MOST_REQUESTS_FOR_OPTIMA[level])
        evidence += [
            _schedules_agree(family, simulated),
            _ratio_grows(counterexample, "against exact optima", to_optimum),
            _ratio_grows(counterexample, family.name, ratios),
        ]
        for control in counterexample.controls:
            to_outputs = {
                memory: ratio_to_outputs(control, memory, started)
                for memory, started in simulate(control, memories).items()
            }
            controls[control.name] = (
                _limit(control, control.rule_latency / control.outputs, "the ratio", sympy.oo),
                _ratio_grows(counterexample, control.name, to_outputs),
            )
        figures[f"ratio-{family.rule}-{family.name}".replace(",", "").replace(" ", "-")] = partial(
            ratio_figure, counterexample, ratios, to_optimum
        )
    return Findings(tuple(evidence), controls, figures)


def _limit(family: Family, expression: sympy.Expr, what: str, claimed: sympy.Expr) -> Evidence:
    found = family.limit(expression)
    return Evidence(
        name=f"limit of {what}: {family.name}",
        grade=Grade.PROVED,
        outcome=outcome_of(found == claimed),
        claimed=str(claimed),
        computed=str(found),
        detail=f"SymPy, along M = {family.smooth_memory}: {family.at_smooth_memory(expression)}",
    )


def _schedules_agree(family: Family, simulated: Mapping[int, Schedule]) -> Evidence:
    unequal = [m for m, started in simulated.items() if started != family.rule_schedule(m)]
    return Evidence(
        name=f"the rule starts every request as stated: {family.name}",
        grade=Grade.EXHAUSTED,
        outcome=outcome_of(not unequal),
        claimed=f"equal schedules for every M = {min(simulated)} ... {max(simulated)}",
        computed=f"{len(simulated) - len(unequal)} of {len(simulated)} equal",
        detail="start by start; both schedules validated",
    )


def _ratio_grows(
    counterexample: Counterexample, name: str, ratios: Mapping[int, Fraction]
) -> Evidence:
    family = counterexample.family
    slack = {
        memory: ratio - family.value(counterexample.bound, memory)
        for memory, ratio in ratios.items()
    }
    fails = [memory for memory in slack if slack[memory] < 0]
    last = max(ratios)
    return Evidence(
        name=f"ratio at least {_bound_text(counterexample)}: {name}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(not fails),
        claimed=f"at each of {len(ratios)} memories up to {last} tokens",
        computed=f"at {len(ratios) - len(fails)}; {float(ratios[last]):.4g} at {last} tokens",
        slack=float(min(slack.values())),
        detail="exact fractions of integer latencies",
    )


def _bound_text(counterexample: Counterexample) -> str:
    return str(counterexample.family.in_memory(counterexample.bound))
