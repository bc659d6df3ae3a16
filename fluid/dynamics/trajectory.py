"""Trajectories of the fluid equations: one, or many at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...theory.errors import InvalidInput, require_integer, require_number
from ...theory.network import ServingNetwork
from ...theory.policies import Policy
from .dynamics_kernel import integrate
from .model import FLOWS, STAGES, FluidModel, fluid_model

_TOLERANCE = 1e-12
"""By how much rounding may carry an initial state beyond a capacity."""


@dataclass(frozen=True)
class FluidState:
    """Requests per GPU in every stage, one number per class; what is left out is empty.

    Requests in ``mixed_pool_queue`` wait for the mixed pool of a policy that has pools; the
    ``decode_queue`` of such a policy is that of the solo pool.
    """

    prefill_queue: Sequence[float] = ()
    prefill: Sequence[float] = ()
    decode_queue: Sequence[float] = ()
    mixed_decode: Sequence[float] = ()
    solo_decode: Sequence[float] = ()
    mixed_pool_queue: Sequence[float] = ()

    def array(self, classes: int) -> NDArray[np.float64]:
        """Shape (6, classes); raises `InvalidInput` for a wrong length or a negative number."""
        rows = np.zeros((len(STAGES) + 1, classes))
        for row, name in zip(rows, (*STAGES, "mixed_pool_queue"), strict=True):
            given = np.asarray(getattr(self, name), dtype=np.float64)
            if given.size == 0:
                continue
            if given.shape != (classes,) or not np.all((given >= 0) & np.isfinite(given)):
                raise InvalidInput(
                    f"initial.{name}", given.tolist(), f"{classes} numbers >= 0 (requests per GPU)"
                )
            row[:] = given
        return rows


@dataclass(frozen=True)
class Trajectory:
    """A trajectory of the fluid equations; requests per GPU.

    Attributes
    ----------
    times
        Shape (points,), seconds, equally spaced from 0.
    states
        Shape (points, 5, classes): stages as in `STAGES`; the decode queue holds all who wait
        for decode.
    flows
        Shape (points, 9, classes): requests per GPU from time 0 on, flows as in `FLOWS`.
    mixed_pool_queue
        Shape (points, classes): those of the decode queue who wait for the mixed pool.
    step
        Seconds of one step of the scheme.
    """

    model: FluidModel
    times: NDArray[np.float64]
    states: NDArray[np.float64]
    flows: NDArray[np.float64]
    mixed_pool_queue: NDArray[np.float64]
    step: float

    def stage(self, name: str) -> NDArray[np.float64]:
        """Requests per GPU in the stage called ``name``, shape (points, classes)."""
        return self.states[:, STAGES.index(name)]

    def flow(self, name: str) -> NDArray[np.float64]:
        """Cumulative flow called ``name``, requests per GPU, shape (points, classes)."""
        return self.flows[:, FLOWS.index(name)]

    @property
    def revenue(self) -> NDArray[np.float64]:
        """Revenue per GPU from time 0 on, bundled charging, shape (points,)."""
        completed = self.flow("mixed_completion") + self.flow("solo_completion")
        return np.asarray(completed @ self.model.weights)

    def conservation_errors(self) -> NDArray[np.float64]:
        """By how much the flow balances (15)-(19) fail, shape (points, 5, classes)."""
        flow = {name: self.flow(name) for name in FLOWS}
        inflows = (
            flow["arrival"] - flow["prefill_admission"] - flow["prefill_abandonment"],
            flow["prefill_admission"] - flow["prefill_completion"],
            flow["prefill_completion"]
            - flow["mixed_admission"]
            - flow["solo_admission"]
            - flow["decode_abandonment"],
            flow["mixed_admission"] - flow["mixed_completion"],
            flow["solo_admission"] - flow["solo_completion"],
        )
        # Admissions at time 0 are part of the flows: the initial state is the one before them.
        change = np.stack(inflows, axis=1)
        return np.asarray(self.states - self.states[0] - (change - change[0]))

    def capacity_excess(self) -> float:
        """By how much slots are overfilled or a stage is negative at worst, requests per GPU."""
        totals = self.states.sum(axis=2)[:, [1, 3, 4]]
        return float(max((totals - self.model.capacities).max(), -self.states.min()))


def trajectory(
    network: ServingNetwork,
    policy: Policy,
    *,
    horizon: float,
    initial: FluidState | None = None,
    gpus: int | None = None,
    points: int = 200,
    step: float | None = None,
) -> Trajectory:
    """The trajectory of the fluid equations of ``network`` under ``policy``.

    Parameters
    ----------
    horizon
        Seconds.
    initial
        Requests per GPU at time 0; default: the empty system. Whoever can be served at once is.
    gpus
        Number n of GPUs that the policy's M mixed ones are rounded for; None: the limit of many.
    points
        Number of equal stretches at whose ends the state is recorded.
    step
        Longest step of the scheme, seconds; default: a quarter of the shortest mean duration.

    Raises
    ------
    InvalidInput
        An argument is outside its range, or the initial state does not fit into the slots.
    """
    model = fluid_model(network, policy, gpus)
    return integrated(model, initial or FluidState(), horizon=horizon, points=points, step=step)


def trajectories(
    cases: Iterable[tuple[FluidModel, FluidState]],
    *,
    horizon: float | Sequence[float],
    points: int = 200,
    step: float | None = None,
    workers: int | None = None,
) -> list[Trajectory]:
    """Trajectories of many models from many initial states, on ``workers`` threads.

    Models come from `fluid_model`; the horizon is one for all or one for each; the other
    parameters are those of `trajectory`.
    """
    listed = list(cases)
    horizons = [horizon] * len(listed) if isinstance(horizon, int | float) else list(horizon)

    def one(case: tuple[FluidModel, FluidState], seconds: float) -> Trajectory:
        return integrated(*case, horizon=seconds, points=points, step=step)

    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        return list(pool.map(one, listed, horizons))


def integrated(
    model: FluidModel,
    initial: FluidState,
    *,
    horizon: float,
    points: int = 200,
    step: float | None = None,
) -> Trajectory:
    """The trajectory of ``model``; parameters as for `trajectory`."""
    require_number("horizon", horizon, "seconds", above=0)
    require_integer("points", points, "recorded stretches", at_least=1)
    steps_per_point, seconds = model.step(step, horizon / points)
    states = np.zeros((points + 1, len(STAGES) + 1, model.classes))
    flows = np.zeros((points + 1, len(FLOWS), model.classes))
    states[0] = _fitting(initial, model)
    integrate(
        model.rates,
        model.gate,
        model.routing,
        model.gate_targets,
        model.gate_order,
        model.buffer_order,
        model.solo_probability,
        model.pool_weights,
        model.capacities,
        model.admission_limit,
        seconds,
        steps_per_point,
        states,
        flows,
    )
    mixed_pool_queue = states[:, -1].copy()
    states[:, STAGES.index("decode_queue")] += mixed_pool_queue
    times: ArrayLike = np.linspace(0, horizon, points + 1)
    return Trajectory(
        model, np.asarray(times), states[:, : len(STAGES)], flows, mixed_pool_queue, seconds
    )


def _fitting(initial: FluidState, model: FluidModel) -> NDArray[np.float64]:
    rows = initial.array(model.classes)
    totals = rows.sum(axis=1)[[1, 3, 4]]
    names = ("prefill", "mixed_decode", "solo_decode")
    for name, total, capacity in zip(names, totals, model.capacities, strict=True):
        if total > capacity + _TOLERANCE:
            raise InvalidInput(
                f"initial.{name}", float(total), f"at most {capacity:.6g} in all (slots per GPU)"
            )
    return rows
