r"""Lemmas 10.1, 10.3 and 10.5: under the gate x(t) -> x*, and q_p(t) -> q_p* at rate theta.

The lemmas assume :math:`x_i^* > 0` and :math:`q_{p,i}^* > 0` in every class. With both, prefill
reaches its targets in finite time and from then on :math:`q_{p,i}' = \theta_i (q_{p,i}^* -
q_{p,i})`; the check follows trajectories of random networks from random states to random targets
that satisfy the hypotheses, and fits the rates.

An optimal vertex hardly ever satisfies them: of its classes at most two have :math:`0 < x_i^* <
\bar x_i`, and those served in full have :math:`q_{p,i}^* = 0`. Without :math:`q_{p,i}^* > 0`
Lemmas 10.1 and 10.3 are false as stated. On the paper's instance, started empty, class 2 never
waits, :math:`x_2 = x_2^* (1 - e^{-\mu_{p,2} t})`, and once the slots are full

.. math:: x_1(t) - x_1^* = x_2^* e^{-\mu_{p,2} t} > 0 \quad\text{for all } t:

prefill stays above its target for good, and :math:`q_{p,2} = 0` for good. What the theorems use,
convergence, survives: that is checked at the plans of the named instances.

A target that is approached exponentially looks reached at any tolerance. Finite time therefore
means that the last times above a target by `COARSE` and by `FINE` agree.

Controls: the plan of the paper's instance in Lemmas 10.1 and 10.3; nobody of one class gives up
(theta = 0); no gate; a rate a tenth too high.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...fluid import Plan, plan
from ...fluid.dynamics import (
    FluidModel,
    FluidState,
    Trajectory,
    event_located_trajectory,
    fluid_model,
    integrated,
    trajectories,
    trajectory,
)
from ...theory import (
    FirstComeFirstServed,
    GateAndRoute,
    InfeasibleError,
    exact_rates,
    instance,
)
from ...theory.claims import Grade
from ...theory.steady_state import OccupancyTargets
from ..verdict import Evidence, Findings, Level, Report, outcome_of
from .fluid_cases import Targets, random_networks, random_plans, random_state, random_targets
from .fluid_figures import tracking_figure
from .instances import NAMED_INSTANCES

SEED = 20260205
RANDOM_CASES: dict[Level, int] = {"quick": 40, "full": 400}
RANDOM_PLANS: dict[Level, int] = {"quick": 24, "full": 200}
HORIZON, POINTS, STEP = 300.0, 3_000, 0.004
REACHED = 1e-9
"""Distance to a target, requests per GPU, at which prefill counts as there."""

COARSE, FINE = 1e-6, 1e-12
"""Excesses over a target, requests per GPU, whose last times agree if it is met in finite time."""

AGREEMENT = 0.5
"""Seconds by which these last times may differ: five recorded stretches. A target approached at
rate mu keeps them log(10^6) / mu apart, more than that for mu below 27 per second."""

QUEUE_REACHED = 1e-4
"""Distance of the queues to their targets at the horizon: exp(-0.05 HORIZON) of a few requests."""

RATE_TOLERANCE = 1e-3
"""Largest relative deviation of a fitted rate: the scheme's is theta STEP / 2, at most 0.0004."""


