"""Equations (1)-(3): iteration times are affine in the chunk, constant for solo decodes.

The law is fitted per model, GPU and tensor parallelism to public measurements (medians); its
validity range is chosen by the rules of `kurtz.stochastic.calibration`. Entries whose range holds
at least five points are tested, the others are too thin to refute anything and are named.
Evidence: (a) the range spans a factor of four within 5 %, (b) a quadratic term is not needed
(F test of the affine law inside the full quadratic), (c) solo iterations stay within 10 % of a
constant, (d) the entry behind the shipped network reaches the paper's R-squared of 0.997.
Control: a purely quadratic law, alpha + beta C^2, on the same points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..stochastic import (
    IterationTimeFit,
    LawFit,
    calibrate,
    fit_law,
    measured_tables,
    nested_f_test,
    powers_of,
    published_fits,
)
from ..stochastic.calibration import CHUNK_TOLERANCE, SOLO_TOLERANCE
from ..theory import instance
from ..theory.claims import Grade
from .figures import calibration_figure
from .statistics import FAMILY_LEVEL
from .verdict import Evidence, Findings, Level, Outcome, Report, outcome_of

LEAST_POINTS = 5
LEAST_SPAN = 4.0


@dataclass(frozen=True)
class MeasuredEntry:
    """One model, GPU and tensor parallelism: the points in its range, and three laws on them."""

    name: str
    fit: IterationTimeFit
    chunks: NDArray[np.float64]
    seconds: NDArray[np.float64]
    pure_quadratic: LawFit
    full_quadratic: LawFit


def check(_level: Level, report: Report) -> Findings:
    """Decide the claim; both levels do the same, since the measurements are all used."""
    report("fits to measured iteration times")
    fits = calibrate(measured_tables())
    entries = [measured_entry(name, fit) for name, fit in fits.items()]
    tested = [e for e in entries if len(e.chunks) >= LEAST_POINTS]
    thin = [e.name for e in entries if len(e.chunks) < LEAST_POINTS]
    return Findings(
        evidence=(
            _span(tested, thin),
            _residuals("affine law", {e.name: e.fit.mixed_law for e in tested}),
            _no_quadratic_term(tested),
            _solo_constant(fits),
            _published_r_squared(fits),
        ),
        controls={
            "a purely quadratic law": (
                _residuals("quadratic law", {e.name: e.pure_quadratic for e in tested}),
            )
        },
        figures={"Measured iteration times and the fitted law": lambda: calibration_figure(tested)},
        data={"fits": fits, "entries": entries, "published": published_fits()},
    )


def measured_entry(name: str, fit: IterationTimeFit) -> MeasuredEntry:
    """The points behind ``fit`` and the rival laws on the same points."""
    table = measured_tables()
    labels = (
        table["model"] + ", " + table["hardware"] + ", TP" + table["tensor_parallel"].astype(str)
    )
    rows = table[(labels == name) & (table["kind"] == "mixed")]
    rows = rows[rows["tokens"].between(*fit.chunk_range)]
    chunks = rows["tokens"].to_numpy(dtype=float)
    seconds = rows["median_seconds"].to_numpy(dtype=float)
    return MeasuredEntry(
        name=name,
        fit=fit,
        chunks=chunks,
        seconds=seconds,
        pure_quadratic=fit_law(powers_of(chunks, 0, 2), seconds),
        full_quadratic=fit_law(powers_of(chunks, 0, 1, 2), seconds)
        if len(chunks) >= LEAST_POINTS
        else fit.mixed_law,
    )


def _span(tested: list[MeasuredEntry], thin: list[str]) -> Evidence:
    spans = {e.name: e.fit.chunk_range[1] / e.fit.chunk_range[0] for e in tested}
    narrowest = min(spans, key=lambda name: spans[name])
    return Evidence(
        name=f"the law holds within {CHUNK_TOLERANCE:.0%} over a factor of {LEAST_SPAN:g} in the "
        f"chunk, {len(tested)} entries",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(spans[narrowest] >= LEAST_SPAN),
        claimed=f">= {LEAST_SPAN:g}",
        computed=f"{spans[narrowest]:g} ({narrowest})",
        slack=spans[narrowest] - LEAST_SPAN,
        detail=f"not tested, with fewer than {LEAST_POINTS} points: {'; '.join(thin) or 'none'}",
    )


def _residuals(law: str, fits: Mapping[str, LawFit]) -> Evidence:
    worst = {name: fit.worst_relative_residual for name, fit in fits.items()}
    name = max(worst, key=lambda n: worst[n])
    return Evidence(
        name=f"worst relative residual of the {law}, {len(fits)} entries",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(worst[name] <= CHUNK_TOLERANCE),
        claimed=f"<= {CHUNK_TOLERANCE:.0%}",
        computed=f"{worst[name]:.1%} ({name}); R² {min(f.r_squared for f in fits.values()):.4f} "
        f"to {max(f.r_squared for f in fits.values()):.4f}",
        slack=CHUNK_TOLERANCE - worst[name],
        detail="ordinary least squares on medians, range chosen by rule",
    )


def _no_quadratic_term(tested: list[MeasuredEntry]) -> Evidence:
    linear = {e.name: nested_f_test(e.fit.mixed_law, e.full_quadratic).p_value for e in tested}
    power = {e.name: nested_f_test(e.pure_quadratic, e.full_quadratic).p_value for e in tested}
    level = FAMILY_LEVEL / len(tested)
    name = min(linear, key=lambda n: linear[n])
    detected = sum(p < 0.05 for p in power.values())
    return Evidence(
        name=f"no quadratic term is needed, {len(tested)} entries",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(linear[name] >= level),
        claimed=f"p >= {level:.2g}",
        computed=f"smallest p = {linear[name]:.2f} ({name})",
        slack=linear[name] - level,
        detail=f"F test, H0: affine, level {level:.2g} each ({FAMILY_LEVEL:g} family-wise); power: "
        f"the same test at level 0.05 rejects the purely quadratic law on {detected} of "
        f"{len(tested)} entries",
    )


def _solo_constant(fits: Mapping[str, IterationTimeFit]) -> Evidence:
    worst = {name: fit.solo_worst_deviation for name, fit in fits.items()}
    reach = min(fit.batch_range[1] for fit in fits.values())
    name = max(worst, key=lambda n: worst[n])
    return Evidence(
        name=f"solo iterations are constant up to a batch of at least 8, {len(fits)} entries",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(worst[name] <= SOLO_TOLERANCE and reach >= 8),
        claimed=f"within {SOLO_TOLERANCE:.0%} for batches up to 8 or more",
        computed=f"{worst[name]:.1%} ({name}), batches up to {reach:g} or more",
        slack=SOLO_TOLERANCE - worst[name],
        detail="equation (2) is an approximation: solo times creep up with the batch",
    )


def _published_r_squared(fits: Mapping[str, IterationTimeFit]) -> Evidence:
    claimed = min(fit.r_squared for fit in published_fits())
    time = instance("azure-h100").gpu.iteration_time
    name, fit = min(fits.items(), key=lambda item: abs(item[1].iteration_time.beta / time.beta - 1))
    reached = sum(f.r_squared >= claimed for f in fits.values())
    same = abs(fit.iteration_time.gamma / time.gamma - 1) < 1e-3
    return Evidence(
        name="R² of the entry behind azure-h100, against the paper's fits",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(fit.r_squared >= claimed) if same else Outcome.INCONCLUSIVE,
        claimed=f">= {claimed:g}",
        computed=f"{fit.r_squared:.4f} ({name})",
        slack=fit.r_squared - claimed,
        detail=f"reached by {reached} of {len(fits)} entries: the paper's figure is no general law",
    )
