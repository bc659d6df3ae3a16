r"""Where the fluid of a policy stands still, in fractions, and what it earns there.

A share s of the GPUs is mixed: s prefill slots, (B-1) s mixed and B (1-s) solo decode slots, which
do the decode work :math:`C(s) = (B-1) s + \kappa B (1-s)` in all. Prefill occupancies x bring in
the work :math:`A(x) = \sum_i a_i x_i`, :math:`a_i = \mu_{p,i} / \mu_{m,i}`. With one buffer, first
come first served, all classes wait equally long; with equal patience the same fraction
:math:`f = \min(1, C(s) / A(x))` of every class is decoded, and

.. math::

   q_{p,i} = \frac{\lambda_i - \mu_{p,i} x_i}{\theta_i}, \qquad
   q_{d,i} = (1 - f) \frac{\mu_{p,i} x_i}{\theta_i}, \qquad
   R = f \sum_i w_i \mu_{p,i} x_i .

Solo slots fill first; a class-blind router gives each class its share of the decode work in either
kind. `is_steady` tests any point against the fluid equations and the order of arrival, without
these formulas. It takes x as given: that the gate leads there is the proof in `proofs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from ....fluid import Plan, plan
from ....fluid.planning import planning_form
from ....fluid.simplex import lexicographic_maximum
from ....theory import PrioritizeAndRoute, Rates, ServingNetwork, exact_rates
from ....theory.errors import InvalidInput
from ....theory.steady_state import OCCUPANCIES, block

Occupancies = tuple[Fraction, ...]


@dataclass(frozen=True)
class FluidPoint:
    """Occupancies and queues per GPU, one number per class."""

    prefill: Occupancies
    mixed_decode: Occupancies
    solo_decode: Occupancies
    prefill_queue: Occupancies
    decode_queue: Occupancies


@lru_cache(maxsize=512)
def plan_of(network: ServingNetwork, pricing: str = "bundled") -> Plan:
    """The plan, made once per network and pricing: many entries share their examples."""
    return plan(network, pricing)


def point_of(p: Plan) -> FluidPoint:
    """The occupancies of a plan."""
    return FluidPoint(**{name: getattr(p, name) for name in OCCUPANCIES})


def decode_work(rate: Rates, prefill: Sequence[Fraction]) -> Fraction:
    """A(x): decode work that prefill occupancies bring in, in mixed slots."""
    ratios = zip(rate.prefill, rate.mixed_decode, prefill, strict=True)
    return sum((p / m * x for p, m, x in ratios), Fraction(0))


def decode_capacity(rate: Rates, share: Fraction) -> Fraction:
    """C(s): decode work that the slots do when a ``share`` of the GPUs is mixed."""
    return Fraction((rate.batch - 1) * share + rate.kappa * rate.batch * (1 - share))


def completed_fraction(rate: Rates, prefill: Sequence[Fraction], share: Fraction) -> Fraction:
    """f: share of the prefilled requests that are decoded, first come first served."""
    work = decode_work(rate, prefill)
    return min(Fraction(1), decode_capacity(rate, share) / work) if work else Fraction(1)


def bundled_revenue(
    network: ServingNetwork, prefill: Sequence[Fraction], share: Fraction
) -> Fraction:
    """Revenue per GPU-second at the equilibrium with one buffer, bundled charging."""
    rate = exact_rates(network)
    fraction = completed_fraction(rate, prefill, share)
    _require_equal_patience(rate, prefill, fraction)
    return fraction * sum(
        (w * p * x for w, p, x in zip(rate.weight, rate.prefill, prefill, strict=True)), Fraction(0)
    )


def separate_revenue(
    network: ServingNetwork, prefill: Sequence[Fraction], share: Fraction
) -> Fraction:
    """Revenue per GPU-second at the equilibrium with one buffer, separate charging.

    Decode work is paid alike in all classes, so that patience need not be equal.
    """
    rate = exact_rates(network)
    fraction = completed_fraction(rate, prefill, share)
    columns = zip(rate.prompt_revenue, rate.output_revenue, rate.prefill, prefill, strict=True)
    return sum(
        ((prompt + fraction * output) * p * x for prompt, output, p, x in columns), Fraction(0)
    )


def equilibrium(
    network: ServingNetwork, prefill: Sequence[Fraction], share: Fraction
) -> FluidPoint:
    """The point of the module docstring at prefill occupancies ``prefill``.

    Raises
    ------
    InvalidInput
        Decode requests wait and the planned classes differ in patience.
    """
    rate = exact_rates(network)
    fraction = completed_fraction(rate, prefill, share)
    _require_equal_patience(rate, prefill, fraction)
    work = decode_work(rate, prefill)
    solo = min(fraction * work / rate.kappa, rate.batch * (1 - share))
    mixed = fraction * work - rate.kappa * solo
    shares = [decode_work(rate, _only(prefill, i)) / (work or 1) for i in range(len(prefill))]
    flows = [p * x for p, x in zip(rate.prefill, prefill, strict=True)]
    return FluidPoint(
        prefill=tuple(prefill),
        mixed_decode=tuple(part * mixed for part in shares),
        solo_decode=tuple(part * solo for part in shares),
        prefill_queue=tuple(
            (arrival - flow) / theta if theta else Fraction(0)
            for arrival, flow, theta in zip(rate.arrival, flows, rate.patience, strict=True)
        ),
        decode_queue=tuple(
            (1 - fraction) * flow / theta if theta else Fraction(0)
            for flow, theta in zip(flows, rate.patience, strict=True)
        ),
    )


def is_steady(network: ServingNetwork, point: FluidPoint, share: Fraction) -> bool:
    """Whether the fluid equations leave ``point`` where it is, under one buffer and the router.

    The flow balances are rows of program (40); the slots of the ``share`` of mixed GPUs suffice;
    no prefill slot idles beside a waiting request of a planned class, no decode slot beside a
    waiting decode, and mixed slots are used only if all solo slots are. The buffer is served in
    order of arrival: all classes wait equally long, hence q_d,i / (mu_p,i x_i) is the same for
    all (with equal patience), and a freed slot takes whoever is first, so that the share of solo
    slots among the admissions is the same for all.

    Raises
    ------
    InvalidInput
        Decode requests wait and the classes in prefill differ in patience.
    """
    rate = exact_rates(network)
    form = planning_form(network)
    values = [value for name in OCCUPANCIES for value in getattr(point, name)]
    balanced = all(
        sum(a * v for a, v in zip(row, values, strict=True)) == bound
        for row, bound, equality in zip(form.rows, form.bounds, form.equalities, strict=True)
        if equality
    )
    prefill_spare = share - sum(point.prefill)
    mixed_spare = (rate.batch - 1) * share - sum(point.mixed_decode)
    solo_spare = rate.batch * (1 - share) - sum(point.solo_decode)
    waiting = sum(q for q, x in zip(point.prefill_queue, point.prefill, strict=True) if x > 0)
    return (
        balanced
        and min(*values, prefill_spare, mixed_spare, solo_spare) >= 0
        and prefill_spare * waiting == 0
        and (mixed_spare + solo_spare) * sum(point.decode_queue) == 0
        and solo_spare * sum(point.mixed_decode) == 0
        and _in_order_of_arrival(rate, point)
    )


def _in_order_of_arrival(rate: Rates, point: FluidPoint) -> bool:
    served = [i for i, x in enumerate(point.prefill) if x > 0]
    patience = {rate.patience[i] for i in served}
    if sum(point.decode_queue) > 0 and len(patience) > 1:
        raise InvalidInput("patience_rate", sorted(map(float, patience)), "equal")
    waits = {point.decode_queue[i] / (rate.prefill[i] * point.prefill[i]) for i in served}
    splits = set()
    for i in served:
        to_mixed = rate.mixed_decode[i] * point.mixed_decode[i]
        to_solo = rate.solo_decode[i] * point.solo_decode[i]
        if to_mixed + to_solo > 0:
            splits.add(to_solo / (to_mixed + to_solo))
    return len(waits) <= 1 and len(splits) <= 1


def gated_prefill(p: Plan, share: Fraction) -> Occupancies:
    """Where the gate holds x if a ``share`` of the GPUs is mixed: min(upper bound, r x*).

    The gate levels x_i / x_i*; r is as large as the slots allow.
    """
    rate = exact_rates(p.network)
    upper = [a / p for a, p in zip(rate.arrival, rate.prefill, strict=True)]
    planned = sorted((upper[i] / x, i) for i, x in enumerate(p.prefill) if x > 0)
    left, rest = share, p.mixed_share
    level = max((ratio for ratio, _ in planned), default=Fraction(0))
    for ratio, i in planned:
        if left <= ratio * rest:
            level = left / rest
            break
        left -= upper[i]
        rest -= p.prefill[i]
    return tuple(min(u, level * x) for u, x in zip(upper, p.prefill, strict=True))


def prioritized_prefill(p: Plan, share: Fraction) -> Occupancies:
    """Where prioritize-and-route holds x: classes in its order, each as far as slots remain."""
    rate = exact_rates(p.network)
    prefill, left = [Fraction(0)] * len(rate.arrival), share
    for i in PrioritizeAndRoute(p).class_order():
        prefill[i] = min(left, rate.arrival[i] / rate.prefill[i])
        left -= prefill[i]
    return tuple(prefill)


def pooled_decode(
    network: ServingNetwork,
    target: FluidPoint,
    prefill: Sequence[Fraction],
    share: Fraction,
) -> tuple[Occupancies, Occupancies]:
    """Mixed and solo decode occupancies if ``target`` splits every class between the pools.

    Each pool is first come, first served, and serves what it can of its inflow; with equal patience
    that is the same fraction of every class.
    """
    rate = exact_rates(network)
    mixed, solo = [], []
    for i, x in enumerate(prefill):
        to_mixed = rate.mixed_decode[i] * target.mixed_decode[i]
        to_solo = rate.solo_decode[i] * target.solo_decode[i]
        probability = to_solo / (to_mixed + to_solo) if to_mixed + to_solo else Fraction(1)
        flow = rate.prefill[i] * x
        mixed.append((1 - probability) * flow / rate.mixed_decode[i])
        solo.append(probability * flow / rate.solo_decode[i])
    return (
        _fitted(mixed, (rate.batch - 1) * share),
        _fitted(solo, rate.batch * (1 - share)),
    )


def optimum_with_most(
    network: ServingNetwork, occupancy: str, sign: int = 1, *, decode_queue: bool = True
) -> FluidPoint:
    """The optimum of program (40) whose first class has most of ``occupancy``, or least.

    Parameters
    ----------
    sign
        1 or -1 for most or least. For ties the sign alternates from class to class, so that 1 and
        -1 give two ends of the set of optima of two classes.
    decode_queue
        Whether q_d > 0 is allowed; if not, q_d = 0 is imposed on the program.
    """
    form, classes = planning_form(network), len(network.classes)
    if not decode_queue:
        row = [0] * len(form.variables)
        row[block("decode_queue", classes)] = [1] * classes
        form = form.with_constraint("no decode queue", row, 0, equality=True)
    directions = []
    for i in range(classes):
        row = [0] * len(form.variables)
        row[block(occupancy, classes).start + i] = sign if i == 0 else -sign
        directions.append(row)
    vertex = lexicographic_maximum(form, [form.objective, *directions])
    return FluidPoint(**{name: vertex.primal[block(name, classes)] for name in OCCUPANCIES})


def _fitted(wanted: Sequence[Fraction], slots: Fraction) -> Occupancies:
    total = sum(wanted)
    fraction = min(Fraction(1), slots / total) if total else Fraction(1)
    return tuple(fraction * y for y in wanted)


def _only(prefill: Sequence[Fraction], i: int) -> Occupancies:
    return tuple(x if j == i else Fraction(0) for j, x in enumerate(prefill))


def _require_equal_patience(rate: Rates, prefill: Sequence[Fraction], fraction: Fraction) -> None:
    patience = {theta for theta, x in zip(rate.patience, prefill, strict=True) if x > 0}
    if fraction < 1 and (len(patience) > 1 or 0 in patience):
        raise InvalidInput(
            "patience_rate", sorted(map(float, patience)), "equal and positive where decodes wait"
        )
