r"""Statistics of the checks: tests with stated hypothesis, level and power.

Every check has a family-wise level `FAMILY_LEVEL`, divided evenly among the tests that its claim
makes (Bonferroni), so that a true claim is refuted with probability at most that in all. Power is
reported as the smallest effect that the test finds with probability `POWER`.

The gap of a policy at n GPUs is modelled where :math:`\sqrt n \cdot` gap has settled, on the
*settled range*: the longest run of studied sizes, ending at the largest, on which the values of
:math:`\sqrt n \cdot` gap agree with their weighted mean (Cochran's Q, level `SETTLING_LEVEL`),
and which has at least `SETTLED_SIZES` sizes. On it

* the exponent is the slope of log gap on log n by weighted least squares, and
* the limit gap is the intercept of gap on :math:`n^{-1/2}` by weighted least squares.

Weights are inverse squared standard errors, which are estimated from the replications: intervals
use Student's t with the pooled degrees of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FAMILY_LEVEL = 0.01
POWER = 0.9
SETTLING_LEVEL = 0.05
SETTLED_SIZES = 3


@dataclass(frozen=True)
class GapCurve:
    """Estimated gaps to R*, relative to R*, at increasing numbers of GPUs; arrays (sizes,)."""

    gpus: NDArray[np.int64]
    gap: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    replications: NDArray[np.int64]

    def last(self, sizes: int) -> GapCurve:
        """The part with the largest ``sizes`` numbers of GPUs."""
        return GapCurve(*(getattr(self, name)[-sizes:] for name in self.__dataclass_fields__))

    @property
    def degrees_of_freedom(self) -> int:
        """Pooled degrees of freedom of the standard errors."""
        return int((self.replications - 1).sum())


@dataclass(frozen=True)
class Fitted:
    """A fitted number with its standard error and the pooled degrees of freedom."""

    value: float
    standard_error: float
    degrees_of_freedom: int

    def interval(self, level: float) -> tuple[float, float]:
        """Two-sided Student interval with error probability ``level``."""
        width = float(stats.t.ppf(1 - level / 2, self.degrees_of_freedom)) * self.standard_error
        return self.value - width, self.value + width

    def detectable(self, level: float) -> float:
        """Effect found with probability `POWER` by the two-sided test at ``level``."""
        quantiles = stats.t.ppf([1 - level / 2, POWER], self.degrees_of_freedom)
        return float(quantiles.sum()) * self.standard_error


def settled_range(curve: GapCurve) -> GapCurve | None:
    """The part of the curve on which sqrt(n) gap has settled; None if it has nowhere."""
    settled = None
    for sizes in range(SETTLED_SIZES, len(curve.gpus) + 1):
        if settling_p_value(curve.last(sizes)) < SETTLING_LEVEL:
            break
        settled = curve.last(sizes)
    return settled


def settling_p_value(curve: GapCurve) -> float:
    """P-value of Cochran's Q for equality of sqrt(n) gap over the sizes of the curve."""
    scaled = np.sqrt(curve.gpus) * curve.gap
    weights = 1 / (np.sqrt(curve.gpus) * curve.standard_error) ** 2
    mean = np.average(scaled, weights=weights)
    return float(stats.chi2.sf(np.sum(weights * (scaled - mean) ** 2), len(scaled) - 1))


def fitted_exponent(curve: GapCurve) -> Fitted:
    """Slope of log gap on log n; gaps must be positive."""
    _, slope = _weighted_line(
        np.log(curve.gpus), np.log(curve.gap), curve.standard_error / curve.gap, curve
    )
    return slope


def fitted_limit(curve: GapCurve) -> Fitted:
    """Intercept of gap on n^(-1/2): the gap that would remain at infinitely many GPUs."""
    intercept, _ = _weighted_line(1 / np.sqrt(curve.gpus), curve.gap, curve.standard_error, curve)
    return intercept


def _weighted_line(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    standard_error: NDArray[np.float64],
    curve: GapCurve,
) -> tuple[Fitted, Fitted]:
    """Intercept and slope, with standard errors propagated from those of ``y``."""
    design = np.stack([np.ones_like(x), x], axis=1) / standard_error[:, None]
    covariance = np.linalg.inv(design.T @ design)
    coefficients = covariance @ design.T @ (y / standard_error)
    errors = np.sqrt(np.diag(covariance))
    degrees = curve.degrees_of_freedom
    return (
        Fitted(float(coefficients[0]), float(errors[0]), degrees),
        Fitted(float(coefficients[1]), float(errors[1]), degrees),
    )
