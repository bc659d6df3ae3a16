from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from kurtz.fluid.backlog.wall_clock import StepTime, wall_clock_latencies
from kurtz.proofs_checks.testing import backlogs
from kurtz.theory import InvalidInput
from kurtz.theory.backlog import (
    Backlog,
    InvalidSchedule,
    Schedule,
    completions,
    list_schedule,
)

LAW = StepTime(0.5, 0.25, 0.125, 0.0625, 1.0)


def seconds_by_definition(backlog: Backlog, schedule: Schedule, law: StepTime) -> list[float]:
    """One step after the other, one request after the other."""
    runs = list(zip(backlog.requests, schedule.starts, strict=True))
    ends = [start + request.output_tokens for request, start in runs]
    clock, at = 0.0, {}
    for step in range(1, max(ends) + 1):
        active = [(r, p) for r, p in runs if p < step <= p + r.output_tokens]
        prompts = sum(r.prompt_tokens for r, p in active if step == p + 1)
        held = sum(r.prompt_tokens + step - p for r, p in active)
        prefill = max(law.decode_floor, law.prompt_floor + law.per_prompt_token * prompts)
        clock += prefill + law.per_request * len(active) + law.per_held_token * held
        at[step] = clock
    return [at[end] for end in ends]


@settings(deadline=None)
@given(backlogs())
def test_latencies_follow_the_law_step_by_step(backlog: Backlog) -> None:
    schedule = list_schedule(backlog, range(len(backlog)))
    # The law's numbers are binary fractions: the sums are exact.
    measured = wall_clock_latencies(backlog, schedule, LAW).tolist()
    assert measured == seconds_by_definition(backlog, schedule, LAW)


@settings(deadline=None)
@given(backlogs())
def test_steps_of_one_second_give_the_latencies_of_the_model(backlog: Backlog) -> None:
    schedule = list_schedule(backlog, range(len(backlog)))
    latencies = wall_clock_latencies(backlog, schedule, StepTime.constant(1.0))
    assert latencies.tolist() == list(completions(backlog, schedule))


def test_idle_steps_take_the_floor() -> None:
    backlog = Backlog.of([(0, 1)], memory=1)
    latencies = wall_clock_latencies(backlog, Schedule((3,)), StepTime.constant(2.0))
    assert np.array_equal(latencies, [8.0])


def test_infeasible_schedules_are_refused() -> None:
    with pytest.raises(InvalidSchedule):
        wall_clock_latencies(Backlog.of([(0, 1), (0, 1)], memory=1), Schedule((0, 0)), LAW)


def test_negative_times_are_refused() -> None:
    with pytest.raises(InvalidInput, match="per_request"):
        StepTime(1.0, -1.0, 0.0, 0.0, 0.0)
