r"""The gap of gate-and-route decays like c n^(-1/2), and a diffusion predicts c.

Derived (`kurtz.stochastic.diffusion.model`); the paper has no rates. Evidence:

* the scheme that computes c agrees with closed forms: with one class, the excess N is an
  Ornstein-Uhlenbeck process with rate :math:`\theta` above 0 and :math:`\mu_m` below, the limit of
  Erlang-A (Garnett, Mandelbaum, Reiman 2002), which is summed exactly beside it; with two classes,
  of which one never waits in the plan, H of that class is one with rates :math:`\theta` and
  :math:`\mu_p`. Either has :math:`E[z^+] = \sqrt{2/\pi}\, w \sqrt{v / \theta}`, where 2 v is the
  noise per second and :math:`w = \theta^{-1/2} / (\theta^{-1/2} + \mu^{-1/2})`;
* per instance: the diffusion that keeps n is near its limit at the sizes studied, so that planned
  queues no longer run empty there; the measured exponent (on two-class, where that takes more
  than 20,000 GPUs, at the full level only); and the ratio of measured to predicted constant is
  within the margin of 1, by an equivalence test;
* on the paper's instance, at a size at which the diffusion says that the planned queue still runs
  empty, the chain is indeed not at its constant, and is where the diffusion that keeps n says;
* on small-two-class a settled diffusion does not suffice: at 1,000 GPUs the chain is above it by
  more than 10 %. At 100,000 (full level) it is within the margin.

Controls: the constant without the noise of arrivals, and with a quarter of the patience rates.

Sizes, windows and margins were fixed on pilot runs with other seeds.
"""

from __future__ import annotations

import dataclasses
import math
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from ...fluid import Plan, plan
from ...stochastic import Interval, erlang_a
from ...stochastic.diffusion.gap import PredictedGap
from ...stochastic.diffusion.model import NOISE_SOURCES, Diffusion, gate_and_route_diffusion
from ...stochastic.diffusion.windows import diffusion_windows
from ...stochastic.replications import interval
from ...theory import instance, rates
from ...theory.claims import Grade
from ..statistics import FAMILY_LEVEL, Fitted
from ..verdict import Evidence, Findings, Level, Outcome, Report, outcome_of
from .convergence_rate_study import (
    PREDICTION,
    SEED,
    STEPS,
    RateStudy,
    prediction,
    rate_study,
)
from .figures import BLUE, GREY, ORANGE
from .gap_evidence import exponent_evidence, level_and_power
from .gap_study import GapStudy
from .instances import NAMED_INSTANCES

INSTANCES = (*NAMED_INSTANCES, "small-one-class")
SLOW = "small-two-class"
"""Instance on which the chain nears its constant long after the diffusion that keeps n."""

TESTS = 2 * len(INSTANCES) + 6
"""Exponent and constant on each instance, two closed forms, two statements on an early size, and
an early and a late size of `SLOW`."""

MARGIN = {"quick": 0.2, "full": 0.1}
"""Largest deviation of the ratio measured / predicted from 1 that counts as agreement."""

CLOSED_FORM_MARGIN = {"quick": 0.03, "full": 0.02}
SETTLED_MARGIN = {"quick": 0.05, "full": 0.02}
"""Largest deviation of the diffusion at a studied size from its limit."""


def check(level: Level, report: Report) -> Findings:
    """Decide the claim at ``level``."""
    evidence = [one_class_evidence(level, report), waiting_evidence(level, report)]
    plans = {name: plan(instance(name)) for name in INSTANCES}
    studies = {name: rate_study(name, p, level, report) for name, p in plans.items()}
    silent: dict[str, tuple[Evidence, ...]] = {}
    slower: dict[str, tuple[Evidence, ...]] = {}
    for name, study in studies.items():
        evidence.append(settled_evidence(study, level))
        if len(study.measured) > 1:
            as_gaps = GapStudy(name, study.plan, study.curve, (), study.measured[0].gpus)
            evidence.append(exponent_evidence(name, as_gaps, TESTS))
        evidence.append(constant_evidence(study, study.limit, level))
    for name in NAMED_INSTANCES:
        study = studies[name]
        report(f"{name}, wrong constants")
        without = [source for source in NOISE_SOURCES if source != "arrivals"]
        quiet = gate_and_route_diffusion(study.plan, sources=without)
        silent[name] = (_wrong_constant(study, study.plan, quiet, level),)
        patient = _more_patient(study.plan)
        wrong = gate_and_route_diffusion(patient)
        slower[name] = (_wrong_constant(study, patient, wrong, level),)
    evidence += early_evidence(studies["two-class"])
    slow = rate_study(SLOW, plan(instance(SLOW)), level, report)
    evidence.append(excess_evidence(slow))
    if slow.measured:
        evidence.append(constant_evidence(slow, slow.limit, level))
    return Findings(
        evidence=tuple(evidence),
        controls={
            **{f"no noise of arrivals: {name}": pieces for name, pieces in silent.items()},
            **{
                f"a quarter of the patience rates: {name}": pieces
                for name, pieces in slower.items()
            },
        },
        figures={
            f"Scaled gap, predicted and measured: {name}": partial(constant_figure, study)
            for name, study in studies.items()
        },
        data={"studies": studies, "slow": slow},
    )


