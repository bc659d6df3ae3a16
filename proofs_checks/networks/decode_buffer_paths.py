"""Trajectories on which the decode buffer drains, or does not, for `decode_buffer_drains`."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
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
from ...theory.policies import Policy
from .fluid_cases import random_plans, random_state
from .instances import NAMED_INSTANCES

POINTS = 8_000
TURNOVERS = 12
"""A trajectory lasts so many mean durations of the network's slowest decode or patience."""


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


def planned_drains(count: int, generator: random.Random) -> list[Drain]:
    """Random plans and those of the named instances, each from a random state."""
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
    return Drain(best, full_path(best, GateAndRoute(best)))


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
        start = full_state(best, decode_queue=1.0)
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


def full_state(best: Plan, decode_queue: float) -> FluidState:
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


def full_path(best: Plan, policy: Policy) -> Trajectory:
    """The path under a policy from `full_state` with one request per class waiting."""
    start = full_state(best, decode_queue=1.0)
    model = fluid_model(best.network, policy)
    return integrated(model, start, horizon=horizon(model), points=POINTS)
