"""Statistics of the checks on curves whose truth is known: exact ones, and noise of known size."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy import stats

from kurtz.fluid import plan
from kurtz.proofs_checks.bundled_optimality import (
    exponent_evidence,
    limit_evidence,
    milestone_evidence,
)
from kurtz.proofs_checks.gap_study import GapStudy
from kurtz.proofs_checks.statistics import (
    POWER,
    SETTLED_SIZES,
    SETTLING_LEVEL,
    Fitted,
    GapCurve,
    fitted_exponent,
    fitted_limit,
    settled_range,
    settling_p_value,
)
from kurtz.proofs_checks.verdict import Outcome
from kurtz.theory import instance

SIZES = np.array([100, 400, 1_600, 6_400, 25_600, 102_400])
KNOWN = 1_000_000
"""So many replications that Student's t is normal: the standard errors are as good as known."""

constants = st.floats(0.01, 100)
sizes = st.lists(st.integers(1, 10**6), min_size=3, max_size=8, unique=True).map(sorted)


def curve_of(
    gap: ArrayLike, error: ArrayLike, gpus: Sequence[int] = SIZES, replications: int = KNOWN
) -> GapCurve:
    gaps = np.asarray(gap, dtype=float)
    return GapCurve(
        np.array(gpus),
        gaps,
        np.broadcast_to(np.asarray(error, dtype=float), gaps.shape).copy(),
        np.full(len(gaps), replications),
    )


def power_law(exponent: float, relative_error: float = 0.01) -> GapCurve:
    """The gap 2 n^exponent: 20 % at 100 GPUs for exponent -1/2."""
    gap = 2 * SIZES.astype(float) ** exponent
    return curve_of(gap, relative_error * gap)


def noisy(curve: GapCurve, seed: int) -> GapCurve:
    noise = np.random.default_rng(seed).standard_normal(len(curve.gpus))
    return curve_of(curve.gap + curve.standard_error * noise, curve.standard_error, curve.gpus)


def study_of(curve: GapCurve) -> GapStudy:
    return GapStudy("a curve", plan(instance("two-class")), curve, ())


def assert_as_likely_as(successes: int, trials: int, probability: float) -> None:
    """Fail with probability 1e-6 if ``probability`` is right."""
    low, high = stats.binom.interval(1 - 1e-6, trials, probability)
    assert low <= successes <= high


@given(sizes, st.floats(-2, 0.5), constants)
def test_exponent_of_an_exact_power_law_is_exact(
    gpus: list[int], exponent: float, constant: float
) -> None:
    gap = constant * np.array(gpus, dtype=float) ** exponent
    fitted = fitted_exponent(curve_of(gap, 0.1 * gap, gpus))
    # The error grows with the condition of the design: close sizes barely tell a slope.
    spread = math.log(gpus[-1] / gpus[0])
    assert fitted.value == pytest.approx(exponent, abs=1e-6 / min(spread, 1) ** 2)


@given(st.floats(-1, 1), constants)
def test_limit_of_a_constant_plus_c_over_root_n_is_exact(limit: float, constant: float) -> None:
    fitted = fitted_limit(curve_of(limit + constant / np.sqrt(SIZES), 0.01))
    assert fitted.value == pytest.approx(limit, abs=1e-10)


def test_limit_from_two_sizes_is_the_extrapolation_with_its_error() -> None:
    # n = 1, 4 stand at 1/sqrt(n) = 1, 1/2: the line meets 0 at 2 g(4) - g(1), with variance
    # 4 s(4)^2 + s(1)^2 = 4 * 0.25 + 9 = 10 for s(1) = 3 and s(4) = 1/2.
    fitted = fitted_limit(curve_of([7, 5], [3, 0.5], gpus=(1, 4)))
    assert fitted.value == pytest.approx(3)
    assert fitted.standard_error == pytest.approx(math.sqrt(10))


def test_exponent_from_two_sizes_is_the_slope_with_its_error() -> None:
    # Relative errors 3 % and 4 % give log differences an error of 5 %; log 100 apart.
    fitted = fitted_exponent(curve_of([1, 0.1], [0.03, 0.004], gpus=(1, 100)))
    assert fitted.value == pytest.approx(-0.5)
    assert fitted.standard_error == pytest.approx(0.05 / math.log(100))


def test_interval_is_students() -> None:
    # Tables: the 97.5 % point of Student's t with 3 degrees of freedom is 3.182446.
    low, high = Fitted(1.0, 2.0, 3).interval(0.05)
    assert (low, high) == pytest.approx((1 - 2 * 3.182446, 1 + 2 * 3.182446), abs=1e-5)


