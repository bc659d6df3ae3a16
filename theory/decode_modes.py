r"""How full decode slots forget their mixture of classes, and when that lets the line drain.

Source: derived, `kurtz.theory.derivations.decode_line`. Classes that reach decode with shares
:math:`\pi_i` of the flow and are decoded at rates :math:`\mu_i` in mixed slots have the modes
:math:`\beta_j`, the roots of :math:`\sum_i \pi_i / (\beta - \mu_i) = 0`, with strengths
:math:`k_j = 1 / \sum_i \pi_i (\beta_j - \mu_i)^{-2}`. The roots are the eigenvalues of
:math:`\mathrm{diag}(\mu)` compressed to the complement of the vector :math:`(\sqrt{\pi_i})`, since
a vector u there with :math:`\mu u - \beta u` parallel to it has entries
:math:`\sqrt{\pi_i} / (\beta - \mu_i)`. Solo slots have the modes :math:`\kappa \beta_j`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .rates import rates
from .steady_state import OccupancyTargets

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DecodeModes:
    """The planned classes of a network as its decode slots see them.

    Attributes
    ----------
    classes
        Indices of the planned classes.
    flow
        Requests per second and GPU that reach decode, in all.
    shares, decode_rates, patience_rates
        Shape (planned classes,): shares of the flow, and rates in mixed slots and in line, 1/s.
    modes, strengths
        Shape (distinct decode rates - 1,): beta_j and k_j, 1/s, in ascending order of the modes.
    """

    classes: tuple[int, ...]
    flow: float
    shares: Floats
    decode_rates: Floats
    patience_rates: Floats
    modes: Floats
    strengths: Floats

    def losses(self, waits: ArrayLike) -> Floats:
        """Shape (waits, classes): who gives up within a wait, 1 - exp(-theta_i w)."""
        return np.asarray(-np.expm1(-np.multiply.outer(waits, self.patience_rates)))

    def forcing(self, waits: ArrayLike) -> Floats:
        r"""Shape (waits, modes): the sums of :math:`\pi_i (1-e^{-\theta_i w})/(\beta_j-\mu_i)`."""
        return np.asarray(self.losses(waits) @ (self.shares / self._gaps()).T)

    def bracket(self, waits: ArrayLike) -> Floats:
        r"""Shape (waits,): :math:`\bar b(w) - \sum_j (k_j/\beta_j) F_j(w)^-`.

        Where it is positive for all w > 0 the decode buffer drains, whatever kappa is.
        """
        against = np.maximum(-self.forcing(waits), 0.0)
        return np.asarray(
            self.losses(waits) @ self.shares - against @ (self.strengths / self.modes)
        )

    def line(self, waits: ArrayLike) -> Floats:
        """Requests per GPU in a line whose head has waited so long, shape (waits,)."""
        given_up, patient = self.losses(waits), np.multiply.outer(waits, self.shares)
        held = np.divide(
            given_up * self.shares, self.patience_rates, out=patient, where=self.patience_rates > 0
        )
        return np.asarray(self.flow * held.sum(axis=-1))

    def memory(self, deviations: Floats, slack: float) -> Floats:
        r"""Shape (..., modes): :math:`\sum_i \zeta_i / (\mu_i - \beta_j) + \sigma / \beta_j`.

        Parameters
        ----------
        deviations
            Shape (..., classes): occupancies of a pool less their share of the flow at rest.
        slack
            Slots of the pool that are free at rest.
        """
        return np.asarray(-deviations @ (1 / self._gaps()).T + slack / self.modes)

    def _gaps(self) -> Floats:
        """Shape (modes, classes): beta_j - mu_i."""
        return np.subtract.outer(self.modes, self.decode_rates)


def decode_modes(targets: OccupancyTargets) -> DecodeModes:
    """The modes of a plan's planned classes.

    Examples
    --------
    >>> from kurtz.fluid import plan
    >>> from kurtz.theory import instance
    >>> modes = decode_modes(plan(instance("two-class")))
    >>> modes.decode_rates.round(4), modes.modes.round(4)
    (array([0.0301, 0.0751]), array([0.0519]))
    """
    rate = rates(targets.network)
    classes = tuple(i for i, x in enumerate(targets.prefill) if x > 0)
    flows, decode, patience = (
        np.array([column[i] for i in classes])
        for column in (
            [m * float(x) for m, x in zip(rate.prefill, targets.prefill, strict=True)],
            rate.mixed_decode,
            rate.patience,
        )
    )
    return modes_of_mixture(classes, flows, decode, patience)


def modes_of_mixture(
    classes: tuple[int, ...], flows: Floats, decode_rates: Floats, patience_rates: Floats
) -> DecodeModes:
    """The modes of classes with these flows to decode; classes of equal decode rate count as one.

    Parameters
    ----------
    flows, decode_rates, patience_rates
        Shape (classes,), 1/s; flows and decode rates are positive.
    """
    shares = flows / flows.sum()
    distinct, group = np.unique(decode_rates, return_inverse=True)
    weights = np.asarray(np.bincount(group, weights=shares), dtype=np.float64)
    modes = _roots(weights, distinct)
    strengths = 1 / (weights / np.subtract.outer(modes, distinct) ** 2).sum(axis=1)
    return DecodeModes(
        classes, float(flows.sum()), shares, decode_rates, patience_rates, modes, strengths
    )


def _roots(shares: Floats, decode_rates: Floats) -> Floats:
    """Roots of sum of shares / (beta - rates), ascending."""
    basis, _ = np.linalg.qr(np.column_stack([np.sqrt(shares), np.eye(len(shares))]))
    complement = basis[:, 1 : len(shares)]
    return np.asarray(np.linalg.eigvalsh(complement.T @ np.diag(decode_rates) @ complement))
