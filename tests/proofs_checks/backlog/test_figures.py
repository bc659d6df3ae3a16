"""Pictures of schedules show what is held: band on band, within the memory, named and coloured."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch

from kurtz.proofs_checks.backlog.figures import MOST_REQUESTS, draw_schedule, schedule_figure
from kurtz.proofs_checks.testing import backlogs
from kurtz.theory.backlog import (
    Backlog,
    InvalidSchedule,
    Schedule,
    list_schedule,
    memory_by_step,
)
from kurtz.theory.errors import InvalidInput

PAIR = Backlog.of([(0, 2), (1, 1)], memory=3)
TOGETHER, APART = Schedule((0, 0)), Schedule((0, 2))


def empty_axes() -> Axes:
    return Figure().subplots()


def bands(axes: Axes) -> list[StepPatch]:
    return [patch for patch in axes.patches if isinstance(patch, StepPatch) and patch.get_fill()]


def heights(axes: Axes, steps: int) -> np.ndarray:
    """Tokens drawn in each step, summed over the bands."""
    drawn = np.zeros(steps)
    for band in bands(axes):
        upper, edges, lower = band.get_data()
        drawn[int(edges[0]) : int(edges[-1])] += upper - lower
    return drawn


@settings(deadline=None, max_examples=20)
@given(backlogs())
def test_bands_add_up_to_the_memory_held(backlog: Backlog) -> None:
    schedule = list_schedule(backlog, range(len(backlog)))
    axes = empty_axes()
    draw_schedule(axes, backlog, schedule)
    memory = memory_by_step(backlog, schedule)
    assert len(bands(axes)) == len(backlog)
    assert heights(axes, len(memory)).tolist() == memory.tolist()


@settings(deadline=None, max_examples=20)
@given(backlogs())
def test_bands_lie_on_one_another(backlog: Backlog) -> None:
    schedule = list_schedule(backlog, range(len(backlog)))
    axes = empty_axes()
    draw_schedule(axes, backlog, schedule)
    top = np.zeros(len(memory_by_step(backlog, schedule)))
    for band in bands(axes):
        upper, edges, lower = band.get_data()
        steps = slice(int(edges[0]), int(edges[-1]))
        assert np.array_equal(lower, top[steps])
        top[steps] = upper


def test_the_budget_is_a_line_within_sight() -> None:
    axes = empty_axes()
    draw_schedule(axes, PAIR, TOGETHER)
    (budget,) = axes.lines
    assert set(budget.get_ydata()) == {3}
    assert axes.get_ylim()[0] == 0
    assert axes.get_ylim()[1] > 3
    assert axes.get_xlim() == (0, 2)


def test_requests_of_one_label_share_a_colour_and_a_legend_entry() -> None:
    backlog = Backlog.of([(0, 1)] * 3, memory=3)
    axes = empty_axes()
    draw_schedule(axes, backlog, Schedule((0, 0, 0)), ["short", "long", "short"])
    colours = [to_hex(band.get_facecolor()) for band in bands(axes)]
    assert colours[0] == colours[2] != colours[1]
    assert axes.get_legend_handles_labels()[1] == ["short", "long"]


@pytest.mark.parametrize("count", [1, 10, 11, 30])
def test_without_labels_every_request_has_its_own_colour(count: int) -> None:
    axes = empty_axes()
    draw_schedule(axes, Backlog.of([(0, 1)] * count, memory=count), Schedule((0,) * count))
    assert len({to_hex(band.get_facecolor()) for band in bands(axes)}) == count
    assert not axes.get_legend_handles_labels()[1]


def test_an_infeasible_schedule_is_not_drawn() -> None:
    with pytest.raises(InvalidSchedule):
        draw_schedule(empty_axes(), Backlog.of([(1, 1), (1, 1)], memory=3), TOGETHER)


def test_more_bands_than_can_be_told_apart_are_refused() -> None:
    count = MOST_REQUESTS + 1
    backlog = Backlog.of([(0, 1)] * count, memory=count)
    with pytest.raises(InvalidInput, match=rf"^requests = {count} is .*: expected at most 400"):
        draw_schedule(empty_axes(), backlog, Schedule((0,) * count))


@pytest.mark.parametrize("groups", [[], ["a"], ["a", "b", "c"]])
def test_labels_are_one_per_request(groups: list[str]) -> None:
    with pytest.raises(InvalidInput, match=rf"^groups = {len(groups)} is .*: expected 2 labels"):
        draw_schedule(empty_axes(), PAIR, TOGETHER, groups)


def test_schedules_are_drawn_on_a_common_time_axis_with_their_latencies() -> None:
    figure = schedule_figure(PAIR, {"together": TOGETHER, "apart": APART}, ["a", "b"])
    upper, lower = figure.axes
    titles = [axes.get_title(loc="left") for axes in (upper, lower)]
    assert titles == ["together: total latency 3", "apart: total latency 5"]
    assert upper.get_xlim() == lower.get_xlim() == (0, 3)
    assert (upper.get_xlabel(), lower.get_xlabel()) == ("", "step")
    assert upper.get_legend() is not None
    assert lower.get_legend() is None


def test_without_labels_there_is_no_legend() -> None:
    (axes,) = schedule_figure(PAIR, {"together": TOGETHER}).axes
    assert axes.get_legend() is None


def test_a_figure_shows_at_least_one_schedule() -> None:
    with pytest.raises(InvalidInput, match=r"^schedules = \{\} is .*: expected at least one"):
        schedule_figure(PAIR, {})