def one_class_evidence(level: Level, report: Report) -> Evidence:
    """Scheme, closed form and Erlang-A for the decode stage of one class."""
    report("one class: diffusion, closed form, Erlang-A")
    p = plan(instance("small-one-class"))
    rate = rates(p.network)
    (service,), (patience,) = rate.mixed_decode, rate.patience
    prefilled = rate.prefill[0] * float(p.prefill[0])
    queue = positive_part(prefilled, patience, service)
    exact = rate.weight[0] * patience * queue / float(p.value)
    scheme = prediction("small-one-class", p, gate_and_route_diffusion(p), level)
    servers = 10**6
    law = erlang_a(service * servers, service, servers, patience)
    summed = law.mean_queue / math.sqrt(servers) * math.sqrt(prefilled / service)
    error = _closed_form_error(scheme.constant, exact, PREDICTION[level].windows)
    low, high = error.interval(2 * FAMILY_LEVEL / TESTS)
    margin = CLOSED_FORM_MARGIN[level]
    difference = abs(summed / queue - 1)
    return Evidence(
        name="constant of one class: scheme, closed form and Erlang-A",
        grade=Grade.ESTIMATED,
        outcome=_equivalence(low, high, margin) if difference < margin / 10 else Outcome.REFUTED,
        claimed=f"{exact:.4f} R* within {margin:.0%}",
        computed=f"{scheme.constant.mean:.4f}, off by [{low:+.2%}, {high:+.2%}]; Erlang-A with "
        f"{servers:,} servers off by {difference:.1e}",
        slack=margin - max(abs(low), abs(high)),
        detail=f"H0: deviation at least the margin; {level_and_power(error, TESTS, sides=1)}",
    )


def waiting_evidence(level: Level, report: Report) -> Evidence:
    """Scheme and closed form of the waiting requests of the class that the plan never keeps."""
    report("two classes: waiting requests, closed form")
    p = plan(instance("two-class"))
    diffusion = gate_and_route_diffusion(p)
    run = PREDICTION[level]
    fine, coarse = diffusion_windows(
        diffusion,
        step=STEPS["two-class"],
        warmup=run.warmup,
        measured=10 * run.measured,
        windows=run.windows,
        seed=SEED + 1,
    )
    (i,) = diffusion.never_waiting
    arrivals = diffusion.prefill_rates[i] * diffusion.targets[i]
    exact = positive_part(arrivals, diffusion.patience_rates[i], diffusion.prefill_rates[i])
    # The time average of Q^2 is known beside that of Q: 0 = E G(H^2), see `diffusion_gap`.
    waiting = 2 * fine.prefill_queue[:, i] - coarse.prefill_queue[:, i]
    generated = fine.products[:, 0]
    slope = np.cov(waiting, generated)[0, 1] / generated.var(ddof=1)
    error = _closed_form_error(interval(waiting - slope * generated, 0.95), exact, run.windows)
    low, high = error.interval(2 * FAMILY_LEVEL / TESTS)
    margin = CLOSED_FORM_MARGIN[level]
    return Evidence(
        name="requests waiting in a class without a planned queue: two-class",
        grade=Grade.ESTIMATED,
        outcome=_equivalence(low, high, margin),
        claimed=f"{exact:.4f} sqrt(n) within {margin:.0%}",
        computed=f"{exact * (1 + error.value):.4f}, off by [{low:+.2%}, {high:+.2%}]",
        slack=margin - max(abs(low), abs(high)),
        detail=f"H0: deviation at least the margin; {level_and_power(error, TESTS, sides=1)}",
    )


