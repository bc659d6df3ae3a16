"""Under c_p + c_d = k the revenue-maximising price ratio is the same for every k: an end point.

Evidence: linearity of revenue in the prices, for all networks; on random and named instances, under
both pricings, no point of the segment reaches the better end, in fractions, and for every k
the same points are best; a network on which revenue is constant along the segment, the only way
for an interior ratio to be optimal. Controls: demand that responds to prices, under which the best
ratio is inside the segment and moves with k.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from ...fluid import plan
from ...theory import Prices, RequestClass, ServingNetwork, exact, instance
from ...theory.claims import Grade
from ...theory.derivations import price_ratio
from ...theory.steady_state import PROGRAMS
from ..derived import derivation_evidence
from ..verdict import Evidence, Findings, Level, Report, outcome_of
from .decode_buffer_elimination import random_instances
from .instances import NAMED_INSTANCES
from .pricing_figures import price_ratio_figure

BUDGETS = (Fraction(3, 10), Fraction(6, 10), Fraction(9, 10))
"""Values of k, in revenue per prompt token plus revenue per output token."""
STEPS = 12
RANDOM_INSTANCES = {"quick": 5, "full": 28}
CHOKE_REVENUES = {"decode-heavy": Fraction(500), "prefill-heavy": Fraction(800)}
"""Revenue per request at which the demand of a class of the two-class instance ends."""

Revenue = Callable[[Prices], Fraction]


@dataclass(frozen=True)
class Segment:
    """Revenue along c_p + c_d = k: ``revenues[j]`` at the share c_p / k = j / (len - 1)."""

    budget: Fraction
    revenues: tuple[Fraction, ...]

    @property
    def best_shares(self) -> tuple[Fraction, ...]:
        """All shares c_p / k of the grid that maximise revenue."""
        steps, most = len(self.revenues) - 1, max(self.revenues)
        return tuple(Fraction(j, steps) for j, r in enumerate(self.revenues) if r == most)


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    report("linearity in the prices")
    proved = derivation_evidence(price_ratio.derivation())
    networks = {name: instance(name) for name in NAMED_INSTANCES}
    randoms = random_instances(RANDOM_INSTANCES[level], satisfying=True)
    networks |= {f"random {i}": network for i, network in enumerate(randoms)}
    report("exact optima along the segments")
    inelastic = {
        f"{name}, {pricing}": segments(fixed_demand(network, pricing))
        for name, network in networks.items()
        for pricing in PROGRAMS
    }
    even = {"P = D": segments(fixed_demand(even_network(), "bundled"))}
    elastic = {"demand response": segments(responding_demand(instance("two-class")))}
    return Findings(
        evidence=(
            proved,
            _best_is_an_end(f"{len(inelastic)} networks and pricings", inelastic),
            _same_for_every_budget(f"{len(inelastic)} networks and pricings", inelastic),
            _constant(even),
        ),
        controls={
            "demand that responds to prices: the best ratio is an end": (
                _best_is_an_end("demand response", elastic),
            ),
            "demand that responds to prices: the best ratio is constant in k": (
                _same_for_every_budget("demand response", elastic),
            ),
        },
        figures={
            "two-class": lambda: price_ratio_figure(
                inelastic["two-class, bundled"], elastic["demand response"]
            )
        },
        data={"inelastic": inelastic, "elastic": elastic["demand response"]},
    )


def segments(revenue: Revenue, steps: int | None = None) -> tuple[Segment, ...]:
    """Exact revenue on a grid of every segment of `BUDGETS`, by default of `STEPS` steps."""
    steps = steps or STEPS
    return tuple(
        Segment(
            budget,
            tuple(
                revenue(Prices(budget * Fraction(j, steps), budget * Fraction(steps - j, steps)))  # type: ignore[arg-type]
                for j in range(steps + 1)
            ),
        )
        for budget in BUDGETS
    )


def fixed_demand(network: ServingNetwork, pricing: str) -> Revenue:
    """R* as a function of the prices, arrivals being what they are."""
    return lambda prices: plan(replace(network, prices=prices), pricing).value


def responding_demand(network: ServingNetwork) -> Revenue:
    """R* when arrivals fall linearly with what a request pays, to 0 at `CHOKE_REVENUES`."""

    def revenue(prices: Prices) -> Fraction:
        classes = []
        for each in network.classes:
            paid = exact(prices.prefill) * exact(each.prompt_tokens)
            paid += exact(prices.decode) * exact(each.output_tokens)
            demand = exact(each.arrival_rate) * (1 - paid / CHOKE_REVENUES[each.name])
            if demand > 0:
                classes.append(replace(each, arrival_rate=demand))  # type: ignore[arg-type]
        if not classes:
            return Fraction(0)
        return plan(replace(network, prices=prices, classes=tuple(classes))).value

    return revenue


def even_network() -> ServingNetwork:
    """One class with as many prompt as output tokens: revenue is k P per completed request."""
    return replace(instance("two-class"), classes=(RequestClass("even", 500, 500, 1, 0.1),))


def _best_is_an_end(name: str, found: Mapping[str, Sequence[Segment]]) -> Evidence:
    inside = [
        (label, segment.budget, share)
        for label, several in found.items()
        for segment in several
        for share in segment.best_shares
        if 0 < share < 1
    ]
    at_prompts = sum(1 in several[0].best_shares for several in found.values())
    return Evidence(
        name=f"the best ratio on c_p + c_d = k is an end: {name}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(not inside),
        claimed="no interior share c_p / k is best",
        computed=f"best with outputs free at {at_prompts}, with prompts free at "
        f"{len(found) - at_prompts} of {len(found)}"
        if not inside
        else f"best at c_p / k = {inside[0][2]} for k = {float(inside[0][1])}",
        detail=f"certified rational optima at {STEPS + 1} shares for k = "
        f"{', '.join(str(float(budget)) for budget in BUDGETS)}",
    )


def _same_for_every_budget(name: str, found: Mapping[str, Sequence[Segment]]) -> Evidence:
    best = {label: {segment.best_shares for segment in several} for label, several in found.items()}
    moved = [label for label, shares in best.items() if len(shares) > 1]
    shown = "" if not moved else "; ".join(str(s.best_shares[0]) for s in found[moved[0]])
    return Evidence(
        name=f"the best ratio is the same for every k: {name}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(not moved),
        claimed="equal sets of best shares",
        computed=f"equal at {len(found)} of {len(found)}" if not moved else f"c_p / k = {shown}",
        detail="certified rational optima, compared for equality",
    )


def _constant(found: Mapping[str, Sequence[Segment]]) -> Evidence:
    ranges = [max(s.revenues) - min(s.revenues) for several in found.values() for s in several]
    return Evidence(
        name="the exception: with P = D revenue is constant along the segment",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(max(ranges) == 0),
        claimed="largest minus smallest revenue is 0",
        computed=str(max(ranges)),
        slack=0.0 - float(max(ranges)),
        detail="one class; certified rational optima",
    )
