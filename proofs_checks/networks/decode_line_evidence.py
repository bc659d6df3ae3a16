r"""Evidence on the decode buffer as a line: two functions that never rise, and who drains it.

The proofs are in `kurtz.theory.derivations.decode_line`. Here their algebra runs for three classes
in symbols and for up to six in exact fractions; and the function L of the second one, computed from
the states of a trajectory alone, has to fall along paths from random decode stages. Those paths
start where prefill already stands at the plan, so that the wait w of the head of the line can be
read off its length; the router does not look at the class, and slots hold planned classes.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from ...fluid import Plan, plan
from ...fluid.dynamics import FluidState, Trajectory, fluid_model, trajectories
from ...theory import GateAndRoute, exact_rates, rates
from ...theory.claims import Grade
from ...theory.decode_modes import DecodeModes, decode_modes, modes_of_mixture
from ...theory.derivations.decode_line import interlacing
from ...theory.published_networks import published_networks
from ...theory.random_networks import random_network
from ...theory.steady_state import decode_buffer_condition
from ..verdict import Evidence, outcome_of

MOST_CLASSES = 6
WAITS = np.geomspace(1e-3, 1e3, 61)
"""Waits, in units of the longest mean patience, at which the bracket is computed."""

POINTS, TURNOVERS = 1_000, 6
"""Recorded points of a path, and its length in mean durations of the slowest decode or patience."""

RISE = 1e-9
"""Seconds by which L may rise over a whole path: the scheme keeps its fall up to rounding."""


@dataclass(frozen=True)
class LinePath:
    """A trajectory with prefill at the plan, and what the line and the slots remember.

    Attributes
    ----------
    wait
        Shape (points,): seconds that the head of the decode buffer has waited.
    memory
        Shape (points,): the part of L that the slots hold.
    """

    best: Plan
    path: Trajectory
    wait: NDArray[np.float64]
    memory: NDArray[np.float64]


def line_plans(generator: random.Random, count: int) -> list[Plan]:
    """Random plans of two to four classes, some of which never give up.

    These are served in full, so that taking their patience leaves the plan as it is; one planned
    class at least does give up.
    """
    found: list[Plan] = []
    while len(found) < count:
        network = random_network(generator, 2 + len(found) % 3)
        best = plan(network)
        planned = [i for i, x in enumerate(best.prefill) if x > 0]
        if len(planned) < 2 or not decode_buffer_condition(exact_rates(network)):
            continue
        full = [i for i in planned if best.prefill_queue[i] == 0]
        patient = [i for i in full if generator.random() < 0.5][: len(planned) - 1]
        classes = tuple(
            dataclasses.replace(each, patience_rate=0.0) if i in patient else each
            for i, each in enumerate(network.classes)
        )
        found.append(plan(dataclasses.replace(network, classes=classes)))
    return found


def line_paths(plans: Sequence[Plan], generator: random.Random) -> list[LinePath]:
    """Paths from random full decode slots and an empty buffer, prefill as planned."""
    cases, horizons = [], []
    for best in plans:
        model = fluid_model(best.network, GateAndRoute(best))
        _, mixed, solo = model.capacities
        cases.append((model, _start(best, generator, mixed, solo)))
        modes = decode_modes(best)
        positive = modes.patience_rates[modes.patience_rates > 0].min()
        horizons.append(TURNOVERS / min(modes.decode_rates.min(), positive))
    paths = trajectories(cases, horizon=horizons, points=POINTS)
    return [line_path(best, path) for best, path in zip(plans, paths, strict=True)]


def _start(best: Plan, generator: random.Random, mixed: float, solo: float) -> FluidState:
    planned = [x > 0 for x in best.prefill]

    def filled(slots: float) -> list[float]:
        parts = [each * (1 - generator.random()) ** 3 for each in planned]
        return [slots * part / sum(parts) for part in parts]

    return FluidState(
        prefill=[float(x) for x in best.prefill],
        prefill_queue=[float(q) for q in best.prefill_queue],
        mixed_decode=filled(mixed),
        solo_decode=filled(solo),
    )


def line_path(best: Plan, path: Trajectory) -> LinePath:
    """The wait and the memory along a path on which prefill stands at the plan."""
    modes, rate = decode_modes(best), rates(best.network)
    chosen = list(modes.classes)
    line = path.stage("decode_queue")[:, chosen].sum(axis=1)
    _, mixed, solo = path.model.capacities
    capacity = mixed + rate.kappa * solo
    memory = np.zeros(len(path.times))
    for stage, slots, speed in (("mixed_decode", mixed, 1.0), ("solo_decode", solo, rate.kappa)):
        share = slots * speed / capacity
        rest = share * modes.flow * modes.shares / (speed * modes.decode_rates)
        below = -modes.memory(path.stage(stage)[:, chosen] - rest, slots - rest.sum())
        memory += np.maximum(below, 0) @ (modes.strengths / modes.modes) / modes.flow
    return LinePath(best, path, waits_of(modes, line), memory)


def waits_of(modes: DecodeModes, line: NDArray[np.float64]) -> NDArray[np.float64]:
    """The wait at which the line is so long, by bisection; 0 for an empty one."""
    low, high = np.zeros(len(line)), np.ones(len(line))
    while (short := modes.line(high) < line).any():
        if high.max() > 1e9:
            raise ArithmeticError("the line is longer than its patience allows")
        high = np.where(short, 2 * high, high)
    for _ in range(80):
        middle = (low + high) / 2
        below = modes.line(middle) < line
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.where(line > 0, high, 0.0)


def falling_evidence(paths: Sequence[LinePath], with_memory: bool = True) -> Evidence:
    """Whether L never rises along the paths; what is left of the wait is only reported.

    Without its memory L is the wait alone, which does rise: the control.
    """
    rises, left, longest = [], [], []
    for each in paths:
        value = each.wait + each.memory if with_memory else each.wait
        rises.append(float(np.maximum(np.diff(value), 0).sum()))
        left.append(float(each.wait[-1]))
        longest.append(float(each.wait.max()))
    patient = sum(min(each.best.network.per_class("patience_rate")) == 0 for each in paths)
    return Evidence(
        name=f"the wait with the memory of the slots never rises: {len(paths)} paths"
        if with_memory
        else f"the wait alone never rises: {len(paths)} paths",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(max(rises) <= RISE),
        claimed=f"rises by at most {RISE:g} s in all on each path",
        computed=f"at most {max(rises):.2g} s; waits up to {max(longest):.3g} s, "
        f"{max(left):.2g} s in the end",
        slack=RISE - max(rises),
        detail=f"from full slots of random mixture, on {patient} networks with a class that never "
        "gives up; floating point",
    )


def modes_evidence(generator: random.Random, count: int) -> Evidence:
    """Partial fractions of random mixtures, from rates and roots that interlace, exactly."""
    right = 0
    for k in range(count):
        classes = 2 + k % (MOST_CLASSES - 1)
        gaps = [Fraction(generator.randint(1, 1000), 100) for _ in range(2 * classes - 1)]
        points = list(accumulate(gaps))
        right += _partial_fractions_hold(points[::2], points[1::2])
    return Evidence(
        name=f"modes of {count} mixtures of 2 to {MOST_CLASSES} classes",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(right == count),
        claimed="roots, strengths and rates by partial fractions",
        computed=f"right for {right}",
        detail="rational rates and roots that interlace, which every mixture's do; exact fractions",
    )


def _partial_fractions_hold(decode_rates: list[Fraction], modes: list[Fraction]) -> bool:
    shares, strengths = interlacing(decode_rates, modes)
    mean = sum(p * m for p, m in zip(shares, decode_rates, strict=True))
    pairs = list(zip(shares, decode_rates, strict=True))
    fractions = list(zip(strengths, modes, strict=True))
    return (
        min(*shares, *strengths) > 0
        and sum(shares) == 1
        and all(sum(p / (b - m) for p, m in pairs) == 0 for b in modes)
        and all(k * sum(p / (b - m) ** 2 for p, m in pairs) == 1 for k, b in fractions)
        and all(mean - sum(k / (b - m) for k, b in fractions) == m for m in decode_rates)
        and (mean - sum(k / b for k, b in fractions)) * sum(p / m for p, m in pairs) == 1
    )


def bracket_evidence(name: str, mixtures: Sequence[DecodeModes]) -> Evidence:
    """Whether the bracket is positive at all waits: there L never rises and the buffer drains."""
    least, lacking = np.inf, 0
    for modes in mixtures:
        patience = modes.patience_rates
        if not patience.any():
            raise ArithmeticError("no planned class gives up")
        waits = WAITS / patience[patience > 0].min()
        share = float((modes.bracket(waits) / (modes.losses(waits) @ modes.shares)).min())
        least, lacking = min(least, share), lacking + (share <= 0)
    several = sum(len(modes.modes) > 1 for modes in mixtures)
    return Evidence(
        name=f"the condition of the proof for two speeds: {name}",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(lacking == 0),
        claimed="bracket > 0 at every wait",
        computed=f"at least {least:.2g} of the mean loss"
        + (f"; fails on {lacking}" if lacking else ""),
        slack=float(least),
        detail=f"{several} of {len(mixtures)} have more than two rates, with two it is proved; "
        f"{len(WAITS)} waits each; floating point",
    )


def planned_mixtures(paths: Sequence[LinePath]) -> list[DecodeModes]:
    """Of the paths, and of the published networks."""
    plans = [*(each.best for each in paths), *map(plan, published_networks())]
    return [decode_modes(best) for best in plans]


def mixture_without_order() -> DecodeModes:
    """Of outputs of 1,000, 100 and 10 tokens the middle ones alone give up; the short ones abound.

    The bracket is negative at every wait.
    """
    flows, decode_rates = np.array([1.0, 1.0, 100.0]), np.array([1e-3, 1e-2, 1e-1])
    return modes_of_mixture((0, 1, 2), flows, decode_rates, np.array([0.0, 1.0, 0.0]))
