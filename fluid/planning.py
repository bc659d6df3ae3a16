"""The plan: an optimal vertex of the steady-state program, with its exact certificate.

Steps:

1. solve the program in floating point through CVXPY with HiGHS (simplex);
2. from HiGHS's point take a basis, and from there an exact simplex method to the
   lexicographically first optimal vertex: most revenue, then the smallest decode queues, then
   the fewest mixed GPUs, then the most solo decode, then class by class in order the largest
   prefill, solo and mixed decode occupancies, then the smallest prefill queues. So the plan is
   unique, whatever the solver returned, and has q_d* = 0 whenever some optimum has
   (Proposition 3.2). Under separate pricing the order is the same: of the optima that differ only
   in which prompts are prefilled, it takes the one that leaves the fewest decodes waiting;
3. check the pair of solutions exactly (`Certificate`), and that HiGHS's value agrees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..theory.errors import CertificateError
from ..theory.linear_program import StandardForm
from ..theory.network import ServingNetwork
from ..theory.rates import exact_rates
from ..theory.sli import LinearSli, with_slis, without_decode_queue
from ..theory.steady_state import OCCUPANCIES, block, steady_state_form
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
    pricing
        ``"bundled"`` or ``"separate"``.
    slis
        The service-level indicators that were imposed.
    value
        Optimal revenue per GPU-second, exact.
    shadow_prices
        Revenue per GPU-second and unit of each constraint, from the certificate. Where the
        optimum is degenerate other prices may serve as well.
    solver_value
        What HiGHS found in floating point; None if it found no optimum, as it can when patience
        rates are below its tolerance or a limit is beyond its range, and exact arithmetic did.
    """

    network: ServingNetwork
    pricing: str
    slis: tuple[LinearSli, ...]
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


def plan(
    network: ServingNetwork,
    pricing: str = "bundled",
    slis: Sequence[LinearSli] = (),
    *,
    decode_queue_allowed: bool = False,
) -> Plan:
    """Solve the steady-state program of ``network`` and certify the solution exactly.

    Parameters
    ----------
    network
        The serving network; its floats stand for the decimals they print as.
    pricing
        ``"bundled"``: program (40), paid at decode completion; ``"separate"``: program (42),
        prompts paid at prefill and outputs at decode completion.
    slis
        Linear SLIs (`kurtz.theory.sli`), imposed together with q_d = 0.
    decode_queue_allowed
        Do not impose q_d = 0 beside the SLIs; without SLIs it is never imposed.

    Raises
    ------
    InfeasibleError
        Possible only with SLIs or classes of patience rate 0; names the clashing constraints.
    CertificateError
        HiGHS's value disagrees with the exact one.
    """
    form = planning_form(network, pricing, slis, decode_queue_allowed=decode_queue_allowed)
    found = _solve_with_highs(form)
    vertex = lexicographic_maximum(
        form,
        [form.objective, *tie_breaks(len(network.classes))],
        None if found is None else _column_order(form, found[0]),
    )
    certificate = Certificate(form, vertex.primal, vertex.dual)
    value = certificate.primal_objective
    solver_value = None if found is None else found[1]
    rate = exact_rates(network)
    scale = sum(w * arrival for w, arrival in zip(rate.weight, rate.arrival, strict=True))
    if solver_value is not None and abs(solver_value - float(value)) > SOLVER_TOLERANCE * scale:
        raise CertificateError(f"HiGHS found {solver_value!r}, exact arithmetic {float(value)!r}")
    occupancies = {name: vertex.primal[block(name, len(network.classes))] for name in OCCUPANCIES}
    return Plan(
        network=network,
        pricing=pricing,
        slis=tuple(slis),
        value=value,
        shadow_prices=dict(zip(form.constraints, vertex.dual, strict=True)),
        certificate=certificate,
        solver_value=solver_value,
        **occupancies,
    )


def planning_form(
    network: ServingNetwork,
    pricing: str = "bundled",
    slis: Sequence[LinearSli] = (),
    *,
    decode_queue_allowed: bool = False,
) -> StandardForm:
    """The program that `plan` solves, in fractions; parameters as there."""
    rate, names = exact_rates(network), network.class_names
    form = steady_state_form(rate, pricing, names)
    return with_slis(form, rate, slis, names, decode_queue_allowed=decode_queue_allowed)


def bundled_value_without_decode_queue(network: ServingNetwork) -> Fraction:
    """Exact optimum of program (40) with q_d = 0 imposed (Proposition 3.2 compares the two)."""
    without = without_decode_queue(planning_form(network), len(network.classes))
    vertex = lexicographic_maximum(without, [without.objective])
    return Certificate(without, vertex.primal, vertex.dual).primal_objective


def bundled_value_with_solo_capacity(network: ServingNetwork, share: Fraction) -> Fraction:
    """Exact optimum of program (40) with solo decode capacity cut to a ``share``: a wrong bound."""
    form = planning_form(network)
    k = form.constraints.index("solo decode capacity")
    decode, rest = block("solo_decode", len(network.classes)), form.rows[k]
    row = [share * Fraction(a) for a in rest]
    row[decode] = rest[decode]
    cut = form.with_constraint("cut solo decode capacity", row, share * form.bounds[k])
    vertex = lexicographic_maximum(cut, [form.objective])
    return Certificate(cut, vertex.primal, vertex.dual).primal_objective


def _solve_with_highs(form: StandardForm) -> tuple[NDArray[np.float64], float] | None:
    """HiGHS's point and value, None if it has none: the exact solver then decides alone."""
    import cvxpy  # takes seconds to load

    try:
        rows, bounds = np.array(form.rows, dtype=float), np.array(form.bounds, dtype=float)
    except OverflowError:
        return None
    equality = np.array(form.equalities)

    x = cvxpy.Variable(len(form.variables), nonneg=True)
    problem = cvxpy.Problem(
        cvxpy.Maximize(np.array(form.objective, dtype=float) @ x),
        [rows[~equality] @ x <= bounds[~equality], rows[equality] @ x == bounds[equality]],
    )
    try:
        problem.solve(solver=cvxpy.HIGHS)
    except cvxpy.SolverError:
        return None
    if problem.status != cvxpy.OPTIMAL:
        return None
    return np.asarray(x.value, dtype=float), float(problem.value)


def _column_order(form: StandardForm, approximate: NDArray[np.float64]) -> list[int]:
    """Variables and slacks, the largest first: a vertex has its basic columns in front."""
    rows, bounds = np.array(form.rows, dtype=float), np.array(form.bounds, dtype=float)
    slacks = (bounds - rows @ approximate)[~np.array(form.equalities)]
    return [int(j) for j in np.argsort(-np.concatenate([approximate, slacks]), kind="stable")]


def tie_breaks(class_count: int) -> list[list[Any]]:
    """The objectives after revenue, in the order of the module docstring."""
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
        total("prefill_queue", -1),
    ]