def positive_part(variance: float, rate_above: float, rate_below: float) -> float:
    """E[z^+] of dz = -rate z dt + sqrt(2 variance) dW whose rate changes at 0."""
    above, below = 1 / math.sqrt(rate_above), 1 / math.sqrt(rate_below)
    return math.sqrt(2 / math.pi * variance) * above**2 / (above + below)


def settled_evidence(study: RateStudy, level: Level) -> Evidence:
    """Whether the diffusion that keeps n is near its limit at every size studied.

    Necessary for the constant to be right, and not sufficient: see `excess_evidence`.
    """
    limit, margin = study.limit.constant.mean, SETTLED_MARGIN[level]
    worst = max(abs(study.predicted[m.gpus].constant.mean / limit - 1) for m in study.measured)
    return Evidence(
        name=f"planned queues no longer run empty at the sizes studied: {study.name}",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(worst <= margin),
        claimed=f"diffusion of n GPUs within {margin:.0%} of its limit {limit:.4f}",
        computed=f"within {worst:.1%} for n = {study.measured[0].gpus:,} ... "
        f"{study.measured[-1].gpus:,}",
        slack=margin - worst,
        detail=f"Euler's scheme with steps {2 * STEPS[study.name]:g} s and half of that, "
        f"extrapolated; halving changes {study.limit.step_effect.mean:+.4f}",
    )


def constant_evidence(study: RateStudy, predicted: PredictedGap, level: Level) -> Evidence:
    """Whether measured / predicted is within the margin of 1: equivalence test."""
    curve, margin = study.curve, MARGIN[level]
    weights = 1 / (np.sqrt(curve.gpus) * curve.pooled_errors) ** 2
    mean = float(np.average(np.sqrt(curve.gpus) * curve.gap, weights=weights))
    constant = predicted.constant
    spread = math.hypot(
        1 / math.sqrt(weights.sum()) / mean, constant.standard_error / constant.mean
    )
    ratio = Fitted(
        mean / constant.mean - 1, mean / constant.mean * spread, curve.degrees_of_freedom
    )
    low, high = ratio.interval(2 * FAMILY_LEVEL / TESTS)
    return Evidence(
        name=f"constant of the gap, measured over predicted: {study.name}",
        grade=Grade.ESTIMATED,
        outcome=_equivalence(low, high, margin),
        claimed=f"within {margin:.0%} of 1; predicted {constant.mean:.4f} "
        f"+- {constant.standard_error:.4f}",
        computed=f"{1 + ratio.value:.3f} in [{1 + low:.3f}, {1 + high:.3f}]; measured {mean:.4f}",
        slack=margin - max(abs(low), abs(high)),
        detail=f"H0: the ratio is off by the margin or more, two one-sided tests; "
        f"{level_and_power(ratio, TESTS, sides=1)}; n = {curve.gpus[0]:,} ... {curve.gpus[-1]:,}; "
        "controls divide the variance of the measured gap by "
        + ", ".join(f"{m.variance_reduction:.0f}" for m in study.measured),
    )


def early_evidence(study: RateStudy) -> tuple[Evidence, Evidence]:
    """Before the asymptotics: the chain is off its constant, and where the diffusion of n says."""
    (early,) = study.early
    predicted, limit = study.predicted[early.gpus], study.limit.constant.mean
    mean, finite = early.mean, predicted.constant
    below = [n for n, gap in study.predicted.items() if abs(gap.constant.mean / limit - 1) > 0.1]
    _, high = mean.interval(2 * FAMILY_LEVEL / TESTS)
    off = Evidence(
        name=f"the constant is not yet right at {early.gpus:,} GPUs: {study.name}",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(high < 0.9 * limit),
        claimed=f"below 90 % of {limit:.3f}",
        computed=f"{mean.value:.3f}, at most {high:.3f}",
        slack=0.9 * limit - high,
        detail="H0: at least 90 %, one-sided; the planned queue runs empty and leaves "
        f"{predicted.idle_prefill:.3f} sqrt(n) prefill slots idle; the diffusion is off by over "
        f"10 % up to n = {max(below):,} of the sizes computed",
    )
    spread = math.hypot(mean.standard_error, finite.standard_error) / finite.mean
    ratio = Fitted(mean.value / finite.mean - 1, spread, mean.degrees_of_freedom)
    low, high = ratio.interval(2 * FAMILY_LEVEL / TESTS)
    margin = MARGIN["quick"]
    explained = Evidence(
        name=f"the diffusion that keeps n explains it: {study.name}, {early.gpus:,} GPUs",
        grade=Grade.ESTIMATED,
        outcome=_equivalence(low, high, margin),
        claimed=f"within {margin:.0%} of {finite.mean:.3f}",
        computed=f"{1 + ratio.value:.3f} in [{1 + low:.3f}, {1 + high:.3f}] times that",
        slack=margin - max(abs(low), abs(high)),
        detail=f"H0: the ratio is off by the margin or more; "
        f"{level_and_power(ratio, TESTS, sides=1)}",
    )
    return off, explained


