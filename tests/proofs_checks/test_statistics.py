"""Statistics of the checks on curves whose truth is known: exact ones, and noise of known size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy import stats

from kurtz.fluid import plan
from kurtz.proofs_checks.networks.bundled_optimality import (
    CONTROL_DESIGN,
    DESIGNS,
    MARGIN,
    MILESTONE,
    TESTS,
    milestone_evidence,
)
from kurtz.proofs_checks.networks.gap_evidence import exponent_evidence, limit_evidence
from kurtz.proofs_checks.networks.gap_study import Design, GapStudy
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
    gap: ArrayLike, error: float, gpus: Sequence[int] = SIZES, replications: int = KNOWN
) -> GapCurve:
    """A curve on which ``error`` is the standard error of sqrt(n) gap at every size."""
    gaps, sizes = np.asarray(gap, dtype=float), np.array(gpus)
    return GapCurve(sizes, gaps, error / np.sqrt(sizes), np.full(len(gaps), replications))


def power_law(exponent: float, relative_error: float = 0.01) -> GapCurve:
    """The gap 2 n^exponent, with errors relative to the gap 2 / sqrt(n)."""
    return curve_of(2 * SIZES.astype(float) ** exponent, 2 * relative_error)


def noisy(curve: GapCurve, seed: int) -> GapCurve:
    noise = np.random.default_rng(seed).standard_normal(len(curve.gpus))
    return replace(curve, gap=curve.gap + curve.standard_error * noise)


def replicated(truth: ArrayLike, sigma: float, design: Design, seed: int) -> GapCurve:
    """Means and standard errors of simulated replications: normal, variance sigma^2 / n."""
    generator = np.random.default_rng(seed)
    samples = [
        generator.normal(gap, sigma / math.sqrt(gpus), count)
        for gap, gpus, count in zip(
            np.asarray(truth), design.gpus, design.replications, strict=True
        )
    ]
    return GapCurve(
        np.array(design.gpus),
        np.array([each.mean() for each in samples]),
        np.array([each.std(ddof=1) / math.sqrt(len(each)) for each in samples]),
        np.array(design.replications),
    )


def settled_part(design: Design) -> Design:
    """The design without the sizes on which nothing is tested."""
    kept = [k for k, gpus in enumerate(design.gpus) if gpus >= design.settled_from]
    return replace(
        design,
        gpus=tuple(design.gpus[k] for k in kept),
        replications=tuple(design.replications[k] for k in kept),
    )


QUICK = {name: settled_part(levels["quick"]) for name, levels in DESIGNS.items()}
FEWEST = Design((100, 400, 1_600), (2, 2, 2), 1, 1, settled_from=100)
"""As few replications as have a standard error at all."""


def study_of(curve: GapCurve, settled_from: int = 0) -> GapStudy:
    return GapStudy("a curve", plan(instance("two-class")), curve, (), settled_from)


def assert_as_likely_as(successes: int, trials: int, probability: float) -> None:
    """Fail with probability 1e-6 if ``probability`` is right."""
    low, high = stats.binom.interval(1 - 1e-6, trials, probability)
    assert low <= successes <= high


@given(sizes, st.floats(-2, 0.5), constants)
def test_exponent_of_an_exact_power_law_is_exact(
    gpus: list[int], exponent: float, constant: float
) -> None:
    gap = constant * np.array(gpus, dtype=float) ** exponent
    fitted = fitted_exponent(curve_of(gap, 0.1 * constant, gpus))
    # The error grows with the condition of the design: close sizes barely tell a slope.
    spread = math.log(gpus[-1] / gpus[0])
    assert fitted.value == pytest.approx(exponent, abs=1e-6 / min(spread, 1) ** 2)


@given(st.floats(-1, 1), constants)
def test_limit_of_a_constant_plus_c_over_root_n_is_exact(limit: float, constant: float) -> None:
    fitted = fitted_limit(curve_of(limit + constant / np.sqrt(SIZES), 0.01))
    assert fitted.value == pytest.approx(limit, abs=1e-10)


def test_limit_from_two_sizes_is_the_extrapolation_with_its_error() -> None:
    # n = 1, 4 stand at 1/sqrt(n) = 1, 1/2: the line meets 0 at 2 g(4) - g(1), with variance
    # 4 s(4)^2 + s(1)^2 = 4 * 2.25 + 9 = 18 for s(1) = 3 and s(4) = 3/2.
    fitted = fitted_limit(curve_of([7, 5], 3, gpus=(1, 4)))
    assert fitted.value == pytest.approx(3)
    assert fitted.standard_error == pytest.approx(math.sqrt(18))


def test_exponent_from_two_sizes_is_the_slope_with_its_error() -> None:
    # Errors 0.03 of 0.75 and 0.003 of 0.1 are 4 % and 3 %: log differences have 5 %; log 100 apart.
    fitted = fitted_exponent(curve_of([0.75, 0.1], 0.03, gpus=(1, 100)))
    assert fitted.value == pytest.approx(-math.log(7.5) / math.log(100))
    assert fitted.standard_error == pytest.approx(0.05 / math.log(100))


def test_weights_are_known_up_to_one_pooled_variance() -> None:
    # n r s^2 is 21 and 12, with 4 and 2 degrees of freedom: pooled (4 * 21 + 2 * 12) / 6 = 18.
    curve = GapCurve(
        np.array([100, 400]),
        np.array([2.0, 1.0]),
        np.sqrt([21 / 500, 12 / 1_200]),
        np.array([5, 3]),
    )
    assert curve.pooled_errors == pytest.approx(np.sqrt([18 / 500, 18 / 1_200]))
    # The line through both: limit 2 g(400) - g(100), variance 4 * 18 / 1200 + 18 / 500 = 0.096.
    assert fitted_limit(curve).standard_error == pytest.approx(math.sqrt(0.096))


@given(sizes, constants, st.integers(2, 50))
def test_pooling_leaves_errors_that_follow_the_model_alone(
    gpus: list[int], error: float, replications: int
) -> None:
    curve = curve_of(np.ones(len(gpus)), error, gpus, replications)
    assert curve.pooled_errors == pytest.approx(curve.standard_error)


@given(st.integers(1, int(SIZES[-1])))
def test_part_from_a_size_on_holds_just_the_sizes_from_there(first: int) -> None:
    curve = power_law(-0.5)
    kept = first <= SIZES
    part = study_of(curve, settled_from=first).settled
    assert part.gpus.tolist() == SIZES[kept].tolist()
    assert part.gap.tolist() == curve.gap[kept].tolist()
    assert part.standard_error.tolist() == curve.standard_error[kept].tolist()
    assert part.replications.tolist() == curve.replications[kept].tolist()


def test_interval_is_students() -> None:
    # Tables: the 97.5 % point of Student's t with 3 degrees of freedom is 3.182446.
    low, high = Fitted(1.0, 2.0, 3).interval(0.05)
    assert (low, high) == pytest.approx((1 - 2 * 3.182446, 1 + 2 * 3.182446), abs=1e-5)


@given(
    st.integers(3, 300), st.sampled_from((0.05, 0.01, 0.002)), st.sampled_from((1, 2)), constants
)
def test_detectable_effect_is_found_with_the_stated_power(
    degrees: int, level: float, sides: int, error: float
) -> None:
    # The power by another formula: the normal tail, averaged over the chi-squared variance.
    effect = Fitted(0.0, error, degrees).detectable(level, sides=sides) / error
    critical = stats.t.ppf(1 - level / sides, degrees)
    variance = stats.chi2.ppf((np.arange(4_000) + 0.5) / 4_000, degrees) / degrees
    power = stats.norm.sf(critical * np.sqrt(variance) - effect).mean()
    assert power == pytest.approx(POWER, abs=1e-3)


def test_detectable_effect_has_two_sides_unless_told() -> None:
    fitted = Fitted(0.0, 1.0, 7)
    assert fitted.detectable(0.01) == fitted.detectable(0.01, sides=2)
    assert fitted.detectable(0.01) == pytest.approx(fitted.detectable(0.005, sides=1))


def test_degrees_of_freedom_are_pooled() -> None:
    curve = GapCurve(SIZES[:3], np.ones(3), np.ones(3), np.array([8, 4, 2]))
    assert curve.degrees_of_freedom == 7 + 3 + 1
    assert fitted_limit(curve).degrees_of_freedom == 11


@pytest.mark.parametrize("level", [0.05, 0.002])
@pytest.mark.parametrize("design", [*QUICK.values(), FEWEST], ids=[*QUICK, "fewest"])
def test_intervals_cover_the_truth_as_often_as_they_say(design: Design, level: float) -> None:
    # At relative errors of 1 % or less the logarithm of the gap is as good as normal.
    trials, truth = 4_000, 2 / np.sqrt(design.gpus)
    sigma = 0.01 * 2 * math.sqrt(min(design.replications))
    curves = [replicated(truth, sigma, design, seed) for seed in range(trials)]
    exponents = [fitted_exponent(curve).interval(level) for curve in curves]
    limits = [fitted_limit(curve).interval(level) for curve in curves]
    assert_as_likely_as(sum(not low <= -0.5 <= high for low, high in exponents), trials, level)
    assert_as_likely_as(sum(not low <= 0 <= high for low, high in limits), trials, level)


@pytest.mark.parametrize("design", [*QUICK.values(), FEWEST], ids=[*QUICK, "fewest"])
def test_settling_refuses_a_settled_curve_as_often_as_it_says(design: Design) -> None:
    trials, truth = 4_000, 2 / np.sqrt(design.gpus)
    curves = [replicated(truth, 1.0, design, seed) for seed in range(trials)]
    refused = sum(settling_p_value(curve) < SETTLING_LEVEL for curve in curves)
    assert_as_likely_as(refused, trials, SETTLING_LEVEL)


def test_designs_test_the_asymptotics_on_three_sizes_or_more() -> None:
    designs = [*(each for levels in DESIGNS.values() for each in levels.values()), CONTROL_DESIGN]
    for design in designs:
        assert design.settled_from in design.gpus
        assert len(settled_part(design).gpus) >= SETTLED_SIZES
        assert min(design.replications) >= 4
    for design in DESIGNS["two-class"].values():
        assert MILESTONE[0] in design.gpus


def test_an_exact_root_law_has_settled_everywhere() -> None:
    settled = settled_range(power_law(-0.5))
    assert settled is not None
    assert settled.gpus.tolist() == SIZES.tolist()


@pytest.mark.parametrize("exponent", [0.0, -0.25, -1.0])
def test_other_exponents_settle_nowhere(exponent: float) -> None:
    # With errors that can tell 2 / sqrt(n) from 0 at the largest sizes, which decide.
    truth = power_law(exponent, relative_error=5e-4)
    assert settled_range(truth) is None
    assert all(settled_range(noisy(truth, seed)) is None for seed in range(200))


def test_a_limit_gap_settles_nowhere() -> None:
    assert settled_range(curve_of(0.05 + 2 / np.sqrt(SIZES), 0.02)) is None


def test_settled_range_leaves_out_what_lies_before_the_asymptote() -> None:
    # sqrt(n) gap = 2 + 200/sqrt(n) is 22, 12, 7, 4.5, 3.25, 2.625. The last three deviate from
    # their mean by 1.04, 0.21, 0.83: Q = 1.82 / error^2 is 20 at error 0.3, refused, and 2.8 at
    # error 0.8, below the 95 % point 6.0; the last four have Q = 17 there, above 7.8.
    gap = 2 / np.sqrt(SIZES) + 200 / SIZES
    assert settled_range(curve_of(gap, 0.3)) is None
    settled = settled_range(curve_of(gap, 0.8))
    assert settled is not None
    assert settled.gpus.tolist() == SIZES[-3:].tolist()


def test_fewer_than_three_sizes_never_count_as_settled() -> None:
    assert settled_range(power_law(-0.5).last(SETTLED_SIZES - 1)) is None


@given(
    st.lists(st.floats(0.01, 1), min_size=len(SIZES), max_size=len(SIZES)), st.floats(0.001, 0.3)
)
def test_settled_range_is_a_tail_that_agrees_with_its_mean(
    scaled: list[float], error: float
) -> None:
    curve = curve_of(np.array(scaled) / np.sqrt(SIZES), error)
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
    assert exponent_evidence("a curve", study, TESTS).outcome is outcome


def test_theorem_4_1_exponent_needs_a_curve_that_has_settled() -> None:
    # Ups and downs in mirror image leave the slope at -1/2, but sqrt(n) gap is not constant.
    gap = 2 / np.sqrt(SIZES) * [1.1, 0.9, 1, 1, 0.9, 1.1]
    study = study_of(curve_of(gap, 0.02))
    assert fitted_exponent(study.curve).value == pytest.approx(-0.5)
    assert settling_p_value(study.curve) < SETTLING_LEVEL
    assert exponent_evidence("a curve", study, TESTS).outcome is Outcome.INCONCLUSIVE
    assert exponent_evidence("a curve", study_of(power_law(-0.5)), TESTS).outcome is Outcome.HOLDS


@pytest.mark.parametrize(
    ("limit", "error", "outcome"),
    [
        # sqrt(n) gap has error 265 times that of the limit, and Q = (limit / its error)^2.
        (0.0, 0.01, Outcome.HOLDS),
        (0.002, 0.2, Outcome.HOLDS),  # the quick margin is 0.5 %
        (-0.002, 0.2, Outcome.HOLDS),
        (0.002, 0.01, Outcome.INCONCLUSIVE),  # within the margin, but sqrt(n) gap grows
        (0.02, 0.01, Outcome.REFUTED),
        (-0.02, 0.01, Outcome.REFUTED),  # more than R*: as wrong as less
        (0.0, 1.0, Outcome.INCONCLUSIVE),  # settled, but the interval is wider than the margin
        (0.005, 0.2, Outcome.INCONCLUSIVE),  # at the margin
    ],
)
def test_theorem_4_1_limit_gap_is_decided_by_two_one_sided_tests(
    limit: float, error: float, outcome: Outcome
) -> None:
    study = study_of(curve_of(limit + 0.5 / np.sqrt(SIZES), error))
    assert limit_evidence(study, MARGIN["quick"], TESTS).outcome is outcome


def test_theorem_4_1_full_level_is_stricter_than_quick() -> None:
    study = study_of(curve_of(0.002 + 0.5 / np.sqrt(SIZES), 0.2))
    assert limit_evidence(study, MARGIN["quick"], TESTS).outcome is Outcome.HOLDS
    assert limit_evidence(study, MARGIN["full"], TESTS).outcome is Outcome.INCONCLUSIVE
    study = study_of(curve_of(0.003 + 0.5 / np.sqrt(SIZES), 0.01))
    assert limit_evidence(study, MARGIN["quick"], TESTS).outcome is Outcome.INCONCLUSIVE
    assert limit_evidence(study, MARGIN["full"], TESTS).outcome is Outcome.REFUTED


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.floats(1e-4, 1))
def test_theorem_4_1_is_tested_where_it_was_said_to_have_settled_and_nowhere_else(
    before: list[float], error: float
) -> None:
    # Not even a gap below zero, or wilder errors, before the settled range change a thing.
    right = power_law(-0.5)
    gap, errors = right.gap.copy(), right.standard_error.copy()
    gap[:3], errors[:3] = before, error
    settled_from = int(SIZES[3])
    study = study_of(replace(right, gap=gap, standard_error=errors), settled_from)
    same = study_of(right, settled_from)
    assert exponent_evidence("a curve", study, TESTS) == exponent_evidence("a curve", same, TESTS)
    assert limit_evidence(study, MARGIN["quick"], TESTS) == limit_evidence(
        same, MARGIN["quick"], TESTS
    )
    assert exponent_evidence("a curve", study, TESTS).outcome is Outcome.HOLDS


@pytest.mark.parametrize(
    ("gap", "outcome"),
    [(0.005, Outcome.HOLDS), (0.02, Outcome.REFUTED), (0.0101, Outcome.INCONCLUSIVE)],
)
def test_theorem_4_1_gap_at_20_000_gpus_is_decided_against_one_per_cent(
    gap: float, outcome: Outcome
) -> None:
    study = study_of(curve_of([0.5, gap, 0.001], 0.014, gpus=(100, 20_000, 80_000)))
    assert milestone_evidence(study).outcome is outcome


@pytest.mark.parametrize("last", [-0.0001, 0.0])
def test_theorem_4_1_estimated_gap_below_zero_does_not_refute(last: float) -> None:
    # Within its error of a gap that has all but vanished; errors 0.4 %, 0.2 %, 0.1 %.
    study = study_of(curve_of([0.004, 0.002, last], 0.4, gpus=(10_000, 40_000, 160_000)))
    evidence = exponent_evidence("a curve", study, TESTS)
    assert evidence.outcome is Outcome.INCONCLUSIVE
    assert evidence.slack is None
    assert (
        evidence.computed == "a gap over n = 10,000 ... 160,000 is not positive, no exponent fits"
    )


def test_theorem_4_1_limit_needs_a_curve_that_has_settled() -> None:
    # n^(-1/4) at 0.6 % ... 0.36 %: the intercept on n^(-1/2) lies within the margin, but has no
    # meaning here.
    gpus = (10_000, 20_000, 40_000, 80_000)
    study = study_of(curve_of(0.06 * np.array(gpus) ** -0.25, 0.01, gpus))
    assert settled_range(study.curve) is None
    evidence = limit_evidence(study, MARGIN["quick"], TESTS)
    assert evidence.outcome is Outcome.INCONCLUSIVE
    assert evidence.slack is not None
    assert evidence.slack > 0
