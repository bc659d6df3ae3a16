"""What the gate and the router take from those who wait, against readable twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from kurtz.fluid.dynamics.dynamics_kernel import fill_by_weight, fill_in_order, fill_to_level

LENGTH = 3
amounts = st.lists(st.integers(0, 20).map(lambda k: k / 10), min_size=LENGTH, max_size=LENGTH).map(
    np.array
)
targets = st.lists(st.integers(1, 20).map(lambda k: k / 10), min_size=LENGTH, max_size=LENGTH).map(
    np.array
)


@settings(deadline=None)
@given(amounts, targets, amounts, st.integers(1, 70).map(lambda k: k / 10))
def test_occupancy_gate_fills_to_a_common_level(
    occupied: np.ndarray, targets: np.ndarray, waiting: np.ndarray, free: float
) -> None:
    taken = np.empty(LENGTH)
    fill_to_level(occupied, targets, waiting, free, taken)

    def filled(level: float) -> np.ndarray:
        return np.clip(level * targets - occupied, 0, waiting)

    if waiting.sum() <= free:
        assert np.array_equal(taken, waiting)
    else:
        level = brentq(lambda each: filled(each).sum() - free, 0, 1e3, xtol=1e-14)
        assert taken == pytest.approx(filled(level), abs=1e-9)
        assert taken.sum() == pytest.approx(free, abs=1e-12)


def test_occupancy_gate_never_admits_a_class_without_a_target() -> None:
    taken = np.empty(2)
    fill_to_level(np.zeros(2), np.array([0.0, 1.0]), np.ones(2), 5.0, taken)
    assert taken.tolist() == [0.0, 1.0]


@settings(deadline=None)
@given(amounts, amounts, st.integers(1, 70).map(lambda k: k / 10))
def test_weighted_pool_splits_by_weight_among_those_who_wait(
    weights: np.ndarray, waiting: np.ndarray, free: float
) -> None:
    taken = np.empty(LENGTH)
    fill_by_weight(weights, waiting, free, taken)
    assert np.all(taken <= waiting)
    assert taken.sum() == pytest.approx(min(free, waiting.sum()), abs=1e-12)
    # Whoever is still waiting got at least as much per weight as anybody else.
    for i in range(LENGTH):
        if weights[i] > 0 and taken[i] < waiting[i] - 1e-12:
            per_weight = taken[i] / weights[i]
            assert all(taken[j] <= weights[j] * per_weight + 1e-9 for j in range(LENGTH))


def test_priority_serves_class_after_class() -> None:
    taken = np.empty(3)
    fill_in_order(np.array([2, 0, 1]), np.array([1.0, 1.0, 1.0]), 1.5, taken)
    assert taken.tolist() == [0.5, 0.0, 1.0]
