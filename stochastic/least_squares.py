r"""Laws that are linear in their features, fitted by ordinary least squares.

For times t and a matrix A of features, one column each, over n points and k features:

1. coefficients: the minimiser c of :math:`\|t - A c\|^2`, which is unique because A must have
   full rank;
2. covariance: :math:`s^2 (A'A)^{-1}` with the noise :math:`s^2 = \|t - A c\|^2 / (n - k)`.

Source: Seber and Lee, Linear Regression Analysis (Wiley, 2nd ed. 2003), Sections 3.1-3.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ..theory.errors import InvalidInput, require_number


@dataclass(frozen=True)
class LawFit:
    """Ordinary least squares of seconds on named features.

    Parameters
    ----------
    features
        Names of the regressors.
    coefficients
        Seconds per unit of each regressor.
    covariance
        Estimated covariance of the coefficients; infinite without degrees of freedom.
    residuals
        Measured minus fitted time of each point, seconds.
    r_squared
        Share of the variance explained; zero for a constant law.
    worst_relative_residual
        Largest residual relative to the measured time of its point.
    """

    features: tuple[str, ...]
    coefficients: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    residuals: tuple[float, ...]
    r_squared: float
    worst_relative_residual: float

    @property
    def degrees_of_freedom(self) -> int:
        """Points minus coefficients."""
        return len(self.residuals) - len(self.coefficients)

    @property
    def residual_sum_of_squares(self) -> float:
        """Squared seconds left unexplained."""
        return float(np.square(self.residuals).sum())

    @property
    def standard_errors(self) -> tuple[float, ...]:
        """Standard error of each coefficient."""
        return tuple(np.sqrt(np.diag(self.covariance)).tolist())

    def confidence_band(
        self, features: Mapping[str, ArrayLike], level: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pointwise confidence band of the law's mean by Student's t.

        Parameters
        ----------
        features
            Values of the law's features, in their order and all of one shape.
        level
            Probability, at each point, of covering its mean time.

        Returns
        -------
        lower, upper
            Seconds, in the shape of the features.

        Raises
        ------
        InvalidInput
            ``level`` is not strictly between 0 and 1.
        """
        require_number("level", level, "probability", above=0)
        if level >= 1:
            raise InvalidInput("level", level, "a probability below 1")
        points = np.stack([np.asarray(values) for values in features.values()], axis=-1)
        centre = points @ np.array(self.coefficients)
        variance = np.einsum("...i,ij,...j", points, self.covariance, points)
        reach = stats.t.ppf((1 + level) / 2, self.degrees_of_freedom) * np.sqrt(variance)
        return centre - reach, centre + reach


def powers_of(chunks: ArrayLike, *exponents: int) -> dict[str, NDArray[np.float64]]:
    """Features ``chunk^k`` for `fit_law`: (0, 1) is equation (3), (0, 2) a quadratic law."""
    sizes = positive_numbers("chunk_tokens", chunks, "tokens")
    return {f"chunk^{exponent}": sizes**exponent for exponent in exponents}


def fit_law(features: Mapping[str, ArrayLike], seconds: ArrayLike) -> LawFit:
    """Fit seconds = sum over features of coefficient times feature, by least squares.

    Raises
    ------
    InvalidInput
        A time is not positive, a feature is not finite or has another length than ``seconds``,
        there is no feature, or the features are linearly dependent on these points.
    """
    times = positive_numbers("seconds", seconds, "seconds")
    names = tuple(features)
    if not names:
        raise InvalidInput("features", names, "at least one feature")
    columns = [finite_numbers(f"features[{name}]", features[name], "its unit") for name in names]
    for name, column in zip(names, columns, strict=True):
        if column.shape != times.shape:
            raise InvalidInput(f"features[{name}]", column.size, f"{times.size} values")
    # Columns of like size keep C^2 beside 1 from costing digits.
    scale = np.array([max(np.abs(column).max(), 1e-300) for column in columns])
    design = np.stack(columns, axis=1) / scale
    scaled, _, rank, _ = np.linalg.lstsq(design, times)
    if rank < len(names):
        allowed = f"{len(names)} linearly independent features on {times.size} points"
        raise InvalidInput("features", names, allowed)
    residuals = times - design @ scaled
    freedom = times.size - len(names)
    noise = residuals @ residuals / freedom if freedom else np.inf
    inverse = np.linalg.inv(design.T @ design) / np.outer(scale, scale)
    total = np.square(times - times.mean()).sum()
    explained = 1 - float(residuals @ residuals / total) if total and len(names) > 1 else 0.0
    return LawFit(
        features=names,
        coefficients=tuple((scaled / scale).tolist()),
        covariance=tuple(map(tuple, (noise * inverse).tolist())),
        residuals=tuple(residuals.tolist()),
        r_squared=explained,
        worst_relative_residual=float(np.max(np.abs(residuals) / times)),
    )


def finite_numbers(
    field: str, values: ArrayLike, unit: str, above: float | None = None
) -> NDArray[np.float64]:
    """``values`` as floats, each finite and, if asked, above a bound."""
    try:
        numbers = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise InvalidInput(field, values, f"numbers ({unit})") from error
    if not numbers.size:
        raise InvalidInput(field, [], f"at least one number ({unit})")
    for index, number in enumerate(numbers.flat):
        require_number(f"{field}[{index}]", float(number), unit, above=above)
    return numbers


def positive_numbers(
    field: str, values: ArrayLike, unit: str, size: int | None = None
) -> NDArray[np.float64]:
    """``values`` as positive floats; with ``size``, one dimension of that length."""
    numbers = finite_numbers(field, values, unit, above=0)
    if size is not None and numbers.shape != (size,):
        raise InvalidInput(field, numbers.size, f"{size} values, one per point")
    return numbers
