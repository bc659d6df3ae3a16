r"""Lemmas 10.7, 10.10, 10.12 and Proposition 10.14: the decode buffer drains.

With :math:`A^* = \sum_i (\mu_{p,i}/\mu_{m,i}) x_i^*`, the decode work that the plan brings, and
:math:`C^*`, what all decode slots do, the workload's drift obeys equation (61) and is at most
:math:`A^* - C^* - \sum_i (\theta_i/\mu_{m,i}) q_{d,i}` while requests wait and prefill is at most
planned (`kurtz.theory.derivations.decode_drift`). On trajectories both are checked: the bound on
states with :math:`x \le x^*` in every class, and what it rests on, that while requests wait
:math:`W_d' + \sum_i (\theta_i/\mu_{m,i}) q_{d,i}` equals :math:`A(x) - C^*`. In the end their
buffers must be empty.

Zero patience is decided by an exact example with one class, where the bound is an equation:

* :math:`A^* = C^*` and :math:`\theta = 0`: the buffer never drains, the hypothesis is needed;
* :math:`A^* < C^*` and :math:`\theta = 0`: it drains in finite time, linearly;
* :math:`A^* = C^*` and :math:`\theta > 0`: it drains exponentially at rate :math:`\theta`.

The workload may rise while the buffer is empty, and the bound says nothing then. The proof is
therefore ours (`kurtz.theory.derivations.decode_line`): functions that never rise, which also show
that one planned class that gives up is enough, if all slots have one speed, or if patience is
ordered like output lengths, as it always is with two classes. Its function L is computed along
paths (`decode_line_evidence`), and its condition on plans.

Controls: the identity with kappa the wrong way round; the decode slots counted with one row wrong,
B for B - 1 per mixed GPU; a plan with a decode buffer of its own; no gate, so that x does not tend
to x*; L without the memory of the slots; the proofs without slots for all that is planned; a
mixture with patience in no order.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from ...fluid import plan
from ...theory import FirstComeFirstServed, instance, rates
from ...theory.claims import Grade
from ...theory.derivations import decode_drift, decode_line
from ...theory.derivations import symbols as s
from ..derived import derivation_evidence
from ..verdict import Evidence, Findings, Level, Report, outcome_of
from .decode_buffer_paths import (
    POINTS,
    TURNOVERS,
    Drain,
    Example,
    exact_examples,
    full_path,
    one_patient_class,
    planned_drains,
)
from .decode_line_evidence import (
    bracket_evidence,
    falling_evidence,
    line_paths,
    line_plans,
    mixture_without_order,
    modes_evidence,
    planned_mixtures,
)
from .fluid_figures import drain_figure, line_figure

SEED = 20260207
RANDOM_CASES: dict[Level, int] = {"quick": 12, "full": 120}
MIXTURES: dict[Level, int] = {"quick": 100, "full": 1_000}
BALANCE = 1e-8
"""Largest error of the identity over a recorded stretch, seconds of decode work per GPU."""

DRAINED = 1e-4
"""Requests per GPU that count as an empty buffer at the horizon: a buffer of four, drained at the
slowest rate, is below it after 11 turnovers."""

WAITING = 1e-6
"""Requests per GPU from which a buffer counts as not empty."""

AS_PLANNED = 1e-12
"""Requests per GPU by which prefill of a class may be above x* and still count as x <= x*."""


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    report("proofs")
    drift = decode_drift.derivation()
    one_speed, two_speeds = decode_line.one_speed(), decode_line.two_speeds()
    report("trajectories")
    generator = random.Random(SEED)
    drains = planned_drains(RANDOM_CASES[level], generator)
    name = f"{len(drains)} trajectories from random states"
    two_class = plan(instance("two-class"))
    ungated = Drain(two_class, full_path(two_class, FirstComeFirstServed(two_class)))
    examples = exact_examples()
    report("the line and the memory of the slots")
    lines = line_paths(line_plans(generator, RANDOM_CASES[level]), generator)
    return Findings(
        evidence=(
            derivation_evidence(drift),
            derivation_evidence(one_speed),
            derivation_evidence(two_speeds),
            modes_evidence(generator, MIXTURES[level]),
            bracket_evidence("the paths and the published networks", planned_mixtures(lines)),
            falling_evidence(lines),
            identity_evidence(name, drains, lambda kappa: kappa),
            busy_evidence(name, drains),
            *bound_evidence(name, drains, lambda drain: drain.capacity),
            drained_evidence(name, drains),
            *(
                piece
                for label, example in examples.items()
                for piece in example_evidence(label, example)
            ),
            drained_evidence("two-class, the second class never gives up", [one_patient_class()]),
        ),
        controls={
            "kappa the wrong way round": (
                derivation_evidence(decode_drift.derivation(s.MIXED_RATE / s.KAPPA)),
                identity_evidence(name, drains, lambda kappa: 1 / kappa),
            ),
            "B decode slots per mixed GPU in C*": bound_evidence(
                name, drains, lambda drain: drain.miscounted_capacity
            ),
            "a plan with a decode buffer": (
                derivation_evidence(drift, without=decode_drift.NO_PLANNED_BUFFER),
            ),
            "no gate": (drained_evidence("two-class, fcfs", [ungated]),),
            "L without the memory of the slots": (falling_evidence(lines, with_memory=False),),
            "more planned than fits": tuple(
                derivation_evidence(proof, without=decode_line.FITS)
                for proof in (one_speed, two_speeds)
            ),
            "patience in no order": (
                derivation_evidence(two_speeds, without=decode_line.SLOW_LOSE_MORE),
                bracket_evidence("a mixture of three classes", [mixture_without_order()]),
            ),
        },
        figures={
            "The decode buffer drains, or not": lambda: drain_figure(
                {label: example.path for label, example in examples.items()}
            ),
            "The wait, and the memory of the slots": lambda: line_figure(lines),
        },
        data={"drains": drains, "examples": examples, "lines": lines},
    )


def identity_evidence(
    name: str, drains: Sequence[Drain], speed: Callable[[float], float]
) -> Evidence:
    """Equation (61), integrated over every recorded stretch, with ``speed`` of kappa for kappa."""
    worst = max(
        float(
            np.abs(
                np.diff(each.workload)
                - each.inflow
                + each.done(speed(rates(each.best.network).kappa))
                + each.given_up
            ).max()
        )
        for each in drains
    )
    return Evidence(
        name=f"drift identity (61), integrated: {name}",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(worst <= BALANCE),
        claimed=f"equal within {BALANCE:g} s of work per GPU",
        computed=f"largest difference {worst:.2g}",
        slack=BALANCE - worst,
        detail=f"{POINTS:,} stretches each; floating point",
    )


def busy_evidence(name: str, drains: Sequence[Drain]) -> Evidence:
    """Lemma 10.7: while requests wait, all decode slots are busy."""
    idle = 0.0
    for each in drains:
        slots = each.path.states[:, 3:].sum(axis=2)[each.buffer > 0]
        if slots.size:
            idle = max(idle, float((each.path.model.capacities[1:] - slots).max()))
    return Evidence(
        name=f"Lemma 10.7, slots are busy while requests wait: {name}",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(idle <= BALANCE),
        claimed="no idle decode slot",
        computed=f"at most {idle:.2g} idle slots per GPU",
        slack=BALANCE - idle,
        detail="floating point",
    )


def bound_evidence(
    name: str, drains: Sequence[Drain], capacity: Callable[[Drain], float]
) -> tuple[Evidence, Evidence]:
    """Lemma 10.12 with ``capacity`` for C*: the equation behind it, and the bound where x <= x*.

    Both are integrated over recorded stretches on which requests wait throughout; the bound over
    those at whose two ends every class has x_i <= x_i*.
    """
    equation, excess = [np.empty(0)], [np.empty(0)]
    for each in drains:
        seconds = float(each.path.times[1])
        rate = rates(each.best.network)
        targets = np.array(each.best.prefill, dtype=float)
        planned = float((np.array(rate.prefill) / np.array(rate.mixed_decode) * targets).sum())
        waits = np.asarray(np.minimum(each.buffer[1:], each.buffer[:-1]) > WAITING)
        below = np.asarray((each.path.stage("prefill") <= targets + AS_PLANNED).all(axis=1))
        change = np.diff(each.workload) + each.given_up + capacity(each) * seconds
        equation.append(np.abs(change - each.inflow)[waits])
        excess.append((change - planned * seconds)[waits & below[1:] & below[:-1]])
    differences, excesses = np.concatenate(equation), np.concatenate(excess)
    different, above = differences.max(initial=0.0), excesses.max(initial=-np.inf)
    allowed = 2 * BALANCE
    return (
        Evidence(
            name=f"Lemma 10.12, the drift while requests wait: {name}",
            grade=Grade.ESTIMATED,
            outcome=outcome_of(len(differences) > 0 and different <= allowed),
            claimed="W_d' + sum_i theta_i/mu_m,i q_d,i = A(x) - C*",
            computed=f"largest difference {different:.2g} s of work over {len(differences):,} "
            "stretches",
            slack=allowed - different,
            detail="stretches with a waiting buffer; floating point",
        ),
        Evidence(
            name=f"Lemma 10.12, the bound while requests wait and x <= x*: {name}",
            grade=Grade.ESTIMATED,
            outcome=outcome_of(len(excesses) > 0 and above <= allowed),
            claimed="W_d' <= A* - C* - sum_i theta_i/mu_m,i q_d,i",
            computed=f"excess at most {above:.2g} s of work over {len(excesses):,} stretches",
            slack=allowed - above,
            detail="stretches with a waiting buffer and x_i <= x_i* in every class; floating point",
        ),
    )


def drained_evidence(name: str, drains: Sequence[Drain]) -> Evidence:
    """Proposition 10.14: the buffer is empty at the horizon."""
    most = max(float(each.buffer.max()) for each in drains)
    left = max(float(each.buffer[-1]) for each in drains)
    return Evidence(
        name=f"Proposition 10.14, the buffer drains: {name}",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(left <= DRAINED),
        claimed=f"at most {DRAINED:g} requests per GPU in the end",
        computed=f"{left:.2g}, of at most {most:.3g}",
        slack=DRAINED - left,
        detail=f"after {TURNOVERS} mean durations of the slowest decode or patience",
    )


def example_evidence(label: str, example: Example) -> tuple[Evidence, Evidence]:
    """The exact growth of a buffer, and the trajectory against the closed form that it gives."""
    buffer = example.path.stage("decode_queue").sum(axis=1)
    error = float(np.abs(buffer - example.closed_form(example.path.times)).max())
    allowed = 2 * example.path.step
    growth, closed_form = {
        "A* = C*, theta = 0": (Fraction(0), "the buffer stays as it is"),
        "A* < C*, theta = 0": (Fraction(-8, 5), "the buffer is empty after 5/8 s"),
        "A* = C*, theta = 1": (Fraction(0), "the buffer falls like exp(-t)"),
    }[label]
    patience = Fraction(label.rpartition(" ")[2])
    return (
        Evidence(
            name=f"zero patience decided, one class: {label}",
            grade=Grade.CERTIFIED,
            outcome=outcome_of(example.growth == growth and example.patience == patience),
            claimed=f"q_d' = {growth} - {patience} q_d while requests wait",
            computed=f"q_d' = {example.growth} - {example.patience} q_d",
            detail="exact fractions: one class, B = 2, kappa = 2, full slots, prefill as planned",
        ),
        Evidence(
            name=f"its path, one class: {label}",
            grade=Grade.ESTIMATED,
            outcome=outcome_of(error <= allowed),
            claimed=closed_form,
            computed=f"within {error:.1g} requests per GPU over {example.path.times[-1]:g} s",
            slack=allowed - error,
            detail="closed form of the equation against the scheme; floating point",
        ),
    )
