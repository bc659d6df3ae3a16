"""Counterexamples: each decides whether its argument for a failure applies to a network.

On the minimal network that drops a hypothesis the conclusion fails; on one that meets it the same
function finds no failure. Everything is in fractions. Where an argument is only sufficient for a
failure its conditions are in the docstring, and are tested.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

from ....fluid import plan
from ....theory import InfeasibleError, ServingNetwork, exact_rates
from ....theory.sli import DecodeFairness
from ..decode_buffer_elimination import value_lost_without_queue
from .decision import Decision, certified, listed, short
from .equilibria import (
    FluidPoint,
    bundled_revenue,
    decode_capacity,
    equilibrium,
    is_steady,
    optimum_with_most,
    plan_of,
    point_of,
    pooled_decode,
    prioritized_prefill,
    separate_revenue,
)


def program_has_no_point(network: ServingNetwork) -> Decision:
    """Overload without abandonment: nothing to plan, hence no R* and no policy."""
    try:
        computed, holds = f"feasible, R* = {plan_of(network).value}", False
    except InfeasibleError as error:
        computed, holds = f"infeasible: {', '.join(error.clashing)} clash", True
    return certified(holds, "program (40) has no point", computed, "exact simplex, phase one")


def optimum_needs_a_decode_queue(network: ServingNetwork) -> Decision:
    """Proposition 3.2 fails: imposing q_d = 0 costs revenue."""
    best, lost = plan_of(network).value, value_lost_without_queue(network)
    return certified(
        lost > 0,
        "R* > R* with q_d = 0",
        f"R* = {best}, with q_d = 0 {best - lost}",
        "two certified rational optima",
    )


def prefill_exceeds_target_forever(network: ServingNetwork) -> Decision:
    r"""Lemma 10.1 fails: a class served in full approaches its target from below only.

    Start one class j with half of x_j* in prefill and no queue, the others filling the slots:
    :math:`x_j(t) = \bar x_j - (\bar x_j - x_j^*/2) e^{-\mu_{p,j} t}` with
    :math:`\bar x_j = \lambda_j/\mu_{p,j}`, which reaches x_j* if and only if it is below
    :math:`\bar x_j`. Until then waiting classes fill the rest of the slots, above their targets.

    Conditions: all other classes are planned and wait in the plan, which with long enough lines
    and a patience rate below :math:`\mu_{p,j}` they always do; and their prefill rates are at
    least :math:`\mu_{p,j}`, so that the slots freed, :math:`\sum_i \mu_{p,i} x_i \ge \mu_{p,j}
    s \ge \lambda_j`, always suffice for the arrivals of j, which then never wait. With
    :math:`\mu_{p,j}` above the others', j does queue and the excess can end.
    """
    p, rate = plan_of(network), exact_rates(network)
    full = [i for i, x in enumerate(p.prefill) if x > 0 and rate.prefill[i] * x == rate.arrival[i]]
    others = [i for i in range(len(p.prefill)) if i not in full]
    met = len(full) == 1 and all(
        p.prefill[i] > 0
        and p.prefill_queue[i] > 0
        and rate.prefill[i] >= rate.prefill[full[0]] > rate.patience[i]
        for i in others
    )
    return certified(
        met and bool(others),
        "some x_i(t) > x_i* for all t",
        f"excess {short(p.prefill[full[0]] / 2)} exp(-{short(rate.prefill[full[0]])} t)"
        if met
        else "the argument does not apply",
        "closed form of the fluid; its conditions decided in fractions",
    )


def unplanned_prefills_linger(network: ServingNetwork) -> Decision:
    """Lemma 10.1 fails: what is in prefill of a class with x_i* = 0 decays but never ends."""
    p, rate = plan_of(network), exact_rates(network)
    unplanned = [i for i, x in enumerate(p.prefill) if x == 0]
    return certified(
        bool(unplanned),
        "x_i(t) > x_i* = 0 for all t",
        f"x_i(t) = x_i(0) exp(-{rate.prefill[unplanned[0]]} t)"
        if unplanned
        else "every class is planned",
        "closed form of the fluid",
    )


def decode_queue_persists(network: ServingNetwork) -> Decision:
    """Proposition 10.14 fails: the plan with one decode waiting per GPU stands still."""
    return _persists(network, "decode_queue")


def prefill_queue_persists(network: ServingNetwork) -> Decision:
    """Lemma 10.5 fails for q_p: the plan with one request per GPU more in line stands still."""
    return _persists(network, "prefill_queue")


def no_stationary_law(network: ServingNetwork, gpus: int) -> Decision:
    """Theorem 5.1 fails: the prefill station of one class has no stationary law.

    Its birth and death rates at k >= M requests are n lambda and M mu_p + (k - M) theta. With theta
    = 0 the invariant measure is geometric, and without end if the two rates agree.
    """
    (arrival,), (rate,), (patience,) = (
        getattr(exact_rates(network), name) for name in ("arrival", "prefill", "patience")
    )
    mixed = -(-gpus * plan_of(network).mixed_share // 1)
    ratio = gpus * arrival / (mixed * rate)
    return certified(
        patience == 0 and ratio >= 1,
        "the invariant measure of the prefill station has no finite mass",
        f"pi(k+1) / pi(k) = {ratio} for k >= {mixed}" + (", falling to 0" if patience else ""),
        f"birth-death chain, n = {gpus}",
    )


def gate_earns_less(network: ServingNetwork) -> Decision:
    """Theorem 4.1 fails: the equilibrium of gate-and-route earns less than R*."""
    p = plan_of(network)
    earned = bundled_revenue(network, p.prefill, p.mixed_share)
    steady = is_steady(network, equilibrium(network, p.prefill, p.mixed_share), p.mixed_share)
    return certified(
        steady and earned < p.value,
        f"less than R* = {p.value}",
        f"{earned} = {float(earned / p.value):.4f} R*",
        "fluid equilibrium, checked against the fluid equations and the order of arrival",
    )


def buffer_fills(network: ServingNetwork, first_class: int | None = None) -> Decision:
    """Proposition 10.14 fails: the equilibrium has a decode queue.

    Of gate-and-route, or if the ``first_class`` is served before all others, not as planned.
    """
    p, rate = plan_of(network), exact_rates(network)
    prefill = tuple(p.prefill)
    if first_class is not None:
        wanted = min(p.mixed_share, rate.arrival[first_class] / rate.prefill[first_class])
        prefill = tuple(wanted if i == first_class else Fraction(0) for i in range(len(prefill)))
    point = equilibrium(network, prefill, p.mixed_share)
    steady = is_steady(network, point, p.mixed_share)
    return certified(
        steady and sum(point.decode_queue) > 0,
        "q_d > 0 for ever",
        f"q_d = {listed(point.decode_queue)}",
        "fluid equilibrium, checked against the fluid equations and the order of arrival",
    )


def tracked_queue_costs(network: ServingNetwork) -> Decision:
    """Theorem 4.1 fails if the tracked optimum has the longest decode queue there is."""
    value, target = plan_of(network).value, _with_longest_queue(network)
    share = sum(target.prefill, Fraction(0))
    earned = bundled_revenue(network, target.prefill, share)
    return certified(
        earned < value,
        f"less than R* = {value}, tracking an optimum with q_d* = {listed(target.decode_queue)}",
        f"{earned} = {float(earned / value):.4f} R*",
        "an optimum of program (40), and the fluid equilibrium that tracks it",
    )


def tracked_queue_grows(network: ServingNetwork) -> Decision:
    """Proposition 10.14 fails if the tracked optimum has the longest decode queue there is."""
    target = _with_longest_queue(network)
    share = sum(target.prefill, Fraction(0))
    point = equilibrium(network, target.prefill, share)
    return certified(
        is_steady(network, point, share) and sum(point.decode_queue) > 0,
        "q_d > 0 for ever",
        f"q_d = {listed(point.decode_queue)}",
        "fluid equilibrium, checked against the fluid equations and the order of arrival",
    )


def pools_miss_targets(network: ServingNetwork) -> Decision:
    """Proposition 12.1 fails: pools served in order of arrival do not hold a plan with q_d* > 0."""
    target = _with_longest_queue(network)
    share = sum(target.prefill, Fraction(0))
    mixed, solo = pooled_decode(network, target, target.prefill, share)
    return certified(
        (mixed, solo) != (target.mixed_decode, target.solo_decode),
        f"y_m differs from y_m* = {listed(target.mixed_decode)}",
        f"y_m = {listed(mixed)}",
        "fluid equilibrium of either pool, first come first served",
    )


def split_of_another_optimum_overloads(network: ServingNetwork) -> Decision:
    """Theorem 5.1 fails if x* comes from one optimum and the solo probabilities from another."""
    tracked, other = (optimum_with_most(network, "prefill", sign) for sign in (1, -1))
    share = sum(tracked.prefill, Fraction(0))
    mixed, solo = pooled_decode(network, other, tracked.prefill, share)
    rate, value = exact_rates(network), plan_of(network).value
    earned = sum(
        w * (m * y_m + s * y_s)
        for w, m, s, y_m, y_s in zip(
            rate.weight, rate.mixed_decode, rate.solo_decode, mixed, solo, strict=True
        )
    )
    return certified(
        earned < value,
        f"less than R* = {value}",
        f"{earned}, solo slots used {sum(solo)} of {rate.batch * (1 - share)}",
        "x* of one optimal vertex, p_s of another",
    )


def priority_misses_optimum(network: ServingNetwork) -> Decision:
    """Theorem 4.2 fails: prioritize-and-route does not earn the value of program (42)."""
    p = plan_of(network, "separate")
    prefill = prioritized_prefill(p, p.mixed_share)
    earned = separate_revenue(network, prefill, p.mixed_share)
    return certified(
        earned != p.value,
        f"other than the value {p.value} of (42), where x* = {listed(p.prefill)}",
        f"{earned} with x = {listed(prefill)}",
        "fluid equilibrium of the priority order",
    )


def starving_earns_more(network: ServingNetwork) -> Decision:
    """R* bounds nothing: priority to long outputs earns more, at the cost of a line without end."""
    p, rate = plan_of(network), exact_rates(network)
    prefill = prioritized_prefill(p, p.mixed_share)
    earned = bundled_revenue(network, prefill, p.mixed_share)
    growth = [a - m * x for a, m, x in zip(rate.arrival, rate.prefill, prefill, strict=True)]
    return certified(
        earned > p.value,
        f"more than R* = {p.value}",
        f"{earned}; lines of patient classes grow by "
        f"{listed(tuple(g for g, theta in zip(growth, rate.patience, strict=True) if not theta))}",
        "bundled charging; fluid of a priority order",
    )


def dedicated_gpus_earn_more(network: ServingNetwork) -> Decision:
    """R* bounds nothing if GPUs set aside for mixing keep the mixed speed without a prefill."""
    p, rate = plan_of(network), exact_rates(network)
    everything = tuple(a / m for a, m in zip(rate.arrival, rate.prefill, strict=True))
    earned = bundled_revenue(network, everything, Fraction(1))
    return certified(
        sum(everything) <= 1 and earned > p.value,
        f"more than R* = {p.value}",
        f"{earned} with all GPUs set aside and prefill slots busy {sum(everything)} of the time",
        "fluid equilibrium with M = n",
    )


def initial_backlog_never_ends(network: ServingNetwork, pricing: str = "bundled") -> Decision:
    """Theorems 4.1, 4.2 fail: with n^2 decodes waiting at the start all slots work up to any T."""
    p, rate = plan_of(network, pricing), exact_rates(network)
    capacity = decode_capacity(rate, p.mixed_share)
    ((weight,), (mixed_rate,)) = (
        rate.weight if pricing == "bundled" else rate.output_revenue,
        rate.mixed_decode,
    )
    earned = weight * mixed_rate * capacity
    if pricing == "separate":
        earned += rate.prompt_revenue[0] * rate.prefill[0] * p.prefill[0]
    return certified(
        earned != p.value,
        f"other than the plan's value {p.value}, for every T as n grows",
        f"{earned}: with all decode slots at work, although only {p.value} arrives",
        "one class; n e^(-theta T) waiting requests per GPU are left at time T",
    )


Penalty = Callable[[Fraction, Fraction], Fraction]
"""What a prefill occupancy costs beside its target."""


def jump(occupancy: Fraction, target: Fraction) -> Fraction:
    """One, as soon as the target is exceeded: bounded, not continuous at the plan."""
    return Fraction(occupancy > target)


def excess(occupancy: Fraction, target: Fraction) -> Fraction:
    """As much as the target is exceeded by: bounded on a GPU and Lipschitz."""
    return max(occupancy - target, Fraction(0))


def penalty_does_not_follow(network: ServingNetwork, penalty: Penalty) -> Decision:
    """Theorem 5.1 fails: as x tends to x* the penalty does not tend to that of x*.

    Where a class waits, prefill stands at M/n, above x* for every n at which n x* is no integer.
    """
    p = plan_of(network)
    sizes = [n for n in (11, 111, 1_111, 11_111) if (n * p.mixed_share).denominator > 1]
    shares = [Fraction(-(-n * p.mixed_share // 1), n) for n in sizes]
    costs = [penalty(share, p.mixed_share) for share in shares]
    waits = len(p.prefill) == 1 and p.prefill_queue[0] > 0
    return certified(
        waits and len(sizes) > 2 and costs[-1] > 0 and costs[-1] >= costs[0],
        "a penalty that does not fall, although x - x* does",
        f"{listed(costs)} at x - x* = {listed([share - p.mixed_share for share in shares])}",
        f"one class that waits, x* = {p.mixed_share}, n = {', '.join(map(str, sizes))}",
    )


def pool_has_room_and_a_line(network: ServingNetwork) -> Decision:
    """Proposition 13.5 fails: the plan asks for a line before free solo slots.

    Under a limit on the difference of solo occupancies. The policy leaves no slot of a pool idle
    while its buffer has requests, so that this plan is no rest point.
    """
    p = plan(
        network, slis=(DecodeFairness(0),), decode_queue_allowed=True
    )  # equal solo occupancies
    rate = exact_rates(network)
    room = rate.batch * (1 - p.mixed_share) - sum(p.solo_decode)
    flows = zip(rate.solo_decode, p.solo_decode, rate.mixed_decode, p.mixed_decode, strict=True)
    lots = [s * y_s / (s * y_s + m * y_m) for s, y_s, m, y_m in flows]
    line = tuple(lot * queue for lot, queue in zip(lots, p.decode_queue, strict=True))
    return certified(
        room > 0 and sum(line) > 0,
        "free solo slots and a solo buffer in the plan",
        f"{room} slots per GPU, buffer {listed(line)}",
        "certified optimum with equal solo occupancies, q_d free",
    )


def initial_state_unbounded(power: int) -> Decision:
    """Theorem 3.1 fails from Q_p(0) = n^power: Q_p(0)/n has no limit if the power exceeds 1."""
    scaled = [Fraction(n**power, n) for n in (1, 10, 100, 1000)]
    return certified(
        all(later == 10 ** (power - 1) * sooner > sooner for sooner, later in pairwise(scaled)),
        "Q_p(0) / n unbounded: a fixed factor above 1 per decade",
        f"Q_p(0) / n = {', '.join(map(str, scaled))}, ...",
        f"Q_p(0) = n^{power}, n = 1, 10, 100, 1000",
    )


def _persists(network: ServingNetwork, queue: str) -> Decision:
    p = plan_of(network)
    one_waits = tuple(Fraction(i == 0) for i in range(len(network.classes)))
    point = point_of(p)
    moved = replace(point, **{queue: one_waits})
    steady = is_steady(network, moved, p.mixed_share)
    return certified(
        steady and moved != point,
        f"the plan with {queue.replace('_', ' ')} (1, 0, ...) stands still",
        "stands still" if steady else "moves",
        "fluid equations in fractions",
    )


def _with_longest_queue(network: ServingNetwork) -> FluidPoint:
    """The optimum with the longest decode queue of the last class, then of those before it."""
    return optimum_with_most(network, "decode_queue", -1)
