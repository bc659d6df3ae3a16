"""Phase one by definition: what a feasible batch is, which one is best, and who wins a tie."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurtz.proofs_checks.testing import backlogs
from kurtz.theory.backlog import (
    BATCH_KINDS,
    Backlog,
    BatchKind,
    InvalidSchedule,
    Schedule,
    batch_order,
    best_batch,
    f_metric,
    is_feasible_batch,
    require_feasible,
    sorted_f_batches,
)
from kurtz.theory.errors import InvalidInput

kinds = pytest.mark.parametrize("kind", BATCH_KINDS)


@st.composite
def batches(draw: st.DrawFn) -> tuple[Backlog, tuple[int, ...]]:
    backlog = draw(backlogs())
    numbers = st.sets(st.integers(0, len(backlog) - 1), min_size=1)
    return backlog, tuple(sorted(draw(numbers)))


def subsets(waiting: Sequence[int]) -> list[tuple[int, ...]]:
    """Nonempty subsets by counting in binary."""
    return [
        tuple(i for place, i in enumerate(waiting) if mask >> place & 1)
        for mask in range(1, 1 << len(waiting))
    ]


@given(batches())
def test_common_start_means_that_all_may_start_together(
    chosen: tuple[Backlog, tuple[int, ...]],
) -> None:
    backlog, batch = chosen
    alone = Backlog(tuple(backlog.requests[i] for i in batch), backlog.memory)
    try:
        require_feasible(alone, Schedule((0,) * len(alone)))
        together = True
    except InvalidSchedule:
        together = False
    assert is_feasible_batch(backlog, batch, "common-start") == together


@given(batches())
def test_peak_sum_means_that_the_peaks_fit(chosen: tuple[Backlog, tuple[int, ...]]) -> None:
    backlog, batch = chosen
    within = backlog.peaks[list(batch)].sum() <= backlog.memory
    assert is_feasible_batch(backlog, batch, "peak-sum") == within


@given(batches())
def test_a_peak_sum_batch_is_a_common_start_batch(chosen: tuple[Backlog, tuple[int, ...]]) -> None:
    if is_feasible_batch(*chosen, "peak-sum"):
        assert is_feasible_batch(*chosen, "common-start")


def test_the_definitions_differ() -> None:
    # Step 1 holds 1 + 1, step 2 holds 2: within 2 tokens, the peaks 2 and 1 are not.
    backlog = Backlog.of([(0, 2), (0, 1)], memory=2)
    assert is_feasible_batch(backlog, (0, 1), "common-start")
    assert not is_feasible_batch(backlog, (0, 1), "peak-sum")


@kinds
@given(chosen=batches())
def test_feasibility_is_downward_closed(
    chosen: tuple[Backlog, tuple[int, ...]], kind: BatchKind
) -> None:
    backlog, batch = chosen
    if is_feasible_batch(backlog, batch, kind):
        assert all(is_feasible_batch(backlog, subset, kind) for subset in subsets(batch))


@kinds
@given(backlog=backlogs())
def test_a_single_request_is_a_feasible_batch(backlog: Backlog, kind: BatchKind) -> None:
    assert all(is_feasible_batch(backlog, (i,), kind) for i in range(len(backlog)))


def test_f_metric_is_the_mean_output_over_the_size() -> None:
    backlog = Backlog.of([(0, 3), (0, 4), (5, 1)], memory=20)
    assert f_metric(backlog, (0, 1)) == Fraction(7, 4)
    assert f_metric(backlog, (0, 1, 2)) == Fraction(8, 9)


@kinds
@given(chosen=batches())
def test_best_batch_is_least_in_f_then_largest_then_first(
    chosen: tuple[Backlog, tuple[int, ...]], kind: BatchKind
) -> None:
    backlog, waiting = chosen
    best = min(
        (batch for batch in subsets(waiting) if is_feasible_batch(backlog, batch, kind)),
        key=lambda batch: (f_metric(backlog, batch), -len(batch), batch),
    )
    assert best_batch(backlog, waiting, kind) == best


@kinds
@given(chosen=batches(), data=st.data())
def test_best_batch_does_not_depend_on_how_waiting_is_listed(
    chosen: tuple[Backlog, tuple[int, ...]], kind: BatchKind, data: st.DataObject
) -> None:
    backlog, waiting = chosen
    shuffled = data.draw(st.permutations(waiting))
    assert best_batch(backlog, shuffled, kind) == best_batch(backlog, waiting, kind)


@kinds
def test_a_tie_goes_to_the_larger_batch(kind: BatchKind) -> None:
    # (0, 2) alone has F = 2, two of (0, 4) have F = 8/4 = 2; no other pair fits.
    backlog = Backlog.of([(8, 2), (1, 4), (1, 4)], memory=10)
    assert f_metric(backlog, (0,)) == f_metric(backlog, (1, 2)) == 2
    assert best_batch(backlog, (0, 1, 2), kind) == (1, 2)


@kinds
def test_a_tie_of_equal_sizes_goes_to_the_smallest_numbers(kind: BatchKind) -> None:
    # Any two of four equal requests fit.
    backlog = Backlog.of([(3, 2)] * 4, memory=10)
    assert sorted_f_batches(backlog, kind) == ((0, 1), (2, 3))


@kinds
@given(backlog=backlogs(max_requests=7))
def test_batches_are_feasible_and_partition_the_backlog(backlog: Backlog, kind: BatchKind) -> None:
    found = sorted_f_batches(backlog, kind)
    assert sorted(i for batch in found for i in batch) == list(range(len(backlog)))
    assert all(is_feasible_batch(backlog, batch, kind) for batch in found)


@kinds
@given(backlog=backlogs())
def test_another_metric_may_be_minimised(backlog: Backlog, kind: BatchKind) -> None:
    # By the negative size, phase one packs as many requests as it can.
    packed = sorted_f_batches(backlog, kind, lambda _, batch: Fraction(-len(batch)))
    feasible = [b for b in subsets(range(len(backlog))) if is_feasible_batch(backlog, b, kind)]
    assert len(packed[0]) == max(map(len, feasible))


@pytest.mark.parametrize("count", [0, 17])
def test_selection_by_definition_is_for_one_to_sixteen_requests(count: int) -> None:
    backlog = Backlog.of([(0, 1)] * 17, memory=17)
    with pytest.raises(InvalidInput, match=rf"^waiting = {count} is .*: expected 1 to 16 requests"):
        best_batch(backlog, range(count))


def test_sixteen_requests_can_be_selected_from() -> None:
    backlog = Backlog.of([(0, 1)] * 16, memory=16)
    assert sorted_f_batches(backlog) == (tuple(range(16)),)


def test_an_unknown_kind_is_refused() -> None:
    backlog = Backlog.of([(0, 2), (0, 1)], memory=2)
    for ask in (
        lambda: is_feasible_batch(backlog, (0,), "peaksum"),  # type: ignore[arg-type]
        lambda: sorted_f_batches(backlog, "common_start"),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidInput, match=r"^kind = .*: expected one of peak-sum, common-st"):
            ask()


def test_phase_two_goes_by_batch_then_output_then_number() -> None:
    backlog = Backlog.of([(0, 3), (0, 1), (0, 3), (0, 1), (0, 2)], memory=9)
    assert batch_order(backlog, ((4, 2, 0), (3, 1))) == (4, 0, 2, 1, 3)
