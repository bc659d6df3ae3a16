r"""Statistics of the checks: tests with stated hypothesis, level and power.

Every check has a family-wise level `FAMILY_LEVEL`, divided evenly among the tests that its claim
makes (Bonferroni). Power is reported as the smallest effect that the test finds with probability
`POWER`, from the noncentral t distribution.

A gap that decays at all does so at its own pace before :math:`\sqrt n \cdot` gap settles. The
*settled range* of a curve is the longest run of studied sizes, ending at the largest, on which the
values of :math:`\sqrt n \cdot` gap agree (Cochran's Q, level `SETTLING_LEVEL`), if it has at least
`SETTLED_SIZES` sizes. To look for the range and to test on it with the same data would be
circular: checks fix the range in advance, by this rule on pilot runs with other seeds. On it

* the exponent is the slope of log gap on log n by weighted least squares, and
* the limit gap is the intercept of gap on :math:`n^{-1/2}` by weighted least squares.

Fluctuations of the revenue per GPU are of order :math:`n^{-1/2}`, so that the mean of r
replications at n GPUs has variance :math:`\sigma^2 / (n r)`, with one :math:`\sigma^2` for all
sizes that is pooled from all replications: weights are known, and Student's t and Fisher's F with
the pooled degrees of freedom are exact for normal errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import brentq

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

    def starting_at(self, gpus: int) -> GapCurve:
        """The part with at least ``gpus`` GPUs."""
        kept = self.gpus >= gpus
        return GapCurve(*(getattr(self, name)[kept] for name in self.__dataclass_fields__))

    @property
    def degrees_of_freedom(self) -> int:
        """Pooled degrees of freedom of the standard errors."""
        return int((self.replications - 1).sum())

    @property
    def pooled_errors(self) -> NDArray[np.float64]:
        """Standard errors by the variance model of the module docstring, shape (sizes,)."""
        samples = self.replications * self.gpus
        variances = samples * self.standard_error**2
        pooled = np.average(variances, weights=self.replications - 1)
        return np.asarray(np.sqrt(pooled / samples))


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

    def detectable(self, level: float, *, sides: int = 2) -> float:
        """Effect found with probability `POWER` by the test at ``level`` with one or two sides."""
        degrees = self.degrees_of_freedom
        critical = stats.t.ppf(1 - level / sides, degrees)

        def missing_power(shift: float) -> float:
            return float(POWER - stats.nct.sf(critical, degrees, shift))

        beyond = 2 * critical + 10
        while missing_power(beyond) > 0:  # few degrees of freedom have heavy tails
            beyond *= 2
        return float(brentq(missing_power, 0.0, beyond)) * self.standard_error


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
    weights = 1 / (np.sqrt(curve.gpus) * curve.pooled_errors) ** 2
    mean = np.average(scaled, weights=weights)
    q = np.sum(weights * (scaled - mean) ** 2) / (len(scaled) - 1)
    return float(stats.f.sf(q, len(scaled) - 1, curve.degrees_of_freedom))


def fitted_exponent(curve: GapCurve) -> Fitted:
    """Slope of log gap on log n; gaps must be positive."""
    _, slope = _weighted_line(
        np.log(curve.gpus), np.log(curve.gap), curve.pooled_errors / curve.gap, curve
    )
    return slope


def fitted_limit(curve: GapCurve) -> Fitted:
    """Intercept of gap on n^(-1/2): the gap that would remain at infinitely many GPUs."""
    intercept, _ = _weighted_line(1 / np.sqrt(curve.gpus), curve.gap, curve.pooled_errors, curve)
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
