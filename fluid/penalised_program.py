"""Program (49) of one network: in CVXPY, linearised, and evaluated exactly (see `penalised`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from ..theory.errors import InfeasibleError, InvalidInput
from ..theory.linear_program import StandardForm
from ..theory.network import ServingNetwork, exact
from ..theory.penalties import (
    FairnessPenalty,
    Penalty,
    TimePerOutputTokenPenalty,
    time_per_output_token_terms,
)
from ..theory.rates import exact_rates
from ..theory.sli import (
    NO_DECODE_QUEUE,
    JainFairness,
    Sli,
    jain_index,
    linear_slis,
    without_decode_queue,
)
from ..theory.steady_state import OCCUPANCIES, block
from .certificate import Certificate
from .planning import planning_form, tie_breaks
from .simplex import lexicographic_maximum

DIGITS = 12
"""Decimals to which CVXPY's point is rounded before exact arithmetic takes over."""


class PenalisedProgram:
    """Program (49): the steps of `penalised`, one method each."""

    def __init__(
        self,
        network: ServingNetwork,
        pricing: str,
        slis: Sequence[Sli],
        penalties: Sequence[Penalty],
        decode_queue_allowed: bool,
    ) -> None:
        self.rates, self.class_count = exact_rates(network), len(network.classes)
        self.class_names = network.class_names
        names = [penalty.name for penalty in penalties]
        if len(set(names)) < len(names):
            raise InvalidInput("penalties", names, "every penalty at most once")
        self.jain = [sli for sli in slis if isinstance(sli, JainFairness)]
        if len(self.jain) > 1:
            raise InvalidInput("slis", JainFairness.name, "every SLI at most once")
        self.penalties = tuple(penalties)
        self.fairness: list[FairnessPenalty] = [
            p for p in penalties if not isinstance(p, TimePerOutputTokenPenalty)
        ]
        self.tpot_weight = sum(
            (exact(p.weight) for p in penalties if isinstance(p, TimePerOutputTokenPenalty)),
            Fraction(0),
        )
        self.tpot_constant, self.tpot_curvature = time_per_output_token_terms(self.rates)
        if self.tpot_weight > 0 and self.tpot_curvature < 0:
            raise InvalidInput("kappa", float(self.rates.kappa), "at least 1 for a TPOT penalty")
        self.form = planning_form(
            network, pricing, linear_slis(slis), decode_queue_allowed=decode_queue_allowed
        )
        if not decode_queue_allowed and NO_DECODE_QUEUE not in self.form.constraints:
            self.form = without_decode_queue(self.form, self.class_count)
        lexicographic_maximum(self.form, [self.form.objective])  # raises where rows clash
        self.linear_part = self.form
        for penalty in self.fairness:
            self.linear_part = self._with_largest_difference(self.linear_part, penalty)
        self.cones = [sli for sli in self.jain if sli.limit < 1]
        if len(self.cones) < len(self.jain):  # the cone is a ray
            self.linear_part = self._with_equal_shares(self.linear_part)

    def start(self) -> tuple[list[Fraction], float | None]:
        """Prefill occupancies near the optimum, and CVXPY's value.

        Weights that dwarf the revenue defeat CVXPY. The start is then the exact optimum without
        l_3, of equal shares where there is a cone; where equal shares clash with other
        constraints, CVXPY's optimum without penalties.

        Raises
        ------
        InfeasibleError
            The linear constraints clash, decided exactly, or CVXPY finds, without penalties, that
            the cone does.
        """
        try:
            found = self._solve(penalised=True)
        except OverflowError:
            found = None
        if found is not None:
            return found
        form = self._with_equal_shares(self.linear_part) if self.cones else self.linear_part
        try:
            vertex = lexicographic_maximum(form, [form.objective])
            return list(vertex.primal[: self.class_count]), None
        except InfeasibleError:
            if not self.cones:
                raise
            found = self._solve(penalised=False)
        if found is None:
            names = [*self.linear_part.constraints, *(sli.name for sli in self.jain)]
            raise InfeasibleError(self.form.name, names)
        return found[0], None

    def _solve(self, *, penalised: bool) -> tuple[list[Fraction], float] | None:
        """CVXPY's prefill occupancies, rounded to nonnegative decimals, and its value."""
        import cvxpy  # takes seconds to load
        from cvxpy.atoms.elementwise.inv_pos import inv_pos
        from cvxpy.atoms.norm import norm

        form = self.linear_part
        rows, bounds = np.array(form.rows, dtype=float), np.array(form.bounds, dtype=float)
        equality = np.array(form.equalities)
        z = cvxpy.Variable(len(form.variables), nonneg=True)
        constraints = [
            rows[~equality] @ z <= bounds[~equality],
            rows[equality] @ z == bounds[equality],
        ]
        x = np.eye(self.class_count, len(form.variables)) @ z
        profit = form.objective if penalised else _padded(self.form.objective, form)
        objective = np.array(profit, dtype=float) @ z
        if penalised and self.tpot_weight > 0:
            objective = objective - float(self.tpot_weight * self.tpot_constant)
            if self.tpot_curvature > 0:
                convex = inv_pos(self.rates.batch - np.ones(self.class_count) @ x)
                objective = objective - float(self.tpot_weight * self.tpot_curvature) * convex
        for sli in self.cones:
            shares = np.diag(np.array(self._shares([Fraction(1)] * self.class_count), float)) @ x
            scale = math.sqrt(sli.limit * self.class_count)
            constraints.append(scale * norm(shares, 2) <= np.ones(self.class_count) @ shares)
        problem = cvxpy.Problem(cvxpy.Maximize(objective), constraints)
        try:
            problem.solve(solver=cvxpy.CLARABEL)
        except cvxpy.SolverError:
            return None
        if z.value is None or not np.all(np.isfinite(z.value)):
            return None
        prefill = [exact(max(0.0, round(float(v), DIGITS))) for v in z.value[: self.class_count]]
        return prefill, float(problem.value)

    def polished(self, prefill: Sequence[Fraction]) -> list[Fraction]:
        """The point scaled to the X at which l_3 is as steep as revenue is at the point's own X.

        The objective is flat around its maximum, so that CVXPY finds X to few digits only.
        """
        share = sum(prefill, Fraction(0))
        fixed = _fixed(self.linear_part, "mixed share", self._row([1] * self.class_count), share)
        if share == 0 or self.tpot_weight * self.tpot_curvature == 0:
            return list(prefill)
        try:
            slope = lexicographic_maximum(fixed, [fixed.objective]).dual[-1]
        except InfeasibleError:
            return list(prefill)
        if slope <= 0:
            return list(prefill)
        room = math.sqrt(self.tpot_weight * self.tpot_curvature / slope)
        better = min(max(Fraction(0), self.rates.batch - Fraction(room)), Fraction(1))
        return [x * better / share for x in prefill]

    def upper_bound(self, prefill: Sequence[Fraction]) -> tuple[Fraction, dict[str, Fraction]]:
        """Step 2 of the module docstring: a certified bound, and the prices behind it."""
        linear, constant = self._linearised(prefill)
        vertex = lexicographic_maximum(linear, [linear.objective])
        bound = Certificate(linear, vertex.primal, vertex.dual).dual_objective
        return bound + constant, dict(zip(linear.constraints, vertex.dual, strict=True))

    def feasible_point(self, prefill: Sequence[Fraction]) -> tuple[Fraction, ...]:
        """Step 3: the best of the exactly feasible points near the occupancies ``prefill``."""
        linear, _ = self._linearised(prefill)
        total = self._row([1] * self.class_count)
        with_share = _fixed(linear, "mixed share", total, sum(prefill, Fraction(0)))
        points = [*self._vertex(linear), *self._vertex(with_share)]
        if self.cones:
            points += self._towards_equal_shares(linear, prefill)
        return max(points, key=self.objective)

    def objective(self, primal: Sequence[Fraction]) -> Fraction:
        """Revenue minus penalties of a point, exact."""
        occupancies = {name: primal[block(name, self.class_count)] for name in OCCUPANCIES}
        value = self.revenue(primal)
        for penalty in self.penalties:
            value -= exact(penalty.weight) * penalty.measure(self.rates, occupancies)
        return value

    def revenue(self, primal: Sequence[Fraction]) -> Fraction:
        """Revenue per GPU-second of a point, exact."""
        return sum(
            (Fraction(c) * z for c, z in zip(self.form.objective, primal, strict=True)),
            Fraction(0),
        )

    def _linearised(self, prefill: Sequence[Fraction]) -> tuple[StandardForm, Fraction]:
        """The linear program above (49) that touches it at ``prefill``, and a constant."""
        form, constant = self.linear_part, Fraction(0)
        if self.tpot_weight > 0:
            share = sum(prefill, Fraction(0))
            room = self.rates.batch - share
            slope = self.tpot_curvature / room**2 if self.tpot_curvature else Fraction(0)
            height = TimePerOutputTokenPenalty.at_share(self.rates, share)
            constant = -self.tpot_weight * (height - slope * share)
            prefill_profit = (c - self.tpot_weight * slope for c in form.objective[: len(prefill)])
            profit = (*prefill_profit, *form.objective[len(prefill) :])
            form = replace(form, objective=profit)
        for sli in self.cones:
            row = _padded(self._half_space(sli.limit, prefill), form)
            form = form.with_constraint("Jain's index", row, 0)
        return form, constant

    def _half_space(self, limit: float, prefill: Sequence[Fraction]) -> tuple[Any, ...]:
        """The row of r u . s - sum(s) <= 0, which every point of the cone satisfies."""
        shares = self._shares(prefill)
        length = math.hypot(*map(float, shares)) * (1 + 10.0**-DIGITS)
        direction = [s / Fraction(length) if length else Fraction(0) for s in shares]
        scale = Fraction(math.sqrt(limit * self.class_count) * (1 - 10.0**-DIGITS))
        if sum(u**2 for u in direction) > 1 or scale**2 > exact(limit) * self.class_count:
            raise ArithmeticError("the half-space cuts off part of the cone")
        slopes = [scale * u - 1 for u in direction]
        return self._row(self._shares(slopes))

    def _with_largest_difference(
        self, form: StandardForm, penalty: FairnessPenalty
    ) -> StandardForm:
        """Add the epigraph variable t >= the difference of any two classes, and its cost."""
        form = replace(
            form,
            variables=(*form.variables, f"largest difference, {penalty.name}"),
            objective=(*form.objective, -exact(penalty.weight)),
            rows=tuple((*row, 0) for row in form.rows),
        )
        for row in penalty.fairness.rows(self.rates, self.class_names):
            coefficients = (*_padded(row.coefficients, form)[:-1], -1)
            form = form.with_constraint(row.name, coefficients, row.bound)
        return form

    def _with_equal_shares(self, form: StandardForm) -> StandardForm:
        weights = self._shares([Fraction(1)] * self.class_count)
        for i in range(1, self.class_count):
            row = [Fraction(0)] * self.class_count
            row[0], row[i] = weights[0], -weights[i]
            name = f"equal shares of {self.class_names[0]} and {self.class_names[i]}"
            form = _fixed(form, name, self._row(row), Fraction(0))
        return form

    def _towards_equal_shares(
        self, linear: StandardForm, prefill: Sequence[Fraction]
    ) -> list[tuple[Fraction, ...]]:
        """The best plan of equal shares, and the first feasible point from ``prefill`` to it."""
        points = self._vertex(self._with_equal_shares(linear))
        for centre in points:
            for digits in reversed(range(DIGITS)):
                part, fixed = Fraction(1, 10**digits), linear
                for i in range(self.class_count):
                    mixture = (1 - part) * prefill[i] + part * centre[i]
                    row = self._row([int(i == j) for j in range(self.class_count)])
                    # Shrinking all x keeps Jain's index and frees capacity.
                    fixed = _fixed(fixed, f"x_{i}", row, (1 - part) * mixture)
                found = self._vertex(fixed)
                if found:
                    return [centre, *found]
        return points

    def _vertex(self, form: StandardForm) -> list[tuple[Fraction, ...]]:
        """The first vertex of ``form`` in the variables of the program, if it is feasible."""
        try:
            primal = lexicographic_maximum(
                form, [form.objective, *tie_breaks(self.class_count)]
            ).primal[: len(self.form.variables)]
        except InfeasibleError:
            return []
        shares = self._shares(primal[block("prefill", self.class_count)])
        fair = all(not any(shares) or jain_index(shares) >= exact(s.limit) for s in self.jain)
        return [primal] if fair else []

    def _shares(self, prefill: Sequence[Fraction]) -> list[Fraction]:
        return [
            rate * x / arrival
            for rate, x, arrival in zip(
                self.rates.prefill, prefill, self.rates.arrival, strict=True
            )
        ]

    def _row(self, prefill: Sequence[Any]) -> tuple[Any, ...]:
        row: list[Any] = [0] * len(self.form.variables)
        row[block("prefill", self.class_count)] = prefill
        return tuple(row)


def _padded(row: Sequence[Any], form: StandardForm) -> tuple[Any, ...]:
    """A row in the variables of a program, as one of ``form``: epigraph variables come after."""
    return (*row, *(0 for _ in range(len(form.variables) - len(row))))


def _fixed(form: StandardForm, name: str, row: Sequence[Any], value: Fraction) -> StandardForm:
    """The program with ``row . variables == value``."""
    return form.with_constraint(name, _padded(row, form), value, equality=True)
