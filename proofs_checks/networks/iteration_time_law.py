"""Equations (1)-(3): iteration times are affine in the chunk, constant for solo decodes.

The law is fitted per model, GPU and tensor parallelism to public measurements (medians). Its
validity range is by the rule of `kurtz.stochastic.calibration` the widest run of chunks on which
its worst relative residual is at most 5 %; what can fail, and is decided here, is how far that
reaches. Evidence: (a) on every entry where that range holds at least five points it spans a factor
of four; where it holds fewer the law is not confirmed, and the evidence names those entries; (b)
solo iterations stay within 10 % of a constant up to a batch of at least 8; (c) the entry behind
the shipped network reaches the paper's R-squared of 0.997, which not all entries do. Control: a
purely quadratic law, alpha + beta C^2, through the same rule on the same entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ...stochastic import (
    IterationTimeFit,
    calibrate,
    fit_law,
    linear_window,
    measured_tables,
    powers_of,
    published_fits,
)
from ...stochastic.calibration import CHUNK_TOLERANCE, SOLO_TOLERANCE
from ...theory import instance
from ...theory.claims import Grade
from ..verdict import Evidence, Findings, Level, Outcome, Report, outcome_of
from .figures import calibration_figure

LEAST_POINTS = 5
LEAST_SPAN = 4.0


LEAST_BATCH = 8


@dataclass(frozen=True)
class MeasuredEntry:
    """One model, GPU and tensor parallelism: its fit, all its points, and those in its range."""

    name: str
    fit: IterationTimeFit
    all_chunks: NDArray[np.float64]
    all_seconds: NDArray[np.float64]
    chunks: NDArray[np.float64]
    seconds: NDArray[np.float64]


def check(_level: Level, report: Report) -> Findings:
    """Decide the claim; both levels do the same, since the measurements are all used."""
    report("fits to measured iteration times")
    fits = calibrate(measured_tables())
    entries = [measured_entry(name, fit) for name, fit in fits.items()]
    tested = [e for e in entries if len(e.chunks) >= LEAST_POINTS]
    thin = [e.name for e in entries if len(e.chunks) < LEAST_POINTS]
    return Findings(
        evidence=(
            _reach("affine law", tested, 1, thin),
            _solo_constant(fits),
            _published_r_squared(fits),
        ),
        controls={"a purely quadratic law": (_reach("quadratic law", tested, 2, thin),)},
        figures={
            "Measured iteration times and the fitted law": partial(calibration_figure, tested)
        },
        data={"fits": fits, "entries": entries, "published": published_fits()},
    )


def measured_entry(name: str, fit: IterationTimeFit) -> MeasuredEntry:
    """The mixed iterations of the shipped measurements that belong to ``fit``."""
    table = measured_tables()
    labels = (
        table["model"] + ", " + table["hardware"] + ", TP" + table["tensor_parallel"].astype(str)
    )
    rows = table[(labels == name) & (table["kind"] == "mixed")]
    chunks = rows["tokens"].to_numpy(dtype=float)
    seconds = rows["median_seconds"].to_numpy(dtype=float)
    low, high = fit.chunk_range
    inside = (chunks >= low) & (chunks <= high)
    return MeasuredEntry(name, fit, chunks, seconds, chunks[inside], seconds[inside])


def reach(entry: MeasuredEntry, exponent: int) -> tuple[float, int]:
    """Span (ratio of ends) and points of the widest run that alpha + beta C^exponent fits.

    (1.0, 0) if no run is within the tolerance.
    """
    chunks, seconds = entry.all_chunks, entry.all_seconds
    solo_time = 1 / entry.fit.iteration_time.gamma
    try:
        low, high = linear_window(chunks, seconds, solo_time, exponent)
    except ValueError:  # no run of three sizes gives a physical law
        return 1.0, 0
    inside = (chunks >= low) & (chunks <= high)
    law = fit_law(powers_of(chunks[inside], 0, exponent), seconds[inside])
    if law.worst_relative_residual > CHUNK_TOLERANCE:
        return 1.0, 0
    return high / low, int(inside.sum())


def _reach(law: str, tested: list[MeasuredEntry], exponent: int, thin: list[str]) -> Evidence:
    reached = {entry.name: reach(entry, exponent) for entry in tested}
    worst = min(reached, key=lambda name: reached[name], default="no entry")
    span, points = reached.get(worst, (1.0, 0))
    enough = sum(s >= LEAST_SPAN and n >= LEAST_POINTS for s, n in reached.values())
    r_squared = [entry.fit.r_squared for entry in tested] or [0.0]
    return Evidence(
        name=f"the {law} fits within {CHUNK_TOLERANCE:.0%} over a factor of {LEAST_SPAN:g} and "
        f"{LEAST_POINTS} points",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(bool(tested) and enough == len(tested)),
        claimed=f"on all of {len(tested)} entries",
        computed=f"on {enough}; least: factor {span:g}, {points} points ({worst})",
        slack=span - LEAST_SPAN,
        detail=f"ordinary least squares on medians; R² of the affine law {min(r_squared):.4f} to "
        f"{max(r_squared):.4f}; not confirmed, as it reaches fewer than {LEAST_POINTS} points, on: "
        f"{'; '.join(thin) or 'none'}",
    )


def _solo_constant(fits: Mapping[str, IterationTimeFit]) -> Evidence:
    worst = {name: fit.solo_worst_deviation for name, fit in fits.items()}
    least = min(fit.batch_range[1] for fit in fits.values())
    name = max(worst, key=lambda n: worst[n])
    return Evidence(
        name=f"solo iterations are constant within {SOLO_TOLERANCE:.0%}, {len(fits)} entries",
        grade=Grade.ESTIMATED,
        outcome=outcome_of(least >= LEAST_BATCH),
        claimed=f"up to a batch of {LEAST_BATCH} or more",
        computed=f"up to {least:g} or more; largest deviation {worst[name]:.1%} ({name})",
        slack=least - LEAST_BATCH,
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
