"""The model: what is refused by name, the validator against a recomputation step by step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurtz.proofs_checks.testing import backlogs
from kurtz.theory.backlog import (
    Backlog,
    InvalidSchedule,
    Request,
    Schedule,
    completions,
    memory_by_step,
    require_feasible,
    total_latency,
)
from kurtz.theory.backlog.model import LARGEST_TOTAL
from kurtz.theory.errors import InvalidInput

PAIR = Backlog.of([(0, 2), (1, 1)], memory=3)


@st.composite
def schedules(draw: st.DrawFn) -> tuple[Backlog, Schedule]:
    """Any starts: about half of these schedules are feasible."""
    backlog = draw(backlogs(max_requests=4, max_memory=8))
    starts = st.integers(0, 4 * len(backlog))
    return backlog, Schedule(tuple(draw(starts) for _ in backlog.requests))


def recomputed_memory(backlog: Backlog, schedule: Schedule) -> list[int]:
    """From the definition: s + t - p in the steps p + 1 ... p + o."""
    started = list(zip(backlog.requests, schedule.starts, strict=True))
    last = max(start + request.output_tokens for request, start in started)
    return [
        sum(
            request.prompt_tokens + step - start
            for request, start in started
            if start + 1 <= step <= start + request.output_tokens
        )
        for step in range(1, last + 1)
    ]


@pytest.mark.parametrize(
    ("prompt", "output", "field", "value"),
    [
        (-1, 1, "prompt_tokens", "-1"),
        (0, 0, "output_tokens", "0"),
        (0, -3, "output_tokens", "-3"),
        (1.0, 1, "prompt_tokens", "1.0"),
        (1, 2.5, "output_tokens", "2.5"),
        (True, 1, "prompt_tokens", "True"),
        (1, "2", "output_tokens", "'2'"),
        (None, 1, "prompt_tokens", "None"),
        (1, float("nan"), "output_tokens", "nan"),
    ],
)
def test_a_request_is_refused_by_name(prompt, output, field: str, value: str) -> None:
    least = {"prompt_tokens": 0, "output_tokens": 1}[field]
    with pytest.raises(InvalidInput) as refused:
        Request(prompt, output)
    message = f"{field} = {value} is not allowed: expected an integer >= {least} (tokens)"
    assert str(refused.value) == message


@given(st.integers(0, 200), st.integers(1, 200))
def test_volume_is_the_memory_summed_over_the_steps(prompt: int, output: int) -> None:
    volume = sum(prompt + step for step in range(1, output + 1))
    assert Request(prompt, output).volume == volume


def test_numpy_integers_do_not_overflow() -> None:
    # 100 + 100 is -56 in 8 bits: the request would fit every budget.
    request = Request(np.int8(100), np.int8(100))  # type: ignore[arg-type]
    assert request.peak == 200
    assert request.volume == 100 * 100 + 100 * 101 // 2
    with pytest.raises(InvalidInput, match="= 200 is not allowed"):
        Backlog((request,), np.int8(127))  # type: ignore[arg-type]
    assert Backlog((request,), np.int16(200)).memory ** 2 == 40_000  # type: ignore[arg-type]


@pytest.mark.parametrize("memory", [0, -1, 3.0, True, "3", None])
def test_a_budget_is_a_positive_integer(memory) -> None:
    with pytest.raises(InvalidInput, match=r"^memory = .*: expected an integer >= 1 \(tokens\)$"):
        Backlog((Request(0, 1),), memory)


def test_a_backlog_has_requests() -> None:
    with pytest.raises(InvalidInput, match=r"^requests = \(\) is .*: expected at least one"):
        Backlog((), memory=3)


def test_a_backlog_holds_requests_and_nothing_else() -> None:
    with pytest.raises(InvalidInput, match=r"^request 2 = \(1, 2\) is .*: expected a Request$"):
        Backlog((Request(0, 1), (1, 2)), memory=3)  # type: ignore[arg-type]


def test_a_request_beyond_the_budget_is_named() -> None:
    with pytest.raises(InvalidInput) as refused:
        Backlog.of([(1, 2), (2, 2)], memory=3)
    assert str(refused.value) == (
        "request 2: prompt_tokens + output_tokens = 4 is not allowed: "
        "expected at most the memory of 3 tokens"
    )


@pytest.mark.parametrize(("requests", "memory"), [(1, 2**31), (4, 2**30), (16, 2**29)])
def test_budgets_are_allowed_as_long_as_volumes_fit_64_bits(requests: int, memory: int) -> None:
    # n M^2 = 2^62 in all three.
    largest = [(memory // 2, memory - memory // 2)] * requests
    assert requests * memory**2 == LARGEST_TOTAL
    assert len(Backlog.of(largest, memory)) == requests
    with pytest.raises(InvalidInput, match=r"^memory = .*requests times squared memory"):
        Backlog.of(largest, memory + 1)


@given(st.integers(1, 16), st.data())
def test_arrays_are_exact_up_to_the_largest_budget(requests: int, data: st.DataObject) -> None:
    memory = int((LARGEST_TOTAL // requests) ** 0.5)
    outputs = data.draw(st.lists(st.integers(1, memory), min_size=requests, max_size=requests))
    backlog = Backlog.of([(memory - output, output) for output in outputs], memory)
    for array, name in (
        (backlog.prompts, "prompt_tokens"),
        (backlog.outputs, "output_tokens"),
        (backlog.peaks, "peak"),
        (backlog.volumes, "volume"),
    ):
        assert array.tolist() == [getattr(request, name) for request in backlog.requests]
    assert int(backlog.volumes.sum()) == sum(request.volume for request in backlog.requests)


@pytest.mark.parametrize("name", ["prompts", "outputs", "peaks", "volumes"])
def test_arrays_are_read_only(name: str) -> None:
    with pytest.raises(ValueError, match="read-only"):
        getattr(PAIR, name)[0] = 7


def test_a_backlog_may_be_listed_by_any_iterable_and_is_a_value() -> None:
    backlog = Backlog.of(((prompt, 2 - prompt) for prompt in (0, 1)), memory=3)
    assert backlog == PAIR
    assert hash(backlog) == hash(PAIR)
    assert backlog.largest_peak == 2


@pytest.mark.parametrize("start", [-1, 0.0, 1.5, True, "1", None])
def test_a_start_is_an_integer_from_zero_on(start) -> None:
    with pytest.raises(InvalidInput, match=r"^start of request 2 = .*: expected an integer >= 0"):
        Schedule((0, start))


def test_starts_become_python_integers() -> None:
    starts = Schedule(np.array([2, 0], dtype=np.int32)).starts  # type: ignore[arg-type]
    assert starts == (2, 0)
    assert {type(start) for start in starts} == {int}


@given(schedules())
def test_memory_by_step_is_the_definition(scheduled: tuple[Backlog, Schedule]) -> None:
    assert memory_by_step(*scheduled).tolist() == recomputed_memory(*scheduled)


@given(schedules())
def test_the_validator_names_the_first_step_beyond_the_budget(
    scheduled: tuple[Backlog, Schedule],
) -> None:
    backlog, schedule = scheduled
    memory = recomputed_memory(backlog, schedule)
    over = [(step, held) for step, held in enumerate(memory, 1) if held > backlog.memory]
    if not over:
        require_feasible(backlog, schedule)
        return
    with pytest.raises(InvalidSchedule) as refused:
        require_feasible(backlog, schedule)
    step, held = over[0]
    assert str(refused.value) == (
        f"step {step} holds {held} tokens, more than the memory of {backlog.memory}"
    )


@given(schedules())
def test_memory_adds_up_to_the_volumes(scheduled: tuple[Backlog, Schedule]) -> None:
    assert memory_by_step(*scheduled).sum() == scheduled[0].volumes.sum()


@pytest.mark.parametrize("starts", [(), (0,), (0, 0, 0)])
def test_a_schedule_of_another_backlog_is_refused(starts: tuple[int, ...]) -> None:
    with pytest.raises(InvalidSchedule, match=f"^{len(starts)} starts for a backlog of 2 requests"):
        require_feasible(PAIR, Schedule(starts))


def test_the_prompt_takes_no_step_and_memory_grows_from_the_first_one() -> None:
    # (3, 2) started at 1: 4 tokens in step 2, 5 in step 3, done at 3.
    backlog, schedule = Backlog.of([(3, 2)], memory=5), Schedule((1,))
    assert memory_by_step(backlog, schedule).tolist() == [0, 4, 5]
    assert completions(backlog, schedule) == (3,)


def test_a_successor_may_start_at_a_completion_and_not_before() -> None:
    backlog = Backlog.of([(8, 2), (8, 2)], memory=10)
    assert total_latency(backlog, Schedule((0, 2))) == 2 + 4
    # Step 2 holds 10 of the first and 9 of the second.
    with pytest.raises(InvalidSchedule, match="step 2 holds 19 tokens"):
        require_feasible(backlog, Schedule((0, 1)))


@pytest.mark.parametrize("of", [completions, total_latency])
def test_no_latency_of_an_infeasible_schedule(of) -> None:
    with pytest.raises(InvalidSchedule, match="step 1 holds 4 tokens, more than the memory of 3"):
        of(Backlog.of([(1, 1), (1, 1)], memory=3), Schedule((0, 0)))


@given(backlogs())
def test_one_after_the_other_is_feasible(backlog: Backlog) -> None:
    ends = np.cumsum(backlog.outputs)
    schedule = Schedule(tuple((ends - backlog.outputs).tolist()))
    assert completions(backlog, schedule) == tuple(ends.tolist())
    assert total_latency(backlog, schedule) == ends.sum()
