r"""Exact fronts of revenue against the limits of SLIs, and plans under those SLIs beside them.

A front is found by moving right-hand sides (`kurtz.fluid.parametric`). The evidence does not rest
on those rows: it plans under each SLI anew, reads off the *occupancies* what the SLI limits (the
largest difference of classes, or the average time per output token counted over slots), and
takes prices as difference quotients of the planned revenues.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

from ...fluid import Plan, plan
from ...fluid.parametric import ValueFunction, mixed_share_front, sli_front
from ...theory import ServingNetwork
from ...theory.claims import Grade
from ...theory.network import exact
from ...theory.penalties import largest_difference
from ...theory.rates import Rates
from ...theory.sli import DecodeFairness, LinearRow, LinearSli, PrefillFairness
from ...theory.steady_state import OCCUPANCIES
from ..verdict import Evidence, outcome_of

SEED = 64
BESIDE = Fraction(1, 20)
"""Where on every piece, besides its ends and its middle, a plan is made."""


@dataclass(frozen=True)
class Limited:
    """What an SLI limits: how to impose it, and how to measure it on a plan."""

    sli: Callable[[Any], LinearSli]
    measured: Callable[[Plan], Fraction]


@dataclass(frozen=True)
class Fronts:
    """Exact revenue of one network against the limit of each SLI."""

    network: ServingNetwork
    prefill_fairness: ValueFunction
    decode_fairness: ValueFunction
    mixed_share: ValueFunction

    def by_name(self) -> dict[str, ValueFunction]:
        """The fronts by the name of what is limited."""
        return {
            "prefill fairness": self.prefill_fairness,
            "decode fairness": self.decode_fairness,
            "mixed share": self.mixed_share,
        }


class DoubledPrefillFairness(PrefillFairness):
    """Prefill fairness with both sides of a difference counted twice: wrong."""

    def rows(self, rates: Rates, class_names: Any) -> tuple[LinearRow, ...]:
        """The rows with doubled coefficients."""
        rows = super().rows(rates, class_names)
        return tuple(
            replace(row, coefficients=tuple(2 * a for a in row.coefficients)) for row in rows
        )


class MixedDecodeFairness(DecodeFairness):
    """Decode fairness imposed on mixed instead of solo decodes: wrong."""

    def rows(self, rates: Rates, class_names: Any) -> tuple[LinearRow, ...]:
        """The rows with the two blocks exchanged."""
        count = len(class_names)
        stages = [OCCUPANCIES.index(name) for name in ("mixed_decode", "solo_decode")]
        exchanged = []
        for row in super().rows(rates, class_names):
            blocks = [
                row.coefficients[k : k + count] for k in range(0, len(row.coefficients), count)
            ]
            blocks[stages[0]], blocks[stages[1]] = blocks[stages[1]], blocks[stages[0]]
            exchanged.append(replace(row, coefficients=tuple(a for b in blocks for a in b)))
        return tuple(exchanged)


LIMITED = {
    "prefill fairness": Limited(PrefillFairness, lambda p: largest_difference(p.prefill)),
    "decode fairness": Limited(DecodeFairness, lambda p: largest_difference(p.solo_decode)),
}
"""The SLIs whose limit is a right-hand side."""
WRONG_ROWS: dict[str, type[PrefillFairness] | type[DecodeFairness]] = {
    "prefill fairness": DoubledPrefillFairness,
    "decode fairness": MixedDecodeFairness,
}


def fronts_of(network: ServingNetwork) -> Fronts:
    """The three fronts of ``network``, over all limits that can bind."""
    batch = Fraction(network.gpu.batch)
    return Fronts(
        network=network,
        prefill_fairness=sli_front(network, PrefillFairness, Fraction(0), Fraction(1)),
        decode_fairness=sli_front(network, DecodeFairness, Fraction(0), batch),
        mixed_share=mixed_share_front(network, Fraction(0), Fraction(1)),
    )


def parameters(front: ValueFunction, points: int) -> tuple[Fraction, ...]:
    """Breakpoints, parameters beside them, midpoints and random points of ``front``."""
    generator = random.Random(SEED)
    places = {
        start + (end - start) * part
        for start, end in pairwise(front.breakpoints)
        for part in (0, BESIDE, Fraction(1, 2), 1)
    }
    low, high = front.breakpoints[0], front.breakpoints[-2]
    places |= {low + (high - low) * generator.randint(1, 999) / 1000 for _ in range(points)}
    return tuple(sorted(places))


def plans_along(
    network: ServingNetwork, front: ValueFunction, sli: Callable[[Any], LinearSli], points: int
) -> dict[Fraction, Plan]:
    """A plan under ``sli`` at each of the `parameters` of ``front``."""
    return {t: plan(network, slis=[sli(t)]) for t in parameters(front, points)}


def difference_quotients_agree(front: ValueFunction, values: Mapping[Fraction, Fraction]) -> bool:
    """Whether ``values`` have the slopes of ``front`` between neighbours on the same piece."""
    return all(
        (values[right] - values[left]) / (right - left) == piece.slope
        for piece in front.pieces
        for left, right in pairwise(t for t in values if piece.start <= t <= piece.end)
    )


def front_is_exact(
    name: str, limited: str, front: ValueFunction, plans: Mapping[Fraction, Plan]
) -> Evidence:
    """Values, slopes and limits of ``front`` against plans under the SLI."""
    measured = LIMITED[limited].measured
    right = 0
    for limit, found in plans.items():
        reached, binds = measured(found), front.piece(limit).slope > 0
        kept = reached == limit if binds else reached <= limit
        right += kept and found.value == front.value(limit)
    sloped = difference_quotients_agree(front, {t: p.value for t, p in plans.items()})
    worst = max(abs(p.value - front.value(t)) for t, p in plans.items())
    return Evidence(
        name=f"revenue against {limited}: {name}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(right == len(plans) and sloped),
        claimed=f"{len(front.pieces)} linear pieces, slope = shadow price",
        computed=f"{right} of {len(plans)} plans agree; difference quotients "
        f"{'agree' if sloped else 'differ'}",
        slack=0.0 - float(worst),
        detail="certified plans under the SLI: value = value on the piece; the largest difference "
        "of their occupancies is the limit where the price is positive and at most the limit "
        "elsewhere; difference quotients of the values = slope of the piece; fractions",
    )


def counted_time_per_output_token(network: ServingNetwork, mixed_share: Fraction) -> Fraction:
    """Average seconds per token over the slots of all GPUs, counted: no formula of the SLI."""
    gpu = network.gpu
    time = gpu.iteration_time
    mixed_seconds = exact(time.alpha) + exact(time.beta) * gpu.chunk
    slots = {
        mixed_seconds: (gpu.batch - 1) * mixed_share,  # one slot prefills
        1 / exact(time.gamma): gpu.batch * (1 - mixed_share),
    }
    total = sum(seconds * count for seconds, count in slots.items())
    return Fraction(total) / sum(slots.values())


def shifted_front(front: ValueFunction) -> ValueFunction:
    """The front with its first breakpoint a tenth of a piece to the right: wrong."""
    first, second, *rest = front.pieces
    moved_end = first.end + (second.end - second.start) / 10
    second = replace(
        second,
        start=moved_end,
        start_value=first.start_value + first.slope * (moved_end - first.start),
    )
    return replace(front, pieces=(replace(first, end=moved_end), second, *rest))


def front_of_wrong_row(front: ValueFunction) -> ValueFunction:
    """The front with the price of solo decode capacity for the slope of its first piece: wrong."""
    first, *rest = front.pieces
    price = first.dual[front.form.constraints.index("solo decode capacity")]
    return replace(front, pieces=(replace(first, slope=price), *rest))
