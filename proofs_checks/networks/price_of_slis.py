r"""What service-level indicators and hardware parameters are worth (Section 6.4), decided exactly.

Evidence, on the named instances:

* fronts of revenue against the limits on prefill and decode fairness and on the mixed share: every
  piece has a dual solution that is optimal at both of its ends; at breakpoints, midpoints and
  random points an independent plan under the SLI has the same value, and the slope where it is
  unique;
* decode fairness is cheap per request beside prefill fairness, if not free;
* the price of a TPOT target rises all the way to 1/gamma, to a finite limit, while relative to
  the revenue that is left it explodes;
* revenue rises with B and stands still from the B on at which everybody is served, which has a
  formula; it falls with beta and rises with gamma.

Controls: a front with a breakpoint shifted; the shadow price of another row; a bound on the price
of TPOT that ignores the mixed slots; a saturation point that ignores prefills.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any

from ...fluid import plan
from ...fluid.parametric import ValueFunction, mixed_share_front, moved, sli_front
from ...fluid.penalised import penalised_plan
from ...fluid.penalised_front import maximum_along_front
from ...fluid.simplex import lexicographic_maximum
from ...theory import InfeasibleError, ServingNetwork, exact_rates, instance
from ...theory.claims import Grade
from ...theory.derivations import time_per_output_token
from ...theory.linear_program import StandardForm
from ...theory.penalties import (
    DecodeFairnessPenalty,
    PrefillFairnessPenalty,
    TimePerOutputTokenPenalty,
)
from ...theory.sli import DecodeFairness, PrefillFairness, TimePerOutputToken, mixed_share_at
from ...theory.steady_state import decode_buffer_condition
from ..derived import derivation_evidence
from ..verdict import Evidence, Findings, Level, Report, outcome_of
from .hardware_revenue import (
    BATCHES,
    monotone_in_speed,
    saturates,
    saturating_batch,
    saturating_batch_without_prefills,
    with_batch,
)
from .instances import NAMED_INSTANCES
from .service_level_figures import (
    batch_figure,
    fronts_figure,
    price_heatmap_figure,
    speed_heatmap_figure,
)

Samples = Mapping[str, Mapping[Fraction, Fraction]]
"""Optima of programs solved anew, by what is limited and by the limit."""

SEED = 64
BESIDE = Fraction(1, 20)
"""Where on every piece, besides its ends and its middle, a program is solved anew."""
RANDOM_POINTS = {"quick": 2, "full": 25}
CHEAPER = 50
"""Decode fairness costs less than one part in so many of prefill fairness, per request."""
TARGETS = tuple(Fraction(1, 4**j) for j in range(2, 12))
"""Distances of TPOT targets from 1/gamma, as shares of tau - 1/gamma."""
PENALTIES = (
    PrefillFairnessPenalty(700),
    DecodeFairnessPenalty(5),
    TimePerOutputTokenPenalty(1_000),
    TimePerOutputTokenPenalty(70_000),
)
PENALISED_TOLERANCE = 1e-9


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


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    report("algebra of the TPOT target and of saturation")
    proved = derivation_evidence(time_per_output_token.derivation())
    found, evidence, batches = {}, [], {}
    controls: dict[str, list[Evidence]] = {
        "a breakpoint shifted": [],
        "the shadow price of another row": [],
        "a price of TPOT that ignores the mixed slots": [],
        "a saturation point that ignores prefills": [],
    }
    for name in NAMED_INSTANCES:
        network = instance(name)
        _require_hypotheses(name, network)
        report(f"fronts of {name}")
        fronts = fronts_of(network)
        found[name] = fronts
        samples = _samples(fronts.by_name(), RANDOM_POINTS[level])
        evidence += [
            _front_is_exact(name, fronts.by_name(), samples),
            _decode_fairness_is_cheap(name, fronts),
            _price_of_tpot(name, fronts, steepest_price(fronts)),
            _zero_at_solo_speed(name, network),
            _penalised_optima_agree(name, network),
        ]
        shifted = {key: shifted_front(front) for key, front in fronts.by_name().items()}
        wrong = {key: front_of_wrong_row(front) for key, front in fronts.by_name().items()}
        # Every front on its own has to be found out.
        for control, faulty in (
            ("a breakpoint shifted", shifted),
            ("the shadow price of another row", wrong),
        ):
            controls[control] += [
                _front_is_exact(name, {key: front}, samples) for key, front in faulty.items()
            ]
        too_flat = steepest_price(fronts) / fronts.network.gpu.batch
        controls["a price of TPOT that ignores the mixed slots"].append(
            _price_of_tpot(name, fronts, too_flat)
        )
        report(f"batch slots and speeds of {name}")
        batches[name] = {b: plan(with_batch(network, b)).value for b in BATCHES[level]}
        evidence += [
            saturates(name, network, batches[name], saturating_batch(network)),
            monotone_in_speed(name, network),
        ]
        controls["a saturation point that ignores prefills"].append(
            saturates(name, network, batches[name], saturating_batch_without_prefills(network))
        )
    return Findings(
        evidence=(proved, *evidence),
        controls={name: tuple(pieces) for name, pieces in controls.items()},
        figures={
            **{f"fronts, {n}": partial(fronts_figure, f) for n, f in found.items()},
            "batch slots": partial(batch_figure, batches),
            "batch slots and beta": partial(speed_heatmap_figure, instance("two-class")),
            "prices": partial(price_heatmap_figure, instance("two-class")),
        },
        data={"fronts": found, "batches": batches},
    )


def fronts_of(network: ServingNetwork) -> Fronts:
    """The three fronts of ``network``, over all limits that can bind."""
    batch = Fraction(network.gpu.batch)
    return Fronts(
        network=network,
        prefill_fairness=sli_front(network, PrefillFairness, Fraction(0), Fraction(1)),
        decode_fairness=sli_front(network, DecodeFairness, Fraction(0), batch),
        mixed_share=mixed_share_front(network, Fraction(0), Fraction(1)),
    )


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


def _require_hypotheses(name: str, network: ServingNetwork) -> None:
    rate = exact_rates(network)
    if not decode_buffer_condition(rate) or rate.kappa <= 1 or 0 in rate.patience:
        raise ArithmeticError(f"{name}: kappa > 1 and positive patience rates are assumed")


def _samples(fronts: Mapping[str, ValueFunction], points: int) -> Samples:
    """Programs solved anew: at breakpoints, beside them, at midpoints and at random points."""
    generator = random.Random(SEED)
    samples = {}
    for name, front in fronts.items():
        ends = [*pairwise(front.breakpoints)]
        places = {a + (b - a) * share for a, b in ends for share in (0, BESIDE, Fraction(1, 2))}
        low, high = front.breakpoints[0], front.breakpoints[-2]
        places |= {low + (high - low) * generator.randint(1, 999) / 1000 for _ in range(points)}
        samples[name] = {
            parameter: _optimum(moved(front.form, front.direction, parameter))
            for parameter in sorted(places)
        }
    return samples


def _optimum(form: StandardForm) -> Fraction:
    return _dot(form.objective, lexicographic_maximum(form, [form.objective]).primal)


def _dot(left: Sequence[Any], right: Sequence[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0))


def _front_is_exact(name: str, fronts: Mapping[str, ValueFunction], samples: Samples) -> Evidence:
    """Values and slopes of the pieces against programs solved anew at many parameters."""
    right, total, worst = 0, 0, Fraction(0)
    for key, front in fronts.items():
        for parameter, value in samples[key].items():
            piece = front.piece(parameter)
            bounds = moved(front.form, front.direction, parameter).bounds
            claimed, paid = piece.value(parameter), _dot(bounds, piece.dual)
            total += 1
            right += value == claimed == paid and _dot(front.direction, piece.dual) == piece.slope
            worst = max(worst, abs(value - claimed))
    return Evidence(
        name=f"revenue against {', '.join(fronts)}: {name}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(right == total),
        claimed=f"{sum(len(front.pieces) for front in fronts.values())} linear pieces, slope = "
        "shadow price",
        computed=f"{right} of {total} points agree",
        slack=0.0 - float(worst),
        detail="at every point: value of a program solved anew = value on the piece = what the "
        "piece's dual solution pays; slope = price of the rows that move; fractions",
    )


def _decode_fairness_is_cheap(name: str, fronts: Fronts) -> Evidence:
    prefill, decode = fronts.prefill_fairness, fronts.decode_fairness
    prices = prefill.pieces[0].slope, decode.pieces[0].slope
    free = prefill.pieces[-1].start_value
    losses = [1 - front.pieces[0].start_value / free for front in (prefill, decode)]
    return Evidence(
        name=f"a request of decode fairness is cheap beside one of prefill fairness: {name}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(prices[1] * CHEAPER < prices[0] and losses[1] < losses[0]),
        claimed=f"largest price less than 1/{CHEAPER} of the other, and a smaller loss in all",
        computed=f"prices {float(prices[0]):.1f} and {float(prices[1]):.2f} per request; equal "
        f"occupancies cost {float(losses[0]):.1%} and {float(losses[1]):.1%} of the revenue",
        slack=float(prices[0] / prices[1]) - CHEAPER,
        detail="exact shadow prices on the first pieces; not negligible in all",
    )


def _price_of_tpot(name: str, fronts: Fronts, claimed: Fraction) -> Evidence:
    rate = exact_rates(fronts.network)
    spread = rate.mixed_time - rate.mixed_time / rate.kappa
    found = [price_of_tpot(fronts, spread * target) for target in TARGETS]
    prices = [price for _, price in found]
    relative = [price / revenue for revenue, price in found]
    rising = all(earlier < later for earlier, later in pairwise(prices) if later > 0)
    # V is linear near X = 0 and X is about (B/k) u, so that the relative price is about 1/u.
    explodes = relative[-1] * spread * TARGETS[-1] > Fraction(99, 100)
    return Evidence(
        name=f"the price of a TPOT target rises to a finite limit at 1/gamma: {name}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(rising and prices[-1] <= claimed and explodes),
        claimed=f"rising, at most {float(claimed) / 1000:.1f} per ms; relative price about 1/u",
        computed=f"{float(prices[-1]) / 1000:.1f} per ms and {float(relative[-1]) / 1000:.0f} of "
        f"the revenue per ms at u = {float(spread * TARGETS[-1]) * 1e9:.1f} ns",
        slack=float((claimed - prices[-1]) / claimed),
        detail=f"u = distance of the target from 1/gamma; exact derivatives at {len(TARGETS)} "
        "targets, of a front that is linear in the mixed share near 0",
    )


def _penalised_optima_agree(name: str, network: ServingNetwork) -> Evidence:
    plans = [penalised_plan(network, penalties=[penalty]) for penalty in PENALTIES]
    maxima = [maximum_along_front(network, penalty) for penalty in PENALTIES]
    scale = float(plan(network).value)
    gap = max(float(p.gap) for p in plans) / scale
    differences = [abs(float(p.value - m)) for p, m in zip(plans, maxima, strict=True)]
    worst = max(differences) / scale
    return Evidence(
        name=f"program (49) is solved for each penalty, by two routes: {name}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(max(gap, worst) <= PENALISED_TOLERANCE),
        claimed=f"certified gap and difference at most {PENALISED_TOLERANCE:g} of R*",
        computed=f"gap {gap:.1e}, difference {worst:.1e} of R*",
        slack=PENALISED_TOLERANCE - max(gap, worst),
        detail="a feasible point and a linear program above (49), both in fractions, around a "
        "point of CVXPY; against the maximum along the exact front",
    )


def _zero_at_solo_speed(name: str, network: ServingNetwork) -> Evidence:
    rate = exact_rates(network)
    solo_time = rate.mixed_time / rate.kappa
    value = plan(network, slis=[TimePerOutputToken(solo_time)]).value
    clashing: Sequence[str] = ()
    try:
        plan(network, slis=[TimePerOutputToken(solo_time * Fraction(999, 1000))])
    except InfeasibleError as error:
        clashing = error.clashing
    return Evidence(
        name=f"a TPOT of 1/gamma leaves no revenue, less is infeasible: {name}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(value == 0 and tuple(clashing) == ("average TPOT",)),
        claimed="0, infeasible",
        computed=f"{value}, clashing: {', '.join(clashing) or 'nothing'}",
        detail="certified rational optimum; infeasibility by exact phase one",
    )
