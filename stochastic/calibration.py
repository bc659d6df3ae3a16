r"""Rate functions fitted to measured iteration times.

Equation (1) of gate-and-route (arXiv 2602.02987 v1) says that an iteration over b' effective
tokens takes

.. math:: \tau(b') = c + a \max\{0, b' - b_0\},

so that above b0 a mixed iteration is linear in its chunk, tau_mix(C) = alpha + beta C
(equation (3)), and a solo iteration is constant, tau_solo = 1 / gamma (equation (2)). Both are
ordinary least squares here: gamma is the reciprocal of the mean solo time and its standard
error follows by the delta method.

Which points a law is fitted to is decided by rules, never by eye:

* chunks (`linear_window`): the widest run of at least three measured chunk sizes, by the ratio
  of its ends, on which the law leaves a worst relative residual of at most 5 %; of equally wide
  runs the one with the smaller worst residual; if no run is that good, the run with the smallest
  worst residual. Only runs in keeping with equation (1) count: alpha = c - a b0 with c = tau_solo
  and b0 >= 0 asks for 0 <= alpha <= tau_solo. The lower end drops the flat part below b0, the
  upper end the chunks whose attention or communication makes them superlinear. R-squared has no
  say in the choice, yet both it and the residuals flatter a range chosen by residuals.
* solo batches (`constant_window`): all from the smallest to the largest batch for which every
  time stays within 10 % of the mean.

Since equation (1) knows tokens only, k prompts of 512 tokens in one iteration count as a second
measurement of 512 k tokens: where the law is blind to how tokens are composed and the hardware
is not, the residuals show it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ..theory import InvalidInput, IterationTime, RangeWarning
from ..theory.errors import require_number
from .data import table
from .least_squares import LawFit, fit_law, positive_numbers, powers_of

CHUNK_TOLERANCE = 0.05
SOLO_TOLERANCE = 0.10
_KEYS = ("model", "hardware", "tensor_parallel")
_COLUMNS = (*_KEYS, "kind", "tokens", "batch", "median_seconds", "count")


@dataclass(frozen=True)
class IterationTimeFit:
    """A calibrated `IterationTime` and what it rests on.

    Parameters
    ----------
    mixed_law, solo_law
        Fits of tau_mix(C) = alpha + beta C and of tau_solo = 1 / gamma.
    chunk_range
        Smallest and largest chunk behind the fit, tokens.
    batch_range
        Smallest and largest solo batch behind the fit, requests.
    """

    mixed_law: LawFit
    solo_law: LawFit
    chunk_range: tuple[float, float]
    batch_range: tuple[float, float]

    @cached_property
    def iteration_time(self) -> IterationTime:
        """The calibrated alpha (s), beta (s per token) and gamma (tokens per s)."""
        alpha, beta = self.mixed_law.coefficients
        return IterationTime(alpha, beta, 1 / self.solo_law.coefficients[0])

    @property
    def standard_errors(self) -> tuple[float, float, float]:
        """Standard errors of alpha (s), beta (s per token) and gamma (tokens per s)."""
        alpha, beta = self.mixed_law.standard_errors
        # Delta method: gamma = 1 / t has derivative -gamma^2.
        return alpha, beta, self.solo_law.standard_errors[0] * self.iteration_time.gamma**2

    @property
    def r_squared(self) -> float:
        """R-squared of the mixed law."""
        return self.mixed_law.r_squared

    @property
    def residuals(self) -> tuple[float, ...]:
        """Measured minus fitted mixed iteration times, seconds."""
        return self.mixed_law.residuals

    @property
    def worst_relative_residual(self) -> float:
        """Largest residual of the mixed law relative to the measured time."""
        return self.mixed_law.worst_relative_residual

    @property
    def solo_worst_deviation(self) -> float:
        """Largest deviation of a solo time from 1 / gamma, relative to the measured time."""
        return self.solo_law.worst_relative_residual

    @property
    def degrees_of_freedom(self) -> int:
        """Degrees of freedom of the mixed law."""
        return self.mixed_law.degrees_of_freedom

    def mixed(self, chunk: float) -> float:
        """Seconds of a mixed iteration with ``chunk`` prompt tokens.

        Warns with `RangeWarning` outside ``chunk_range``; raises `InvalidInput` unless
        ``chunk`` is a positive number.
        """
        _warn_outside("chunk", chunk, "tokens", self.chunk_range)
        return self.iteration_time.alpha + self.iteration_time.beta * chunk

    def solo(self, batch: float) -> float:
        """Seconds of a solo iteration with ``batch`` decodes.

        Warns with `RangeWarning` outside ``batch_range``; raises `InvalidInput` unless
        ``batch`` is a positive number.
        """
        _warn_outside("batch", batch, "requests", self.batch_range)
        return 1 / self.iteration_time.gamma

    def confidence_band(
        self, chunks: ArrayLike, level: float = 0.95
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Confidence band of the mean tau_mix at ``chunks`` tokens: `LawFit.confidence_band`."""
        return self.mixed_law.confidence_band(powers_of(chunks, 0, 1), level)


