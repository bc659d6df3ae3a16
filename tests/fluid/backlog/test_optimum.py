"""The exact optimum: three routes agree, and what stops early says so."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.fluid.backlog.integer_program import integer_program_optimum
from kurtz.fluid.backlog.optimum import (
    Optimum,
    closed_form_bound,
    optimum,
    optimum_by_definition,
)
from kurtz.fluid.backlog.optimum_kernel import optimal_latencies
from kurtz.proofs_checks.testing import backlogs
from kurtz.theory.backlog import Backlog, InvalidSchedule, Schedule, memory_by_step
from kurtz.theory.errors import InvalidInput

fewer_examples = settings(max_examples=20, deadline=None)


def crowd(requests: int, peak: int, memory: int, seed: int) -> Backlog:
    """Random requests of peak at most ``peak``."""
    generator = np.random.default_rng(seed)
    outputs = generator.integers(1, peak + 1, requests)
    return Backlog.of([(int(generator.integers(0, peak - o + 1)), int(o)) for o in outputs], memory)


@settings(deadline=None)
@given(backlogs(max_requests=5, max_memory=10))
def test_search_finds_the_optimum_of_the_definition(backlog):
    found = optimum(backlog)
    assert found.is_optimal
    assert found.latency == optimum_by_definition(backlog)


@fewer_examples
@given(backlogs(max_requests=6, max_memory=14))
def test_search_and_integer_program_agree(backlog):
    found, program = optimum(backlog), integer_program_optimum(backlog)
    assert program.is_optimal
    assert found.latency == program.latency


@pytest.mark.parametrize(
    ("requests", "peak", "memory", "seed"),
    [(8, 10, 30, 1), (8, 12, 30, 2), (8, 15, 30, 3), (6, 10, 10, 4), (16, 3, 10, 5)],
)
def test_search_and_integer_program_agree_on_larger_backlogs(requests, peak, memory, seed):
    backlog = crowd(requests, peak, memory, seed)
    assert optimum(backlog).latency == integer_program_optimum(backlog).latency


@settings(deadline=None)
@given(backlogs(max_requests=6, max_memory=12), st.randoms(use_true_random=False))
def test_order_of_the_requests_does_not_matter(backlog, random):
    shuffled = list(backlog.requests)
    random.shuffle(shuffled)
    assert optimum(backlog).latency == optimum(Backlog(tuple(shuffled), backlog.memory)).latency


@fewer_examples
@given(st.lists(backlogs(max_requests=3, max_memory=9, min_requests=3), min_size=1, max_size=5))
def test_batch_of_backlogs_gets_the_same_optima(batch):
    latencies = optimal_latencies(
        np.array([backlog.prompts for backlog in batch]),
        np.array([backlog.outputs for backlog in batch]),
        np.array([backlog.memory for backlog in batch]),
    )
    assert latencies.tolist() == [optimum(backlog).latency for backlog in batch]


@pytest.mark.parametrize("limit", [0, 1, 2, 10, 100, 1000])
@pytest.mark.parametrize(("peak", "seed"), [(20, 0), (60, 0)])
def test_stopped_search_gives_an_interval_around_the_optimum(limit, peak, seed):
    backlog = crowd(10, peak, 60, seed)
    best = optimum(backlog)
    stopped = optimum(backlog, node_limit=limit)
    assert stopped.nodes <= limit
    assert stopped.lower_bound <= best.latency <= stopped.latency
    assert closed_form_bound(backlog) <= stopped.lower_bound
    assert best.is_optimal


def test_interval_of_a_stopped_search_is_open_and_shrinks():
    backlog = crowd(12, 20, 60, 2)
    bounds = [optimum(backlog, node_limit=limit).lower_bound for limit in (0, 10, 1000)]
    assert bounds == sorted(bounds)
    assert not optimum(backlog, node_limit=10).is_optimal


def test_interrupted_search_gives_its_interval(monkeypatch):
    backlog = crowd(12, 20, 60, 2)
    monkeypatch.setattr(sys.modules[Optimum.__module__], "SLICE", 100)

    def interrupt(nodes: int, lower_bound: int, latency: int) -> None:
        assert lower_bound <= latency
        if nodes >= 300:
            raise KeyboardInterrupt

    stopped = optimum(backlog, progress=interrupt)
    assert stopped.nodes == 300
    assert stopped.lower_bound < stopped.latency


@settings(deadline=None)
@given(backlogs(max_requests=6, max_memory=12))
def test_no_request_of_an_optimal_schedule_can_move_one_step_earlier(backlog):
    starts = optimum(backlog).schedule.starts
    for i, start in enumerate(starts):
        if start > 0:
            earlier = Schedule((*starts[:i], start - 1, *starts[i + 1 :]))
            assert memory_by_step(backlog, earlier).max() > backlog.memory


def test_optimal_schedule_may_start_a_request_between_completions():
    # Two of (0, 2) with M = 3 hold 1, 2 + 1, 2; the second at the first's completion: 2 + 4.
    best = optimum(Backlog.of([(0, 2), (0, 2)], memory=3))
    assert (best.latency, best.schedule.starts) == (5, (0, 1))


def test_smallest_backlog():
    best = optimum(Backlog.of([(0, 1)], memory=1))
    assert (best.latency, best.schedule.starts) == (1, (0,))


def test_identical_requests_share_the_memory():
    # Five requests of (0, 1) with M = 2: two per step, 1 + 1 + 2 + 2 + 3.
    assert optimum(Backlog.of([(0, 1)] * 5, memory=2)).latency == 9


@pytest.mark.parametrize(
    "backlog",
    [Backlog.of([(0, 1)] * 63, memory=1), Backlog.of([(0, 2**22), (0, 1)], memory=2**23)],
)
def test_backlogs_too_large_to_search_are_refused(backlog):
    with pytest.raises(InvalidInput, match="to search exactly"):
        optimum(backlog)


def test_negative_node_limit_is_refused():
    with pytest.raises(InvalidInput, match="node_limit"):
        optimum(Backlog.of([(0, 1)], memory=1), node_limit=-1)


@pytest.mark.parametrize(
    ("latency", "lower_bound", "error"), [(2, 2, InvalidSchedule), (1, 2, InvalidInput)]
)
def test_optimum_checks_itself(latency, lower_bound, error):
    with pytest.raises(error):
        Optimum(Backlog.of([(0, 1)], memory=1), Schedule((0,)), latency, lower_bound, 1)
