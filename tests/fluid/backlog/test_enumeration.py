"""All small backlogs: none missing, none twice, and latencies equal to the readable twins'."""

from __future__ import annotations

from collections import Counter
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kurtz.fluid.backlog.enumeration import SmallBacklogs
from kurtz.fluid.backlog.enumeration_kernel import sorted_f_order
from kurtz.proofs_checks.testing import backlogs
from kurtz.theory.backlog import (
    BATCH_KINDS,
    Backlog,
    BatchKind,
    batch_order,
    list_schedule,
    sorted_f_batches,
    total_latency,
)
from kurtz.theory.backlog.smallest_volume_first import smallest_volume_first
from kurtz.theory.backlog.sorted_f_chain import SortedF

kinds = pytest.mark.parametrize("kind", BATCH_KINDS)
sizes = pytest.mark.parametrize(("requests", "memory"), [(1, 1), (1, 6), (2, 5), (3, 4), (4, 3)])


def only(backlog: Backlog) -> SmallBacklogs:
    """One backlog, in its own numbering."""
    rows = (backlog.prompts[None, :], backlog.outputs[None, :])
    return SmallBacklogs(*rows, np.array([backlog.memory]))


@sizes
def test_there_are_as_many_as_multisets_of_requests(requests: int, memory: int) -> None:
    # M (M + 1) / 2 pairs have s >= 0, o >= 1 and s + o <= M.
    kinds_of_request = memory * (memory + 1) // 2
    assert len(SmallBacklogs.all_of(requests, memory)) == comb(
        kinds_of_request + requests - 1, requests
    )


@sizes
def test_every_backlog_is_listed_once_up_to_symmetry(requests: int, memory: int) -> None:
    found = SmallBacklogs.all_of(requests, memory)
    listed = Counter(
        tuple(sorted((r.prompt_tokens, r.output_tokens) for r in found[place].requests))
        for place in range(len(found))
    )
    assert set(listed.values()) == {1}
    pairs = [(s, o) for s in range(memory) for o in range(1, memory + 1) if s + o <= memory]
    assert set(listed) == {tuple(sorted(chosen)) for chosen in product(pairs, repeat=requests)}


def test_requests_ascend_by_output_and_prompt() -> None:
    found = SmallBacklogs.all_of(3, 4)
    keys = found.outputs * 10 + found.prompts
    assert (np.diff(keys, axis=1) >= 0).all()
    assert set(found.memories) == {4}


@kinds
@sizes
def test_sorted_f_of_all_small_backlogs_is_its_readable_twin(
    requests: int, memory: int, kind: BatchKind
) -> None:
    found = SmallBacklogs.all_of(requests, memory)
    latencies = found.sorted_f(kind)
    step = max(1, len(found) // 100)
    for place in range(0, len(found), step):
        assert latencies[place] == SortedF.of(found[place], kind).latency


@kinds
@settings(deadline=None)
@given(backlog=backlogs(max_requests=7, max_memory=16))
def test_phase_one_is_its_readable_twin_in_any_numbering(backlog: Backlog, kind) -> None:
    order = sorted_f_order(backlog.prompts, backlog.outputs, backlog.memory, kind == "common-start")
    assert tuple(order.tolist()) == batch_order(backlog, sorted_f_batches(backlog, kind))
    assert only(backlog).sorted_f(kind).tolist() == [SortedF.of(backlog, kind).latency]


@settings(deadline=None)
@given(backlogs(max_requests=7, max_memory=16), st.data())
def test_a_list_by_keys_is_its_readable_twin(backlog: Backlog, data: st.DataObject) -> None:
    # Few values, so that ties are common: they go by request number.
    size = len(backlog)
    keys = data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    order = sorted(range(size), key=lambda i: (keys[i], i))
    latency = total_latency(backlog, list_schedule(backlog, order))
    assert only(backlog).by(np.array([keys])).tolist() == [latency]


@settings(deadline=None)
@given(backlogs(max_requests=7, max_memory=16))
def test_a_list_by_volumes_is_smallest_volume_first(backlog: Backlog) -> None:
    alone = only(backlog)
    latency = total_latency(backlog, smallest_volume_first(backlog))
    assert alone.by(alone.volumes).tolist() == [latency]


def test_backlogs_may_differ_in_their_memories() -> None:
    # The second budget holds one request at a time.
    both = SmallBacklogs(np.array([[0, 0]] * 2), np.array([[2, 2]] * 2), np.array([4, 3]))
    assert both[1] == Backlog.of([(0, 2), (0, 2)], memory=3)
    # Under 3 tokens the second starts a step later: 1, then 2 + 1, then 2.
    assert both.sorted_f("common-start").tolist() == [4, 5]


@pytest.mark.parametrize(("requests", "memory"), [(0, 3), (2, 0), (-1, 3), (2, 1.5)])
def test_sizes_are_positive_integers(requests, memory) -> None:
    with pytest.raises(ValueError, match=r"^(requests|memory) = .*: expected an integer >= 1"):
        SmallBacklogs.all_of(requests, memory)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^kind = 'peaksum' is .*: expected one of peak-sum, c"):
        SmallBacklogs.all_of(1, 2).sorted_f("peaksum")  # type: ignore[arg-type]


def test_subsets_are_listed_for_at_most_sixteen_requests() -> None:
    with pytest.raises(ValueError, match=r"^requests = 17 is .*: expected at most 16"):
        only(Backlog.of([(0, 1)] * 17, memory=1)).sorted_f("peak-sum")