@dataclass(frozen=True)
class PublishedFit:
    """A fit as printed in a paper, without its points."""

    model: str
    hardware: str
    iteration_time: IterationTime
    r_squared: float


def fit_iteration_time(
    chunk_tokens: ArrayLike,
    mixed_seconds: ArrayLike,
    solo_batch: ArrayLike,
    solo_seconds: ArrayLike,
) -> IterationTimeFit:
    """Fit alpha, beta and gamma to all given points.

    Parameters
    ----------
    chunk_tokens, mixed_seconds
        Prompt tokens of mixed iterations and their times.
    solo_batch, solo_seconds
        Batch sizes of solo iterations and their times.

    Raises
    ------
    InvalidInput
        A value is not positive and finite, lengths differ, there are fewer than three distinct
        chunks or two solo points, or the fit leaves alpha < 0 or beta <= 0.
    """
    chunks = positive_numbers("chunk_tokens", chunk_tokens, "tokens")
    if np.unique(chunks).size < 3:
        raise InvalidInput("chunk_tokens", chunks.tolist(), "at least three distinct chunk sizes")
    batches = positive_numbers("solo_batch", solo_batch, "requests")
    if batches.size < 2:
        raise InvalidInput("solo_batch", batches.tolist(), "at least two solo measurements")
    mixed_times = positive_numbers("mixed_seconds", mixed_seconds, "seconds", chunks.size)
    solo_times = positive_numbers("solo_seconds", solo_seconds, "seconds", batches.size)
    fit = IterationTimeFit(
        mixed_law=fit_law(powers_of(chunks, 0, 1), mixed_times),
        solo_law=fit_law({"one": np.ones_like(batches)}, solo_times),
        chunk_range=(float(chunks.min()), float(chunks.max())),
        batch_range=(float(batches.min()), float(batches.max())),
    )
    if not _is_physical(fit.mixed_law):
        allowed = "times whose fit has alpha >= 0 and beta > 0"
        raise InvalidInput("(alpha, beta) of mixed_seconds", fit.mixed_law.coefficients, allowed)
    return fit


def linear_window(
    chunk_tokens: ArrayLike, seconds: ArrayLike, solo_time: float, exponent: int = 1
) -> tuple[float, float]:
    """Smallest and largest chunk of the run to fit, by the rule at the head of this module.

    Parameters
    ----------
    chunk_tokens, seconds
        Prompt tokens of mixed iterations and their times.
    solo_time
        Seconds of a solo iteration, the ceiling of alpha.
    exponent
        The law is alpha + beta C^exponent; 1 is the paper's, others are rivals for comparison.

    Raises
    ------
    InvalidInput
        A value is not positive and finite, lengths differ, or no run of at least three
        distinct chunk sizes gives 0 <= alpha <= ``solo_time`` and beta > 0.
    """
    require_number("solo_time", solo_time, "seconds", above=0)
    chunks = positive_numbers("chunk_tokens", chunk_tokens, "tokens")
    times = positive_numbers("seconds", seconds, "seconds", chunks.size)
    sizes = np.unique(chunks)
    runs = []
    for first in range(sizes.size - 2):
        for last in range(first + 2, sizes.size):
            low, high = float(sizes[first]), float(sizes[last])
            inside = (chunks >= low) & (chunks <= high)
            law = fit_law(powers_of(chunks[inside], 0, exponent), times[inside])
            if _is_physical(law) and law.coefficients[0] <= solo_time:
                runs.append((law.worst_relative_residual, low, high))
    if not runs:
        allowed = f"three sizes in a row whose times give 0 <= alpha <= {solo_time:g} and beta > 0"
        raise InvalidInput("chunk_tokens", sizes.tolist(), allowed)
    good = [run for run in runs if run[0] <= CHUNK_TOLERANCE]
    _, low, high = max(good, key=lambda run: (run[2] / run[1], -run[0])) if good else min(runs)
    return low, high


