"""The rate of convergence: the closed forms, the tests on the constant, and what they refute."""

from __future__ import annotations

import dataclasses
import math
from functools import cache

import numpy as np
import pytest
from scipy import integrate

from kurtz.fluid import Plan, plan
from kurtz.proofs_checks.networks.convergence_rate import (
    constant_evidence,
    constant_figure,
    early_evidence,
    positive_part,
    settled_evidence,
)
from kurtz.proofs_checks.networks.convergence_rate_study import Measured, RateStudy, unrounded_size
from kurtz.proofs_checks.verdict import Outcome
from kurtz.stochastic import Interval
from kurtz.stochastic.diffusion.gap import PredictedGap
from kurtz.theory import instance

CONSTANT = 1.2


@cache
def planned() -> Plan:
    return plan(instance("two-class"))


def predicted(constant: float) -> PredictedGap:
    interval = Interval(constant, 0.001, (constant - 0.002, constant + 0.002))
    return PredictedGap(interval, Interval(0, 0.001, (0, 0)), np.zeros(1), 2.0, 0.02)


def measured(gpus: int, constant: float, spread: float = 0.02) -> Measured:
    """Ten windows whose mean is ``constant`` and whose standard deviation is about ``spread``."""
    pattern = np.array([-1.0, 1.0] * 5)
    return Measured(gpus, constant + spread * pattern, constant + 5 * spread * pattern)


def study_of(constant: float, *, early: float = 0.7, smallest: float = CONSTANT) -> RateStudy:
    sizes = (20_000, 40_000, 80_000)
    return RateStudy(
        name="two-class",
        plan=planned(),
        limit=predicted(CONSTANT),
        predicted={
            2_000: predicted(0.7),
            **dict.fromkeys(sizes, predicted(CONSTANT)),
            sizes[0]: predicted(smallest),
        },
        measured=tuple(measured(n, constant) for n in sizes),
        early=(measured(2_000, early),),
    )


@pytest.mark.parametrize(
    ("factor", "outcome"),
    [(1.0, Outcome.HOLDS), (1.05, Outcome.HOLDS), (1.25, Outcome.REFUTED), (0.7, Outcome.REFUTED)],
)
def test_constant_must_be_within_the_margin(factor: float, outcome: Outcome) -> None:
    study = study_of(factor * CONSTANT)
    assert constant_evidence(study, study.limit, "full").outcome is outcome


def test_constant_near_the_edge_of_the_margin_is_not_decided() -> None:
    study = study_of(1.1 * CONSTANT)
    assert constant_evidence(study, study.limit, "full").outcome is Outcome.INCONCLUSIVE


def test_sizes_at_which_the_diffusion_has_not_settled_are_refused() -> None:
    assert settled_evidence(study_of(CONSTANT), "full").outcome is Outcome.HOLDS
    assert settled_evidence(study_of(CONSTANT, smallest=1.05), "full").outcome is Outcome.REFUTED


def test_early_size_must_be_off_the_constant_and_on_the_diffusion_of_its_size() -> None:
    off, explained = early_evidence(study_of(CONSTANT))
    assert (off.outcome, explained.outcome) == (Outcome.HOLDS, Outcome.HOLDS)
    off, explained = early_evidence(study_of(CONSTANT, early=CONSTANT))
    assert (off.outcome, explained.outcome) == (Outcome.REFUTED, Outcome.REFUTED)


def test_controls_are_credited_with_the_variance_they_remove() -> None:
    assert measured(100, 1.0).variance_reduction == pytest.approx(25)


@pytest.mark.parametrize(("above", "below"), [(0.1, 2.5), (2.0, 0.2), (1.0, 1.0)])
def test_positive_part_integrates_the_stationary_density(above: float, below: float) -> None:
    # Density proportional to exp(-rate z^2 / (2 v)) on either side of 0, continuous there.
    variance = 0.7
    positive = integrate.quad(lambda z: math.exp(-above * z * z / (2 * variance)), 0, 60)[0]
    negative = integrate.quad(lambda z: math.exp(-below * z * z / (2 * variance)), 0, 60)[0]
    moment = integrate.quad(lambda z: z * math.exp(-above * z * z / (2 * variance)), 0, 60)[0]
    expected = moment / (positive + negative)
    assert positive_part(variance, above, below) == pytest.approx(expected, rel=1e-9)


def test_sizes_leave_next_to_nothing_to_rounding() -> None:
    share = planned().mixed_share
    for near, rest in ((1_000, 0.2), (20_000, 0.01)):
        n = unrounded_size(planned(), near)
        assert near <= n <= 1.01 * near
        assert math.ceil(n * share) - n * share < rest


def test_measured_curve_is_the_gap_itself() -> None:
    curve = study_of(CONSTANT).curve
    np.testing.assert_allclose(curve.gap * np.sqrt(curve.gpus), CONSTANT)


def test_figure_shows_every_measured_size() -> None:
    study = dataclasses.replace(study_of(CONSTANT), early=())
    (axes,) = constant_figure(study).axes
    (bars,) = axes.containers
    assert bars.lines[0].get_xdata().tolist() == [m.gpus for m in study.measured]
