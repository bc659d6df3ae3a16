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

Whether it is enough that one class with :math:`x_i^* > 0` gives up is open: we conjecture it, and
one trajectory that drains, of the paper's instance, is among the evidence as an illustration. The
buffer may empty and refill, which the obvious argument does not exclude.

Controls: the identity with kappa the wrong way round; the decode slots counted with one row wrong,
B for B - 1 per mixed GPU; a plan with a decode buffer of its own; no gate, so that x does not tend
to x*.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ...fluid import Plan, plan
from ...fluid.dynamics import (
    FluidModel,
    FluidState,
    Trajectory,
    fluid_model,
    integrated,
    trajectories,
    trajectory,
)
from ...theory import (
    FirstComeFirstServed,
    GateAndRoute,
    Gpu,
    IterationTime,
    Prices,
    RequestClass,
    ServingNetwork,
    exact_rates,
    instance,
    rates,
)
from ...theory.claims import Grade
from ...theory.derivations import decode_drift
from ...theory.derivations import symbols as s
from ...theory.policies import Policy
from ..derived import derivation_evidence
from ..verdict import Evidence, Findings, Level, Report, outcome_of
from .fluid_cases import random_plans, random_state
from .fluid_figures import drain_figure
from .instances import NAMED_INSTANCES

SEED = 20260207
RANDOM_CASES: dict[Level, int] = {"quick": 12, "full": 120}
POINTS = 8_000
TURNOVERS = 12
"""A trajectory lasts so many mean durations of the network's slowest decode or patience."""

BALANCE = 1e-8
"""Largest error of the identity over a recorded stretch, seconds of decode work per GPU."""

DRAINED = 1e-4
"""Requests per GPU that count as an empty buffer at the horizon: a buffer of four, drained at the
slowest rate, is below it after 11 turnovers."""

WAITING = 1e-6
"""Requests per GPU from which a buffer counts as not empty."""

AS_PLANNED = 1e-12
"""Requests per GPU by which prefill of a class may be above x* and still count as x <= x*."""


@dataclass(frozen=True)
class Drain:
    """A trajectory with the plan behind it, seen as decode work (seconds of mixed decode)."""

    best: Plan
    path: Trajectory

    @property
    def buffer(self) -> NDArray[np.float64]:
        """Requests per GPU in the decode buffer at the recorded times."""
        return np.asarray(self.path.stage("decode_queue").sum(axis=1))

    @property
    def workload(self) -> NDArray[np.float64]:
        """W_d at the recorded times."""
        stages = ("decode_queue", "mixed_decode", "solo_decode")
        waiting = sum(self.path.stage(stage) for stage in stages)
        return np.asarray((waiting / self._mixed_rate).sum(axis=1))

    @property
    def inflow(self) -> NDArray[np.float64]:
        """Work that completed prefills bring, per recorded stretch."""
        return self._per_stretch("prefill_completion", self._mixed_rate)

    @property
    def given_up(self) -> NDArray[np.float64]:
        """Work that leaves with those who give up, per recorded stretch."""
        return self._per_stretch("decode_abandonment", self._mixed_rate)

    def done(self, kappa: float) -> NDArray[np.float64]:
        """Work done, the integral of y_m + kappa y_s, per recorded stretch."""
        mixed = self._per_stretch("mixed_completion", self._mixed_rate)
        return mixed + kappa * self._per_stretch("solo_completion", self.path.model.rates[4])

    @property
    def capacity(self) -> float:
        """C*, work per second of all decode slots."""
        _, mixed, solo = self.path.model.capacities
        return float(mixed + rates(self.best.network).kappa * solo)

    @property
    def miscounted_capacity(self) -> float:
        """C* with B instead of B - 1 decode slots per mixed GPU, for a control."""
        return self.capacity + float(self.best.mixed_share)

    @property
    def _mixed_rate(self) -> NDArray[np.float64]:
        return np.asarray(self.path.model.rates[3])

    def _per_stretch(self, flow: str, rate: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.diff((self.path.flow(flow) / rate).sum(axis=1)))


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    report("drift identity")
    derivation = decode_drift.derivation()
    report("trajectories")
    drains = planned_drains(RANDOM_CASES[level])
    name = f"{len(drains)} trajectories from random states"
    two_class = plan(instance("two-class"))
    ungated = Drain(two_class, _path(two_class, FirstComeFirstServed(two_class)))
    examples = exact_examples()
    return Findings(
        evidence=(
            derivation_evidence(derivation),
            identity_evidence(name, drains, lambda kappa: kappa),
            busy_evidence(name, drains),
            *bound_evidence(name, drains, lambda drain: drain.capacity),
            drained_evidence(name, drains),
            *(
                piece
                for label, example in examples.items()
                for piece in example_evidence(label, example)
            ),
            drained_evidence(
                "an illustration, two-class, the second class never gives up",
                [one_patient_class()],
            ),
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
                derivation_evidence(derivation, without=decode_drift.NO_PLANNED_BUFFER),
            ),
            "no gate": (drained_evidence("two-class, fcfs", [ungated]),),
        },
        figures={
            "The decode buffer drains, or not": lambda: drain_figure(
                {label: example.path for label, example in examples.items()}
            )
        },
        data={"drains": drains, "examples": examples},
    )


