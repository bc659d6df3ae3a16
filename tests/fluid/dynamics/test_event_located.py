"""The catching-up scheme against event-located integration: two programs, one limit."""

from __future__ import annotations

import numpy as np
import pytest

from kurtz.fluid import plan
from kurtz.fluid.dynamics import (
    FluidState,
    event_located_trajectory,
    fluid_model,
    trajectory,
)
from kurtz.theory import FirstComeFirstServed, GateAndRoute, InvalidInput, instance

BEST = plan(instance("two-class"))
POLICY = GateAndRoute(BEST)
PREFILL, MIXED, SOLO = fluid_model(BEST.network, POLICY).capacities
STARTS = {
    "empty": FluidState(),
    "full": FluidState(
        prefill_queue=[1.0, 0.5],
        prefill=[PREFILL / 2, PREFILL / 2],
        decode_queue=[1.0, 2.0],
        mixed_decode=[0.3 * MIXED, 0.7 * MIXED],
        solo_decode=[0.8 * SOLO, 0.2 * SOLO],
    ),
    "full, second class only": FluidState(
        prefill_queue=[0.0, 1.0], prefill=[0.0, PREFILL], solo_decode=[0.0, SOLO / 2]
    ),
}


@pytest.mark.parametrize("start", STARTS)
def test_scheme_converges_to_the_event_located_solution_at_first_order(start: str) -> None:
    exact = event_located_trajectory(
        BEST.network, POLICY, horizon=45, initial=STARTS[start], points=90
    )
    errors = []
    steps = (0.008, 0.004, 0.002)
    for step in steps:
        path = trajectory(
            BEST.network, POLICY, horizon=45, initial=STARTS[start], points=90, step=step
        )
        errors.append(np.abs(path.states - exact.states).max())
    order = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert order == pytest.approx(1, abs=0.15)
    assert errors[-1] < 0.002


def test_regimes_from_the_empty_state() -> None:
    path = event_located_trajectory(BEST.network, POLICY, horizon=40)
    assert [regime.name for regime in path.prefill_regimes][:2] == ["filling", "class 1 lagging"]
    assert [regime.name for regime in path.decode_regimes] == ["solo open", "mixed open"]


def test_full_queues_are_tracked_from_a_finite_time_on() -> None:
    path = event_located_trajectory(BEST.network, POLICY, horizon=10, initial=STARTS["full"])
    assert path.prefill_regimes[-1].name == "tracking"
    assert path.decode_regimes[0].name == "saturated"


def test_waiting_beside_a_free_slot_is_refused() -> None:
    with pytest.raises(InvalidInput, match="beside a free slot"):
        event_located_trajectory(
            BEST.network, POLICY, horizon=1, initial=FluidState(decode_queue=[1.0, 0.0])
        )


def test_other_policies_are_refused() -> None:
    with pytest.raises(InvalidInput, match="gate-and-route"):
        event_located_trajectory(BEST.network, FirstComeFirstServed(BEST), horizon=1)  # type: ignore[arg-type]
