"""What a target on the time per output token (TPOT) costs near 1/gamma, decided by plans."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

from ...fluid import plan
from ...fluid.parametric import ValueFunction
from ...theory import InfeasibleError, ServingNetwork, exact_rates
from ...theory.claims import Grade
from ...theory.rates import Rates
from ...theory.sli import LinearRow, LinearSli, TimePerOutputToken, mixed_share_at
from ..verdict import Evidence, outcome_of
from .service_level_fronts import (
    Fronts,
    counted_time_per_output_token,
    difference_quotients_agree,
    parameters,
)

TARGETS = tuple(Fraction(1, 4**j) for j in range(2, 12))
"""Distances of TPOT targets from 1/gamma, as shares of tau - 1/gamma."""


class TimePerOutputTokenOfFullBatches(TimePerOutputToken):
    """The TPOT with B decodes beside a prefill instead of B - 1: wrong."""

    def rows(self, rates: Rates, class_names: Any) -> tuple[LinearRow, ...]:
        """The row X <= `mixed_share_of_full_batches`."""
        (row,) = super().rows(rates, class_names)
        share = mixed_share_of_full_batches(rates, Fraction(str(self.limit)))
        total = tuple(int(k < len(class_names)) for k in range(len(row.coefficients)))
        return (LinearRow(row.name, total, share),)


def mixed_share_of_full_batches(rates: Rates, seconds: Any) -> Any:
    """The largest X if mixed GPUs decoded B requests: wrong."""
    solo_time = rates.mixed_time / rates.kappa
    return (seconds - solo_time) / (rates.mixed_time - solo_time)


def price_of_tpot(fronts: Fronts, distance: Fraction) -> tuple[Fraction, Fraction]:
    """Revenue at the target 1/gamma + ``distance`` seconds, and its right derivative there."""
    rate = exact_rates(fronts.network)
    spread = (rate.batch - 1) * (rate.mixed_time - rate.mixed_time / rate.kappa)
    share = mixed_share_at(rate, rate.mixed_time / rate.kappa + distance)
    slope = next(p.slope for p in fronts.mixed_share.pieces if p.start <= share < p.end)
    return (
        fronts.mixed_share.value(share),
        slope * rate.batch * spread / (spread + distance) ** 2,
    )


def steepest_price(fronts: Fronts) -> Fraction:
    """The price of the target at 1/gamma: V'(0) B / ((B-1) (tau - 1/gamma))."""
    return price_of_tpot(fronts, Fraction(0))[1]


def targets_are_met(
    name: str,
    network: ServingNetwork,
    front: ValueFunction,
    points: int,
    sli: Callable[[Any], LinearSli] = TimePerOutputToken,
    share_at: Callable[[Rates, Any], Any] = mixed_share_at,
) -> Evidence:
    """Plans under a TPOT target against the front of the mixed share, and counted slots."""
    rate = exact_rates(network)
    solo_time = rate.mixed_time / rate.kappa
    near = [solo_time + (rate.mixed_time - solo_time) * part for part in TARGETS]
    along = [counted_time_per_output_token(network, t) for t in parameters(front, points)]
    values, right = {}, 0
    targets = sorted({*near, *along})
    for target in targets:
        found, share = plan(network, slis=[sli(target)]), share_at(rate, target)
        values[share] = found.value
        counted = counted_time_per_output_token(network, found.mixed_share)
        binds = front.piece(share).slope > 0
        kept = counted == target if binds else counted <= target
        right += kept and found.value == front.value(share)
    sloped = difference_quotients_agree(front, values)
    return Evidence(
        name=f"plans under a TPOT target lie on the front of the mixed share: {name}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(right == len(targets) and sloped),
        claimed=f"{len(front.pieces)} linear pieces in X; the target is met with equality "
        "where it has a price",
        computed=f"{right} of {len(targets)} plans agree; difference quotients "
        f"{'agree' if sloped else 'differ'}",
        detail="certified plans under (47); their TPOT counted from slots and seconds; fractions",
    )


def price_is_finite(name: str, fronts: Fronts, claimed: Fraction) -> Evidence:
    """Difference quotients of planned revenue towards 1/gamma against the price ``claimed``."""
    network = fronts.network
    rate = exact_rates(network)
    solo_time = rate.mixed_time / rate.kappa
    distances = [(rate.mixed_time - solo_time) * part for part in (*TARGETS, Fraction(0))]
    revenues = [plan(network, slis=[TimePerOutputToken(solo_time + u)]).value for u in distances]
    points = list(zip(distances, revenues, strict=True))
    prices = [(v - w) / (a - b) for (a, v), (b, w) in pairwise(points)]
    rising = all(earlier < later for earlier, later in pairwise(prices) if later > 0)
    # The last quotient is claimed k/(k+u), where V is linear, and u/k is at most TARGETS[-1].
    near = 0 <= 1 - prices[-1] / claimed < TARGETS[-1]
    relative = prices[-1] / revenues[-2]
    return Evidence(
        name=f"the price of a TPOT target rises to a finite limit at 1/gamma: {name}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(rising and near and revenues[-1] == 0),
        claimed=f"rising to {float(claimed) / 1000:.1f} per ms; relative price about 1/u",
        computed=f"{float(prices[-1]) / 1000:.1f} per ms and {float(relative) / 1000:.0f} of "
        f"the revenue per ms at u = {float(distances[-2]) * 1e9:.1f} ns",
        slack=float((claimed - prices[-1]) / claimed),
        detail=f"u = distance of the target from 1/gamma; difference quotients of certified plans "
        f"at {len(distances)} targets; the last, down to 1/gamma, is less than a share "
        f"{float(TARGETS[-1]):.1e} below the limit V'(0) B/k, as u < k times that share",
    )


def zero_at_solo_speed(name: str, network: ServingNetwork) -> Evidence:
    """Whether the target 1/gamma leaves no revenue, and any below clashes with itself."""
    rate = exact_rates(network)
    solo_time = rate.mixed_time / rate.kappa
    value = plan(network, slis=[TimePerOutputToken(solo_time)]).value
    clashing: tuple[str, ...] = ()
    try:
        plan(network, slis=[TimePerOutputToken(solo_time * Fraction(999, 1000))])
    except InfeasibleError as error:
        clashing = tuple(error.clashing)
    return Evidence(
        name=f"a TPOT of 1/gamma leaves no revenue, less is infeasible: {name}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(value == 0 and clashing == ("average TPOT",)),
        claimed="0, infeasible",
        computed=f"{value}, clashing: {', '.join(clashing) or 'nothing'}",
        detail="certified rational optimum; infeasibility by exact phase one",
    )