@dataclass(frozen=True)
class Case:
    """A trajectory, the targets of the gate, and the patience rates."""

    path: Trajectory
    targets: OccupancyTargets

    @property
    def prefill_distance(self) -> NDArray[np.float64]:
        """|x - x*| per recorded time and class."""
        targets = np.array([float(x) for x in self.targets.prefill])
        return np.asarray(np.abs(self.path.stage("prefill") - targets))

    @property
    def queue_distance(self) -> NDArray[np.float64]:
        """|q_p - q_p*| per recorded time and class."""
        targets = np.array([float(q) for q in self.targets.prefill_queue])
        return np.asarray(np.abs(self.path.stage("prefill_queue") - targets))

    def fitted_rates(self) -> list[tuple[float, float]]:
        """Per class with theta > 0 that has a queue to fit: fitted and claimed rate.

        From the time that prefill stays at its targets to the last time that the queue is far
        enough from its own for rounding not to matter.
        """
        away = np.flatnonzero((self.prefill_distance > REACHED).any(axis=1))
        first = 0 if away.size == 0 else int(away[-1]) + 1
        found = []
        for i, theta in enumerate(self.path.model.rates[1]):
            far = np.flatnonzero(self.queue_distance[:, i] > QUEUE_REACHED / 10)
            if far.size and far[-1] > first + 10 and theta > 0:
                last = int(far[-1])
                ratio = self.queue_distance[first, i] / self.queue_distance[last, i]
                elapsed = self.path.times[last] - self.path.times[first]
                found.append((float(np.log(ratio) / elapsed), float(theta)))
        return found


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    report("trajectories to random targets")
    cases = random_cases(RANDOM_CASES[level])
    report("the plans of the named instances")
    planned = {name: planned_cases(plan(instance(name))) for name in NAMED_INSTANCES}
    report("plans that meet the hypotheses of the lemmas")
    patient = two_class_with(patience_rate=0.0)
    two_class = plan(instance("two-class"))
    name = f"{len(cases)} random networks, targets and states"
    return Findings(
        evidence=(
            order_evidence(),
            *finite_time_evidence(name, cases),
            convergence_evidence(name, cases),
            rate_evidence(name, cases),
            *(convergence_evidence(f"plan of {k}, 5 states", planned[k]) for k in planned),
            *counterexample_evidence(two_class),
            vertices_evidence(RANDOM_PLANS[level]),
            infeasible_evidence(),
        ),
        controls={
            "the plan of two-class, where q_p* = 0 for one class": finite_time_evidence(
                "two-class, its plan, started empty", planned["two-class"][:1]
            ),
            "theta = 0 for one class": (
                convergence_evidence("two-class, the second class never gives up", [patient]),
            ),
            "no gate": (convergence_evidence("two-class, fcfs", [without_gate(two_class)]),),
            "theta a tenth too high": (rate_evidence(name, cases, claimed=1.1),),
        },
        figures={
            "Distance to the plan": lambda: tracking_figure(
                [
                    ("two-class, started empty", *_drawn(planned["two-class"][0])),
                    ("two-class, started full", *_drawn(started_full(two_class))),
                    ("second class never gives up", *_drawn(patient)),
                ]
            )
        },
        data={"random": cases, "planned": planned, "patient": patient},
    )


def random_cases(count: int) -> list[Case]:
    """Trajectories of random networks from random states to random targets."""
    generator = random.Random(SEED)
    problems: list[tuple[FluidModel, FluidState]] = []
    targets: list[Targets] = []
    for network in random_networks(generator, count):
        target = random_targets(generator, network)
        model = fluid_model(network, GateAndRoute(target))
        targets.append(target)
        problems.append((model, random_state(generator, model)))
    paths = trajectories(problems, horizon=HORIZON, points=POINTS, step=STEP)
    return [Case(path, target) for path, target in zip(paths, targets, strict=True)]


def planned_cases(best: Plan) -> list[Case]:
    """Trajectories under the plan of a network, from the empty state and from four random ones."""
    generator = random.Random(SEED)
    model = fluid_model(best.network, GateAndRoute(best))
    starts = [FluidState(), *(random_state(generator, model) for _ in range(4))]
    paths = trajectories([(model, start) for start in starts], horizon=HORIZON, points=POINTS)
    return [Case(path, best) for path in paths]


def two_class_with(patience_rate: float) -> Case:
    """The paper's instance with another patience of its second class, started with queues.

    Its plan serves that class in full, whatever the patience, and wants no queue of it.
    """
    network = instance("two-class")
    first, second = network.classes
    changed = dataclasses.replace(second, patience_rate=patience_rate)
    best = plan(dataclasses.replace(network, classes=(first, changed)))
    return started_full(best)


def started_full(best: Plan) -> Case:
    """A trajectory with prefill slots at their targets and one request per GPU in every queue."""
    start = FluidState(
        prefill_queue=[1.0] * len(best.network.classes), prefill=[float(x) for x in best.prefill]
    )
    model = fluid_model(best.network, GateAndRoute(best))
    return Case(integrated(model, start, horizon=HORIZON, points=POINTS), best)


def without_gate(best: Plan) -> Case:
    """The same network and plan, first come, first served."""
    path = trajectory(best.network, FirstComeFirstServed(best), horizon=HORIZON, points=POINTS)
    return Case(path, best)