@given(st.integers(20, 300), st.sampled_from((0.05, 0.01, 0.002)))
def test_detectable_effect_is_found_with_the_stated_power(degrees: int, level: float) -> None:
    # Under an effect the statistic is noncentral t: its exact power, by another formula. The sum
    # of central quantiles is an approximation: at 7 degrees and level 0.002 the power is 0.84.
    effect = Fitted(0.0, 1.0, degrees).detectable(level)
    critical = stats.t.ppf(1 - level / 2, degrees)
    assert stats.nct.sf(critical, degrees, effect) == pytest.approx(POWER, abs=0.02)


def test_degrees_of_freedom_are_pooled() -> None:
    curve = GapCurve(SIZES[:3], np.ones(3), np.ones(3), np.array([8, 4, 2]))
    assert curve.degrees_of_freedom == 7 + 3 + 1
    assert fitted_limit(curve).degrees_of_freedom == 11


@pytest.mark.parametrize("level", [0.05, 0.002])
def test_intervals_cover_the_truth_as_often_as_they_say(level: float) -> None:
    # Noise of known size; at 1 % the logarithm of the gap is normal to a part in a hundred.
    trials, truth = 4_000, power_law(-0.5)
    curves = [noisy(truth, seed) for seed in range(trials)]
    exponents = [fitted_exponent(curve).interval(level) for curve in curves]
    limits = [fitted_limit(curve).interval(level) for curve in curves]
    assert_as_likely_as(sum(not low <= -0.5 <= high for low, high in exponents), trials, level)
    assert_as_likely_as(sum(not low <= 0 <= high for low, high in limits), trials, level)


def test_settling_refuses_a_settled_curve_as_often_as_it_says() -> None:
    trials, truth = 4_000, power_law(-0.5)
    refused = sum(settling_p_value(noisy(truth, seed)) < SETTLING_LEVEL for seed in range(trials))
    assert_as_likely_as(refused, trials, SETTLING_LEVEL)


def test_an_exact_root_law_has_settled_everywhere() -> None:
    settled = settled_range(power_law(-0.5))
    assert settled is not None
    assert settled.gpus.tolist() == SIZES.tolist()


@pytest.mark.parametrize("exponent", [0.0, -0.25, -1.0])
def test_other_exponents_settle_nowhere(exponent: float) -> None:
    assert settled_range(power_law(exponent)) is None
    assert all(settled_range(noisy(power_law(exponent), seed)) is None for seed in range(200))


def test_a_limit_gap_settles_nowhere() -> None:
    gap = 0.05 + 2 / np.sqrt(SIZES)
    assert settled_range(curve_of(gap, 0.01 * gap)) is None


def test_settled_range_leaves_out_what_lies_before_the_asymptote() -> None:
    # sqrt(n) gap = 2 + 200/sqrt(n) is 22, 12, 7, 4.5, 3.25, 2.625. At errors of 10 % of
    # sqrt(n) gap at the last three sizes, Q = sum (s - mean)^2 / error^2 from 0.45, 0.325,
    # 0.2625 is 22: refused. At 25 % it is below 6, the 95 % point at two degrees: accepted.
    gap = 2 / np.sqrt(SIZES) + 200 / SIZES
    assert settled_range(curve_of(gap, 0.10 * gap)) is None
    settled = settled_range(curve_of(gap, 0.25 * gap))
    assert settled is not None
    assert settled.gpus[-1] == SIZES[-1]
    assert len(settled.gpus) < len(SIZES)


def test_fewer_than_three_sizes_never_count_as_settled() -> None:
    assert settled_range(power_law(-0.5).last(SETTLED_SIZES - 1)) is None


@given(st.lists(st.floats(0.01, 1), min_size=len(SIZES), max_size=len(SIZES)), st.floats(0.01, 0.3))
def test_settled_range_is_a_tail_that_agrees_with_its_mean(
    scaled: list[float], relative_error: float
) -> None:
    gap = np.array(scaled) / np.sqrt(SIZES)
    curve = curve_of(gap, relative_error * gap)
    settled = settled_range(curve)
    if settled is not None:
        assert SETTLED_SIZES <= len(settled.gpus) <= len(SIZES)
        assert settled.gpus.tolist() == SIZES[-len(settled.gpus) :].tolist()
        assert settling_p_value(settled) >= SETTLING_LEVEL
        longer = len(settled.gpus) + 1
        assert longer > len(SIZES) or settling_p_value(curve.last(longer)) < SETTLING_LEVEL