def planned_drains(count: int) -> list[Drain]:
    """Random plans and those of the named instances, each from a random state."""
    generator = random.Random(SEED)
    plans = [
        *(plan(instance(name)) for name in NAMED_INSTANCES),
        *random_plans(generator, count),
    ]
    for each in plans:
        if (
            any(q != 0 for q in each.decode_queue)
            or min(each.network.per_class("patience_rate")) == 0
        ):
            raise ArithmeticError("the proposition needs q_d* = 0 and positive patience rates")
    models = [fluid_model(each.network, GateAndRoute(each)) for each in plans]
    cases = [(model, random_state(generator, model)) for model in models]
    paths = trajectories(cases, horizon=[horizon(model) for model in models], points=POINTS)
    return [Drain(each, path) for each, path in zip(plans, paths, strict=True)]


def horizon(model: FluidModel) -> float:
    """Seconds: `TURNOVERS` mean durations of the slowest decode or (positive) patience."""
    decode, patience = model.rates[3:].min(), model.rates[1][model.rates[1] > 0].min()
    return float(TURNOVERS / min(decode, patience))


def one_patient_class() -> Drain:
    """The paper's instance with a second class that never gives up, started full."""
    network = instance("two-class")
    first, second = network.classes
    changed = dataclasses.replace(second, patience_rate=0.0)
    best = plan(dataclasses.replace(network, classes=(first, changed)))
    return Drain(best, _path(best, GateAndRoute(best)))


@dataclass(frozen=True)
class Example:
    """One class with all decode slots full and one request per GPU in the buffer.

    Attributes
    ----------
    growth
        q_d' at an empty buffer, prefill as planned and full slots, exactly.
    closed_form
        The buffer as a function of time.
    """

    path: Trajectory
    patience: Fraction
    growth: Fraction
    closed_form: Callable[[NDArray[np.float64]], NDArray[np.float64]]


def exact_examples() -> dict[str, Example]:
    """The three cases of the module docstring: B = 2, kappa = 2, mu_p = 10, mu_m = 2, mu_s = 4.

    Five arrivals per second and GPU are as much work as the slots do, A* = C*; four are less.
    """
    cases: dict[str, tuple[float, float, Callable[[NDArray[np.float64]], NDArray[np.float64]]]] = {
        "A* = C*, theta = 0": (5.0, 0.0, np.ones_like),
        "A* < C*, theta = 0": (4.0, 0.0, lambda t: np.maximum(1 - 1.6 * t, 0.0)),
        "A* = C*, theta = 1": (5.0, 1.0, lambda t: np.exp(-1.0 * t)),
    }
    found = {}
    for label, (arrivals, patience, closed_form) in cases.items():
        best = plan(one_class(arrivals, patience))
        rate, share = exact_rates(best.network), best.mixed_share
        growth = (
            rate.prefill[0] * best.prefill[0]
            - rate.mixed_decode[0] * (rate.batch - 1) * share
            - rate.solo_decode[0] * rate.batch * (1 - share)
        )
        start = _full(best, decode_queue=1.0)
        path = trajectory(
            best.network, GateAndRoute(best), horizon=4, initial=start, points=400, step=1e-4
        )
        found[label] = Example(path, rate.patience[0], growth, closed_form)
    return found


def one_class(arrivals: float, patience: float) -> ServingNetwork:
    """The network of `exact_examples`."""
    return ServingNetwork(
        gpu=Gpu("small", IterationTime(alpha=0, beta=0.001, gamma=20), batch=2, chunk=100),
        prices=Prices(prefill=0, decode=1),
        classes=(RequestClass("only", 100, 5, arrivals, patience),),
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


def _full(best: Plan, decode_queue: float) -> FluidState:
    """Prefill as planned, all decode slots full, so many requests per class in the buffer."""
    model = fluid_model(best.network, GateAndRoute(best))
    classes = model.classes
    _, mixed, solo = model.capacities
    return FluidState(
        prefill=[float(x) for x in best.prefill],
        decode_queue=[decode_queue] * classes,
        mixed_decode=[mixed / classes] * classes,
        solo_decode=[solo / classes] * classes,
    )


def _path(best: Plan, policy: Policy) -> Trajectory:
    start = _full(best, decode_queue=1.0)
    model = fluid_model(best.network, policy)
    return integrated(model, start, horizon=horizon(model), points=POINTS)
