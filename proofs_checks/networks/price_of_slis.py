r"""What service-level indicators and hardware parameters are worth (Section 6.4), decided exactly.

Evidence, on the named instances:

* fronts of revenue against the limits on prefill and decode fairness: certified plans under the
  SLI at breakpoints, midpoints and random points lie on them, their occupancies differ by as much
  as allowed, and difference quotients of their values are the shadow prices; every piece has a
  dual solution that is optimal at both of its ends (`ValueFunction.verify`);
* plans under TPOT targets lie on the front of the mixed share, with the TPOT that counting slots
  gives; the price of the target rises all the way to 1/gamma, to a finite limit;
* decode fairness is cheap per request beside prefill fairness on these two; not on all networks:
  random ones on which it is not are counted;
* revenue rises with B and stands still from the B on at which everybody is served, which has a
  formula where the full-load prefill occupancy is at most 1; it falls with beta and rises with
  gamma.

Controls: a front with a breakpoint shifted; the shadow price of another row; SLIs with wrong
rows (differences doubled, mixed for solo decodes, B decodes beside a prefill), each consistent with
its own front; a bound on the price of TPOT that ignores the mixed slots; a saturation point that
ignores prefills, and the formula on a network that is short of prefill.
"""

from __future__ import annotations

import random
from fractions import Fraction
from functools import partial