def constant_window(solo_batch: ArrayLike, seconds: ArrayLike) -> tuple[float, float]:
    """Smallest and largest batch of near-constant solo time, by the rule of this module.

    The smallest batch alone is a run, so that the answer always exists. Raises `InvalidInput`
    when a value is not positive and finite or lengths differ.
    """
    batches = positive_numbers("solo_batch", solo_batch, "requests")
    times = positive_numbers("seconds", seconds, "seconds", batches.size)
    sizes = np.unique(batches)
    end = sizes[0]
    for size in sizes:
        run = times[batches <= size]
        if np.max(np.abs(run - run.mean()) / run) > SOLO_TOLERANCE:
            break
        end = size
    return float(sizes[0]), float(end)


def calibrate(measurements: pd.DataFrame) -> dict[str, IterationTimeFit]:
    """Fit every model, hardware and tensor-parallel width of a measurement table.

    Parameters
    ----------
    measurements
        A table as `read_measurements` returns it.

    Returns
    -------
    dict
        Fits by names such as ``"llama2-70b, h100-80gb, TP4"``, in the order of the table.

    Raises
    ------
    InvalidInput
        As `linear_window` and `fit_iteration_time`.
    """
    fits = {}
    for (model, hardware, width), rows in measurements.groupby(list(_KEYS), sort=False):
        mixed, solo = (rows[rows["kind"] == kind] for kind in ("mixed", "solo"))
        batches = constant_window(solo["batch"], solo["median_seconds"])
        solo = solo[solo["batch"].between(*batches)]
        solo_time = float(solo["median_seconds"].mean())
        chunks = linear_window(mixed["tokens"], mixed["median_seconds"], solo_time)
        mixed = mixed[mixed["tokens"].between(*chunks)]
        fits[f"{model}, {hardware}, TP{width}"] = fit_iteration_time(
            mixed["tokens"], mixed["median_seconds"], solo["batch"], solo["median_seconds"]
        )
    return fits


def read_measurements(path: str | Path) -> pd.DataFrame:
    """Read a table of measured iteration times.

    The columns are model, hardware, tensor_parallel, kind (``mixed`` or ``solo``), tokens
    (effective tokens of the iteration: the chunk, or one per decode), batch (requests in the
    iteration), median_seconds and count (repetitions behind the median).

    Raises
    ------
    InvalidInput
        The file is unreadable, a column is missing, or a value is outside its range.
    """
    try:
        measurements = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InvalidInput("measurement file", str(path), f"a readable CSV ({error})") from error
    for column in _COLUMNS:
        if column not in measurements:
            allowed = f"the columns {', '.join(_COLUMNS)}"
            raise InvalidInput("missing column", column, allowed)
    for line, kind in enumerate(measurements["kind"], start=2):
        if kind not in ("mixed", "solo"):
            raise InvalidInput(f"line {line}, kind", kind, "mixed or solo")
    for column, unit in (("tokens", "tokens"), ("batch", "requests"), ("median_seconds", "s")):
        for line, value in enumerate(measurements[column].tolist(), start=2):
            require_number(f"line {line}, {column}", value, unit, above=0)
    return measurements[list(_COLUMNS)]


def measured_tables() -> pd.DataFrame:
    """The shipped medians of A100 and H100 measurements; data/README.md gives their source."""
    return table("iteration_time_medians")


def published_fits() -> tuple[PublishedFit, ...]:
    """The two fits printed in Section 6.1 of arXiv 2602.02987 v1."""
    return tuple(
        PublishedFit(
            row["model"],
            row["hardware"],
            IterationTime(row["alpha"], row["beta"], row["gamma"]),
            row["r_squared"],
        )
        for row in table("published_fits").to_dict("records")
    )


def _is_physical(law: LawFit) -> bool:
    alpha, beta = law.coefficients
    return alpha >= 0 and beta > 0


def _warn_outside(field: str, value: float, unit: str, measured: tuple[float, float]) -> None:
    require_number(field, value, unit, above=0)
    low, high = measured
    if not low <= value <= high:
        message = f"{field} = {value:g} {unit} lies outside the measured range {low:g} to {high:g}"
        warnings.warn(message, RangeWarning, stacklevel=3)