def excess_evidence(study: RateStudy) -> Evidence:
    """A settled diffusion does not suffice: the chain is above it at an early size."""
    (early,) = study.early
    mean, finite = early.mean, study.predicted[early.gpus].constant
    settled = finite.mean / study.limit.constant.mean - 1
    spread = math.hypot(mean.standard_error / mean.value, finite.standard_error / finite.mean)
    value = mean.value / finite.mean
    ratio = Fitted(value, value * spread, mean.degrees_of_freedom)
    low, high = ratio.interval(2 * FAMILY_LEVEL / TESTS)
    return Evidence(
        name=f"a settled diffusion does not suffice: {study.name}, {early.gpus:,} GPUs",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(low > 1.1 and abs(settled) <= SETTLED_MARGIN["full"]),
        claimed=f"chain over 1.1 times the diffusion of n GPUs, {finite.mean:.4f}",
        computed=f"{value:.3f} in [{low:.3f}, {high:.3f}] times that",
        slack=low - 1.1,
        detail=f"H0: at most 1.1 times, one-sided; {level_and_power(ratio, TESTS, sides=1)}; "
        f"that diffusion is {settled:+.2%} off its limit",
    )


def constant_figure(study: RateStudy) -> Figure:
    """Scaled gap against n: the diffusion that keeps n, its limit, and the chain."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    limit = study.limit.constant.mean
    sizes = np.array(sorted(study.predicted))
    axes.axhline(limit, color=GREY, ls="--", label=f"limit of the diffusion, {limit:.3f}")
    axes.plot(
        sizes,
        [study.predicted[n].constant.mean for n in sizes],
        color=ORANGE,
        label="diffusion of n GPUs",
    )
    curve = study.curve
    means = [m.mean for m in study.early] + [
        Fitted(math.sqrt(n) * gap, math.sqrt(n) * error, curve.degrees_of_freedom)
        for n, gap, error in zip(curve.gpus, curve.gap, curve.pooled_errors, strict=True)
    ]
    axes.errorbar(
        [m.gpus for m in (*study.early, *study.measured)],
        [mean.value for mean in means],
        [mean.interval(0.05)[1] - mean.value for mean in means],
        fmt="o",
        color=BLUE,
        capsize=3,
        label="chain, 95 %",
    )
    axes.set(
        xscale="log",
        xlabel="number of GPUs n",
        ylabel=r"$\sqrt{n}\,\times$ gap to $R^*$, relative",
        ylim=(0, 1.4 * limit),
        title=study.name,
    )
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(frameon=False, loc="lower right")
    axes.grid(alpha=0.3)
    return figure


def _wrong_constant(study: RateStudy, p: Plan, diffusion: Diffusion, level: Level) -> Evidence:
    return constant_evidence(study, prediction(study.name, p, diffusion, level), level)


def _more_patient(p: Plan) -> Plan:
    """The plan of the same network with a quarter of the patience rates: same x* and R*."""
    classes = tuple(
        dataclasses.replace(c, patience_rate=c.patience_rate / 4) for c in p.network.classes
    )
    return plan(dataclasses.replace(p.network, classes=classes))


def _closed_form_error(computed: Interval, exact: float, windows: int) -> Fitted:
    """Relative deviation of a computed mean."""
    return Fitted(computed.mean / exact - 1, computed.standard_error / exact, windows - 1)


def _equivalence(low: float, high: float, margin: float) -> Outcome:
    if low > margin or high < -margin:
        return Outcome.REFUTED
    return Outcome.HOLDS if -margin < low and high < margin else Outcome.INCONCLUSIVE
