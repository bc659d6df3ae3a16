"""The fast simulator: the chain of `reference`, event for event, compiled by numba."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..theory.policies import Gate, Routing
from .chain import (
    ARRIVAL,
    COUNTS,
    EVENTS,
    MIXED_POOL,
    SOLO_POOL,
    Chain,
    Run,
    event_stream,
)
from .chain_kernel import (
    FIRST_COME_GATE,
    OCCUPANCY_GATE,
    POOLS,
    PRIORITY_GATE,
    SOLO_FIRST,
    TOTALS,
    WEIGHTED_POOLS,
    Rules,
    State,
    run_events,
)
from .waiting_line_kernel import FIRST_CAPACITY, grown

_GATES = {
    Gate.OCCUPANCY: OCCUPANCY_GATE,
    Gate.FIRST_COME: FIRST_COME_GATE,
    Gate.PRIORITY: PRIORITY_GATE,
}
_ROUTINGS = {
    Routing.SOLO_FIRST: SOLO_FIRST,
    Routing.POOLS: POOLS,
    Routing.WEIGHTED_POOLS: WEIGHTED_POOLS,
}


def run_kernel(
    chain: Chain,
    generator: np.random.Generator,
    warmup: float,
    horizon: float,
    grid: NDArray[np.float64],
    logged: int,
) -> Run:
    """One replication from the empty system; see `Run` for what it returns."""
    rules = _rules(chain, float(warmup), float(horizon), grid)
    state = _empty(chain, event_stream(generator), len(grid), logged)
    while not run_events(rules, state):
        grown_rings = grown(state.rings, state.lines)  # type: ignore[no-untyped-call]
        state = state._replace(rings=grown_rings)
    events = int(state.progress[0])
    return Run(
        areas=state.areas + state.counts * rules.horizon,
        completed=state.completed,
        grid_counts=state.grid_counts,
        events=events,
        log=state.log[: min(events, logged)],
    )


def _rules(chain: Chain, warmup: float, horizon: float, grid: NDArray[np.float64]) -> Rules:
    policy, classes = chain.policy, range(chain.classes)
    solo_probability, pool_weights = np.ones(chain.classes), np.zeros((2, chain.classes))
    if policy.routing is not Routing.SOLO_FIRST:
        solo_probability[:] = [policy.solo_probability(i) for i in classes]
    if policy.routing is Routing.WEIGHTED_POOLS:
        mixed, solo = policy.pool_weights()
        pool_weights[[SOLO_POOL, MIXED_POOL]] = solo, mixed
    class_order = policy.class_order() if policy.gate is Gate.PRIORITY else ()
    return Rules(
        unit_rates=np.ascontiguousarray(chain.unit_rates),
        admitted=tuple(policy.admits(i) for i in classes),
        gate=_GATES[policy.gate],
        class_order=np.array(class_order, dtype=np.int64),
        targets=np.array([float(x) for x in policy.plan.prefill]),
        queue_targets=np.array([chain.gpus * float(q) for q in policy.plan.prefill_queue]),
        admission_limit=float(policy.admission_limit(chain.gpus)),
        routing=_ROUTINGS[policy.routing],
        solo_probability=solo_probability,
        pool_weights=pool_weights,
        buffer_order=np.array(policy.buffer_order() or (), dtype=np.int64),
        mixed_gpus=chain.mixed_gpus,
        solo_slots=chain.solo_slots,
        mixed_slots=chain.mixed_slots,
        warmup=warmup,
        horizon=horizon,
        grid=grid,
    )


def _empty(chain: Chain, stream: np.random.Generator, points: int, logged: int) -> State:
    """The empty system at time 0."""
    per_stage, per_kind = (len(COUNTS), chain.classes), (len(EVENTS), chain.classes)
    rates = np.zeros(per_kind)
    rates[ARRIVAL] = chain.unit_rates[ARRIVAL]
    return State(
        words=stream.bit_generator.state["state"]["state"],
        counts=np.zeros(per_stage, dtype=np.int64),
        rates=rates,
        stretches=np.zeros(per_kind),
        totals=np.zeros(TOTALS, dtype=np.int64),
        rings=np.zeros((3 * chain.classes, FIRST_CAPACITY), dtype=np.int64),
        lines=np.zeros((3 * chain.classes, 3), dtype=np.int64),
        clock=np.zeros(2),
        progress=np.zeros(2, dtype=np.int64),
        areas=np.zeros(per_stage),
        completed=np.zeros(per_kind, dtype=np.int64),
        grid_counts=np.zeros((points, *per_stage), dtype=np.int64),
        log=np.zeros((logged, 2)),
    )
