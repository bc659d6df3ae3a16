"""The plan: an optimal vertex of the steady-state program, with its exact certificate.

Steps:

1. solve the program in floating point through CVXPY with HiGHS (simplex);
2. from HiGHS's point take a basis, and from there an exact simplex method to the
   lexicographically first optimal vertex: most revenue, then the smallest decode queues, then
   the fewest mixed GPUs, then the most solo decode, then class by class in order the largest
   prefill, solo and mixed decode occupancies. So the plan is unique, whatever the solver returned,
   and has q_d* = 0 whenever some optimum has (Proposition 3.2);
3. check the pair of solutions exactly (`Certificate`), and that HiGHS's value agrees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..theory.errors import CertificateError, InvalidInput
from ..theory.linear_program import StandardForm
from ..theory.network import ServingNetwork
from ..theory.rates import exact_rates, rates
from ..theory.steady_state import OCCUPANCIES, block, bundled_form
from .certificate import Certificate
from .simplex import lexicographic_maximum

SOLVER_TOLERANCE = 1e-7
"""Largest disagreement between HiGHS's value and the exact one, relative to the revenue of serving
every arrival; HiGHS's own feasibility tolerance is 1e-7."""


@dataclass(frozen=True)
class Plan:
    """An optimal vertex of a steady-state program; occupancies per GPU, one per class.

    Attributes
    ----------
    value
        Optimal revenue per GPU-second, exact.
    shadow_prices
        Revenue per GPU-second and unit of each constraint, from the certificate. Where the
        optimum is degenerate other prices may serve as well.
    solver_value
        What HiGHS found in floating point; None if it found the program infeasible, as it can
        when patience rates are below its tolerance, and exact arithmetic did not.
    """

    network: ServingNetwork
    pricing: str
    value: Fraction
    prefill: tuple[Fraction, ...]
    mixed_decode: tuple[Fraction, ...]
    solo_decode: tuple[Fraction, ...]
    prefill_queue: tuple[Fraction, ...]
    decode_queue: tuple[Fraction, ...]
    shadow_prices: Mapping[str, Fraction]
    certificate: Certificate
    solver_value: float | None

    @property
    def mixed_share(self) -> Fraction:
        """Share of GPUs that run prefills: the sum of the prefill occupancies."""
        return sum(self.prefill, Fraction(0))


def plan(network: ServingNetwork, pricing: str = "bundled") -> Plan:
    """Solve the steady-state program of ``network`` and certify the solution exactly.

    Parameters
    ----------
    network
        The serving network; its floats stand for the decimals they print as.
    pricing
        ``"bundled"``: program (40), paid at decode completion.

    Raises
    ------
    InfeasibleError
        Possible only with classes of patience rate 0; names the clashing constraints.
    CertificateError
        HiGHS's value disagrees with the exact one.
    """
    if pricing != "bundled":
        raise InvalidInput("pricing", pricing, "'bundled'")
    form = bundled_form(exact_rates(network), network.class_names)
    rate = rates(network)
    found = _solve_with_highs(bundled_form(rate))
    vertex = lexicographic_maximum(
        form,
        [form.objective, *_tie_breaks(len(network.classes))],
        None if found is None else _column_order(form, found[0]),
    )
    certificate = Certificate(form, vertex.primal, vertex.dual)
    value = certificate.primal_objective
    solver_value = None if found is None else found[1]
    scale = sum(w * arrival for w, arrival in zip(rate.weight, rate.arrival, strict=True))
    if solver_value is not None and abs(solver_value - float(value)) > SOLVER_TOLERANCE * scale:
        raise CertificateError(f"HiGHS found {solver_value!r}, exact arithmetic {float(value)!r}")
    occupancies = {name: vertex.primal[block(name, len(network.classes))] for name in OCCUPANCIES}
    return Plan(
        network=network,
        pricing=pricing,
        value=value,
        shadow_prices=dict(zip(form.constraints, vertex.dual, strict=True)),
        certificate=certificate,
        solver_value=solver_value,
        **occupancies,
    )


def bundled_value_without_decode_queue(network: ServingNetwork) -> Fraction:
    """Exact optimum of program (40) with q_d = 0 imposed (Proposition 3.2 compares the two)."""
    class_count = len(network.classes)
    form = bundled_form(exact_rates(network), network.class_names)
    row = [0] * len(form.variables)
    row[block("decode_queue", class_count)] = [1] * class_count
    without = form.with_constraint("no decode queue", row, 0, equality=True)
    vertex = lexicographic_maximum(without, [form.objective])
    return Certificate(without, vertex.primal, vertex.dual).primal_objective


def bundled_value_with_solo_capacity(network: ServingNetwork, share: Fraction) -> Fraction:
    """Exact optimum of program (40) with solo decode capacity cut to a ``share``: a wrong bound."""
    form = bundled_form(exact_rates(network), network.class_names)
    k = form.constraints.index("solo decode capacity")
    decode, rest = block("solo_decode", len(network.classes)), form.rows[k]
    row = [share * Fraction(a) for a in rest]
    row[decode] = rest[decode]
    cut = form.with_constraint("cut solo decode capacity", row, share * form.bounds[k])
    vertex = lexicographic_maximum(cut, [form.objective])
    return Certificate(cut, vertex.primal, vertex.dual).primal_objective


def _solve_with_highs(form: StandardForm) -> tuple[NDArray[np.float64], float] | None:
    """HiGHS's point and value, None if it has none: the exact solver then decides alone."""
    rows, bounds = np.array(form.rows, dtype=float), np.array(form.bounds, dtype=float)
    equality = np.array(form.equalities)
    import cvxpy  # takes seconds to load

    x = cvxpy.Variable(len(form.variables), nonneg=True)
    problem = cvxpy.Problem(
        cvxpy.Maximize(np.array(form.objective, dtype=float) @ x),
        [rows[~equality] @ x <= bounds[~equality], rows[equality] @ x == bounds[equality]],
    )
    problem.solve(solver=cvxpy.HIGHS)
    if problem.status != cvxpy.OPTIMAL:
        return None
    return np.asarray(x.value, dtype=float), float(problem.value)


def _column_order(form: StandardForm, approximate: NDArray[np.float64]) -> list[int]:
    """Variables and slacks, the largest first: a vertex has its basic columns in front."""
    rows, bounds = np.array(form.rows, dtype=float), np.array(form.bounds, dtype=float)
    slacks = (bounds - rows @ approximate)[~np.array(form.equalities)]
    return [int(j) for j in np.argsort(-np.concatenate([approximate, slacks]), kind="stable")]


def _tie_breaks(class_count: int) -> list[list[Any]]:
    width = len(OCCUPANCIES) * class_count

    def total(name: str, sign: int) -> list[Any]:
        row = [0] * width
        row[block(name, class_count)] = [sign] * class_count
        return row

    def single(name: str, i: int) -> list[Any]:
        row = [0] * width
        row[block(name, class_count).start + i] = 1
        return row

    return [
        total("decode_queue", -1),
        total("prefill", -1),
        total("solo_decode", 1),
        *(single("prefill", i) for i in range(class_count)),
        *(single("solo_decode", i) for i in range(class_count)),
        *(single("mixed_decode", i) for i in range(class_count)),
    ]