def finite_time_evidence(name: str, cases: Sequence[Case]) -> tuple[Evidence, Evidence]:
    """Lemmas 10.1 and 10.3: from some time on x <= x*, and q_p > 0."""
    coarse, fine = (
        np.array([_last_time(each.path, _above(each, excess)) for each in cases])
        for excess in (COARSE, FINE)
    )
    apart, above = float((fine - coarse).max()), float(fine.max())
    empty = max(
        _last_time(each.path, (each.path.stage("prefill_queue") <= 0).any(axis=1)) for each in cases
    )
    detail = "floating point, scheme of first order"
    return (
        Evidence(
            name=f"Lemma 10.1, x <= x* from some time on: {name}",
            grade=Grade.ESTIMATED,
            outcome=outcome_of(above < HORIZON / 2 and apart <= AGREEMENT),
            claimed=f"before {HORIZON / 2:g} s; last times above x* by {COARSE:g} and {FINE:g} "
            f"differ by at most {AGREEMENT:g} s",
            computed=f"from {above:.3g} s on; they differ by {apart:.2g} s",
            slack=AGREEMENT - apart,
            detail=detail,
        ),
        Evidence(
            name=f"Lemma 10.3, q_p > 0 from some time on: {name}",
            grade=Grade.ESTIMATED,
            outcome=outcome_of(empty < HORIZON / 2),
            claimed=f"before {HORIZON / 2:g} s",
            computed=f"from {empty:.3g} s on",
            slack=HORIZON / 2 - empty,
            detail=detail,
        ),
    )


def convergence_evidence(name: str, cases: Sequence[Case]) -> Evidence:
    """Lemma 10.5: at the horizon prefill and its queues are at their targets."""
    prefill = max(float(case.prefill_distance[-1].max()) for case in cases)
    queue = max(float(case.queue_distance[-1].max()) for case in cases)
    return Evidence(
        name=f"x -> x* and q_p -> q_p*: {name}",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(prefill <= REACHED and queue <= QUEUE_REACHED),
        claimed=f"within {REACHED:g} and {QUEUE_REACHED:g} requests per GPU at {HORIZON:g} s",
        computed=f"{prefill:.2g} and {queue:.2g}",
        slack=QUEUE_REACHED - queue,
        detail="floating point; rest points of the scheme are those of the equations",
    )


def rate_evidence(name: str, cases: Sequence[Case], claimed: float = 1.0) -> Evidence:
    """Lemma 10.5: the queues approach their targets at rate ``claimed`` theta."""
    fitted = [pair for case in cases for pair in case.fitted_rates()]
    worst = max(abs(rate / (claimed * theta) - 1) for rate, theta in fitted)
    return Evidence(
        name=f"rate of q_p -> q_p*: {name}",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(worst <= RATE_TOLERANCE),
        claimed=f"{claimed:g} theta, within {RATE_TOLERANCE:.1%}",
        computed=f"worst relative deviation {worst:.2g} over {len(fitted)} queues",
        slack=RATE_TOLERANCE - worst,
        detail="slope of log |q_p - q_p*| from the time that x stays at x*",
    )


def order_evidence() -> Evidence:
    """Whether the scheme converges to the event-located solution, at first order."""
    best = plan(instance("two-class"))
    policy = GateAndRoute(best)
    exact = event_located_trajectory(best.network, policy, horizon=50)
    steps = np.array([0.016, 0.008, 0.004, 0.002])
    errors = [
        np.abs(trajectory(best.network, policy, horizon=50, step=h).states - exact.states).max()
        for h in steps
    ]
    order = float(np.polyfit(np.log(steps), np.log(errors), 1)[0])
    return Evidence(
        name="the scheme against event-located integration: two-class",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(abs(order - 1) <= 0.1),
        claimed="first order in the step",
        computed=f"order {order:.3f}; error {errors[-1]:.2g} requests per GPU at {steps[-1]:g} s",
        slack=0.1 - abs(order - 1),
        detail="two programs without common code; DOP853, relative tolerance 1e-10",
    )


