"""Where the weighted pools of Section 13 stand, in fractions, and whether that is at the targets.

Class i enters a pool at rate a_i and a freed slot takes it with weight v_i if it waits. At rest it
is admitted at rate min(a_i, c v_i), with one c for all classes by which the pool is full: a class
below c v_i never waits. The queues are what abandons, (a_i - min(a_i, c v_i)) / theta_i.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from ....theory import ServingNetwork, exact_rates
from ....theory.steady_state import OCCUPANCIES
from ..general_sli_policy import BackloggedTargets
from .decision import Decision, certified, listed
from .equilibria import FluidPoint, Occupancies, plan_of, point_of


def backlogged_optimum(network: ServingNetwork, *, reverse: bool = False) -> FluidPoint:
    """A separate optimum with q_d* > 0 in every class; ``reverse`` gives another one.

    Most of the first class is decoded, in reverse most of the last.
    """
    classes = network.classes[::-1] if reverse else network.classes
    targets = BackloggedTargets.of(ServingNetwork(network.gpu, network.prices, classes))
    order = -1 if reverse else 1
    return FluidPoint(**{name: getattr(targets, name)[::order] for name in OCCUPANCIES})


def with_unplanned_class(network: ServingNetwork) -> FluidPoint:
    """The same, of all classes but the last, which is not planned: x* = 0, q_p* = lambda/theta."""
    rate = exact_rates(network)
    planned = backlogged_optimum(ServingNetwork(network.gpu, network.prices, network.classes[:-1]))
    columns = {name: (*getattr(planned, name), Fraction(0)) for name in OCCUPANCIES}
    columns["prefill_queue"] = (*planned.prefill_queue, rate.arrival[-1] / rate.patience[-1])
    return FluidPoint(**columns)


def weighted_pools_rest(
    network: ServingNetwork,
    target: FluidPoint,
    prefill: Sequence[Fraction],
    share: Fraction,
    *,
    uniform: bool = False,
) -> tuple[Occupancies, Occupancies, Occupancies]:
    """Mixed and solo occupancies and decode queues under the policy that ``target`` defines.

    ``uniform`` gives every class the same weight instead.
    """
    rate = exact_rates(network)
    flows = [m * x for m, x in zip(rate.prefill, prefill, strict=True)]
    pools = (
        (rate.mixed_decode, target.mixed_decode, (rate.batch - 1) * share),
        (rate.solo_decode, target.solo_decode, rate.batch * (1 - share)),
    )
    planned = [[m * y for m, y in zip(rates, targets, strict=True)] for rates, targets, _ in pools]
    totals = [sum(both, Fraction(0)) for both in zip(*planned, strict=True)]
    queues, occupancies = [Fraction(0)] * len(flows), []
    for (rates, _, slots), weights in zip(pools, planned, strict=True):
        inflow = [
            flow * weight / total if total else Fraction(0)
            for flow, weight, total in zip(flows, weights, totals, strict=True)
        ]
        admitted = _admitted(
            inflow, [Fraction(1)] * len(flows) if uniform else weights, rates, slots
        )
        occupancies.append(tuple(a / m for a, m in zip(admitted, rates, strict=True)))
        for i, (arriving, entering) in enumerate(zip(inflow, admitted, strict=True)):
            if arriving > entering:
                queues[i] += (arriving - entering) / rate.patience[i]
    mixed, solo = occupancies
    return mixed, solo, tuple(queues)


def weighted_pools_hold_plan(network: ServingNetwork) -> Decision:
    """Proposition 13.5 at a bundled plan where one class waits for decode and another does not."""
    p = plan_of(network)
    kept = _rest_at(network, point_of(p))
    in_balance = sum(q == 0 for q in p.decode_queue)
    return certified(
        kept and sum(p.decode_queue) > 0 and in_balance > 0,
        "the weighted pools rest at y*, q_d*, some q_d* > 0 and some q_d* = 0",
        f"{'at' if kept else 'not at'} the targets, q_d* = {listed(p.decode_queue)}",
        f"kappa = {exact_rates(network).kappa}; rest of the pools computed in fractions",
    )


def weighted_pools_hold(
    network: ServingNetwork, *targets: FluidPoint, uniform: bool = False
) -> Decision:
    """The weighted pools rest at each of the ``targets``, occupancies and queues.

    Checked before: the targets differ, are optima of the separate program, have q_d* > 0 in every
    planned class, and fill both pools.
    """
    met = len(set(targets)) == len(targets) and all(_backlogged(network, t) for t in targets)
    kept = [_rest_at(network, target, uniform=uniform) for target in targets]
    return certified(
        met and all(kept),
        "y_m*, y_s* and q_d* where q_d* > 0 in every planned class",
        f"equal for {sum(kept)} of {len(targets)}, q_d* = "
        + " and ".join(listed(target.decode_queue) for target in targets),
        "rest of the weighted pools in fractions, at optima of the separate program; "
        f"q_p* = {listed(targets[0].prefill_queue)}",
    )


def _rest_at(network: ServingNetwork, target: FluidPoint, *, uniform: bool = False) -> bool:
    share = sum(target.prefill, Fraction(0))
    rest = weighted_pools_rest(network, target, target.prefill, share, uniform=uniform)
    return rest == (target.mixed_decode, target.solo_decode, target.decode_queue)


def _backlogged(network: ServingNetwork, target: FluidPoint) -> bool:
    rate, share = exact_rates(network), sum(target.prefill, Fraction(0))
    columns = zip(
        rate.prompt_revenue,
        rate.prefill,
        target.prefill,
        rate.output_revenue,
        rate.mixed_decode,
        target.mixed_decode,
        rate.solo_decode,
        target.solo_decode,
        strict=True,
    )
    value = sum(
        (c * p * x + d * (m * y_m + s * y_s) for c, p, x, d, m, y_m, s, y_s in columns),
        Fraction(0),
    )
    return (
        value == plan_of(network, "separate").value
        and sum(target.mixed_decode) == (rate.batch - 1) * share
        and sum(target.solo_decode) == rate.batch * (1 - share)
        and all(q > 0 for q, x in zip(target.decode_queue, target.prefill, strict=True) if x > 0)
    )


def _admitted(
    inflow: Sequence[Fraction],
    weights: Sequence[Fraction],
    rates: Sequence[Fraction],
    slots: Fraction,
) -> list[Fraction]:
    """min(a_i, c v_i), the pool being full; all of the inflow if that does not fill it."""
    admitted = list(inflow)
    rest = sorted((i for i, a in enumerate(inflow) if a > 0), key=lambda i: inflow[i] / weights[i])
    for place, i in enumerate(rest):
        per_weight = slots / sum(weights[j] / rates[j] for j in rest[place:])
        if inflow[i] > per_weight * weights[i]:
            for j in rest[place:]:
                admitted[j] = per_weight * weights[j]
            break
        slots -= inflow[i] / rates[i]
    return admitted
