r"""Lemmas 13.1 and 13.3, Proposition 13.5: with decode backlogs planned, occupancies converge too.

The general policy sends prefilled requests to the pools by lot and lets a freed slot draw the
class it serves, with weights in proportion to the planned completions. Evidence: the eigenvalue
lemma proved for any number of classes, and once more on random pools by counting the roots of
characteristic polynomials exactly; then, on targets that are an optimum of the separate program
with a backlog of every class and both pools full, the limits of all occupancies and of the
backlogs, by equivalence tests.

Control: uniform weights; a pool whose weights do not add up to one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy

from ...fluid import plan
from ...stochastic import Estimate, simulate
from ...theory import GeneralSliAware, Policy, ServingNetwork, exact_rates, instance
from ...theory.claims import Grade
from ...theory.derivations import pool_mixing
from ..derived import derivation_evidence
from ..verdict import Evidence, Findings, Level, Report, outcome_of
from .gap_study import Design
from .occupancy_evidence import occupancies_evidence

SEED = 4
NAMES: dict[Level, tuple[str, ...]] = {
    "quick": ("azure-h100",),
    "full": ("azure-h100", "two-class"),
}
"""On two-class classes differ so little that only the margin of the full level can tell."""

DESIGNS: dict[str, dict[Level, Design]] = {
    "two-class": {
        "full": Design((800, 3_200, 12_800, 25_600), (16, 24, 24, 16), 150, 300, settled_from=800),
    },
    "azure-h100": {
        "quick": Design((200, 800, 3_200), (8, 6, 4), 100, 120, settled_from=200),
        "full": Design((400, 1_600, 6_400), (24, 16, 12), 100, 200, settled_from=400),
    },
}
MARGIN = {"quick": 0.015, "full": 0.004}
"""Largest deviation in the limit, per slot of the stage, that counts as none: no more than half of
the least planned backlog."""

CONTROLLED = "azure-h100"
"""Where completions differ most between classes."""

POOLS = {"quick": 40, "full": 400}
STAGES = ("prefill", "mixed_decode", "solo_decode", "decode_queue")
TESTS = (2 + 4) * len(STAGES)


@dataclass(frozen=True)
class BackloggedTargets:
    """Occupancies per GPU with all arrivals prefilled and both decode pools full.

    Classes are made to differ: the share of a class that abandons in the decode buffers falls
    with its place in the list, and so does its share of the mixed pool. Alike, the lot would be
    the same for all and uniform weights might be right.
    """

    network: ServingNetwork
    prefill: tuple[Fraction, ...]
    mixed_decode: tuple[Fraction, ...]
    solo_decode: tuple[Fraction, ...]
    prefill_queue: tuple[Fraction, ...]
    decode_queue: tuple[Fraction, ...]

    @classmethod
    def of(cls, network: ServingNetwork) -> BackloggedTargets:
        """The targets of a network whose arrivals fit into prefill but not into decode."""
        rate = exact_rates(network)
        prefill = tuple(a / p for a, p in zip(rate.arrival, rate.prefill, strict=True))
        share = sum(prefill, Fraction(0))
        work = [a / m for a, m in zip(rate.arrival, rate.mixed_decode, strict=True)]
        mixed_slots, solo_slots = (rate.batch - 1) * share, rate.batch * (1 - share)
        capacity = mixed_slots + rate.kappa * solo_slots
        excess = sum(work, Fraction(0)) - capacity
        places = range(len(work), 0, -1)
        abandoned = [place * excess / _weighted(places, work) for place in places]
        if share > 1 or excess <= 0 or max(abandoned) >= 1:
            raise ArithmeticError("no optimum in which every class has a decode backlog")
        served = [w * (1 - gone) for w, gone in zip(work, abandoned, strict=True)]
        favoured = [place + len(work) for place in places]
        mixed = [
            mixed_slots * place * w / _weighted(favoured, served)
            for place, w in zip(favoured, served, strict=True)
        ]
        return cls(
            network=network,
            prefill=prefill,
            mixed_decode=tuple(mixed),
            solo_decode=tuple((w - y) / rate.kappa for w, y in zip(served, mixed, strict=True)),
            prefill_queue=tuple(Fraction(0) for _ in work),
            decode_queue=tuple(
                arrival * gone / theta
                for arrival, gone, theta in zip(rate.arrival, abandoned, rate.patience, strict=True)
            ),
        )

    @property
    def separate_value(self) -> Fraction:
        """Revenue per GPU-second under separate charging, equation (42)."""
        rate = exact_rates(self.network)
        return sum(
            (
                prompt * p * x + output * (m * y_m + s * y_s)
                for prompt, p, x, output, m, y_m, s, y_s in zip(
                    rate.prompt_revenue,
                    rate.prefill,
                    self.prefill,
                    rate.output_revenue,
                    rate.mixed_decode,
                    self.mixed_decode,
                    rate.solo_decode,
                    self.solo_decode,
                    strict=True,
                )
            ),
            Fraction(0),
        )


def _weighted(weights: Sequence[int], work: Sequence[Fraction]) -> Fraction:
    return sum((k * w for k, w in zip(weights, work, strict=True)), Fraction(0))


@dataclass(frozen=True)
class UniformWeights(GeneralSliAware):
    """The general policy with the same weight for every class."""

    def pool_weights(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """1/I for each class in either pool."""
        share = 1 / len(self.plan.prefill)
        return ((share,) * len(self.plan.prefill),) * 2


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    report("the eigenvalue lemma")
    evidence = [
        derivation_evidence(pool_mixing.derivation()),
        spectrum_evidence(POOLS[level], total=Fraction(1)),
    ]
    controls = {
        "weights that do not add up to one": (
            spectrum_evidence(POOLS["quick"], total=Fraction(9, 10)),
        )
    }
    runs: dict[str, tuple[BackloggedTargets, Sequence[Estimate]]] = {}
    for name in NAMES[level]:
        targets = BackloggedTargets.of(instance(name))
        design = DESIGNS[name][level]
        evidence.append(_optimal(name, targets))
        estimates = _estimates(name, GeneralSliAware(targets), design, report)
        runs[name] = targets, estimates
        evidence.append(_tracked(name, targets, design, estimates, level))
    targets, design = runs[CONTROLLED][0], DESIGNS[CONTROLLED]["quick"]
    uniform = _estimates(f"{CONTROLLED}, uniform weights", UniformWeights(targets), design, report)
    controls[f"uniform weights on {CONTROLLED}"] = (
        _tracked(CONTROLLED, targets, design, uniform, level),
    )
    return Findings(evidence=tuple(evidence), controls=controls, data={"runs": runs})


def spectrum_evidence(pools: int, total: Fraction) -> Evidence:
    """Whether 0 is a simple eigenvalue and the others are negative, on random pools, exactly.

    The roots of the characteristic polynomial below zero are counted by Sturm's theorem.
    """
    generator = random.Random(SEED)
    holding = 0
    for _ in range(pools):
        classes = generator.randint(2, 5)
        parts = [generator.randint(1, 30) for _ in range(classes)]
        weights = [total * Fraction(part, sum(parts)) for part in parts]
        rates = [Fraction(generator.randint(1, 60), generator.randint(1, 20)) for _ in parts]
        holding += has_the_spectrum(weights, rates)
    return Evidence(
        name=f"0 is a simple eigenvalue, the others are negative: weights adding up to {total}",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(holding == pools),
        claimed=f"on {pools} random pools",
        computed=f"on {holding}",
        slack=float(holding - pools),
        detail="2 to 5 classes; roots counted exactly by Sturm's theorem",
    )


def has_the_spectrum(weights: Sequence[Fraction], rates: Sequence[Fraction]) -> bool:
    """Lemma 13.3 for A = v mu^T - diag(mu): one root 0, all others real and negative."""
    classes = range(len(weights))
    matrix = sympy.Matrix(
        [
            [sympy.Rational(weights[i] * rates[j] - (rates[i] if i == j else 0)) for j in classes]
            for i in classes
        ]
    )
    root = sympy.Symbol("z")
    polynomial = matrix.charpoly(root).as_poly()
    zeros = min(monomial[0] for monomial in polynomial.monoms())
    rest = sympy.Poly(sympy.cancel(polynomial.as_expr() / root**zeros), root)
    multiplicities = sum(
        power * factor.count_roots(None, 0) for factor, power in rest.sqf_list()[1]
    )
    return bool(zeros == 1 and multiplicities == rest.degree())


def _optimal(name: str, targets: BackloggedTargets) -> Evidence:
    value, best = targets.separate_value, plan(targets.network, "separate").value
    return Evidence(
        name=f"{name}: the targets are an optimum with a decode backlog of every class",
        grade=Grade.CERTIFIED,
        outcome=outcome_of(value == best and min(targets.decode_queue) > 0),
        claimed=f"value {float(best):.6f}, every q_d* > 0",
        computed=f"value {float(value):.6f}, least q_d* {float(min(targets.decode_queue)):.4f}",
        slack=float(value - best),
        detail="fractions, against the certified separate plan; both pools full",
    )


def _tracked(
    name: str,
    targets: BackloggedTargets,
    design: Design,
    estimates: Sequence[Estimate],
    level: Level,
) -> Evidence:
    return occupancies_evidence(
        f"{name}: all occupancies and backlogs tend to their targets",
        targets.network,
        targets,
        design,
        estimates,
        STAGES,
        margin=MARGIN[level],
        tests=TESTS,
    )


def _estimates(name: str, policy: Policy, design: Design, report: Report) -> list[Estimate]:
    estimates = []
    for gpus, replications in zip(design.gpus, design.replications, strict=True):
        report(f"{name}, {gpus:,} GPUs")
        estimates.append(
            simulate(
                policy.plan.network,
                policy,
                gpus=gpus,
                horizon=design.warmup + design.measured,
                warmup=design.warmup,
                replications=replications,
                seed=SEED * 10**9 + gpus,
            )
        )
    return estimates