def counterexample_evidence(best: Plan) -> tuple[Evidence, Evidence]:
    """Lemmas 10.1 and 10.3 fail where q_p* = 0: exact conditions, and the closed form.

    With class 2 served in full, it never waits if slots freed per second always cover its
    arrivals; that is so once full if mu_p1 >= mu_p2, as then mu_p x >= mu_p1 x_1* + lambda_2.
    """
    rate = exact_rates(best.network)
    first, second = best.prefill
    conditions = (
        second == rate.arrival[1] / rate.prefill[1],
        best.prefill_queue[1] == 0,
        0 < first < rate.arrival[0] / rate.prefill[0],
        rate.prefill[0] >= rate.prefill[1],
    )
    path = event_located_trajectory(best.network, GateAndRoute(best), horizon=4, points=40)
    full = path.prefill_regimes[1].start
    later = path.times > full
    excess = path.states[later, 1, 0] - float(first)
    closed = float(second) * np.exp(-float(rate.prefill[1]) * path.times[later])
    error = float(np.abs(excess - closed).max())
    nobody = float(path.states[:, 0, 1].max())
    return (
        Evidence(
            name="the plan of two-class meets the conditions under which Lemmas 10.1 and 10.3 fail",
            grade=Grade.CERTIFIED,
            outcome=outcome_of(all(conditions)),
            claimed="x_2* = lambda_2/mu_p2, q_p2* = 0, 0 < x_1* < lambda_1/mu_p1, mu_p1 >= mu_p2",
            computed=f"{sum(conditions)} of {len(conditions)}",
            detail="exact fractions; that they suffice is proved by hand, in the book",
        ),
        Evidence(
            name="without q_p* > 0 Lemmas 10.1 and 10.3 fail: path of two-class, started empty",
            grade=Grade.ESTIMATED,
            outcome=outcome_of(error < REACHED and nobody == 0 and bool((excess > 0).all())),
            claimed="x_1 - x_1* = x_2* exp(-mu_p2 t) > 0 and q_p2 = 0 once slots are full",
            computed=f"full at {full:.4g} s; met within {error:.1g} up to {path.times[-1]:g} s, "
            f"q_p2 = {nobody:g}",
            detail="event-located integration; floating point",
        ),
    )


def vertices_evidence(count: int) -> Evidence:
    """How many sampled vertices with three classes or more meet the hypotheses of the lemmas."""
    plans = [p for p in random_plans(random.Random(SEED), count) if len(p.prefill) > 2]
    meeting = sum(
        all(x > 0 and q > 0 for x, q in zip(p.prefill, p.prefill_queue, strict=True)) for p in plans
    )
    return Evidence(
        name=f"x* > 0 and q_p* > 0 throughout: {len(plans)} random plans, three or four classes",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(meeting == 0),
        claimed="none of them: at most two classes are off their bounds (claim bundled-knapsack)",
        computed=f"{meeting} of {len(plans)}",
        detail="exact vertices of the sample; x_i* = demand means q_p,i* = 0",
    )


def infeasible_evidence() -> Evidence:
    """With theta = 0 for a class that cannot be served in full there is no plan to track."""
    network = instance("two-class")
    never = dataclasses.replace(network.classes[0], patience_rate=0.0, arrival_rate=5.0)
    try:
        plan(dataclasses.replace(network, classes=(never, network.classes[1])))
        computed, infeasible = "a plan", False
    except InfeasibleError as error:
        computed, infeasible = f"infeasible: {', '.join(error.clashing)}", True
    return Evidence(
        name="theta = 0 and overload: there is no plan to track",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(infeasible),
        claimed="infeasible",
        computed=computed,
        detail="two-class with 5 decode-heavy requests per second and GPU that never give up",
    )


def _above(case: Case, excess: float) -> NDArray[np.bool_]:
    """At which recorded times prefill of some class is above its target by more than ``excess``."""
    targets = np.array(case.targets.prefill, dtype=float)
    return np.asarray((case.path.stage("prefill") > targets + excess).any(axis=1))


def _last_time(path: Trajectory, happens: NDArray[np.bool_] | np.bool_) -> float:
    """The last recorded time at which something happens, 0 if never."""
    return float(path.times[np.flatnonzero(happens)].max(initial=0.0))


def _drawn(case: Case) -> tuple[Trajectory, list[float], list[float]]:
    return (
        case.path,
        [float(x) for x in case.targets.prefill],
        [float(q) for q in case.targets.prefill_queue],
    )
