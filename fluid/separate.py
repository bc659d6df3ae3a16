r"""The separate program (42) as a concave maximisation in one variable (derived).

For :math:`\theta > 0` and :math:`X = \sum_i x_i`,

.. math::

   \tilde R^* = \max_{0 \le X \le \min(1, \sum_i \bar x_i)}
   c_p \frac C\tau X + \frac{c_d}\tau \min\{W(X),\ (B-1) X + \kappa B (1-X)\},

where W(X) is the most decode work that X prefills create, the maximum of
:math:`C \sum_i (D_i/P_i)\, x_i` over :math:`0 \le x \le \bar x` with sum X. It is reached by
filling the classes in descending order of D/P, so that W is concave and piecewise linear, and the
maximum is at X = 0, at a breakpoint of W, at the end of the range, or where the two sides of the
minimum cross. The equivalence is proved in `kurtz.theory.derivations.separate_concave`; no
condition on kappa is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..theory.errors import InvalidInput
from ..theory.network import ServingNetwork, exact
from ..theory.rates import exact_rates


@dataclass(frozen=True)
class ConcaveForm:
    """The objective of the module docstring, in fractions.

    Attributes
    ----------
    prompt_revenue
        Revenue per second of one busy prefill slot, c_p C / tau.
    work_revenue
        Revenue per second of one mixed decode slot, c_d / tau.
    work
        Breakpoints (X, W(X)), from (0, 0) to the end of the range of X.
    solo_capacity
        Decode work that GPUs without prefills can do, kappa B in mixed decode slots.
    mixed_capacity
        Decode work that GPUs with prefills can do, B - 1.
    """

    prompt_revenue: Fraction
    work_revenue: Fraction
    work: tuple[tuple[Fraction, Fraction], ...]
    solo_capacity: Fraction
    mixed_capacity: Fraction

    def capacity(self, mixed_share: Fraction) -> Fraction:
        """Decode work per GPU that fits at the share X of mixed GPUs, in mixed slots."""
        return self.mixed_capacity * mixed_share + self.solo_capacity * (1 - mixed_share)

    def decode_work(self, mixed_share: Fraction) -> Fraction:
        """W(X): decode work created, in mixed slots, by linear interpolation."""
        for (start, low), (end, high) in zip(self.work, self.work[1:], strict=False):
            if start <= mixed_share <= end:
                return low + (high - low) * (mixed_share - start) / (end - start)
        return self.work[-1][1]

    def revenue(self, mixed_share: Fraction) -> Fraction:
        """The objective at X, per GPU-second."""
        done = min(self.decode_work(mixed_share), self.capacity(mixed_share))
        return self.prompt_revenue * mixed_share + self.work_revenue * done

    def candidates(self) -> tuple[Fraction, ...]:
        """The points among which the maximum is, in ascending order."""
        points = {share for share, _ in self.work}
        for (start, low), (end, high) in zip(self.work, self.work[1:], strict=False):
            before, after = low - self.capacity(start), high - self.capacity(end)
            if before * after < 0:
                points.add(start + (end - start) * before / (before - after))
        return tuple(sorted(points))

    def maximum(self) -> tuple[Fraction, Fraction]:
        """The smallest maximiser X and the maximum."""
        best = max(self.candidates(), key=lambda share: (self.revenue(share), -share))
        return best, self.revenue(best)


def concave_form(network: ServingNetwork, order: Sequence[int] | None = None) -> ConcaveForm:
    """The one-dimensional form of the separate program of ``network``.

    Parameters
    ----------
    order
        In which classes are prefilled; by default in descending order of D/P, the right one.

    Raises
    ------
    InvalidInput
        A class has patience rate 0: it has to be served in full.
    """
    rate, gpu, prices = exact_rates(network), network.gpu, network.prices
    if 0 in rate.patience:
        raise InvalidInput("patience_rate", 0, "a positive number for every class")
    share, work = Fraction(0), Fraction(0)
    breakpoints = [(share, work)]
    for i in decode_work_order(network) if order is None else order:
        per_prefill = rate.prefill[i] / rate.mixed_decode[i]
        added = min(rate.arrival[i] / rate.prefill[i], 1 - share)
        if added > 0:
            share, work = share + added, work + per_prefill * added
            breakpoints.append((share, work))
    return ConcaveForm(
        prompt_revenue=exact(prices.prefill) * gpu.chunk / rate.mixed_time,
        work_revenue=exact(prices.decode) / rate.mixed_time,
        work=tuple(breakpoints),
        solo_capacity=rate.kappa * rate.batch,
        mixed_capacity=Fraction(rate.batch - 1),
    )


def decode_work_order(network: ServingNetwork) -> tuple[int, ...]:
    """Classes in descending order of D/P, ties in the order of the network."""
    prompts = network.per_class("prompt_tokens", exact)
    outputs = network.per_class("output_tokens", exact)
    return tuple(sorted(range(len(prompts)), key=lambda i: (-outputs[i] / prompts[i], i)))