from ...fluid import plan
from ...fluid.parametric import sli_front
from ...fluid.penalised import penalised_plan
from ...fluid.penalised_front import maximum_along_front
from ...theory import InvalidInput, ServingNetwork, exact_rates, instance
from ...theory.claims import Grade
from ...theory.derivations import time_per_output_token
from ...theory.penalties import (
    DecodeFairnessPenalty,
    PrefillFairnessPenalty,
    TimePerOutputTokenPenalty,
)
from ...theory.random_networks import random_network
from ...theory.sli import DecodeFairness, PrefillFairness
from ...theory.steady_state import decode_buffer_condition
from ..derived import derivation_evidence
from ..verdict import Evidence, Findings, Level, Report, outcome_of
from .hardware_revenue import (
    BATCHES,
    monotone_in_speed,
    saturates,
    saturating_batch,
    saturating_batch_at_any_load,
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
from .service_level_fronts import (
    LIMITED,
    WRONG_ROWS,
    Fronts,
    front_is_exact,
    front_of_wrong_row,
    fronts_of,
    plans_along,
    shifted_front,
)
from .time_per_output_token_price import (
    TimePerOutputTokenOfFullBatches,
    mixed_share_of_full_batches,
    price_is_finite,
    steepest_price,
    targets_are_met,
    zero_at_solo_speed,
)

SEED = 65
RANDOM_POINTS = {"quick": 2, "full": 25}
RANDOM_NETWORKS = {"quick": 4, "full": 20}
"""Networks on which the cheapness of decode fairness is looked at."""
CHEAPER = 50
"""Decode fairness costs less than one part in so many of prefill fairness, per request."""
SHORT_OF_PREFILL = "prefill-bound"
PENALTIES = (
    PrefillFairnessPenalty(700),
    DecodeFairnessPenalty(5),
    TimePerOutputTokenPenalty(1_000),
    TimePerOutputTokenPenalty(70_000),
)
PENALISED_TOLERANCE = 1e-9


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    report("algebra of the TPOT target and of saturation")
    proved = derivation_evidence(time_per_output_token.derivation())
    found, evidence, batches = {}, [], {}
    controls: dict[str, list[Evidence]] = {
        "a breakpoint shifted": [],
        "the shadow price of another row": [],
        "wrong rows of a fairness SLI": [],
        "a TPOT of B decodes beside a prefill": [],
        "a price of TPOT that ignores the mixed slots": [],
        "a saturation point that ignores prefills": [],
    }
    points = RANDOM_POINTS[level]
    for name in NAMED_INSTANCES:
        network = instance(name)
        _require_hypotheses(name, network)
        report(f"fronts of {name}")
        fronts = fronts_of(network)
        found[name] = fronts
        for limited, kind in LIMITED.items():
            front = fronts.by_name()[limited]
            front.verify()
            plans = plans_along(network, front, kind.sli, points)
            evidence.append(front_is_exact(name, limited, front, plans))
            for control, faulty in (
                ("a breakpoint shifted", shifted_front(front)),
                ("the shadow price of another row", front_of_wrong_row(front)),
            ):
                controls[control].append(front_is_exact(name, limited, faulty, plans))
            wrong = WRONG_ROWS[limited]
            consistent = sli_front(network, wrong, Fraction(0), front.breakpoints[-1])
            controls["wrong rows of a fairness SLI"].append(
                front_is_exact(
                    name, limited, consistent, plans_along(network, consistent, wrong, 0)
                )
            )
        fronts.mixed_share.verify()
        evidence += [
            _decode_fairness_is_cheap(name, fronts),
            targets_are_met(name, network, fronts.mixed_share, points),
            price_is_finite(name, fronts, steepest_price(fronts)),
            zero_at_solo_speed(name, network),
            _penalised_optima_agree(name, network),
        ]
        if name == NAMED_INSTANCES[0]:
            controls["a breakpoint shifted"].append(
                targets_are_met(name, network, shifted_front(fronts.mixed_share), 0)
            )
            controls["the shadow price of another row"].append(
                targets_are_met(name, network, front_of_wrong_row(fronts.mixed_share), 0)
            )
            controls["a TPOT of B decodes beside a prefill"].append(
                targets_are_met(
                    name,
                    network,
                    fronts.mixed_share,
                    0,
                    TimePerOutputTokenOfFullBatches,
                    mixed_share_of_full_batches,
                )
            )
        too_flat = steepest_price(fronts) / fronts.network.gpu.batch
        controls["a price of TPOT that ignores the mixed slots"].append(
            price_is_finite(name, fronts, too_flat)
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
    report("networks short of prefill, and random ones")
    short = instance(SHORT_OF_PREFILL)
    revenues = {b: plan(with_batch(short, b)).value for b in BATCHES[level]}
    evidence += [_saturation_needs_prefill(short), _not_cheap_everywhere(RANDOM_NETWORKS[level])]
    controls["the saturation formula short of prefill"] = [
        saturates(SHORT_OF_PREFILL, short, revenues, saturating_batch_at_any_load(short))
    ]
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


def _require_hypotheses(name: str, network: ServingNetwork) -> None:
    rate = exact_rates(network)
    if rate.batch < 2 or rate.kappa <= 1 or 0 in rate.patience:
        raise ArithmeticError(f"{name}: B >= 2, kappa > 1 and positive patience rates are assumed")


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


def _not_cheap_everywhere(count: int) -> Evidence:
    """Random networks on which decode fairness is not cheap, so that it is no law."""
    generator = random.Random(SEED)
    judged, expensive, example = 0, 0, ""
    while judged < count:
        network = random_network(generator, 2 + judged % 3)
        rate = exact_rates(network)
        if rate.kappa <= 1 or not decode_buffer_condition(rate):
            continue
        most = Fraction(network.gpu.batch)
        prefill, decode = (
            sli_front(network, sli, Fraction(0), most).pieces[0].slope
            for sli in (PrefillFairness, DecodeFairness)
        )
        judged += 1
        if decode * CHEAPER >= prefill:
            expensive += 1
            example = example or f"first with prices {float(prefill):.1f} and {float(decode):.2f}"
    return Evidence(
        name="decode fairness is not cheap per request on every network",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(expensive > 0),
        claimed=f"some network has a price of at least 1/{CHEAPER} of the other",
        computed=f"{expensive} of {judged} random networks; {example or 'none'}",
        detail="exact shadow prices on the first pieces; two to four classes over the ranges of "
        "Section 6.3, kappa > 1",
    )


def _saturation_needs_prefill(network: ServingNetwork) -> Evidence:
    """Whether the formula is refused where prefills alone exceed capacity, and rightly so."""
    refused = False
    try:
        saturating_batch(network)
    except InvalidInput:
        refused = True
    rate = exact_rates(network)
    ceiling = sum((w * a for w, a in zip(rate.weight, rate.arrival, strict=True)), Fraction(0))
    most = plan(with_batch(network, max(BATCHES["quick"]))).value
    return Evidence(
        name=f"short of prefill no number of slots serves everybody: {SHORT_OF_PREFILL}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(refused and most < ceiling),
        claimed="formula refused; revenue below that of all arrivals",
        computed=f"{'refused' if refused else 'answered'}; {float(most):.2f} of "
        f"{float(ceiling):.2f} at B = {max(BATCHES['quick'])}",
        slack=float(ceiling - most),
        detail="certified rational optimum",
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
