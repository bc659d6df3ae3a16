r"""Evidence that simulated occupancies tend to a plan, class by class.

A deviation is :math:`(\mathbb E[N_i]/n - N_i^*)` per slot of its stage: prefill slots for
prefills, decode slots for decodes and for those who wait for decode. Its limit is the intercept on
:math:`n^{-1/2}`, as for gaps, and the evidence is an equivalence test: every class's limit within
a margin of zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...stochastic import Estimate
from ...theory import ServingNetwork
from ...theory.claims import Grade
from ..statistics import FAMILY_LEVEL, Fitted, GapCurve, fitted_limit
from ..verdict import Evidence, Outcome
from .gap_evidence import level_and_power
from .gap_study import Design


def deviation_curve(
    network: ServingNetwork,
    targets: Any,
    design: Design,
    estimates: Sequence[Estimate],
    coefficients: Mapping[str, Sequence[float]],
) -> GapCurve:
    """Deviations of a linear combination of occupancies from its planned value.

    Parameters
    ----------
    targets
        The plan: has the stages as attributes.
    design
        The design that the estimates come from.
    coefficients
        For stages of `kurtz.stochastic.COUNTS`, one coefficient per class.
    """
    deviations, errors = [], []
    for estimate in estimates:
        deviation = error = 0.0
        for stage, row in coefficients.items():
            planned, slots = getattr(targets, stage), stage_slots(network, targets, stage)
            for a, measured, target in zip(row, estimate.occupancies[stage], planned, strict=True):
                deviation += a * (measured.mean - float(target)) / slots
                error += abs(a) * measured.standard_error / slots
        deviations.append(deviation)
        errors.append(error)  # the sum of errors bounds the error of the sum
    return GapCurve(
        np.array(design.gpus),
        np.array(deviations),
        np.array(errors),
        np.array(design.replications),
    ).starting_at(design.settled_from)


def stage_slots(network: ServingNetwork, targets: Any, stage: str) -> float:
    """Slots per GPU in which requests of a stage are served, or for which they wait."""
    mixed = float(sum(targets.prefill))
    batch = network.gpu.batch
    return mixed if stage.startswith("prefill") else (batch - 1) * mixed + batch * (1 - mixed)


def occupancies_evidence(
    name: str,
    network: ServingNetwork,
    targets: Any,
    design: Design,
    estimates: Sequence[Estimate],
    stages: Sequence[str],
    *,
    margin: float,
    tests: int,
) -> Evidence:
    """Whether every class's occupancy of the ``stages`` is within the margin in the limit.

    One of ``tests`` pairs of one-sided tests each; refuted if a class is surely outside.
    """
    classes = len(network.classes)
    limits = {
        f"{stage.replace('_', ' ')} of {network.class_names[i]}": limit_of(
            deviation_curve(
                network, targets, design, estimates, {stage: np.eye(classes)[i].tolist()}
            )
        )
        for stage in stages
        for i in range(classes)
    }
    return limits_evidence(name, limits, margin=margin, tests=tests)


def limit_of(curve: GapCurve) -> Fitted:
    """Intercept of a deviation; one without any spread, as of an empty stage, is its own limit."""
    if not curve.standard_error.any():
        return Fitted(float(curve.gap[-1]), 0.0, curve.degrees_of_freedom)
    return fitted_limit(curve)


def limits_evidence(
    name: str,
    limits: Mapping[str, Fitted],
    *,
    margin: float,
    tests: int,
    scale: str = "the slots",
) -> Evidence:
    """Whether all fitted limits are within the margin of zero, by equivalence tests.

    Deviations and margin are relative to what ``scale`` says.
    """
    intervals = {key: limit.interval(2 * FAMILY_LEVEL / tests) for key, limit in limits.items()}
    if any(low > margin or high < -margin for low, high in intervals.values()):
        outcome = Outcome.REFUTED
    elif all(-margin < low and high < margin for low, high in intervals.values()):
        outcome = Outcome.HOLDS
    else:
        outcome = Outcome.INCONCLUSIVE
    worst = max(intervals, key=lambda key: max(map(abs, intervals[key])))
    low, high = intervals[worst]
    return Evidence(
        name=name,
        grade=Grade.ESTIMATED,
        outcome=outcome,
        claimed=f"within {margin:.1%} of {scale}",
        computed=f"at most {limits[worst].value:+.2%} in [{low:+.2%}, {high:+.2%}] ({worst})",
        slack=margin - max(abs(low), abs(high)),
        detail=f"H0: the limit deviates by the margin or more, two one-sided tests each; "
        f"{level_and_power(limits[worst], tests, sides=1)}",
    )