@pytest.mark.parametrize(
    ("exponent", "relative_error", "outcome"),
    [
        (-0.5, 0.01, Outcome.HOLDS),
        (-1.0, 0.01, Outcome.REFUTED),
        (0.0, 0.01, Outcome.REFUTED),
        (-0.5, 5.0, Outcome.INCONCLUSIVE),  # the interval holds 0 and -1 as well
        (-1.0, 5.0, Outcome.INCONCLUSIVE),
    ],
)
def test_theorem_4_1_exponent_is_decided_by_its_interval(
    exponent: float, relative_error: float, outcome: Outcome
) -> None:
    study = study_of(power_law(exponent, relative_error))
    assert exponent_evidence("a curve", study).outcome is outcome


@pytest.mark.parametrize(
    ("limit", "error", "outcome"),
    [
        (0.0, 1e-5, Outcome.HOLDS),
        (0.003, 1e-5, Outcome.HOLDS),  # the quick margin is 0.5 %
        (0.02, 1e-5, Outcome.REFUTED),
        (-0.02, 1e-5, Outcome.REFUTED),  # more than R*: as wrong as less
        (0.0, 0.02, Outcome.INCONCLUSIVE),
        (0.005, 1e-4, Outcome.INCONCLUSIVE),  # at the margin
    ],
)
def test_theorem_4_1_limit_gap_is_decided_by_two_one_sided_tests(
    limit: float, error: float, outcome: Outcome
) -> None:
    study = study_of(curve_of(limit + 0.5 / np.sqrt(SIZES), error))
    assert limit_evidence(study, "quick").outcome is outcome


def test_theorem_4_1_full_level_is_stricter_than_quick() -> None:
    study = study_of(curve_of(0.003 + 0.5 / np.sqrt(SIZES), 1e-5))
    assert limit_evidence(study, "quick").outcome is Outcome.HOLDS
    assert limit_evidence(study, "full").outcome is Outcome.REFUTED


@pytest.mark.parametrize(
    ("gap", "outcome"),
    [(0.005, Outcome.HOLDS), (0.02, Outcome.REFUTED), (0.0101, Outcome.INCONCLUSIVE)],
)
def test_theorem_4_1_gap_at_20_000_gpus_is_decided_against_one_per_cent(
    gap: float, outcome: Outcome
) -> None:
    study = study_of(curve_of([0.5, gap, 0.001], 1e-4, gpus=(100, 20_000, 80_000)))
    assert milestone_evidence(study).outcome is outcome


def test_theorem_4_1_estimated_gap_below_zero_does_not_refute() -> None:
    # Within its error of a gap that has all but vanished.
    study = study_of(curve_of([0.004, 0.002, -0.0001], 0.002, gpus=(10_000, 40_000, 160_000)))
    evidence = exponent_evidence("a curve", study)
    assert evidence.outcome is Outcome.INCONCLUSIVE
    assert evidence.slack is None or math.isfinite(evidence.slack)


def test_theorem_4_1_limit_needs_a_curve_that_has_settled() -> None:
    # n^(-1/4) at 0.6 % ... 0.36 %: the slope on n^(-1/2) has no meaning here.
    gpus = (10_000, 20_000, 40_000, 80_000)
    gap = 0.06 * np.array(gpus) ** -0.25
    study = study_of(curve_of(gap, 0.01 * gap, gpus))
    assert settled_range(study.curve) is None
    assert limit_evidence(study, "quick").outcome is Outcome.INCONCLUSIVE


def test_intervals_cover_the_truth_with_few_replications() -> None:
    # The largest sizes of the quick design: at 3 degrees of freedom the estimated weights of
    # lucky sizes are far too large, and pooled degrees do not make up for it.
    level, trials = 0.002, 4_000
    gpus, replications = np.array([10_000, 20_000, 40_000, 80_000]), np.array([8, 24, 8, 4])
    generator, truth = np.random.default_rng(1), 2 / np.sqrt(gpus)
    missed = 0
    for _ in range(trials):
        samples = [
            generator.normal(gap, 0.02 * gap * math.sqrt(count), count)
            for gap, count in zip(truth, replications, strict=True)
        ]
        means = np.array([each.mean() for each in samples])
        errors = np.array([each.std(ddof=1) / math.sqrt(len(each)) for each in samples])
        low, high = fitted_limit(GapCurve(gpus, means, errors, replications)).interval(level)
        missed += not low <= 0 <= high
    assert_as_likely_as(missed, trials, level)
