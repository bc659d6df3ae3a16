"""Calibration: known laws are recovered, wrong laws are refuted, bad input is named."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kurtz.stochastic.calibration import (
    IterationTimeFit,
    calibrate,
    constant_window,
    fit_iteration_time,
    linear_window,
    measured_tables,
    published_fits,
    read_measurements,
)
from kurtz.stochastic.data import table
from kurtz.stochastic.least_squares import fit_law, powers_of
from kurtz.theory import InvalidInput, IterationTime, RangeWarning

CHUNKS = np.array([128.0, 256.0, 512.0, 1024.0, 2048.0])
BATCHES = np.array([1.0, 2.0, 4.0, 8.0])


def noisy_fit(seed: int = 0) -> IterationTimeFit:
    noise = np.random.default_rng(seed).normal(0, 1e-3, CHUNKS.size)
    solo = 0.022 + np.array([-1e-4, 1e-4, -1e-4, 1e-4])
    return fit_iteration_time(CHUNKS, 0.0174 + 6.2e-5 * CHUNKS + noise, BATCHES, solo)


@given(alpha=st.floats(1e-3, 0.1), beta=st.floats(1e-6, 1e-3), gamma=st.floats(5, 200))
def test_exact_law_is_recovered(alpha: float, beta: float, gamma: float) -> None:
    fit = fit_iteration_time(CHUNKS, alpha + beta * CHUNKS, BATCHES, np.full(4, 1 / gamma))
    time = fit.iteration_time
    assert (time.alpha, time.beta, time.gamma) == pytest.approx((alpha, beta, gamma), rel=1e-9)
    assert fit.r_squared == pytest.approx(1)
    assert fit.worst_relative_residual < 1e-9
    assert fit.solo_worst_deviation < 1e-12
    assert (fit.chunk_range, fit.batch_range) == ((128, 2048), (1, 8))


def test_least_squares_by_hand() -> None:
    # Points (1, 1), (2, 2), (3, 2): slope 1/2, intercept 2/3, residuals -1/6, 1/3, -1/6,
    # RSS 1/6 on one degree of freedom, TSS 2/3, hence R-squared 3/4; var(slope) = (1/6) / 2.
    law = fit_law(powers_of([1, 2, 3], 0, 1), [1, 2, 2])
    assert law.coefficients == pytest.approx((2 / 3, 1 / 2))
    assert law.residuals == pytest.approx((-1 / 6, 1 / 3, -1 / 6))
    assert law.r_squared == pytest.approx(3 / 4)
    assert law.worst_relative_residual == pytest.approx(1 / 6)
    assert law.standard_errors[1] == pytest.approx(np.sqrt(1 / 12))
    assert law.degrees_of_freedom == 1


def test_gamma_and_its_error_follow_the_mean_solo_time() -> None:
    fit = fit_iteration_time(CHUNKS, 1 + CHUNKS, [1, 2], [0.02, 0.03])
    assert fit.iteration_time.gamma == pytest.approx(40)
    # Standard error of the mean is 0.005 s; times gamma^2 = 1600 by the delta method.
    assert fit.standard_errors[2] == pytest.approx(0.005 * 1600)
    assert fit.solo_worst_deviation == pytest.approx(0.25)


@given(st.lists(st.floats(1e-3, 1), min_size=5, max_size=5))
def test_residuals_are_orthogonal_to_the_features(seconds: list[float]) -> None:
    law = fit_law(powers_of(CHUNKS, 0, 1), seconds)
    assert np.sum(law.residuals) == pytest.approx(0, abs=1e-12)
    assert np.dot(law.residuals, CHUNKS) == pytest.approx(0, abs=1e-9)


def test_confidence_band_covers_at_its_level() -> None:
    truth = 0.0174 + 6.2e-5 * 700
    inside = 0
    for seed in range(400):
        low, high = noisy_fit(seed).confidence_band([700.0], level=0.9)
        inside += bool(low[0] <= truth <= high[0])
    # 400 draws of probability 0.9: four standard deviations are 24.
    assert abs(inside - 360) <= 24


def test_confidence_band_widens_with_its_level_and_away_from_the_centre() -> None:
    fit = noisy_fit()
    low, high = fit.confidence_band([800.0, 5000.0])
    assert (high - low)[1] > (high - low)[0] > 0
    assert fit.confidence_band([800.0], level=0.99)[1][0] > high[0]


@pytest.mark.parametrize("level", [0, 1, float("nan")])
def test_confidence_level_is_a_probability(level: float) -> None:
    with pytest.raises(InvalidInput, match="level"):
        noisy_fit().confidence_band([512.0], level=level)


def test_laws_warn_outside_their_measurements() -> None:
    fit = noisy_fit()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit.mixed(2048) == pytest.approx(0.0174 + 6.2e-5 * 2048, abs=3e-3)
        assert fit.solo(8) == pytest.approx(0.022)
    with pytest.warns(RangeWarning, match=r"chunk = 4096 .* 128 to 2048"):
        fit.mixed(4096)
    with pytest.warns(RangeWarning, match="batch = 9 "):
        fit.solo(9)
    with pytest.raises(InvalidInput, match="chunk"):
        fit.mixed(-1)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"mixed_seconds": [0.1, float("nan"), 0.2]}, r"mixed_seconds\[1\] = nan"),
        ({"mixed_seconds": [0.1, -0.1, 0.2]}, r"mixed_seconds\[1\] = -0.1"),
        ({"mixed_seconds": [0.1, 0.2]}, "mixed_seconds = 2"),
        ({"mixed_seconds": [0.3, 0.2, 0.1]}, "mixed_seconds.*beta > 0"),
        ({"chunk_tokens": [256, 256, 512]}, "three distinct chunk sizes"),
        ({"chunk_tokens": ["a", "b", "c"]}, "chunk_tokens"),
        ({"chunk_tokens": []}, "chunk_tokens"),
        ({"solo_batch": [1], "solo_seconds": [0.02]}, "two solo measurements"),
        ({"solo_seconds": [0.02, 0.0]}, r"solo_seconds\[1\]"),
        ({"solo_seconds": [0.02]}, "solo_seconds = 1"),
    ],
)
def test_bad_points_are_named(changes: dict[str, list[float]], field: str) -> None:
    points = {
        "chunk_tokens": [256, 512, 1024],
        "mixed_seconds": [0.1, 0.2, 0.3],
        "solo_batch": [1, 2],
        "solo_seconds": [0.02, 0.02],
    }
    with pytest.raises(InvalidInput, match=field):
        fit_iteration_time(**{**points, **changes})


def test_dependent_features_are_refused() -> None:
    with pytest.raises(InvalidInput, match="linearly independent"):
        fit_law({"one": np.ones(5), "two": np.full(5, 2)}, CHUNKS)
    with pytest.raises(InvalidInput, match=r"features\[one\]"):
        fit_law({"one": np.ones(4)}, CHUNKS)
    with pytest.raises(InvalidInput, match=r"features\[one\]\[1\] = nan"):
        fit_law({"one": [1, float("nan")]}, [1, 2])
    with pytest.raises(InvalidInput, match="at least one feature"):
        fit_law({}, [1, 2])


def test_windows_follow_equation_1() -> None:
    chunks = np.array([64, 128, 256, 512, 1024, 2048, 4096])
    # b0 = 256, linear above it, and twice the slope beyond 2048.
    seconds = 0.03 + 1e-4 * np.maximum(0, chunks - 256) + 1e-4 * np.maximum(0, chunks - 2048)
    assert linear_window(chunks, seconds, solo_time=0.03) == (256, 2048)
    with pytest.raises(InvalidInput, match=r"0 <= alpha <= 0\.001"):
        linear_window(chunks, seconds, solo_time=1e-3)
    assert constant_window([1, 2, 4, 8], [0.02, 0.021, 0.022, 0.04]) == (1, 4)


def test_shipped_fits_are_reported_as_they_are() -> None:
    fits = calibrate(measured_tables())
    assert len(fits) == 8
    meets = {name for name, fit in fits.items() if fit.r_squared >= 0.997}
    assert meets == {
        "bloom-176b, a100-80gb, TP8",
        "llama2-70b, h100-80gb, TP2",
        "llama2-70b, h100-80gb, TP4",
    }
    for fit in fits.values():
        assert fit.worst_relative_residual < 0.051
        assert fit.solo_worst_deviation < 0.10
        assert 0 <= fit.iteration_time.alpha <= 1 / fit.iteration_time.gamma


def test_negative_control_quadratic_law_is_refuted_on_the_shipped_h100_measurements() -> None:
    measurements = measured_tables()
    rows = measurements.query(
        "model == 'llama2-70b' and hardware == 'h100-80gb' and tensor_parallel == 4"
    )
    fit = calibrate(rows)["llama2-70b, h100-80gb, TP4"]
    mixed = rows[(rows["kind"] == "mixed") & rows["tokens"].between(*fit.chunk_range)]
    linear, quadratic = (
        fit_law(powers_of(mixed["tokens"], 0, power), mixed["median_seconds"]) for power in (1, 2)
    )
    assert linear.worst_relative_residual < 0.02
    assert quadratic.worst_relative_residual > 0.15
    assert linear.r_squared > 0.997 > quadratic.r_squared


def test_published_fits_are_those_of_section_6_1() -> None:
    by_model = {fit.model: fit for fit in published_fits()}
    assert by_model["Qwen-8B"].iteration_time == IterationTime(0.0174, 6.2e-5, 45.45)
    assert by_model["Qwen-4B"].iteration_time == IterationTime(0.0152, 3.6e-5, 52.63)
    assert [fit.r_squared for fit in by_model.values()] == [0.998, 0.997]


def test_measurements_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    measured_tables().to_csv(path, index=False)
    pd.testing.assert_frame_equal(read_measurements(path), measured_tables())


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("kind", "both", "line 3, kind = 'both'"),
        ("tokens", -1, "line 3, tokens = -1"),
        ("median_seconds", float("nan"), "line 3, median_seconds = nan"),
        ("batch", None, "line 3, batch"),
    ],
)
def test_broken_measurements_are_named(
    tmp_path: Path, column: str, value: object, message: str
) -> None:
    measurements = measured_tables().astype(object)
    measurements.loc[1, column] = value
    measurements.to_csv(tmp_path / "own.csv", index=False)
    with pytest.raises(InvalidInput, match=message):
        read_measurements(tmp_path / "own.csv")


def test_unreadable_measurements_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="measurement file"):
        read_measurements(tmp_path / "absent.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(InvalidInput, match="measurement file"):
        read_measurements(tmp_path / "empty.csv")
    (tmp_path / "short.csv").write_text("model,kind\na,mixed\n")
    with pytest.raises(InvalidInput, match="hardware"):
        read_measurements(tmp_path / "short.csv")
    with pytest.raises(InvalidInput, match="one of azure_arrivals"):
        table("unknown")
